//! When to retrain: the part of a model's policy that triggers and guards read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Cron, Metric, OnNewTrigger, Span, Zone};

/// When to retrain.
///
/// Calls (a person, the schedule, an alarm, an event) each suffice alone. Conditions (drift, performance, age, …) are
/// combined by `when`. Guards forbid a run that either asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggersPolicy {
    /// How many of the conditions must hold. Default `any`.
    pub when: Combination,
    /// The fleet's time zone, repeated here so that a model's part says all that its checks need.
    pub timezone: Zone,
    /// How often the triggers are checked. Default 1h.
    pub check_every: Span,
    /// Call: retrains at these times of the fleet's time zone.
    pub schedule: Option<Cron>,
    /// Condition: the inputs moved.
    pub drift: Option<DriftPolicy>,
    /// Condition: the predictions moved.
    pub prediction_drift: Option<PredictionDriftPolicy>,
    /// Condition: the champion's errors grew.
    pub concept: Option<DetectorPolicy>,
    /// Condition: measured quality got worse.
    pub performance: Option<PerformancePolicy>,
    /// Condition: quality as estimated from the scores alone, before labels come, is worse than it may be. Classifications
    /// whose scores are probabilities; the keys are those of `performance`.
    pub estimated_performance: Option<PerformancePolicy>,
    /// Condition: the last retraining is longer ago than this.
    pub age: Option<Span>,
    /// Condition: so much came in; and the least that has to come in before anything is considered.
    pub volume: Option<VolumePolicy>,
    /// Calls: alarms that go off.
    pub alarms: Vec<AlarmPolicy>,
    /// Calls: events that match.
    pub events: Vec<EventPolicy>,
    /// What a cause does that comes while a run is beyond the queue. Default `wait`.
    pub on_new_trigger: OnNewTrigger,
    /// Guard: the least time between the requests of two runs. Default 0.
    pub cooldown: Span,
    /// Guard: how many runs a month may have.
    pub budget: Option<BudgetPolicy>,
    /// Guard: dates on which no run is requested.
    pub freeze: Vec<Freeze>,
    /// Guard: stops retraining by itself when its candidates are refused again and again.
    pub loop_breaker: Option<LoopBreaker>,
    /// Guard: what the model is fed must be whole.
    pub upstream: Option<UpstreamPolicy>,
}

impl TriggersPolicy {
    /// Triggers that never ask for a run.
    #[cfg(test)]
    pub(crate) fn none() -> TriggersPolicy {
        TriggersPolicy {
            when: Combination::Any,
            timezone: Zone::utc(),
            check_every: Span::hours(1),
            schedule: None,
            drift: None,
            prediction_drift: None,
            concept: None,
            performance: None,
            estimated_performance: None,
            age: None,
            volume: None,
            alarms: Vec::new(),
            events: Vec::new(),
            cooldown: Span::ZERO,
            on_new_trigger: OnNewTrigger::Wait,
            budget: None,
            freeze: Vec::new(),
            loop_breaker: None,
            upstream: None,
        }
    }
}

/// How many of the configured conditions must hold. A condition is one key of `triggers`: `performance` is one, whether its
/// drop or its floor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combination {
    /// One.
    Any,
    /// All of them.
    All,
    /// This many, at least 1.
    AtLeast(u32),
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Combination::Any => f.write_str("any"),
            Combination::All => f.write_str("all"),
            Combination::AtLeast(count) => write!(f, "at_least: {count}"),
        }
    }
}

/// How many of the newest judgments must say so: `needed` of the last `of`, written `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    needed: u32,
    of: u32,
}

impl Persistence {
    /// The newest judgment alone.
    pub const ONCE: Persistence = Persistence { needed: 1, of: 1 };
    /// The most judgments that are looked at: all of them are read at each check.
    pub const MAX: u32 = 12;

    /// `needed` of the last `of`; `None` unless `1 <= needed <= of <= 12`.
    #[must_use]
    pub fn new(needed: u32, of: u32) -> Option<Persistence> {
        (1 <= needed && needed <= of && of <= Self::MAX).then_some(Persistence { needed, of })
    }

    /// How many must say so.
    #[must_use]
    pub fn needed(self) -> usize {
        self.needed as usize
    }

    /// How many are looked at.
    #[must_use]
    pub fn of(self) -> usize {
        self.of as usize
    }

    /// Reads `2/3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Persistence> {
        let (needed, of) = text.split_once('/')?;
        let is_plain = |it: &str| !it.is_empty() && it.len() <= 2 && it.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain(needed) || !is_plain(of) {
            return None;
        }
        Persistence::new(needed.parse().ok()?, of.parse().ok()?)
    }
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.needed, self.of)
    }
}

impl Serialize for Persistence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Persistence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Persistence::parse(&text).ok_or_else(|| serde::de::Error::custom("expected `m/n` with 1 <= m <= n <= 12"))
    }
}

/// A distance between a feature's reference and current distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftMetric {
    /// Population stability index over the reference's deciles (NUMERICS `q10`), or over categories.
    Psi,
    /// Two-sample Kolmogorov-Smirnov statistic; categorical features fall back to PSI.
    Ks,
    /// Jensen-Shannon distance, base 2, over the reference's deciles or over categories; 0 to 1.
    Js,
    /// Wasserstein distance in standard deviations of the reference; categorical features fall back to PSI.
    Wasserstein,
    /// Cramér's V of the homogeneity test, 0 to 1; numeric features are counted over the reference's deciles.
    CramersV,
}

impl DriftMetric {
    /// The word in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DriftMetric::Psi => "psi",
            DriftMetric::Ks => "ks",
            DriftMetric::Js => "js",
            DriftMetric::Wasserstein => "wasserstein",
            DriftMetric::CramersV => "cramers_v",
        }
    }

    /// The largest value, where there is one.
    #[must_use]
    pub fn largest(self) -> Option<f64> {
        match self {
            DriftMetric::Psi | DriftMetric::Wasserstein => None,
            DriftMetric::Ks | DriftMetric::Js | DriftMetric::CramersV => Some(1.0),
        }
    }
}

/// How one feature is judged, where it differs from the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureDriftPolicy {
    /// The distance.
    pub metric: DriftMetric,
    /// The feature has drifted from this distance on; above 0.
    pub threshold: f64,
}

/// When inputs count as moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftPolicy {
    /// The distance. Default `psi`.
    pub metric: DriftMetric,
    /// A feature has drifted from this distance on; above 0. Default 0.2.
    pub threshold: f64,
    /// The data has drifted from this share of drifted features on; in (0, 1]. Default 0.3.
    pub share: f64,
    /// How many of the last windows must have drifted. Default `1/1`.
    pub persistence: Persistence,
    /// Fewer rows in a window make its judgment inconclusive; at least 1. Default 500.
    pub min_rows: u64,
    /// Features that are judged by another distance or threshold.
    pub features: BTreeMap<String, FeatureDriftPolicy>,
}

impl DriftPolicy {
    /// How a feature is judged.
    #[must_use]
    pub fn of(&self, feature: &str) -> FeatureDriftPolicy {
        let common = FeatureDriftPolicy { metric: self.metric, threshold: self.threshold };
        self.features.get(feature).copied().unwrap_or(common)
    }
}

/// When predictions count as moved: what the champion answered against what it answered on its own hold-out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionDriftPolicy {
    /// The distance. Default `psi`.
    pub metric: DriftMetric,
    /// They have moved from this distance on; above 0. Default 0.2.
    pub threshold: f64,
    /// How many of the last windows must have moved. Default `1/1`.
    pub persistence: Persistence,
    /// Fewer predictions in a window make its judgment inconclusive; at least 1. Default 500.
    pub min_rows: u64,
}

/// How the champion's errors are watched, in the order of their events. An error is 0 or 1 for classes; for numbers it is the
/// absolute error in units of the champion's mean absolute error on its hold-out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "detector", rename_all = "snake_case", deny_unknown_fields)]
pub enum DetectorPolicy {
    /// The Page-Hinkley test for an increase.
    PageHinkley {
        /// The excess over the running mean that is tolerated. Default 0.005.
        delta: f64,
        /// The excess added up that alarms. Default 50.
        threshold: f64,
        /// Nothing is said before so many rows. Default 30.
        warm_up: u64,
    },
    /// The drift detection method; for classes only.
    Ddm {
        /// How many standard deviations above its best the error rate alarms. Default 3.
        threshold: f64,
        /// Nothing is said before so many rows. Default 30.
        warm_up: u64,
    },
    /// Adaptive windowing; an error e of a number is taken as e / (1 + e), because it needs values in [0, 1].
    Adwin {
        /// The probability of a false alarm at one look. Default 0.002.
        delta: f64,
    },
}

/// How much data asks for a run, and how little forbids one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumePolicy {
    /// Guard: fewer predictions since the last run, and nothing is considered but what a person asks for.
    pub min_predictions: Option<u64>,
    /// Fires at so many predictions since the last run.
    pub max_predictions: Option<VolumeLimit>,
    /// Fires at so many labels that arrived since the champion's training data ended.
    pub new_records: Option<u64>,
}

/// From how many predictions on a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeLimit {
    /// This many.
    Fixed(u64),
    /// As many as there were in the longest of the last intervals between runs.
    Learned,
}

/// What the model must be fed with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamPolicy {
    /// A feature without a value in more than this share of a window's rows is broken; in [0, 1). A column that is missing
    /// has none in all of them.
    pub max_null_rate: f64,
}

/// When measured quality counts as worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerformancePolicy {
    /// The measure.
    pub metric: Metric,
    /// Fires when the window is worse than the champion's hold-out score by more than this share of it, and not by chance.
    pub max_drop: Option<f64>,
    /// Fires when the window is worse than this value.
    pub floor: Option<f64>,
    /// How many of the last windows must say so, counted for the drop and the floor apart. Default `1/1`.
    pub persistence: Persistence,
    /// Fewer labelled rows in a window make its judgment inconclusive; at least 1. Default 100.
    pub min_rows: u64,
}

/// An alarm that asks for a retraining when it goes off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmPolicy {
    /// The CloudWatch alarm's ARN.
    pub arn: String,
    /// What it means, in people's words.
    pub reason: String,
}

/// Events that ask for a retraining: any of the default bus with this source and detail type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventPolicy {
    /// The event's `source`; never `refit`.
    pub source: String,
    /// The event's `detail-type`.
    pub detail_type: String,
    /// What it means, in people's words.
    pub reason: String,
}

/// How many runs may be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetPolicy {
    /// In one calendar month of the fleet's time zone, at least 1. Every requested run counts, whoever asked and however it
    /// ended.
    pub runs_per_month: u32,
}

/// Dates on which no run is requested, in the fleet's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The first date.
    pub from: Date,
    /// The last date, itself included; not before `from`.
    pub to: Date,
}

/// When retraining stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopBreaker {
    /// After this many candidates in a row that were rejected or rolled back, at least 1.
    pub rejections: u32,
}
