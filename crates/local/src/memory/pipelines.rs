//! Pipelines in memory: executions stand still until they are told how they end.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use refit_app::ports::{
    Clock, Execution, ExecutionStatus, PipelineDescription, PipelineError, Pipelines, StartRequest, StepState,
};
use refit_core::Digest;
use serde_json::Value;

use super::{MemoryPackages, Outputs, Shared, hash_words};
use crate::clock::ManualClock;
use crate::pipeline::status_event;
use crate::store::MemoryObjects;

const ARN: &str = "arn:aws:sagemaker:us-east-1:000000000000:pipeline";
/// The name of the one step that an execution shows, which registers the package.
const REGISTER: &str = "Register";

/// How an execution ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// It registers a package and leaves outputs.
    Succeeded(Outputs),
    /// It succeeds without having registered anything.
    SucceededEmpty,
    /// It fails.
    Failed(String),
    /// It stops.
    Stopped,
}

/// [`Pipelines`] in memory. Clones are handles on the same service.
#[derive(Debug, Clone)]
pub struct MemoryPipelines {
    state: Shared<State>,
    packages: MemoryPackages,
    objects: MemoryObjects,
    clock: ManualClock,
}

/// Everything a [`MemoryPipelines`] held at one moment.
#[derive(Debug, Clone)]
pub struct PipelinesSnapshot(Arc<State>);

impl Hash for PipelinesSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_words(&self.0, hasher);
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    pipelines: BTreeMap<String, Arc<PipelineDescription>>,
    /// By ARN.
    executions: BTreeMap<String, Arc<Started>>,
    /// Every call to start, by key and in order, refused ones included.
    starts: Vec<Arc<(String, StartRequest)>>,
    /// Status changes that the bus has not taken.
    events: Vec<Value>,
    /// Most executions under way.
    quota: Option<usize>,
    /// How long after its start an execution is neither listed nor described.
    lag: SignedDuration,
}

impl State {
    /// Whether reads know of an execution by now.
    fn is_known(&self, started: &Started, clock: &ManualClock) -> bool {
        started.is_listed(self.lag, clock)
    }
}

#[derive(Debug, Clone)]
struct Started {
    key: String,
    request: StartRequest,
    execution: Execution,
}

impl Started {
    fn is_listed(&self, lag: SignedDuration, clock: &ManualClock) -> bool {
        lag <= clock.now().duration_since(self.execution.started_at)
    }
}

impl MemoryPipelines {
    /// A service without pipelines, whose executions register packages and leave objects here.
    #[must_use]
    pub fn new(packages: MemoryPackages, objects: MemoryObjects, clock: ManualClock) -> MemoryPipelines {
        MemoryPipelines { state: Shared::new(State::default()), packages, objects, clock }
    }

    /// What the service holds now.
    #[must_use]
    pub fn snapshot(&self) -> PipelinesSnapshot {
        PipelinesSnapshot(self.state.snapshot())
    }

    /// Sets the service back.
    pub fn restore(&self, snapshot: &PipelinesSnapshot) {
        self.state.restore(&snapshot.0);
    }

    /// Defines the next version of a pipeline that declares these parameters, without defaults.
    pub fn define(&self, name: &str, parameters: &[&str]) {
        self.state.write(|state| {
            let version = state.pipelines.get(name).map_or(1, |it| it.version + 1);
            let description = PipelineDescription {
                name: name.to_owned(),
                version,
                digest: Digest::of_list(&[name, &version.to_string(), &parameters.join(",")]),
                parameters: parameters.iter().map(|it| ((*it).to_owned(), None)).collect(),
            };
            state.pipelines.insert(name.to_owned(), Arc::new(description));
        });
    }

    /// Allows at most this many executions at a time.
    pub fn set_quota(&self, quota: Option<usize>) {
        self.state.write(|it| it.quota = quota);
    }

    /// From now on executions are listed and described only so long after their start.
    pub fn set_lag(&self, lag: SignedDuration) {
        self.state.write(|it| it.lag = lag);
    }

    /// Forgets under which keys executions were started that are listed by now: the same key starts another one. What is neither
    /// remembered nor listed could be found by nobody; no service is known that forgets so soon.
    pub fn forget_keys(&self) {
        self.state.write(|state| {
            let lag = state.lag;
            let listed = state.executions.values_mut().filter(|it| it.is_listed(lag, &self.clock));
            listed.for_each(|it| Arc::make_mut(it).key.clear());
        });
    }

    /// Ends an execution that is under way; a success registers its package and leaves its outputs.
    ///
    /// # Errors
    /// [`PipelineError::NotFound`], and [`PipelineError::Invalid`] for one that has ended.
    pub fn finish(&self, arn: &str, ending: &Ending) -> Result<(), PipelineError> {
        let started = self.state.read(|it| it.executions.get(arn).cloned()).ok_or_else(|| missing(arn))?;
        if started.execution.status.is_terminal() {
            return Err(PipelineError::Invalid(format!("execution `{arn}` has ended")));
        }
        let (status, failure_reason, package_arn) = match ending {
            Ending::Succeeded(outputs) => {
                let model = outputs
                    .write(&self.objects, &started.request)
                    .map_err(|error| PipelineError::Unavailable(error.into()))?;
                let group = started.request.parameters.get("ModelPackageGroup").map_or("none", String::as_str);
                let package = self.packages.register(group, &model.to_string(), self.clock.now());
                (ExecutionStatus::Succeeded, None, Some(package.arn))
            }
            Ending::SucceededEmpty => (ExecutionStatus::Succeeded, None, None),
            Ending::Failed(reason) => (ExecutionStatus::Failed, Some(reason.clone()), None),
            Ending::Stopped => (ExecutionStatus::Stopped, None, None),
        };
        self.change(arn, status, |execution| {
            execution.failure_reason = failure_reason;
            if let Some(step) = execution.steps.first_mut() {
                status.name().clone_into(&mut step.status);
                step.package_arn = package_arn;
            }
        })
    }

    /// Status changes that the bus has not taken yet; they are taken then.
    #[must_use]
    pub fn take_events(&self) -> Vec<Value> {
        if self.state.read(|it| it.events.is_empty()) {
            return Vec::new();
        }
        self.state.write(|it| std::mem::take(&mut it.events))
    }

    /// Every call to start: its key and its request, in order.
    #[must_use]
    pub fn starts(&self) -> Vec<(String, StartRequest)> {
        self.state.read(|it| it.starts.iter().map(|it| (**it).clone()).collect())
    }

    /// The calls to start after the first `count`.
    #[must_use]
    pub fn starts_from(&self, count: usize) -> Vec<(String, StartRequest)> {
        self.state.read(|it| it.starts.iter().skip(count).map(|it| (**it).clone()).collect())
    }

    /// How many executions a pipeline has under a display name.
    #[must_use]
    pub fn count_of(&self, pipeline: &str, display_name: &str) -> usize {
        let is_meant =
            |it: &&Arc<Started>| it.execution.pipeline == pipeline && it.execution.display_name == display_name;
        self.state.read(|it| it.executions.values().filter(is_meant).count())
    }

    /// The status of an execution, if there is one.
    #[must_use]
    pub fn status(&self, arn: &str) -> Option<ExecutionStatus> {
        self.state.read(|it| it.executions.get(arn).map(|it| it.execution.status))
    }

    /// Every execution with the request it was started by.
    #[must_use]
    pub fn executions(&self) -> Vec<(Execution, StartRequest)> {
        self.state.read(|it| it.executions.values().map(|it| (it.execution.clone(), it.request.clone())).collect())
    }

    /// The ARNs of executions that have not ended.
    #[must_use]
    pub fn open(&self) -> Vec<String> {
        let is_open = |it: &&Arc<Started>| !it.execution.status.is_terminal();
        self.state.read(|it| it.executions.values().filter(is_open).map(|it| it.execution.arn.clone()).collect())
    }

    /// The display names of executions that have not ended.
    #[must_use]
    pub fn open_names(&self) -> Vec<String> {
        let is_open = |it: &&Arc<Started>| !it.execution.status.is_terminal();
        self.state
            .read(|it| it.executions.values().filter(is_open).map(|it| it.execution.display_name.clone()).collect())
    }

    /// How many calls to start there were.
    #[must_use]
    pub fn start_count(&self) -> usize {
        self.state.read(|it| it.starts.len())
    }

    /// Moves an execution to a status and tells the bus.
    fn change(
        &self,
        arn: &str,
        status: ExecutionStatus,
        change: impl FnOnce(&mut Execution),
    ) -> Result<(), PipelineError> {
        let now = self.clock.now();
        self.state.write(|state| {
            let started = state.executions.get_mut(arn).ok_or_else(|| missing(arn))?;
            let execution = &mut Arc::make_mut(started).execution;
            let previous = execution.status;
            execution.status = status;
            execution.changed_at = now;
            change(execution);
            let event = status_event(execution, Some(previous), status, now);
            state.events.push(event);
            Ok(())
        })
    }
}

fn missing(name: &str) -> PipelineError {
    PipelineError::NotFound(name.to_owned())
}

impl State {
    fn start(&mut self, key: &str, request: &StartRequest, clock: &ManualClock) -> Result<String, PipelineError> {
        self.starts.push(Arc::new((key.to_owned(), request.clone())));
        if !(32..=128).contains(&key.len()) {
            return Err(PipelineError::Invalid("a start key has 32 to 128 characters".to_owned()));
        }
        if let Some(known) = self.executions.values().find(|it| it.key == key) {
            return if known.request == *request {
                Ok(known.execution.arn.clone())
            } else {
                Err(PipelineError::KeyReused)
            };
        }
        let pipeline = self.pipelines.get(&request.pipeline).ok_or_else(|| missing(&request.pipeline))?;
        if let Some(name) = request.parameters.keys().find(|it| !pipeline.parameters.contains_key(*it)) {
            return Err(PipelineError::Invalid(format!("parameter `{name}` is not declared")));
        }
        if let Some(name) = pipeline.parameters.keys().find(|it| !request.parameters.contains_key(*it)) {
            return Err(PipelineError::Invalid(format!("parameter `{name}` has no value")));
        }
        let open = self.executions.values().filter(|it| !it.execution.status.is_terminal()).count();
        if self.quota.is_some_and(|quota| quota <= open) {
            return Err(PipelineError::Quota);
        }
        let id = Digest::of_list(&["execution", key]).short().to_owned();
        let mut arn = format!("{ARN}/{}/execution/{id}", request.pipeline);
        if self.executions.contains_key(&arn) {
            // Its key was forgotten.
            arn = format!("{arn}{}", self.executions.len());
        }
        let now = clock.now();
        let step = StepState {
            name: REGISTER.to_owned(),
            kind: "RegisterModel".to_owned(),
            status: "Executing".to_owned(),
            failure_reason: None,
            package_arn: None,
        };
        let execution = Execution {
            arn: arn.clone(),
            pipeline: request.pipeline.clone(),
            display_name: request.display_name.clone(),
            status: ExecutionStatus::Executing,
            failure_reason: None,
            started_at: now,
            changed_at: now,
            steps: vec![step],
        };
        self.events.push(status_event(&execution, None, ExecutionStatus::Executing, now));
        let started = Started { key: key.to_owned(), request: request.clone(), execution };
        self.executions.insert(arn.clone(), Arc::new(started));
        Ok(arn)
    }
}

#[async_trait]
impl Pipelines for MemoryPipelines {
    async fn describe(&self, pipeline: &str) -> Result<PipelineDescription, PipelineError> {
        self.state.read(|it| it.pipelines.get(pipeline).map(|it| (**it).clone())).ok_or_else(|| missing(pipeline))
    }

    async fn ensure_started(&self, key: &str, request: &StartRequest) -> Result<String, PipelineError> {
        self.state.write(|it| it.start(key, request, &self.clock))
    }

    async fn find_by_display_name(&self, pipeline: &str, display_name: &str) -> Result<Option<String>, PipelineError> {
        let is_meant =
            |it: &&Arc<Started>| it.execution.pipeline == pipeline && it.execution.display_name == display_name;
        let arn = |state: &State| {
            let known = state.executions.values().filter(|it| state.is_known(it, &self.clock));
            known.into_iter().find(is_meant).map(|it| it.execution.arn.clone())
        };
        Ok(self.state.read(arn))
    }

    async fn observe(&self, arn: &str) -> Result<Execution, PipelineError> {
        let execution = |state: &State| {
            let started = state.executions.get(arn).filter(|it| state.is_known(it, &self.clock))?;
            Some(started.execution.clone())
        };
        self.state.read(execution).ok_or_else(|| missing(arn))
    }

    async fn stop(&self, arn: &str) -> Result<(), PipelineError> {
        let status = self.state.read(|it| it.executions.get(arn).map(|it| it.execution.status));
        match status.ok_or_else(|| missing(arn))? {
            ExecutionStatus::Executing => self.change(arn, ExecutionStatus::Stopping, |_| {}),
            ExecutionStatus::Stopping
            | ExecutionStatus::Stopped
            | ExecutionStatus::Failed
            | ExecutionStatus::Succeeded => Ok(()),
        }
    }
}
