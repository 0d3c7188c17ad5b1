//! `refit init`: a policy and a pipeline definition to begin with.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer};

const POLICY: &str = include_str!("../../../../infra/policies/example.yaml");
const DEFINITION: &str = include_str!("../../../../infra/pipelines/retrain.json");
/// Where the example's definition lies, seen from the example and seen from the new policy.
const DEFINITION_PATHS: (&str, &str) = ("../pipelines/retrain.json", "pipelines/retrain.json");

/// Writes both files; existing ones are left alone.
pub(crate) fn init(folder: &Path, format: Format) -> anyhow::Result<Exit> {
    let policy = folder.join("refit.yaml");
    let definition = folder.join(DEFINITION_PATHS.1);
    for path in [&policy, &definition] {
        if path.exists() {
            bail!("`{}` exists: nothing was written", path.display());
        }
    }
    let files =
        [(&definition, DEFINITION.to_owned()), (&policy, POLICY.replace(DEFINITION_PATHS.0, DEFINITION_PATHS.1))];
    for (path, text) in files {
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("making folder `{}`", parent.display()))?;
        std::fs::write(path, text).with_context(|| format!("writing `{}`", path.display()))?;
    }
    let document = json!({ "schema": 1, "policy": policy, "definition": definition });
    answer(format, &document, |_| {
        let policy = policy.display();
        format!("wrote {policy} and {}\nMake it yours, then: refit validate --config {policy}", definition.display())
    })?;
    Ok(Exit::Yes)
}
