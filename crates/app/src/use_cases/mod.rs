//! Use cases, one file each, named like its function.
//!
//! All that move a model share one loop ([`drive`]): load, plan, then record a fact or perform a step, and again, until
//! the plan is to wait. What was planned from stale state is refused by the table and planned anew.

pub mod check_triggers;
pub mod evaluate_candidate;
pub mod existing;
pub mod policy;
pub mod promote_model;
pub mod publish_events;
pub mod record_window;
pub mod start_retraining;
pub mod sweep;

mod clean_outputs;
mod park;
mod perform;

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_core::ModelId;
use refit_core::audit::Fact;
use refit_core::model::Model;
use refit_core::plan::{Plan, Question, Record, Refusal, Step, WaitingOn, next_idle_look, next_look};
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::run::{OutcomeCode, StopReason};
use refit_core::snapshot::{Snapshot, StateName, StoredSnapshot};
use refit_core::{Actor, Digest};
use serde::Serialize;

use crate::error::AppError;
use crate::ports::Ports;
use crate::settings::Settings;
use crate::snapshots;
use crate::state::{
    Answer, Loaded, LookAt, RecordContext, Scope, find_answer, load, record, record_refusal, reschedule,
};

/// How often a plan is made anew after somebody else wrote first.
const MAX_CONFLICTS: u32 = 5;
/// Most records and steps of one invocation: far above what any path needs.
const MAX_ROUNDS: u32 = 40;

/// What a use case works with.
#[derive(Clone)]
pub struct Context {
    /// The world.
    pub ports: Ports,
    /// The deployment.
    pub settings: Settings,
    /// Policies that were read lately.
    pub policies: policy::KnownPolicies,
}

impl Context {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

/// What a use case did.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Outcome {
    /// The facts it recorded, in order.
    pub recorded: Vec<String>,
    /// What it waits on now.
    pub waiting_on: Option<WaitingOn>,
    /// Why it refused, if it did.
    pub refused: Option<String>,
    /// Whether the request had been handled before.
    pub was_handled: bool,
}

/// A policy as it applies to one model.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// Its digest.
    pub digest: Digest,
    /// The whole.
    pub policy: Arc<Policy>,
    /// The model's part.
    pub model: ModelInForce,
}

/// The part of a policy that is one model's.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInForce {
    policy: Arc<Policy>,
    /// Its place among the policy's models.
    index: usize,
}

impl Deref for ModelInForce {
    type Target = ModelPolicy;

    fn deref(&self) -> &ModelPolicy {
        &self.policy.models[self.index]
    }
}

/// What a planner is asked with.
pub struct Situation<'a> {
    /// The state.
    pub loaded: &'a Loaded,
    /// The policy in force.
    pub in_force: &'a InForce,
    /// Steps performed since the last record.
    pub performed: &'a [Step],
    /// The time.
    pub now: Timestamp,
    /// Whether the request, if there is one, is still to be answered.
    pub is_request_open: bool,
}

/// Collects what a planner needs beyond the state. [`drive`] asks it and keeps with each decision what it was asked.
#[async_trait]
pub trait Planner: Send + Sync {
    /// What the planner is asked.
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError>;

    /// The request that the first record answers, if a person asked.
    fn request_id(&self) -> Option<&str> {
        None
    }
}

/// Drives one model until its plan is to wait. A model whose state is damaged is left alone, and people are told.
///
/// # Errors
/// See [`AppError`]; whatever was recorded before stays.
pub async fn drive(context: &Context, id: &ModelId, planner: &dyn Planner) -> Result<Outcome, AppError> {
    park::or_park(context, id, drive_on(context, id, planner).await).await
}

async fn drive_on(context: &Context, id: &ModelId, planner: &dyn Planner) -> Result<Outcome, AppError> {
    let table = &*context.ports.table;
    let mut outcome = Outcome::default();
    let mut performed: Vec<Step> = Vec::new();
    let mut conflicts = 0;
    let mut refused: Option<perform::Refused> = None;
    let mut request_id = planner.request_id();
    if let Some(request) = request_id
        && let Some(answer) = find_answer(table, id, request).await?
    {
        request_id = None;
        outcome.repeat(answer);
    }
    for _ in 0..MAX_ROUNDS {
        let read_at = context.now();
        let loaded = load(table, id, Scope::Everything).await?.ok_or_else(|| AppError::UnknownModel(id.to_string()))?;
        if !park::is_whole(context, &loaded.model).await? {
            continue;
        }
        let learned = match refused.take() {
            Some(refused) => perform::resolve_refused(context, &loaded, refused).await?,
            None => None,
        };
        let now = context.now();
        let in_force = policy::in_force(context, &loaded.model.head).await?;
        let situation = Situation {
            loaded: &loaded,
            in_force: &in_force,
            performed: &performed,
            now,
            is_request_open: request_id.is_some(),
        };
        let mut attempt = learned.as_ref().and_then(|it| it.attempt);
        let (plan, question) = match learned {
            Some(learned) => (Record::carried_out(learned.fact), Question::Nothing),
            None => plan_next(context, planner, &situation).await?,
        };
        let planned = match plan {
            Plan::Record(planned) => *planned,
            Plan::Perform(step) => match perform::perform(context, &loaded, &in_force, &step, (read_at, now)).await? {
                perform::Performed::Done => {
                    performed.push(step);
                    continue;
                }
                perform::Performed::Outdated => {
                    performed.clear();
                    continue;
                }
                perform::Performed::Learned(fact) => {
                    attempt = step.attempt();
                    Record { fact, actor: Actor::refit(), decision: None }
                }
                perform::Performed::Wait { on, until } => {
                    rest(context, &loaded, &in_force, &on, Some(until)).await?;
                    outcome.waiting_on = Some(on);
                    return Ok(outcome);
                }
            },
            Plan::Wait { on, until } => {
                rest(context, &loaded, &in_force, &on, until).await?;
                outcome.waiting_on = Some(on);
                return Ok(outcome);
            }
            Plan::Refuse(refusal) => {
                if refuse(table, &loaded, request_id, &refusal, &mut outcome).await? {
                    return Ok(outcome);
                }
                conflicts += 1;
                if MAX_CONFLICTS < conflicts {
                    return Err(AppError::Contended(id.to_string()));
                }
                performed.clear();
                if let Some(request) = request_id
                    && let Some(answer) = find_answer(table, id, request).await?
                {
                    request_id = None;
                    outcome.repeat(answer);
                }
                continue;
            }
        };
        // What else had to be recorded first is not the answer: the request stays open.
        let answers = request_id.filter(|_| is_answer(&planned.fact));
        let asked = Asked { performed: &performed, question, request_id: answers };
        match record_planned(context, &loaded, &in_force, &planned, now, asked).await {
            Ok(()) => {
                outcome.recorded.push(planned.fact.name().to_owned());
                performed.clear();
                if answers.is_some() {
                    request_id = None;
                }
            }
            Err(error) if error.is_conflict() => {
                conflicts += 1;
                if MAX_CONFLICTS < conflicts {
                    return Err(AppError::Contended(id.to_string()));
                }
                performed.clear();
                refused = Some(perform::Refused { fact: planned.fact, attempt });
                // The conflict may be the request's own marker, written by an earlier delivery.
                if let Some(request) = request_id
                    && let Some(answer) = find_answer(table, id, request).await?
                {
                    request_id = None;
                    outcome.repeat(answer);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(AppError::Restless(id.to_string()))
}

/// What comes next, and what the planner was asked; the current policy is adopted first.
async fn plan_next(
    context: &Context,
    planner: &dyn Planner,
    situation: &Situation<'_>,
) -> Result<(Plan, Question), AppError> {
    let Situation { loaded, in_force, performed, now, .. } = *situation;
    if let Some(plan) = policy::plan_adoption(context, &loaded.model, performed, now).await? {
        return Ok((plan, Question::Nothing));
    }
    let question = planner.ask(context, situation).await?;
    Ok((question.plan(&loaded.model, &in_force.model, now, performed), question))
}

/// Whether a fact is what a person asked for.
fn is_answer(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::RunRequested { .. }
            | Fact::RunCausesAdded { .. }
            | Fact::RunSuperseded { .. }
            | Fact::RunStopping { because: StopReason::Canceled { .. }, .. }
            | Fact::RunEnded { outcome: refit_core::run::Outcome { code: OutcomeCode::Canceled, .. }, .. }
            | Fact::SignalReceived { .. }
            | Fact::ModelSuspended { .. }
            | Fact::ModelResumed { .. }
            | Fact::ApprovalVoted { .. }
            | Fact::RollbackStarted { .. }
            | Fact::PromotionRequested { .. }
            | Fact::ModelAdopted { .. }
    )
}

/// Answers a refused request, for good; `false` when the state changed meanwhile, so that it is to be planned anew.
async fn refuse(
    table: &dyn crate::ports::Table,
    loaded: &Loaded,
    request_id: Option<&str>,
    refusal: &Refusal,
    outcome: &mut Outcome,
) -> Result<bool, AppError> {
    let why = refusal.to_string();
    if let Some(request) = request_id {
        match record_refusal(table, loaded, request, &why).await {
            Ok(()) => {}
            Err(error) if error.is_conflict() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    outcome.refused = Some(why);
    Ok(true)
}

impl Outcome {
    /// Gives the answer that the request got the first time.
    fn repeat(&mut self, answer: Answer) {
        self.was_handled = true;
        self.refused = answer.refused;
    }
}

/// What a planner was asked, and by whom.
struct Asked<'a> {
    performed: &'a [Step],
    question: Question,
    request_id: Option<&'a str>,
}

/// Keeps what the planner looked at, when it came to a decision.
async fn keep_asked(
    context: &Context,
    loaded: &Loaded,
    policy: &Digest,
    planned: &Record,
    now: Timestamp,
    asked: Asked<'_>,
) -> Result<Option<StoredSnapshot>, AppError> {
    let Some(decision) = &planned.decision else { return Ok(None) };
    if asked.question == Question::Nothing {
        // It could never be asked again: whatever decides is a planner with a question of its own.
        return Err(AppError::Invalid(format!("nobody was asked what was decided: {}", decision.outcome)));
    }
    let snapshot = Snapshot {
        schema: Snapshot::SCHEMA,
        state: StateName::of(&loaded.model),
        policy: policy.clone(),
        now,
        performed: asked.performed.to_vec(),
        question: asked.question,
    };
    snapshots::keep(context, snapshot).await.map(Some)
}

async fn record_planned(
    context: &Context,
    loaded: &Loaded,
    in_force: &InForce,
    planned: &Record,
    now: Timestamp,
    asked: Asked<'_>,
) -> Result<(), AppError> {
    // From an adoption on the new policy says when to look next.
    let adopted = match &planned.fact {
        Fact::PolicyAdopted { policy, .. } => Some(policy::of_model(context, policy, &loaded.model.head.model).await?),
        _ => None,
    };
    // A run may have lost its basis by an adoption: should this worker die now, the next sweep finds out.
    let look_at = |after: &Model| match &adopted {
        Some(_) if after.head.active_run.is_some() => now,
        adopted => next_look(after, &adopted.as_ref().unwrap_or(in_force).model, now),
    };
    let look_at = LookAt::Then(&look_at);
    let request_id = asked.request_id;
    let snapshot = keep_asked(context, loaded, &in_force.digest, planned, now, asked).await?;
    let record_context =
        RecordContext { now, policy: &in_force.digest, look_at, request_id, snapshot: snapshot.as_ref() };
    record(&*context.ports.table, loaded, planned, &record_context).await.map(|_| ())
}

/// Sets the alarm clock for the end of a wait.
async fn rest(
    context: &Context,
    loaded: &Loaded,
    in_force: &InForce,
    on: &WaitingOn,
    until: Option<Timestamp>,
) -> Result<(), AppError> {
    let check = next_idle_look(&loaded.model.head, &in_force.model, context.now());
    let look_at = match (on, until) {
        // Another use case may still have something to do: its state decides, not this one's boredom.
        (WaitingOn::Nothing, _) | (WaitingOn::NextCheck, None) => return Ok(()),
        (_, Some(until)) => until.min(check),
        (_, None) => check,
    };
    reschedule(&*context.ports.table, loaded, look_at).await
}
