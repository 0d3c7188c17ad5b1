//! Retry policies: which exceptions of a step are tried again, how often, and after how long.
//!
//! The rules and limits are those of <https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html>.

use std::time::Duration;

use super::Problem;
use super::node::Node;

/// The most retries that a policy may ask for.
const MAX_ATTEMPTS: u64 = 20;
/// The most minutes that a policy may go on for: ten days.
const MAX_EXPIRE_MIN: u64 = 14_400;
/// The longest first interval, twelve hours.
const MAX_INTERVAL_S: u64 = 43_200;
/// How many retries there are when a policy does not say.
const DEFAULT_ATTEMPTS: u64 = 5;

/// A kind of failure that a policy may name; all are faults of the service and none of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// A service that the step calls had an internal error.
    ServiceFault,
    /// A service that the step calls asked for fewer calls.
    Throttling,
    /// The job ended by a fault of its machine.
    JobInternalError,
    /// There was no machine for the job.
    CapacityError,
    /// A quota of the account was used up.
    ResourceLimit,
}

impl Exception {
    const ALL: [Exception; 5] = [
        Exception::ServiceFault,
        Exception::Throttling,
        Exception::JobInternalError,
        Exception::CapacityError,
        Exception::ResourceLimit,
    ];

    /// The name that definitions use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Exception::ServiceFault => "Step.SERVICE_FAULT",
            Exception::Throttling => "Step.THROTTLING",
            Exception::JobInternalError => "SageMaker.JOB_INTERNAL_ERROR",
            Exception::CapacityError => "SageMaker.CAPACITY_ERROR",
            Exception::ResourceLimit => "SageMaker.RESOURCE_LIMIT",
        }
    }
}

/// When retries cease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryLimit {
    /// After this many.
    Attempts(u64),
    /// When the step began this long ago.
    Expiry(Duration),
}

/// A retry policy of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The exceptions that it is for.
    pub exceptions: Vec<Exception>,
    /// The wait before the first retry.
    pub interval: Duration,
    /// By what each further wait is longer than the one before.
    pub backoff_rate: f64,
    /// When it ends.
    pub limit: RetryLimit,
}

/// Reads the policies of a step.
pub(super) fn read(step: &Node<'_>, type_name: &str, found: &mut Vec<Problem>) -> Vec<RetryPolicy> {
    if let Some(policies) = step.child("RetryPolicies")
        && ["Condition", "Fail"].contains(&type_name)
    {
        policies.report(found, format!("a {type_name} step is never retried; remove `RetryPolicies`"));
    }
    step.list("RetryPolicies", found).iter().filter_map(|it| read_policy(it, found)).collect()
}

fn read_policy(policy: &Node<'_>, found: &mut Vec<Problem>) -> Option<RetryPolicy> {
    let known = ["ExceptionType", "MaxAttempts", "ExpireAfterMin", "BackoffRate", "IntervalSeconds"];
    policy.only(&known, &[], found);
    let exceptions = read_exceptions(policy, found);
    let interval = whole(policy, "IntervalSeconds", MAX_INTERVAL_S, found).unwrap_or(1);
    let mut backoff_rate = 2.0;
    if let Some(rate) = policy.child("BackoffRate") {
        match rate.value.as_f64().filter(|it| 0.0 <= *it) {
            Some(value) => backoff_rate = value,
            None => rate.report(found, "`BackoffRate` must be a number and not below 0".to_owned()),
        }
    }
    let attempts = whole(policy, "MaxAttempts", MAX_ATTEMPTS, found);
    let minutes = whole(policy, "ExpireAfterMin", MAX_EXPIRE_MIN, found);
    if policy.child("MaxAttempts").is_some() && policy.child("ExpireAfterMin").is_some() {
        policy.report(found, "`MaxAttempts` and `ExpireAfterMin` exclude each other; keep one".to_owned());
    }
    let limit = match minutes {
        Some(minutes) => RetryLimit::Expiry(Duration::from_secs(60 * minutes)),
        None => RetryLimit::Attempts(attempts.unwrap_or(DEFAULT_ATTEMPTS)),
    };
    Some(RetryPolicy { exceptions: exceptions?, interval: Duration::from_secs(interval), backoff_rate, limit })
}

fn read_exceptions(policy: &Node<'_>, found: &mut Vec<Problem>) -> Option<Vec<Exception>> {
    let list = policy.required("ExceptionType", found)?;
    let nodes = list.elements(found);
    if nodes.is_empty() {
        list.report(found, "names no exception; add one".to_owned());
    }
    let mut exceptions = Vec::new();
    for node in nodes {
        let Some(name) = node.text(found) else { continue };
        match Exception::ALL.into_iter().find(|it| it.name() == name) {
            Some(exception) => exceptions.push(exception),
            None => node.report(
                found,
                format!("exception `{name}` does not exist; use {}", Exception::ALL.map(Exception::name).join(", ")),
            ),
        }
    }
    Some(exceptions)
}

/// A whole number from 1 to `limit`.
fn whole(policy: &Node<'_>, key: &str, limit: u64, found: &mut Vec<Problem>) -> Option<u64> {
    let node = policy.child(key)?;
    let value = node.value.as_u64().filter(|it| 1 <= *it && *it <= limit);
    if value.is_none() {
        node.report(found, format!("`{key}` must be a number from 1 to {limit}"));
    }
    value
}
