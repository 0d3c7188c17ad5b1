//! `request.json`: what one retraining run is asked to do, written once by the control plane.
//!
//! Parameters of a pipeline are flat strings, so the columns, the segments and the intervals travel in this document,
//! which every step receives unchanged. All four steps read the same bytes, so they cannot disagree.
//!
//! Invariants of a [`Request`] that was parsed: intervals are not empty, the hold-out does not begin before training
//! ends, names are distinct and not reserved, segments are declared features.

use std::path::Path;

use jiff::Timestamp;
use refit_data::Kind;
use serde::{Deserialize, Serialize};

use crate::StepError;

/// Column names that the steps' own files use; no feature may have them.
const RESERVED: [&str; 3] = ["id", "ts", "label"];

/// What the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A number.
    Regression,
    /// The probability that the label is 1.
    Binary,
    /// The probability of each of several classes.
    Multiclass,
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Task::Regression => "regression",
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
        })
    }
}

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// From nothing, on the whole training interval.
    Full,
    /// From the champion's model, on the rows that it has not seen.
    Incremental,
}

/// A declared feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column's name, the same in history files and captured requests.
    pub name: String,
    /// Numeric or categorical.
    pub kind: Kind,
}

/// A half-open interval of event time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Interval {
    /// Whether a moment, in microseconds since the epoch, lies inside.
    #[must_use]
    pub fn contains_micros(&self, micros: i64) -> bool {
        self.start.as_microsecond() <= micros && micros < self.end.as_microsecond()
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

/// One retraining run's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Version of this document, 1.
    pub schema: u16,
    /// The retraining run.
    pub run_id: String,
    /// The monitored model.
    pub model: String,
    /// What is predicted.
    pub task: Task,
    /// The history files' time column.
    pub time: String,
    /// The history files' label column.
    pub label: String,
    /// The key of the score in captured answers.
    pub prediction: String,
    /// What the model sees, in order.
    pub features: Vec<Feature>,
    /// Features whose values name the slices that are judged one by one.
    pub segments: Vec<String>,
    /// How to train.
    pub strategy: Strategy,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// Rows to learn from.
    pub train: Interval,
    /// Rows to judge by.
    pub holdout: Interval,
}

impl Request {
    /// Reads and checks the request at `path`.
    ///
    /// # Errors
    /// When the file is missing, is not such a document or asks for something impossible.
    pub fn read(path: &Path) -> Result<Request, StepError> {
        let bytes =
            std::fs::read(path).map_err(|source| StepError::Read { path: path.display().to_string(), source })?;
        Request::parse(&bytes)
    }

    /// Parses and checks a request.
    ///
    /// # Errors
    /// When the bytes are not such a document or it asks for something impossible.
    pub fn parse(bytes: &[u8]) -> Result<Request, StepError> {
        let request: Request = serde_json::from_slice(bytes).map_err(StepError::RequestSyntax)?;
        match request.find_problem() {
            Some(problem) => Err(StepError::Request { problem }),
            None => Ok(request),
        }
    }

    /// The span from which rows are needed, `[train.start, holdout.end)`.
    #[must_use]
    pub fn span(&self) -> Interval {
        Interval { start: self.train.start, end: self.holdout.end }
    }

    fn find_problem(&self) -> Option<String> {
        if self.schema != 1 {
            return Some(format!("schema {} is not known; this program reads schema 1", self.schema));
        }
        for (name, interval) in [("train", &self.train), ("holdout", &self.holdout)] {
            if interval.end <= interval.start {
                return Some(format!("interval `{name}` {interval} is empty"));
            }
        }
        if self.holdout.start < self.train.end {
            return Some(format!("hold-out {} begins before training {} ends", self.holdout, self.train));
        }
        if self.features.is_empty() {
            return Some("no features are declared".to_owned());
        }
        for (index, feature) in self.features.iter().enumerate() {
            let name = &feature.name;
            if feature.kind == Kind::Time {
                return Some(format!("feature `{name}` is of kind time; declare it numeric or categorical"));
            }
            if RESERVED.contains(&name.as_str()) || *name == self.time || *name == self.label {
                return Some(format!("feature `{name}` has the name of the id, time or label column"));
            }
            if self.features[..index].iter().any(|it| it.name == *name) {
                return Some(format!("feature `{name}` is declared twice"));
            }
        }
        let unknown = self.segments.iter().find(|name| !self.features.iter().any(|it| it.name == **name));
        unknown.map(|name| format!("segment `{name}` is not a declared feature"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A valid request, which tests of other modules change.
    pub(crate) fn example() -> serde_json::Value {
        serde_json::json!({
            "schema": 1, "run_id": "flight-time-r0003", "model": "flight-time", "task": "regression",
            "time": "ts", "label": "air_time", "prediction": "score",
            "features": [{"name": "carrier", "kind": "categorical"}, {"name": "distance", "kind": "numeric"}],
            "segments": ["carrier"], "strategy": "full", "seed": 123,
            "train": {"start": "2013-01-01T00:00:00Z", "end": "2013-02-01T00:00:00Z"},
            "holdout": {"start": "2013-02-01T00:00:00Z", "end": "2013-03-01T00:00:00Z"}
        })
    }

    #[track_caller]
    fn check_refused(pointer: &str, value: serde_json::Value, expected: &str) {
        let mut document = example();
        *document.pointer_mut(pointer).expect("pointer") = value;
        let error = Request::parse(document.to_string().as_bytes()).expect_err("refused");
        let text = crate::error::with_causes(&error);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_documented_request_parses() {
        let request = Request::parse(example().to_string().as_bytes()).expect("valid");
        assert_eq!(request.task, Task::Regression);
        assert!(request.train.contains_micros(request.train.start.as_microsecond()));
        assert!(!request.train.contains_micros(request.train.end.as_microsecond()));
    }

    #[test]
    fn impossible_requests_are_refused_by_name() {
        use serde_json::json;
        check_refused("/schema", json!(2), "schema 2 is not known");
        check_refused("/strategy", json!("warm"), "unknown variant `warm`, expected `full` or `incremental`");
        check_refused("/train/end", json!("2012-01-01T00:00:00Z"), "interval `train`");
        check_refused("/holdout/start", json!("2013-01-31T00:00:00Z"), "begins before training");
        check_refused("/features", json!([]), "no features");
        check_refused("/features/0/name", json!("label"), "feature `label`");
        check_refused("/features/0/name", json!("distance"), "declared twice");
        check_refused("/features/0/kind", json!("time"), "kind time");
        check_refused("/segments/0", json!("origin"), "segment `origin`");
        check_refused("/task", json!("ranking"), "unknown variant `ranking`");
        check_refused(
            "/train",
            json!({"start": "2013-01-01T00:00:00Z", "end": "2013-02-01T00:00:00Z", "x": 1}),
            "unknown field",
        );
    }
}
