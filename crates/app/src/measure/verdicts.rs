//! What measured distances mean under a policy: the rule of `refit_stats::verdict`, which also judges files in `refit drift`.
//!
//! The rule is applied when windows are measured and again when a recorded decision is asked under another policy: evidence
//! keeps the numbers, and with them what they mean under the policy it was asked with.

use refit_core::plan::Question;
use refit_core::policy::{DriftMetric, DriftPolicy, FeatureDriftPolicy, PredictionDriftPolicy, TriggersPolicy};
use refit_core::trigger::{FeatureEvidence, FeatureFinding, WindowEvidence, WindowVerdict};
use refit_stats::verdict::{Evidence, Rules, Score, Statistic, Verdict, judge};

/// Says anew, under these triggers, what was measured means.
pub(crate) fn judge_question(question: &mut Question, triggers: &TriggersPolicy) {
    if let Question::Check { windows, .. } = question {
        windows.iter_mut().for_each(|it| judge_window(it, triggers));
    }
}

/// Says what the distances of a window mean.
pub(super) fn judge_window(evidence: &mut WindowEvidence, triggers: &TriggersPolicy) {
    match evidence {
        WindowEvidence::Drift { features, verdict, .. } => {
            if let Some(policy) = &triggers.drift {
                *verdict = judge_drift(features, policy);
            }
        }
        WindowEvidence::Predictions { distance, .. } => {
            if let Some(policy) = &triggers.prediction_drift {
                judge_predictions(distance, policy);
            }
        }
        WindowEvidence::Performance { .. }
        | WindowEvidence::Estimate { .. }
        | WindowEvidence::Concept { .. }
        | WindowEvidence::Upstream { .. } => {}
    }
}

/// What must hold beside the threshold. The policy's number is that of the window; a reference of fewer rows than usual is
/// good enough for a window of as few.
fn rules(min_rows: u64) -> Rules {
    let min_reference_rows = Rules::DEFAULT.min_reference_rows.min(min_rows);
    Rules { min_rows, min_reference_rows, ..Rules::DEFAULT }
}

fn judge_drift(features: &mut [FeatureEvidence], policy: &DriftPolicy) -> WindowVerdict {
    let rules = Rules { share: policy.share, ..rules(policy.min_rows) };
    let evidence: Vec<Evidence> = features.iter().map(|it| evidence(it, policy.of(&it.name).threshold)).collect();
    let (verdicts, dataset) = judge(&evidence, &rules);
    for (feature, it) in features.iter_mut().zip(verdicts) {
        feature.finding =
            FeatureFinding { threshold: it.threshold, q_value: it.q_value, verdict: window_verdict(it.verdict) };
    }
    window_verdict(dataset.verdict)
}

fn judge_predictions(distance: &mut FeatureEvidence, policy: &PredictionDriftPolicy) {
    let rules = rules(policy.min_rows);
    let (verdicts, _) = judge(&[evidence(distance, policy.threshold)], &rules);
    for it in verdicts {
        distance.finding =
            FeatureFinding { threshold: it.threshold, q_value: it.q_value, verdict: window_verdict(it.verdict) };
    }
}

/// What was measured, as it is stored.
pub(super) fn measured(name: &str, metric: DriftMetric, evidence: &Evidence) -> FeatureEvidence {
    FeatureEvidence {
        value: evidence.score.map(|it| it.value),
        error_bound: evidence.score.map_or(0.0, |it| it.error_bound),
        p_value: evidence.p_value,
        chance: evidence.chance,
        reference_rows: evidence.reference_rows,
        current_rows: evidence.current_rows,
        ..FeatureEvidence::unmeasured(name.to_owned(), metric)
    }
}

/// What was stored, as the rule takes it.
fn evidence(feature: &FeatureEvidence, threshold: f64) -> Evidence {
    Evidence {
        by: statistic(feature.metric),
        threshold,
        score: feature.value.map(|value| Score { value, error_bound: feature.error_bound }),
        p_value: feature.p_value,
        chance: feature.chance,
        reference_rows: feature.reference_rows,
        current_rows: feature.current_rows,
        problem: None,
    }
}

/// The statistic of a policy's word.
pub(super) fn statistic(metric: DriftMetric) -> Statistic {
    match metric {
        DriftMetric::Psi => Statistic::PsiQ10,
        DriftMetric::Ks => Statistic::Ks,
        DriftMetric::Js => Statistic::JsDistanceBase2,
        DriftMetric::Wasserstein => Statistic::Wasserstein1OverRefStd,
        DriftMetric::CramersV => Statistic::CramersV,
    }
}

fn window_verdict(verdict: Verdict) -> WindowVerdict {
    match verdict {
        Verdict::Stable => WindowVerdict::Stable,
        Verdict::Drifted => WindowVerdict::Drifted,
        Verdict::Inconclusive => WindowVerdict::Inconclusive,
        Verdict::Errored => WindowVerdict::Errored,
    }
}

/// How the predictions are judged, as a feature.
pub(super) fn of_predictions(policy: &PredictionDriftPolicy) -> FeatureDriftPolicy {
    FeatureDriftPolicy { metric: policy.metric, threshold: policy.threshold }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refit_core::policy::Persistence;

    use super::*;

    fn policy(features: BTreeMap<String, FeatureDriftPolicy>) -> DriftPolicy {
        let (metric, persistence) = (DriftMetric::Psi, Persistence::ONCE);
        DriftPolicy { metric, threshold: 0.2, share: 0.5, persistence, min_rows: 100, features }
    }

    fn feature(name: &str, value: f64, p_value: f64) -> FeatureEvidence {
        FeatureEvidence {
            value: Some(value),
            p_value: Some(p_value),
            reference_rows: 500,
            current_rows: 500,
            ..FeatureEvidence::unmeasured(name.to_owned(), DriftMetric::Psi)
        }
    }

    #[track_caller]
    fn check(features: &mut [FeatureEvidence], expected: WindowVerdict) {
        assert_eq!(judge_drift(features, &policy(BTreeMap::new())), expected, "{features:?}");
    }

    #[test]
    fn drift_needs_effect_significance_share_and_rows() {
        use WindowVerdict::{Drifted, Inconclusive, Stable};
        check(&mut [feature("x", 0.3, 1e-9)], Drifted);
        check(&mut [feature("x", 0.3, 0.01)], Stable);
        check(&mut [feature("x", 0.1, 1e-9)], Stable);
        check(&mut [FeatureEvidence { chance: Some(0.4), ..feature("x", 0.3, 1e-9) }], Stable);
        check(&mut [FeatureEvidence { current_rows: 99, ..feature("x", 0.3, 1e-9) }], Inconclusive);
        check(&mut [FeatureEvidence { error_bound: 0.15, ..feature("x", 0.3, 1e-9) }], Inconclusive);
        check(&mut [feature("x", 0.3, 1e-9), feature("y", 0.0, 0.5), feature("z", 0.0, 0.5)], Stable);
        check(&mut [], Inconclusive);
    }

    #[test]
    fn a_feature_can_have_a_threshold_of_its_own() {
        let own = FeatureDriftPolicy { metric: DriftMetric::Psi, threshold: 0.05 };
        let policy = policy(BTreeMap::from([("y".to_owned(), own)]));
        let mut features = [feature("x", 0.1, 1e-9), feature("y", 0.1, 1e-9)];
        judge_drift(&mut features, &policy);
        let found = features.map(|it| (it.finding.threshold, it.finding.verdict));
        assert_eq!(found, [(0.2, WindowVerdict::Stable), (0.05, WindowVerdict::Drifted)]);
    }
}
