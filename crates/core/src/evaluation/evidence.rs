//! What was measured on a run's hold-out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::Digest;
use crate::package::Measured;
use crate::policy::{Direction, ImprovementMode, Metric};

/// An improvement and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Improvement {
    /// How much better the candidate is; negative when worse.
    pub value: f64,
    /// Its standard error, by resampling days; `None` where it is undefined.
    pub standard_error: Option<f64>,
    /// The one-sided 95 % lower bound; `None` where it is undefined, and on segments.
    pub lower_bound: Option<f64>,
    /// The one-sided 95 % upper bound, for plots; `None` where it is undefined, and on segments.
    pub upper_bound: Option<f64>,
}

/// Candidate and champion on the same fresh hold-out, by one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The candidate's value; `None` when undefined.
    pub candidate: Option<Measured>,
    /// The champion's value; `None` without a champion or when undefined.
    pub champion: Option<Measured>,
    /// The candidate's improvement in each mode that is defined.
    pub improvements: BTreeMap<ImprovementMode, Improvement>,
}

/// A value that the pipeline measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomValue {
    /// The value; finite.
    pub value: f64,
    /// Its standard error, 0 or more; `None` if the pipeline does not say it.
    pub standard_error: Option<f64>,
}

/// A custom metric of `evaluation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomComparison {
    /// Which way is better, as the pipeline says.
    pub direction: Option<Direction>,
    /// The candidate's value.
    pub candidate: Option<CustomValue>,
    /// The champion's value.
    pub champion: Option<CustomValue>,
    /// What is wrong with what the pipeline says; a gate on the metric is Errored then.
    pub problems: Vec<String>,
}

/// The rows that have one value of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEvidence {
    /// The segment, a feature.
    pub segment: String,
    /// Its value; `None` for rows without one.
    pub value: Option<String>,
    /// How many rows have it.
    pub rows: u64,
    /// The metrics that gates ask for on this segment, where there are enough rows.
    pub metrics: BTreeMap<Metric, Comparison>,
}

impl SegmentEvidence {
    /// The segment and its value, for people.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}={}", self.segment, self.value.as_deref().unwrap_or("(missing)"))
    }
}

/// What was measured on a run's hold-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// How many rows were held out.
    pub rows: u64,
    /// By metric; every metric of the task is there, and those of returns where there are returns.
    pub metrics: BTreeMap<Metric, Comparison>,
    /// What the pipeline measured itself, by name.
    pub custom: BTreeMap<String, CustomComparison>,
    /// By segment and value, in that order: of the segments that gates name.
    pub segments: Vec<SegmentEvidence>,
    /// How many values of those segments are left out here because there are too many.
    pub segments_left_out: u64,
    /// The digest of the predictions it was computed from.
    pub predictions: Digest,
}

impl Evidence {
    /// Evidence of the whole hold-out alone.
    #[must_use]
    pub fn new(rows: u64, metrics: BTreeMap<Metric, Comparison>, predictions: Digest) -> Evidence {
        Evidence { rows, metrics, custom: BTreeMap::new(), segments: Vec::new(), segments_left_out: 0, predictions }
    }
}
