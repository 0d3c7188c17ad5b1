//! Takes requested runs to running executions: freezes what the woken model trains, then dispatches the fleet's queue.
//!
//! Whichever model is woken, the runs whose turn it is are started, whichever model they belong to: that is what makes the
//! queue fair, and what a freed slot needs only one wake-up for.

mod dispatch;

use std::sync::Arc;

use async_trait::async_trait;
use refit_core::ModelId;
use refit_core::plan::{DeclaredPipeline, Question};
use refit_core::run::RunStatus;

use self::dispatch::{dispatch, enqueue, fleet_policy};
use super::{Context, Outcome, Planner, Situation, drive};
use crate::error::AppError;
use crate::ports::PipelineError;

struct Start;

#[async_trait]
impl Planner for Start {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let loaded = situation.loaded;
        let run = loaded.model.active_run();
        if let Some(run) = run.filter(|it| it.status == RunStatus::Queued)
            && !loaded.queue.entries.get(&run.id).is_some_and(|it| it.is_of(run, context.now()))
        {
            // The queue lost it, or says something else of it. What was read is old now; the dispatch that follows sees the new queue.
            enqueue(context, loaded, run).await?;
            return Ok(Question::Nothing);
        }
        let pipeline = if run.is_some_and(|it| it.status == RunStatus::Requested) {
            match context.ports.pipelines.describe(&situation.in_force.model.pipeline_name()).await {
                Ok(it) => {
                    Some(Ok(DeclaredPipeline { version: it.version, digest: it.digest, parameters: it.parameters }))
                }
                Err(error @ (PipelineError::NotFound(_) | PipelineError::Invalid(_))) => Some(Err(error.to_string())),
                Err(error) => return Err(error.into()),
            }
        } else {
            None
        };
        let fleet = fleet_policy(context, situation.in_force).await?;
        Ok(Question::Start {
            pipeline,
            slots: Arc::clone(&loaded.slots),
            queue: Arc::clone(&loaded.queue),
            concurrent_runs: fleet.concurrent_runs,
            aging: fleet.priority_aging,
            runs_root: context.settings.runs_root(),
        })
    }
}

/// Carries on the run of the woken model, then starts whatever runs of the fleet have their turn.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "start_retraining", skip_all, fields(model.id = %model))]
pub async fn start_retraining(context: &Context, model: &ModelId) -> Result<Outcome, AppError> {
    // What is wrong with the woken model is no reason to let the others wait.
    let driven = drive(context, model, &Start).await;
    // Nor is a wake-up for nobody one for the fleet.
    if let Err(AppError::UnknownModel(_)) = &driven {
        return driven;
    }
    let dispatched = dispatch(context, model).await;
    let mut outcome = driven?;
    outcome.recorded.extend(dispatched?);
    Ok(outcome)
}
