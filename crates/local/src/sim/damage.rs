//! What may be wrong in a table: documents of real histories, changed at random.

use refit_app::ports::{Expect, Item, Key, Table, Token, Write};
use refit_core::run::RunStatus;
use serde_json::{Value, json};

use super::rng::Rng;
use crate::memory::{MemoryWorld, poll};

/// Times that are stored where others belong.
const TIMES: [&str; 5] = [
    "1970-01-01T00:00:00Z",
    "2026-01-05T03:00:00Z",
    "2026-01-06T03:00:00Z",
    "2030-06-01T00:00:00Z",
    "9999-12-30T22:00:00Z",
];

/// Changes some items of the world's table; says which and how.
pub(super) fn damage(world: &MemoryWorld, rng: &mut Rng) -> Vec<String> {
    let mut done = Vec::new();
    if rng.chance(100) {
        done.extend(let_wait(world, rng));
    }
    for _ in 0..=rng.below(3) {
        let items: Vec<Item> = world.table.items().into_iter().filter(|it| is_state(&it.key)).collect();
        let Some(kind) = rng.pick(&["HEAD", "HEAD", "RUN#", "RUN#", "SLOTS", "QUEUE", "APPROVAL#", "PACKAGE#", ""])
        else {
            continue;
        };
        let fit: Vec<&Item> = items.iter().filter(|it| it.key.sort.starts_with(kind)).collect();
        let Some(item) = rng.pick(&fit) else { continue };
        let Ok(mut document) = serde_json::from_str::<Value>(&item.body) else { continue };
        let how = if rng.chance(150) {
            remove(world, item);
            "removed".to_owned()
        } else {
            let how = change(&mut document, &item.key, &items, rng);
            replace(world, item, &document);
            how
        };
        done.push(format!("{}: {how}", item.key));
    }
    done
}

/// A run waits for a slot of which its model may know nothing.
fn let_wait(world: &MemoryWorld, rng: &mut Rng) -> Option<String> {
    let items = world.table.items();
    let runs: Vec<&Item> = items.iter().filter(|it| it.key.sort.starts_with("RUN#")).collect();
    let (run, queue) = (rng.pick(&runs)?, items.iter().find(|it| it.key.sort == "QUEUE")?);
    let mut document: Value = serde_json::from_str(&run.body).ok()?;
    document["status"] = json!(RunStatus::Queued);
    replace(world, run, &document);
    let mut document: Value = serde_json::from_str(&queue.body).ok()?;
    let id = run.key.sort.trim_start_matches("RUN#");
    let entry = json!({ "priority": "normal", "enqueued_at": TIMES[1], "ready_at": TIMES[1], "causes": [],
                        "parked_until": null });
    insert(&mut document, "entries", id, entry);
    replace(world, queue, &document);
    Some(format!("{id} waits"))
}

/// What Refit keeps as state, for all models and for each.
fn is_state(key: &Key) -> bool {
    let is_model = key.partition.starts_with("MODEL#")
        && ["HEAD", "RUN#", "PACKAGE#", "APPROVAL#"].iter().any(|it| key.sort.starts_with(it));
    let is_other = ["LOOK#", "CURSOR#"].iter().any(|it| key.partition.starts_with(it)) || key.partition == "FLEET";
    is_model || is_other
}

fn change(document: &mut Value, key: &Key, items: &[Item], rng: &mut Rng) -> String {
    if key.sort.starts_with("RUN#") && rng.chance(400) {
        let status = RunStatus::ALL[rng.below(RunStatus::ALL.len())];
        document["status"] = json!(status);
        return format!("status is {status}");
    }
    if key.sort == "SLOTS" && rng.chance(700) {
        let holders: Vec<String> = items
            .iter()
            .filter_map(|it| it.key.sort.strip_prefix("RUN#").map(str::to_owned))
            .chain(["m1-r0099".to_owned()])
            .collect();
        let holder = rng.pick(&holders).cloned().unwrap_or_default();
        if rng.chance(700) {
            let pipeline = format!("{}-retrain", holder.split("-r").next().unwrap_or_default());
            let entry = json!({ "since": TIMES[1], "pipeline": pipeline, "display_name": holder });
            insert(document, "holders", &holder, entry);
            return format!("{holder} holds a slot");
        }
        document["holders"] = json!({});
        return "nobody holds a slot".to_owned();
    }
    if key.sort == "QUEUE" && rng.chance(700) {
        let runs: Vec<&str> = items.iter().filter_map(|it| it.key.sort.strip_prefix("RUN#")).collect();
        if let Some(run) = rng.pick(&runs).filter(|_| rng.chance(500)) {
            let entry = json!({ "priority": "normal", "enqueued_at": TIMES[1], "ready_at": TIMES[1], "causes": [],
                                "parked_until": null });
            insert(document, "entries", run, entry);
            return format!("{run} waits");
        }
        document["entries"] = json!({});
        return "nobody waits".to_owned();
    }
    if rng.chance(100) {
        // Another item of its kind, or an older one, written over it.
        let kind = key.sort.split('#').next().unwrap_or_default();
        let alike: Vec<&Item> = items.iter().filter(|it| it.key.sort.starts_with(kind)).collect();
        if let Some(other) = rng.pick(&alike)
            && let Ok(body) = serde_json::from_str(&other.body)
        {
            *document = body;
            return format!("is what {} is", other.key);
        }
    }
    let Some(fields) = document.as_object_mut() else { return "nothing".to_owned() };
    let names: Vec<String> = fields.keys().cloned().collect();
    let Some(name) = rng.pick(&names).cloned() else { return "nothing".to_owned() };
    let before = fields.get(&name).cloned().unwrap_or_default();
    let after = other_value(&before, rng);
    let how = format!("{name} is {after}");
    fields.insert(name, after);
    how
}

/// A value that might stand there instead.
fn other_value(before: &Value, rng: &mut Rng) -> Value {
    match before {
        Value::Null => [json!(1), json!("m1-r0001"), json!(TIMES[rng.below(TIMES.len())])][rng.below(3)].clone(),
        Value::Number(number) if rng.chance(800) => {
            let number = number.as_u64().unwrap_or_default();
            let near = [number.saturating_sub(1), number.saturating_add(1), 0, 77];
            json!(near[rng.below(near.len())])
        }
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() && rng.chance(900) => {
            json!(TIMES[rng.below(TIMES.len())])
        }
        Value::String(text) if text.contains("-r0") && rng.chance(800) => {
            json!(["m1-r0001", "m2-r0001", "m1-r0099"][rng.below(3)])
        }
        Value::Array(list) if !list.is_empty() && rng.chance(500) => json!([list[0].clone(), list[0].clone()]),
        Value::Array(_) => json!([]),
        Value::Object(fields) if rng.chance(600) => {
            let mut fields = fields.clone();
            let names: Vec<String> = fields.keys().cloned().collect();
            if let Some(name) = rng.pick(&names) {
                let inner = other_value(&fields[name], rng);
                fields.insert(name.clone(), inner);
            }
            Value::Object(fields)
        }
        Value::Bool(it) => json!(!it),
        Value::Number(_) | Value::String(_) | Value::Object(_) => Value::Null,
    }
}

/// Adds to the map of that name, which may have been damaged before: then it begins anew.
fn insert(document: &mut Value, map: &str, key: &str, value: Value) {
    if !document[map].is_object() {
        document[map] = json!({});
    }
    document[map][key] = value;
}

fn replace(world: &MemoryWorld, item: &Item, document: &Value) {
    let expect = Expect::Generation(item.generation);
    let body = document.to_string().into();
    write(world, Write::Put { key: Key::clone(&item.key), expect, body, due: item.due });
}

fn remove(world: &MemoryWorld, item: &Item) {
    write(world, Write::Delete { key: Key::clone(&item.key), expect: item.generation });
}

fn write(world: &MemoryWorld, write: Write) {
    let token = Token(format!("damage-{:?}-{:?}", write.key(), write));
    let token = Token(refit_core::Digest::of(token.0.as_bytes()).hex()[..36].to_owned());
    poll(world.table.transact(&token, &[write])).unwrap_done().expect("invariant: it is as it was read");
}
