//! What concerns no single model: the policy in force, slots that come free, files that were refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use refit_app::documents::config_key;
use refit_app::ports::{Body, Key, Write};
use refit_app::use_cases::policy::Pointer;
use refit_core::config::ConfigEntry;
use refit_core::plan::Slots;
use refit_core::run::run_of_display_name;
use refit_core::{Digest, RunId};
use serde_json::Value;

use super::{Checked, Transaction, ensure, parse};
use crate::memory::MemoryWorld;

/// C1: the policy in force is there as a whole, and is the next in a history without gaps.
pub(super) fn check_policy(
    world: &MemoryWorld,
    transaction: &Transaction,
    before: Option<&Body>,
    body: &Body,
    forbidden: &BTreeSet<Digest>,
) -> Checked {
    let key = refit_app::documents::policy_key();
    let pointer: Arc<Pointer> = parse(&key, body)?;
    let before: Option<Arc<Pointer>> = before.map(|it| parse(&key, it)).transpose()?;
    let hex = pointer.policy.hex();
    ensure!(!forbidden.contains(&pointer.policy), "C1", "policy {hex}, which asks too much, came into force");
    let uri = format!("s3://state/policies/{hex}.json").parse().ok();
    let stored = uri.and_then(|it| world.objects.peek(&it));
    ensure!(
        stored.is_some_and(|it| Digest::of(&it) == pointer.policy),
        "C1",
        "policy {hex} came into force, and is not there as a whole"
    );
    let (number, hash) = before.map_or((0, ConfigEntry::genesis()), |it| (it.number, it.hash.clone()));
    ensure!(pointer.number == number + 1, "C1", "configuration {} follows {number}", pointer.number);
    let config = config_key(pointer.number);
    let entry = transaction.writes.iter().find_map(|write| match write {
        Write::Put { key, body, .. } if *key == config => Some(body),
        Write::Put { .. } | Write::Delete { .. } | Write::Check { .. } => None,
    });
    let entry = entry.map(|it| parse::<ConfigEntry>(&config, it)).transpose()?;
    let is_chained = entry.is_some_and(|it| it.hash() == pointer.hash && it.previous == hash);
    ensure!(is_chained, "C1", "configuration {} is not in the history, or not after the one before", pointer.number);
    Ok(())
}

/// L4: whoever no longer holds a slot has no execution under way.
pub(super) fn check_freed(world: &MemoryWorld, before: Option<&Body>, key: &Key, body: &Body) -> Checked {
    let Some(before) = before else { return Ok(()) };
    let (before, after): (Arc<Slots>, Arc<Slots>) = (parse(key, before)?, parse(key, body)?);
    let freed: BTreeSet<&RunId> = before.holders.keys().filter(|it| !after.holders.contains_key(*it)).collect();
    if freed.is_empty() {
        return Ok(());
    }
    for name in world.pipelines.open_names() {
        let run = run_of_display_name(&name).map(|it| it.0);
        let is_freed = run.is_some_and(|it| freed.contains(&it));
        ensure!(!is_freed, "L4", "the slot of {name} is freed, its execution is under way");
    }
    Ok(())
}

/// I4: content that was refused changes nothing of what was taken in from the same address.
pub(super) fn check_file(before: Option<&Body>, key: &Key, body: &Body) -> Checked {
    let after: Arc<Value> = parse(key, body)?;
    let Some(before) = before.filter(|_| !after["refused"].is_null()) else { return Ok(()) };
    let before: Arc<Value> = parse(key, before)?;
    for field in ["version", "rows", "from", "days"] {
        ensure!(before[field] == after[field], "I4", "{} was refused and changed `{field}`", after["uri"]);
    }
    Ok(())
}
