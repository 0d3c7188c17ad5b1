//! The rule: from numbers to verdicts with reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Evidence, Score, Side};
use crate::multiple::Correction;
use crate::verdict::Statistic;

/// What a feature or a data set was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As before, or not far enough from it, or not beyond chance.
    Stable,
    /// Moved: by effect and by significance.
    Drifted,
    /// The numbers do not suffice to say.
    Inconclusive,
    /// It could not be measured.
    Errored,
}

impl Verdict {
    /// Returns the word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Drifted => "drifted",
            Self::Inconclusive => "inconclusive",
            Self::Errored => "errored",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What must hold beside the threshold of a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Fewer values in the current window make a feature inconclusive.
    pub min_rows: u64,
    /// Fewer values in the reference make a feature inconclusive.
    pub min_reference_rows: u64,
    /// The largest corrected p-value that counts as significant, in [0, 1].
    pub alpha: f64,
    /// How p-values are corrected over the features judged together.
    pub correction: Correction,
    /// The data set has drifted from this share of drifted features on; above 0.
    pub share: f64,
}

impl Rules {
    /// 100 values on both sides, a false discovery rate of 0.001, a share of 0.3.
    ///
    /// At 0.001 a model that is checked hourly sees a false drift of one feature about nine times a year if the effect were
    /// no hurdle at all; real drift of a size that matters is far beyond it.
    pub const DEFAULT: Self = Self {
        min_rows: 100,
        min_reference_rows: 100,
        alpha: 0.001,
        correction: Correction::BenjaminiHochberg,
        share: 0.3,
    };

    /// Tells whether a feature has enough values on both sides.
    fn are_met_by(&self, feature: &Evidence) -> bool {
        self.min_rows <= feature.current_rows && self.min_reference_rows <= feature.reference_rows
    }
}

/// The verdict on one feature, with the threshold it was held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureVerdict {
    /// What it was found to be.
    pub verdict: Verdict,
    /// The statistic that decided.
    pub verdict_by: Statistic,
    /// The threshold that was used.
    pub threshold: f64,
    /// The p-value of the test; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The p-value corrected over the features judged together; `None` for a feature that took no part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_value: Option<f64>,
    /// Why, in sentences with the numbers.
    pub reasons: Vec<String>,
}

/// The verdict on all features together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetVerdict {
    /// How many features drifted.
    pub drifted_features: u64,
    /// They as a share of all features; 0 without features.
    pub share: f64,
    /// The share that was needed.
    pub threshold: f64,
    /// What it was found to be.
    pub verdict: Verdict,
    /// Why, in sentences with the numbers.
    pub reasons: Vec<String>,
}

/// Judges features and their data set.
///
/// ```
/// use refit_stats::verdict::{Evidence, Rules, Score, Statistic, Verdict, judge};
/// let feature = |value: f64, p_value: f64| Evidence {
///     by: Statistic::Ks,
///     threshold: 0.1,
///     score: Some(Score::exact(value)),
///     p_value: Some(p_value),
///     chance: None,
///     reference_rows: 5_000,
///     current_rows: 5_000,
///     problem: None,
/// };
/// let (features, dataset) = judge(&[feature(0.3, 1e-60), feature(0.02, 0.3)], &Rules::DEFAULT);
/// assert_eq!(features[0].verdict, Verdict::Drifted);
/// assert_eq!(features[0].reasons, ["ks 0.3000 reaches 0.1, corrected p-value 2.00e-60"]);
/// assert_eq!(features[1].verdict, Verdict::Stable);
/// assert_eq!((dataset.verdict, dataset.share), (Verdict::Drifted, 0.5));
/// ```
pub fn judge(features: &[Evidence], rules: &Rules) -> (Vec<FeatureVerdict>, DatasetVerdict) {
    let verdicts = judge_features(features, rules);
    let found: Vec<Verdict> = verdicts.iter().map(|it| it.verdict).collect();
    let dataset = judge_dataset(&found, rules.share);
    (verdicts, dataset)
}

/// Judges features together, in the given order.
///
/// Features with too few values, without a test or with a problem take no part in the correction of p-values.
pub fn judge_features(features: &[Evidence], rules: &Rules) -> Vec<FeatureVerdict> {
    let takes_part = |it: &Evidence| {
        let is_probability = it.p_value.is_some_and(|p| (0.0..=1.0).contains(&p));
        it.problem.is_none() && rules.are_met_by(it) && it.score.is_some_and(Score::is_usable) && is_probability
    };
    let family: Vec<usize> = (0..features.len()).filter(|at| takes_part(&features[*at])).collect();
    let p_values: Vec<f64> = family.iter().filter_map(|at| features[*at].p_value).collect();
    let adjusted = rules.correction.adjusted(&p_values).unwrap_or_default();
    let rejected = rules.correction.rejects(&p_values, rules.alpha).unwrap_or_else(|| vec![false; p_values.len()]);
    let mut corrected = vec![None; features.len()];
    for (at, it) in family.into_iter().zip(adjusted.into_iter().zip(rejected)) {
        corrected[at] = Some(it);
    }
    features.iter().zip(corrected).map(|(it, corrected)| judge_feature(it, corrected, rules)).collect()
}

/// Judges one feature, given its corrected p-value and whether that is significant.
fn judge_feature(feature: &Evidence, corrected: Option<(f64, bool)>, rules: &Rules) -> FeatureVerdict {
    let (verdict, reason) = decide(feature, corrected, rules);
    FeatureVerdict {
        verdict,
        verdict_by: feature.by,
        threshold: feature.threshold,
        p_value: feature.p_value,
        q_value: corrected.map(|it| it.0),
        reasons: vec![reason],
    }
}

fn decide(feature: &Evidence, corrected: Option<(f64, bool)>, rules: &Rules) -> (Verdict, String) {
    let (by, threshold) = (feature.by, feature.threshold);
    if let Some(problem) = &feature.problem {
        return (Verdict::Errored, problem.clone());
    }
    if !rules.are_met_by(feature) {
        let sides = format!("{} values in the reference and {} now", feature.reference_rows, feature.current_rows);
        let needed = if rules.min_reference_rows == rules.min_rows {
            format!("{} are needed on both sides", rules.min_rows)
        } else {
            format!("{} and {} are needed", rules.min_reference_rows, rules.min_rows)
        };
        return (Verdict::Inconclusive, format!("{sides}; {needed}"));
    }
    let Some(score) = feature.score else {
        return (Verdict::Inconclusive, format!("{by} is undefined on these values"));
    };
    if !score.is_usable() || threshold.is_nan() {
        return (Verdict::Errored, format!("{by} is not a number that can be held against {threshold}"));
    }
    let told = tell(by, score);
    match score.side_of(threshold) {
        Side::Below => (Verdict::Stable, format!("{told} is below {threshold}")),
        Side::Straddles => (Verdict::Inconclusive, format!("{told}: the error bound spans the threshold {threshold}")),
        Side::Reaches => weigh(feature, score, corrected, rules, &told),
    }
}

/// Decides whether a score that reaches its threshold is beyond chance.
fn weigh(
    feature: &Evidence,
    score: Score,
    corrected: Option<(f64, bool)>,
    rules: &Rules,
    told: &str,
) -> (Verdict, String) {
    let reaches = format!("{told} reaches {}", feature.threshold);
    let Some((q_value, is_significant)) = corrected else {
        return (Verdict::Inconclusive, format!("{reaches}, but no test tells it from chance"));
    };
    if !is_significant {
        let limit = rules.alpha;
        return (
            Verdict::Stable,
            format!("{reaches}, but chance explains it: corrected p-value {q_value:.2e}, {limit} is needed"),
        );
    }
    let significant = format!("corrected p-value {q_value:.2e}");
    let Some(chance) = feature.chance else {
        return (Verdict::Drifted, format!("{reaches}, {significant}"));
    };
    let told = format!("chance alone gives up to {chance:.4} at these sizes");
    match score.side_of(chance) {
        Side::Below => (Verdict::Stable, format!("{reaches}, but {told}")),
        Side::Straddles => (Verdict::Inconclusive, format!("{reaches}, but {told}, which its error bound spans")),
        Side::Reaches => (Verdict::Drifted, format!("{reaches}, {told}, {significant}")),
    }
}

fn tell(by: Statistic, score: Score) -> String {
    let Score { value, error_bound } = score;
    if 0.0 < error_bound { format!("{by} {value:.4} ± {error_bound:.4}") } else { format!("{by} {value:.4}") }
}

/// Judges a data set by the verdicts on its features: drifted when at least the share `threshold` of them, and at least one,
/// has drifted; inconclusive while the features that could not be judged could bring it there.
///
/// ```
/// use refit_stats::verdict::{Verdict, judge_dataset};
/// use Verdict::{Drifted, Inconclusive, Stable};
/// assert_eq!(judge_dataset(&[Drifted, Stable, Inconclusive], 0.3).verdict, Drifted);
/// assert_eq!(judge_dataset(&[Stable, Stable, Inconclusive], 0.3).verdict, Inconclusive);
/// assert_eq!(judge_dataset(&[Stable, Stable, Inconclusive], 0.5).verdict, Stable);
/// ```
pub fn judge_dataset(features: &[Verdict], threshold: f64) -> DatasetVerdict {
    let count = |of: Verdict| features.iter().filter(|it| **it == of).count();
    let (drifted, all) = (count(Verdict::Drifted), features.len());
    let unsure = count(Verdict::Inconclusive) + count(Verdict::Errored);
    let share = drifted as f64 / all.max(1) as f64;
    let most = (drifted + unsure) as f64 / all.max(1) as f64;
    let (verdict, reason) = if all == 0 {
        (Verdict::Inconclusive, "there is no feature to judge".to_owned())
    } else if count(Verdict::Errored) == all {
        (Verdict::Errored, format!("none of {all} features could be measured"))
    } else if 0 < drifted && threshold <= share {
        (Verdict::Drifted, format!("{drifted} of {all} features drifted, share {share:.2} reaches {threshold:.2}"))
    } else if 0 < unsure && threshold <= most {
        let told = format!("{drifted} of {all} features drifted and {unsure} could not be judged");
        (Verdict::Inconclusive, format!("{told}: the share may reach {threshold:.2}"))
    } else {
        (Verdict::Stable, format!("{drifted} of {all} features drifted, share {share:.2} is below {threshold:.2}"))
    };
    DatasetVerdict { drifted_features: drifted as u64, share, threshold, verdict, reasons: vec![reason] }
}
