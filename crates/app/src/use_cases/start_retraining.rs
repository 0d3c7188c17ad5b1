//! Takes a requested run to a running execution.

use async_trait::async_trait;
use refit_core::ModelId;
use refit_core::plan::{DeclaredPipeline, Question};
use refit_core::run::RunStatus;

use super::{Context, Outcome, Planner, Situation, drive};
use crate::error::AppError;
use crate::ports::PipelineError;

struct Start;

#[async_trait]
impl Planner for Start {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let model = &situation.loaded.model;
        let is_requested = model.active_run().is_some_and(|it| it.status == RunStatus::Requested);
        let pipeline = if is_requested {
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
        Ok(Question::Start {
            pipeline,
            slots: situation.loaded.slots.clone(),
            concurrent_runs: situation.in_force.policy.fleet.concurrent_runs,
            runs_root: context.settings.runs_root(),
        })
    }
}

/// Starts the requested run of a model, if there is one.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "start_retraining", skip_all, fields(model.id = %model))]
pub async fn start_retraining(context: &Context, model: &ModelId) -> Result<Outcome, AppError> {
    drive(context, model, &Start).await
}
