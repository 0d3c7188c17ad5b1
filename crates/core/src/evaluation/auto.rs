//! Whether a candidate is promoted without a person.

use serde::{Deserialize, Serialize};

use super::condition::{Bounds, Condition, Numbers, ask};
use super::{Evidence, Verdict};
use crate::guard::Guard;
use crate::policy::{AutoPromote, GateMetric};

/// Whether a person is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoPromotion {
    /// Whether the candidate is promoted without a person.
    pub is_granted: bool,
    /// Why, or why not.
    pub reason: String,
}

pub(super) fn judge_auto_promotion(
    auto: Option<&AutoPromote>,
    evidence: &Evidence,
    verdict: Verdict,
    has_champion: bool,
    frozen: Option<&str>,
) -> AutoPromotion {
    let no = |reason: String| AutoPromotion { is_granted: false, reason };
    let Some(auto) = auto else {
        let is_granted = !Guard::AutoAsked.is_kept() && verdict == Verdict::Passed;
        return AutoPromotion { is_granted, reason: "the policy asks for a person".to_owned() };
    };
    if !has_champion {
        return no("there is no champion to compare with: the first is always approved by a person".to_owned());
    }
    if let Some(reason) = frozen.filter(|_| Guard::FreezeHeeded.is_kept()) {
        return no(format!("promotion without a person is frozen: {reason}"));
    }
    match verdict {
        Verdict::Passed => {}
        _ if !Guard::AutoAfterGates.is_kept() => {}
        Verdict::Inconclusive => return no("a gate is inconclusive".to_owned()),
        Verdict::Failed | Verdict::Errored => return no("a gate did not pass".to_owned()),
    }
    let metric = GateMetric::Measured(auto.metric);
    let comparison = evidence.metrics.get(&auto.metric);
    if comparison.is_none() {
        return no(format!("{} was not measured", metric.name()));
    }
    let numbers = Numbers::of(comparison, auto.mode);
    let answers =
        [(Condition::MinImprovement, auto.min_improvement), (Condition::LowerBoundAbove, auto.lower_bound_above)]
            .map(|(condition, limit)| ask(&metric, auto.mode, condition, limit, &numbers, Bounds::Alone));
    let is_granted = Guard::AutoBarMet.holds(answers.iter().all(|it| it.verdict == Verdict::Passed));
    AutoPromotion { is_granted, reason: answers.map(|it| it.reason).join("; ") }
}
