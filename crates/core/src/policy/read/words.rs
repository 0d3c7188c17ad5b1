//! The words that a policy is written in, and suggestions for misspelled ones.

use crate::policy::{
    Combination, Direction, DriftMetric, FeatureKind, ImprovementMode, Metric, OnNewTrigger, Priority, RolloutStrategy,
    Strategy, Subject, Task,
};

pub(super) const SUBJECTS: [(&str, Subject); 6] = [
    ("failure", Subject::Failure),
    ("drift", Subject::Drift),
    ("approval", Subject::Approval),
    ("before_promotion", Subject::BeforePromotion),
    ("promotion", Subject::Promotion),
    ("rollback", Subject::Rollback),
];

pub(super) const TASKS: [(&str, Task); 3] =
    [("regression", Task::Regression), ("binary", Task::Binary), ("multiclass", Task::Multiclass)];

pub(super) const STRATEGIES: [(&str, Strategy); 2] = [("full", Strategy::Full), ("incremental", Strategy::Incremental)];

pub(super) const PRIORITIES: [(&str, Priority); 4] =
    [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High), ("urgent", Priority::Urgent)];

pub(super) const ON_NEW_TRIGGER: [(&str, OnNewTrigger); 2] =
    [("wait", OnNewTrigger::Wait), ("supersede", OnNewTrigger::Supersede)];

pub(super) const FEATURE_KINDS: [(&str, FeatureKind); 2] =
    [("numeric", FeatureKind::Numeric), ("categorical", FeatureKind::Categorical)];

pub(super) const DRIFT_METRICS: [(&str, DriftMetric); 5] = [
    ("psi", DriftMetric::Psi),
    ("ks", DriftMetric::Ks),
    ("js", DriftMetric::Js),
    ("wasserstein", DriftMetric::Wasserstein),
    ("cramers_v", DriftMetric::CramersV),
];

/// What watches errors.
pub(super) const DETECTORS: [(&str, Detector); 3] =
    [("page_hinkley", Detector::PageHinkley), ("ddm", Detector::Ddm), ("adwin", Detector::Adwin)];

/// The detectors by name, before their settings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detector {
    PageHinkley,
    Ddm,
    Adwin,
}

/// How conditions are combined, besides `{ at_least: N }`.
pub(super) const WHEN: [(&str, Combination); 2] = [("any", Combination::Any), ("all", Combination::All)];

pub(super) const BOOLEANS: [(&str, bool); 2] = [("true", true), ("false", false)];

pub(super) const DIRECTIONS: [(&str, Direction); 2] =
    [("higher_is_better", Direction::HigherIsBetter), ("lower_is_better", Direction::LowerIsBetter)];

pub(super) const MODES: [(&str, ImprovementMode); 3] = [
    ("relative", ImprovementMode::Relative),
    ("absolute", ImprovementMode::Absolute),
    ("error_reduction", ImprovementMode::ErrorReduction),
];

pub(super) const ROLLOUT_STRATEGIES: [(&str, RolloutStrategy); 1] = [("immediate", RolloutStrategy::Immediate)];
pub(super) const ROLLOUT_STRATEGIES_NOT_BUILT: [&str; 4] = ["canary", "linear", "shadow", "all_at_once"];

/// The metrics by name.
pub(super) fn metrics() -> Vec<(&'static str, Metric)> {
    Metric::ALL.into_iter().map(|it| (it.name(), it)).collect()
}

/// The word for a value.
pub(super) fn name_of<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, it)| *it == value).map_or("", |(word, _)| word)
}

/// The longest text that a suggestion is looked for: comparing takes the product of the lengths.
const MAX_COMPARED: usize = 64;

/// What may have been meant instead of `text`: the nearest of `known`, or all of them.
pub(super) fn suggest(text: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .filter(|_| text.len() <= MAX_COMPARED)
        .map(|it| (strsim::damerau_levenshtein(&text.to_lowercase(), it), *it))
        // A third of the letters may be wrong, as in cargo's suggestions.
        .filter(|(distance, it)| *distance <= it.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, it)) => format!("did you mean `{it}`?"),
        None => {
            let all: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
            format!("use {}", all.join(", "))
        }
    }
}
