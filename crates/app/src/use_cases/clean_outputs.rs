//! Removes what ended runs wrote, once their keep time is over: one run at each check of the triggers.
//!
//! Not a function of its own: the check is what comes by when a model is idle. What was begun is gone on with whatever
//! else the model does, for nobody can come back to it.

use std::sync::Arc;

use refit_core::audit::Fact;
use refit_core::model::Head;
use refit_core::plan::{Plan, RUNS_LOOKED_AT, RetentionInputs, Step, next_look_at_rest, plan_retention};
use refit_core::policy::ModelPolicy;
use refit_core::run::Run;
use refit_core::{ModelId, ObjectUri, RunId};

use super::park::refuse_damaged;
use super::{Context, Outcome, policy};
use crate::error::AppError;
use crate::state::{Loaded, LookAt, RecordContext, Scope, find_run, load, load_packages, record};

/// Above what one run takes: the intent, the removal, its end.
const MAX_ROUNDS: u32 = 4;

/// Removes what at most one run wrote.
///
/// # Errors
/// See [`AppError`]; whatever was removed before stays so, and the next wake-up goes on.
pub(super) async fn clean_outputs(context: &Context, id: &ModelId, outcome: &mut Outcome) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let runs_root = context.settings.runs_root();
    let mut performed: Vec<Step> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let Some(mut loaded) = load(table, id, Scope::Rollback).await? else { return Ok(()) };
        refuse_damaged(id, loaded.model.find_damaged_rollback())?;
        let in_force = policy::in_force(context, &loaded.model.head).await?;
        let now = context.now();
        let runs = load_candidates(context, &mut loaded, &in_force.model).await?;
        let plan = plan_retention(&RetentionInputs {
            model: &loaded.model,
            runs: &runs,
            policy: &in_force.model,
            now,
            runs_root: &runs_root,
            performed: &performed,
        });
        let planned = match plan {
            Plan::Record(planned) => *planned,
            Plan::Perform(step) => {
                super::perform::perform(context, &loaded, &in_force, &step, (now, now)).await?;
                performed.push(step);
                continue;
            }
            Plan::Wait { .. } | Plan::Refuse(_) => return Ok(()),
        };
        let is_over = match &planned.fact {
            Fact::OutputsExpired { runs, .. } => runs.is_empty(),
            _ => true,
        };
        let mut head = Head::clone(&loaded.model.head);
        head.cleaning.clear();
        // Whatever else the model was doing sets the clock when it is looked at.
        let is_idle = is_over && head.active_run.is_none() && head.active_rollback.is_none();
        let look_at = if is_idle { next_look_at_rest(&head, &in_force.model, now) } else { now };
        let look_at = LookAt::At(look_at);
        let record_context = RecordContext { now, policy: &in_force.digest, look_at, request_id: None, snapshot: None };
        match record(table, &loaded, &planned, &record_context).await {
            Ok(_) => outcome.recorded.push(planned.fact.name().to_owned()),
            // Something else happens to the model: it goes first.
            Err(error) if error.is_conflict() => return Ok(()),
            Err(error) => return Err(error),
        }
        if is_over {
            return Ok(());
        }
        performed.clear();
    }
    Ok(())
}

/// The runs to look at, in their order; with the first that may be removed, the packages are loaded.
async fn load_candidates(
    context: &Context,
    loaded: &mut Loaded,
    policy: &ModelPolicy,
) -> Result<Vec<Arc<Run>>, AppError> {
    let head = &loaded.model.head;
    let Some(retention) = policy.retention.as_ref().filter(|_| head.cleaning.is_empty()) else { return Ok(Vec::new()) };
    let mut runs = Vec::new();
    for number in
        (head.cleaned_runs.saturating_add(1)..=head.run_count).take(usize::try_from(RUNS_LOOKED_AT).unwrap_or(0))
    {
        let Some(run) = find_run(&*context.ports.table, &RunId::new(&head.model, number)).await? else { break };
        let is_over = run.outcome.as_ref().is_some_and(|it| retention.runs.after(it.at) <= context.now());
        if !is_over {
            break;
        }
        runs.push(run);
    }
    if !runs.is_empty() {
        load_packages(&*context.ports.table, loaded).await?;
    }
    Ok(runs)
}

/// Removes every object below an address.
pub(super) async fn remove_outputs(context: &Context, output: &ObjectUri) -> Result<(), AppError> {
    let objects = &*context.ports.objects;
    let mut after: Option<String> = None;
    loop {
        let page = objects.list(output, after.as_deref()).await?;
        // The listing is by the beginning of the key: another run's name may begin with this one's.
        for object in page.items.iter().filter(|it| output.contains(&it.uri)) {
            objects.remove(&object.uri).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
