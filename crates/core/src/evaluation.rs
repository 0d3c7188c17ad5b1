//! Evaluations and promotion gates: what was measured, against what, and what would change the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::Digest;
use crate::package::Measured;
use crate::policy::{AutoPromote, Direction, GatePolicy, ImprovementMode, Metric};

/// An improvement and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Improvement {
    /// How much better the candidate is; negative when worse.
    pub value: f64,
    /// The one-sided 95 % lower bound; `None` where it is undefined.
    pub lower_bound: Option<f64>,
    /// The one-sided 95 % upper bound, for plots; `None` where it is undefined.
    pub upper_bound: Option<f64>,
}

/// Candidate and champion on the same fresh hold-out, by one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The candidate's value; `None` when undefined.
    pub candidate: Option<Measured>,
    /// The champion's value; `None` without a champion or when undefined.
    pub champion: Option<Measured>,
    /// The candidate's improvement in each mode that is defined.
    pub improvements: BTreeMap<ImprovementMode, Improvement>,
}

/// What was measured on a run's hold-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// How many rows were held out.
    pub rows: u64,
    /// By metric; every metric of the task is there.
    pub metrics: BTreeMap<Metric, Comparison>,
    /// The digest of the predictions it was computed from.
    pub predictions: Digest,
}

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

/// One gate's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// The gate.
    pub gate: GatePolicy,
    /// The answer.
    pub verdict: Verdict,
    /// Why: one sentence a condition.
    pub reasons: Vec<String>,
}

/// How a candidate was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The numbers.
    pub evidence: Evidence,
    /// The gates, in the policy's order.
    pub gates: Vec<GateResult>,
    /// The worst of the gates' verdicts; Passed without gates.
    pub verdict: Verdict,
    /// Whether the candidate clears the bar for promotion without a person, and why (not).
    pub auto_promotion: AutoPromotion,
}

/// Whether a person is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoPromotion {
    /// Whether the candidate is promoted without a person.
    pub is_granted: bool,
    /// Why, or why not.
    pub reason: String,
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
    let results: Vec<GateResult> = gates.iter().map(|gate| judge_gate(gate, &evidence, has_champion)).collect();
    let verdict = results.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Passed);
    let auto_promotion = judge_auto_promotion(auto, &evidence, verdict, has_champion, frozen);
    Evaluation { evidence, gates: results, verdict, auto_promotion }
}

/// One condition's answer.
type Answer = (Verdict, String);

fn judge_gate(gate: &GatePolicy, evidence: &Evidence, has_champion: bool) -> GateResult {
    let mut answers: Vec<Answer> = Vec::new();
    let name = gate.metric.name();
    let comparison = evidence.metrics.get(&gate.metric);
    let candidate = comparison.and_then(|it| it.candidate).map(|it| it.value).filter(|it| it.is_finite());
    for (limit, is_minimum) in [(gate.min, true), (gate.max, false)] {
        let Some(limit) = limit else { continue };
        answers.push(match candidate {
            None => (Verdict::Errored, format!("the candidate's {name} is undefined on the hold-out")),
            Some(value) => {
                let is_met = if is_minimum { limit <= value } else { value <= limit };
                let word = if is_minimum { "at least" } else { "at most" };
                (
                    if is_met { Verdict::Passed } else { Verdict::Failed },
                    format!("{name} {value:.4}, {word} {limit} is needed"),
                )
            }
        });
    }
    let relative = [
        (gate.min_improvement, Relative::MinImprovement),
        (gate.max_regression, Relative::MaxRegression),
        (gate.lower_bound_above, Relative::LowerBoundAbove),
    ];
    for (limit, kind) in relative {
        let Some(limit) = limit else { continue };
        answers.push(if has_champion {
            judge_relative(gate.metric, gate.mode, comparison, kind, limit)
        } else {
            (Verdict::Passed, format!("no champion yet: {} does not apply, approval does", kind.name()))
        });
    }
    let verdict = answers.iter().map(|it| it.0).max().unwrap_or(Verdict::Errored);
    let reasons = if answers.is_empty() {
        vec!["the gate has no condition".to_owned()]
    } else {
        answers.into_iter().map(|it| it.1).collect()
    };
    GateResult { gate: gate.clone(), verdict, reasons }
}

/// Conditions against the champion.
#[derive(Debug, Clone, Copy)]
enum Relative {
    MinImprovement,
    MaxRegression,
    LowerBoundAbove,
}

impl Relative {
    fn name(self) -> &'static str {
        match self {
            Relative::MinImprovement => "min_improvement",
            Relative::MaxRegression => "max_regression",
            Relative::LowerBoundAbove => "lower_bound_above",
        }
    }
}

fn judge_relative(
    metric: Metric,
    mode: ImprovementMode,
    comparison: Option<&Comparison>,
    kind: Relative,
    limit: f64,
) -> Answer {
    let name = metric.name();
    let Some(comparison) = comparison else {
        return (Verdict::Errored, format!("{name} was not measured"));
    };
    if comparison.champion.is_none() {
        return (Verdict::Errored, format!("the champion's {name} is undefined on the hold-out"));
    }
    if comparison.candidate.is_none() {
        return (Verdict::Errored, format!("the candidate's {name} is undefined on the hold-out"));
    }
    if let (Relative::MinImprovement | Relative::LowerBoundAbove, Some(best)) =
        (kind, best_possible(metric, mode, comparison))
        && best < limit
    {
        return (
            Verdict::Errored,
            format!("impossible: {name} can improve by at most {best:.4} ({mode}), {limit} is asked"),
        );
    }
    let Some(improvement) = comparison.improvements.get(&mode).filter(|it| it.value.is_finite()) else {
        return (Verdict::Errored, format!("the {mode} improvement of {name} is undefined"));
    };
    let value = improvement.value;
    match kind {
        Relative::MinImprovement => (
            passed_if(limit <= value),
            format!("{name} {} ({mode}), an improvement of {limit} is needed", moved(value)),
        ),
        Relative::MaxRegression => (
            passed_if(-limit <= value),
            format!("{name} {} ({mode}), a loss of at most {limit} is allowed", moved(value)),
        ),
        Relative::LowerBoundAbove => match improvement.lower_bound.filter(|it| it.is_finite()) {
            Some(bound) => (
                passed_if(limit < bound),
                format!(
                    "{name} improved by at least {bound:+.4} ({mode}, one-sided 95 %), more than {limit} is needed"
                ),
            ),
            None => (
                Verdict::Inconclusive,
                format!("the hold-out has too few days for a bound on the improvement of {name}"),
            ),
        },
    }
}

/// Which way the candidate moved, and how far.
fn moved(improvement: f64) -> String {
    let word = if improvement < 0.0 { "got worse" } else { "improved" };
    format!("{word} by {:.4}", improvement.abs())
}

fn passed_if(is_met: bool) -> Verdict {
    if is_met { Verdict::Passed } else { Verdict::Failed }
}

/// The largest improvement that a perfect candidate could show, where there is a best value.
fn best_possible(metric: Metric, mode: ImprovementMode, comparison: &Comparison) -> Option<f64> {
    let champion = comparison.champion?.value;
    let (low, high) = metric.range();
    let best = match metric.direction() {
        Direction::HigherIsBetter => high,
        Direction::LowerIsBetter => low,
    };
    improvement(metric, mode, champion, best)
}

/// How much better `candidate` is than `champion`; `None` where the mode is undefined. Positive is better.
#[must_use]
pub fn improvement(metric: Metric, mode: ImprovementMode, champion: f64, candidate: f64) -> Option<f64> {
    let gain = match metric.direction() {
        Direction::HigherIsBetter => candidate - champion,
        Direction::LowerIsBetter => champion - candidate,
    };
    let scale = match mode {
        ImprovementMode::Absolute => 1.0,
        ImprovementMode::Relative => champion.abs(),
        ImprovementMode::ErrorReduction => {
            let (low, high) = metric.range();
            match metric.direction() {
                Direction::HigherIsBetter => high - champion,
                Direction::LowerIsBetter => champion - low,
            }
        }
    };
    let share = gain / scale;
    (0.0 < scale && share.is_finite()).then_some(share)
}

fn judge_auto_promotion(
    auto: Option<&AutoPromote>,
    evidence: &Evidence,
    verdict: Verdict,
    has_champion: bool,
    frozen: Option<&str>,
) -> AutoPromotion {
    let no = |reason: String| AutoPromotion { is_granted: false, reason };
    let Some(auto) = auto else { return no("the policy asks for a person".to_owned()) };
    if !has_champion {
        return no("there is no champion to compare with: the first is always approved by a person".to_owned());
    }
    if let Some(reason) = frozen {
        return no(format!("promotion without a person is frozen: {reason}"));
    }
    match verdict {
        Verdict::Passed => {}
        Verdict::Inconclusive => return no("a gate is inconclusive".to_owned()),
        Verdict::Failed | Verdict::Errored => return no("a gate did not pass".to_owned()),
    }
    let comparison = evidence.metrics.get(&auto.metric);
    let answers = [
        judge_relative(auto.metric, auto.mode, comparison, Relative::MinImprovement, auto.min_improvement),
        judge_relative(auto.metric, auto.mode, comparison, Relative::LowerBoundAbove, auto.lower_bound_above),
    ];
    let is_granted = answers.iter().all(|it| it.0 == Verdict::Passed);
    let reason = answers.map(|it| it.1).join("; ");
    AutoPromotion { is_granted, reason }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(metric: Metric, champion: Option<f64>, candidate: f64, bound: Option<f64>) -> Evidence {
        let measured = |value| Measured { value, standard_error: Some(0.1), rows: 500, blocks: 7 };
        let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
        let improvements = modes
            .into_iter()
            .filter_map(|mode| {
                let value = improvement(metric, mode, champion?, candidate)?;
                Some((mode, Improvement { value, lower_bound: bound, upper_bound: bound }))
            })
            .collect();
        let comparison = Comparison {
            candidate: candidate.is_finite().then(|| measured(candidate)),
            champion: champion.map(measured),
            improvements,
        };
        Evidence { rows: 500, metrics: BTreeMap::from([(metric, comparison)]), predictions: Digest::of(b"") }
    }

    fn gate(metric: Metric) -> GatePolicy {
        GatePolicy {
            metric,
            min: None,
            max: None,
            min_improvement: None,
            max_regression: None,
            mode: ImprovementMode::Relative,
            lower_bound_above: None,
        }
    }

    #[track_caller]
    fn check(gate: &GatePolicy, evidence: &Evidence, expected: Verdict) {
        let result = judge_gate(gate, evidence, true);
        assert_eq!(result.verdict, expected, "{:?}", result.reasons);
    }

    #[test]
    fn absolute_limits_include_their_ends() {
        let maximum = GatePolicy { max: Some(10.0), ..gate(Metric::Mae) };
        check(&maximum, &evidence(Metric::Mae, None, 10.0, None), Verdict::Passed);
        check(&maximum, &evidence(Metric::Mae, None, 10.001, None), Verdict::Failed);
        let minimum = GatePolicy { min: Some(0.8), ..gate(Metric::Auc) };
        check(&minimum, &evidence(Metric::Auc, None, 0.8, None), Verdict::Passed);
        check(&minimum, &evidence(Metric::Auc, None, 0.79, None), Verdict::Failed);
    }

    #[test]
    fn nan_fails_closed() {
        for gate in [
            GatePolicy { max: Some(10.0), ..gate(Metric::Mae) },
            GatePolicy { min_improvement: Some(0.0), ..gate(Metric::Mae) },
            GatePolicy { max_regression: Some(0.5), ..gate(Metric::Mae) },
            GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) },
        ] {
            check(&gate, &evidence(Metric::Mae, Some(10.0), f64::NAN, Some(0.5)), Verdict::Errored);
        }
        check(
            &GatePolicy { max: Some(1.0), ..gate(Metric::Mae) },
            &Evidence { metrics: BTreeMap::new(), ..evidence(Metric::Mae, None, 1.0, None) },
            Verdict::Errored,
        );
    }

    #[test]
    fn improvements_have_three_modes() {
        for (metric, mode, champion, candidate, expected) in [
            (Metric::Mae, ImprovementMode::Relative, 10.0, 9.0, Some(0.1)),
            (Metric::Mae, ImprovementMode::Absolute, 10.0, 9.0, Some(1.0)),
            (Metric::Auc, ImprovementMode::Relative, 0.8, 0.9, Some(0.125)),
            (Metric::Auc, ImprovementMode::ErrorReduction, 0.8, 0.9, Some(0.5)),
            (Metric::Mae, ImprovementMode::Relative, 0.0, 0.1, None),
            (Metric::Auc, ImprovementMode::ErrorReduction, 1.0, 1.0, None),
        ] {
            let found = improvement(metric, mode, champion, candidate);
            match (found, expected) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-12, "{metric:?} {mode}: {found}")
                }
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn relative_conditions() {
        let better = evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05));
        let worse = evidence(Metric::Mae, Some(10.0), 10.4, Some(-0.08));
        check(&GatePolicy { min_improvement: Some(0.1), ..gate(Metric::Mae) }, &better, Verdict::Passed);
        check(&GatePolicy { min_improvement: Some(0.11), ..gate(Metric::Mae) }, &better, Verdict::Failed);
        check(&GatePolicy { max_regression: Some(0.05), ..gate(Metric::Mae) }, &worse, Verdict::Passed);
        check(&GatePolicy { max_regression: Some(0.03), ..gate(Metric::Mae) }, &worse, Verdict::Failed);
        check(&GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) }, &better, Verdict::Passed);
        check(&GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) }, &worse, Verdict::Failed);
        check(
            &GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) },
            &evidence(Metric::Mae, Some(10.0), 9.0, None),
            Verdict::Inconclusive,
        );
    }

    #[test]
    fn an_impossible_gate_is_errored_not_failed() {
        let gate = GatePolicy { min_improvement: Some(0.05), ..gate(Metric::Accuracy) };
        check(&gate, &evidence(Metric::Accuracy, Some(0.97), 0.99, Some(0.01)), Verdict::Errored);
    }

    #[test]
    fn p4_a_person_is_needed_unless_the_policy_and_the_numbers_say_otherwise() {
        let auto = AutoPromote {
            metric: Metric::Mae,
            mode: ImprovementMode::Relative,
            min_improvement: 0.05,
            lower_bound_above: 0.0,
        };
        let good = evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05));
        let granted = |auto: Option<&AutoPromote>, evidence: &Evidence, has_champion, frozen: Option<&str>| {
            evaluate(evidence.clone(), &[], auto, has_champion, frozen).auto_promotion.is_granted
        };
        assert!(granted(Some(&auto), &good, true, None));
        assert!(!granted(None, &good, true, None));
        assert!(!granted(Some(&auto), &good, false, None));
        assert!(!granted(Some(&auto), &good, true, Some("rolled back")));
        assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.6, Some(0.01)), true, None));
        assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.0, Some(-0.01)), true, None));
        assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.0, None), true, None));
        let failed_gate = [GatePolicy { max: Some(1.0), ..gate(Metric::Mae) }];
        assert!(!evaluate(good, &failed_gate, Some(&auto), true, None).auto_promotion.is_granted);
    }
}
