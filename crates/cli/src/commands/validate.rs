//! `refit validate`: every problem of a policy at once.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use refit_core::policy::{Policy, Problem, Problems, read};
use serde_json::{Value, json};

use crate::arguments::Format;
use crate::output::{Exit, answer, count, escaped, say};

/// Checks a policy. A wrong one is bad input.
pub(crate) fn validate(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let text = read_text(config)?;
    let policy = match (read(&text), format) {
        (Ok(policy), _) => policy,
        (Err(problems), Format::Json) => {
            let list: Vec<_> = problems.0.iter().map(in_json).collect();
            answer(format, &json!({ "schema": 1, "valid": false, "problems": list }), |_| String::new())?;
            return Err(counted(config, &problems));
        }
        (Err(problems), Format::Text) => return Err(shown(config, &text, &problems)),
    };
    let models: Vec<_> = policy.models.iter().map(|it| it.id.to_string()).collect();
    let document = json!({ "schema": 1, "valid": true, "policy": policy.digest(), "models": models, "problems": [] });
    answer(format, &document, |_| {
        format!("{} is valid: {} (policy {})", config.display(), models.join(", "), policy.digest().short())
    })?;
    Ok(Exit::Yes)
}

/// Prints the schema of refit.yaml. It is JSON in either format: nobody reads it but programs.
pub(crate) fn schema(format: Format) -> anyhow::Result<Exit> {
    let schema = refit_core::policy::schema();
    let text = serde_json::to_string_pretty(&schema).context("writing the schema")?;
    answer(format, &schema, |_| text.clone())?;
    Ok(Exit::Yes)
}

/// Reads the text of a policy and what it says, or shows all that is wrong with it.
pub(crate) fn read_source(config: &Path) -> anyhow::Result<(String, Policy)> {
    let text = read_text(config)?;
    match read(&text) {
        Ok(policy) => Ok((text, policy)),
        Err(problems) => Err(shown(config, &text, &problems)),
    }
}

/// Reads a policy, or shows all that is wrong with it.
pub(crate) fn read_policy(config: &Path) -> anyhow::Result<Policy> {
    Ok(read_source(config)?.1)
}

fn read_text(config: &Path) -> anyhow::Result<String> {
    let name = config.display();
    let bytes = std::fs::read(config).with_context(|| format!("reading policy `{name}`"))?;
    String::from_utf8(bytes).with_context(|| format!("policy `{name}` is not UTF-8 text"))
}

fn in_json(problem: &Problem) -> Value {
    json!({ "line": problem.line, "column": problem.column, "path": problem.path, "message": problem.message })
}

/// Shows problems with their lines on stderr; what is left is to count them.
pub(super) fn shown(config: &Path, text: &str, problems: &Problems) -> anyhow::Error {
    for line in problems.render(&config.display().to_string(), text).lines() {
        say(&escaped(line));
    }
    counted(config, problems)
}

fn counted(config: &Path, problems: &Problems) -> anyhow::Error {
    anyhow!("policy `{}` has {}", config.display(), count(problems.0.len(), "problem"))
}
