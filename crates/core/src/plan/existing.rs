//! Versions that exist already: one that was made elsewhere comes under watch, one of Refit's own becomes champion again.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Decision, Plan, Record, Refusal, approval_basis};
use crate::actor::Actor;
use crate::approval::Approval;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::guard::Guard;
use crate::model::Model;
use crate::names::RunId;
use crate::package::{Package, PackageStatus};
use crate::policy::ModelPolicy;

/// A request to promote a version that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionRequest {
    /// The version.
    pub version: u64,
    /// Who.
    pub actor: Actor,
    /// Why, in their words; not empty.
    pub reason: String,
}

/// A request to bring a model under watch that was made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptionRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words; not empty.
    pub reason: String,
}

/// Plans a request to promote a version again: never by itself, people are asked as the policy says, and whoever asked
/// cannot approve. `package` is the version as it is stored.
pub fn plan_promotion_request(
    model: &Model,
    policy: &ModelPolicy,
    now: Timestamp,
    request: &PromotionRequest,
    package: Option<&Package>,
) -> Plan {
    let head = &model.head;
    let version = request.version;
    if let Some(refusal) = refuse_change(model) {
        return Plan::Refuse(refusal);
    }
    let package = match package.map(|it| (it, promotable(it))) {
        Some((package, Ok(()))) => package,
        Some((_, Err(why))) => return Plan::Refuse(Refusal::NotPromotable { version, why }),
        None => {
            let why = "there is no such version; `refit packages` lists them".to_owned();
            return Plan::Refuse(Refusal::NotPromotable { version, why });
        }
    };
    let run = RunId::new(&head.model, head.run_count + 1);
    let promotion = &policy.promotion;
    let approval = Approval {
        schema: Approval::SCHEMA,
        run: run.clone(),
        generation: 1,
        basis: approval_basis(package, model.champion(), None, policy),
        requested_at: now,
        expires_at: promotion.expires.after(now),
        needed: promotion.approvals,
        votes: Vec::new(),
    };
    let decision = Decision {
        kind: DecisionKind::Promotion,
        outcome: format!("version {version} waits for {} approval(s)", promotion.approvals),
        reasons: vec![format!("{}: {}", request.actor, request.reason)],
        inputs: Arc::new(json!({ "candidate": package, "champion": head.champion })),
    };
    let fact = Fact::PromotionRequested { run, version, reason: request.reason.clone(), approval };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: Some(decision) }))
}

/// Whether a version can be promoted again; the error says why not.
fn promotable(package: &Package) -> Result<(), String> {
    if let Some(at) = package.removed_at.filter(|_| Guard::RemovedNotPromoted.is_kept()) {
        return Err(format!("what its run wrote was removed at {at}, its archive among it"));
    }
    match package.status {
        PackageStatus::Champion => Err("it is the champion".to_owned()),
        PackageStatus::Candidate | PackageStatus::Retired | PackageStatus::Rejected | PackageStatus::RolledBack => {
            Ok(())
        }
    }
}

/// What forbids a change of the champion now, whatever it is.
fn refuse_change(model: &Model) -> Option<Refusal> {
    let head = &model.head;
    if head.released_at.is_some() {
        return Some(Refusal::Released(head.model.clone()));
    }
    if let Some(rollback) = &head.active_rollback {
        return Some(Refusal::AlreadyRolledBack { from: rollback.from, to: rollback.to });
    }
    head.active_run.clone().map(Refusal::RunActive)
}

/// Plans an adoption. `package` is what is to be champion, or why it cannot be; `serving` is what the endpoint serves alone.
///
/// Traffic does not move: an endpoint that serves something else is a reason to refuse. Only one that serves nothing yet is
/// given the adopted version, when it is looked at next.
pub fn plan_adopt(
    model: &Model,
    request: &AdoptionRequest,
    package: Result<&Package, &str>,
    serving: Option<&str>,
) -> Plan {
    if let Some(refusal) = refuse_change(model) {
        return Plan::Refuse(refusal);
    }
    if let Some(champion) = model.head.champion {
        let why = format!("version {champion} is champion already; `refit promote` changes it");
        return Plan::Refuse(Refusal::NotAdoptable(why));
    }
    let package = match package {
        Ok(package) => package,
        Err(why) => return Plan::Refuse(Refusal::NotAdoptable(why.to_owned())),
    };
    if let Some(other) = serving.filter(|it| *it != package.arn) {
        let why = format!("the endpoint serves {other}: adopt that one, or let the endpoint serve this one first");
        return Plan::Refuse(Refusal::NotAdoptable(why));
    }
    let fact = Fact::ModelAdopted { package: Arc::new(package.clone()), reason: request.reason.clone() };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: None }))
}
