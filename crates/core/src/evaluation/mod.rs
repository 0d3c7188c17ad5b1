//! Evaluations and promotion gates: what was measured, against what, and what would change the answer.

mod auto;
mod condition;
mod evidence;
mod gate;
mod impossible;
mod student;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use auto::AutoPromotion;
pub use evidence::{Comparison, CustomComparison, CustomValue, Evidence, Improvement, SegmentEvidence};
pub use gate::{GateResult, SegmentResult};
pub use impossible::{ImpossibleGate, impossible_gates};

use crate::policy::{AutoPromote, Direction, GatePolicy, ImprovementMode, Metric};

/// The four outcomes of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Met.
    Passed,
    /// Not enough data to say; a person decides.
    Inconclusive,
    /// Not met.
    Failed,
    /// Could not be evaluated; not the candidate's fault, and never a pass.
    Errored,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Failed => "failed",
            Verdict::Errored => "errored",
        }
    }
}

/// How a candidate was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The numbers.
    pub evidence: Evidence,
    /// The gates, in the policy's order.
    pub gates: Vec<GateResult>,
    /// The worst of the enforced gates' verdicts; Passed without any.
    pub verdict: Verdict,
    /// Whether the candidate clears the bar for promotion without a person, and why (not).
    pub auto_promotion: AutoPromotion,
}

/// Judges the evidence by the gates and the bar for promotion without a person. Pure.
#[must_use]
pub fn evaluate(
    evidence: Evidence,
    gates: &[GatePolicy],
    auto: Option<&AutoPromote>,
    has_champion: bool,
    frozen: Option<&str>,
) -> Evaluation {
    let results: Vec<GateResult> = gates.iter().map(|it| gate::judge_gate(it, &evidence, has_champion)).collect();
    let enforced = results.iter().filter(|it| it.is_enforced());
    let verdict = enforced.map(|it| it.verdict).max().unwrap_or(Verdict::Passed);
    let auto_promotion = auto::judge_auto_promotion(auto, &evidence, verdict, has_champion, frozen);
    Evaluation { evidence, gates: results, verdict, auto_promotion }
}

/// How much better `candidate` is than `champion`; `None` where the mode is undefined. Positive is better.
#[must_use]
pub fn improvement(metric: Metric, mode: ImprovementMode, champion: f64, candidate: f64) -> Option<f64> {
    improvement_within(metric.direction(), metric.range(), mode, champion, candidate)
}

/// [`improvement`] by direction and range.
pub(crate) fn improvement_within(
    direction: Direction,
    (low, high): (f64, f64),
    mode: ImprovementMode,
    champion: f64,
    candidate: f64,
) -> Option<f64> {
    let gain = match direction {
        Direction::HigherIsBetter => candidate - champion,
        Direction::LowerIsBetter => champion - candidate,
    };
    let scale = match mode {
        ImprovementMode::Absolute => 1.0,
        ImprovementMode::Relative => champion.abs(),
        ImprovementMode::ErrorReduction => match direction {
            Direction::HigherIsBetter => high - champion,
            Direction::LowerIsBetter => champion - low,
        },
    };
    let share = gain / scale;
    (0.0 < scale && share.is_finite()).then_some(share)
}

impl std::fmt::Display for ImprovementMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ImprovementMode::Relative => "relative",
            ImprovementMode::Absolute => "absolute",
            ImprovementMode::ErrorReduction => "error_reduction",
        })
    }
}
