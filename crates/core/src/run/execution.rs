//! The status of a pipeline execution, in SageMaker's words.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// SageMaker's execution status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExecutionStatus {
    /// Running.
    Executing,
    /// Asked to stop.
    Stopping,
    /// Stopped before it was done.
    Stopped,
    /// Ended without success.
    Failed,
    /// Ended with success.
    Succeeded,
}

impl ExecutionStatus {
    /// Whether the service will not change it any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            ExecutionStatus::Executing | ExecutionStatus::Stopping => false,
            ExecutionStatus::Stopped | ExecutionStatus::Failed | ExecutionStatus::Succeeded => true,
        }
    }

    /// The word that the service uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ExecutionStatus::Executing => "Executing",
            ExecutionStatus::Stopping => "Stopping",
            ExecutionStatus::Stopped => "Stopped",
            ExecutionStatus::Failed => "Failed",
            ExecutionStatus::Succeeded => "Succeeded",
        }
    }
}

/// A status word that SageMaker does not document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an execution status")]
pub struct UnknownStatus(pub String);

impl FromStr for ExecutionStatus {
    type Err = UnknownStatus;

    /// Reads the word in any case, since AWS is not consistent.
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let all = [
            ExecutionStatus::Executing,
            ExecutionStatus::Stopping,
            ExecutionStatus::Stopped,
            ExecutionStatus::Failed,
            ExecutionStatus::Succeeded,
        ];
        all.into_iter().find(|it| it.name().eq_ignore_ascii_case(text)).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}
