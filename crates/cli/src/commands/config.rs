//! `refit apply`, `refit diff` and `refit config`: the fleet's policy, what changes in it, and its history.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use refit_app::decisions::replay_decisions;
use refit_app::use_cases::policy::{self, Applied, Change, ConfigReport};
use refit_core::Actor;
use refit_core::config::ConfigEntry;
use refit_core::policy::{FieldChange, Policy, diff};
use refit_local::world::{Access, Moment, World};
use serde_json::{Value, json};

use crate::arguments::{ApplyArguments, ConfigRollbackArguments, Format};
use crate::commands::people::login;
use crate::commands::pipeline::read_definition;
use crate::commands::proposed::show_replayed;
use crate::commands::validate::read_source;
use crate::output::{Exit, answer, count, escaped, say};
use crate::state;
use crate::story::tell;

/// `refit diff`: what applying a file would change, and which recorded decisions would have differed, without storing
/// anything.
pub(crate) fn show_diff(config: &Path, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let (_, policy) = read_source(config)?;
    let current = current(state)?;
    let changes = diff(current.as_ref().map(|it| &*it.1), &policy);
    let number = current.as_ref().map(|it| it.0.number);
    let replayed = match &current {
        Some(_) if !changes.is_empty() => {
            let world = state::open(state, Access::Read)?;
            Some(world.block_on(replay_decisions(&world.context, &policy))?)
        }
        Some(_) | None => None,
    };
    let document = json!({
        "schema": 1, "current": number, "policy": policy.digest(), "changes": changes, "decisions": replayed,
    });
    answer(format, &document, |_| {
        in_words(&changes, number) + &replayed.as_ref().map(show_replayed).unwrap_or_default()
    })?;
    Ok(Exit::Yes)
}

/// The current configuration in a state, if there is one.
fn current(state: &Path) -> anyhow::Result<Option<(ConfigEntry, Arc<Policy>)>> {
    if !World::exists(state) {
        return Ok(None);
    }
    let world = state::open(state, Access::Read)?;
    if world.block_on(policy::pointer(&world.context))?.is_none() {
        return Ok(None);
    }
    Ok(Some(world.block_on(policy::find_config(&world.context, None))?))
}

/// `refit apply`.
pub(crate) fn apply(arguments: &ApplyArguments, format: Format) -> anyhow::Result<Exit> {
    let (source, policy) = read_source(&arguments.config)?;
    let definitions = read_definitions(&arguments.config, &policy)?;
    let state = &arguments.state.state;
    let current = current(state)?;
    let changes = diff(current.as_ref().map(|it| &*it.1), &policy);
    let seen = current.map_or(0, |it| it.0.number);
    if arguments.dry_run {
        let document = json!({ "schema": 1, "dry_run": true, "current": seen, "changes": changes });
        answer(format, &document, |_| format!("{}nothing was stored: a dry run\n", in_words(&changes, Some(seen))))?;
        return Ok(Exit::Yes);
    }
    let world = World::open(&state::options(state, policy.notifications.clone(), Access::Drive)?, None)?;
    for (name, text) in &definitions {
        world.pipelines.define(name, text)?;
    }
    let actor = Actor::person(&arguments.person.name.clone().unwrap_or_else(login));
    let change = Change {
        policy: &policy,
        source: Some(&source),
        actor: &actor,
        comment: &arguments.comment,
        restores: None,
        seen: Some(seen),
        origin: world.now(),
    };
    let applied = world.block_on(policy::apply_change(&world.context, &change))?;
    settle(&world)?;
    report(&applied, &changes, format)
}

/// The definitions that the policy names, as they lie beside it.
fn read_definitions(config: &Path, policy: &Policy) -> anyhow::Result<Vec<(String, String)>> {
    let folder = config.parent().unwrap_or(Path::new(""));
    let mut definitions = Vec::new();
    for model in &policy.models {
        let path = folder.join(&model.pipeline.definition);
        let text = read_definition(&path).with_context(|| format!("model `{}` cannot be retrained", model.id))?;
        definitions.push((model.pipeline_name(), text));
    }
    Ok(definitions)
}

/// Lets the models adopt what was applied.
fn settle(world: &World) -> anyhow::Result<()> {
    let mut observer = |moment: Moment<'_>| {
        if let Some(line) = tell(&moment) {
            say(&line);
        }
    };
    // The sweep comes once a minute; on a virtual clock that minute passes at once.
    if let Some(next) = world.next_time()?.filter(|it| *it <= world.now() + jiff::SignedDuration::from_mins(1)) {
        world.move_clock(next, &mut observer)?;
    }
    Ok(world.settle(&mut observer)?)
}

fn report(applied: &Applied, changes: &[FieldChange], format: Format) -> anyhow::Result<Exit> {
    let document = json!({ "schema": 1, "dry_run": false, "applied": applied, "changes": changes });
    answer(format, &document, |_| {
        let (number, policy) = (applied.number, applied.policy.short());
        if applied.was_current {
            format!("configuration {number} is current already (policy {policy}): nothing was stored\n")
        } else {
            format!("{}configuration {number} is current (policy {policy})\n", in_words(changes, None))
        }
    })?;
    Ok(Exit::Yes)
}

/// The changes, one line each.
fn in_words(changes: &[FieldChange], current: Option<u64>) -> String {
    let mut text = match current {
        _ if changes.is_empty() => "no field differs\n".to_owned(),
        Some(0) | None => String::new(),
        Some(number) => format!("{} against configuration {number}\n", count(changes.len(), "change")),
    };
    for change in changes {
        let path = escaped(&change.path);
        let line = match (&change.old, &change.new) {
            (Some(old), Some(new)) => format!("~ {path}: {} → {}", shown(old), shown(new)),
            (None, Some(new)) => format!("+ {path}: {}", shown(new)),
            (Some(old), None) => format!("- {path}: {}", shown(old)),
            (None, None) => continue,
        };
        writeln!(text, "{line}").expect("invariant: writing to a string succeeds");
    }
    text
}

/// The longest JSON that a line shows whole.
const MAX_SHOWN: usize = 160;

/// A value as people write it: texts without quotes, everything else as JSON, and what no line holds by its names or its
/// size. `--output-format json` has all of it.
fn shown(value: &Value) -> String {
    let json = value.to_string();
    let is_short = json.len() <= MAX_SHOWN;
    match value {
        Value::String(text) => escaped(text),
        Value::Array(list) if !is_short => {
            let ids: Vec<&str> = list.iter().filter_map(|it| it["id"].as_str()).collect();
            let is_named = ids.len() == list.len();
            let names = escaped(&ids.join(", "));
            if is_named && names.len() <= MAX_SHOWN { names } else { count(list.len(), "value") }
        }
        Value::Object(fields) if !is_short => count(fields.len(), "setting"),
        _ => escaped(&json),
    }
}

/// `refit config history`.
pub(crate) fn history(state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let report = world.block_on(policy::history(&world.context))?;
    answer(format, &report, |report: &ConfigReport| {
        let mut text = String::new();
        for entry in &report.entries {
            let restores = entry.restores.map_or_else(String::new, |it| format!(", restores {it}"));
            let comment = if entry.comment.is_empty() { String::new() } else { format!("  {}", entry.comment) };
            let actor = escaped(&entry.actor.to_string());
            let line =
                format!("{:>4}  {}  policy {}  by {actor}{restores}", entry.number, entry.at, entry.policy.short());
            writeln!(text, "{line}{}", escaped(&comment)).expect("invariant: writing to a string succeeds");
        }
        match &report.problem {
            None => text.push_str("the history is whole and unchanged\n"),
            Some(problem) => text.push_str(&format!("BROKEN: {}\n", escaped(problem))),
        }
        text
    })?;
    Ok(if report.verified { Exit::Yes } else { Exit::No })
}

/// `refit config show`.
pub(crate) fn show(number: Option<u64>, is_source: bool, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let (entry, policy) = world.block_on(policy::find_config(&world.context, number))?;
    let source = world.block_on(policy::find_source(&world.context, &entry))?;
    if is_source && source.is_none() {
        bail!("configuration {} was not applied from a file: leave --source out to see what is stored", entry.number);
    }
    let document = json!({ "schema": 1, "entry": entry, "policy": policy, "source": source });
    let pretty = serde_json::to_string_pretty(&policy)?;
    answer(format, &document, |_| if is_source { source.clone().unwrap_or_default() } else { pretty })?;
    Ok(Exit::Yes)
}

/// `refit config rollback`.
pub(crate) fn roll_back(arguments: &ConfigRollbackArguments, format: Format) -> anyhow::Result<Exit> {
    let state = &arguments.state.state;
    let world = state::open(state, Access::Drive)?;
    let (_, before) = world.block_on(policy::find_config(&world.context, None))?;
    let actor = Actor::person(&arguments.person.name.clone().unwrap_or_else(login));
    let rolled_back = policy::roll_back_config(&world.context, arguments.number, &actor, &arguments.comment);
    let applied = match world.block_on(rolled_back) {
        Ok(applied) => applied,
        Err(refit_app::AppError::Invalid(why)) => {
            answer(format, &json!({ "schema": 1, "refused": why }), |_| format!("refused: {}", escaped(&why)))?;
            return Ok(Exit::No);
        }
        Err(error) => return Err(error.into()),
    };
    let (_, after) = world.block_on(policy::find_config(&world.context, None))?;
    settle(&world)?;
    report(&applied, &diff(Some(&before), &after), format)
}
