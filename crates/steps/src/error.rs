//! What can go wrong in a step, and the one place where it is told to SageMaker.
//!
//! An error's own text leaves its cause out; [`with_causes`] joins the chain for people. SageMaker shows the first
//! kilobyte of one file, so the report is cut there at a character border: a message that is not UTF-8 fails the job
//! without any reason at all.

use std::error::Error;

use crate::encode::EncodeError;
use crate::engine::EngineError;
use crate::hyperparameters::HyperparameterError;
use crate::model::ModelError;
use crate::request::Interval;

/// SageMaker keeps at most this much of a failure's text.
pub const MAX_REPORT_BYTES: usize = 1024;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A file or folder could not be read.
    #[error("`{path}` could not be read")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("`{path}` could not be written")]
    Write {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A document of an earlier step does not parse.
    #[error("document `{path}` does not parse")]
    Document {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request does not parse.
    #[error("request.json does not parse")]
    RequestSyntax(#[source] serde_json::Error),
    /// The request asks for something impossible.
    #[error("request.json cannot be carried out: {problem}")]
    Request {
        /// What is wrong.
        problem: String,
    },
    /// A data file is not readable as what it should be.
    #[error("data file `{path}` could not be read")]
    Data {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: refit_data::ReadError,
    },
    /// A value is not what a label or time must be.
    #[error("data file `{path}`, row {row}, column `{column}`: {problem}")]
    Value {
        /// The file.
        path: String,
        /// The row, from 1, the header not counted.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// Not enough rows to train or to judge.
    #[error(
        "{found} labeled rows in the {part} interval {interval} where at least {needed} are needed; widen \
         `training.{setting}`, or wait until more labels have arrived"
    )]
    TooFewRows {
        /// `training` or `hold-out`.
        part: &'static str,
        /// The policy setting that makes it longer.
        setting: &'static str,
        /// Rows there were.
        found: usize,
        /// Rows there must be.
        needed: usize,
        /// The interval.
        interval: Interval,
    },
    /// The label takes more values than classes can be learned.
    #[error(
        "the label has {found} different values in the training rows; at most {limit} classes are learned: a label that is \
         a number is predicted by the task `regression`"
    )]
    TooManyClasses {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Columns do not form a table.
    #[error("columns do not form a table")]
    Table(#[source] refit_data::FrameError),
    /// The encoder does not fit the rows.
    #[error("features could not be encoded")]
    Encode(#[source] EncodeError),
    /// The encoded rows do not belong to the encoder.
    #[error("the encoded training rows do not belong to features.json: {problem}")]
    Mismatch {
        /// What differs.
        problem: String,
    },
    /// The hyperparameters are refused.
    #[error("hyperparameters.json was refused")]
    Hyperparameters(#[source] HyperparameterError),
    /// The engine cannot learn from the rows.
    #[error("the candidate could not be trained")]
    Engine(#[source] EngineError),
    /// The address cannot be listened on.
    #[error("`{address}` cannot be listened on")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server broke")]
    Serve(#[source] std::io::Error),
    /// A model cannot be read or used.
    #[error("the {role}'s model cannot be used")]
    Model {
        /// `candidate`, `champion` or `served model`.
        role: &'static str,
        /// Why.
        #[source]
        source: ModelError,
    },
}

/// An error with its causes, on one line.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The text cut to what SageMaker keeps, at a character border.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_REPORT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_name_every_cause_and_fit_into_a_kilobyte() {
        let source = serde_json::from_str::<u8>("x").expect_err("not a number");
        let text = with_causes(&StepError::RequestSyntax(source));
        assert!(text.starts_with("request.json does not parse: expected value"), "{text}");
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(700);
        assert_eq!(cut(&format!("x{long}")).len(), 1023);
        assert_eq!(cut(&long).len(), 1024);
    }
}
