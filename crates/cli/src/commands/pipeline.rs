//! `refit pipeline lint`, `diff` and `run`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refit_app::ports::{Clock, ExecutionStatus, StepState};
use refit_local::clock::SystemClock;
use refit_local::pipeline::{self, Change, ChangeKind, Definition, DefinitionDiff, Parts, Problem, Subject};
use refit_local::store::FileObjects;
use refit_local::world::WorldError;
use serde_json::{Value, json};

use crate::arguments::Format;
use crate::output::{Exit, answer, count, escaped, say};
use crate::state::programs;

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading pipeline definition `{}`", path.display()))
}

/// Reads a definition that is going to run, or shows all that is wrong with it, before anything is written.
pub(crate) fn read_definition(path: &Path) -> anyhow::Result<String> {
    let text = read(path)?;
    let problems = pipeline::lint(&text).problems;
    if problems.is_empty() {
        return Ok(text);
    }
    say(listed("error", path, &problems).trim_end());
    bail!("pipeline definition `{}` has {}", path.display(), count(problems.len(), "problem"))
}

fn listed(word: &str, path: &Path, problems: &[Problem]) -> String {
    problems.iter().map(|it| format!("{word}: {}#{}\n", path.display(), escaped(&it.to_string()))).collect()
}

/// Checks a definition; a wrong one is a negative answer.
pub(crate) fn lint(path: &Path, format: Format) -> anyhow::Result<Exit> {
    let text = read(path)?;
    let report = pipeline::lint(&text);
    let list = |problems: &[Problem]| -> Vec<_> {
        problems.iter().map(|it| json!({ "pointer": it.pointer, "message": it.message })).collect()
    };
    let is_valid = report.problems.is_empty();
    let document = json!({
        "schema": 1, "valid": is_valid, "digest": Definition::parse(&text).ok().map(|it| it.digest()),
        "problems": list(&report.problems), "warnings": list(&report.warnings),
    });
    answer(format, &document, |_| {
        format!(
            "{}{}{} is {}: {}, {}\n",
            listed("error", path, &report.problems),
            listed("warning", path, &report.warnings),
            path.display(),
            if is_valid { "valid" } else { "not valid" },
            count(report.problems.len(), "problem"),
            count(report.warnings.len(), "warning"),
        )
    })?;
    Ok(if is_valid { Exit::Yes } else { Exit::No })
}

/// Reads the parts of a definition, or shows why it has none.
fn read_parts(path: &Path) -> anyhow::Result<Parts> {
    let problems = match Parts::read(&read(path)?) {
        Ok(parts) => return Ok(parts),
        Err(problems) => problems,
    };
    say(listed("error", path, &problems).trim_end());
    bail!("pipeline definition `{}` has {}", path.display(), count(problems.len(), "problem"))
}

/// Compares two definitions; a difference is a negative answer.
pub(crate) fn diff(old: &Path, new: &Path, format: Format) -> anyhow::Result<Exit> {
    let diff = read_parts(old)?.diff(&read_parts(new)?);
    let is_equal = diff.changes.is_empty();
    let of = |is_it: fn(&Subject) -> bool| -> Vec<Value> {
        diff.changes.iter().filter(|it| is_it(&it.subject)).map(change_document).collect()
    };
    let document = json!({
        "schema": 1, "equal": is_equal,
        "old": { "path": old, "digest": diff.old }, "new": { "path": new, "digest": diff.new },
        "definition": of(|it| matches!(it, Subject::Definition)),
        "parameters": of(|it| matches!(it, Subject::Parameter(_))),
        "steps": of(|it| matches!(it, Subject::Step(_))),
    });
    answer(format, &document, |_| diff_text(old, new, &diff))?;
    Ok(if is_equal { Exit::Yes } else { Exit::No })
}

fn change_document(change: &Change) -> Value {
    let mut document = json!({ "change": change.kind.name(), "pointer": change.pointer });
    match &change.subject {
        Subject::Definition => {}
        Subject::Parameter(name) | Subject::Step(name) => document["name"] = name.as_str().into(),
    }
    for (key, value) in [("old", &change.old), ("new", &change.new)] {
        if let Some(value) = value {
            document[key] = value.clone();
        }
    }
    document
}

fn diff_text(old: &Path, new: &Path, diff: &DefinitionDiff) -> String {
    let mut text: String = diff.changes.iter().map(change_text).collect();
    let side = |path: &Path, digest: &refit_core::Digest| {
        format!("{} ({})", escaped(&path.display().to_string()), digest.short())
    };
    let (old, new) = (side(old, &diff.old), side(new, &diff.new));
    let result = match diff.changes.len() {
        0 => "equal".to_owned(),
        number => count(number, "difference"),
    };
    text.push_str(&format!("{old} -> {new}: {result}\n"));
    text
}

fn change_text(change: &Change) -> String {
    let subject = match &change.subject {
        Subject::Definition => "definition".to_owned(),
        Subject::Parameter(name) => format!("parameter {name}"),
        Subject::Step(name) => format!("step {name}"),
    };
    let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
    let values = match change.kind {
        ChangeKind::Added | ChangeKind::Removed => String::new(),
        ChangeKind::Changed | ChangeKind::Moved => format!(": {} -> {}", shown(&change.old), shown(&change.new)),
    };
    escaped(&format!("{subject} {} {}{values}", change.kind.name(), change.pointer)) + "\n"
}

/// Runs a definition; a failed execution is a negative answer.
pub(crate) fn run(
    path: &Path,
    parameters: &[String],
    objects: &Path,
    work: &Path,
    format: Format,
) -> anyhow::Result<Exit> {
    let text = read_definition(path)?;
    let mut values = BTreeMap::new();
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else {
            bail!("parameter `{parameter}` is not of the form NAME=VALUE");
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(FileObjects::open(objects, Arc::clone(&clock))?);
    let mut on_step = |step: &StepState| say(&format!("{:<12} {}", step.status.to_lowercase(), escaped(&step.name)));
    let execution = pipeline::run_definition(&text, &values, store, work, &programs()?, clock, &mut on_step)
        .map_err(WorldError::from)?;
    answer(format, &execution, |execution| {
        // The last lines of what a program said come as lines.
        let why = execution.failure_reason.iter().flat_map(|it| it.lines()).map(|it| format!("\n  {}", escaped(it)));
        let why: String = why.collect();
        format!("{} {}{why}", path.display(), execution.status.name().to_lowercase())
    })?;
    Ok(if execution.status == ExecutionStatus::Succeeded { Exit::Yes } else { Exit::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_lines_that_nothing_can_break() {
        let parts = |text: &str| Parts::read(text).expect("parts");
        let old = parts(r#"{"Version":"1","Steps":[{"Name":"A","x":1},{"Name":"B"}]}"#);
        let new = parts(r#"{"Version":"2","Parameters":[],"Steps":[{"Name":"A","y":"\u202e"},{"Name":"C\u001b"}]}"#);
        let text = diff_text(Path::new("old"), Path::new("new"), &old.diff(&new));
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "definition changed /Parameters: (absent) -> []",
            "definition changed /Version: \"1\" -> \"2\"",
            "step A changed /Steps/0/x: 1 -> (absent)",
            "step A changed /Steps/0/y: (absent) -> \"\\u{202e}\"",
            "step B removed /Steps/1",
            "step C\\u{1b} added /Steps/1",
        ];
        assert_eq!(lines[..6], expected);
        assert!(lines[6].starts_with("old (") && lines[6].ends_with("): 6 differences"), "{text}");
        assert!(diff_text(Path::new("a"), Path::new("b"), &old.diff(&old)).ends_with("): equal\n"));
    }
}
