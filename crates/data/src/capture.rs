//! SageMaker data capture: one JSON line an invocation, with the request, the response and the time.
//!
//! A row's id is the caller's `inferenceId` where there is one and SageMaker's `eventId` otherwise, which is also what labels are joined on. An
//! invocation with several rows gives them the ids `<id>/0`, `<id>/1`, and so on; the label reader does the same. Either side may be missing, because
//! capture can be switched on for one only; its columns are missing values then. One bad line fails the file: a window that silently lacks rows would
//! be judged as if it were whole.

use std::borrow::Cow;

use serde::Deserialize;

use crate::answer::{ClassAnswer, class_answers};
use crate::build::{Cell, ColumnBuilder};
use crate::error::{ReadError, shorten};
use crate::frame::{Frame, Kind};
use crate::json::Object;
use crate::json_lines::content_lines;
use crate::limits::MAX_ROWS;
use crate::payload::{Body, Payload, feature_rows, scores};
use crate::read::guard;
use crate::text::{decode, unpack};
use crate::time::parse_time;

/// How to read captured requests and responses.
#[derive(Debug, Clone, Copy)]
pub struct CaptureOptions<'a> {
    /// The features with their kinds, in the order in which CSV requests carry them.
    pub features: &'a [(String, Kind)],
    /// The key of the score where a response is a JSON object.
    pub score_key: &'a str,
    /// What a response says.
    pub answers: Answers,
}

/// What a model's responses say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One number a row; the column `prediction` is numeric.
    Numbers,
    /// A list of probabilities or the name of a class a row; the column `prediction` is categorical, with the text of
    /// [`ClassAnswer`].
    Classes,
}

/// Captured invocations as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// The columns `id` (categorical), `ts` (time), `prediction` (numeric, or as [`Answers`] says) and then the features.
    pub frame: Frame,
    /// How many invocations there were; a row each, or several.
    pub invocations: usize,
    /// Invocations without a captured request.
    pub without_input: usize,
    /// Invocations without a captured response.
    pub without_output: usize,
}

/// One line of a capture file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) capture_data: CaptureData,
    pub(crate) event_metadata: EventMetadata,
}

/// Both sides of an invocation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaptureData {
    #[serde(default)]
    pub(crate) endpoint_input: Option<Body>,
    #[serde(default)]
    pub(crate) endpoint_output: Option<Body>,
}

/// Who and when; shared with ground truth.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventMetadata {
    event_id: String,
    #[serde(default)]
    inference_id: Option<String>,
    #[serde(default)]
    pub(crate) inference_time: Option<String>,
}

impl EventMetadata {
    /// The id that predictions and labels are joined on.
    pub(crate) fn into_id(self) -> String {
        self.inference_id.filter(|it| !it.is_empty()).unwrap_or(self.event_id)
    }
}

/// Reads a capture file whose JSON responses carry the score as a number or under `score`.
///
/// # Errors
/// Names the first line that cannot be used.
pub fn read_capture(bytes: &[u8], features: &[(String, Kind)]) -> Result<Capture, ReadError> {
    read_capture_with(bytes, CaptureOptions { features, score_key: "score", answers: Answers::Numbers })
}

/// Reads a capture file. No content, as in an empty file, is an error; see [`read_capture`].
///
/// # Errors
/// Names the first line that cannot be used.
pub fn read_capture_with(bytes: &[u8], options: CaptureOptions<'_>) -> Result<Capture, ReadError> {
    guard(|| {
        let bytes = unpack(bytes)?;
        let mut table = Table::new(options);
        for (line, content) in content_lines(decode(&bytes)?) {
            let record: Line = serde_json::from_str(content).map_err(|source| ReadError::Json { line, source })?;
            table.add(record, options).map_err(|problem| ReadError::Record { line, problem })?;
            if MAX_ROWS < table.n_rows {
                return Err(ReadError::TooLarge { what: "rows are", limit: MAX_ROWS as u64 });
            }
        }
        table.finish()
    })
}

/// The ids of `n_rows` rows of one invocation.
pub(crate) fn row_ids(id: String, n_rows: usize) -> Vec<String> {
    if n_rows == 1 { vec![id] } else { (0..n_rows).map(|it| format!("{id}/{it}")).collect() }
}

/// The `prediction` cells of a response.
fn predictions(payload: Payload, options: CaptureOptions<'_>) -> Result<Vec<Cell<'static>>, String> {
    match options.answers {
        Answers::Numbers => {
            let scores = scores(payload, options.score_key)?;
            Ok(scores.into_iter().map(|it| it.map_or(Cell::Missing, Cell::Number)).collect())
        }
        Answers::Classes => {
            let answers = class_answers(payload, options.score_key)?;
            let cell = |it: ClassAnswer| Cell::Text(Cow::Owned(it.to_text()));
            Ok(answers.into_iter().map(|it| it.map_or(Cell::Missing, cell)).collect())
        }
    }
}

struct Table {
    id: ColumnBuilder,
    ts: ColumnBuilder,
    prediction: ColumnBuilder,
    features: Vec<ColumnBuilder>,
    n_rows: usize,
    invocations: usize,
    without_input: usize,
    without_output: usize,
}

impl Table {
    fn new(options: CaptureOptions<'_>) -> Table {
        let kind = match options.answers {
            Answers::Numbers => Kind::Numeric,
            Answers::Classes => Kind::Categorical,
        };
        Table {
            id: ColumnBuilder::new("id", Kind::Categorical),
            ts: ColumnBuilder::new("ts", Kind::Time),
            prediction: ColumnBuilder::new("prediction", kind),
            features: options.features.iter().map(|(name, kind)| ColumnBuilder::new(name, *kind)).collect(),
            n_rows: 0,
            invocations: 0,
            without_input: 0,
            without_output: 0,
        }
    }

    fn add(&mut self, line: Line, options: CaptureOptions<'_>) -> Result<(), String> {
        let time = line.event_metadata.inference_time.as_deref().ok_or("no inferenceTime")?;
        let micros = parse_time(time).ok_or_else(|| format!("inferenceTime `{}` is not a time", shorten(time)))?;
        let names = options.features.iter().map(|(name, _)| name.as_str());
        let rows = line.capture_data.endpoint_input.map(|it| feature_rows(it.payload()?, names)).transpose()?;
        let predictions =
            line.capture_data.endpoint_output.map(|it| predictions(it.payload()?, options)).transpose()?;
        let n_rows = match (&rows, &predictions) {
            (None, None) => return Err("neither request nor response was captured".to_owned()),
            (Some(rows), None) => rows.len(),
            (None, Some(predictions)) => predictions.len(),
            (Some(rows), Some(predictions)) if rows.len() == predictions.len() => rows.len(),
            (Some(rows), Some(predictions)) => {
                return Err(format!("request has {} rows and response {}", rows.len(), predictions.len()));
            }
        };
        if n_rows == 0 {
            return Err("request and response are empty".to_owned());
        }
        self.invocations += 1;
        self.without_input += usize::from(rows.is_none());
        self.without_output += usize::from(predictions.is_none());
        for (at, id) in row_ids(line.event_metadata.into_id(), n_rows).into_iter().enumerate() {
            let row = rows.as_ref().map(|it| &it[at]);
            let prediction = predictions.as_ref().map_or(&Cell::Missing, |it| &it[at]);
            self.push(id, micros, row, prediction, options.features).map_err(describe)?;
        }
        self.n_rows += n_rows;
        Ok(())
    }

    fn push(
        &mut self,
        id: String,
        micros: i64,
        row: Option<&Object>,
        prediction: &Cell<'_>,
        features: &[(String, Kind)],
    ) -> Result<(), ReadError> {
        self.id.push(&Cell::Text(Cow::Owned(id)))?;
        self.ts.push(&Cell::Instant(micros))?;
        self.prediction.push(prediction)?;
        for (builder, (name, _)) in self.features.iter_mut().zip(features) {
            builder.push(row.map_or(&Cell::Missing, |it| it.get(name)))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Capture, ReadError> {
        let mut columns = vec![self.id.finish(), self.ts.finish(), self.prediction.finish()];
        columns.extend(self.features.into_iter().map(ColumnBuilder::finish));
        Ok(Capture {
            frame: Frame::new(columns).map_err(ReadError::Frame)?,
            invocations: self.invocations,
            without_input: self.without_input,
            without_output: self.without_output,
        })
    }
}

/// The part of a value error that does not repeat the position: the line says it.
fn describe(error: ReadError) -> String {
    match error {
        ReadError::Value { column, expected, value, .. } => {
            format!("column `{column}`: `{value}` is not a {expected} value")
        }
        ReadError::Inexact { column, value, .. } => format!("column `{column}`: `{value}` would be rounded"),
        other => other.to_string(),
    }
}
