//! When to retrain: the part of a model's policy that triggers and guards read.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Cron, Metric, Span, Zone};

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
    /// Condition: measured quality got worse.
    pub performance: Option<PerformancePolicy>,
    /// Condition: the last retraining is longer ago than this.
    pub age: Option<Span>,
    /// Calls: alarms that go off.
    pub alarms: Vec<AlarmPolicy>,
    /// Calls: events that match.
    pub events: Vec<EventPolicy>,
    /// Guard: the least time between the requests of two runs. Default 0.
    pub cooldown: Span,
    /// Guard: how many runs a month may have.
    pub budget: Option<BudgetPolicy>,
    /// Guard: dates on which no run is requested.
    pub freeze: Vec<Freeze>,
    /// Guard: stops retraining by itself when its candidates are refused again and again.
    pub loop_breaker: Option<LoopBreaker>,
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
