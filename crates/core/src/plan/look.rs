//! When to look at a model again: what makes the schedule data.

use jiff::Timestamp;

use super::promote::broken_basis;
use super::{POLL, next_check};
use crate::guard::Guard;
use crate::model::{Head, Model};
use crate::policy::{ModelPolicy, Span};
use crate::run::RunStatus;

/// How often a model that left the policy is looked at: what is said about it is still published.
const RELEASED: Span = Span::from_const_seconds(86_400);

/// When a model is looked at at which nothing is under way: at its next check, if it is under watch. What is being removed
/// is gone on with at once.
#[must_use]
pub fn next_idle_look(head: &Head, policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    if !head.cleaning.is_empty() {
        return now;
    }
    if head.released_at.is_some() { RELEASED.after(now) } else { next_check(head, policy, now) }
}

/// When a model is looked at that has just come to rest: soon, for what is served may not be what was just recorded, or a
/// paused worker may have set it back. Whoever finds everything right sets the clock to [`next_idle_look`].
#[must_use]
pub fn next_look_at_rest(head: &Head, policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    let idle = next_idle_look(head, policy, now);
    if head.keeps_endpoint() { idle.min(POLL.after(now)) } else { idle }
}

/// When the sweep must wake this model at the latest. A state that a live worker leaves at once is due now: if the worker
/// died, the sweep finds it.
#[must_use]
pub fn next_look(model: &Model, policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    let check = next_idle_look(&model.head, policy, now);
    if model.head.active_rollback.is_some() {
        return now;
    }
    let Some(run) = model.active_run() else { return next_look_at_rest(&model.head, policy, now) };
    let soon = POLL.after(now);
    let run_at = match run.status {
        RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Starting
        | RunStatus::Evaluating
        | RunStatus::RollingOut => now,
        RunStatus::Training | RunStatus::Stopping => {
            run.deadline.filter(|it| now < *it).map_or(soon, |it| it.min(soon))
        }
        // Votes that no longer apply are waited for by nobody.
        RunStatus::AwaitingApproval if broken_basis(model, policy, run).is_some() => now,
        RunStatus::AwaitingApproval => model.approvals.get(&run.id).map_or(now, |it| it.expires_at.max(now)),
        RunStatus::Announced => now,
        RunStatus::Succeeded | RunStatus::Rejected | RunStatus::Failed | RunStatus::Canceled | RunStatus::TimedOut => {
            check
        }
    };
    if Guard::LookAtRuns.is_kept() { check.min(run_at) } else { check }
}
