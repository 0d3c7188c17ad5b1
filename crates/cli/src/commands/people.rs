//! What people ask for: a run, a vote, the way back. The local world then does all that follows.

use std::path::Path;

use anyhow::bail;
use refit_handlers::{Function, Response};
use refit_local::world::{Access, Moment, World};
use serde_json::{Value, json};

use crate::arguments::{Format, PersonArguments, VoteArguments};
use crate::output::{Exit, answer};
use crate::state;
use crate::story::tell;

fn name_of(person: &PersonArguments) -> String {
    let login = || ["USER", "LOGNAME"].iter().find_map(|it| std::env::var(it).ok());
    person.name.clone().or_else(login).unwrap_or_else(|| "local".to_owned())
}

/// An id that two separate requests do not share.
fn request_id(person: &PersonArguments, world: &World) -> String {
    let fresh = || format!("cli-{}-{}", std::process::id(), world.now());
    person.request_id.clone().unwrap_or_else(fresh)
}

/// `refit trigger`.
pub(crate) fn trigger(
    model: &str,
    reason: &str,
    force: bool,
    person: &PersonArguments,
    state: &Path,
    format: Format,
) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Drive)?;
    let model = state::models(&world, Some(model))?.remove(0);
    let event = json!({
        "kind": "trigger", "id": request_id(person, &world), "model": model, "actor": name_of(person),
        "reason": reason, "force": force,
    });
    ask(&world, Function::CheckTriggers, &event, format)
}

/// `refit approve` and `refit decline`.
pub(crate) fn vote(arguments: &VoteArguments, choice: &str, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(&arguments.state.state, Access::Drive)?;
    let event = json!({
        "kind": "vote", "id": request_id(&arguments.person, &world), "run": arguments.run, "actor": name_of(&arguments.person),
        "choice": choice, "comment": arguments.comment, "basis": arguments.basis,
    });
    ask(&world, Function::PromoteModel, &event, format)
}

/// `refit rollback`.
pub(crate) fn rollback(
    model: &str,
    reason: &str,
    from: Option<u64>,
    person: &PersonArguments,
    state: &Path,
    format: Format,
) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Drive)?;
    let model = state::models(&world, Some(model))?.remove(0);
    let event = json!({
        "kind": "rollback", "id": request_id(person, &world), "model": model, "actor": name_of(person),
        "reason": reason, "from": from,
    });
    ask(&world, Function::PromoteModel, &event, format)
}

/// Hands a request in and lets the world work until nothing is under way any more, at most an hour of its clock.
fn ask(world: &World, function: Function, event: &Value, format: Format) -> anyhow::Result<Exit> {
    let mut observer = |moment: Moment<'_>| {
        if let Some(line) = tell(&moment) {
            eprintln!("{line}");
        }
    };
    let response = world.request(function, event, &mut observer)?;
    let until = world.now().checked_add(jiff::SignedDuration::from_hours(1))?;
    while is_working(world)? {
        match world.next_time()?.filter(|it| *it <= until) {
            Some(next) if world.now() < next && !world.is_virtual() => {
                std::thread::sleep(
                    next.duration_since(world.now()).unsigned_abs().min(std::time::Duration::from_secs(1)),
                );
            }
            Some(next) => world.move_clock(next, &mut observer)?,
            None => break,
        }
        world.settle(&mut observer)?;
    }
    report(&response, format)
}

/// Whether a run is under way that goes on without a person.
fn is_working(world: &World) -> anyhow::Result<bool> {
    use refit_core::run::RunStatus;
    for model in state::models(world, None)? {
        let table = &*world.context.ports.table;
        let head = world.block_on(refit_app::queries::get_head(table, &model))?;
        if head.active_rollback.is_some() {
            return Ok(true);
        }
        if let Some(run) = head.active_run {
            let run = world.block_on(refit_app::state::find_run(table, &run))?;
            if run.is_some_and(|it| it.status != RunStatus::AwaitingApproval) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn report(response: &Response, format: Format) -> anyhow::Result<Exit> {
    if response.outcome == "refused" {
        bail!("{}", response.reason.clone().unwrap_or_default());
    }
    let outcome = response.details.first().cloned().unwrap_or(Value::Null);
    let refused = outcome["refused"].as_str().map(str::to_owned);
    let document = json!({ "schema": 1, "outcome": outcome });
    answer(format, &document, |_| {
        let recorded: Vec<&str> =
            outcome["recorded"].as_array().map(|it| it.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
        match &refused {
            Some(why) => format!("refused: {why}"),
            None if outcome["was_handled"] == true => "done before: the same request was handled already".to_owned(),
            None => format!("done: {}", recorded.join(", ")),
        }
    })?;
    Ok(if refused.is_some() { Exit::No } else { Exit::Yes })
}
