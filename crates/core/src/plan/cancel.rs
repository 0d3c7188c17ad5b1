//! What people ask about a run: end it, or try again.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::promote::refuse_candidate;
use super::{Decision, Plan, Record, Refusal, Step};
use crate::actor::Actor;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::guard::Guard;
use crate::model::Model;
use crate::names::RunId;
use crate::run::{Outcome, OutcomeCode, Run, RunStatus, StopReason};
use crate::trigger::{Cause, CauseKind};

/// A person's request to end a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// The run.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
    /// Why, in their words; not empty.
    pub reason: String,
}

/// A person's request to try a run again that has ended without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// The run.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
}

/// How a run ends that a person canceled.
pub(super) fn canceled(by: &Actor, reason: &str, at: Timestamp) -> Outcome {
    Outcome { at, code: OutcomeCode::Canceled, reason: format!("{by} canceled it: {reason}") }
}

/// Plans a cancellation. What waits ends at once; what has a slot is stopped, and ends when the service says so; traffic
/// that moves is not left half-way.
pub fn plan_cancel(model: &Model, request: &CancelRequest, now: Timestamp, performed: &[Step]) -> Plan {
    let Some(run) = model.active_run().filter(|it| it.id == request.run) else {
        return Plan::Refuse(Refusal::NotUnderWay(request.run.clone()));
    };
    let record = |fact| Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: None }));
    match run.status {
        RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Evaluating
        | RunStatus::AwaitingApproval
        | RunStatus::Announced => {
            // The registry learns it first: if this worker dies in between, the next one does both again.
            if let Some(step) = refuse_candidate(model, run).filter(|it| !performed.contains(it)) {
                return Plan::Perform(step);
            }
            let outcome = canceled(&request.actor, &request.reason, now);
            record(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Canceled, outcome })
        }
        RunStatus::Starting | RunStatus::Training => {
            let because = StopReason::Canceled { by: request.actor.clone(), reason: request.reason.clone() };
            record(Fact::RunStopping { run: run.id.clone(), because })
        }
        RunStatus::Stopping => Plan::Refuse(Refusal::StoppingAlready(run.id.clone())),
        RunStatus::RollingOut => Plan::Refuse(Refusal::TrafficMoves(run.id.clone())),
        RunStatus::Succeeded | RunStatus::Rejected | RunStatus::Failed | RunStatus::Canceled | RunStatus::TimedOut => {
            Plan::Refuse(Refusal::NotUnderWay(run.id.clone()))
        }
    }
}

/// Plans a new run for the reasons of an old one. The cooldown is skipped, and nothing else that a person does not skip
/// otherwise: a suspension holds.
pub fn plan_retry(model: &Model, request: &RetryRequest, old: Option<&Run>) -> Plan {
    let head = &model.head;
    let Some(old) = old else { return Plan::Refuse(Refusal::UnknownRun(request.run.clone())) };
    if let Some(active) = &head.active_run {
        return Plan::Refuse(Refusal::RunActive(active.clone()));
    }
    if let Some(suspension) = head.suspended.clone() {
        let (by, at, reason) = (suspension.by, suspension.at, suspension.reason);
        return Plan::Refuse(Refusal::Suspended { by, at, reason });
    }
    match old.status {
        RunStatus::Rejected | RunStatus::Failed | RunStatus::Canceled | RunStatus::TimedOut => {}
        RunStatus::Succeeded
        | RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Starting
        | RunStatus::Training
        | RunStatus::Evaluating
        | RunStatus::AwaitingApproval
        | RunStatus::Announced
        | RunStatus::RollingOut
        | RunStatus::Stopping => {
            return Plan::Refuse(Refusal::NotRetryable { run: old.id.clone(), status: old.status });
        }
    }
    let next = RunId::new(&head.model, head.run_count + 1);
    let run = if Guard::RetryIsAnotherRun.is_kept() { next } else { old.id.clone() };
    let asked = Cause { kind: CauseKind::Manual, reason: format!("{}: again after {}", request.actor, old.id) };
    let mut causes = old.causes.clone();
    if !causes.contains(&asked) {
        causes.push(asked);
    }
    let decision = Decision {
        kind: DecisionKind::Check,
        outcome: format!("retrain as {run}: {} asks for {} again", request.actor, old.id),
        reasons: causes.iter().map(|it| format!("{}: {}", it.kind, it.reason)).collect(),
        inputs: Arc::new(json!({ "run": old.id, "status": old.status, "outcome": old.outcome })),
    };
    let fact = Fact::RunRequested { run, causes, findings: Vec::new(), judgments: Vec::new() };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: Some(decision) }))
}
