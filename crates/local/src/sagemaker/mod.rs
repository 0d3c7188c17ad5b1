//! SageMaker's control plane on this machine: AWS JSON 1.1 over loopback, with executions that really run their steps.
//!
//! Whatever speaks to SageMaker speaks to [`SageMaker`] when `AWS_ENDPOINT_URL_SAGEMAKER` points at it: a Lambda in an
//! emulated cloud, the AWS CLI, boto3. Behind the protocol stand the parts that the local world is made of, the pipeline
//! interpreter and the model registry, and endpoints that follow their configurations.
//!
//! What the service does that bites is here too, by [`Behavior`]: executions take time, statuses and lists lag behind,
//! quotas refuse, an endpoint that updates refuses the next update, calls fail before or after their effect, events come
//! twice. Everything is durable: a killed endpoint continues with the executions and events that were under way.
//!
//! Invariants: one client token is one execution; a status that was shown is never taken back; an event leaves the queue
//! only after the hook took it, so that none is lost and some may come twice, in the order of what they tell.
//!
//! Not here: signatures, which are not verified (loopback only); billing, VPCs, tags; SageMaker's runtime endpoint.

mod clock;
mod endpoints;
mod events;
mod executions;
mod faults;
mod hook;
mod models;
mod options;
mod packages;
mod pipelines;
mod protocol;
mod remote;
mod runner;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use refit_app::ports::{Clock, ExecutionStatus, Objects};
use serde_json::{Value, json};

pub use clock::ServedClock;
pub use faults::{CallFault, Effect, EndpointFault, ExecutionFault, Faults};
pub use hook::{HookUrl, HookUrlError};
pub use options::{Behavior, BehaviorError, Quotas};
pub use remote::OnRuntime;
pub use server::{Server, ServerError};

use self::faults::Planned;
use self::protocol::{Fields, Refusal};
use crate::pipeline::{LocalPackages, LocalPipelines, Programs};
use crate::store::{Database, OpenError};

/// What an endpoint of SageMaker stands on.
pub struct Parts {
    /// Where its database and the sandboxes of steps are.
    pub state: PathBuf,
    /// Inputs and outputs of steps.
    pub objects: Arc<dyn Objects>,
    /// The programs that container entrypoints stand for.
    pub programs: Programs,
    /// The first time of a virtual clock; without it time is the machine's, unless the state has a virtual clock.
    pub begin: Option<Timestamp>,
    /// Where events go; none are made without it.
    pub hook: Option<HookUrl>,
    /// How it behaves.
    pub behavior: Behavior,
}

/// SageMaker on this machine; see the module.
pub struct SageMaker {
    database: Database,
    pipelines: LocalPipelines,
    packages: LocalPackages,
    clock: ServedClock,
    hook: Option<HookUrl>,
    behavior: Behavior,
    planned: Planned,
    /// Executions that a thread runs now.
    running: Mutex<BTreeSet<String>>,
    bell: Bell,
}

/// Wakes the threads that work in the background.
#[derive(Default)]
struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    /// Wakes whoever waits.
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// How often it was rung.
    fn count(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it was rung more often than `seen`, at most `most`.
    fn wait(&self, seen: u64, most: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        match most {
            Some(most) => {
                drop(self.changed.wait_timeout_while(rung, most, |it| *it == seen));
            }
            None => drop(self.changed.wait_while(rung, |it| *it == seen)),
        }
    }
}

impl SageMaker {
    /// Opens the state and begins to work on what was under way.
    ///
    /// # Errors
    /// When the state cannot be opened.
    pub fn open(parts: Parts) -> Result<Arc<SageMaker>, OpenError> {
        let state = std::path::absolute(&parts.state)
            .map_err(|source| OpenError::Unusable { path: parts.state.clone(), source: Box::new(source) })?;
        let database = Database::open(&state.join("sagemaker.sqlite"))?;
        let clock = ServedClock::open(database.clone(), parts.begin)
            .map_err(|source| OpenError::Unusable { path: state.clone(), source })?;
        let packages = LocalPackages::new(database.clone());
        let pipelines = LocalPipelines::new(
            database.clone(),
            parts.objects,
            packages.clone(),
            Arc::new(clock.clone()),
            state.join("executions"),
            parts.programs,
        );
        let sagemaker = Arc::new(SageMaker {
            database,
            pipelines,
            packages,
            clock,
            hook: parts.hook,
            planned: Planned::new(parts.behavior.faults.clone()),
            behavior: parts.behavior,
            running: Mutex::default(),
            bell: Bell::default(),
        });
        runner::spawn(&sagemaker)
            .map_err(|source| OpenError::Unusable { path: state.clone(), source: Box::new(source) })?;
        Ok(sagemaker)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &ServedClock {
        &self.clock
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the virtual clock; what falls due begins.
    ///
    /// # Errors
    /// Why it does not move.
    pub fn move_clock(&self, to: Timestamp) -> Result<(), String> {
        self.clock.set(to)?;
        self.bell.ring();
        Ok(())
    }

    /// Replaces the faults that are planned.
    pub fn plan_faults(&self, faults: Faults) {
        self.planned.replace(faults);
        self.bell.ring();
    }

    /// What is under way, for whoever drives the clock: `{now, virtual, open, running, undelivered, changing, next, idle}`.
    ///
    /// `idle` says that nothing happens any more before the clock moves or somebody calls; `next` is when something
    /// would happen by itself.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn status(&self) -> Result<Value, String> {
        let now = self.now();
        let text = |error: &dyn std::error::Error| crate::pipeline::chain(error);
        let open = self.pipelines.list_open().map_err(|error| text(&error))?;
        let changing = self.endpoint_changes().map_err(|refusal| refusal.message)?;
        let undelivered = self.database.peek_next_at().map_err(|error| text(&error))?;
        let due = open.iter().map(|(_, started_at)| self.behavior.execution_takes.after(*started_at));
        let next = due.chain(changing.iter().copied()).min();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).len();
        let is_stopping = |arn: &str| {
            let status = self.pipelines.get_execution(arn).map(|it| it.execution.status);
            status.is_ok_and(|it| it == ExecutionStatus::Stopping)
        };
        let is_idle = running == 0
            && !open.iter().any(|(arn, _)| is_stopping(arn))
            && undelivered.is_none()
            && next.is_none_or(|it| now < it);
        Ok(json!({
            "now": now, "virtual": self.clock.is_virtual(), "open": open.into_iter().map(|it| it.0).collect::<Vec<_>>(), "running": running,
            "undelivered": undelivered.is_some(), "changing": changing.len(), "next": next, "idle": is_idle,
        }))
    }

    /// Answers one call: the operation's name and its request.
    fn answer(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let fault = self.planned.take_call(operation);
        if let Some(fault) = &fault
            && fault.effect == Effect::None
        {
            return Err(fault.refusal());
        }
        let answer = self.perform(operation, &Fields::new(request)?);
        self.bell.ring();
        match fault {
            // What happened has happened; the caller does not hear of it.
            Some(fault) => Err(fault.refusal()),
            None => answer,
        }
    }

    fn perform(&self, operation: &str, request: &Fields<'_>) -> Result<Value, Refusal> {
        match operation {
            "CreatePipeline" => self.create_pipeline(request),
            "UpdatePipeline" => self.update_pipeline(request),
            "DescribePipeline" => self.describe_pipeline(request),
            "DeletePipeline" => self.delete_pipeline(request),
            "ListPipelines" => self.list_pipelines(request),
            "ListPipelineVersions" => self.list_pipeline_versions(request),
            "StartPipelineExecution" => self.start_execution(request),
            "DescribePipelineExecution" => self.describe_execution(request),
            "DescribePipelineDefinitionForExecution" => self.describe_execution_definition(request),
            "ListPipelineExecutions" => self.list_executions(request),
            "ListPipelineExecutionSteps" => self.list_execution_steps(request),
            "ListPipelineParametersForExecution" => self.list_execution_parameters(request),
            "StopPipelineExecution" => self.stop_execution(request),
            "CreateModelPackageGroup" => self.create_group(request),
            "DescribeModelPackageGroup" => self.describe_group(request),
            "ListModelPackageGroups" => self.list_groups(request),
            "CreateModelPackage" => self.create_package(request),
            "DescribeModelPackage" => self.describe_package(request),
            "UpdateModelPackage" => self.update_package(request),
            "ListModelPackages" => self.list_packages(request),
            "CreateModel" => self.create_model(request),
            "DescribeModel" => self.describe_model(request),
            "DeleteModel" => self.delete_model(request),
            "CreateEndpointConfig" => self.create_endpoint_config(request),
            "DescribeEndpointConfig" => self.describe_endpoint_config(request),
            "DeleteEndpointConfig" => self.delete_endpoint_config(request),
            "CreateEndpoint" => self.create_endpoint(request),
            "UpdateEndpoint" => self.update_endpoint(request),
            "UpdateEndpointWeightsAndCapacities" => self.update_weights(request),
            "DescribeEndpoint" => self.describe_endpoint(request),
            "DeleteEndpoint" => self.delete_endpoint(request),
            "ListEndpoints" => self.list_endpoints(request),
            "AddTags" | "DeleteTags" => Ok(json!({})),
            "ListTags" => Ok(json!({ "Tags": [] })),
            other => Err(Refusal::unknown_operation(other)),
        }
    }
}

#[cfg(test)]
mod bell_tests {
    use super::*;

    #[test]
    fn a_bell_that_was_rung_does_not_make_wait() {
        let bell = Bell::default();
        let seen = bell.count();
        bell.ring();
        bell.wait(seen, None);
        bell.wait(bell.count(), Some(Duration::ZERO));
    }
}
