//! Triggers: recorded reasons to retrain, and the judgments of windows they rest on.

mod evidence;
mod judge;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use evidence::{FeatureEvidence, FeatureFinding, PastEstimates, QualityEvidence, WindowEvidence};
pub use judge::judge;

use crate::names::Digest;
use crate::policy::{DriftMetric, Metric, TriggersPolicy};
use crate::window::Window;

/// Kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// Measured quality fell below the champion's hold-out score.
    PerformanceDrop,
    /// Measured quality is worse than the worst acceptable value.
    PerformanceFloor,
    /// Quality as estimated without labels is worse than it may be.
    EstimatedPerformance,
    /// The inputs moved.
    DataDrift,
    /// The predictions moved.
    PredictionDrift,
    /// The champion's errors grew: what it learned does not hold any more.
    ConceptDrift,
    /// The last retraining is too long ago.
    Age,
    /// So many predictions were made since the last retraining.
    PredictionVolume,
    /// So many labelled records came since the champion was trained.
    NewRecords,
    /// A scheduled time.
    Schedule,
    /// An alarm went off.
    Alarm,
    /// An event happened.
    Event,
    /// A person asked.
    Manual,
}

impl CauseKind {
    /// The word in files and on screens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::PerformanceDrop => "performance_drop",
            CauseKind::PerformanceFloor => "performance_floor",
            CauseKind::EstimatedPerformance => "estimated_performance",
            CauseKind::DataDrift => "data_drift",
            CauseKind::PredictionDrift => "prediction_drift",
            CauseKind::ConceptDrift => "concept_drift",
            CauseKind::Age => "age",
            CauseKind::PredictionVolume => "prediction_volume",
            CauseKind::NewRecords => "new_records",
            CauseKind::Schedule => "schedule",
            CauseKind::Alarm => "alarm",
            CauseKind::Event => "event",
            CauseKind::Manual => "manual",
        }
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A reason that led to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// A sentence with the numbers.
    pub reason: String,
}

/// What became of one trigger at one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingOutcome {
    /// It asks for a run.
    Fired,
    /// It asks for a run, but a guard forbids one now, or too few other conditions hold with it.
    Suppressed,
    /// It asks for nothing.
    Quiet,
    /// There is not enough data to say.
    Inconclusive,
}

/// One trigger at one check: what it found and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The trigger.
    pub kind: CauseKind,
    /// What became of it.
    pub outcome: FindingOutcome,
    /// A sentence with the numbers and, when suppressed, the guard.
    pub reason: String,
}

/// A call from outside that asks for a run until one is requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// [`CauseKind::Alarm`] or [`CauseKind::Event`].
    pub kind: CauseKind,
    /// The alarm's ARN, or the event's source and detail type. Of one source only the last call is kept.
    pub source: String,
    /// What it means, in the policy's words.
    pub reason: String,
}

impl Signal {
    /// The name of events in policies and signals.
    #[must_use]
    pub fn event_source(source: &str, detail_type: &str) -> String {
        format!("{source}: {detail_type}")
    }

    /// Whether the policy still listens to its source.
    #[must_use]
    pub fn is_wanted(&self, policy: &TriggersPolicy) -> bool {
        policy.alarms.iter().any(|it| it.arn == self.source)
            || policy.events.iter().any(|it| Signal::event_source(&it.source, &it.detail_type) == self.source)
    }
}

/// What a window is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgmentKind {
    /// Its inputs against the baseline's.
    Drift,
    /// The champion's predictions against labels.
    Performance,
    /// The champion's predictions against those on its hold-out.
    Predictions,
    /// The champion's errors, one by one.
    Concept,
    /// Whether its inputs are whole.
    Upstream,
    /// Quality as estimated from the champion's scores, without labels.
    EstimatedPerformance,
}

impl JudgmentKind {
    /// The word in files and keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            JudgmentKind::Drift => "drift",
            JudgmentKind::Performance => "performance",
            JudgmentKind::Predictions => "predictions",
            JudgmentKind::Concept => "concept",
            JudgmentKind::Upstream => "upstream",
            JudgmentKind::EstimatedPerformance => "estimated_performance",
        }
    }
}

/// What a window was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowVerdict {
    /// As before.
    Stable,
    /// Inputs moved.
    Drifted,
    /// Quality is worse than it may be.
    Degraded,
    /// What the model is fed with is not whole.
    Broken,
    /// Too little data to say.
    Inconclusive,
    /// Could not be judged.
    Errored,
}

impl WindowVerdict {
    /// Whether it says something about the window.
    #[must_use]
    pub fn is_conclusive(self) -> bool {
        match self {
            WindowVerdict::Stable | WindowVerdict::Drifted | WindowVerdict::Degraded | WindowVerdict::Broken => true,
            WindowVerdict::Inconclusive | WindowVerdict::Errored => false,
        }
    }

    /// The word in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            WindowVerdict::Stable => "stable",
            WindowVerdict::Drifted => "drifted",
            WindowVerdict::Degraded => "degraded",
            WindowVerdict::Broken => "broken",
            WindowVerdict::Inconclusive => "inconclusive",
            WindowVerdict::Errored => "errored",
        }
    }
}

/// The data that a window was judged on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// 1 for the first judgment of a window by this champion's measure; one more each time its data had changed.
    pub revision: u32,
    /// Names the judged rows: other rows, another name.
    pub data: Digest,
    /// In how many hours of the window there are rows.
    pub hours: u32,
    /// The judgment that this one replaces; `None` for revision 1.
    pub replaces: Option<Replaced>,
}

/// What a replaced judgment said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// How many rows it had.
    pub rows: u64,
    /// What it found.
    pub verdict: WindowVerdict,
    /// What it gave cause for.
    pub causes: Vec<CauseKind>,
    /// Since when.
    pub caused_at: Timestamp,
}

/// One closed window, judged once for one baseline and revision of its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgment {
    /// Document version.
    pub schema: u16,
    /// On what.
    pub kind: JudgmentKind,
    /// Which window.
    pub window: Window,
    /// On which data.
    pub source: Source,
    /// When it was judged.
    pub at: Timestamp,
    /// Since when it gives these causes: `at`, or earlier when the judgment that it replaces gave them already. A run
    /// requested later has answered them.
    pub caused_at: Timestamp,
    /// The champion then; `None` before the first.
    pub champion: Option<u64>,
    /// How many rows it had (performance: labelled rows predicted by the champion).
    pub rows: u64,
    /// What it was found to be.
    pub verdict: WindowVerdict,
    /// Why, with the numbers.
    pub reason: String,
    /// The triggers that it gives cause for.
    pub causes: Vec<CauseKind>,
    /// Distances per feature (drift).
    pub features: Vec<FeatureJudgment>,
    /// The measured value (performance), or the estimated one.
    pub quality: Option<QualityJudgment>,
    /// The detector's state after the window, as `refit-stats` writes it (concept): the next window continues it.
    pub detector: Option<serde_json::Value>,
}

impl Judgment {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// Where it is stored below its model: ordered by kind, then the window's end, then the baseline, then the revision.
    #[must_use]
    pub fn sort(&self) -> String {
        let champion = self.champion.unwrap_or(0);
        format!("JUDGMENT#{}#{}#{champion:08}#{:04}", self.kind.name(), self.window.end, self.source.revision)
    }

    /// What tells the newer of two judgments of one kind and champion: the later window, then the later revision.
    #[must_use]
    pub fn age(&self) -> (Timestamp, u32) {
        (self.window.end, self.source.revision)
    }
}

/// One feature of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureJudgment {
    /// The feature.
    pub name: String,
    /// The distance used.
    pub metric: DriftMetric,
    /// Its value; `None` when undefined.
    pub value: Option<f64>,
    /// How far the exact value may be from it: 0 when it was computed from every row.
    pub error_bound: f64,
    /// The value that chance alone exceeds once in a thousand windows of this size, where it was asked for; PSI only.
    pub chance: Option<f64>,
    /// The p-value, corrected over the features judged together; `None` for one that took no part.
    pub q_value: Option<f64>,
    /// From where on it counts.
    pub threshold: f64,
    /// Whether it counts: drifted by effect, significance and rows.
    pub verdict: WindowVerdict,
}

impl FeatureJudgment {
    /// Whether it counts.
    #[must_use]
    pub fn is_drifted(&self) -> bool {
        self.verdict == WindowVerdict::Drifted
    }
}

/// The measured quality of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityJudgment {
    /// The measure.
    pub metric: Metric,
    /// The window's value; `None` when undefined.
    pub value: Option<f64>,
    /// What was estimated for the window before its labels came; `None` where nothing was, and for an estimate itself.
    pub estimated: Option<f64>,
    /// The standard error of an estimate; `None` where none is known, and for a measured value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// The champion's hold-out score.
    pub baseline: Option<f64>,
    /// How much worse than the hold-out, as a share of it; negative when better.
    pub worsening: Option<f64>,
    /// One-sided 99.9 % lower bound of the worsening, as a share of the hold-out score.
    pub lower_bound: Option<f64>,
}
