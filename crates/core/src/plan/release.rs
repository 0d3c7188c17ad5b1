//! A model that left the policy: what is under way ends, then the model is released.

use jiff::Timestamp;

use super::{Plan, Record, Step};
use crate::audit::Fact;
use crate::model::Model;
use crate::names::Digest;
use crate::run::{Outcome, OutcomeCode, Run, RunStatus, StopReason};

/// Plans the way of a model out of the watch; `None` while something has to end first by itself, or when nothing is left
/// to do.
///
/// Traffic that is moving arrives, an execution is stopped, and everything before a promotion is canceled: nobody is asked
/// about a candidate of a model that nobody watches.
#[must_use]
pub fn plan_release(model: &Model, policy: &Digest, performed: &[Step], now: Timestamp) -> Option<Plan> {
    let head = &model.head;
    if head.released_at.is_some() || head.active_rollback.is_some() {
        return None;
    }
    let Some(run) = model.active_run() else {
        return Some(Record::carried_out(Fact::ModelReleased { policy: policy.clone() }));
    };
    match run.status {
        RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Evaluating
        | RunStatus::AwaitingApproval
        | RunStatus::Announced => Some(cancel(model, run, performed, now)),
        RunStatus::Starting | RunStatus::Training => {
            Some(Record::carried_out(Fact::RunStopping { run: run.id.clone(), because: StopReason::Released }))
        }
        RunStatus::Stopping
        | RunStatus::RollingOut
        | RunStatus::Succeeded
        | RunStatus::Rejected
        | RunStatus::Failed
        | RunStatus::Canceled
        | RunStatus::TimedOut => None,
    }
}

fn cancel(model: &Model, run: &Run, performed: &[Step], now: Timestamp) -> Plan {
    if let Some(step) = super::promote::refuse_candidate(model, run).filter(|it| !performed.contains(it)) {
        return Plan::Perform(step);
    }
    let reason = "the model left the policy".to_owned();
    let outcome = Outcome { at: now, code: OutcomeCode::Released, reason };
    Record::carried_out(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Canceled, outcome })
}
