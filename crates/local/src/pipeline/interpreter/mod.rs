//! Runs a definition: its steps, each with the inputs, outputs and failure rules of SageMaker.
//!
//! A step runs when everything it waits for has run, and the condition around it has come out its way; among those that
//! are ready the first in the definition goes first, and several may run at the same time (`schedule`). A step whose
//! branch was not taken is skipped, with all that wait for it. After the first step that fails none begins. A failed job
//! may be tried again (`retry`), and the result of an earlier execution be used instead of running one (`cache`).
//!
//! Not here: where executions are stored (`LocalPipelines`).

mod cache;
mod child;
mod job;
mod retry;
mod schedule;
mod scope;
mod transfer;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use jiff::Timestamp;
use refit_app::ports::{Clock, ExecutionStatus, Objects, StepState};
use refit_core::policy::Resources;
use serde_json::Value;

pub(crate) use self::job::job_arn;
use self::job::{Made, Place};
use self::schedule::Schedule;
use self::scope::Scope;
pub(crate) use self::transfer::{chain, wait};
use super::definition::{Definition, Exception, RegisterModel, Step, StepKind, skeleton};
use super::packages::{LocalPackages, Registration};
use crate::store::Database;

/// Which program stands for which container entrypoint, such as `/refit-step` for `refit step`.
pub type Programs = BTreeMap<String, Vec<String>>;

/// What an execution is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's ARN.
    pub pipeline_arn: String,
    /// The execution's ARN.
    pub execution_arn: String,
    /// The last part of that ARN.
    pub execution_id: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// What each of its programs may use: memory and time; a desk has one machine of one kind.
    pub resources: Resources,
}

/// What an execution runs in.
pub struct Environment<'a> {
    /// Inputs and outputs.
    pub objects: &'a dyn Objects,
    /// The results that may be reused.
    pub database: &'a Database,
    /// The registry.
    pub packages: &'a LocalPackages,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The execution's own folder, which is wiped first.
    pub folder: PathBuf,
    /// The programs behind entrypoints.
    pub programs: &'a Programs,
    /// Whether somebody asked to stop.
    pub is_stopping: &'a (dyn Fn() -> bool + Sync),
    /// How many programs may run at the same time.
    pub max_parallel_steps: NonZeroUsize,
}

/// How an execution ended.
#[must_use = "an outcome says whether the execution succeeded"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Succeeded`, `Failed` or `Stopped`.
    pub status: ExecutionStatus,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The steps that began, in the order of the definition.
    pub steps: Vec<StepState>,
}

/// Hears of every change of a step's state; of one whose result was reused also from which execution.
pub type OnStep<'a> = &'a mut dyn FnMut(&StepState, Option<&str>);

/// What a step that succeeded has.
struct Done {
    properties: Value,
    /// The execution that it really ran in.
    reused_from: Option<String>,
}

impl From<Value> for Done {
    fn from(properties: Value) -> Done {
        Done { properties, reused_from: None }
    }
}

/// Why a step did not succeed.
enum StepEnd {
    /// By itself: trying again would not help.
    Failed(String),
    /// By a fault that a retry policy may name.
    Faulted(Exception, String),
    /// Because somebody asked.
    Stopped,
}

impl From<String> for StepEnd {
    fn from(reason: String) -> StepEnd {
        StepEnd::Failed(reason)
    }
}

/// Runs a definition from its beginning, and tells `on_step` whenever a step's state changes.
pub fn run(
    definition: &Definition,
    parameters: &BTreeMap<String, String>,
    context: &Context,
    environment: &Environment<'_>,
    on_step: OnStep<'_>,
) -> Outcome {
    let (end, steps) = match begin(definition, parameters, environment) {
        Ok(parameters) => Schedule::new(definition, &parameters, context, environment).run(on_step),
        Err(reason) => (Err(StepEnd::Failed(reason)), Vec::new()),
    };
    let (status, failure_reason) = match end {
        Ok(()) => (ExecutionStatus::Succeeded, None),
        Err(StepEnd::Stopped) => (ExecutionStatus::Stopped, None),
        Err(StepEnd::Failed(reason) | StepEnd::Faulted(_, reason)) => (ExecutionStatus::Failed, Some(reason)),
    };
    Outcome { status, failure_reason, steps }
}

/// Gives all parameters their values and makes the execution's folder.
fn begin(
    definition: &Definition,
    parameters: &BTreeMap<String, String>,
    environment: &Environment<'_>,
) -> Result<BTreeMap<String, Value>, String> {
    let parameters = definition.bind(parameters).map_err(|problems| problems.join("; "))?;
    prepare_folder(environment)?;
    Ok(parameters)
}

/// Begins with an empty folder: what an earlier attempt left behind must not be taken for a result.
fn prepare_folder(environment: &Environment<'_>) -> Result<(), String> {
    let folder = &environment.folder;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(transfer::about(folder, &error)),
        Ok(()) | Err(_) => {}
    }
    std::fs::create_dir_all(folder).map_err(|error| transfer::about(folder, &error))
}

/// Runs one step.
fn run_step(step: &Step, scope: &Scope<'_>, environment: &Environment<'_>) -> Result<Done, StepEnd> {
    let place = Place { step: &step.name, kind: &step.kind, scope, environment };
    match &step.kind {
        StepKind::Processing(processing) => run_job(step, &place, &|| place.process(processing)),
        StepKind::Training(training) => run_job(step, &place, &|| place.train(training)),
        StepKind::RegisterModel(model) => Ok(register(step, model, scope, environment)?.into()),
        StepKind::Condition(conditions) => {
            let results = scope.hold(conditions)?;
            let mut properties = skeleton(&step.kind);
            properties["Outcome"] = if results.iter().all(|it| *it) { "True" } else { "False" }.into();
            Ok(properties.into())
        }
        StepKind::Fail(message) => Err(StepEnd::Failed(scope.text(message)?)),
    }
}

/// Takes the result of an earlier execution, or runs a job, and again as the step's retry policies say.
///
/// Unlike SageMaker's, each attempt's job has the same name, so that an execution that runs again writes to the same
/// places.
fn run_job(step: &Step, place: &Place<'_>, job: &dyn Fn() -> Result<Made, StepEnd>) -> Result<Done, StepEnd> {
    let key = if step.cache.is_some() { cache::key(place)? } else { None };
    if let (Some(expiry), Some(key)) = (step.cache, &key)
        && let Some(hit) = cache::find(place.environment, key, expiry, place.scope.now)?
    {
        return Ok(Done { properties: hit.properties, reused_from: Some(hit.execution_arn) });
    }
    let made = retry::with_retries(&step.retry, place.environment.is_stopping, &mut |number| {
        if 1 < number {
            place.begin_again(number)?;
        }
        job()
    })?;
    place.clean_up()?;
    if let Some(key) = &key {
        cache::save(place, key, &made)?;
    }
    Ok(made.properties.into())
}

/// Registers a package whose archive exists.
fn register(
    step: &Step,
    model: &RegisterModel,
    scope: &Scope<'_>,
    environment: &Environment<'_>,
) -> Result<Value, String> {
    let uri = scope.uri(&model.model_data_url)?;
    wait(environment.objects.head(&uri)).map_err(|error| format!("model data: {}", chain(&error)))?;
    let registration = Registration {
        execution_arn: scope.context.execution_arn.clone(),
        step: step.name.clone(),
        group: scope.text(&model.group)?,
        model_data_url: uri.to_string(),
        approval: scope.text(&model.approval)?,
        metadata: scope.map(&model.metadata)?,
        details: scope.details(&model.details)?,
    };
    let package = environment.packages.register(&registration, scope.now).map_err(|error| chain(&error))?;
    let mut properties = skeleton(&step.kind);
    properties["ModelPackageArn"] = package.arn.into();
    properties["ModelPackageGroupName"] = package.group.into();
    properties["ModelApprovalStatus"] = registration.approval.into();
    properties["ModelPackageStatus"] = "Completed".into();
    Ok(properties)
}
