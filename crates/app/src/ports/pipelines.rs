//! Training pipelines: started under a key, observed, stopped.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_core::Digest;
use refit_core::policy::Resources;
pub use refit_core::run::ExecutionStatus;
use serde::{Deserialize, Serialize};

use super::{BoxError, Failure};

/// What a pipeline is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineDescription {
    /// Its name.
    pub name: String,
    /// The newest version of its definition.
    pub version: u64,
    /// The digest of that definition.
    pub digest: Digest,
    /// The parameters it declares, each with its default if it has one.
    pub parameters: BTreeMap<String, Option<String>>,
}

/// A frozen request to start an execution: stored before the call, sent byte for byte the same each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRequest {
    /// The pipeline's name.
    pub pipeline: String,
    /// The version of its definition.
    pub version: u64,
    /// The name by which the execution can be found again: the run's id, from the second attempt on with its number.
    pub display_name: String,
    /// Values of declared parameters.
    pub parameters: BTreeMap<String, String>,
    /// What its programs may use: for services that take no such parameters but can limit programs themselves.
    pub resources: Resources,
}

/// One step of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// The step's name in the definition.
    pub name: String,
    /// Its type, `Processing`, `Training`, `RegisterModel`, `Condition` or `Fail`.
    pub kind: String,
    /// `Starting, Executing, Stopping, Stopped, Failed, Succeeded`.
    pub status: String,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The package that a `RegisterModel` step registered.
    pub package_arn: Option<String>,
}

/// What the service says about an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The display name it was started under.
    pub display_name: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// Why it failed, in the service's words.
    pub failure_reason: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// Its steps, in the order they began.
    pub steps: Vec<StepState>,
}

/// Why a pipeline call failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// There is no such pipeline or execution.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// The key was used before with another request.
    #[error("start key was used before with another request")]
    KeyReused,
    /// The account's quota is used up: stay queued, do not count an attempt.
    #[error("quota of concurrent executions is used up")]
    Quota,
    /// The service asks to slow down or could not be reached. **A start may have been applied.**
    #[error("pipeline service could not be reached")]
    Unavailable(#[source] BoxError),
    /// The caller may not do this.
    #[error("access to the pipeline service was denied")]
    Denied(#[source] BoxError),
    /// The request cannot work.
    #[error("request to the pipeline service is invalid: {0}")]
    Invalid(String),
}

impl PipelineError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            PipelineError::NotFound(_) => Failure::NotFound,
            PipelineError::Quota | PipelineError::Unavailable(_) => Failure::Unavailable,
            PipelineError::Denied(_) => Failure::Denied,
            PipelineError::KeyReused | PipelineError::Invalid(_) => Failure::Invalid,
        }
    }
}

/// Starts and observes training pipelines.
#[async_trait]
pub trait Pipelines: Send + Sync {
    /// Describes a pipeline's newest version.
    ///
    /// # IAM
    /// `sagemaker:DescribePipeline`
    ///
    /// # Errors
    /// See [`PipelineError`].
    async fn describe(&self, pipeline: &str) -> Result<PipelineDescription, PipelineError>;

    /// Starts an execution, or returns the one already started under `key` (32 to 128 characters).
    ///
    /// # IAM
    /// `sagemaker:StartPipelineExecution`
    ///
    /// # Errors
    /// [`PipelineError::KeyReused`] when `key` was used with another request. After [`PipelineError::Unavailable`] the
    /// execution may have started: [`Pipelines::find_by_display_name`] tells.
    async fn ensure_started(&self, key: &str, request: &StartRequest) -> Result<String, PipelineError>;

    /// The ARN of the execution with this display name.
    ///
    /// # IAM
    /// `sagemaker:ListPipelineExecutions`
    ///
    /// # Errors
    /// See [`PipelineError`].
    async fn find_by_display_name(&self, pipeline: &str, display_name: &str) -> Result<Option<String>, PipelineError>;

    /// What the service says now. May lag behind `ensure_started`.
    ///
    /// # IAM
    /// `sagemaker:DescribePipelineExecution`, `sagemaker:ListPipelineExecutionSteps`
    ///
    /// # Errors
    /// See [`PipelineError`].
    async fn observe(&self, arn: &str) -> Result<Execution, PipelineError>;

    /// Asks the execution to stop; it is over only when `observe` says so. Without effect on an ended one.
    ///
    /// # IAM
    /// `sagemaker:StopPipelineExecution`
    ///
    /// # Errors
    /// See [`PipelineError`].
    async fn stop(&self, arn: &str) -> Result<(), PipelineError>;
}
