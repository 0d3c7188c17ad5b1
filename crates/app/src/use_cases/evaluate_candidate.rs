//! Watches an execution and judges what it made.

use async_trait::async_trait;
use refit_core::Guard;
use refit_core::ModelId;
use refit_core::plan::{ObservedExecution, Question};
use refit_core::run::{Run, RunStatus};

use super::{Context, Outcome, Planner, Situation, drive};
use crate::error::AppError;
use crate::measure::read_outputs;
use crate::ports::{Execution, ExecutionStatus, PipelineError};

struct Evaluate;

#[async_trait]
impl Planner for Evaluate {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        let model = &situation.loaded.model;
        let policy = &situation.in_force.model;
        let run = model.active_run();
        let execution = match run {
            Some(run) => observe(context, run).await?,
            None => None,
        };
        let outputs = match (run, &execution) {
            (Some(run), Some(execution)) if run.status == RunStatus::Evaluating => {
                let package_arn = execution.steps.iter().find_map(|it| it.package_arn.as_deref());
                Some(read_outputs(&context.ports, policy, run, package_arn, model.head.champion.is_some()).await?)
            }
            _ => None,
        };
        let execution = execution.map(|it| ObservedExecution { status: it.status, failure: failure(&it) });
        Ok(Question::Evaluate { execution, outputs: outputs.map(|it| it.map(Box::new)) })
    }
}

async fn observe(context: &Context, run: &Run) -> Result<Option<Execution>, AppError> {
    let is_needed = matches!(run.status, RunStatus::Training | RunStatus::Stopping | RunStatus::Evaluating);
    let Some(arn) = run.execution.as_ref().filter(|_| is_needed) else { return Ok(None) };
    match context.ports.pipelines.observe(arn).await {
        Ok(execution) if Guard::ServiceDecides.is_kept() => Ok(Some(execution)),
        Ok(execution) => Ok(Some(Execution { status: ExecutionStatus::Succeeded, ..execution })),
        // The service may lag behind its own answer to the start.
        Err(PipelineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why an execution failed: the step's own words where there are some.
fn failure(execution: &Execution) -> Option<String> {
    let step = execution.steps.iter().find(|it| it.failure_reason.is_some());
    match (step, &execution.failure_reason) {
        (Some(step), _) => step.failure_reason.as_ref().map(|reason| format!("step {} failed: {reason}", step.name)),
        (None, reason) => reason.clone(),
    }
}

/// Looks at the execution of a model's run and judges its candidate once it ended well.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "evaluate_candidate", skip_all, fields(model.id = %model))]
pub async fn evaluate_candidate(context: &Context, model: &ModelId) -> Result<Outcome, AppError> {
    drive(context, model, &Evaluate).await
}
