//! Capture and label lines as SageMaker writes them, for the local endpoint and the simulator.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::csv_write::push_csv_text;
use crate::frame::{Frame, Values};
use crate::ground_truth::Label;
use crate::number::format_number;
use crate::time::format_time;

/// One invocation, as it went over the wire.
#[derive(Debug, Clone, Copy)]
pub struct CaptureLine<'a> {
    /// SageMaker's own id of the invocation.
    pub event_id: &'a str,
    /// The id that the caller gave, if any.
    pub inference_id: Option<&'a str>,
    /// When it was answered, in microseconds since the epoch.
    pub time_micros: i64,
    /// The JSON text of the request.
    pub input: &'a str,
    /// The JSON text of the response.
    pub output: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    capture_data: CaptureData<'a>,
    event_metadata: CaptureMetadata<'a>,
    event_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaptureData<'a> {
    endpoint_input: Body<'a>,
    endpoint_output: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    observed_content_type: &'static str,
    mode: &'static str,
    data: &'a str,
    encoding: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaptureMetadata<'a> {
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_id: Option<&'a str>,
    inference_time: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelLine<'a> {
    ground_truth_data: LabelData,
    event_metadata: LabelMetadata<'a>,
    event_version: &'static str,
}

#[derive(Serialize)]
struct LabelData {
    data: String,
    encoding: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelMetadata<'a> {
    event_id: &'a str,
}

/// The capture line of an invocation, with its line end.
#[must_use]
pub fn write_capture_line(line: &CaptureLine<'_>) -> String {
    let body = |mode, data| Body { observed_content_type: "application/json", mode, data, encoding: "JSON" };
    to_line(&Line {
        capture_data: CaptureData {
            endpoint_input: body("INPUT", line.input),
            endpoint_output: body("OUTPUT", line.output),
        },
        event_metadata: CaptureMetadata {
            event_id: line.event_id,
            inference_id: line.inference_id,
            inference_time: format_time(line.time_micros),
        },
        event_version: "0",
    })
}

/// The ground-truth line of a label, with its line end; `id` is what the capture was given or got as id.
#[must_use]
pub fn write_ground_truth_line(id: &str, label: &Label) -> String {
    let data = match label {
        Label::Number(value) => format_number(*value),
        Label::Text(text) => {
            let mut data = String::new();
            push_csv_text(&mut data, text);
            data
        }
    };
    to_line(&LabelLine {
        ground_truth_data: LabelData { data, encoding: "CSV" },
        event_metadata: LabelMetadata { event_id: id },
        event_version: "0",
    })
}

fn to_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("invariant: only text goes in, under fixed keys");
    line.push('\n');
    line
}

/// One row of `frame` as the JSON object that a request carries: the columns `names` that have a value.
///
/// Non-finite numbers are the strings `NaN`, `inf` and `-inf`, times RFC 3339; unknown names are left out.
#[must_use]
pub fn feature_object(frame: &Frame, row: usize, names: &[&str]) -> Map<String, Value> {
    let mut members = Map::new();
    for name in names {
        let value = frame.find_column(name).and_then(|column| match &column.values {
            Values::Numeric(values) => values.get(row).copied().flatten().map(number),
            Values::Time(values) => values.get(row).copied().flatten().map(|it| Value::from(format_time(it))),
            Values::Categorical(values) => values.get(row).map(Value::from),
        });
        if let Some(value) = value {
            members.insert((*name).to_owned(), value);
        }
    }
    members
}

fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)
}
