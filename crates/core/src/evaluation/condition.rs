//! One condition of a gate, on the hold-out or on a part of it.

use super::student::t_quantile;
use super::{Comparison, CustomComparison, CustomValue, Improvement, Verdict, improvement_within};
use crate::policy::{GateMetric, GatePolicy, ImprovementMode};

/// One-sided 95 %.
const ALPHA: f64 = 0.05;

/// What a gate can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Min,
    Max,
    MinImprovement,
    MaxRegression,
    LowerBoundAbove,
}

impl Condition {
    pub(super) fn name(self) -> &'static str {
        match self {
            Condition::Min => "min",
            Condition::Max => "max",
            Condition::MinImprovement => "min_improvement",
            Condition::MaxRegression => "max_regression",
            Condition::LowerBoundAbove => "lower_bound_above",
        }
    }

    /// Whether it compares with the champion.
    pub(super) fn is_relative(self) -> bool {
        match self {
            Condition::Min | Condition::Max => false,
            Condition::MinImprovement | Condition::MaxRegression | Condition::LowerBoundAbove => true,
        }
    }
}

/// The conditions of a gate with their limits.
pub(super) fn conditions(gate: &GatePolicy) -> Vec<(Condition, f64)> {
    let all = [
        (Condition::Min, gate.min),
        (Condition::Max, gate.max),
        (Condition::MinImprovement, gate.min_improvement),
        (Condition::MaxRegression, gate.max_regression),
        (Condition::LowerBoundAbove, gate.lower_bound_above),
    ];
    all.into_iter().filter_map(|(condition, limit)| Some((condition, limit?))).collect()
}

/// One condition's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// How far within the limit; negative beyond it. Infinite where there is no number.
    pub(super) margin: f64,
}

impl Answer {
    pub(super) fn new(verdict: Verdict, reason: String) -> Answer {
        Answer { verdict, reason, margin: f64::INFINITY }
    }

    fn met(margin: f64, is_met: bool, reason: String) -> Answer {
        Answer { verdict: if is_met { Verdict::Passed } else { Verdict::Failed }, reason, margin }
    }
}

/// How the bounds of an improvement are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    /// One statement: the bootstrap's own quantile.
    Alone,
    /// One of so many: Student's t, with the chance of refusing a good candidate spread over all of them (Bonferroni).
    OneOf(u64),
}

/// The numbers that a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbers {
    pub(super) candidate: Option<f64>,
    pub(super) champion: Option<f64>,
    pub(super) improvement: Option<Improvement>,
    /// Independent blocks behind the standard error.
    pub(super) blocks: u64,
}

impl Numbers {
    pub(super) fn of(comparison: Option<&Comparison>, mode: ImprovementMode) -> Numbers {
        let finite = |it: f64| it.is_finite().then_some(it);
        let candidate = comparison.and_then(|it| it.candidate);
        Numbers {
            candidate: candidate.and_then(|it| finite(it.value)),
            champion: comparison.and_then(|it| it.champion).and_then(|it| finite(it.value)),
            improvement: comparison.and_then(|it| it.improvements.get(&mode)).copied(),
            blocks: candidate.map_or(0, |it| it.blocks),
        }
    }

    /// Of a custom metric: the bound from the standard errors of both values, taken as independent, by the delta method.
    pub(super) fn of_custom(metric: &GateMetric, custom: &CustomComparison, mode: ImprovementMode) -> Numbers {
        let improvement = custom.candidate.zip(custom.champion).and_then(|(new, old)| {
            let value = improvement_within(metric.direction(), metric.range(), mode, old.value, new.value)?;
            let standard_error = custom_error(metric, mode, old, new).filter(|it| it.is_finite());
            let reach = standard_error.map(|it| it * Z_95);
            let (lower_bound, upper_bound) = (reach.map(|it| value - it), reach.map(|it| value + it));
            Some(Improvement { value, standard_error, lower_bound, upper_bound })
        });
        let value = |it: Option<CustomValue>| it.map(|it| it.value).filter(|it| it.is_finite());
        Numbers { candidate: value(custom.candidate), champion: value(custom.champion), improvement, blocks: 0 }
    }
}

/// The standard normal quantile of 0.95.
const Z_95: f64 = 1.644_853_626_951_472_2;

/// `(se_new^2 + ratio^2 se_old^2)^(1/2) / scale`, where the improvement is `1 - ratio` or `ratio - 1` in units of `scale`.
fn custom_error(metric: &GateMetric, mode: ImprovementMode, old: CustomValue, new: CustomValue) -> Option<f64> {
    let (new_error, old_error) = (new.standard_error?, old.standard_error?);
    let (scale, ratio) = match mode {
        ImprovementMode::Absolute => (1.0, 1.0),
        ImprovementMode::Relative => (old.value.abs(), new.value / old.value),
        ImprovementMode::ErrorReduction => {
            let best = metric.range().1;
            (best - old.value, (best - new.value) / (best - old.value))
        }
    };
    Some(new_error.hypot(ratio * old_error) / scale)
}

/// Asks one condition.
pub(super) fn ask(
    metric: &GateMetric,
    mode: ImprovementMode,
    condition: Condition,
    limit: f64,
    numbers: &Numbers,
    bounds: Bounds,
) -> Answer {
    let name = metric.name();
    let errored = |reason: String| Answer::new(Verdict::Errored, reason);
    let undefined = |role: &str| errored(format!("the {role}'s {name} is undefined on the hold-out"));
    if condition.is_relative() && numbers.champion.is_none() {
        return undefined("champion");
    }
    let Some(value) = numbers.candidate else { return undefined("candidate") };
    match condition {
        Condition::Min => {
            Answer::met(value - limit, limit <= value, format!("{name} {value:.4}, at least {limit} is needed"))
        }
        Condition::Max => {
            Answer::met(limit - value, value <= limit, format!("{name} {value:.4}, at most {limit} is needed"))
        }
        Condition::MinImprovement | Condition::LowerBoundAbove | Condition::MaxRegression => {
            if let Some(problem) = impossible(metric, mode, condition, limit, numbers.champion) {
                return errored(problem);
            }
            let Some(improvement) = numbers.improvement.filter(|it| it.value.is_finite()) else {
                return errored(format!("the {mode} improvement of {name} is undefined"));
            };
            ask_improvement(metric, mode, condition, limit, improvement, numbers.blocks, bounds)
        }
    }
}

fn ask_improvement(
    metric: &GateMetric,
    mode: ImprovementMode,
    condition: Condition,
    limit: f64,
    improvement: Improvement,
    blocks: u64,
    bounds: Bounds,
) -> Answer {
    let (name, value) = (metric.name(), improvement.value);
    match condition {
        Condition::MaxRegression => Answer::met(
            value + limit,
            -limit <= value,
            format!("{name} {} ({mode}), a loss of at most {limit} is allowed", moved(value)),
        ),
        Condition::LowerBoundAbove => match bounds {
            Bounds::Alone => match improvement.lower_bound.filter(|it| it.is_finite()) {
                Some(bound) => Answer::met(
                    bound - limit,
                    limit < bound,
                    format!(
                        "{name} improved by at least {bound:+.4} ({mode}, one-sided 95 %), more than {limit} is needed"
                    ),
                ),
                None => Answer::new(Verdict::Inconclusive, no_bound(metric)),
            },
            Bounds::OneOf(statements) => ask_one_of(metric, mode, limit, improvement, blocks, statements),
        },
        Condition::MinImprovement | Condition::Min | Condition::Max => Answer::met(
            value - limit,
            limit <= value,
            format!("{name} {} ({mode}), an improvement of {limit} is needed", moved(value)),
        ),
    }
}

fn no_bound(metric: &GateMetric) -> String {
    let name = metric.name();
    match metric {
        GateMetric::Measured(_) => format!("the hold-out has too few days for a bound on the improvement of {name}"),
        GateMetric::Custom(_) => {
            format!("evaluation.json gives no standard error of {name} for candidate and champion: there is no bound")
        }
    }
}

/// A bound that is one of several. All of them must hold, so each is asked at the full level for passing; but a good candidate
/// would fail one of many by chance, so it fails only where its upper bound at `ALPHA / statements` is no better than
/// the limit. Between the two a person decides.
fn ask_one_of(
    metric: &GateMetric,
    mode: ImprovementMode,
    limit: f64,
    improvement: Improvement,
    blocks: u64,
    statements: u64,
) -> Answer {
    let (name, value) = (metric.name(), improvement.value);
    let degrees = blocks.saturating_sub(1);
    let level = ALPHA / statements.max(1) as f64;
    let reach = |alpha: f64| Some(t_quantile(alpha, degrees)? * improvement.standard_error?);
    let (Some(alone), Some(together)) = (reach(ALPHA), reach(level)) else {
        return Answer::new(Verdict::Inconclusive, format!("too few days for a bound on the improvement of {name}"));
    };
    let (lower, upper) = (value - alone, value + together);
    let (verdict, reason) = if limit < lower {
        (
            Verdict::Passed,
            format!("{name} improved by at least {lower:+.4} ({mode}, one-sided 95 %), more than {limit} is needed"),
        )
    } else if upper <= limit {
        (
            Verdict::Failed,
            format!(
                "{name} improved by at most {upper:+.4} ({mode}, one-sided 95 % over {statements} values, {:.2} % each), \
                 more than {limit} is needed",
                100.0 * (1.0 - level)
            ),
        )
    } else {
        (
            Verdict::Inconclusive,
            format!(
                "{name} {} ({mode}), somewhere within {lower:+.4} and {upper:+.4}: whether by more than {limit} cannot be told",
                moved(value)
            ),
        )
    };
    Answer { verdict, reason, margin: lower - limit }
}

/// Why no candidate could meet the condition beside a champion with this value.
pub(super) fn impossible(
    metric: &GateMetric,
    mode: ImprovementMode,
    condition: Condition,
    limit: f64,
    champion: Option<f64>,
) -> Option<String> {
    let is_out_of_reach = |best: f64| match condition {
        Condition::MinImprovement => best < limit,
        Condition::LowerBoundAbove => best <= limit,
        Condition::Min | Condition::Max | Condition::MaxRegression => false,
    };
    let (low, high) = metric.range();
    let best = match metric.direction() {
        crate::policy::Direction::HigherIsBetter => high,
        crate::policy::Direction::LowerIsBetter => low,
    };
    let most = improvement_within(metric.direction(), (low, high), mode, champion?, best)?;
    is_out_of_reach(most).then(|| {
        let name = metric.name();
        format!("impossible: {name} can improve by at most {most:.4} ({mode}), {limit} is asked")
    })
}

/// Which way the candidate moved, and how far.
fn moved(improvement: f64) -> String {
    let word = if improvement < 0.0 { "got worse" } else { "improved" };
    format!("{word} by {:.4}", improvement.abs())
}
