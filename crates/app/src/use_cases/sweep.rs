//! Wakes whatever is due or overdue: the schedule, and the net below every lost event.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use refit_core::model::Model;
use refit_core::plan::{POLL, next_check, next_idle_look};
use refit_core::policy::{ModelPolicy, Span};
use refit_core::run::RunStatus;
use refit_core::{Guard, ModelId};
use serde::{Deserialize, Serialize};

use super::park::{find_lost_entry, is_whole, park, refuse_damaged};
use super::publish_events::published_up_to;
use super::{Context, policy};
use crate::documents::{head_key, model_of_look, parse, pass_key, spread_key, to_body, watched_key};
use crate::error::{AppError, ErrorClass, chain};
use crate::ports::{Alert, AlertKind, DUE_SHARDS, DueItem, Expect, Failure, OutboundEvent, PublishError, Write};
use crate::state::{Scope, load, load_rest, reschedule, transaction_token};

/// The detail type of a wake-up.
pub const WAKE_UP: &str = "Wake Up";
/// Models read from an index partition at once.
const PAGE: usize = 1_000;
/// How often every model is looked at whether it is due or not.
const PASS_EVERY: Span = Span::from_const_seconds(24 * 3_600);

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// The wake-ups sent, `<function> <model>`.
    pub woken: Vec<String>,
    /// Models that could not be looked at, with the reason.
    pub failed: Vec<String>,
    /// Models that were looked at.
    #[serde(skip)]
    seen: BTreeSet<ModelId>,
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
                try_wake(context, &model, &mut swept).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    pass_over_all(context, &mut swept).await?;
    Ok(swept)
}

/// Wakes a model; its trouble is noted and does not stop the sweep.
async fn try_wake(context: &Context, model: &ModelId, swept: &mut Swept) -> Result<(), AppError> {
    swept.seen.insert(model.clone());
    let Err(error) = wake(context, model, swept).await else { return Ok(()) };
    tracing::warn!(model.id = %model, "sweep could not wake a model: {}", chain(&error));
    swept.failed.push(format!("{model}: {}", chain(&error)));
    if error.class() == ErrorClass::Bug { park(context, model, &error).await } else { Ok(()) }
}

#[derive(Clone, Serialize, Deserialize)]
struct Pass {
    schema: u16,
    at: Timestamp,
}

/// Wakes every model once a day whether it is due or not: an entry of the index that is lost or wrong is set right by it.
async fn pass_over_all(context: &Context, swept: &mut Swept) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let now = context.now();
    let item = table.get(&pass_key()).await?;
    // What cannot be read is written anew.
    let last = item.as_ref().and_then(|it| parse::<Pass>(it).ok()).map(|it| it.at);
    if last.is_some_and(|it| it <= now && now < PASS_EVERY.after(it)) {
        return Ok(());
    }
    let expect = item.map_or(Expect::Absent, |it| Expect::Generation(it.generation));
    let models = match watched_models(context).await {
        Ok(models) => models,
        Err(error) => {
            tracing::error!("sweep cannot read the policy: {}", chain(&error));
            return Ok(());
        }
    };
    for model in &models {
        // With neither its watch has not begun; with the marker alone its HEAD is lost.
        if !swept.seen.contains(model)
            && (table.get(&head_key(model)).await?.is_some() || table.get(&watched_key(model)).await?.is_some())
        {
            try_wake(context, model, swept).await?;
        }
    }
    let writes = [Write::Put { key: pass_key(), expect, body: to_body(&Pass { schema: 1, at: now }), due: None }];
    match table.transact(&transaction_token(&writes), &writes).await {
        Ok(()) => Ok(()),
        // Another sweep was faster.
        Err(error) if error.failure() == Failure::Conflict => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The models of the current policy; all there ever were when it is lost or cannot be read, of which people are told.
async fn watched_models(context: &Context) -> Result<Vec<ModelId>, AppError> {
    let why = match policy::models(context).await {
        Ok(Some(models)) => return Ok(models),
        Ok(None) => "The pointer to the current policy is gone".to_owned(),
        Err(error) if error.class() == ErrorClass::Bug => {
            format!("The current policy cannot be read: {}", chain(&error))
        }
        Err(error) => return Err(error),
    };
    let models = policy::known_models(context).await?;
    if !models.is_empty() {
        let alert = Alert {
            // Two sweeps at once say it with one name.
            dedupe_id: format!("fleet-no-policy-{}", context.now().strftime("%Y-%m-%d")),
            time: context.now(),
            kind: AlertKind::Failure,
            model: "fleet".to_owned(),
            subject: "Refit: no policy is in force".to_owned(),
            body: format!(
                "{why}. {} model(s) go on by the policy that each adopted last; apply the policy again.",
                models.len()
            ),
        };
        match context.ports.publisher.alert(&alert).await {
            Ok(()) | Err(PublishError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(models)
}

/// The functions that have something to do for a model, in the order of the loop; `is_due` when its clock says so.
fn functions_due(
    model: &Model,
    policy: &ModelPolicy,
    published: u64,
    is_due: bool,
    now: Timestamp,
) -> Vec<&'static str> {
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
    if !model.head.cleaning.is_empty() && !due.contains(&"check-triggers") {
        due.push("check-triggers");
    }
    // It has come to rest: what is served is looked at once more, and whoever finds it right sets the clock.
    if due.is_empty() && is_due && model.head.keeps_endpoint() && model.head.active_run.is_none() {
        due.push("promote-model");
    }
    due
}

async fn wake(context: &Context, id: &ModelId, swept: &mut Swept) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let Some(mut loaded) = load(table, id, Scope::Rollback).await? else {
        return refuse_damaged(id, Some("it has no HEAD".to_owned()));
    };
    if loaded.model.head.active_rollback.is_some() && Guard::SweepRollsBackFirst.is_kept() {
        // Nothing else that is broken may stand in its way: not the run, not the policy.
        return send(context, id, "promote-model", swept).await;
    }
    load_rest(table, &mut loaded).await?;
    if !is_whole(context, &loaded.model).await? {
        // Somebody is at it, and it stays due.
        return Ok(());
    }
    let in_force = policy::in_force(context, &loaded.model.head).await?;
    // A model whose cursor cannot be read goes on, too: its run may hold a slot that others wait for.
    let (published, unread) = match published_up_to(context, id).await {
        Ok(published) => (published, None),
        Err(error) if error.class() == ErrorClass::Bug => (loaded.model.head.audit_seq, Some(error)),
        Err(error) => return Err(error),
    };
    if published < loaded.model.head.audit_seq {
        refuse_damaged(id, find_lost_entry(context, &loaded.model).await?)?;
    }
    let now = context.now();
    let is_due = loaded.look_at.is_none_or(|it| it <= now);
    let mut functions = functions_due(&loaded.model, &in_force.model, published, is_due, now);
    // Whoever moves a model adopts the current policy first; an idle one is moved by its check.
    let is_moved = functions.iter().any(|it| *it != "publish-events");
    if !is_moved && policy::plan_adoption(context, &loaded.model, &[], now).await?.is_some() {
        functions.push("check-triggers");
    }
    for function in &functions {
        send(context, id, function, swept).await?;
    }
    if let Some(error) = unread {
        return Err(error);
    }
    // Whoever was woken sets the clock anew. If nobody does, because the work fails, the next try is not at once.
    let idle = next_idle_look(&loaded.model.head, &in_force.model, now);
    let look_at = match loaded.look_at {
        _ if !functions.is_empty() => POLL.after(now),
        // It is looked at before anything can be due: whoever set the clock so had a reason.
        Some(set) if !is_due => set.min(idle),
        _ => idle,
    };
    reschedule(table, &loaded, look_at).await
}

async fn send(context: &Context, id: &ModelId, function: &str, swept: &mut Swept) -> Result<(), AppError> {
    let now = context.now();
    let event = OutboundEvent {
        dedupe_id: format!("wake-{function}-{id}-{now}"),
        time: now,
        detail_type: WAKE_UP.to_owned(),
        detail: Arc::new(serde_json::json!({ "schemaVersion": 1, "model": id, "function": function })),
    };
    for result in context.ports.publisher.publish(&[event]).await {
        result?;
    }
    swept.woken.push(format!("{function} {id}"));
    Ok(())
}
