//! Taking the champion back: always legal, idempotent, exact. Looks at HEAD and two packages, and at nothing that could
//! be broken by the change that is taken back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Decision, Plan, Record, Refusal, Step, WaitingOn};
use crate::actor::Actor;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::guard::Guard;
use crate::model::Model;

/// A request to take the champion back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words.
    pub reason: String,
    /// The champion to take back; the present one when absent, unless it is the result of a rollback.
    pub from: Option<u64>,
}

/// Plans the beginning of a rollback.
pub fn plan_rollback_request(model: &Model, request: &RollbackRequest) -> Plan {
    let head = &model.head;
    let Some(champion) = head.champion else { return Plan::Refuse(Refusal::NoChampion) };
    // A request that is repeated, by an impatient hand or a second delivery, must not go back twice.
    if let Some(active) = &head.active_rollback {
        return Plan::Refuse(Refusal::AlreadyRolledBack { from: active.from, to: active.to });
    }
    if let Some(done) = &head.rolled_back
        && Guard::RollbackOnce.is_kept()
        && request.from.is_none_or(|from| from == done.from)
    {
        return Plan::Refuse(Refusal::AlreadyRolledBack { from: done.from, to: done.to });
    }
    if let Some(asked) = request.from.filter(|it| !Guard::RollbackFromChampion.holds(*it == champion)) {
        return Plan::Refuse(Refusal::NotChampion { asked, champion });
    }
    let Some(to) = head.previous_champion else { return Plan::Refuse(Refusal::NoPrevious(champion)) };
    let decision = Decision {
        kind: DecisionKind::Rollback,
        outcome: format!("version {champion} is rolled back to version {to}"),
        reasons: vec![format!("{}: {}", request.actor, request.reason)],
        inputs: Arc::new(json!({ "champion": champion, "previous_champion": to })),
    };
    let fact = Fact::RollbackStarted { from: champion, to, reason: request.reason.clone() };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: Some(decision) }))
}

/// Plans the rest of a rollback: the endpoint first, then the record.
pub fn plan_rollback(model: &Model, performed: &[Step]) -> Plan {
    let head = &model.head;
    let Some(rollback) = &head.active_rollback else {
        return Plan::Wait { on: WaitingOn::Nothing, until: None };
    };
    let target = model.packages.get(&rollback.to).expect("invariant: the package to restore is loaded");
    let serve = Step::Serve {
        endpoint: head.endpoint.name.clone(),
        variant: head.endpoint.variant.clone(),
        package_arn: target.arn.clone(),
    };
    if !Guard::RollbackServes.holds(performed.contains(&serve)) {
        return Plan::Perform(serve);
    }
    let fact = Fact::ModelRolledBack { from: rollback.from, to: rollback.to, reason: rollback.reason.clone() };
    Plan::Record(Box::new(Record { fact, actor: Actor::refit(), decision: None }))
}
