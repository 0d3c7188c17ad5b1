//! Faults that are planned: each happens as often as it says, the first that fits first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::protocol::Refusal;

/// Whether a call that fails has its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing happens.
    #[default]
    None,
    /// It happens, and the caller hears of a failure.
    Applied,
}

/// A call that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFault {
    /// The operation, such as `StartPipelineExecution`; `*` for every one.
    pub operation: String,
    /// The error's name, such as `ThrottlingException` or `InternalFailure`.
    pub error: String,
    /// The text.
    #[serde(default)]
    pub message: String,
    /// Whether the call has its effect.
    #[serde(default)]
    pub effect: Effect,
    /// How many calls go well before.
    #[serde(default)]
    pub skip: u32,
    /// How many calls fail.
    #[serde(default = "once")]
    pub times: u32,
}

impl CallFault {
    pub(super) fn refusal(&self) -> Refusal {
        let message = if self.message.is_empty() { "a fault that was planned" } else { &self.message };
        Refusal::new(&self.error, message)
    }
}

/// An execution that fails without running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionFault {
    /// The pipeline; `*` for every one.
    pub pipeline: String,
    /// The step that fails.
    pub step: String,
    /// Why.
    pub reason: String,
    /// How many executions go well before.
    #[serde(default)]
    pub skip: u32,
    /// How many executions fail.
    #[serde(default = "once")]
    pub times: u32,
}

/// A change of an endpoint that fails: a new one becomes `Failed`, another goes on serving what it served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointFault {
    /// The endpoint; `*` for every one.
    pub endpoint: String,
    /// Why.
    pub reason: String,
    /// How many changes go well before.
    #[serde(default)]
    pub skip: u32,
    /// How many changes fail.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// Every fault that is planned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Calls that fail.
    pub calls: Vec<CallFault>,
    /// Executions that fail.
    pub executions: Vec<ExecutionFault>,
    /// Changes of endpoints that fail.
    pub endpoints: Vec<EndpointFault>,
}

/// The faults that have not happened yet.
pub(super) struct Planned(Mutex<Faults>);

impl Planned {
    pub(super) fn new(faults: Faults) -> Planned {
        Planned(Mutex::new(faults))
    }

    pub(super) fn replace(&self, faults: Faults) {
        *self.lock() = faults;
    }

    /// The fault of this call, if it is to have one.
    pub(super) fn take_call(&self, operation: &str) -> Option<CallFault> {
        let mut faults = self.lock();
        let fits = |it: &&mut CallFault| is_for(&it.operation, operation) && 0 < it.times;
        faults.calls.iter_mut().filter(fits).find_map(|it| count(&mut it.skip, &mut it.times).then(|| it.clone()))
    }

    /// The fault of this execution, if it is to have one.
    pub(super) fn take_execution(&self, pipeline: &str) -> Option<ExecutionFault> {
        let mut faults = self.lock();
        let fits = |it: &&mut ExecutionFault| is_for(&it.pipeline, pipeline) && 0 < it.times;
        faults.executions.iter_mut().filter(fits).find_map(|it| count(&mut it.skip, &mut it.times).then(|| it.clone()))
    }

    /// The fault of this change, if it is to have one.
    pub(super) fn take_endpoint(&self, endpoint: &str) -> Option<EndpointFault> {
        let mut faults = self.lock();
        let fits = |it: &&mut EndpointFault| is_for(&it.endpoint, endpoint) && 0 < it.times;
        faults.endpoints.iter_mut().filter(fits).find_map(|it| count(&mut it.skip, &mut it.times).then(|| it.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_for(pattern: &str, name: &str) -> bool {
    pattern == "*" || pattern.eq_ignore_ascii_case(name)
}

/// Counts one occasion; whether the fault happens at it.
fn count(skip: &mut u32, times: &mut u32) -> bool {
    if 0 < *skip {
        *skip -= 1;
        return false;
    }
    *times -= 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_says() {
        let json = r#"{"calls": [{"operation": "StartPipelineExecution", "error": "ThrottlingException", "skip": 1, "times": 2}]}"#;
        let planned = Planned::new(serde_json::from_str(json).expect("faults"));
        let happens = |name: &str| planned.take_call(name).is_some();
        assert!(!happens("DescribePipeline"));
        let seen: Vec<bool> = (0..4).map(|_| happens("StartPipelineExecution")).collect();
        assert_eq!(seen, [false, true, true, false]);
    }
}
