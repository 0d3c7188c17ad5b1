//! `refit pipeline lint` and `refit pipeline run`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refit_app::ports::{Clock, ExecutionStatus};
use refit_local::clock::SystemClock;
use refit_local::pipeline;
use refit_local::store::FileObjects;
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer};
use crate::state::programs;

fn read(definition: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(definition).with_context(|| format!("reading definition `{}`", definition.display()))
}

/// Checks a definition; a wrong one is a negative answer.
pub(crate) fn lint(definition: &Path, format: Format) -> anyhow::Result<Exit> {
    let text = read(definition)?;
    let report = pipeline::lint(&text);
    let name = definition.display();
    let list = |problems: &[pipeline::Problem]| -> Vec<_> {
        problems.iter().map(|it| json!({ "pointer": it.pointer, "message": it.message })).collect()
    };
    let digest = pipeline::Definition::parse(&text).ok().map(|it| it.digest());
    let document = json!({
        "schema": 1, "valid": report.problems.is_empty(), "digest": digest,
        "problems": list(&report.problems), "warnings": list(&report.warnings),
    });
    answer(format, &document, |_| {
        let mut text = String::new();
        for problem in &report.problems {
            text.push_str(&format!("error: {name}#{problem}\n"));
        }
        for warning in &report.warnings {
            text.push_str(&format!("warning: {name}#{warning}\n"));
        }
        let word = if report.problems.is_empty() { "valid" } else { "not valid" };
        text.push_str(&format!(
            "{name} is {word}: {} problems, {} warnings\n",
            report.problems.len(),
            report.warnings.len()
        ));
        text
    })?;
    Ok(if report.problems.is_empty() { Exit::Yes } else { Exit::No })
}

/// Runs a definition; a failed execution is a negative answer.
pub(crate) fn run(
    definition: &Path,
    parameters: &[String],
    objects: &Path,
    work: &Path,
    format: Format,
) -> anyhow::Result<Exit> {
    let text = read(definition)?;
    let mut values = BTreeMap::new();
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else {
            bail!("parameter `{parameter}` is not of the form NAME=VALUE");
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(FileObjects::open(objects, Arc::clone(&clock))?);
    let mut on_step =
        |step: &refit_app::ports::StepState| eprintln!("{:<12} {}", step.status.to_lowercase(), step.name);
    let execution = pipeline::run_definition(&text, &values, store, work, &programs()?, clock, &mut on_step)
        .map_err(refit_local::world::WorldError::from)?;
    answer(format, &execution, |execution| {
        let why = execution.failure_reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        format!("{} {}{why}", execution.arn, execution.status.name().to_lowercase())
    })?;
    Ok(if execution.status == ExecutionStatus::Succeeded { Exit::Yes } else { Exit::No })
}
