//! Wakes whatever is due or overdue: the schedule, and the net below every lost event.

use refit_core::Guard;
use refit_core::model::Model;
use refit_core::plan::{POLL, next_check, next_idle_look};
use refit_core::policy::{ModelPolicy, Span};
use refit_core::run::RunStatus;
use refit_core::{Digest, ModelId};
use serde::Serialize;

use super::publish_events::published_up_to;
use super::{Context, policy};
use crate::documents::{model_of_look, spread_key};
use crate::error::{AppError, ErrorClass, chain};
use crate::ports::{Alert, AlertKind, DUE_SHARDS, DueItem, OutboundEvent, PublishError};
use crate::state::{Scope, load, postpone, reschedule};

/// The detail type of a wake-up.
pub const WAKE_UP: &str = "Wake Up";
/// Models read from an index partition at once.
const PAGE: usize = 1_000;
/// How long a model that cannot be looked at is left alone: people are told each time.
const RETRY: Span = Span::from_const_seconds(6 * 3_600);

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// The wake-ups sent, `<function> <model>`.
    pub woken: Vec<String>,
    /// Models that could not be looked at, with the reason.
    pub failed: Vec<String>,
}

/// Wakes every model that is due.
///
/// # Errors
/// See [`AppError`]; a single model's trouble does not stop the sweep.
#[tracing::instrument(name = "sweep", skip_all)]
pub async fn sweep(context: &Context) -> Result<Swept, AppError> {
    let mut swept = Swept::default();
    let now = context.now();
    for shard in 0..DUE_SHARDS {
        let mut after: Option<DueItem> = None;
        loop {
            let page = context.ports.table.list_due(shard, now, PAGE, after.as_ref()).await?;
            for item in &page.items {
                if item.key == spread_key() {
                    if let Err(error) = policy::spread(context).await {
                        tracing::warn!("sweep could not spread the policy: {}", chain(&error));
                        swept.failed.push(format!("fleet: {}", chain(&error)));
                    }
                    continue;
                }
                let Some(model) = model_of_look(&item.key) else { continue };
                if let Err(error) = wake(context, &model, &mut swept).await {
                    tracing::warn!(model.id = %model, "sweep could not wake a model: {}", chain(&error));
                    swept.failed.push(format!("{model}: {}", chain(&error)));
                    if error.class() == ErrorClass::Bug {
                        give_up(context, &model, &error).await?;
                    }
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(swept)
}

/// The functions that have something to do for a model, in the order of the loop.
#[must_use]
pub fn functions_due(model: &Model, policy: &ModelPolicy, published: u64, now: jiff::Timestamp) -> Vec<&'static str> {
    let mut due = Vec::new();
    // What is not published yet wakes nobody: the publisher comes first.
    if !Guard::SweepPublishes.holds(model.head.audit_seq <= published) {
        due.push("publish-events");
    }
    if model.head.active_rollback.is_some() {
        due.push("promote-model");
    } else if let Some(run) = model.active_run().filter(|_| Guard::SweepWakesRuns.is_kept()) {
        due.push(match run.status {
            RunStatus::Requested | RunStatus::Queued | RunStatus::Starting => "start-retraining",
            RunStatus::Training | RunStatus::Stopping | RunStatus::Evaluating => "evaluate-candidate",
            RunStatus::AwaitingApproval
            | RunStatus::Announced
            | RunStatus::RollingOut
            | RunStatus::Succeeded
            | RunStatus::Rejected
            | RunStatus::Failed
            | RunStatus::Canceled
            | RunStatus::TimedOut => "promote-model",
        });
    }
    if model.head.released_at.is_none() && next_check(&model.head, policy, now) <= now {
        // A worker that was paused half-way may have set the endpoint back: look at each check, too.
        if model.head.active_run.is_none() && model.head.champion.is_some() {
            due.push("promote-model");
        }
        due.push("check-triggers");
    }
    due
}

async fn wake(context: &Context, id: &ModelId, swept: &mut Swept) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let Some(loaded) = load(table, id, Scope::Rollback).await? else { return Ok(()) };
    if loaded.model.head.active_rollback.is_some() {
        // Nothing else that is broken may stand in its way: not the run, not the policy.
        return send(context, id, "promote-model", swept).await;
    }
    let Some(loaded) = load(table, id, Scope::Everything).await? else { return Ok(()) };
    let in_force = policy::in_force(context, &loaded.model.head).await?;
    let published = published_up_to(context, id).await?;
    let now = context.now();
    let mut functions = functions_due(&loaded.model, &in_force.model, published, now);
    // Whoever moves a model adopts the current policy first; an idle one is moved by its check.
    let is_moved = functions.iter().any(|it| *it != "publish-events");
    if !is_moved && policy::plan_adoption(context, &loaded.model, &[], now).await?.is_some() {
        functions.push("check-triggers");
    }
    for function in &functions {
        send(context, id, function, swept).await?;
    }
    // Whoever was woken sets the clock anew. If nobody does, because the work fails, the next try is not at once.
    let idle = next_idle_look(&loaded.model.head, &in_force.model, now);
    let look_at = if functions.is_empty() { idle } else { POLL.after(now) };
    reschedule(table, &loaded, look_at).await
}

/// What is stored of a model is damaged: people are told, and it is tried again later.
async fn give_up(context: &Context, id: &ModelId, error: &AppError) -> Result<(), AppError> {
    let why = chain(error);
    let alert = Alert {
        dedupe_id: format!("look-{}", Digest::of_list(&[id.as_ref(), &why]).short()),
        time: context.now(),
        kind: AlertKind::Failure,
        model: id.to_string(),
        subject: format!("Refit: {id} cannot be looked at"),
        body: format!("{why}\nUntil that is repaired nothing happens to it. The next try is in {RETRY}."),
    };
    match context.ports.publisher.alert(&alert).await {
        Ok(()) | Err(PublishError::Refused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    postpone(&*context.ports.table, id, RETRY.after(context.now())).await
}

async fn send(context: &Context, id: &ModelId, function: &str, swept: &mut Swept) -> Result<(), AppError> {
    let now = context.now();
    let event = OutboundEvent {
        dedupe_id: format!("wake-{function}-{id}-{now}"),
        time: now,
        detail_type: WAKE_UP.to_owned(),
        detail: serde_json::json!({ "schemaVersion": 1, "model": id, "function": function }),
    };
    for result in context.ports.publisher.publish(&[event]).await {
        result?;
    }
    swept.woken.push(format!("{function} {id}"));
    Ok(())
}
