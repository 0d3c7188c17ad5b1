//! `refit validate`: every problem of a policy at once.

use std::path::Path;

use anyhow::Context as _;
use refit_core::policy::{Policy, read};
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer};

/// Checks a policy. A wrong one is bad input.
pub(crate) fn validate(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let policy = read_policy(config)?;
    let models: Vec<_> = policy.models.iter().map(|it| it.id.to_string()).collect();
    let document = json!({ "schema": 1, "valid": true, "policy": policy.digest(), "models": models });
    answer(format, &document, |_| {
        format!("{} is valid: {} (policy {})", config.display(), models.join(", "), policy.digest().short())
    })?;
    Ok(Exit::Yes)
}

/// Reads a policy, or shows all that is wrong with it.
pub(crate) fn read_policy(config: &Path) -> anyhow::Result<Policy> {
    let name = config.display().to_string();
    let bytes = std::fs::read(config).with_context(|| format!("reading policy `{name}`"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("policy `{name}` is not UTF-8"))?;
    read(&text).map_err(|problems| {
        eprint!("{}", problems.render(&name, &text));
        let count = problems.0.len();
        anyhow::anyhow!("policy `{name}` has {count} problem{}", if count == 1 { "" } else { "s" })
    })
}
