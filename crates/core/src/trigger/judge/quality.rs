//! Judges quality, measured or estimated: a drop beyond noise against the champion's hold-out, and a floor.

use super::blank;
use crate::package::Measured;
use crate::policy::{Direction, PerformancePolicy};
use crate::trigger::{
    CauseKind, Judgment, JudgmentKind, PastEstimates, QualityEvidence, QualityJudgment, WindowVerdict,
};

/// Student's t quantile of 0.999 for 1 to 30 degrees of freedom (Abramowitz and Stegun, table 26.10): an error estimated
/// from a week's days is itself unsure, and a normal quantile would cry wolf.
const T_999: [f64; 30] = [
    318.309, 22.327, 10.215, 7.173, 5.893, 5.208, 4.785, 4.501, 4.297, 4.144, 4.025, 3.930, 3.852, 3.787, 3.733, 3.686,
    3.646, 3.610, 3.579, 3.552, 3.527, 3.505, 3.485, 3.467, 3.450, 3.435, 3.421, 3.408, 3.396, 3.385,
];
/// The standard normal quantile of 0.999: the limit for many degrees of freedom.
const Z_999: f64 = 3.090_232_306_167_813;

/// Student's t quantile of 0.999; above 30 degrees of freedom interpolated in their inverse, within 0.006 and never below.
fn t_999(degrees_of_freedom: f64) -> f64 {
    // Rounded down: fewer degrees of freedom make a wider bound.
    let whole = degrees_of_freedom.max(1.0) as usize;
    match T_999.get(whole - 1) {
        Some(quantile) => *quantile,
        None => Z_999 + (T_999[29] - Z_999) * 30.0 / degrees_of_freedom,
    }
}

/// The standard error of the difference of two measured values times its one-sided 99.9 % quantile (Welch-Satterthwaite);
/// `None` without a stated error on both sides.
fn margin_999(window: &Measured, holdout: &Measured) -> Option<f64> {
    let variances = [window.standard_error?.powi(2), holdout.standard_error?.powi(2)];
    let sum = variances[0] + variances[1];
    let spread: f64 = variances
        .iter()
        .zip([window.blocks, holdout.blocks])
        .map(|(variance, blocks)| variance.powi(2) / (blocks.saturating_sub(1).max(1) as f64))
        .sum();
    let degrees_of_freedom = if 0.0 < spread { sum.powi(2) / spread } else { 1.0 };
    Some(sum.sqrt() * t_999(degrees_of_freedom))
}

/// How much worse `value` is than `reference`: positive is worse, in the metric's unit.
fn worsening(direction: Direction, value: f64, reference: f64) -> f64 {
    match direction {
        Direction::HigherIsBetter => reference - value,
        Direction::LowerIsBetter => value - reference,
    }
}

/// How earlier estimates held.
pub(super) fn tell_past(past: PastEstimates) -> String {
    let PastEstimates { windows, mean_error, largest } = past;
    format!("in {windows} windows before, labels made it {mean_error:+.4} on average, {largest:.4} at most")
}

/// How a quality is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// From labels.
    Measured,
    /// From scores.
    Estimated,
}

impl Quality {
    fn kind(self) -> JudgmentKind {
        match self {
            Quality::Measured => JudgmentKind::Performance,
            Quality::Estimated => JudgmentKind::EstimatedPerformance,
        }
    }

    /// What a drop and a floor give cause for.
    fn causes(self) -> (CauseKind, CauseKind) {
        match self {
            Quality::Measured => (CauseKind::PerformanceDrop, CauseKind::PerformanceFloor),
            Quality::Estimated => (CauseKind::EstimatedPerformance, CauseKind::EstimatedPerformance),
        }
    }

    /// What is said before the metric, and before the rows.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Quality::Measured => ("", "labelled rows"),
            Quality::Estimated => ("estimated ", "predicted rows"),
        }
    }
}

/// Judges a quality against its baseline and its floor.
pub(super) fn judge_quality(
    how: Quality,
    policy: &PerformancePolicy,
    rows: u64,
    evidence: &QualityEvidence,
    baseline: Option<&Measured>,
) -> Judgment {
    let mut judgment = blank(how.kind(), rows);
    let measured = evidence.measured;
    let (drop_cause, floor_cause) = how.causes();
    let (prefix, needed) = how.words();
    let name = &format!("{prefix}{}", policy.metric.name());
    let direction = policy.metric.direction();
    let mut quality = QualityJudgment {
        metric: policy.metric,
        value: measured.map(|it| it.value),
        estimated: evidence.estimated,
        standard_error: match how {
            Quality::Measured => None,
            Quality::Estimated => measured.and_then(|it| it.standard_error),
        },
        baseline: baseline.map(|it| it.value),
        worsening: None,
        lower_bound: None,
    };
    let mut reasons = Vec::new();
    match measured {
        _ if rows < policy.min_rows => {
            judgment.verdict = WindowVerdict::Inconclusive;
            reasons.push(format!("{rows} of {} {needed} needed to judge {name}", policy.min_rows));
        }
        None => {
            judgment.verdict = WindowVerdict::Inconclusive;
            reasons.push(format!("{name} is undefined on these {rows} rows"));
        }
        Some(measured) => {
            if let (Some(max_drop), Some(baseline)) = (policy.max_drop, baseline) {
                let worse = worsening(direction, measured.value, baseline.value);
                let scale = baseline.value.abs().max(f64::MIN_POSITIVE);
                // Without a stated error there is no telling worsening from noise: never fire.
                let bound = margin_999(&measured, baseline).map(|margin| worse - margin);
                quality.worsening = Some(worse / scale);
                quality.lower_bound = bound.map(|it| it / scale);
                let is_beyond_noise = bound.is_some_and(|it| 0.0 < it);
                let sure = bound.map_or_else(
                    || "with no error stated to tell it from noise".to_owned(),
                    |bound| format!("at least {:+.1} % with 99.9 % confidence", 100.0 * bound / scale),
                );
                let told = format!(
                    "{name} {:.4} against {:.4} on the hold-out: {:+.1} %, {sure}",
                    measured.value,
                    baseline.value,
                    100.0 * worse / scale
                );
                if max_drop < worse / scale && is_beyond_noise {
                    judgment.causes.push(drop_cause);
                    reasons.push(format!("{told}; more than {:.1} % worse", 100.0 * max_drop));
                } else {
                    reasons.push(format!("{told}; within {:.1} % or the noise", 100.0 * max_drop));
                }
            }
            if policy.max_drop.is_some() && baseline.is_none() {
                reasons.push(format!("{name} is undefined on the champion's hold-out: a drop cannot be judged"));
                if policy.floor.is_none() {
                    judgment.verdict = WindowVerdict::Inconclusive;
                }
            }
            if let Some(floor) = policy.floor {
                if 0.0 < worsening(direction, measured.value, floor) {
                    judgment.causes.push(floor_cause);
                    reasons.push(format!("{name} {:.4} is worse than the floor {floor}", measured.value));
                } else {
                    reasons.push(format!("{name} {:.4} keeps the floor {floor}", measured.value));
                }
            }
            if !judgment.causes.is_empty() {
                judgment.verdict = WindowVerdict::Degraded;
            }
            if let Some(estimated) = evidence.estimated {
                let off = measured.value - estimated;
                reasons.push(format!("{estimated:.4} was estimated before labels came, off by {off:+.4}"));
            }
        }
    }
    // A drop and a floor of an estimate are one cause.
    judgment.causes.dedup();
    judgment.reason = reasons.join("; ");
    judgment.quality = Some(quality);
    judgment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Metric, Persistence};

    fn measured(value: f64, standard_error: f64) -> Measured {
        Measured { value, standard_error: Some(standard_error), rows: 500, blocks: 7 }
    }

    fn quality(measured: Option<Measured>) -> QualityEvidence {
        QualityEvidence { measured, estimated: None }
    }

    fn policy(max_drop: Option<f64>, floor: Option<f64>) -> PerformancePolicy {
        PerformancePolicy { metric: Metric::Mae, max_drop, floor, persistence: Persistence::ONCE, min_rows: 100 }
    }

    #[track_caller]
    fn check(
        policy: &PerformancePolicy,
        rows: u64,
        window: Option<Measured>,
        baseline: Option<Measured>,
        verdict: WindowVerdict,
        causes: &[CauseKind],
    ) {
        let judgment = judge_quality(Quality::Measured, policy, rows, &quality(window), baseline.as_ref());
        assert_eq!((judgment.verdict, judgment.causes.as_slice()), (verdict, causes), "{}", judgment.reason);
    }

    #[test]
    fn a_drop_fires_only_beyond_the_share_and_beyond_noise() {
        let drop = policy(Some(0.05), None);
        let fired = [CauseKind::PerformanceDrop];
        check(&drop, 500, Some(measured(12.0, 0.3)), Some(measured(9.0, 0.3)), WindowVerdict::Degraded, &fired);
        check(&drop, 500, Some(measured(10.0, 0.4)), Some(measured(9.0, 0.4)), WindowVerdict::Stable, &[]);
        check(&drop, 500, Some(measured(9.2, 0.001)), Some(measured(9.0, 0.001)), WindowVerdict::Stable, &[]);
        check(&drop, 99, Some(measured(12.0, 0.3)), Some(measured(9.0, 0.3)), WindowVerdict::Inconclusive, &[]);
        check(&drop, 500, None, Some(measured(9.0, 0.3)), WindowVerdict::Inconclusive, &[]);
        let unsure = Measured { standard_error: None, ..measured(90.0, 0.0) };
        check(&drop, 500, Some(unsure), Some(measured(9.0, 0.3)), WindowVerdict::Stable, &[]);
    }

    #[test]
    fn a_drop_that_cannot_be_judged_is_inconclusive_and_says_why() {
        let drop =
            judge_quality(Quality::Measured, &policy(Some(0.05), None), 500, &quality(Some(measured(12.0, 0.3))), None);
        assert_eq!(drop.verdict, WindowVerdict::Inconclusive);
        assert!(drop.reason.contains("mae is undefined on the champion's hold-out"), "{}", drop.reason);
        let both = judge_quality(
            Quality::Measured,
            &policy(Some(0.05), Some(11.0)),
            500,
            &quality(Some(measured(12.0, 0.3))),
            None,
        );
        assert_eq!(both.verdict, WindowVerdict::Degraded, "the floor does not need it");
        let unsure = Measured { standard_error: None, ..measured(90.0, 0.0) };
        let unsure = judge_quality(
            Quality::Measured,
            &policy(Some(0.05), None),
            500,
            &quality(Some(unsure)),
            Some(&measured(9.0, 0.3)),
        );
        assert!(!unsure.reason.contains("inf") && unsure.reason.contains("no error"), "{}", unsure.reason);
    }

    #[test]
    fn quantiles_approach_the_normal_from_above() {
        for (degrees_of_freedom, expected) in
            [(1.0, 318.309), (12.9, 3.930), (30.0, 3.385), (60.0, 3.232), (120.0, 3.160), (1e9, 3.0902)]
        {
            let found = t_999(degrees_of_freedom);
            assert!((found - expected).abs() < 0.007, "{degrees_of_freedom}: {found}");
        }
    }

    #[test]
    fn a_floor_is_the_worst_acceptable_value_in_the_metrics_direction() {
        let floor = policy(None, Some(12.0));
        check(&floor, 500, Some(measured(12.1, 5.0)), None, WindowVerdict::Degraded, &[CauseKind::PerformanceFloor]);
        check(&floor, 500, Some(measured(12.0, 5.0)), None, WindowVerdict::Stable, &[]);
        let accuracy = PerformancePolicy { metric: Metric::Accuracy, ..policy(None, Some(0.8)) };
        check(&accuracy, 500, Some(measured(0.79, 0.1)), None, WindowVerdict::Degraded, &[CauseKind::PerformanceFloor]);
        check(&accuracy, 500, Some(measured(0.81, 0.1)), None, WindowVerdict::Stable, &[]);
    }

    #[test]
    fn an_estimate_is_judged_like_a_measure_and_says_how_earlier_ones_held() {
        let accuracy = |max_drop, floor| PerformancePolicy { metric: Metric::Accuracy, ..policy(max_drop, floor) };
        let drop = accuracy(Some(0.05), Some(0.8));
        let baseline = measured(0.9, 0.005);
        let judge = |value| {
            judge_quality(Quality::Estimated, &drop, 500, &quality(Some(measured(value, 0.005))), Some(&baseline))
        };
        let low = judge(0.75);
        assert_eq!((low.kind, low.verdict), (JudgmentKind::EstimatedPerformance, WindowVerdict::Degraded));
        assert_eq!(low.causes, [CauseKind::EstimatedPerformance], "{}", low.reason);
        assert!(low.reason.starts_with("estimated accuracy 0.7500 against 0.9000 on the hold-out"), "{}", low.reason);
        assert_eq!(judge(0.89).verdict, WindowVerdict::Stable);
        let few = judge_quality(Quality::Estimated, &drop, 99, &quality(None), None);
        assert_eq!(few.reason, "99 of 100 predicted rows needed to judge estimated accuracy");
        let past = tell_past(PastEstimates { windows: 3, mean_error: -0.0123, largest: 0.02 });
        assert_eq!(past, "in 3 windows before, labels made it -0.0123 on average, 0.0200 at most");
    }

    #[test]
    fn a_measure_is_held_beside_what_was_estimated() {
        let floor = PerformancePolicy { metric: Metric::Accuracy, ..policy(None, Some(0.8)) };
        let evidence = QualityEvidence { measured: Some(measured(0.85, 0.01)), estimated: Some(0.87) };
        let judgment = judge_quality(Quality::Measured, &floor, 500, &evidence, None);
        assert_eq!(judgment.quality.and_then(|it| it.estimated), Some(0.87));
        let told = "accuracy 0.8500 keeps the floor 0.8; 0.8700 was estimated before labels came, off by -0.0200";
        assert_eq!(judgment.reason, told);
    }
}
