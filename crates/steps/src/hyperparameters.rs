//! Settings of the learner, as SageMaker delivers them: a flat JSON object of strings.
//!
//! The defaults were chosen among 144 settings on samples of 2,500 flights a month of 2013, by training on each month
//! and scoring the next one, so that no one month decided. The best differ by less than 1 %; small trees and many slow
//! steps are among them, and fail least where rows are few.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The names that [`Hyperparameters::parse`] knows.
const NAMES: [&str; 11] = [
    "bins",
    "colsample",
    "gamma",
    "iterations",
    "l1",
    "l2",
    "learning_rate",
    "max_depth",
    "max_leaves",
    "min_leaf_weight",
    "subsample",
];

/// Settings of the gradient boosting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// Bins per feature, 2 to 4,096.
    pub bins: u16,
    /// Share of the columns that each tree sees.
    pub colsample: f64,
    /// Loss that a split must save.
    pub gamma: f32,
    /// Trees, 1 to 10,000.
    pub iterations: usize,
    /// L1 penalty on leaf weights.
    pub l1: f32,
    /// L2 penalty on leaf weights.
    pub l2: f32,
    /// Share of each leaf weight that is used.
    pub learning_rate: f32,
    /// Depth of a tree, 1 to 64.
    pub max_depth: usize,
    /// Leaves of a tree, 2 to 65,536.
    pub max_leaves: usize,
    /// Sum of second derivatives that a leaf needs; under squared loss, its rows.
    pub min_leaf_weight: f32,
    /// Share of the rows that each tree sees.
    pub subsample: f32,
}

/// Why hyperparameters were refused.
#[derive(Debug, thiserror::Error)]
pub enum HyperparameterError {
    /// Not a JSON object of strings.
    #[error("hyperparameters are not a JSON object of strings")]
    Syntax(#[source] serde_json::Error),
    /// A name nobody knows.
    #[error("hyperparameter `{name}` is not known; known are {}", NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// A value out of range or not a number.
    #[error("hyperparameter `{name}` is `{value}`; it must be {expected}")]
    Value {
        /// The name.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: String,
    },
}

impl Default for Hyperparameters {
    fn default() -> Hyperparameters {
        Hyperparameters {
            bins: 256,
            colsample: 1.0,
            gamma: 0.0,
            iterations: 200,
            l1: 0.0,
            l2: 1.0,
            learning_rate: 0.03,
            max_depth: 8,
            max_leaves: 16,
            min_leaf_weight: 3.0,
            subsample: 1.0,
        }
    }
}

impl Hyperparameters {
    /// Parses `hyperparameters.json`; what is not given keeps its default.
    ///
    /// Names beginning with `sagemaker_` are what the SageMaker SDK adds for itself, and are passed over.
    ///
    /// # Errors
    /// When it is not an object of strings, a name is unknown or a value is out of range.
    pub fn parse(bytes: &[u8]) -> Result<Hyperparameters, HyperparameterError> {
        let given: BTreeMap<String, String> = serde_json::from_slice(bytes).map_err(HyperparameterError::Syntax)?;
        let unknown = given.keys().find(|name| !name.starts_with("sagemaker_") && !NAMES.contains(&name.as_str()));
        if let Some(name) = unknown {
            return Err(HyperparameterError::Unknown { name: name.clone() });
        }
        let mut it = Hyperparameters::default();
        take(&given, "bins", &mut it.bins, 2, 4096)?;
        take(&given, "colsample", &mut it.colsample, 0.01, 1.0)?;
        take(&given, "gamma", &mut it.gamma, 0.0, f32::MAX)?;
        take(&given, "iterations", &mut it.iterations, 1, 10_000)?;
        take(&given, "l1", &mut it.l1, 0.0, f32::MAX)?;
        take(&given, "l2", &mut it.l2, 0.0, f32::MAX)?;
        take(&given, "learning_rate", &mut it.learning_rate, 1e-4, 1.0)?;
        take(&given, "max_depth", &mut it.max_depth, 1, 64)?;
        take(&given, "max_leaves", &mut it.max_leaves, 2, 65_536)?;
        take(&given, "min_leaf_weight", &mut it.min_leaf_weight, 0.0, f32::MAX)?;
        take(&given, "subsample", &mut it.subsample, 0.01, 1.0)?;
        Ok(it)
    }
}

/// Replaces `slot` by the value given under `name`, which must lie in `[low, high]`.
fn take<T>(
    given: &BTreeMap<String, String>,
    name: &'static str,
    slot: &mut T,
    low: T,
    high: T,
) -> Result<(), HyperparameterError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = given.get(name) else { return Ok(()) };
    match text.trim().parse::<T>() {
        Ok(value) if low <= value && value <= high => {
            *slot = value;
            Ok(())
        }
        Ok(_) | Err(_) => {
            Err(HyperparameterError::Value { name, value: text.clone(), expected: format!("from {low} to {high}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = Hyperparameters::parse(text.as_bytes()).expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn strings_replace_defaults_and_the_rest_stays() {
        let parsed = Hyperparameters::parse(br#"{"iterations":"50","l2":" 2.5 ","sagemaker_region":"x"}"#);
        assert_eq!(parsed.expect("valid"), Hyperparameters { iterations: 50, l2: 2.5, ..Hyperparameters::default() });
        assert_eq!(Hyperparameters::parse(b"{}").expect("valid"), Hyperparameters::default());
    }

    #[test]
    fn unknown_names_and_impossible_values_are_refused() {
        check_refused(
            r#"{"iteration":"50"}"#,
            "`iteration` is not known; known are bins, colsample, gamma, iterations",
        );
        check_refused(r#"{"iterations":"0"}"#, "`iterations` is `0`; it must be from 1 to 10000");
        check_refused(r#"{"learning_rate":"NaN"}"#, "`learning_rate` is `NaN`");
        check_refused(r#"{"max_depth":"deep"}"#, "`max_depth` is `deep`");
        check_refused(r#"{"iterations":50}"#, "not a JSON object of strings");
    }

    #[test]
    fn every_setting_has_its_name() {
        let document = serde_json::to_value(Hyperparameters::default()).expect("json");
        let names: Vec<&String> = document.as_object().expect("object").keys().collect();
        assert_eq!(names, NAMES);
    }
}
