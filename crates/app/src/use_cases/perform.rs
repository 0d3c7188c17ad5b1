//! Performs plan steps: each idempotent, each under a key that the plan fixed.

use jiff::Timestamp;
use refit_core::Guard;
use refit_core::audit::Fact;
use refit_core::plan::{POLL, Step, WaitingOn};
use refit_core::policy::Span;
use refit_core::run::{RunStatus, StopReason, TrainingRequest};
use refit_core::{Digest, ObjectUri, RunId};

use super::clean_outputs::remove_outputs;
use super::{Context, InForce};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{ApprovalStatus, EndpointError, ObjectError, PackageError, PipelineError, StartRequest, Variant};
use crate::state::Loaded;

/// What performing a step led to.
pub(super) enum Performed {
    /// Done; nothing was learned.
    Done,
    /// Something was learned that has to be recorded.
    Learned(Fact),
    /// It cannot be done now.
    Wait { on: WaitingOn, until: Timestamp },
    /// What it was planned from is too old for it.
    Outdated,
}

/// After so long nothing is started by what was read before: the longest that a Lambda function lives (Lambda quotas,
/// function timeout), which is what START_GRACE counts on.
const MOST_AGE: Span = Span::from_const_seconds(900);

pub(super) async fn perform(
    context: &Context,
    loaded: &Loaded,
    in_force: &InForce,
    step: &Step,
    (read_at, now): (Timestamp, Timestamp),
) -> Result<Performed, AppError> {
    match step {
        Step::WriteRequest { run, output, document } => write_request(context, run, output, document).await,
        Step::StartExecution { run, attempt: _, display_name, request } => {
            let start = Start { run, display_name, request, read_at };
            start.perform(context, in_force, now).await
        }
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
            serve(context, loaded, endpoint, &variants).await
        }
        Step::RemoveOutputs { output } => {
            remove_outputs(context, output).await?;
            Ok(Performed::Done)
        }
    }
}

/// Tells an endpoint what to serve, by a state that still holds.
///
/// No condition of the table keeps a worker from an endpoint. So HEAD is looked at once more: whoever was frozen since it read
/// HEAD would set back what others have served meanwhile.
pub(super) async fn serve(
    context: &Context,
    loaded: &Loaded,
    endpoint: &str,
    variants: &[Variant],
) -> Result<Performed, AppError> {
    if !loaded.is_current(&*context.ports.table).await? {
        return Ok(Performed::Outdated);
    }
    match context.ports.endpoints.ensure_variants(endpoint, variants).await {
        Ok(()) => Ok(Performed::Done),
        Err(EndpointError::Updating(_)) if !Guard::ServeAwaited.is_kept() => Ok(Performed::Done),
        Err(EndpointError::Updating(name)) => {
            Ok(Performed::Wait { on: WaitingOn::Endpoint { name }, until: POLL.after(context.now()) })
        }
        Err(error) => Err(error.into()),
    }
}

async fn write_request(
    context: &Context,
    run: &RunId,
    output: &ObjectUri,
    document: &str,
) -> Result<Performed, AppError> {
    let objects = &*context.ports.objects;
    let below = |name: &str| output.join(name).map_err(|error| AppError::Invalid(error.to_string()));
    for (name, text) in [("request.json", document), ("no-champion.json", "{\"schema\":1,\"champion\":null}")] {
        let uri = below(name)?;
        ensure_object(objects, &uri, text.as_bytes()).await?;
        if name == "request.json" && !is_unchanged(context, &uri, text).await? {
            let reason =
                format!("`{uri}` holds another request; remove it, or clear the folder of earlier runs, and try again");
            return Ok(not_startable(run, reason));
        }
    }
    Ok(Performed::Done)
}

/// A request of the same name with other content would train something else than what is recorded.
async fn is_unchanged(context: &Context, uri: &ObjectUri, text: &str) -> Result<bool, AppError> {
    match context.ports.objects.get(uri, text.len() as u64).await {
        Ok(object) => Ok(Guard::RequestUnchanged.holds(object.bytes == text.as_bytes())),
        Err(ObjectError::TooLarge { .. }) => Ok(Guard::RequestUnchanged.holds(false)),
        Err(error) => Err(error.into()),
    }
}

/// The run ends, and with it its slot, once it is certain that no earlier call started it.
fn not_startable(run: &RunId, reason: String) -> Performed {
    Performed::Learned(Fact::RunStopping { run: run.clone(), because: StopReason::NotStartable { reason } })
}

/// An attempt that is started.
struct Start<'a> {
    run: &'a RunId,
    display_name: &'a str,
    request: &'a TrainingRequest,
    /// When the state was read that says so.
    read_at: Timestamp,
}

impl Start<'_> {
    /// Looks first, then starts under the attempt's key.
    ///
    /// An earlier call may have started it without an answer. The key makes a repetition harmless for as long as the service
    /// remembers it, which is not documented; the list of executions names it for good, but may lag. So each covers the time
    /// that the other does not: soon after a start the key, long after it the list.
    async fn perform(&self, context: &Context, in_force: &InForce, now: Timestamp) -> Result<Performed, AppError> {
        let training = |execution| {
            // From the answer on: this worker may have been paused since it planned the start.
            let deadline = in_force.model.pipeline.timeout.after(context.now());
            Performed::Learned(Fact::RunTraining { run: self.run.clone(), execution, deadline })
        };
        if Guard::StartLooksFirst.is_kept()
            && let Some(execution) = find(context, &self.request.pipeline, self.display_name).await?
        {
            return Ok(training(execution));
        }
        let version = if Guard::RequestFrozen.is_kept() {
            self.request.definition_version
        } else {
            context.ports.pipelines.describe(&self.request.pipeline).await?.version
        };
        // What a retry sends has the name of what it repeats.
        let key = if Guard::StartKeyOfRun.is_kept() {
            self.request.start_key.clone()
        } else {
            Digest::of_list(&["start", self.display_name, &now.to_string()]).hex().to_owned()
        };
        let start = StartRequest {
            pipeline: self.request.pipeline.clone(),
            version,
            display_name: self.display_name.to_owned(),
            parameters: self.request.parameters.clone(),
            resources: self.request.resources.clone(),
        };
        // Whoever was frozen for long may be the only one who still takes the run for one that is to be started.
        if MOST_AGE.after(self.read_at) <= context.now() {
            return Ok(Performed::Outdated);
        }
        match context.ports.pipelines.ensure_started(&key, &start).await {
            Ok(execution) => Ok(training(execution)),
            // This call started nothing; an earlier one without an answer may have, and the list may lag: the slot is kept.
            // The quota is the account's: nobody else could be started in its place.
            Err(error @ PipelineError::Quota) => {
                tracing::warn!(run.id = %self.run, "an execution cannot be started now: {error}");
                Ok(Performed::Wait { on: WaitingOn::Quota, until: POLL.after(now) })
            }
            Err(error @ (PipelineError::NotFound(_) | PipelineError::Invalid(_) | PipelineError::KeyReused)) => {
                Ok(not_startable(self.run, format!("the execution cannot be started: {error}")))
            }
            Err(error @ (PipelineError::Unavailable(_) | PipelineError::Denied(_))) => Err(error.into()),
        }
    }
}

/// The execution with this display name, which names one attempt of one run; the list may lag.
pub(super) async fn find(context: &Context, pipeline: &str, display_name: &str) -> Result<Option<String>, AppError> {
    match context.ports.pipelines.find_by_display_name(pipeline, display_name).await {
        Ok(arn) => Ok(arn),
        Err(PipelineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A fact that was learned and could not be recorded, because somebody else wrote first.
pub(super) struct Refused {
    pub(super) fact: Fact,
    /// The attempt that was started, if that is where it was learned.
    pub(super) attempt: Option<u32>,
}

/// What becomes of an execution whose record was refused: nobody else may know of it yet, and the list may lag.
///
/// What is to be recorded again, when the run still waits for this execution; one whose attempt is over is stopped.
pub(super) async fn resolve_refused(
    context: &Context,
    loaded: &Loaded,
    refused: Refused,
) -> Result<Option<Refused>, AppError> {
    let Fact::RunTraining { run: id, execution, .. } = &refused.fact else { return Ok(None) };
    if let Some(run) = loaded.model.runs.get(id).filter(|it| !it.status.is_terminal()) {
        if run.attempts.iter().any(|it| it.execution == *execution) {
            return Ok(None);
        }
        if run.execution.is_none() && refused.attempt.is_none_or(|it| it == run.attempt()) {
            // Also while it is being stopped: that it ended is certain only by what it is known as.
            let waits = matches!(run.status, RunStatus::Starting | RunStatus::Stopping);
            return Ok((waits && refused.attempt.is_some()).then_some(refused));
        }
    }
    tracing::warn!(run.id = %id, execution.arn = execution, "stopping an execution whose attempt is over");
    match context.ports.pipelines.stop(execution).await {
        Ok(()) | Err(PipelineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
