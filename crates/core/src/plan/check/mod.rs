//! Whether to retrain: judges closed windows, asks every trigger, lets the guards object.

mod combine;
mod findings;
mod guards;
mod intake;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use combine::combine;
use findings::find;
pub use guards::budget_from;
use guards::guards;
pub(crate) use intake::superseded;
use intake::{Found, describe, intake, plan_intake};

use super::{Decision, Plan, Record, Refusal, Step, WaitingOn};
use crate::actor::Actor;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::model::{Head, Model};
use crate::policy::ModelPolicy;
use crate::trigger::{Cause, FindingOutcome, Judgment, WindowEvidence, judge};

/// A person's request to retrain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words; not empty.
    pub reason: String,
    /// Skip the cooldown, and nothing else.
    pub force: bool,
}

/// What a check needs of the stored records beyond the state: read anew at each check, never counted along.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recent {
    /// The newest judgments of the champion, at least as many conclusive ones of each kind as persistence looks at.
    pub judgments: Vec<Judgment>,
    /// When the runs since [`budget_from`] were requested.
    pub requested: Vec<Timestamp>,
    /// How much came in; `None` when the policy does not ask.
    pub volume: Option<Volume>,
}

/// How much data came in, counted from the files that were taken in. A file counts as a whole, by its first event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Predictions since the last run was requested, or since the watch began.
    pub predictions: u64,
    /// Predictions between the last runs, newest interval first.
    pub intervals: Vec<u64>,
    /// Labels that arrived since the champion's training data ended; `None` without a champion.
    pub labels: Option<u64>,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckInputs<'a> {
    /// The state: HEAD, the champion's package and the active run.
    pub model: &'a Model,
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// Closed windows that were not judged yet, oldest first, and those whose data changed since.
    pub windows: &'a [WindowEvidence],
    /// What was stored before.
    pub recent: &'a Recent,
    /// A person's request.
    pub manual: Option<&'a ManualRequest>,
    /// Steps performed since the state last changed.
    pub performed: &'a [Step],
}

/// When the triggers are to be checked next, as it looks at `now`.
#[must_use]
pub fn next_check(head: &Head, policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    // The last check was by a clock that ran ahead: waiting for that time to come would be silence.
    if head.is_check_due || now < head.checked_at {
        return now.min(head.checked_at);
    }
    let triggers = &policy.triggers;
    let grid = triggers.check_every.after(triggers.check_every.floor(head.checked_at));
    let scheduled = triggers.schedule.as_ref().and_then(|it| it.next_after(head.checked_at, &triggers.timezone));
    scheduled.map_or(grid, |it| it.min(grid))
}

/// Plans a check; [`Plan::Record`] always carries a decision record.
pub fn plan_check(inputs: &CheckInputs<'_>) -> Plan {
    let head = &inputs.model.head;
    if head.released_at.is_some() {
        return match inputs.manual {
            Some(_) => Plan::Refuse(Refusal::Released(head.model.clone())),
            None => Plan::Wait { on: WaitingOn::Nothing, until: None },
        };
    }
    if inputs.manual.is_none() && inputs.now < next_check(head, inputs.policy, inputs.now) {
        return Plan::Wait { on: WaitingOn::NextCheck, until: None };
    }
    let triggers = &inputs.policy.triggers;
    let champion = inputs.model.champion();
    let judgments: Vec<Judgment> =
        inputs.windows.iter().filter_map(|it| judge(it, triggers, champion, inputs.now)).collect();
    let mut findings = find(inputs, &judgments);
    combine(triggers, &mut findings);
    let guards = guards(inputs, &judgments);
    let intake = intake(inputs);
    if let (Some(guard), true) = (guards.first(), inputs.manual.is_some()) {
        return Plan::Refuse(guard.clone());
    }
    if !guards.is_empty() {
        let names: Vec<String> = guards.iter().map(ToString::to_string).collect();
        for finding in findings.iter_mut().filter(|it| it.outcome == FindingOutcome::Fired) {
            finding.outcome = FindingOutcome::Suppressed;
            finding.reason = format!("{}; suppressed: {}", finding.reason, names.join("; "));
        }
    }
    let causes: Vec<Cause> = findings
        .iter()
        .filter(|it| it.outcome == FindingOutcome::Fired)
        .map(|it| Cause { kind: it.kind, reason: it.reason.clone() })
        .collect();
    let reasons = findings.iter().map(|it| format!("{}: {}", it.kind, it.reason)).collect();
    let details = json!({
        "checked_at": head.checked_at,
        "last_run_at": head.last_run_at,
        "active_run": head.active_run,
        "intake": describe(intake),
        "guards": guards.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "findings": findings,
        "judgments": judgments,
    });
    let decide =
        |outcome: String| Some(Decision { kind: DecisionKind::Check, outcome, reasons, inputs: Arc::new(details) });
    let actor = inputs.manual.map_or_else(Actor::schedule, |it| it.actor.clone());
    if causes.is_empty() {
        let is_suppressed = findings.iter().any(|it| it.outcome == FindingOutcome::Suppressed);
        let outcome = if is_suppressed { "no retraining: suppressed" } else { "no retraining: no trigger fired" };
        let decision = decide(outcome.to_owned());
        let fact = Fact::TriggersChecked { findings, judgments };
        return Plan::Record(Box::new(Record { fact, actor, decision }));
    }
    plan_intake(inputs, intake, Found { causes, findings, judgments, actor }, decide)
}
