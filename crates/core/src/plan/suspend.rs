//! Suspending and resuming a model's triggers. Runs under way and rollbacks go on.

use serde::{Deserialize, Serialize};

use super::{Plan, Record, Refusal};
use crate::actor::Actor;
use crate::audit::Fact;
use crate::model::Model;
use crate::policy::ModelPolicy;

/// A request to suspend a model's triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspendRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words.
    pub reason: String,
}

/// A request to let a model's triggers ask for runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words; may be empty.
    pub reason: String,
}

/// Plans a suspension: from then on triggers are checked and windows judged, but no run is requested.
pub fn plan_suspend(model: &Model, request: &SuspendRequest) -> Plan {
    if let Some(it) = model.head.suspended.clone() {
        return Plan::Refuse(Refusal::Suspended { by: it.by, at: it.at, reason: it.reason });
    }
    let fact = Fact::ModelSuspended { reason: request.reason.clone() };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: None }))
}

/// Plans the end of a suspension, and of what a loop breaker stopped.
pub fn plan_resume(model: &Model, policy: &ModelPolicy, request: &ResumeRequest) -> Plan {
    let is_broken = policy.triggers.loop_breaker.is_some_and(|it| it.rejections <= model.head.setbacks);
    if model.head.suspended.is_none() && !is_broken {
        return Plan::Refuse(Refusal::NotSuspended);
    }
    let fact = Fact::ModelResumed { reason: request.reason.clone() };
    Plan::Record(Box::new(Record { fact, actor: request.actor.clone(), decision: None }))
}
