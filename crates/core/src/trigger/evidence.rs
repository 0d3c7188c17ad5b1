//! What is measured on closed windows: the numbers that judgments rest on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Source, WindowVerdict};
use crate::package::Measured;
use crate::policy::DriftMetric;
use crate::window::Window;

/// The distance of one feature between a window and the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureEvidence {
    /// The feature.
    pub name: String,
    /// The distance.
    pub metric: DriftMetric,
    /// Its value; `None` when undefined (no values on one side).
    pub value: Option<f64>,
    /// How far the exact value may be from it: 0 when it was computed from every row.
    pub error_bound: f64,
    /// The probability of such a distance without drift; `None` where there is no test.
    pub p_value: Option<f64>,
    /// The 99.9 % quantile of the distance without drift at these sizes, where it is known and was asked for.
    pub chance: Option<f64>,
    /// How many values the baseline has.
    pub reference_rows: u64,
    /// How many values the window has.
    pub current_rows: u64,
    /// What that means under the policy in force, by the rule of `refit-stats`.
    pub finding: FeatureFinding,
}

impl FeatureEvidence {
    /// A feature of which nothing could be measured.
    #[must_use]
    pub fn unmeasured(name: String, metric: DriftMetric) -> FeatureEvidence {
        let finding = FeatureFinding { threshold: 0.0, q_value: None, verdict: WindowVerdict::Inconclusive };
        let (value, p_value, chance) = (None, None, None);
        let (error_bound, reference_rows, current_rows) = (0.0, 0, 0);
        FeatureEvidence { name, metric, value, error_bound, p_value, chance, reference_rows, current_rows, finding }
    }
}

/// What a distance means under a policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureFinding {
    /// From where on it counts.
    pub threshold: f64,
    /// The p-value corrected over the features judged together; `None` for one that took no part.
    pub q_value: Option<f64>,
    /// Stable, drifted, inconclusive or errored.
    pub verdict: WindowVerdict,
}

/// The champion's quality in a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityEvidence {
    /// The measured value; `None` when undefined (one class only, for example).
    pub measured: Option<Measured>,
    /// What was estimated for the window before its labels came; `None` where nothing was, and for an estimate itself.
    pub estimated: Option<f64>,
}

/// How estimates compared with what was measured once labels came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastEstimates {
    /// How many windows of this champion have both.
    pub windows: u32,
    /// The mean of measured less estimated.
    pub mean_error: f64,
    /// The largest difference, either way.
    pub largest: f64,
}

/// What was measured on one closed window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WindowEvidence {
    /// Its inputs.
    Drift {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many rows it has.
        rows: u64,
        /// Per feature, in the policy's order.
        features: Vec<FeatureEvidence>,
        /// What they mean together under the policy in force, by the rule of `refit-stats`.
        verdict: WindowVerdict,
    },
    /// The champion's predictions.
    Performance {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many labelled rows the champion predicted in it.
        rows: u64,
        /// The measured quality.
        quality: QualityEvidence,
    },
    /// The champion's scores, from which its quality is estimated before labels come.
    Estimate {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many rows the champion predicted in it.
        rows: u64,
        /// The estimated quality.
        quality: QualityEvidence,
        /// How earlier estimates held; `None` before the first.
        past: Option<PastEstimates>,
    },
    /// The champion's predictions against those on its hold-out.
    Predictions {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many rows the champion predicted in it.
        rows: u64,
        /// The distance; without a value when the hold-out's predictions are gone.
        distance: FeatureEvidence,
    },
    /// The champion's errors, one by one.
    Concept {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many errors the detector took.
        rows: u64,
        /// How often it alarmed.
        alarms: u64,
        /// The event time of the first alarm.
        first_alarm: Option<Timestamp>,
        /// Its state afterwards; `None` when errors cannot be measured, because the hold-out's are not known.
        detector: Option<serde_json::Value>,
    },
    /// How many of its inputs have no value.
    Upstream {
        /// The window.
        window: Window,
        /// On which data.
        source: Source,
        /// How many rows it has.
        rows: u64,
        /// The share of rows without a value, by feature.
        null_rates: BTreeMap<String, f64>,
    },
}
