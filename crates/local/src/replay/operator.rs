//! The people in a replay: who asks for runs, approves, rolls back, and breaks things.

use jiff::Timestamp;
use refit_app::ports::TableError;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::{ModelId, ObjectUri};
use refit_data::{CaptureLine, Label, write_capture_line};
use refit_handlers::Function;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::Rows;
use super::traffic::{dated, object_created};
use crate::routing::targets;
use crate::store::{Queued, Transaction};
use crate::world::{OPERATOR, World, WorldError};

/// Who asks for the first champion.
const FIRST: &str = "replay";

/// What somebody does at a set time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Asks for a run.
    Trigger {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Takes the champion back.
    Rollback {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Uploads a capture file that was cut off.
    DamageUpload,
    /// Uploads it again, whole.
    RepairUpload,
}

/// An action and its time, as a share of the span of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scripted {
    /// When: 0 is the first row, 1 the last.
    pub at: f64,
    /// What.
    pub action: Action,
}

/// The people in a replay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Script {
    /// Set actions.
    pub actions: Vec<Scripted>,
    /// Who approves candidates that wait, and how long that takes; the first champion is approved at once in any case.
    pub approver: Option<(String, Span)>,
}

/// Puts everything that is known beforehand into the queue.
pub(super) fn enqueue_script(
    transaction: &Transaction<'_>,
    script: &Script,
    model: &ModelId,
    begin: Timestamp,
    time_of: impl Fn(f64) -> Timestamp,
) -> Result<(), TableError> {
    let first = json!({
        "kind": "trigger", "id": "first-champion", "model": model, "actor": FIRST,
        "reason": "first champion, from the warm-up",
    });
    transaction.enqueue(begin, Function::CheckTriggers.name(), &first.to_string())?;
    for (index, scripted) in script.actions.iter().enumerate() {
        let at = time_of(scripted.at);
        let id = format!("scripted-{index}");
        let (target, body) = match &scripted.action {
            Action::Trigger { by, reason } => (
                Function::CheckTriggers.name(),
                // Whoever sits at the desk waits for nothing: the cooldown is for machines.
                json!({ "kind": "trigger", "id": id, "model": model, "actor": by, "reason": reason, "force": true }),
            ),
            Action::Rollback { by, reason } => (
                Function::PromoteModel.name(),
                json!({ "kind": "rollback", "id": id, "model": model, "actor": by, "reason": reason }),
            ),
            Action::DamageUpload => (OPERATOR, json!({ "operator": "damage", "at": at })),
            Action::RepairUpload => (OPERATOR, json!({ "operator": "repair" })),
        };
        transaction.enqueue(at, target, &body.to_string())?;
    }
    Ok(())
}

/// What a person at the desk does about an event.
pub(super) fn operate(
    world: &World,
    queued: &Queued,
    script: &Script,
    rows: &Rows,
    policy: &ModelPolicy,
    script_time: impl Fn(&Action) -> Option<Timestamp>,
) -> Result<(), WorldError> {
    let event: Value = serde_json::from_str(&queued.body).unwrap_or(Value::Null);
    match event["operator"].as_str() {
        Some("damage") => upload(world, rows, policy, world.now(), true),
        Some("repair") => {
            upload(world, rows, policy, script_time(&Action::DamageUpload).unwrap_or_else(|| world.now()), false)
        }
        _ => vote(world, script, &event),
    }
}

fn vote(world: &World, script: &Script, event: &Value) -> Result<(), WorldError> {
    let Some(run) = event["detail"]["runId"].as_str() else { return Ok(()) };
    let is_first = event["detail"]["sequence"].as_u64().is_some() && run.ends_with("-r0001");
    let (by, after) = match &script.approver {
        _ if is_first => (script.approver.as_ref().map_or("replay-approver", |it| it.0.as_str()), Span::ZERO),
        Some((by, after)) => (by.as_str(), *after),
        None => return Ok(()),
    };
    let comment = if is_first { "there is nothing better yet" } else { "the report looks right" };
    let vote = json!({
        "kind": "vote", "id": format!("vote-{by}-{run}"), "run": run, "actor": by, "choice": "approve", "comment": comment,
    });
    world.database.enqueue(after.after(world.now()), Function::PromoteModel.name(), &vote.to_string())?;
    Ok(())
}

/// Uploads a captured row of before `at` once more, whole or cut off in the middle of the line.
fn upload(world: &World, rows: &Rows, policy: &ModelPolicy, at: Timestamp, is_damaged: bool) -> Result<(), WorldError> {
    let row = rows.first_at(at).saturating_sub(1);
    let input = Value::Object(refit_data::feature_object(&rows.features, row, &feature_names(rows))).to_string();
    let line = write_capture_line(&CaptureLine {
        event_id: &format!("event-{}", rows.ids[row]),
        inference_id: Some(&rows.ids[row]),
        time_micros: rows.times[row],
        input: &input,
        output: &json!({ &policy.data.prediction: rows.labels[row].as_ref().map(answer) }).to_string(),
    });
    let bytes = if is_damaged { &line.as_bytes()[..line.len() / 2] } else { line.as_bytes() };
    let folder = format!("{}/{}", policy.endpoint.name, policy.endpoint.variant);
    let uri: ObjectUri = dated(&policy.data.capture, &folder, rows.time(row), "upload.jsonl")?;
    let info = world.objects.overwrite(&uri, bytes)?;
    let event = object_created(&uri, info.size, world.now());
    world.database.update(|transaction| {
        for target in targets(&event) {
            transaction.enqueue(world.now(), target.name(), &event.to_string())?;
        }
        Ok(())
    })?;
    Ok(())
}

/// A label as an endpoint would answer it.
fn answer(label: &Label) -> Value {
    match label {
        Label::Number(number) => json!(number),
        Label::Text(name) => json!(name),
    }
}

fn feature_names(rows: &Rows) -> Vec<&str> {
    rows.features.columns().iter().map(|it| it.name.as_str()).collect()
}
