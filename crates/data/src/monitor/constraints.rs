//! `constraints.json`: what the data, or a model's quality, has to keep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::statistics::{FeatureStatistics, InferredType, Statistics};
use super::{MonitorError, Number, read, write};

/// Values that a text column may have are listed up to this many: more are no fixed set.
const MAX_DOMAIN: usize = 100;

/// A file of constraints: on data (`features`), or on a model's quality.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Constraints {
    /// 0.
    #[serde(default)]
    pub version: Number,
    /// One for each column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureConstraints>,
    /// What is checked, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_config: Option<MonitoringConfig>,
    /// By metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binary_classification_constraints: BTreeMap<String, MetricConstraint>,
    /// By metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub multiclass_classification_constraints: BTreeMap<String, MetricConstraint>,
    /// By metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regression_constraints: BTreeMap<String, MetricConstraint>,
}

/// What a column has to keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureConstraints {
    /// The column.
    pub name: String,
    /// Its type.
    pub inferred_type: InferredType,
    /// The least share of rows with a value.
    #[serde(default)]
    pub completeness: Number,
    /// Of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_constraints: Option<NumberConstraints>,
    /// Of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_constraints: Option<TextConstraints>,
    /// What is checked otherwise for this column; read under both names that are in use.
    #[serde(
        default,
        rename = "monitoringConfigOverrides",
        alias = "monitoring_config_overrides",
        skip_serializing_if = "Option::is_none"
    )]
    pub monitoring_config_overrides: Option<Value>,
}

/// Of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberConstraints {
    /// Whether no value is below 0.
    pub is_non_negative: bool,
}

/// Of a text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TextConstraints {
    /// The values that it may have.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Overrides that a known bug of the service's tools writes here.
    #[serde(
        default,
        rename = "monitoringConfigOverrides",
        alias = "monitoring_config_overrides",
        skip_serializing_if = "Option::is_none"
    )]
    pub monitoring_config_overrides: Option<Value>,
}

/// What is checked, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitoringConfig {
    /// `Enabled` or `Disabled`.
    #[serde(default)]
    pub evaluate_constraints: String,
    /// `Enabled` or `Disabled`.
    #[serde(default)]
    pub emit_metrics: String,
    /// The least share of values of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype_check_threshold: Option<Number>,
    /// The least share of values within the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_content_threshold: Option<Number>,
    /// How distributions are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution_constraints: Option<DistributionConstraints>,
}

/// How distributions are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributionConstraints {
    /// `Enabled` or `Disabled`.
    #[serde(default)]
    pub perform_comparison: String,
    /// The largest distance.
    #[serde(default)]
    pub comparison_threshold: Number,
    /// `Robust` or `Simple`.
    #[serde(default)]
    pub comparison_method: String,
    /// The largest distance of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categorical_comparison_threshold: Option<Number>,
    /// The distance of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categorical_drift_method: Option<String>,
}

/// A limit on a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricConstraint {
    /// The limit.
    pub threshold: Number,
    /// `LessThanThreshold` or `GreaterThanThreshold`: what violates it.
    pub comparison_operator: String,
    /// Whatever else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_properties: Option<Value>,
}

impl Constraints {
    /// Reads a file.
    ///
    /// # Errors
    /// Says where it is not JSON of this form.
    pub fn read(bytes: &[u8]) -> Result<Constraints, MonitorError> {
        read(bytes, "constraints")
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }

    /// What data that looks like `statistics` keeps: its types, completeness, signs and small sets of values.
    #[must_use]
    pub fn suggest(statistics: &Statistics) -> Constraints {
        Constraints {
            features: statistics.features.iter().map(suggest).collect(),
            monitoring_config: Some(MonitoringConfig {
                evaluate_constraints: "Enabled".to_owned(),
                emit_metrics: "Enabled".to_owned(),
                datatype_check_threshold: Some(Number(1.0)),
                domain_content_threshold: Some(Number(1.0)),
                distribution_constraints: Some(DistributionConstraints {
                    perform_comparison: "Enabled".to_owned(),
                    comparison_threshold: Number(0.1),
                    comparison_method: "Robust".to_owned(),
                    categorical_comparison_threshold: None,
                    categorical_drift_method: None,
                }),
            }),
            ..Constraints::default()
        }
    }
}

fn suggest(of: &FeatureStatistics) -> FeatureConstraints {
    let domain = of.string_statistics.as_ref().and_then(|it| {
        let categories = &it.distribution.as_ref()?.categorical.buckets;
        let is_whole = categories.len() as f64 >= it.distinct_count.0 && categories.len() <= MAX_DOMAIN;
        is_whole.then(|| categories.iter().map(|it| it.value.clone()).collect())
    });
    FeatureConstraints {
        name: of.name.clone(),
        inferred_type: of.inferred_type,
        completeness: Number(of.completeness()),
        num_constraints: of
            .numerical_statistics
            .as_ref()
            .map(|it| NumberConstraints { is_non_negative: 0.0 <= it.min.0 }),
        string_constraints: of
            .string_statistics
            .as_ref()
            .map(|_| TextConstraints { domains: domain.unwrap_or_default(), monitoring_config_overrides: None }),
        monitoring_config_overrides: None,
    }
}

impl FeatureConstraints {
    /// A column of which nothing is known but that it has to be there.
    #[must_use]
    pub fn unknown(name: &str) -> FeatureConstraints {
        FeatureConstraints {
            name: name.to_owned(),
            inferred_type: InferredType::Unknown,
            completeness: Number(0.0),
            num_constraints: None,
            string_constraints: None,
            monitoring_config_overrides: None,
        }
    }
}
