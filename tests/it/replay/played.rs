//! Running the executable, and reading the document it ends with.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::executable::refit;

/// Runs `refit` with these arguments to its end.
pub(super) fn run(arguments: &[&str]) -> Output {
    refit().args(arguments).output().expect("refit starts")
}

/// What a command that must succeed wrote to stdout.
#[track_caller]
pub(super) fn stdout_of(mut command: Command) -> String {
    let output = command.output().expect("refit starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("stdout is UTF-8")
}

/// The JSON that a command that must succeed wrote to stdout.
#[track_caller]
pub(super) fn answer(arguments: &[&str]) -> Value {
    let mut command = refit();
    command.args(arguments).args(["--output-format", "json"]);
    let text = stdout_of(command);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {text}"))
}

/// A path as an argument.
pub(super) fn shown(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// The elements of the list at `pointer`.
#[track_caller]
pub(super) fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    let found = document.pointer(pointer).and_then(Value::as_array);
    found.unwrap_or_else(|| panic!("no list at {pointer}"))
}

/// The text at `pointer`.
#[track_caller]
pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer} in {document}"))
}

/// The number at `pointer`.
#[track_caller]
pub(super) fn number(document: &Value, pointer: &str) -> f64 {
    let found = document.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {pointer} in {document}"))
}

/// The time at `pointer`.
#[track_caller]
pub(super) fn time(document: &Value, pointer: &str) -> jiff::Timestamp {
    text(document, pointer).parse().unwrap_or_else(|error| panic!("{pointer}: {error}"))
}

/// Whether a run has this cause.
pub(super) fn has_cause(run: &Value, cause: &str) -> bool {
    list(run, "/causes").iter().any(|it| it == cause)
}

/// The run called `id`.
#[track_caller]
pub(super) fn run_of<'a>(document: &'a Value, id: &str) -> &'a Value {
    list(document, "/runs").iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no run {id}"))
}
