//! Performs plan steps: each idempotent, each under a key that the plan fixed.

use jiff::Timestamp;
use refit_core::Guard;
use refit_core::audit::Fact;
use refit_core::plan::{POLL, Step, WaitingOn};
use refit_core::run::{Outcome, OutcomeCode, RunStatus, TrainingRequest};
use refit_core::{ObjectUri, RunId};

use super::{Context, InForce};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{ApprovalStatus, EndpointError, ObjectError, PackageError, PipelineError, StartRequest, Variant};

/// What performing a step led to.
pub(super) enum Performed {
    /// Done; nothing was learned.
    Done,
    /// Something was learned that has to be recorded.
    Learned(Fact),
    /// It cannot be done now.
    Wait { on: WaitingOn, until: Timestamp },
}

pub(super) async fn perform(
    context: &Context,
    in_force: &InForce,
    step: &Step,
    now: Timestamp,
) -> Result<Performed, AppError> {
    match step {
        Step::WriteRequest { output, document } => write_request(context, output, document).await,
        Step::StartExecution { run, request } => start(context, in_force, run, request, now).await,
        Step::StopExecution { execution } => {
            context.ports.pipelines.stop(execution).await?;
            Ok(Performed::Done)
        }
        Step::SetApproval { package_arn, is_approved } => {
            let status = if *is_approved { ApprovalStatus::Approved } else { ApprovalStatus::Rejected };
            match context.ports.packages.set_approval(package_arn, status).await {
                Ok(()) => Ok(Performed::Done),
                // Somebody removed it from the registry: a candidate that is gone cannot be taken by mistake.
                Err(PackageError::NotFound(_)) if !is_approved => Ok(Performed::Done),
                Err(error) => Err(error.into()),
            }
        }
        Step::Serve { endpoint, variant, package_arn } => {
            let variants = [Variant { name: variant.clone(), package_arn: package_arn.clone(), weight: 1.0 }];
            match context.ports.endpoints.ensure_variants(endpoint, &variants).await {
                Ok(()) => Ok(Performed::Done),
                Err(EndpointError::Updating(_)) if !Guard::ServeAwaited.is_kept() => Ok(Performed::Done),
                Err(EndpointError::Updating(name)) => {
                    Ok(Performed::Wait { on: WaitingOn::Endpoint { name }, until: POLL.after(now) })
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

async fn write_request(context: &Context, output: &ObjectUri, document: &str) -> Result<Performed, AppError> {
    let objects = &*context.ports.objects;
    let below = |name: &str| output.join(name).map_err(|error| AppError::Invalid(error.to_string()));
    for (name, text) in [("request.json", document), ("no-champion.json", "{\"schema\":1,\"champion\":null}")] {
        let uri = below(name)?;
        ensure_object(objects, &uri, text.as_bytes()).await?;
        if name == "request.json" {
            check_unchanged(context, &uri, text).await?;
        }
    }
    Ok(Performed::Done)
}

/// A request of the same name with other content would train something else than what is recorded.
async fn check_unchanged(context: &Context, uri: &ObjectUri, text: &str) -> Result<(), AppError> {
    let limit = text.len() as u64;
    let stored = match context.ports.objects.get(uri, limit).await {
        Ok(object) => object.bytes,
        Err(ObjectError::TooLarge { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if stored == text.as_bytes() {
        return Ok(());
    }
    let source = "it holds another request; remove it, or clear the folder of earlier runs".into();
    Err(AppError::CorruptObject { uri: uri.to_string(), source })
}

async fn start(
    context: &Context,
    in_force: &InForce,
    run: &RunId,
    request: &TrainingRequest,
    now: Timestamp,
) -> Result<Performed, AppError> {
    let start = StartRequest {
        pipeline: request.pipeline.clone(),
        version: request.definition_version,
        display_name: run.to_string(),
        parameters: request.parameters.clone(),
    };
    match context.ports.pipelines.ensure_started(&request.start_key, &start).await {
        Ok(execution) => {
            let deadline = in_force.model.pipeline.timeout.after(now);
            Ok(Performed::Learned(Fact::RunTraining { run: run.clone(), execution, deadline }))
        }
        Err(PipelineError::Quota) => Ok(Performed::Wait { on: WaitingOn::Quota, until: POLL.after(now) }),
        Err(error @ (PipelineError::NotFound(_) | PipelineError::Invalid(_) | PipelineError::KeyReused)) => {
            let reason = format!("the execution cannot be started: {error}");
            let outcome = Outcome { at: now, code: OutcomeCode::NotStartable, reason };
            Ok(Performed::Learned(Fact::RunEnded { run: run.clone(), status: RunStatus::Failed, outcome }))
        }
        Err(error @ (PipelineError::Unavailable(_) | PipelineError::Denied(_))) => Err(error.into()),
    }
}
