//! One line for each invocation: what happened, wide, and the same as metrics (CloudWatch's embedded metric format).

use std::time::Duration;

use jiff::Timestamp;
use refit_app::ErrorClass;
use serde_json::{Map, Value, json};

use crate::invoke::{Answer, class_name};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Refit";

/// Every metric with its unit; each has the dimension `function`. Counts of 0 are left out.
pub const METRICS: &[(&str, &str)] = &[
    ("DurationMs", "Milliseconds"),
    ("ColdStarts", "Count"),
    ("Done", "Count"),
    ("Ignored", "Count"),
    ("Refused", "Count"),
    ("Retryable", "Count"),
    ("Bugs", "Count"),
    ("Looped", "Count"),
    ("Published", "Count"),
    ("Parked", "Count"),
    ("Woken", "Count"),
    ("NotWoken", "Count"),
    ("FilesRefused", "Count"),
];

/// Most texts of one kind in a line.
const MAX_LISTED: usize = 20;
/// Most characters of one text in a line.
const MAX_CHARS: usize = 500;

/// What is known about an invocation besides its answer.
#[derive(Debug, Clone)]
pub struct Report {
    /// The function.
    pub function: &'static str,
    /// Lambda's id of the invocation.
    pub request_id: String,
    /// Whether it is the first of its process.
    pub is_cold: bool,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: Timestamp,
}

impl Report {
    /// The line.
    #[must_use]
    pub fn line(&self, answer: &Answer) -> Value {
        let mut line = Map::new();
        let values = self.values(answer);
        let definition = values.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }));
        let metrics = json!([{
            "Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": definition.collect::<Vec<_>>(),
        }]);
        line.insert("_aws".to_owned(), json!({ "Timestamp": self.at.as_millisecond(), "CloudWatchMetrics": metrics }));
        line.insert("level".to_owned(), json!(level(answer)));
        line.insert("message".to_owned(), json!(format!("{} {}", self.function, outcome(answer))));
        line.insert("function".to_owned(), json!(self.function));
        line.insert("outcome".to_owned(), json!(outcome(answer)));
        line.insert("request_id".to_owned(), json!(self.request_id));
        line.insert("cold_start".to_owned(), json!(self.is_cold));
        if let Some(records) = answer.records {
            line.insert("records".to_owned(), json!(records));
            line.insert("records_failed".to_owned(), json!(answer.failures.len()));
        }
        let classes = answer.failures.iter().map(|it| class_name(it.0).to_owned());
        insert_texts(&mut line, "error.class", classes);
        insert_texts(&mut line, "error.why", answer.failures.iter().map(|it| it.1.clone()));
        insert_texts(&mut line, "reason", answer.responses.iter().filter_map(|it| it.reason.clone()));
        let details = answer.responses.iter().flat_map(|it| &it.details);
        insert_texts(&mut line, "details", details.map(Value::to_string));
        line.extend(values.into_iter().map(|(name, _, value)| (name.to_owned(), value)));
        Value::Object(line)
    }

    /// The duration, and of the counts those that are not 0: each metric of each function costs by the hour in which it is reported.
    fn values(&self, answer: &Answer) -> Vec<(&'static str, &'static str, Value)> {
        let outcomes = |name: &str| answer.responses.iter().filter(|it| it.outcome == name).count() as u64;
        let failures = |class: &str| answer.failures.iter().filter(|it| class_name(it.0) == class).count() as u64;
        let details = || answer.responses.iter().flat_map(|it| &it.details);
        let number = |name: &str| details().filter_map(|it| it.get(name)?.as_u64()).sum::<u64>();
        let listed = |name: &str| details().filter_map(|it| Some(it.get(name)?.as_array()?.len() as u64)).sum::<u64>();
        let refused = details().filter(|it| it.get("outcome").and_then(Value::as_str) == Some("refused")).count();
        let count = |name: &str| match name {
            "ColdStarts" => u64::from(self.is_cold),
            "Done" => outcomes("done"),
            "Ignored" => outcomes("ignored"),
            "Refused" => outcomes("refused"),
            "Retryable" => failures("Retryable"),
            "Bugs" => failures("Bug"),
            "Looped" => u64::from(answer.is_looped),
            "Published" => number("entries"),
            "Parked" => listed("parked"),
            "Woken" => listed("woken"),
            "NotWoken" => listed("failed"),
            "FilesRefused" => refused as u64,
            _ => 0,
        };
        let value = |name: &str| match name {
            "DurationMs" => Some(json!(self.duration.as_secs_f64() * 1_000.0)),
            other => Some(count(other)).filter(|it| *it != 0).map(|it| json!(it)),
        };
        METRICS.iter().filter_map(|(name, unit)| Some((*name, *unit, value(name)?))).collect()
    }
}

/// The worst that happened, in one word.
fn outcome(answer: &Answer) -> &'static str {
    if answer.is_looped {
        return "dropped";
    }
    if !answer.failures.is_empty() {
        return if answer.responses.is_empty() { "failed" } else { "partly failed" };
    }
    let has = |name: &str| answer.responses.iter().any(|it| it.outcome == name);
    ["refused", "done", "ignored"].into_iter().find(|it| has(it)).unwrap_or("ignored")
}

fn level(answer: &Answer) -> &'static str {
    if answer.is_looped || answer.failures.iter().any(|it| it.0 == ErrorClass::Bug) {
        "ERROR"
    } else if answer.failures.is_empty() {
        "INFO"
    } else {
        "WARN"
    }
}

/// Adds texts under a name; nothing where there are none. Long ones and many are cut: a line has its limits.
fn insert_texts(line: &mut Map<String, Value>, name: &str, texts: impl Iterator<Item = String>) {
    let cut = |it: String| it.chars().take(MAX_CHARS).collect::<String>();
    let listed: Vec<String> = texts.take(MAX_LISTED).map(cut).collect();
    if !listed.is_empty() {
        line.insert(name.to_owned(), json!(listed));
    }
}
