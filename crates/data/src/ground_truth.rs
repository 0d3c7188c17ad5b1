//! Labels that arrive later, in SageMaker's ground-truth shape: one JSON line a label.

use serde::Deserialize;

use crate::build::Cell;
use crate::capture::{EventMetadata, row_ids};
use crate::csv::split_records;
use crate::error::{ReadError, shorten};
use crate::json_lines::content_lines;
use crate::number::{format_number, parse_number};
use crate::payload::{Body, Payload};
use crate::read::guard;
use crate::text::{decode, unpack};

/// What turned out to be true.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// A finite number.
    Number(f64),
    /// Anything else: the name of a class.
    Text(String),
}

impl Label {
    /// The class that the label names: see [`class_name`].
    #[must_use]
    pub fn class(&self) -> String {
        match self {
            Label::Number(value) => format_number(*value + 0.0),
            Label::Text(text) => class_name(text),
        }
    }
}

/// The name of the class that a text means: a text that spells a finite number is that number in its shortest form, so
/// that `2`, `2.0` and the number 2 are one class, whichever file they came from; any other text is itself.
///
/// ```
/// assert_eq!(refit_data::class_name("2.0"), "2");
/// assert_eq!(refit_data::class_name("two"), "two");
/// assert_eq!(refit_data::class_name("nan"), "nan");
/// ```
#[must_use]
pub fn class_name(text: &str) -> String {
    match parse_number(text) {
        // Zero has one sign.
        Ok(number) if number.is_finite() => format_number(number + 0.0),
        Ok(_) | Err(_) => text.to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    ground_truth_data: Body,
    event_metadata: EventMetadata,
}

/// Reads a label file as pairs of id and label, in the order of the file.
///
/// # Errors
/// Names the first line that cannot be used.
pub fn read_ground_truth(bytes: &[u8]) -> Result<Vec<(String, Label)>, ReadError> {
    guard(|| {
        let bytes = unpack(bytes)?;
        let mut pairs = Vec::new();
        for (line, content) in content_lines(decode(&bytes)?) {
            let record: Line = serde_json::from_str(content).map_err(|source| ReadError::Json { line, source })?;
            let labels = record
                .ground_truth_data
                .payload()
                .and_then(parse_labels)
                .map_err(|problem| ReadError::Record { line, problem })?;
            pairs.extend(row_ids(record.event_metadata.into_id(), labels.len()).into_iter().zip(labels));
        }
        Ok(pairs)
    })
}

fn parse_labels(payload: Payload) -> Result<Vec<Label>, String> {
    let labels: Vec<Label> = match payload {
        Payload::Json(text) => {
            let value = serde_json::from_str(&text).map_err(|error| format!("label is not JSON ({error})"))?;
            match value {
                serde_json::Value::Array(items) => items.into_iter().map(from_json).collect::<Result<_, _>>()?,
                single => vec![from_json(single)?],
            }
        }
        Payload::Csv(text) => {
            let records = split_records(&text).map_err(|error| format!("label is not CSV: {error}"))?;
            records.into_iter().map(from_record).collect::<Result<_, _>>()?
        }
    };
    if labels.is_empty() { Err("label is empty".to_owned()) } else { Ok(labels) }
}

fn from_json(value: serde_json::Value) -> Result<Label, String> {
    match value {
        serde_json::Value::Number(number) => {
            number.as_f64().map(Label::Number).ok_or_else(|| "label is not a number".to_owned())
        }
        serde_json::Value::String(text) => Ok(Label::Text(text)),
        serde_json::Value::Bool(is_true) => Ok(Label::Number(f64::from(u8::from(is_true)))),
        other => Err(format!("label `{}` is neither number nor text", shorten(&other.to_string()))),
    }
}

fn from_record(cells: Vec<Cell<'_>>) -> Result<Label, String> {
    match cells.as_slice() {
        [Cell::Raw(text)] => Ok(match parse_number(text) {
            Ok(number) if number.is_finite() => Label::Number(number),
            Ok(_) | Err(_) => Label::Text(text.clone().into_owned()),
        }),
        [_] => Err("label is empty".to_owned()),
        several => Err(format!("label has {} values", several.len())),
    }
}
