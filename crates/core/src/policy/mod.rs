//! The policy: what a fleet wants, as it was typed in refit.yaml, parsed and validated as a whole.
//!
//! A [`Policy`] is one content-addressed document; models adopt its digest when they wake. Every field is present:
//! defaults are filled in when the file is read ([`read`]), so that a stored policy means the same to every later version.
//! Keys whose effect is not built yet are refused by name.

mod comparison;
mod cron;
mod diff;
mod gate;
mod metric;
mod read;
mod span;
#[cfg(test)]
mod tests;
mod triggers;
mod yaml;
mod zone;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use comparison::{ComparisonSettings, FeatureSettings, Scope};
pub use cron::{Cron, CronError};
pub use diff::{FieldChange, diff};
pub use gate::{CustomMetric, GateMetric, GatePolicy};
pub use metric::{Direction, Metric};
pub use read::{Problem, Problems, read, read_comparison, schema};
pub use span::{Span, SpanError};
pub use triggers::{
    AlarmPolicy, BudgetPolicy, Combination, DetectorPolicy, DriftMetric, DriftPolicy, EventPolicy, FeatureDriftPolicy,
    Freeze, LoopBreaker, PerformancePolicy, Persistence, PredictionDriftPolicy, TriggersPolicy, UpstreamPolicy,
    VolumeLimit, VolumePolicy,
};
pub use zone::{Zone, ZoneError};

use crate::names::{Digest, ModelId, ObjectUri};

/// The schema version of a stored policy.
pub const SCHEMA: u16 = 1;

/// What a fleet wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// [`SCHEMA`].
    pub schema: u16,
    /// What concerns all models together.
    pub fleet: Fleet,
    /// Who hears about what.
    pub notifications: Vec<Notification>,
    /// The monitored models, with distinct ids, endpoints and package groups.
    pub models: Vec<ModelPolicy>,
}

impl Policy {
    /// The digest under which the policy is stored.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The policy of one model.
    #[must_use]
    pub fn find_model(&self, id: &ModelId) -> Option<&ModelPolicy> {
        self.models.iter().find(|it| &it.id == id)
    }
}

/// What concerns all models together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// How many runs may hold a slot at any instant, 1 to 1,000. Default 3.
    pub concurrent_runs: u32,
    /// After how much waiting a run counts as one priority higher, 1m to 30d. Default 1h.
    pub priority_aging: Span,
    /// In which schedules, months and dates of a freeze are meant. Default UTC.
    pub timezone: Zone,
}

/// How urgent the runs of a model are, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all others.
    Low,
    /// The usual.
    Normal,
    /// Before the usual; the least for what a person asks for.
    High,
    /// Before all others.
    Urgent,
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Urgent];

    /// The word in files and on screens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Urgent => "urgent",
        }
    }
}

/// A subject that people can be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Something broke.
    Failure,
    /// The data or the model's quality moved.
    Drift,
    /// A person is asked to decide.
    Approval,
    /// A change of the champion is about to happen.
    BeforePromotion,
    /// The champion changed.
    Promotion,
    /// The champion was taken back.
    Rollback,
}

/// One receiver of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// The address. The local world writes it beside each alert instead of sending mail.
    pub email: String,
    /// What it hears about, without repetition. Default: everything.
    pub on: Vec<Subject>,
}

/// What kind of answer the model gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A number.
    Regression,
    /// The probability of the positive class.
    Binary,
    /// The probabilities of several classes, named by texts or numbers.
    Multiclass,
}

/// What is wanted for one monitored model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPolicy {
    /// Its id.
    pub id: ModelId,
    /// Its kind of answer.
    pub task: Task,
    /// How urgent its runs are. Default `normal`.
    pub priority: Priority,
    /// Where it serves.
    pub endpoint: EndpointPolicy,
    /// Its model package group, a name. Default: the id.
    pub package_group: String,
    /// How it is trained.
    pub pipeline: PipelinePolicy,
    /// Its data.
    pub data: DataPolicy,
    /// How its traffic is cut into windows.
    pub window: WindowPolicy,
    /// Which data a run trains and is judged on.
    pub training: TrainingPolicy,
    /// When to retrain.
    pub triggers: TriggersPolicy,
    /// What a candidate must meet. May be empty: then a valid evaluation suffices for review.
    pub gates: Vec<GatePolicy>,
    /// Who decides about promotion.
    pub promotion: PromotionPolicy,
    /// How traffic moves.
    pub rollout: RolloutPolicy,
    /// How long what runs wrote is kept. Default: for good.
    pub retention: Option<RetentionPolicy>,
}

/// How long things are kept that are not in use any more. The log, decisions, policies and judgments are kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPolicy {
    /// What ended runs wrote, counted from the end of the run; at least a day.
    pub runs: Span,
}

/// Where a model serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointPolicy {
    /// The endpoint's name. Default: the model's id.
    pub name: String,
    /// The variant that the champion is. Default `champion`.
    pub variant: String,
}

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelinePolicy {
    /// The path of the definition, relative to refit.yaml; the pipeline's name is its file name without `.json`, after the
    /// model's id.
    pub definition: String,
    /// Fixed values of parameters that the definition declares beyond the training contract.
    pub parameters: BTreeMap<String, String>,
    /// How a run trains. Default `full`.
    pub strategy: Strategy,
    /// When a run that still trains is stopped. Default 2h.
    pub timeout: Span,
    /// What happens after an attempt that failed for a reason that may pass.
    pub retry: RetryPolicy,
    /// What a run may use. Default: what the definition says.
    pub resources: Resources,
}

/// How often a run is tried when the service fails it. The pipeline's own errors are never tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many executions a run may have, 1 to 10. Default 3.
    pub attempts: u32,
    /// How long after the first failure the second attempt may start, 1s to 7d. Default 5m.
    pub backoff: Span,
    /// By what the wait is multiplied after each further failure, 1 to 10. Default 2.
    pub factor: u32,
    /// The longest wait, at least `backoff`. Default 1h.
    pub max_backoff: Span,
}

impl RetryPolicy {
    /// How long to wait after `failures` attempts have failed, at least one.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Span {
        let longest = self.max_backoff.as_seconds();
        let mut wait = self.backoff.as_seconds();
        for _ in 1..failures.min(64) {
            wait = wait.saturating_mul(i64::from(self.factor)).min(longest);
        }
        Span::seconds(wait.min(longest))
    }
}

/// What a run may use: offered to the pipeline as parameters that it may declare; the local world limits its programs
/// itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// The kind of machine, as `InstanceType`.
    pub instance: Option<String>,
    /// How many machines, 1 to 100, as `InstanceCount`.
    pub count: Option<u32>,
    /// The size of each machine's disk in GB, 1 to 16,384, as `VolumeSizeInGB`.
    pub volume_gb: Option<u32>,
    /// The most memory of one program in MB, 64 to 16,777,216, as `MaxMemoryInMB`.
    pub memory_mb: Option<u32>,
    /// The longest time of one step, 1m to 28d, as `MaxRuntimeInSeconds`.
    pub max_runtime: Option<Span>,
}

impl Resources {
    /// The parameters that say it, by name.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<&'static str, String> {
        let all = [
            ("InstanceType", self.instance.clone()),
            ("InstanceCount", self.count.map(|it| it.to_string())),
            ("VolumeSizeInGB", self.volume_gb.map(|it| it.to_string())),
            ("MaxMemoryInMB", self.memory_mb.map(|it| it.to_string())),
            ("MaxRuntimeInSeconds", self.max_runtime.map(|it| it.as_seconds().to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What a cause does that comes while a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewTrigger {
    /// It waits until the run has ended, and fires then if it still holds.
    Wait,
    /// It ends the run, and a new one is requested with the causes of both.
    Supersede,
}

impl ModelPolicy {
    /// The pipeline's name: the model's id and the definition's file name without `.json`.
    #[must_use]
    pub fn pipeline_name(&self) -> String {
        let file = self.pipeline.definition.rsplit('/').next().unwrap_or_default();
        format!("{}-{}", self.id, file.strip_suffix(".json").unwrap_or(file))
    }
}

/// How a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// From nothing, on the whole training window.
    Full,
    /// From the champion's model, which is boosted further on the training window.
    Incremental,
}

/// A kind of feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number.
    Numeric,
    /// A text from a set that may grow.
    Categorical,
}

/// A model's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPolicy {
    /// Prefix of labelled history; also what drift is judged against until there is a champion with a training interval.
    pub reference: ObjectUri,
    /// Prefix of data-capture files.
    pub capture: ObjectUri,
    /// Prefix of ground-truth files.
    pub labels: ObjectUri,
    /// Name of the event-time column.
    pub time: String,
    /// Name of the label column.
    pub label: String,
    /// Key of the prediction in the endpoint's JSON answer. Default `score`.
    pub prediction: String,
    /// Features by which results are also reported.
    pub segments: Vec<String>,
    /// How long after an event its label is known. Default 0.
    pub label_delay: Span,
    /// How long after that a window's labels are awaited before it is judged. Default 0.
    pub label_maturity: Span,
    /// The model's inputs, at least one.
    pub features: BTreeMap<String, FeatureKind>,
}

/// Windows in event time, aligned to the Unix epoch: one begins every `hop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPolicy {
    /// Length of a window, 1h to 366d.
    pub size: Span,
    /// From the begin of one window to the begin of the next, at least `size`: what lies between is never judged. Default
    /// `size`.
    pub hop: Span,
    /// How long after its end a window waits for late files. Default 0.
    pub lateness: Span,
}

/// Which data a run trains and is judged on: train on `[a, b)`, hold out `[b, c)`, `c = now - label_delay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingPolicy {
    /// `b - a`.
    pub window: Span,
    /// `c - b`.
    pub holdout: Span,
}

/// How an improvement is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImprovementMode {
    /// As a share of the champion's value.
    Relative,
    /// In the metric's own unit.
    Absolute,
    /// As a share of the champion's distance from a perfect value; for metrics with a best value of 1 or 0.
    ErrorReduction,
}

/// Who decides about promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionPolicy {
    /// When a candidate that met its gates is promoted without a person; `None` (the default) means never.
    pub auto_promote: Option<AutoPromote>,
    /// How many people must approve, 1 to 10. Default 1.
    pub approvals: u32,
    /// When a request for approval expires. Default 7d.
    pub expires: Span,
    /// How long a promotion waits for its notice to be published. Default 15m.
    pub notice_timeout: Span,
}

/// The bar for promotion without a person; below it people review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoPromote {
    /// The measure, on the hold-out.
    pub metric: Metric,
    /// How improvement is measured. Default `relative`.
    pub mode: ImprovementMode,
    /// The least improvement. Default 0.05.
    pub min_improvement: f64,
    /// The one-sided 95 % lower bound of the improvement is above this. Default 0.
    pub lower_bound_above: f64,
}

/// How traffic moves to a promoted model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// The strategy. Default `immediate`.
    pub strategy: RolloutStrategy,
}

/// How traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutStrategy {
    /// All at once.
    Immediate,
}
