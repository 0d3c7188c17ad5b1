//! How often a run is tried, and what it may use.

use super::field::{Field, Keys, Log};
use crate::policy::yaml::shown;
use crate::policy::{Resources, RetryPolicy, Span};

const RETRY: Keys = Keys { built: &["attempts", "backoff", "factor", "max_backoff"], not_built: &[] };
const RESOURCES: Keys = Keys { built: &["instance", "count", "volume_gb", "memory_mb", "max_runtime"], not_built: &[] };

/// Three, because only failures that are the service's own are tried again: they cost nothing but another start, and the
/// third in a row seldom has the reason of the first. Backing off for minutes outlasts a short lack of machines.
pub(super) const DEFAULT_RETRY: RetryPolicy = RetryPolicy {
    attempts: 3,
    backoff: Span::from_const_seconds(300),
    factor: 2,
    max_backoff: Span::from_const_seconds(3_600),
};

/// A week: longer than any outage that a run should wait for.
const MAX_BACKOFF_DAYS: i64 = 7;
/// SageMaker's longest instance type has some 30 characters.
const MAX_INSTANCE: usize = 63;
/// SageMaker stops a job after 28 days itself.
const MAX_RUNTIME_DAYS: i64 = 28;

pub(super) fn read_retry(field: Field<'_>, log: &mut Log) -> Option<RetryPolicy> {
    let section = field.section(&RETRY, log)?;
    let attempts = section.or("attempts", DEFAULT_RETRY.attempts, log, |it, log| it.count(1..=10, log));
    let longest = Span::days(MAX_BACKOFF_DAYS);
    let backoff = section.or("backoff", DEFAULT_RETRY.backoff, log, |it, log| it.span(Span::seconds(1)..=longest, log));
    let factor = section.or("factor", DEFAULT_RETRY.factor, log, |it, log| it.count(1..=10, log));
    let least = backoff.unwrap_or(Span::seconds(1));
    // A long backoff alone raises the longest one with it.
    let max_backoff = section.or("max_backoff", DEFAULT_RETRY.max_backoff.max(least), log, |it, log| {
        let max = it.span(Span::seconds(1)..=longest, log)?;
        if max < least {
            it.report(log, format!("`{max}` is shorter than `backoff`, which is {least}"));
            return None;
        }
        Some(max)
    });
    Some(RetryPolicy { attempts: attempts?, backoff: backoff?, factor: factor?, max_backoff: max_backoff? })
}

pub(super) fn read_resources(field: Field<'_>, log: &mut Log) -> Option<Resources> {
    let section = field.section(&RESOURCES, log)?;
    let instance = section.optional("instance", log, |it, log| read_instance(&it, log));
    let count = section.optional("count", log, |it, log| it.count(1..=100, log));
    let volume_gb = section.optional("volume_gb", log, |it, log| it.count(1..=16_384, log));
    let memory_mb = section.optional("memory_mb", log, |it, log| it.count(64..=16_777_216, log));
    let max_runtime =
        section.optional("max_runtime", log, |it, log| it.span(Span::minutes(1)..=Span::days(MAX_RUNTIME_DAYS), log));
    Some(Resources {
        instance: instance?,
        count: count?,
        volume_gb: volume_gb?,
        memory_mb: memory_mb?,
        max_runtime: max_runtime?,
    })
}

fn read_instance(field: &Field<'_>, log: &mut Log) -> Option<String> {
    let text = field.text(log)?;
    let is_type = text.len() <= MAX_INSTANCE
        && text.starts_with("ml.")
        && text.split('.').count() == 3
        && text.split('.').all(|it| !it.is_empty())
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it));
    if !is_type {
        field.report(log, format!("`{}` is not an instance type: it looks like `ml.m5.large`", shown(text)));
        return None;
    }
    Some(text.to_owned())
}
