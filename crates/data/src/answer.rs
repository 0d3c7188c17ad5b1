//! Answers of models that tell classes apart: a list of probabilities, or the name of a class.

use serde_json::Value;

use crate::csv::split_records;
use crate::error::shorten;
use crate::ground_truth::class_name;
use crate::number::{format_number, parse_number};
use crate::payload::Payload;

/// One answer of a model that tells classes apart.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassAnswer {
    /// A probability of each class, in the order of the model's classes; at least two.
    Probabilities(Vec<f64>),
    /// The class that was predicted. A number is named by its shortest decimal.
    Class(String),
}

impl ClassAnswer {
    /// The answer as the text that a `prediction` column holds: a JSON list, or the name.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            ClassAnswer::Probabilities(values) => {
                let values: Vec<String> = values.iter().map(|it| format_number(*it)).collect();
                format!("[{}]", values.join(","))
            }
            ClassAnswer::Class(name) => name.clone(),
        }
    }

    /// The answer that a text of a `prediction` column stands for; text that is no list of numbers is a name.
    #[must_use]
    pub fn from_text(text: &str) -> ClassAnswer {
        let list = text.starts_with('[').then(|| serde_json::from_str::<Vec<f64>>(text).ok()).flatten();
        match list {
            Some(values) if 2 <= values.len() => ClassAnswer::Probabilities(values),
            Some(_) | None => ClassAnswer::Class(text.to_owned()),
        }
    }
}

/// The answers of a response: a list of numbers or a name, alone or under `score_key`; several of them in a list, in
/// `{"predictions": [...]}` or one a line; or CSV with a row for each.
pub(crate) fn class_answers(payload: Payload, score_key: &str) -> Result<Vec<Option<ClassAnswer>>, String> {
    match payload {
        Payload::Json(text) => {
            let mut found = Vec::new();
            for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
                let value = value.map_err(|error| format!("response is not JSON ({error})"))?;
                push(&value, score_key, &mut found)?;
            }
            Ok(found)
        }
        Payload::Csv(text) => {
            let records = split_records(&text).map_err(|error| format!("response is not CSV: {error}"))?;
            records.iter().map(|cells| of_cells(&cells.iter().map(text_of).collect::<Vec<_>>())).collect()
        }
    }
}

fn text_of<'a>(cell: &'a crate::build::Cell<'_>) -> &'a str {
    match cell {
        crate::build::Cell::Raw(text) | crate::build::Cell::Text(text) => text,
        crate::build::Cell::Missing
        | crate::build::Cell::Integer(_)
        | crate::build::Cell::Number(_)
        | crate::build::Cell::Bool(_)
        | crate::build::Cell::Instant(_)
        | crate::build::Cell::Nested => "",
    }
}

fn of_cells(cells: &[&str]) -> Result<Option<ClassAnswer>, String> {
    match cells {
        [] | [""] => Ok(None),
        [name] => Ok(Some(ClassAnswer::Class(class_name(name)))),
        several => {
            let values: Result<Vec<f64>, String> = several
                .iter()
                .map(|it| parse_number(it).map_err(|_| format!("probability `{}` is not a number", shorten(it))))
                .collect();
            values.map(|it| Some(ClassAnswer::Probabilities(it)))
        }
    }
}

fn push(value: &Value, score_key: &str, found: &mut Vec<Option<ClassAnswer>>) -> Result<(), String> {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
            found.push(Some(list(items)?));
        }
        Value::Array(items) => {
            for item in items {
                push(item, score_key, found)?;
            }
        }
        Value::Object(members) => match (members.get(score_key), members.get("predictions")) {
            (Some(answer), _) => found.push(one(answer)?),
            (None, Some(Value::Array(items))) => {
                for item in items {
                    push(item, score_key, found)?;
                }
            }
            (None, _) => return Err(format!("response has no `{}`", shorten(score_key))),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(one(value)?),
    }
    Ok(())
}

fn one(value: &Value) -> Result<Option<ClassAnswer>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) => list(items).map(Some),
        Value::String(name) if !name.is_empty() => Ok(Some(ClassAnswer::Class(class_name(name)))),
        Value::Number(number) => Ok(number.as_f64().map(|it| ClassAnswer::Class(format_number(it)))),
        Value::Bool(is_true) => Ok(Some(ClassAnswer::Class(is_true.to_string()))),
        Value::String(_) | Value::Object(_) => {
            Err(format!("prediction `{}` is neither a list of probabilities nor a class", shorten(&value.to_string())))
        }
    }
}

fn list(items: &[Value]) -> Result<ClassAnswer, String> {
    let values: Option<Vec<f64>> = items.iter().map(Value::as_f64).collect();
    match values {
        Some(values) if 2 <= values.len() => Ok(ClassAnswer::Probabilities(values)),
        Some(_) | None => {
            let text = Value::Array(items.to_vec()).to_string();
            Err(format!("prediction `{}` is not a list of at least two probabilities", shorten(&text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(response: &str, expected: &[&str]) {
        let payload = if response.starts_with(['{', '[', '"']) {
            Payload::Json(response.to_owned())
        } else {
            Payload::Csv(response.to_owned())
        };
        let found = class_answers(payload, "score").map(|it| {
            it.into_iter().map(|it| it.map_or_else(|| "-".to_owned(), |it| it.to_text())).collect::<Vec<_>>()
        });
        assert_eq!(found, Ok(expected.iter().map(|it| (*it).to_owned()).collect()));
    }

    #[test]
    fn answers_are_lists_or_names() {
        check(r#"{"score":[0.1,0.2,0.7]}"#, &["[0.1,0.2,0.7]"]);
        check(r#"{"score":"setosa"}"#, &["setosa"]);
        check(r#"{"score":2.0}"#, &["2"]);
        check(r#"{"score":null}"#, &["-"]);
        check("[0.5,0.5]", &["[0.5,0.5]"]);
        check("[[0.5,0.5],[1,0]]", &["[0.5,0.5]", "[1,0]"]);
        check(r#"["a","b"]"#, &["a", "b"]);
        check(r#"{"predictions":[{"score":[0.5,0.5]},{"score":"a"}]}"#, &["[0.5,0.5]", "a"]);
        check("0.1,0.9\n0.5,0.5\n", &["[0.1,0.9]", "[0.5,0.5]"]);
        check("setosa\n", &["setosa"]);
    }

    #[test]
    fn other_answers_are_refused() {
        for response in [r#"{"score":{}}"#, r#"{"score":[1]}"#, r#"{"score":[0.5,"x"]}"#, r#"{"other":1}"#] {
            assert!(class_answers(Payload::Json(response.to_owned()), "score").is_err(), "{response}");
        }
        assert!(class_answers(Payload::Csv("0.5,x\n".to_owned()), "score").is_err());
    }

    #[test]
    fn a_text_stands_for_its_answer() {
        for answer in [ClassAnswer::Probabilities(vec![0.1, 1e-12, 0.9]), ClassAnswer::Class("a".to_owned())] {
            assert_eq!(ClassAnswer::from_text(&answer.to_text()), answer);
        }
        assert_eq!(ClassAnswer::from_text("[1]"), ClassAnswer::Class("[1]".to_owned()));
    }
}
