//! `refit pipeline lint` and `refit pipeline run`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refit_app::ports::{Clock, ExecutionStatus, StepState};
use refit_local::clock::SystemClock;
use refit_local::pipeline::{self, Definition, Problem};
use refit_local::store::FileObjects;
use refit_local::world::WorldError;
use serde_json::json;

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
