//! What a cause does to a run that is under way: join it, wait for its end, or take its place.

use serde_json::Value;

use super::CheckInputs;
use crate::actor::Actor;
use crate::audit::{CausesEffect, Fact};
use crate::guard::Guard;
use crate::names::RunId;
use crate::plan::promote::refuse_candidate;
use crate::plan::{Plan, Record, Refusal};
use crate::policy::OnNewTrigger;
use crate::run::{Outcome, OutcomeCode, Run, RunStatus};
use crate::trigger::{Cause, Finding, Judgment};

/// What the causes of a check lead to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Intake<'a> {
    /// A run is requested.
    Request,
    /// A run waits still and trains for them, too.
    Coalesce(&'a Run),
    /// A run trains; it is stopped, and a newer one takes its place.
    Stop(&'a Run),
    /// A run's candidate waits for people; it ends, and a newer run takes its place.
    End(&'a Run),
    /// A run is under way that has to end first.
    Hold,
}

pub(super) fn intake<'a>(inputs: &CheckInputs<'a>) -> Intake<'a> {
    if inputs.model.head.active_run.is_none() || !Guard::OneActiveRun.is_kept() {
        return Intake::Request;
    }
    let Some(run) = inputs.model.active_run() else { return Intake::Hold };
    let is_superseded = match inputs.policy.triggers.on_new_trigger {
        OnNewTrigger::Wait => false,
        OnNewTrigger::Supersede => true,
    };
    match run.status {
        RunStatus::Requested | RunStatus::Queued => Intake::Coalesce(run),
        RunStatus::Starting | RunStatus::Training if is_superseded => Intake::Stop(run),
        RunStatus::AwaitingApproval if is_superseded => Intake::End(run),
        RunStatus::Starting
        | RunStatus::Training
        | RunStatus::AwaitingApproval
        | RunStatus::Evaluating
        | RunStatus::Announced
        | RunStatus::RollingOut
        | RunStatus::Stopping
        | RunStatus::Succeeded
        | RunStatus::Rejected
        | RunStatus::Failed
        | RunStatus::Canceled
        | RunStatus::TimedOut => Intake::Hold,
    }
}

/// Those of `causes` that the run does not have: each kind and reason counts once.
pub(super) fn fresh(run: &Run, causes: &[Cause]) -> Vec<Cause> {
    causes.iter().filter(|it| !run.causes.contains(it)).cloned().collect()
}

/// What a check found, and who asked.
pub(super) struct Found {
    pub(super) causes: Vec<Cause>,
    pub(super) findings: Vec<Finding>,
    pub(super) judgments: Vec<Judgment>,
    pub(super) actor: Actor,
}

/// The plan for causes that came while a run is under way; `decide` makes the decision record.
pub(super) fn plan_intake(
    inputs: &CheckInputs<'_>,
    intake: Intake<'_>,
    found: Found,
    decide: impl FnOnce(String) -> Option<crate::plan::Decision>,
) -> Plan {
    let Found { causes, findings, judgments, actor } = found;
    let names = |causes: &[Cause]| causes.iter().map(|it| it.kind.name()).collect::<Vec<_>>().join(", ");
    let record = |fact, decision| Plan::Record(Box::new(Record { fact, actor, decision }));
    match intake {
        Intake::Coalesce(run) | Intake::Stop(run) => {
            let added = fresh(run, &causes);
            let is_asked = inputs.manual.is_some();
            if added.is_empty() && is_asked {
                return Plan::Refuse(Refusal::AskedAlready(run.id.clone()));
            }
            if added.is_empty() {
                let decision = decide(format!("no retraining: {} is under way for the same reasons", run.id));
                return record(Fact::TriggersChecked { findings, judgments }, decision);
            }
            let (effect, what) = match intake {
                Intake::Stop(_) => {
                    (CausesEffect::Superseding, format!("{} is stopped: a newer run replaces it", run.id))
                }
                _ => (CausesEffect::Coalesced, format!("{}, which waits, retrains for these, too", run.id)),
            };
            let decision = decide(format!("{what}: {}", names(&added)));
            let run = run.id.clone();
            record(Fact::RunCausesAdded { run, causes: added, findings, judgments, effect }, decision)
        }
        Intake::End(run) => {
            // The registry learns it first: if this worker dies in between, the next one does both again.
            if let Some(step) = refuse_candidate(inputs.model, run).filter(|it| !inputs.performed.contains(it)) {
                return Plan::Perform(step);
            }
            let by = RunId::new(&inputs.model.head.model, inputs.model.head.run_count + 1);
            let outcome = superseded(&by, inputs.now);
            let decision = decide(format!("{} ends, {by} takes its place: {}", run.id, names(&causes)));
            let mut all = run.causes.clone();
            all.extend(fresh(run, &causes));
            record(Fact::RunSuperseded { run: run.id.clone(), by, causes: all, findings, judgments, outcome }, decision)
        }
        Intake::Request | Intake::Hold => {
            let run = RunId::new(&inputs.model.head.model, inputs.model.head.run_count + 1);
            let decision = decide(format!("retrain as {run}: {}", names(&causes)));
            record(Fact::RunRequested { run, causes, findings, judgments }, decision)
        }
    }
}

/// How a run ends whose place another one takes.
pub(crate) fn superseded(by: &RunId, at: jiff::Timestamp) -> Outcome {
    let reason = format!("{by} takes its place, with the causes of both");
    Outcome { at, code: OutcomeCode::Superseded, reason }
}

/// What a decision record says about the run under way.
pub(super) fn describe(intake: Intake<'_>) -> Value {
    match intake {
        Intake::Request => Value::Null,
        Intake::Coalesce(_) => "coalesce".into(),
        Intake::Stop(_) | Intake::End(_) => "supersede".into(),
        Intake::Hold => "wait".into(),
    }
}
