//! Requests and answers: CSV, JSON and JSON Lines.
//!
//! | Content type | A request | Its answer |
//! |---|---|---|
//! | `text/csv` | rows in the order of the model's features; or with a header of their names, in any order | a line a row |
//! | `application/json` | one row as an object by feature name | `{"score": 1.5}` |
//! | | a list of rows, or `{"instances": […]}` | `{"predictions": [{"score": 1.5}, …]}` |
//! | `application/jsonlines` | one object a line | one object a line |
//!
//! With several classes a prediction is the list of their probabilities in the model's order, in CSV on one line. An
//! `Accept` header asks for another of the three.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use refit_data::{Frame, Kind, ReadOptions};
use serde_json::{Map, Value, json};

use crate::model::Scores;
use crate::request::Feature;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// What is wrong, where, and what to do.
    pub(super) message: String,
}

impl Refusal {
    /// The request is wrong.
    pub(super) fn wrong(message: impl Into<String>) -> Refusal {
        Refusal { status: 400, message: message.into() }
    }
}

/// How rows and scores are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Comma-separated values.
    Csv,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    JsonLines,
}

impl Format {
    /// The format of a media type, whatever its parameters.
    fn of(media_type: &str) -> Option<Format> {
        match media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/csv" => Some(Format::Csv),
            "application/json" => Some(Format::Json),
            "application/jsonlines" | "application/x-jsonlines" | "application/x-ndjson" => Some(Format::JsonLines),
            _ => None,
        }
    }

    /// What an answer is labeled with.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/json",
            Format::JsonLines => "application/jsonlines",
        }
    }
}

/// The rows of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The rows.
    pub(super) frame: Frame,
    /// How they came.
    pub(super) format: Format,
    /// Whether one row came by itself, and not as a list of one.
    pub(super) is_single: bool,
}

/// Reads the rows of a request.
pub(super) fn read(features: &[Feature], content_type: &str, body: &[u8]) -> Result<Asked, Refusal> {
    let format = Format::of(content_type).ok_or_else(|| Refusal {
        status: 415,
        message: format!(
            "content type `{}` is not read: send text/csv, application/json or application/jsonlines",
            content_type.escape_default()
        ),
    })?;
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::wrong(format!("the body is not UTF-8 from byte {} on", error.valid_up_to())))?;
    if text.trim().is_empty() {
        return Err(Refusal::wrong("the body is empty: send at least one row"));
    }
    let (table, is_single) = match format {
        Format::Csv => (with_header(features, text), false),
        Format::Json => from_json(features, text)?,
        Format::JsonLines => (check_lines(features, text)?, false),
    };
    let columns: Vec<(&str, Kind)> = features.iter().map(|it| (it.name.as_str(), it.kind)).collect();
    let frame = refit_data::read(&table.into_bytes(), &ReadOptions::columns(&columns))
        .map_err(|error| Refusal::wrong(crate::with_causes(&error)))?;
    if frame.rows() == 0 {
        return Err(Refusal::wrong("the body has a header and no rows: send at least one row"));
    }
    Ok(Asked { frame, format, is_single })
}

/// The format of the answer: what `Accept` asks for, or the request's own.
pub(super) fn negotiate(own: Format, accept: &str) -> Result<Format, Refusal> {
    let mut asked = accept.split(',').map(str::trim).filter(|it| !it.is_empty()).peekable();
    if asked.peek().is_none() {
        return Ok(own);
    }
    let chosen = asked.find_map(|it| if it.starts_with("*/*") { Some(own) } else { Format::of(it) });
    chosen.ok_or_else(|| Refusal {
        status: 406,
        message: "no type in Accept is written: ask for text/csv, application/json or application/jsonlines".to_owned(),
    })
}

/// The text with a header: its own when its first line names every feature, else the features in the model's order.
fn with_header(features: &[Feature], text: &str) -> String {
    let first = text.trim_start_matches(['\n', '\r']).lines().next().unwrap_or_default();
    let cells: BTreeSet<&str> = first.split(',').map(|it| it.trim().trim_matches('"')).collect();
    if features.iter().all(|it| cells.contains(it.name.as_str())) {
        return text.to_owned();
    }
    let names: Vec<String> = features.iter().map(|it| format!("\"{}\"", it.name.replace('"', "\"\""))).collect();
    format!("{}\n{text}", names.join(","))
}

/// One row, a list of rows or `{"instances": […]}` as lines; whether it is one row by itself.
fn from_json(features: &[Feature], text: &str) -> Result<(String, bool), Refusal> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| Refusal::wrong(format!("the body is not JSON: {error}")))?;
    let (rows, is_single, place) = match document {
        Value::Array(rows) => (rows, false, ""),
        Value::Object(mut members) if !is_row(features, &members) => match members.remove("instances") {
            Some(Value::Array(rows)) => (rows, false, "/instances"),
            Some(_) => return Err(Refusal::wrong("/instances: must be a list of rows")),
            None => (vec![Value::Object(members)], true, ""),
        },
        row => (vec![row], true, ""),
    };
    let mut lines = String::new();
    for (index, row) in rows.iter().enumerate() {
        let at = if is_single { "/".to_owned() } else { format!("{place}/{index}") };
        lines.push_str(&check_row(features, row, &at)?);
    }
    Ok((lines, is_single))
}

/// Whether an object is a row: it has a feature, though one of them may be called `instances`.
fn is_row(features: &[Feature], members: &Map<String, Value>) -> bool {
    features.iter().any(|it| members.contains_key(&it.name))
}

fn check_lines(features: &[Feature], text: &str) -> Result<String, Refusal> {
    let mut lines = String::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = format!("line {}", index + 1);
        let row: Value =
            serde_json::from_str(line).map_err(|error| Refusal::wrong(format!("{at}: is not JSON: {error}")))?;
        lines.push_str(&check_row(features, &row, &at)?);
    }
    Ok(lines)
}

/// A row as a line. A feature that is absent is a mistake; one that is null is missing.
fn check_row(features: &[Feature], row: &Value, at: &str) -> Result<String, Refusal> {
    let Value::Object(members) = row else {
        return Err(Refusal::wrong(format!("{at}: a row is an object by feature name")));
    };
    let absent: Vec<&str> =
        features.iter().map(|it| it.name.as_str()).filter(|it| !members.contains_key(*it)).collect();
    if !absent.is_empty() {
        let absent = absent.join("`, `");
        return Err(Refusal::wrong(format!("{at}: feature `{absent}` is absent; send null where it is not known")));
    }
    let kept: Map<String, Value> = features.iter().map(|it| (it.name.clone(), members[&it.name].clone())).collect();
    Ok(format!("{}\n", Value::Object(kept)))
}

/// Writes scores.
pub(super) fn write(scores: &Scores, prediction: &str, format: Format, is_single: bool) -> String {
    let values: Vec<Value> = match scores {
        Scores::Numbers(numbers) => numbers.iter().map(|it| json!(it)).collect(),
        Scores::Classes(rows) => rows.iter().map(|it| json!(it)).collect(),
    };
    let named = |value: &Value| json!({ prediction: value });
    let mut text = String::new();
    match format {
        Format::Csv => {
            for value in &values {
                let cells = value.as_array().map(|it| it.iter().map(Value::to_string).collect::<Vec<_>>().join(","));
                writeln!(text, "{}", cells.unwrap_or_else(|| value.to_string()))
                    .expect("invariant: a string takes all");
            }
        }
        Format::JsonLines => {
            for value in &values {
                writeln!(text, "{}", named(value)).expect("invariant: a string takes all");
            }
        }
        Format::Json => match values.as_slice() {
            [only] if is_single => text = named(only).to_string(),
            all => text = json!({ "predictions": all.iter().map(named).collect::<Vec<_>>() }).to_string(),
        },
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Vec<Feature> {
        let feature = |name: &str, kind| Feature { name: name.to_owned(), kind };
        vec![feature("color", Kind::Categorical), feature("size", Kind::Numeric)]
    }

    #[track_caller]
    fn check(content_type: &str, body: &str, rows: usize) {
        let asked = read(&features(), content_type, body.as_bytes()).expect("rows");
        assert_eq!(asked.frame.rows(), rows);
    }

    #[track_caller]
    fn refused(content_type: &str, body: &str) -> String {
        let refusal = read(&features(), content_type, body.as_bytes()).expect_err("refused");
        format!("{} {}", refusal.status, refusal.message)
    }

    #[test]
    fn rows_come_in_three_formats() {
        check("text/csv", "red,1\nblue,2", 2);
        check("text/csv; charset=utf-8", "size,color\n1,red\n", 1);
        check("application/json", r#"{"color": "red", "size": null}"#, 1);
        check("application/json", r#"[{"color": "red", "size": 1}, {"color": "x", "size": 2, "more": 3}]"#, 2);
        check("application/json", r#"{"instances": [{"color": "red", "size": 1}]}"#, 1);
        check("application/jsonlines", "{\"color\":\"red\",\"size\":1}\n\n{\"color\":\"red\",\"size\":2}\n", 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert!(refused("image/png", "x").starts_with("415 content type `image/png` is not read"));
        assert!(refused("text/csv", " \n").starts_with("400 the body is empty"));
        assert!(refused("application/json", "{").starts_with("400 the body is not JSON"));
        assert_eq!(
            refused("application/json", r#"[{"color": "red", "size": 1}, {"size": 1}]"#),
            "400 /1: feature `color` is absent; send null where it is not known"
        );
        assert_eq!(refused("application/json", "7"), "400 /: a row is an object by feature name");
        assert_eq!(refused("application/json", r#"{"instances": 7}"#), "400 /instances: must be a list of rows");
        assert!(refused("application/jsonlines", "{}\n").starts_with("400 line 1: feature `color`, `size` is absent"));
        assert!(refused("text/csv", "red,large").starts_with("400 "));
        assert!(refused("text/csv", "red").starts_with("400 "));
        assert!(refused("text/csv", "color,size\n").starts_with("400 "));
    }

    #[test]
    fn answers_have_the_requests_format_or_the_one_asked_for() {
        assert_eq!(negotiate(Format::Csv, ""), Ok(Format::Csv));
        assert_eq!(negotiate(Format::Csv, "*/*"), Ok(Format::Csv));
        assert_eq!(negotiate(Format::Csv, "image/png, application/json"), Ok(Format::Json));
        assert_eq!(negotiate(Format::Csv, "image/png").expect_err("refused").status, 406);
        let numbers = Scores::Numbers(vec![1.5, 2.0]);
        assert_eq!(write(&numbers, "score", Format::Csv, false), "1.5\n2.0\n");
        assert_eq!(write(&numbers, "p", Format::JsonLines, false), "{\"p\":1.5}\n{\"p\":2.0}\n");
        let classes = Scores::Classes(vec![vec![0.25, 0.75]]);
        assert_eq!(write(&classes, "score", Format::Csv, false), "0.25,0.75\n");
        assert_eq!(write(&classes, "score", Format::Json, true), r#"{"score":[0.25,0.75]}"#);
        assert_eq!(write(&classes, "score", Format::Json, false), r#"{"predictions":[{"score":[0.25,0.75]}]}"#);
    }
}
