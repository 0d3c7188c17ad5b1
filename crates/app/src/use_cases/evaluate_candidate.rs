//! Watches an execution and judges what it made.

use async_trait::async_trait;
use refit_core::Guard;
use refit_core::ModelId;
use refit_core::plan::{CancelRequest, ObservedExecution, Question};
use refit_core::run::{Run, RunStatus};

use super::{Context, Outcome, Planner, Situation, drive, perform};
use crate::error::AppError;
use crate::measure::read_outputs;
use crate::ports::{Execution, ExecutionStatus, PipelineError};

/// A person's request to end a run, with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelOrder {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub cancel: CancelRequest,
}

struct Evaluate<'a> {
    order: Option<&'a CancelOrder>,
}

#[async_trait]
impl Planner for Evaluate<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        if let Some(order) = self.order.filter(|_| situation.is_request_open) {
            return Ok(Question::Cancel { request: order.cancel.clone() });
        }
        let model = &situation.loaded.model;
        let policy = &situation.in_force.model;
        let run = model.active_run();
        let execution = match run {
            Some(run) => observe(context, run).await?,
            None => None,
        };
        let found = match run {
            Some(run) => find_unknown(context, run).await?,
            None => None,
        };
        let outputs = match (run, &execution) {
            (Some(run), Some(execution)) if run.status == RunStatus::Evaluating => {
                let package_arn = execution.steps.iter().find_map(|it| it.package_arn.as_deref());
                Some(read_outputs(context, policy, run, package_arn, model.head.champion.is_some()).await?)
            }
            _ => None,
        };
        let execution = execution.map(|it| ObservedExecution { status: it.status, failure: failure(&it) });
        Ok(Question::Evaluate { execution, found, outputs: outputs.map(|it| it.map(Box::new)) })
    }

    fn request_id(&self) -> Option<&str> {
        self.order.map(|it| it.id.as_str())
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

/// The execution of a run that was stopped while it was being started, if there is one.
async fn find_unknown(context: &Context, run: &Run) -> Result<Option<String>, AppError> {
    let is_unknown = matches!(run.status, RunStatus::Training | RunStatus::Stopping) && run.execution.is_none();
    let Some(request) = run.request.as_ref().filter(|_| is_unknown) else { return Ok(None) };
    perform::find(context, &request.pipeline, &run.display_name()).await
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
    drive(context, model, &Evaluate { order: None }).await
}

/// Ends a run because a person asks: at once if it holds no slot, else by way of stopping its execution.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "cancel_run", skip_all, fields(run.id = %order.cancel.run))]
pub async fn cancel_run(context: &Context, order: &CancelOrder) -> Result<Outcome, AppError> {
    drive(context, &order.cancel.run.model(), &Evaluate { order: Some(order) }).await
}
