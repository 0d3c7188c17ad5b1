//! `refit export`: everything stored about the fleet, as one document.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use refit_app::use_cases::policy;
use refit_local::replay::History;
use refit_local::world::Access;
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer, count};
use crate::state;

/// Writes the export; an existing file is left alone.
pub(crate) fn export(output: &Path, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let name = output.display();
    if output.exists() {
        bail!("`{name}` exists: remove it or name another file");
    }
    let world = state::open(state, Access::Read)?;
    let digest = world.block_on(policy::current(&world.context))?;
    let policy = match &digest {
        Some(digest) => Some(world.block_on(policy::read(&world.context, digest))?),
        None => None,
    };
    let mut models = BTreeMap::new();
    for model in state::models(&world, None)? {
        models.insert(model.to_string(), world.block_on(History::read(&*world.context.ports.table, &model))?);
    }
    let document = json!({ "schema": 1, "exported_at": world.now(), "policy": policy, "models": models });
    // A reader never finds half a file under the name.
    let mut draft = output.as_os_str().to_owned();
    draft.push(".part");
    std::fs::write(&draft, serde_json::to_vec_pretty(&document)?).with_context(|| format!("writing `{name}`"))?;
    std::fs::rename(&draft, output).with_context(|| format!("writing `{name}`"))?;
    let entries: usize = models.values().map(|it| it.audit.len()).sum();
    let summary = json!({ "schema": 1, "output": output, "models": models.len(), "audit_entries": entries });
    answer(format, &summary, |_| format!("{name}: {}, audit log up to {entries}", count(models.len(), "model")))?;
    Ok(Exit::Yes)
}
