//! Opening the local world for a command.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use refit_app::use_cases::policy;
use refit_core::ModelId;
use refit_core::policy::Notification;
use refit_local::pipeline::Programs;
use refit_local::world::{Access, World, WorldOptions};

/// How long an execution takes on the virtual clock: what a small training job takes on SageMaker, with its start.
const EXECUTION_TAKES: SignedDuration = SignedDuration::from_mins(12);

/// The container entrypoints that this executable stands for.
pub(crate) fn programs() -> anyhow::Result<Programs> {
    let executable = std::env::current_exe().context("finding the path of this program")?;
    let Some(path) = executable.to_str() else { bail!("the path of this program is not valid Unicode") };
    Ok(BTreeMap::from([("/refit-step".to_owned(), vec![path.to_owned(), "step".to_owned()])]))
}

/// How the world in `state` is opened.
pub(crate) fn options(state: &Path, notifications: Vec<Notification>, access: Access) -> anyhow::Result<WorldOptions> {
    Ok(WorldOptions {
        state: state.to_owned(),
        programs: programs()?,
        execution_takes: EXECUTION_TAKES,
        notifications,
        access,
    })
}

/// Opens a world that must exist.
pub(crate) fn open(state: &Path, access: Access) -> anyhow::Result<World> {
    if !World::exists(state) {
        let state = state.display();
        bail!(
            "there is no state in `{state}`: name the one you mean with --state, or make one with `refit apply --state {state}` or `refit demo --state {state}`"
        );
    }
    let world = World::open(&options(state, Vec::new(), Access::Read)?, None)?;
    if access == Access::Read {
        return Ok(world);
    }
    let digest = world.block_on(policy::current(&world.context))?;
    let notifications = match digest {
        Some(digest) => world.block_on(policy::read(&world.context, &digest))?.notifications.clone(),
        None => Vec::new(),
    };
    drop(world);
    Ok(World::open(&options(state, notifications, access)?, None)?)
}

/// What a suggested command needs so that it finds the same state: nothing where that is the default.
pub(crate) fn flag(state: &Path) -> String {
    let is_default = state == Path::new(".refit") || std::env::var_os("REFIT_STATE").is_some_and(|it| it == state);
    if is_default { String::new() } else { format!(" --state {}", state.display()) }
}

/// The models a command is about: the named one, or all.
pub(crate) fn models(world: &World, named: Option<&str>) -> anyhow::Result<Vec<ModelId>> {
    match named {
        Some(name) => {
            let model: ModelId = name.parse()?;
            world.block_on(refit_app::queries::get_head(&*world.context.ports.table, &model))?;
            Ok(vec![model])
        }
        None => Ok(world.block_on(policy::known_models(&world.context))?),
    }
}
