//! `statistics.json`: what the data looks like, or how good a model is.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{MonitorError, Number, read, write};

/// A file of statistics: of data (`features`), or of a model's quality (one of the three kinds of metrics).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// 0.
    #[serde(default)]
    pub version: Number,
    /// How many rows there were.
    #[serde(default)]
    pub dataset: Dataset,
    /// One for each column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureStatistics>,
    /// Metrics of two classes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "metrics")]
    pub binary_classification_metrics: BTreeMap<String, MetricValue>,
    /// Metrics of several classes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "metrics")]
    pub multiclass_classification_metrics: BTreeMap<String, MetricValue>,
    /// Metrics of numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "metrics")]
    pub regression_metrics: BTreeMap<String, MetricValue>,
}

/// How many rows there were.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Dataset {
    /// Rows.
    #[serde(default)]
    pub item_count: Number,
}

/// The type that the monitor saw in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InferredType {
    /// Whole numbers.
    Integral,
    /// Numbers.
    Fractional,
    /// Texts.
    String,
    /// None of these.
    #[serde(other)]
    Unknown,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    /// The column.
    pub name: String,
    /// Its type.
    pub inferred_type: InferredType,
    /// Of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerical_statistics: Option<NumberStatistics>,
    /// Of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_statistics: Option<TextStatistics>,
}

/// Values and missing values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Common {
    /// Rows with a value.
    pub num_present: Number,
    /// Rows without one.
    pub num_missing: Number,
}

/// Statistics of a numeric column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NumberStatistics {
    pub common: Common,
    pub mean: Number,
    pub sum: Number,
    pub std_dev: Number,
    pub min: Number,
    pub max: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
}

/// How the values of a number are distributed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Distribution {
    /// Ten bins of equal width, and the sketch they are from.
    pub kll: Histogram,
}

/// Bins, and the sketch they are from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// The bins, rising.
    #[serde(default)]
    pub buckets: Vec<Bucket>,
    /// Deequ's KLL sketch; what Refit writes has none, since its counts are exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Sketch>,
}

/// A bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its lower end, which belongs to it.
    pub lower_bound: Number,
    /// Its upper end, which belongs to the next one, if there is one.
    pub upper_bound: Number,
    /// Values within.
    pub count: Number,
}

/// A KLL sketch: the items of level `i` stand for 2^i values each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sketch {
    /// How it was made.
    pub parameters: SketchParameters,
    /// Items by level.
    pub data: Vec<Vec<Number>>,
}

/// How a sketch was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SketchParameters {
    /// How levels shrink.
    pub c: Number,
    /// The size of the top level.
    pub k: Number,
}

/// Statistics of a text column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TextStatistics {
    /// Values and missing values.
    pub common: Common,
    /// How many different values there are.
    pub distinct_count: Number,
    /// The most frequent of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<TextDistribution>,
}

/// How the values of a text are distributed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TextDistribution {
    /// By value.
    pub categorical: Categories,
}

/// Counts by value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Categories {
    /// By value.
    #[serde(default)]
    pub buckets: Vec<Category>,
}

/// A value with its count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// The value.
    pub value: String,
    /// Rows that have it.
    pub count: Number,
}

/// A metric of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// The value.
    pub value: Number,
    /// Of five random samples of 80 %; NaN below 200 rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_deviation: Option<Number>,
}

/// The metrics that are one value; matrices and curves are left out.
fn metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, MetricValue>, D::Error> {
    let all = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let one = |(name, value): (String, Value)| serde_json::from_value(value).ok().map(|it| (name, it));
    Ok(all.into_iter().filter_map(one).collect())
}

impl Statistics {
    /// Reads a file.
    ///
    /// # Errors
    /// Says where it is not JSON of this form.
    pub fn read(bytes: &[u8]) -> Result<Statistics, MonitorError> {
        read(bytes, "statistics")
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }
}

impl FeatureStatistics {
    /// Values and missing values, whatever the type.
    #[must_use]
    pub fn common(&self) -> Common {
        let numbers = self.numerical_statistics.as_ref().map(|it| it.common);
        numbers.or(self.string_statistics.as_ref().map(|it| it.common)).unwrap_or_default()
    }

    /// The share of rows that have a value; 1 without rows.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        let Common { num_present, num_missing } = self.common();
        let all = num_present.0 + num_missing.0;
        if 0.0 < all { num_present.0 / all } else { 1.0 }
    }
}
