//! What the world hears of each fact: one event type a fact (FORMATS 2.9), and an alert where people have to know.

use std::sync::Arc;

use refit_core::audit::{AfterEvaluation, AuditEntry, AuditEvent, CausesEffect, Fact};
use refit_core::run::RunStatus;
use refit_core::trigger::{Cause, CauseKind, FindingOutcome, WindowVerdict};
use serde_json::{Value, json};

use crate::ports::{Alert, AlertKind, OutboundEvent};

/// The longest subject that SNS takes is below 100 characters.
const MAX_SUBJECT: usize = 99;

/// The detail type of a fact.
fn detail_type(fact: &Fact) -> &'static str {
    match fact {
        Fact::ModelWatched { .. } => "Model Watched",
        Fact::PolicyAdopted { .. } => "Config Changed",
        Fact::SignalReceived { .. } => "Signal Received",
        Fact::ModelSuspended { .. } => "Model Suspended",
        Fact::ModelResumed { .. } => "Model Resumed",
        Fact::ModelReleased { .. } => "Model Released",
        Fact::ModelAdopted { .. } => "Model Adopted",
        Fact::PromotionRequested { .. } => "Approval Requested",
        Fact::TriggersChecked { .. } => "Trigger Evaluated",
        Fact::RunRequested { .. } => "Retraining Requested",
        Fact::RunQueued { .. } => "Retraining Queued",
        Fact::RunStarting { .. } => "Retraining Starting",
        Fact::RunTraining { .. } => "Retraining Started",
        Fact::RunStopping { .. } => "Retraining Stopping",
        Fact::RunCausesAdded { effect: CausesEffect::Coalesced, .. } => "Retraining Causes Added",
        Fact::RunCausesAdded { effect: CausesEffect::Superseding, .. } => "Retraining Stopping",
        Fact::RunRetrying { .. } => "Retraining Retrying",
        Fact::RunSuperseded { .. } => "Retraining Superseded",
        Fact::RunTrained { .. } => "Retraining Succeeded",
        Fact::CandidateEvaluated { next, .. } => match next {
            AfterEvaluation::AskApproval { .. } => "Approval Requested",
            AfterEvaluation::Announce { .. } => "Promotion Announced",
            AfterEvaluation::Reject { .. } => "Candidate Evaluated",
        },
        Fact::ApprovalVoted { vote, .. } => match vote.choice {
            refit_core::approval::Choice::Approve => "Approval Approved",
            refit_core::approval::Choice::Decline => "Approval Declined",
        },
        Fact::PromotionAnnounced { .. } => "Promotion Announced",
        Fact::RolloutStarted { .. } => "Rollout Step Changed",
        Fact::ModelPromoted { .. } => "Model Promoted",
        Fact::RunEnded { status, outcome, .. } => match (status, outcome.code) {
            (_, refit_core::run::OutcomeCode::ApprovalExpired) => "Approval Expired",
            (RunStatus::Rejected, _) => "Retraining Rejected",
            (RunStatus::Canceled, _) => "Retraining Canceled",
            (RunStatus::TimedOut, _) => "Retraining Timed Out",
            _ => "Retraining Failed",
        },
        Fact::RollbackStarted { .. } => "Rollback Started",
        Fact::ModelRolledBack { .. } => "Rollback Performed",
        Fact::OutputsExpired { .. } => "Outputs Expired",
        Fact::OutputsRemoved { .. } => "Outputs Removed",
    }
}

/// The event that says what an entry of the log says.
#[must_use]
pub fn event_of(entry: &AuditEntry) -> OutboundEvent {
    let event = &entry.event;
    let fact = serde_json::to_value(&event.fact).unwrap_or(Value::Null);
    let mut detail = json!({
        "schemaVersion": 1,
        "model": event.model,
        "sequence": event.seq,
        "runId": event.fact.run(),
        "causationId": event.cause,
        "occurredAt": event.at,
        "actor": { "type": event.actor.kind, "id": event.actor.id },
        "hash": entry.hash,
    });
    detail["fact"] = without_bulk(fact);
    OutboundEvent {
        dedupe_id: dedupe_id(event),
        time: event.at,
        detail_type: detail_type(&event.fact).to_owned(),
        detail: Arc::new(detail),
    }
}

/// A fact without the parts that can be large: they are in the log, and an event is only a wake-up call.
fn without_bulk(mut fact: Value) -> Value {
    if let Some(fields) = fact.as_object_mut() {
        for bulky in ["judgments", "findings", "request", "package", "evaluation"] {
            fields.remove(bulky);
        }
    }
    fact
}

fn dedupe_id(event: &AuditEvent) -> String {
    format!("{}-{}", event.model, event.seq)
}

/// The alert for an event, when people have to know.
#[must_use]
pub fn alert_of(event: &AuditEvent) -> Option<Alert> {
    let model = &event.model;
    let (kind, subject, body) = match &event.fact {
        Fact::RunRequested { run, causes, .. } => {
            // A run that somebody asked for, or that was due, is no news.
            if !causes.iter().any(|it| is_measured(it.kind)) {
                return None;
            }
            (AlertKind::Drift, format!("{model}: retraining as {run}"), format!("Why:\n{}", list_causes(causes)))
        }
        Fact::TriggersChecked { findings, judgments } => {
            let is_broken = judgments.iter().any(|it| it.verdict == WindowVerdict::Broken);
            let moved: Vec<String> = judgments
                .iter()
                .filter(|it| matches!(it.verdict, WindowVerdict::Drifted | WindowVerdict::Degraded | WindowVerdict::Broken))
                .map(|it| format!("- {} {}: {}", it.kind.name(), it.window, it.reason))
                .collect();
            if moved.is_empty() {
                return None;
            }
            let held: String = findings
                .iter()
                .filter(|it| it.outcome == FindingOutcome::Suppressed)
                .map(|it| format!("\n- {}: {}", it.kind, it.reason))
                .collect();
            let why = if held.is_empty() { "\nNo trigger asked for one." } else { &held };
            let body = format!("{}\n\nNo run was requested:{why}", moved.join("\n"));
            if is_broken {
                (AlertKind::Failure, format!("{model}: its inputs are not whole"), body)
            } else {
                (AlertKind::Drift, format!("{model}: data or quality moved"), body)
            }
        }
        Fact::RunCausesAdded { run, causes, effect, .. } => {
            if !causes.iter().any(|it| is_measured(it.kind)) {
                return None;
            }
            let what = match effect {
                CausesEffect::Coalesced => "waits and retrains for these, too",
                CausesEffect::Superseding => "is stopped: a newer run takes its place",
            };
            (
                AlertKind::Drift,
                format!("{model}: more reasons to retrain"),
                format!("Run {run} {what}:\n{}", list_causes(causes)),
            )
        }
        Fact::RunSuperseded { run, by, causes, .. } => {
            let body = format!("Run {run} ended; {by} takes its place:\n{}", list_causes(causes));
            (AlertKind::Drift, format!("{model}: retraining as {by}"), body)
        }
        Fact::RunRetrying { run, attempt, failure, ready_at } => {
            let body = format!("Attempt {attempt} failed: {}\nThe next may start at {ready_at}.", failure.reason);
            (AlertKind::Failure, format!("{model}: run {run} is tried again"), body)
        }
        Fact::CandidateEvaluated { run, package, evaluation, next } => {
            let version = package.version;
            let gates: Vec<String> =
                evaluation.gates.iter().flat_map(|gate| gate.reasons.iter().map(|it| format!("- {it}"))).collect();
            let gates = gates.join("\n");
            match next {
                AfterEvaluation::AskApproval { approval } => (
                    AlertKind::Approval,
                    format!("{model}: version {version} waits for approval"),
                    format!(
                        "Run {run} made version {version}. Decide before {}:\n  refit approve {run}\n  refit decline {run}\n{gates}\n{}",
                        approval.expires_at, evaluation.auto_promotion.reason
                    ),
                ),
                AfterEvaluation::Announce { .. } => (
                    AlertKind::BeforePromotion,
                    format!("{model}: version {version} is about to be promoted"),
                    format!("Run {run}, without a person:\n{}\n{gates}", evaluation.auto_promotion.reason),
                ),
                AfterEvaluation::Reject { outcome } => (
                    AlertKind::Approval,
                    format!("{model}: version {version} was rejected"),
                    format!("Run {run}: {}", outcome.reason),
                ),
            }
        }
        Fact::PromotionRequested { run, version, reason, approval } => (
            AlertKind::Approval,
            format!("{model}: promotion of version {version} waits for approval"),
            format!(
                "{} asks to promote version {version}, which is not judged anew: {reason}\nDecide before {}:\n  refit approve {run}\n  refit decline {run}",
                event.actor, approval.expires_at
            ),
        ),
        Fact::ModelReleased { .. } => (
            AlertKind::Promotion,
            format!("{model}: no longer under watch"),
            "The current policy does not name it: it is neither checked nor retrained. Its champion goes on serving and can be taken back.".to_owned(),
        ),
        Fact::ModelAdopted { package, reason } => (
            AlertKind::Promotion,
            format!("{model}: version {} is under watch as champion", package.version),
            format!("{} adopted it: {reason}", event.actor),
        ),
        Fact::PromotionAnnounced { run, version, .. } => (
            AlertKind::BeforePromotion,
            format!("{model}: version {version} is about to be promoted"),
            format!("Run {run} was approved."),
        ),
        Fact::RolloutStarted { run, version, was_announced: false } => (
            AlertKind::Failure,
            format!("{model}: version {version} goes live without its notice"),
            format!(
                "The notice of run {run} was not published in time; the promotion goes on. Check the event bus and the alert topic."
            ),
        ),
        Fact::ModelPromoted { run, version, replaced } => {
            let before = replaced
                .map_or_else(|| "It is the first champion.".to_owned(), |it| format!("It replaced version {it}."));
            let body = format!("Run {run}. {before}\nTake it back with:\n  refit rollback {model}");
            (AlertKind::Promotion, format!("{model}: version {version} is champion"), body)
        }
        Fact::RunEnded { run, status, outcome } => (
            // A candidate that people or their silence refused is part of deciding; everything else broke.
            if *status == RunStatus::Rejected { AlertKind::Approval } else { AlertKind::Failure },
            format!("{model}: run {run} {}", status.name().replace('_', " ")),
            outcome.reason.clone(),
        ),
        Fact::ModelRolledBack { from, to, reason } => (
            AlertKind::Rollback,
            format!("{model}: version {from} was rolled back to {to}"),
            format!("Why: {reason}\nPromotion without a person is frozen until a person approves the next candidate."),
        ),
        Fact::ModelWatched { .. }
        | Fact::PolicyAdopted { .. }
        | Fact::SignalReceived { .. }
        | Fact::ModelSuspended { .. }
        | Fact::ModelResumed { .. }
        | Fact::RunQueued { .. }
        | Fact::RunStarting { .. }
        | Fact::RunTraining { .. }
        | Fact::RunStopping { .. }
        | Fact::RunTrained { .. }
        | Fact::ApprovalVoted { .. }
        | Fact::RolloutStarted { was_announced: true, .. }
        | Fact::RollbackStarted { .. }
        | Fact::OutputsExpired { .. }
        | Fact::OutputsRemoved { .. } => return None,
    };
    let subject: String = subject.chars().filter(|it| !it.is_control()).take(MAX_SUBJECT).collect();
    Some(Alert { dedupe_id: dedupe_id(event), time: event.at, kind, model: model.to_string(), subject, body })
}

/// Whether a cause was measured on the data, by Refit or by whoever calls, rather than asked for or due.
fn is_measured(kind: CauseKind) -> bool {
    match kind {
        CauseKind::PerformanceDrop
        | CauseKind::PerformanceFloor
        | CauseKind::EstimatedPerformance
        | CauseKind::DataDrift
        | CauseKind::PredictionDrift
        | CauseKind::ConceptDrift
        | CauseKind::Alarm
        | CauseKind::Event => true,
        CauseKind::Age
        | CauseKind::PredictionVolume
        | CauseKind::NewRecords
        | CauseKind::Schedule
        | CauseKind::Manual => false,
    }
}

fn list_causes(causes: &[Cause]) -> String {
    let lines: Vec<String> = causes.iter().map(|it| format!("- {}: {}", it.kind, it.reason)).collect();
    lines.join("\n")
}
