//! Tries a step again when its retry policies say so.
//!
//! Of SageMaker's exceptions one can happen here: a program that a signal ended, which nobody here sent, is
//! `SageMaker.JOB_INTERNAL_ERROR`, as when a machine is lost. A program that ends with a status other than 0, exceeds its
//! time, or leaves no usable output has failed by itself, which SageMaker calls a client error and no policy can name.
//! Throttling, capacity and quotas do not exist on one machine; policies for them are read and never apply.

use std::time::{Duration, Instant};

use super::{StepEnd, child};
use crate::pipeline::definition::{Exception, RetryLimit, RetryPolicy};

/// Counts the retries of one step.
struct Retries<'a> {
    policies: &'a [RetryPolicy],
    /// How many retries each policy has given.
    given: Vec<u64>,
}

impl Retries<'_> {
    /// How long to wait before the step is tried again; `None` when it is not. The first policy that names the
    /// exception decides alone.
    fn next_wait(&mut self, exception: Exception, since_begin: Duration) -> Option<Duration> {
        let index = self.policies.iter().position(|it| it.exceptions.contains(&exception))?;
        let (policy, given) = (&self.policies[index], &mut self.given[index]);
        let is_over = match policy.limit {
            RetryLimit::Attempts(most) => most <= *given,
            RetryLimit::Expiry(expiry) => expiry <= since_begin,
        };
        if is_over {
            return None;
        }
        // Attempts are at most 20, and a wait beyond what a number can hold never ends anyway.
        let factor = policy.backoff_rate.powf(*given as f64);
        *given += 1;
        Some(Duration::try_from_secs_f64(policy.interval.as_secs_f64() * factor).unwrap_or(Duration::MAX))
    }
}

/// Makes attempts, numbered from 1, until one succeeds or is not to be repeated.
pub(super) fn with_retries<T>(
    policies: &[RetryPolicy],
    is_stopping: &dyn Fn() -> bool,
    attempt: &mut dyn FnMut(u32) -> Result<T, StepEnd>,
) -> Result<T, StepEnd> {
    let begun = Instant::now();
    let mut retries = Retries { policies, given: vec![0; policies.len()] };
    let mut number = 1;
    loop {
        let (exception, reason) = match attempt(number) {
            Err(StepEnd::Faulted(exception, reason)) => (exception, reason),
            other => return other,
        };
        let Some(wait) = retries.next_wait(exception, begun.elapsed()) else { return Err(StepEnd::Failed(reason)) };
        tracing::info!(exception = exception.name(), attempt = number, %reason, "step is tried again");
        child::pause(wait, is_stopping)?;
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: RetryLimit, backoff_rate: f64, at_s: &[u64], expected: &[Option<f64>]) {
        let interval = Duration::from_secs(3);
        let other = RetryPolicy {
            exceptions: vec![Exception::Throttling],
            interval: Duration::from_secs(99),
            backoff_rate: 2.0,
            limit: RetryLimit::Attempts(20),
        };
        let exceptions = vec![Exception::CapacityError, Exception::JobInternalError];
        let policies = [other, RetryPolicy { exceptions, interval, backoff_rate, limit }];
        let mut retries = Retries { policies: &policies, given: vec![0; 2] };
        let mut wait = |at: u64| retries.next_wait(Exception::JobInternalError, Duration::from_secs(at));
        let waits: Vec<Option<f64>> = at_s.iter().map(|at| wait(*at).map(|it| it.as_secs_f64())).collect();
        assert_eq!(waits, expected);
        assert_eq!(retries.next_wait(Exception::ResourceLimit, Duration::ZERO), None);
    }

    #[test]
    fn waits_grow_until_the_attempts_are_used_up() {
        check(RetryLimit::Attempts(3), 2.0, &[0; 4], &[Some(3.0), Some(6.0), Some(12.0), None]);
        check(RetryLimit::Attempts(2), 1.0, &[0; 3], &[Some(3.0), Some(3.0), None]);
        check(RetryLimit::Attempts(2), 0.5, &[0; 3], &[Some(3.0), Some(1.5), None]);
    }

    #[test]
    fn waits_grow_until_the_policy_expires() {
        let limit = RetryLimit::Expiry(Duration::from_secs(60));
        check(limit, 2.0, &[0, 10, 59, 60, 61], &[Some(3.0), Some(6.0), Some(12.0), None, None]);
    }

    #[test]
    fn a_wait_beyond_all_numbers_is_long() {
        check(RetryLimit::Attempts(3), 1e300, &[0, 0], &[Some(3.0), Some(3e300_f64.min(Duration::MAX.as_secs_f64()))]);
    }
}
