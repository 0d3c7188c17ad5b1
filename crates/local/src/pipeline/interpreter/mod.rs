//! Runs a definition: one step after another, each with the inputs, outputs and failure rules of SageMaker.
//!
//! A step runs when everything it waits for has run, and the condition around it has come out its way; among those that
//! are ready the first in the definition goes first. A step whose branch was not taken is skipped, with all that wait
//! for it. The first step that fails ends the execution.
//!
//! Not here: where executions are stored (`LocalPipelines`), and parallel steps.

mod child;
mod job;
mod retry;
mod scope;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use refit_app::ports::{Clock, ExecutionStatus, Objects, StepState};
use serde_json::Value;

use self::job::Place;
pub(super) use self::job::job_arn;
use self::scope::Scope;
pub(super) use self::transfer::{chain, wait};
use super::definition::{Definition, Exception, RegisterModel, Step, StepKind, skeleton};
use super::packages::{LocalPackages, Registration};

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
}

/// What an execution runs in.
pub struct Environment<'a> {
    /// Inputs and outputs.
    pub objects: &'a dyn Objects,
    /// The registry.
    pub packages: &'a LocalPackages,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The execution's own folder, which is wiped first.
    pub folder: PathBuf,
    /// The programs behind entrypoints.
    pub programs: &'a Programs,
    /// Whether somebody asked to stop.
    pub is_stopping: &'a dyn Fn() -> bool,
}

/// How an execution ended.
#[must_use = "an outcome says whether the execution succeeded"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Succeeded`, `Failed` or `Stopped`.
    pub status: ExecutionStatus,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The steps that began, in that order.
    pub steps: Vec<StepState>,
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

/// What became of the steps so far.
#[derive(Default)]
struct Progress {
    properties: BTreeMap<String, Value>,
    skipped: BTreeSet<String>,
    steps: Vec<StepState>,
}

/// Runs a definition from its beginning, and tells `on_step` whenever a step's state changes.
pub fn run(
    definition: &Definition,
    parameters: &BTreeMap<String, String>,
    context: &Context,
    environment: &Environment<'_>,
    on_step: &mut dyn FnMut(&StepState),
) -> Outcome {
    let mut progress = Progress::default();
    let end = run_steps(definition, parameters, context, environment, &mut progress, on_step);
    let (status, failure_reason) = match end {
        Ok(()) => (ExecutionStatus::Succeeded, None),
        Err(StepEnd::Stopped) => (ExecutionStatus::Stopped, None),
        Err(StepEnd::Failed(reason) | StepEnd::Faulted(_, reason)) => (ExecutionStatus::Failed, Some(reason)),
    };
    Outcome { status, failure_reason, steps: progress.steps }
}

fn run_steps(
    definition: &Definition,
    parameters: &BTreeMap<String, String>,
    context: &Context,
    environment: &Environment<'_>,
    progress: &mut Progress,
    on_step: &mut dyn FnMut(&StepState),
) -> Result<(), StepEnd> {
    let parameters = definition.bind(parameters).map_err(|problems| problems.join("; "))?;
    prepare_folder(environment)?;
    while let Some(step) = next_step(definition, progress) {
        if is_skipped(step, progress) {
            progress.skipped.insert(step.name.clone());
            continue;
        }
        if (environment.is_stopping)() {
            return Err(StepEnd::Stopped);
        }
        let index = progress.steps.len();
        progress.steps.push(StepState {
            name: step.name.clone(),
            kind: step.kind.name().to_owned(),
            status: "Executing".to_owned(),
            failure_reason: None,
            package_arn: None,
        });
        on_step(&progress.steps[index]);
        let scope = Scope {
            definition,
            parameters: &parameters,
            properties: &progress.properties,
            context,
            objects: environment.objects,
            now: environment.clock.now(),
            job_name: job::job_name(&context.execution_id, &step.name),
        };
        let result = run_step(step, &scope, environment);
        let state = &mut progress.steps[index];
        let end = match result {
            Ok(properties) => {
                "Succeeded".clone_into(&mut state.status);
                state.package_arn = properties.get("ModelPackageArn").and_then(Value::as_str).map(str::to_owned);
                progress.properties.insert(step.name.clone(), properties);
                Ok(())
            }
            Err(StepEnd::Stopped) => {
                "Stopped".clone_into(&mut state.status);
                Err(StepEnd::Stopped)
            }
            Err(StepEnd::Failed(reason) | StepEnd::Faulted(_, reason)) => {
                "Failed".clone_into(&mut state.status);
                state.failure_reason = Some(reason.clone());
                let reason = match step.kind {
                    StepKind::Fail(_) => reason,
                    StepKind::Processing(_)
                    | StepKind::Training(_)
                    | StepKind::RegisterModel(_)
                    | StepKind::Condition(_) => {
                        format!("step `{}` failed: {reason}", step.name)
                    }
                };
                Err(StepEnd::Failed(reason))
            }
        };
        on_step(&progress.steps[index]);
        end?;
    }
    Ok(())
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

/// The first step of the definition that has not been settled and waits for nothing.
fn next_step<'a>(definition: &'a Definition, progress: &Progress) -> Option<&'a Step> {
    let is_settled = |name: &String| progress.properties.contains_key(name) || progress.skipped.contains(name);
    definition.steps().iter().find(|it| !is_settled(&it.name) && it.after.iter().all(is_settled))
}

/// Whether a step's branch was not taken, or something that it needs was skipped.
fn is_skipped(step: &Step, progress: &Progress) -> bool {
    let is_other_branch = step.branch.as_ref().is_some_and(|branch| {
        let outcome = progress.properties.get(&branch.condition).map(|it| it["Outcome"] == "True");
        outcome != Some(branch.taken)
    });
    is_other_branch || step.after.iter().any(|it| progress.skipped.contains(it))
}

/// Runs one step and returns its properties.
fn run_step(step: &Step, scope: &Scope<'_>, environment: &Environment<'_>) -> Result<Value, StepEnd> {
    let place = Place { step: &step.name, kind: &step.kind, scope, environment };
    match &step.kind {
        StepKind::Processing(processing) => attempts(step, &place, &|| place.process(processing)),
        StepKind::Training(training) => attempts(step, &place, &|| place.train(training)),
        StepKind::RegisterModel(model) => Ok(register(step, model, scope, environment)?),
        StepKind::Condition(conditions) => {
            let results = scope.hold(conditions)?;
            let mut properties = skeleton(&step.kind);
            properties["Outcome"] = if results.iter().all(|it| *it) { "True" } else { "False" }.into();
            Ok(properties)
        }
        StepKind::Fail(message) => Err(StepEnd::Failed(scope.text(message)?)),
    }
}

/// Runs a job, and again as the step's retry policies say. Unlike SageMaker's, each attempt's job has the same name, so
/// that an execution that runs again writes to the same places.
fn attempts(step: &Step, place: &Place<'_>, job: &dyn Fn() -> Result<Value, StepEnd>) -> Result<Value, StepEnd> {
    retry::with_retries(&step.retry, place.environment.is_stopping, &mut |number| {
        if 1 < number {
            place.begin_again(number)?;
        }
        let properties = job()?;
        place.clean_up()?;
        Ok(properties)
    })
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
    };
    let package = environment.packages.register(&registration, scope.now).map_err(|error| chain(&error))?;
    let mut properties = skeleton(&step.kind);
    properties["ModelPackageArn"] = package.arn.into();
    properties["ModelPackageGroupName"] = package.group.into();
    properties["ModelApprovalStatus"] = registration.approval.into();
    properties["ModelPackageStatus"] = "Completed".into();
    Ok(properties)
}
