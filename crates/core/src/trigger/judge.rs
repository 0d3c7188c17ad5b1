//! Judges closed windows: pure rules over measured numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    CauseKind, FeatureEvidence, FeatureFinding, FeatureJudgment, Judgment, JudgmentKind, PastEstimates,
    QualityEvidence, QualityJudgment, Source, WindowEvidence, WindowVerdict,
};
use crate::names::Digest;
use crate::package::{Measured, Package};
use crate::policy::{Direction, DriftPolicy, PerformancePolicy, PredictionDriftPolicy, TriggersPolicy, UpstreamPolicy};
use crate::window::Window;

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

/// Judges one window against the champion; `None` when the policy does not ask for this kind of judgment.
#[must_use]
pub fn judge(
    evidence: &WindowEvidence,
    policy: &TriggersPolicy,
    champion: Option<&Package>,
    now: Timestamp,
) -> Option<Judgment> {
    let (mut judgment, window, source) = match evidence {
        WindowEvidence::Drift { window, source, rows, features, verdict } => {
            (judge_drift(policy.drift.as_ref()?, *rows, features, *verdict), window, source)
        }
        WindowEvidence::Performance { window, source, rows, quality } => {
            let policy = policy.performance.as_ref()?;
            let baseline = champion.and_then(|it| it.quality.get(&policy.metric));
            (judge_quality(Quality::Measured, policy, *rows, quality, baseline), window, source)
        }
        WindowEvidence::Estimate { window, source, rows, quality, past } => {
            let policy = policy.estimated_performance.as_ref()?;
            let baseline = champion.and_then(|it| it.quality.get(&policy.metric));
            let mut judgment = judge_quality(Quality::Estimated, policy, *rows, quality, baseline);
            if let Some(past) = past {
                judgment.reason = format!("{}; {}", judgment.reason, tell_past(*past));
            }
            (judgment, window, source)
        }
        WindowEvidence::Predictions { window, source, rows, distance } => {
            (judge_predictions(policy.prediction_drift.as_ref()?, *rows, distance), window, source)
        }
        WindowEvidence::Concept { window, source, rows, alarms, first_alarm, detector } => {
            policy.concept.as_ref()?;
            (judge_concept(*rows, *alarms, *first_alarm, detector.as_ref()), window, source)
        }
        WindowEvidence::Upstream { window, source, rows, null_rates } => {
            (judge_upstream(policy.upstream.as_ref()?, *rows, null_rates), window, source)
        }
    };
    judgment.window = *window;
    judgment.source = source.clone();
    judgment.at = now;
    judgment.caused_at = now;
    judgment.champion = champion.map(|it| it.version);
    if let Some(replaced) = &source.replaces {
        // A run that answered the same causes has answered them: late rows are no second reason.
        if judgment.causes.iter().all(|it| replaced.causes.contains(it)) {
            judgment.caused_at = replaced.caused_at;
        }
        judgment.reason = format!(
            "revision {} ({} rows, before {}; was {}): {}",
            source.revision,
            judgment.rows,
            replaced.rows,
            replaced.verdict.name(),
            judgment.reason
        );
    }
    Some(judgment)
}

fn blank(kind: JudgmentKind, rows: u64) -> Judgment {
    let never = Timestamp::UNIX_EPOCH;
    Judgment {
        schema: Judgment::SCHEMA,
        kind,
        window: Window { start: never, end: never },
        source: Source { revision: 1, data: Digest::of(b""), hours: 0, replaces: None },
        at: never,
        caused_at: never,
        champion: None,
        rows,
        verdict: WindowVerdict::Stable,
        reason: String::new(),
        causes: Vec::new(),
        features: Vec::new(),
        quality: None,
        detector: None,
    }
}

impl FeatureJudgment {
    fn of(evidence: &FeatureEvidence) -> FeatureJudgment {
        FeatureJudgment {
            name: evidence.name.clone(),
            metric: evidence.metric,
            value: evidence.value,
            error_bound: evidence.error_bound,
            chance: evidence.chance,
            q_value: evidence.finding.q_value,
            threshold: evidence.finding.threshold,
            verdict: evidence.finding.verdict,
        }
    }
}

fn judge_drift(policy: &DriftPolicy, rows: u64, features: &[FeatureEvidence], verdict: WindowVerdict) -> Judgment {
    let mut judgment = blank(JudgmentKind::Drift, rows);
    judgment.features = features.iter().map(FeatureJudgment::of).collect();
    judgment.verdict = verdict;
    let all = judgment.features.len();
    if rows < policy.min_rows {
        judgment.verdict = WindowVerdict::Inconclusive;
        judgment.reason = format!("{rows} of {} rows needed to judge drift", policy.min_rows);
        return judgment;
    }
    if judgment.features.iter().all(|it| it.value.is_none()) {
        judgment.verdict = WindowVerdict::Inconclusive;
        judgment.reason = format!("none of {all} features has values in both the reference and these {rows} rows");
        return judgment;
    }
    let drifted: Vec<&str> = judgment.features.iter().filter(|it| it.is_drifted()).map(|it| it.name.as_str()).collect();
    let unsure = judgment.features.iter().filter(|it| !it.verdict.is_conclusive()).count();
    let share = drifted.len() as f64 / all.max(1) as f64;
    let told = format!("{} of {all} features drifted", drifted.len());
    match verdict {
        WindowVerdict::Drifted => {
            let names = drifted.join(", ");
            judgment.reason = format!("{told} ({names}), share {share:.2} reaches {:.2}", policy.share);
            judgment.causes = vec![CauseKind::DataDrift];
        }
        WindowVerdict::Stable | WindowVerdict::Degraded | WindowVerdict::Broken => {
            judgment.reason = format!("{told}, share {share:.2} is below {:.2}", policy.share);
        }
        WindowVerdict::Inconclusive | WindowVerdict::Errored => {
            judgment.reason =
                format!("{told} and {unsure} could not be judged: the share may reach {:.2}", policy.share);
        }
    }
    judgment
}

fn judge_predictions(policy: &PredictionDriftPolicy, rows: u64, distance: &FeatureEvidence) -> Judgment {
    let mut judgment = blank(JudgmentKind::Predictions, rows);
    judgment.features = vec![FeatureJudgment::of(distance)];
    let name = distance.metric.name();
    match distance.value {
        _ if rows < policy.min_rows => {
            judgment.verdict = WindowVerdict::Inconclusive;
            judgment.reason = format!("{rows} of {} predictions needed to compare them", policy.min_rows);
        }
        None => {
            judgment.verdict = WindowVerdict::Inconclusive;
            judgment.reason = "there are no predictions on the champion's hold-out to compare with".to_owned();
        }
        Some(value) => {
            let FeatureFinding { threshold, verdict, .. } = distance.finding;
            let chance = distance.chance.map_or_else(String::new, |it| format!(", chance alone gives up to {it:.4}"));
            let told = format!("{name} {value:.4} between the predictions and those on the hold-out{chance}");
            judgment.verdict = verdict;
            judgment.reason = match verdict {
                WindowVerdict::Drifted => format!("{told}; reaches {threshold}"),
                WindowVerdict::Stable | WindowVerdict::Degraded | WindowVerdict::Broken => {
                    format!("{told}; below {threshold} or the noise")
                }
                WindowVerdict::Inconclusive | WindowVerdict::Errored => {
                    format!("{told}; too few values or too large an error to hold it against {threshold}")
                }
            };
            if verdict == WindowVerdict::Drifted {
                judgment.causes = vec![CauseKind::PredictionDrift];
            }
        }
    }
    judgment
}

fn judge_concept(rows: u64, alarms: u64, first: Option<Timestamp>, detector: Option<&serde_json::Value>) -> Judgment {
    let mut judgment = blank(JudgmentKind::Concept, rows);
    judgment.detector = detector.cloned();
    if detector.is_none() {
        judgment.verdict = WindowVerdict::Inconclusive;
        judgment.reason = "the champion's error on its hold-out is not known: its errors have no unit".to_owned();
    } else if rows == 0 {
        judgment.verdict = WindowVerdict::Inconclusive;
        judgment.reason = "no labelled row that the champion predicted".to_owned();
    } else if let Some(first) = first {
        judgment.verdict = WindowVerdict::Degraded;
        judgment.causes = vec![CauseKind::ConceptDrift];
        judgment.reason = format!("the errors of {rows} rows alarmed {alarms} times, first at {first}");
    } else {
        judgment.reason = format!("the errors of {rows} rows gave no alarm");
    }
    judgment
}

fn judge_upstream(policy: &UpstreamPolicy, rows: u64, null_rates: &BTreeMap<String, f64>) -> Judgment {
    let mut judgment = blank(JudgmentKind::Upstream, rows);
    if rows == 0 {
        judgment.verdict = WindowVerdict::Inconclusive;
        judgment.reason = "no row to look at".to_owned();
        return judgment;
    }
    let most = policy.max_null_rate;
    let tell = |(name, rate): (&String, &f64)| {
        let share = 100.0 * rate;
        if *rate < 1.0 { format!("`{name}` has no value in {share:.1} %") } else { format!("`{name}` is missing") }
    };
    let broken: Vec<String> = null_rates.iter().filter(|(_, rate)| most < **rate).map(tell).collect();
    if broken.is_empty() {
        judgment.reason = format!("no feature lacks a value in more than {:.1} % of {rows} rows", 100.0 * most);
    } else {
        judgment.verdict = WindowVerdict::Broken;
        judgment.reason = format!("{} of {rows} rows; at most {:.1} % may lack one", broken.join(", "), 100.0 * most);
    }
    judgment
}

/// How much worse `value` is than `reference`: positive is worse, in the metric's unit.
fn worsening(direction: Direction, value: f64, reference: f64) -> f64 {
    match direction {
        Direction::HigherIsBetter => reference - value,
        Direction::LowerIsBetter => value - reference,
    }
}

/// How earlier estimates held.
fn tell_past(past: PastEstimates) -> String {
    let PastEstimates { windows, mean_error, largest } = past;
    format!("in {windows} windows before, labels made it {mean_error:+.4} on average, {largest:.4} at most")
}

/// How a quality is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quality {
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

fn judge_quality(
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
    use crate::policy::{DriftMetric, Metric, Persistence};
    use crate::trigger::Replaced;

    fn measured(value: f64, standard_error: f64) -> Measured {
        Measured { value, standard_error: Some(standard_error), rows: 500, blocks: 7 }
    }

    fn quality(measured: Option<Measured>) -> QualityEvidence {
        QualityEvidence { measured, estimated: None }
    }

    fn drift() -> DriftPolicy {
        let persistence = Persistence::ONCE;
        let features = BTreeMap::new();
        DriftPolicy { metric: DriftMetric::Psi, threshold: 0.2, share: 0.5, persistence, min_rows: 100, features }
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

    /// Judges a window of `rows` rows with this error, after the judgment before.
    fn judged(error: f64, rows: u64, before: Option<&Judgment>, at: i64) -> Judgment {
        let time = |second| Timestamp::from_second(second).unwrap_or_default();
        let replaces = before.map(|it| Replaced {
            rows: it.rows,
            verdict: it.verdict,
            causes: it.causes.clone(),
            caused_at: it.caused_at,
        });
        let revision = before.map_or(1, |it| it.source.revision + 1);
        let evidence = WindowEvidence::Performance {
            window: Window { start: time(0), end: time(3_600) },
            source: Source { revision, data: Digest::of(b"rows"), hours: 1, replaces },
            rows,
            quality: quality(Some(measured(error, 0.1))),
        };
        let triggers = TriggersPolicy { performance: Some(policy(None, Some(11.0))), ..TriggersPolicy::none() };
        judge(&evidence, &triggers, None, time(at)).unwrap_or_else(|| panic!("is wanted"))
    }

    #[test]
    fn a_revision_says_what_changed_and_keeps_the_time_of_its_causes() {
        let stable = judged(10.0, 200, None, 5_000);
        let degraded = judged(12.0, 300, Some(&stable), 6_000);
        assert_eq!(
            degraded.reason,
            "revision 2 (300 rows, before 200; was stable): mae 12.0000 is worse than the floor 11"
        );
        assert_eq!(degraded.caused_at.as_second(), 6_000, "what is new is a reason from now on");
        let still = judged(12.5, 310, Some(&degraded), 7_000);
        assert_eq!((still.at.as_second(), still.caused_at.as_second()), (7_000, 6_000));
        assert!(degraded.age() < still.age() && degraded.sort() < still.sort());
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
    fn features_without_values_are_not_called_stable() {
        let policy = drift();
        let empty = FeatureEvidence::unmeasured("x".to_owned(), DriftMetric::Psi);
        for features in [&[][..], &[empty]] {
            let judgment = judge_drift(&policy, 100, features, WindowVerdict::Stable);
            assert_eq!(judgment.verdict, WindowVerdict::Inconclusive, "{}", judgment.reason);
        }
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

    fn found(name: &str, verdict: WindowVerdict) -> FeatureEvidence {
        let finding = FeatureFinding { threshold: 0.2, q_value: Some(1e-6), verdict };
        let blank = FeatureEvidence::unmeasured(name.to_owned(), DriftMetric::Psi);
        FeatureEvidence { value: Some(0.3), finding, ..blank }
    }

    /// What features mean is decided by `refit-stats`, and tested there and in `refit-app`; what follows from it is here.
    #[test]
    fn drift_says_which_features_and_which_share() {
        use WindowVerdict::{Drifted, Inconclusive, Stable};
        let policy = drift();
        let (x, y, z) = (found("x", Drifted), found("y", Stable), found("z", Inconclusive));
        let judged = |rows, features: &[FeatureEvidence], verdict| {
            let judgment = judge_drift(&policy, rows, features, verdict);
            (judgment.verdict, judgment.causes, judgment.reason)
        };
        let reason = "1 of 2 features drifted (x), share 0.50 reaches 0.50".to_owned();
        assert_eq!(judged(100, &[x.clone(), y.clone()], Drifted), (Drifted, vec![CauseKind::DataDrift], reason));
        let reason = "0 of 1 features drifted, share 0.00 is below 0.50".to_owned();
        assert_eq!(judged(100, std::slice::from_ref(&y), Stable), (Stable, vec![], reason));
        let reason = "1 of 3 features drifted and 1 could not be judged: the share may reach 0.50".to_owned();
        assert_eq!(judged(100, &[x.clone(), y, z], Inconclusive), (Inconclusive, vec![], reason));
        let reason = "99 of 100 rows needed to judge drift".to_owned();
        assert_eq!(judged(99, &[x], Drifted), (Inconclusive, vec![], reason));
    }

    #[test]
    fn inputs_are_broken_when_too_many_values_are_missing() {
        let policy = UpstreamPolicy { max_null_rate: 0.5 };
        let verdict = |rows, rates: &[(&str, f64)]| {
            let rates = rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
            let judgment = judge_upstream(&policy, rows, &rates);
            (judgment.verdict, judgment.reason)
        };
        let whole = "no feature lacks a value in more than 50.0 % of 10 rows".to_owned();
        assert_eq!(verdict(10, &[("x", 0.5), ("y", 0.0)]), (WindowVerdict::Stable, whole));
        let broken = "`x` is missing, `y` has no value in 60.0 % of 10 rows; at most 50.0 % may lack one".to_owned();
        assert_eq!(verdict(10, &[("x", 1.0), ("y", 0.6)]), (WindowVerdict::Broken, broken));
        assert_eq!(verdict(0, &[]).0, WindowVerdict::Inconclusive);
    }

    #[test]
    fn predictions_follow_their_finding() {
        use WindowVerdict::{Drifted, Inconclusive, Stable};
        let persistence = Persistence::ONCE;
        let policy = PredictionDriftPolicy { metric: DriftMetric::Psi, threshold: 0.2, persistence, min_rows: 100 };
        let verdict = |rows, distance: &FeatureEvidence| judge_predictions(&policy, rows, distance).verdict;
        for finding in [Drifted, Stable, Inconclusive] {
            assert_eq!(verdict(100, &found("prediction", finding)), finding);
            assert_eq!(verdict(99, &found("prediction", finding)), Inconclusive);
        }
        assert_eq!(verdict(100, &FeatureEvidence::unmeasured("prediction".to_owned(), DriftMetric::Psi)), Inconclusive);
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
