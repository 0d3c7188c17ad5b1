//! Data capture as a table, without a policy that says what the model's features are.
//!
//! The columns are `id`, `ts` and `prediction`, as [`read_capture_with`](crate::read_capture_with) explains them, then the features: the keys of JSON
//! requests. Requests in CSV have no names. Their values are the wanted columns other than those three, in the order in which they are wanted;
//! where all columns are asked for, they are called `_c0`, `_c1` and so on. A response that is neither a number, nor an object with `score` or
//! `prediction`, nor CSV gives its text as prediction.

use std::borrow::Cow;

use crate::build::{Cell, ColumnBuilder};
use crate::capture::{Line, row_ids};
use crate::error::{ReadError, shorten};
use crate::frame::Kind;
use crate::json::Object;
use crate::json_lines::{Guesses, push};
use crate::payload::{Payload, answers, feature_rows, n_values};
use crate::stream::TextStream;
use crate::text_table::{AfterRow, Seen};
use crate::time::parse_time;

const ID: &str = "id";
const TIME: &str = "ts";
const PREDICTION: &str = "prediction";

/// One row of an invocation.
struct Row {
    id: String,
    micros: i64,
    prediction: Cell<'static>,
    features: Option<Object>,
}

/// The columns of all lines, with inferred kinds.
pub(crate) fn infer(stream: TextStream<'_>) -> Result<Vec<(String, Kind)>, ReadError> {
    let mut guesses = Guesses::default();
    stream.each_line(&mut |line, content| {
        for row in rows(line, content, None)? {
            guesses.observe_cell(ID.to_owned(), &Cell::Text(Cow::Owned(row.id)))?;
            guesses.observe_cell(TIME.to_owned(), &Cell::Instant(row.micros))?;
            guesses.observe_cell(PREDICTION.to_owned(), &row.prediction)?;
            if let Some(features) = row.features {
                guesses.observe(features)?;
            }
        }
        Ok(())
    })?;
    let mut columns = guesses.finish();
    for (name, kind) in &mut columns {
        // An id that looks like a number is one still.
        if name == ID {
            *kind = Kind::Categorical;
        }
    }
    Ok(columns)
}

/// Reads the rows into `builders`, one for each of `wanted`.
pub(crate) fn read_rows(
    stream: TextStream<'_>,
    wanted: &[(String, Kind)],
    builders: &mut [ColumnBuilder],
    after_row: AfterRow<'_>,
) -> Result<(), ReadError> {
    let names: Vec<&str> =
        wanted.iter().map(|it| it.0.as_str()).filter(|it| ![ID, TIME, PREDICTION].contains(it)).collect();
    let mut seen = Seen::new(wanted);
    seen.observe([ID, TIME, PREDICTION].into_iter());
    stream.each_line(&mut |line, content| {
        for row in rows(line, content, Some(&names))? {
            let features = row.features.as_ref();
            seen.observe(features.iter().flat_map(|it| it.0.iter().map(|it| it.0.as_str())));
            let (id, time) = (Cell::Text(Cow::Owned(row.id)), Cell::Instant(row.micros));
            for (builder, (name, _)) in builders.iter_mut().zip(wanted) {
                let cell = match name.as_str() {
                    ID => &id,
                    TIME => &time,
                    PREDICTION => &row.prediction,
                    name => features.map_or(&Cell::Missing, |it| it.get(name)),
                };
                push(builder, cell, line)?;
            }
            after_row(builders)?;
        }
        Ok(())
    })?;
    seen.check()
}

fn rows(line: usize, content: &str, names: Option<&[&str]>) -> Result<Vec<Row>, ReadError> {
    let record: Line = serde_json::from_str(content).map_err(|source| ReadError::Json { line, source })?;
    rows_of(record, names).map_err(|problem| ReadError::Record { line, problem })
}

fn rows_of(line: Line, names: Option<&[&str]>) -> Result<Vec<Row>, String> {
    let time = line.event_metadata.inference_time.as_deref().ok_or("no inferenceTime")?;
    let micros = parse_time(time).ok_or_else(|| format!("inferenceTime `{}` is not a time", shorten(time)))?;
    let requests = line.capture_data.endpoint_input.map(|it| requests(it.payload()?, names)).transpose()?;
    let answers = line.capture_data.endpoint_output.map(|it| answers(it.payload()?)).transpose()?;
    let n_rows = match (&requests, &answers) {
        (None, None) => return Err("neither request nor response was captured".to_owned()),
        (Some(rows), None) => rows.len(),
        (None, Some(rows)) => rows.len(),
        (Some(rows), Some(answers)) if rows.len() == answers.len() => rows.len(),
        (Some(rows), Some(answers)) => {
            return Err(format!("request has {} rows and response {}", rows.len(), answers.len()));
        }
    };
    if n_rows == 0 {
        return Err("request and response are empty".to_owned());
    }
    let mut requests = requests.into_iter().flatten();
    let mut answers = answers.into_iter().flatten();
    let ids = row_ids(line.event_metadata.into_id(), n_rows).into_iter();
    let row = |id| Row { id, micros, prediction: answers.next().unwrap_or(Cell::Missing), features: requests.next() };
    Ok(ids.map(row).collect())
}

fn requests(payload: Payload, names: Option<&[&str]>) -> Result<Vec<Object>, String> {
    match (&payload, names) {
        (Payload::Json(_), _) => feature_rows(payload, std::iter::empty()),
        (Payload::Csv(_), Some(names)) => feature_rows(payload, names.iter().copied()),
        (Payload::Csv(text), None) => {
            let names: Vec<String> = (0..n_values(text)?).map(|it| format!("_c{it}")).collect();
            feature_rows(payload, names.iter().map(String::as_str))
        }
    }
}
