//! The `data` of a captured request, response or label: text in one of SageMaker's three encodings, holding one row or several.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::base64::decode_base64;
use crate::build::Cell;
use crate::csv::split_records;
use crate::error::shorten;
use crate::json::Object;
use crate::number::parse_number;

/// One captured body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    data: String,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    observed_content_type: Option<String>,
}

/// What the text of a body is.
pub(crate) enum Payload {
    Json(String),
    Csv(String),
}

impl Body {
    /// The text, told apart by its encoding and, for base64, by its content type or first character.
    pub(crate) fn payload(self) -> Result<Payload, String> {
        match self.encoding.as_deref() {
            Some("JSON") => Ok(Payload::Json(self.data)),
            Some("CSV") => Ok(Payload::Csv(self.data)),
            Some("BASE64") => {
                let bytes = decode_base64(&self.data).ok_or("data is not base64")?;
                let text = String::from_utf8(bytes).map_err(|_| "data is not UTF-8 within base64")?;
                Ok(self.by_content(text))
            }
            None => {
                let text = self.data.clone();
                Ok(self.by_content(text))
            }
            Some(other) => Err(format!("encoding `{}` is not CSV, JSON or BASE64", shorten(other))),
        }
    }

    fn by_content(&self, text: String) -> Payload {
        let is_csv = self.observed_content_type.as_deref().is_some_and(|it| it.contains("csv"));
        if !is_csv && text.trim_ascii_start().starts_with(['{', '[', '"']) {
            Payload::Json(text)
        } else {
            Payload::Csv(text)
        }
    }
}

/// The rows of a request: a JSON object, a list of them, one a line, or CSV in the order of `features`.
pub(crate) fn feature_rows<'a>(
    payload: Payload,
    features: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<Object>, String> {
    match payload {
        Payload::Json(text) if text.trim_ascii_start().starts_with('[') => {
            serde_json::from_str(&text).map_err(|error| format!("request is not a list of objects ({error})"))
        }
        Payload::Json(text) => serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| format!("request is not a JSON object ({error})")),
        Payload::Csv(text) => {
            let records = split_records(&text).map_err(|error| format!("request is not CSV: {error}"))?;
            let n_features = features.clone().count();
            records.into_iter().map(|cells| name_cells(cells, features.clone(), n_features)).collect()
        }
    }
}

fn name_cells<'a>(
    cells: Vec<Cell<'_>>,
    features: impl Iterator<Item = &'a str>,
    n_features: usize,
) -> Result<Object, String> {
    if cells.len() != n_features {
        return Err(format!("request has {} values for {n_features} features", cells.len()));
    }
    Ok(Object(features.map(str::to_owned).zip(cells.into_iter().map(own)).collect()))
}

fn own(cell: Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Raw(text) => Cell::Raw(Cow::Owned(text.into_owned())),
        Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
        Cell::Missing => Cell::Missing,
        Cell::Integer(value) => Cell::Integer(value),
        Cell::Number(value) => Cell::Number(value),
        Cell::Bool(value) => Cell::Bool(value),
        Cell::Instant(value) => Cell::Instant(value),
        Cell::Nested => Cell::Nested,
    }
}

/// How many values the rows of a CSV request have.
pub(crate) fn n_values(text: &str) -> Result<usize, String> {
    let records = split_records(text).map_err(|error| format!("request is not CSV: {error}"))?;
    Ok(records.first().map_or(0, Vec::len))
}

/// The predictions of a response of which nothing is known: numbers and texts, alone or under `score` or `prediction`; several of them in a list or
/// one a line; the first column of CSV. Anything else is its JSON text.
pub(crate) fn answers(payload: Payload) -> Result<Vec<Cell<'static>>, String> {
    match payload {
        Payload::Json(text) => {
            let mut found = Vec::new();
            for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
                push_answers(value.map_err(|error| format!("response is not JSON ({error})"))?, &mut found);
            }
            Ok(found)
        }
        Payload::Csv(text) => {
            let records = split_records(&text).map_err(|error| format!("response is not CSV: {error}"))?;
            Ok(records.into_iter().map(|mut cells| own(cells.swap_remove(0))).collect())
        }
    }
}

fn push_answers(value: Value, found: &mut Vec<Cell<'static>>) {
    let text = |it: String| Cell::Text(Cow::Owned(it));
    match value {
        Value::Null => found.push(Cell::Missing),
        Value::Bool(value) => found.push(Cell::Bool(value)),
        Value::Number(number) => found.push(match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Cell::Integer(value.into()),
            (None, Some(value)) => Cell::Number(value),
            (None, None) => text(number.to_string()),
        }),
        Value::String(value) => found.push(text(value)),
        Value::Array(items) => items.into_iter().for_each(|it| push_answers(it, found)),
        Value::Object(mut members) => {
            let key = ["score", "prediction"].into_iter().find(|it| members.contains_key(*it));
            match (key.and_then(|it| members.remove(it)), members.remove("predictions")) {
                (Some(value @ (Value::Array(_) | Value::Object(_))), _) => found.push(text(value.to_string())),
                (Some(value), _) => push_answers(value, found),
                (None, Some(Value::Array(items))) => items.into_iter().for_each(|it| push_answers(it, found)),
                (None, _) => found.push(text(Value::Object(members).to_string())),
            }
        }
    }
}

/// The scores of a response: numbers, objects with `score_key`, lists of either, `{"predictions": [...]}`, or the first column of CSV.
pub(crate) fn scores(payload: Payload, score_key: &str) -> Result<Vec<Option<f64>>, String> {
    match payload {
        Payload::Json(text) => {
            let mut found = Vec::new();
            for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
                let value = value.map_err(|error| format!("response is not JSON ({error})"))?;
                push_scores(&value, score_key, &mut found)?;
            }
            Ok(found)
        }
        Payload::Csv(text) => {
            let records = split_records(&text).map_err(|error| format!("response is not CSV: {error}"))?;
            records.iter().map(|cells| first_number(&cells[0])).collect()
        }
    }
}

fn first_number(cell: &Cell<'_>) -> Result<Option<f64>, String> {
    match cell {
        Cell::Raw(text) => {
            parse_number(text).map(Some).map_err(|_| format!("prediction `{}` is not a number", shorten(text)))
        }
        _ => Ok(None),
    }
}

fn push_scores(value: &Value, score_key: &str, found: &mut Vec<Option<f64>>) -> Result<(), String> {
    let refused = |value: &Value| Err(format!("prediction `{}` is not a number", shorten(&value.to_string())));
    match value {
        Value::Null => found.push(None),
        Value::Number(number) => found.push(number.as_f64()),
        Value::String(text) => match parse_number(text) {
            Ok(number) => found.push(Some(number)),
            Err(_) => return refused(value),
        },
        Value::Array(items) => {
            for item in items {
                push_scores(item, score_key, found)?;
            }
        }
        Value::Object(members) => match (members.get(score_key), members.get("predictions")) {
            (Some(score @ (Value::Object(_) | Value::Array(_))), _) => return refused(score),
            (Some(score), _) => push_scores(score, score_key, found)?,
            (None, Some(Value::Array(items))) => {
                for item in items {
                    push_scores(item, score_key, found)?;
                }
            }
            (None, _) => return Err(format!("response has no `{}`", shorten(score_key))),
        },
        Value::Bool(_) => return refused(value),
    }
    Ok(())
}
