//! How the endpoint behaves: how long things take, how far answers lag, what is refused.

use refit_core::policy::Span;
use serde::{Deserialize, Serialize};

use super::faults::Faults;

/// The account's quotas; SageMaker's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Executions that have not ended.
    pub concurrent_executions: usize,
    /// Pipelines.
    pub pipelines: usize,
    /// Endpoints.
    pub endpoints: usize,
}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas { concurrent_executions: 20, pipelines: 500, endpoints: 100 }
    }
}

/// How the endpoint behaves; times are the served clock's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behavior {
    /// How long after its start an execution's steps run, so that on a virtual clock it lasts that long.
    pub execution_takes: Span,
    /// How long an endpoint is `Creating` or `Updating`.
    pub endpoint_takes: Span,
    /// How long a change of an execution's status stays unseen by `DescribePipelineExecution` and the lists.
    pub status_lag: Span,
    /// How long a new execution stays unseen by `ListPipelineExecutions`.
    pub list_lag: Span,
    /// How often each event is sent, at least once; SageMaker says that it may send several.
    pub event_copies: u8,
    /// Executions whose programs run at the same time; the others wait.
    pub executions_at_once: usize,
    /// What is refused.
    pub quotas: Quotas,
    /// What fails.
    pub faults: Faults,
}

impl Default for Behavior {
    fn default() -> Behavior {
        Behavior {
            execution_takes: Span::ZERO,
            endpoint_takes: Span::ZERO,
            status_lag: Span::ZERO,
            list_lag: Span::ZERO,
            event_copies: 1,
            executions_at_once: 1,
            quotas: Quotas::default(),
            faults: Faults::default(),
        }
    }
}

/// Why a description of the behavior was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BehaviorError {
    /// It does not parse.
    #[error("the behavior does not parse")]
    Syntax(#[from] serde_json::Error),
    /// A number is out of its range.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
}

impl Behavior {
    /// Reads a JSON document; what it leaves out keeps its default.
    ///
    /// # Errors
    /// An unknown member, a wrong type or a number out of its range.
    pub fn parse(json: &str) -> Result<Behavior, BehaviorError> {
        let behavior: Behavior = serde_json::from_str(json)?;
        if behavior.event_copies == 0 {
            return Err(BehaviorError::Zero("event_copies"));
        }
        if behavior.executions_at_once == 0 {
            return Err(BehaviorError::Zero("executions_at_once"));
        }
        Ok(behavior)
    }
}
