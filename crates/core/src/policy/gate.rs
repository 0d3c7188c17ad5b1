//! What a candidate must meet.

use serde::{Deserialize, Serialize};

use super::{Direction, ImprovementMode, Metric};

/// What a gate looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMetric {
    /// What Refit measures itself, from `predictions.parquet`.
    Measured(Metric),
    /// What the pipeline says in `evaluation.json`.
    Custom(CustomMetric),
}

/// A metric that the pipeline measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// Its key under `metrics` in `evaluation.json`; never the name of a [`Metric`].
    pub name: String,
    /// Which way is better. `evaluation.json` has to say the same.
    pub direction: Direction,
    /// The values that it can take, ends included, if that is known.
    pub range: Option<(f64, f64)>,
}

impl GateMetric {
    /// The name in files.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            GateMetric::Measured(metric) => metric.name(),
            GateMetric::Custom(custom) => &custom.name,
        }
    }

    /// The metric, if Refit measures it.
    #[must_use]
    pub fn measured(&self) -> Option<Metric> {
        match self {
            GateMetric::Measured(metric) => Some(*metric),
            GateMetric::Custom(_) => None,
        }
    }

    /// Which way is better.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self {
            GateMetric::Measured(metric) => metric.direction(),
            GateMetric::Custom(custom) => custom.direction,
        }
    }

    /// The values that the metric can take, ends included.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        match self {
            GateMetric::Measured(metric) => metric.range(),
            GateMetric::Custom(custom) => custom.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY)),
        }
    }
}

impl From<Metric> for GateMetric {
    fn from(metric: Metric) -> GateMetric {
        GateMetric::Measured(metric)
    }
}

/// What a candidate must meet. At least one condition is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePolicy {
    /// The measure, on the hold-out.
    pub metric: GateMetric,
    /// The candidate's value is at least this.
    pub min: Option<f64>,
    /// The candidate's value is at most this.
    pub max: Option<f64>,
    /// The candidate is better than the champion by at least this much.
    pub min_improvement: Option<f64>,
    /// The candidate is worse than the champion by at most this much.
    pub max_regression: Option<f64>,
    /// How improvement and regression are measured. Default `relative`.
    pub mode: ImprovementMode,
    /// The one-sided 95 % lower bound of the improvement, in `mode`, is above this; negative for "not worse by more than".
    pub lower_bound_above: Option<f64>,
    /// The conditions hold on every value of these segments; empty (the default) for the hold-out as a whole.
    pub segments: Vec<String>,
    /// Values of a segment with fewer rows are not judged; at least 2. Default 100.
    pub min_segment_rows: u64,
    /// Measured and shown, never enforced. Default false.
    pub dry_run: bool,
}

impl GatePolicy {
    /// The default of [`GatePolicy::min_segment_rows`].
    pub const MIN_SEGMENT_ROWS: u64 = 100;

    /// A gate on the whole hold-out without any condition yet.
    #[must_use]
    pub fn on(metric: impl Into<GateMetric>) -> GatePolicy {
        GatePolicy {
            metric: metric.into(),
            min: None,
            max: None,
            min_improvement: None,
            max_regression: None,
            mode: ImprovementMode::Relative,
            lower_bound_above: None,
            segments: Vec::new(),
            min_segment_rows: Self::MIN_SEGMENT_ROWS,
            dry_run: false,
        }
    }
}
