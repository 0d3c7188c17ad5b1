//! Pipelines and their executions, stored so that they survive the process that runs them.
//!
//! Starting only records; [`LocalPipelines::run_to_end`] does the work, in whatever process calls it. When that process
//! dies the execution is still `Executing`, and the next call runs it from its beginning: steps write the same outputs
//! to the same places, and registering is idempotent. Two processes never run the same execution at once, which a file
//! lock ensures that ends with its holder.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{
    BoxError, Clock, Execution, ExecutionStatus, Objects, PipelineDescription, PipelineError, Pipelines, StartRequest,
    StepState, TableError,
};
use refit_core::Digest;
use serde::{Deserialize, Serialize};

use super::definition::{Definition, Problem};
use super::events::execution_id;
use super::interpreter::{self, Context, Environment, OnStep, Outcome, Programs};
use super::packages::LocalPackages;
use crate::store::{Database, Transaction};

const PIPELINE: &str = "pipeline";
const EXECUTION: &str = "pipeline-execution";
const DISPLAY_NAME: &str = "pipeline-execution-name";

/// Why a definition was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DefineError {
    /// It has problems.
    #[error("pipeline definition has {} problems", .0.len())]
    Problems(Vec<Problem>),
    /// It could not be stored, or its execution not be run.
    #[error("pipeline could not be stored or run")]
    Pipeline(#[from] PipelineError),
}

/// A version of a pipeline's definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredVersion {
    /// Its number, from 1.
    pub(crate) version: u64,
    digest: Digest,
    /// The definition as it came.
    pub(crate) definition: String,
    /// When it was stored.
    pub(crate) created_at: Timestamp,
}

/// A pipeline; its last version is the newest.
#[derive(Serialize, Deserialize)]
struct StoredPipeline {
    schema: u16,
    name: String,
    versions: Vec<StoredVersion>,
}

/// An execution and the request that it came from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredExecution {
    schema: u16,
    key: String,
    /// What was asked for.
    pub(crate) request: StartRequest,
    /// What it is now.
    pub(crate) execution: Execution,
    /// By step, the execution whose result was reused.
    #[serde(default)]
    pub(crate) reused_from: BTreeMap<String, String>,
}

/// The right to run an execution.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough at once: a child that another thread is just starting has the file too until it begins.
        // A failure leaves the lock to the end of the handles.
        let _ = self.0.unlock();
    }
}

/// The local counterpart of SageMaker Pipelines.
pub struct LocalPipelines {
    database: Database,
    objects: Arc<dyn Objects>,
    packages: LocalPackages,
    clock: Arc<dyn Clock>,
    executions: PathBuf,
    programs: Programs,
    /// How many programs of an execution may run at the same time.
    pub(super) max_parallel_steps: NonZeroUsize,
}

impl LocalPipelines {
    /// Pipelines in this database, whose steps work below the folder `executions`.
    #[must_use]
    pub fn new(
        database: Database,
        objects: Arc<dyn Objects>,
        packages: LocalPackages,
        clock: Arc<dyn Clock>,
        executions: PathBuf,
        programs: Programs,
    ) -> LocalPipelines {
        // A start request cannot say how many yet; more than there are cores would only wait for each other.
        let max_parallel_steps = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        LocalPipelines { database, objects, packages, clock, executions, programs, max_parallel_steps }
    }

    /// Stores a definition as the newest version of a pipeline, unless it already is one of its versions.
    ///
    /// # Errors
    /// [`DefineError::Problems`] with everything that is wrong with the definition.
    pub fn define(&self, name: &str, definition_json: &str) -> Result<PipelineDescription, DefineError> {
        if !refit_core::is_name(name) {
            return Err(PipelineError::Invalid(format!("`{name}` is not a pipeline's name")).into());
        }
        let definition = Definition::parse(definition_json).map_err(DefineError::Problems)?;
        let digest = definition.digest();
        let id = name.to_lowercase();
        let version = self.transact(|transaction| {
            let stored = match transaction.get_document(PIPELINE, &id)?.map(|body| parse(&id, &body)) {
                Some(Err(error)) => return Ok(Err(error)),
                Some(Ok(stored)) => Some(stored),
                None => None,
            };
            let mut pipeline =
                stored.unwrap_or_else(|| StoredPipeline { schema: 1, name: name.to_owned(), versions: Vec::new() });
            if let Some(known) = pipeline.versions.iter().find(|it| it.digest == digest) {
                return Ok(Ok(known.version));
            }
            let version = pipeline.versions.last().map_or(0, |it| it.version) + 1;
            let definition = definition_json.to_owned();
            let created_at = self.clock.now();
            pipeline.versions.push(StoredVersion { version, digest: digest.clone(), definition, created_at });
            transaction.put_document(PIPELINE, &id, &to_json(&pipeline))?;
            Ok(Ok(version))
        })?;
        Ok(PipelineDescription { name: name.to_owned(), version, digest, parameters: definition.parameters() })
    }

    /// The executions that have not ended, with the time of their start, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_open(&self) -> Result<Vec<(String, Timestamp)>, PipelineError> {
        let mut open = Vec::new();
        for (id, body) in self.database.list_documents(EXECUTION).map_err(unavailable)? {
            let stored: StoredExecution = parse(&id, &body)?;
            if !stored.execution.status.is_terminal() {
                open.push((stored.execution.arn, stored.execution.started_at));
            }
        }
        open.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        Ok(open)
    }

    /// Every version of a pipeline, oldest first.
    ///
    /// # Errors
    /// When there is no such pipeline or it cannot be read.
    pub(crate) fn list_versions(&self, name: &str) -> Result<Vec<StoredVersion>, PipelineError> {
        self.load_pipeline(name).map(|it| it.versions)
    }

    /// The execution that was started under a key, if one was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn find_by_key(&self, key: &str) -> Result<Option<StoredExecution>, PipelineError> {
        let id = id_of_key(key);
        let body = self.database.get_document(EXECUTION, &id).map_err(unavailable)?;
        body.map(|body| parse(&id, &body)).transpose()
    }

    /// Every execution, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn list_executions(&self) -> Result<Vec<StoredExecution>, PipelineError> {
        let stored = self.database.list_documents(EXECUTION).map_err(unavailable)?;
        stored.iter().map(|(id, body)| parse(id, body)).collect()
    }

    /// An execution with the request that it came from.
    ///
    /// # Errors
    /// When it is unknown or cannot be read.
    pub(crate) fn get_execution(&self, arn: &str) -> Result<StoredExecution, PipelineError> {
        self.load(arn)
    }

    /// Ends an execution that has not ended without running it, as if its step `step` had failed.
    ///
    /// # Errors
    /// When the execution is unknown or cannot be written.
    pub(crate) fn fail(&self, arn: &str, step: &str, reason: &str) -> Result<Execution, PipelineError> {
        let definition = self.definition(&self.load(arn)?.request)?;
        let kind = definition.steps().iter().find(|it| it.name == step).map_or("Processing", |it| it.kind.name());
        self.change(arn, |stored| {
            if stored.execution.status.is_terminal() {
                return;
            }
            stored.execution.status = ExecutionStatus::Failed;
            stored.execution.failure_reason = Some(format!("step `{step}` failed: {reason}"));
            stored.execution.steps.push(StepState {
                name: step.to_owned(),
                kind: kind.to_owned(),
                status: "Failed".to_owned(),
                failure_reason: Some(reason.to_owned()),
                package_arn: None,
            });
        })
    }

    /// The execution whose result a step of this execution reused, if it did.
    ///
    /// # Errors
    /// When the execution is unknown or cannot be read.
    pub fn find_reused(&self, arn: &str, step: &str) -> Result<Option<String>, PipelineError> {
        Ok(self.load(arn)?.reused_from.remove(step))
    }

    /// Runs an execution to its end and tells `on_step` whenever a step's state changes; blocks meanwhile. Without
    /// effect on an ended one.
    ///
    /// # Errors
    /// [`PipelineError::Invalid`] when somebody else is running it now. A step that fails is not an error: the
    /// execution says so.
    pub fn run_to_end(&self, arn: &str, on_step: &mut dyn FnMut(&StepState)) -> Result<Execution, PipelineError> {
        let stored = self.load(arn)?;
        if stored.execution.status.is_terminal() {
            return Ok(stored.execution);
        }
        let id = execution_id(arn);
        let _lock = self.lock(id)?;
        // Again, as whoever held the lock before may have ended it.
        let stored = self.load(arn)?;
        if stored.execution.status.is_terminal() {
            return Ok(stored.execution);
        }
        if stored.execution.status == ExecutionStatus::Stopping {
            let steps = stored.execution.steps;
            return self.finish(arn, Outcome { status: ExecutionStatus::Stopped, failure_reason: None, steps });
        }
        let definition = self.definition(&stored.request)?;
        self.change(arn, |stored| {
            stored.execution.steps.clear();
            stored.reused_from.clear();
        })?;
        let mut failure = None;
        let outcome = self.interpret(&definition, &stored, &mut |step, reused_from| {
            let saved = self.change(arn, |stored| {
                match stored.execution.steps.iter_mut().find(|it| it.name == step.name) {
                    Some(known) => known.clone_from(step),
                    None => stored.execution.steps.push(step.clone()),
                }
                stored
                    .execution
                    .steps
                    .sort_by_key(|it| definition.steps().iter().position(|step| step.name == it.name));
                if let Some(from) = reused_from {
                    stored.reused_from.insert(step.name.clone(), from.to_owned());
                }
            });
            if let Err(error) = saved {
                failure.get_or_insert(error);
            }
            on_step(step);
        });
        match failure {
            // Still open: the next call runs it again.
            Some(error) => Err(error),
            None => self.finish(arn, outcome),
        }
    }

    fn interpret(&self, definition: &Definition, stored: &StoredExecution, on_step: OnStep<'_>) -> Outcome {
        let arn = &stored.execution.arn;
        let id = execution_id(arn);
        // The request may come from another process. An unreadable state is none; the end of the step meets it again.
        let is_stopping = || self.load(arn).is_ok_and(|it| it.execution.status == ExecutionStatus::Stopping);
        let context = Context {
            pipeline: stored.request.pipeline.clone(),
            pipeline_arn: pipeline_arn(&stored.request.pipeline),
            execution_arn: arn.clone(),
            execution_id: id.to_owned(),
            started_at: stored.execution.started_at,
            resources: stored.request.resources.clone(),
        };
        let environment = Environment {
            objects: &*self.objects,
            database: &self.database,
            packages: &self.packages,
            clock: &*self.clock,
            folder: self.executions.join(id),
            programs: &self.programs,
            is_stopping: &is_stopping,
            max_parallel_steps: self.max_parallel_steps,
        };
        interpreter::run(definition, &stored.request.parameters, &context, &environment, on_step)
    }

    /// Takes the right to run an execution; it ends with the file's handle, also when the process dies.
    fn lock(&self, id: &str) -> Result<Held, PipelineError> {
        let io = |error: std::io::Error| PipelineError::Unavailable(Box::new(error));
        std::fs::create_dir_all(&self.executions).map_err(io)?;
        let file = File::create(self.executions.join(format!("{id}.lock"))).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => {
                Err(PipelineError::Invalid(format!("execution `{id}` is being run already")))
            }
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// Records the end. An execution that was asked to stop ends stopped, even if it was done at that moment.
    fn finish(&self, arn: &str, outcome: Outcome) -> Result<Execution, PipelineError> {
        self.change(arn, |stored| {
            let execution = &mut stored.execution;
            execution.steps = outcome.steps;
            if execution.status == ExecutionStatus::Stopping {
                execution.status = ExecutionStatus::Stopped;
            } else {
                execution.status = outcome.status;
                execution.failure_reason = outcome.failure_reason;
            }
        })
    }

    /// The definition that a request pins.
    fn definition(&self, request: &StartRequest) -> Result<Definition, PipelineError> {
        let pipeline = self.load_pipeline(&request.pipeline)?;
        let version = pipeline.versions.iter().find(|it| it.version == request.version);
        let version = version
            .ok_or_else(|| PipelineError::NotFound(format!("{} version {}", request.pipeline, request.version)))?;
        read_definition(&request.pipeline, &version.definition)
    }

    fn load_pipeline(&self, name: &str) -> Result<StoredPipeline, PipelineError> {
        let id = name.to_lowercase();
        let body = self.database.get_document(PIPELINE, &id).map_err(unavailable)?;
        parse(&id, &body.ok_or_else(|| PipelineError::NotFound(name.to_owned()))?)
    }

    fn load(&self, arn: &str) -> Result<StoredExecution, PipelineError> {
        let id = execution_id(arn);
        let body = self.database.get_document(EXECUTION, id).map_err(unavailable)?;
        let stored: Option<StoredExecution> = body.map(|body| parse(id, &body)).transpose()?;
        stored.filter(|it| it.execution.arn == arn).ok_or_else(|| PipelineError::NotFound(arn.to_owned()))
    }

    /// Changes an execution that exists.
    fn change(&self, arn: &str, change: impl FnOnce(&mut StoredExecution)) -> Result<Execution, PipelineError> {
        let id = execution_id(arn);
        self.transact(|transaction| {
            let Some(body) = transaction.get_document(EXECUTION, id)? else {
                return Ok(Err(PipelineError::NotFound(arn.to_owned())));
            };
            let mut stored: StoredExecution = match parse(id, &body) {
                Ok(stored) => stored,
                Err(error) => return Ok(Err(error)),
            };
            change(&mut stored);
            stored.execution.changed_at = self.clock.now();
            transaction.put_document(EXECUTION, id, &to_json(&stored))?;
            Ok(Ok(stored.execution))
        })
    }

    /// Runs `work` in a transaction; what it refuses, it refuses before it writes.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Result<T, PipelineError>, TableError>,
    ) -> Result<T, PipelineError> {
        self.database.update(work).map_err(unavailable)?
    }

    fn start(&self, key: &str, request: &StartRequest) -> Result<String, PipelineError> {
        let id = id_of_key(key);
        let now = self.clock.now();
        let execution = Execution {
            arn: format!("{}/execution/{id}", pipeline_arn(&request.pipeline)),
            pipeline: request.pipeline.clone(),
            display_name: request.display_name.clone(),
            status: ExecutionStatus::Executing,
            failure_reason: None,
            started_at: now,
            changed_at: now,
            steps: Vec::new(),
        };
        let arn = execution.arn.clone();
        let stored = StoredExecution {
            schema: 1,
            key: key.to_owned(),
            request: request.clone(),
            execution,
            reused_from: BTreeMap::new(),
        };
        self.transact(|transaction| {
            if let Some(body) = transaction.get_document(EXECUTION, &id)? {
                return Ok(parse::<StoredExecution>(&id, &body).and_then(|known| {
                    let is_same = known.key == key && known.request == *request;
                    if is_same { Ok(known.execution.arn) } else { Err(PipelineError::KeyReused) }
                }));
            }
            transaction.put_document(EXECUTION, &id, &to_json(&stored))?;
            let name = display_id(&request.pipeline, &request.display_name);
            transaction.put_document(DISPLAY_NAME, &name, &arn)?;
            Ok(Ok(arn))
        })
    }
}

#[async_trait]
impl Pipelines for LocalPipelines {
    async fn describe(&self, pipeline: &str) -> Result<PipelineDescription, PipelineError> {
        let stored = self.load_pipeline(pipeline)?;
        let newest = stored.versions.last().ok_or_else(|| PipelineError::NotFound(pipeline.to_owned()))?;
        let definition = read_definition(pipeline, &newest.definition)?;
        let (version, digest) = (newest.version, newest.digest.clone());
        Ok(PipelineDescription { name: stored.name, version, digest, parameters: definition.parameters() })
    }

    async fn ensure_started(&self, key: &str, request: &StartRequest) -> Result<String, PipelineError> {
        if key.len() < 32 || 128 < key.len() {
            return Err(PipelineError::Invalid("a start key has 32 to 128 characters".to_owned()));
        }
        let definition = self.definition(request)?;
        definition.bind(&request.parameters).map_err(|problems| PipelineError::Invalid(problems.join("; ")))?;
        self.start(key, request)
    }

    async fn find_by_display_name(&self, pipeline: &str, display_name: &str) -> Result<Option<String>, PipelineError> {
        self.database.get_document(DISPLAY_NAME, &display_id(pipeline, display_name)).map_err(unavailable)
    }

    async fn observe(&self, arn: &str) -> Result<Execution, PipelineError> {
        self.load(arn).map(|it| it.execution)
    }

    async fn stop(&self, arn: &str) -> Result<(), PipelineError> {
        if self.load(arn)?.execution.status != ExecutionStatus::Executing {
            return Ok(());
        }
        self.change(arn, |stored| {
            if stored.execution.status == ExecutionStatus::Executing {
                stored.execution.status = ExecutionStatus::Stopping;
            }
        })
        .map(drop)
    }
}

/// The id of the execution that is started under a key.
fn id_of_key(key: &str) -> String {
    Digest::of_list(&["execution", key]).short().to_owned()
}

/// The ARN of a pipeline.
pub(crate) fn pipeline_arn(name: &str) -> String {
    format!("arn:aws:sagemaker:us-east-1:000000000000:pipeline/{}", name.to_lowercase())
}

fn display_id(pipeline: &str, display_name: &str) -> String {
    format!("{}/{display_name}", pipeline.to_lowercase())
}

fn read_definition(pipeline: &str, json: &str) -> Result<Definition, PipelineError> {
    Definition::parse(json).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        PipelineError::Invalid(format!("definition of `{pipeline}`: {}", problems.join("; ")))
    })
}

fn parse<T: serde::de::DeserializeOwned>(id: &str, body: &str) -> Result<T, PipelineError> {
    serde_json::from_str(body)
        .map_err(|error| PipelineError::Invalid(format!("stored document `{id}` does not parse: {error}")))
}

fn to_json<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("invariant: own documents serialize")
}

fn unavailable(error: TableError) -> PipelineError {
    let cause: BoxError = Box::new(error);
    PipelineError::Unavailable(cause)
}
