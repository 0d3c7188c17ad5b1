//! Judges closed windows: pure rules over measured numbers.

mod quality;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::quality::{Quality, judge_quality, tell_past};
use super::{
    CauseKind, FeatureEvidence, FeatureFinding, FeatureJudgment, Judgment, JudgmentKind, Source, WindowEvidence,
    WindowVerdict,
};
use crate::names::Digest;
use crate::package::Package;
use crate::policy::{DriftPolicy, PredictionDriftPolicy, TriggersPolicy, UpstreamPolicy};
use crate::window::Window;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Measured;
    use crate::policy::{DriftMetric, Metric, PerformancePolicy, Persistence};
    use crate::trigger::{QualityEvidence, Replaced};

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
        let (metric, persistence) = (Metric::Mae, Persistence::ONCE);
        let floor = PerformancePolicy { metric, max_drop: None, floor: Some(11.0), persistence, min_rows: 100 };
        let triggers = TriggersPolicy { performance: Some(floor), ..TriggersPolicy::none() };
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
    fn features_without_values_are_not_called_stable() {
        let policy = drift();
        let empty = FeatureEvidence::unmeasured("x".to_owned(), DriftMetric::Psi);
        for features in [&[][..], &[empty]] {
            let judgment = judge_drift(&policy, 100, features, WindowVerdict::Stable);
            assert_eq!(judgment.verdict, WindowVerdict::Inconclusive, "{}", judgment.reason);
        }
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
}
