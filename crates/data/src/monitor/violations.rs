//! `constraint_violations.json`: what was not kept.

use serde::{Deserialize, Serialize};

use super::constraints::{Constraints, FeatureConstraints};
use super::statistics::{FeatureStatistics, InferredType, Statistics};
use super::{MonitorError, Number, read, write};
use crate::report::DriftReport;

/// A file of violations, of data, of a model's quality, of bias or of attributions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Violations {
    /// Of bias and attributions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was not kept.
    #[serde(default)]
    pub violations: Vec<Violation>,
}

/// One thing that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The column, of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_name: Option<String>,
    /// The metric, of quality, bias and attributions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// The group, of bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<String>,
    /// The group's value, of bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet_value: Option<String>,
    /// The label, of attributions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which check; unknown ones are kept as they are.
    pub constraint_check_type: String,
    /// In words.
    #[serde(default)]
    pub description: String,
}

/// The checks of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckType {
    /// Values of another type.
    DataType,
    /// Too many missing values.
    Completeness,
    /// A distance beyond its threshold.
    BaselineDrift,
    /// A column is not there.
    MissingColumn,
    /// A column is new.
    ExtraColumn,
    /// Values outside the domain.
    CategoricalValues,
}

impl CheckType {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CheckType::DataType => "data_type_check",
            CheckType::Completeness => "completeness_check",
            CheckType::BaselineDrift => "baseline_drift_check",
            CheckType::MissingColumn => "missing_column_check",
            CheckType::ExtraColumn => "extra_column_check",
            CheckType::CategoricalValues => "categorical_values_check",
        }
    }
}

impl Violations {
    /// Reads a file.
    ///
    /// # Errors
    /// Says where it is not JSON of this form.
    pub fn read(bytes: &[u8]) -> Result<Violations, MonitorError> {
        read(bytes, "violations")
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }
}

impl Violation {
    fn of(feature: &str, check: CheckType, description: String) -> Violation {
        Violation {
            feature_name: Some(feature.to_owned()),
            metric_name: None,
            facet: None,
            facet_value: None,
            label: None,
            constraint_check_type: check.name().to_owned(),
            description,
        }
    }

    /// The distance and the threshold that a description of drift has, which stand nowhere else.
    ///
    /// ```
    /// use refit_data::monitor::Violations;
    /// let text = br#"{"violations":[{"feature_name":"x","constraint_check_type":"baseline_drift_check",
    ///     "description":"Baseline drift distance: 0.35 exceeds threshold: 0.1"}]}"#;
    /// assert_eq!(Violations::read(text)?.violations[0].distance(), Some((0.35, 0.1)));
    /// # Ok::<(), refit_data::monitor::MonitorError>(())
    /// ```
    #[must_use]
    pub fn distance(&self) -> Option<(f64, f64)> {
        let (before, after) = self.description.split_once(" exceeds ")?;
        let distance = before.rsplit_once("distance: ")?.1;
        let threshold = after.rsplit_once("threshold: ")?.1.trim_end_matches('.');
        Some((distance.trim().parse().ok()?, threshold.trim().parse().ok()?))
    }
}

/// What `current` does not keep of `constraints`, and what drifted by `report`.
#[must_use]
pub fn violations_of(constraints: &Constraints, current: &Statistics, report: &DriftReport) -> Violations {
    let mut violations = Vec::new();
    for constraint in &constraints.features {
        match current.features.iter().find(|it| it.name == constraint.name) {
            Some(found) => check(constraint, found, &mut violations),
            None => violations.push(Violation::of(
                &constraint.name,
                CheckType::MissingColumn,
                "There are missing columns in current dataset. Number of columns in current dataset is lower than in baseline constraints.".to_owned(),
            )),
        }
    }
    for column in report.ignored.iter().filter(|it| it.reason == crate::report::NOT_IN_REFERENCE) {
        let told = "There are extra columns in current dataset.".to_owned();
        violations.push(Violation::of(&column.name, CheckType::ExtraColumn, told));
    }
    let drifted = report.features.iter().filter(|it| it.verdict == refit_stats::verdict::Verdict::Drifted);
    for feature in drifted {
        if let Some(score) = feature.decisive() {
            let told = format!("Baseline drift distance: {} exceeds threshold: {}", score.value, feature.threshold);
            violations.push(Violation::of(&feature.name, CheckType::BaselineDrift, told));
        }
    }
    Violations { version: None, violations }
}

fn check(constraint: &FeatureConstraints, found: &FeatureStatistics, violations: &mut Vec<Violation>) {
    let name = &constraint.name;
    if constraint.inferred_type == InferredType::Integral && found.inferred_type == InferredType::Fractional {
        let told = "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. Observed: Fractional.";
        violations.push(Violation::of(name, CheckType::DataType, told.to_owned()));
    }
    let Number(expected) = constraint.completeness;
    if found.completeness() < expected {
        let told = format!(
            "Value: {} does not meet the constraint requirement. Expected completeness: {}%.",
            found.completeness(),
            100.0 * expected
        );
        violations.push(Violation::of(name, CheckType::Completeness, told));
    }
    let domain = constraint.string_constraints.as_ref().map_or(&[][..], |it| &it.domains);
    let categories = found.string_statistics.as_ref().and_then(|it| it.distribution.as_ref());
    if let Some(categories) = categories.filter(|_| !domain.is_empty()) {
        let (mut outside, mut all) = (0.0, 0.0);
        for it in &categories.categorical.buckets {
            all += it.count.0;
            outside += if domain.contains(&it.value) { 0.0 } else { it.count.0 };
        }
        if 0.0 < outside {
            let told = format!(
                "Value: {} does not meet the constraint requirement. Expected share of values in the domain: 100.0%.",
                1.0 - outside / all
            );
            violations.push(Violation::of(name, CheckType::CategoricalValues, told));
        }
    }
}
