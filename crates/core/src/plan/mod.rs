//! Planners: each looks at one model's state and says what comes next. Pure and deterministic.
//!
//! A use case asks again after every record and every performed step, until the plan is to wait. So a crash at any place
//! is healed by the next wake-up: the same state gives the same plan, and every step may be performed twice.

mod cancel;
mod check;
mod dispatch;
mod evaluate;
mod existing;
mod look;
mod promote;
mod question;
mod release;
mod retention;
mod rollback;
mod start;
mod suspend;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use cancel::{CancelRequest, RetryRequest, plan_cancel, plan_retry};
pub use check::{CheckInputs, ManualRequest, Recent, Volume, budget_from, next_check, plan_check};
pub use dispatch::{Dispatch, Fleet, Holder, Queue, QueueEntry, Slots, plan_dispatch};
pub use evaluate::{CandidateOutputs, EvaluateInputs, ObservedExecution, OutputsProblem, START_GRACE, plan_evaluate};
pub use existing::{AdoptionRequest, PromotionRequest, plan_adopt, plan_promotion_request};
pub use look::{next_idle_look, next_look, next_look_at_rest};
pub use promote::{PromoteInputs, VoteRequest, approval_basis, plan_promote};
pub use question::Question;
pub use release::plan_release;
pub use retention::{RUNS_LOOKED_AT, RetentionInputs, plan_retention};
pub use rollback::{RollbackRequest, plan_rollback, plan_rollback_request};
pub use start::{DeclaredPipeline, StartInputs, plan_start};
pub use suspend::{ResumeRequest, SuspendRequest, plan_resume, plan_suspend};

use crate::actor::Actor;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::names::{ObjectUri, RunId};
use crate::policy::Span;
use crate::run::{RunStatus, TrainingRequest};

/// How often a run under way is looked at when no event comes.
pub const POLL: Span = Span::from_const_seconds(300);

/// What comes next for one model.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an unread plan moves nothing"]
pub enum Plan {
    /// Record a fact, then ask again.
    Record(Box<Record>),
    /// Perform a step, then ask again.
    Perform(Step),
    /// Nothing to do now.
    Wait {
        /// Why.
        on: WaitingOn,
        /// When to look again even if nothing happens; `None` when only the next check is due.
        until: Option<Timestamp>,
    },
    /// The request is refused; nothing changes.
    Refuse(Refusal),
}

/// A fact to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The fact.
    pub fact: Fact,
    /// Who decided.
    pub actor: Actor,
    /// The decision record behind it, if a judgment was made.
    pub decision: Option<Decision>,
}

impl Record {
    /// A record without a judgment of its own, carried out by Refit.
    pub fn carried_out(fact: Fact) -> Plan {
        Plan::Record(Box::new(Record { fact, actor: Actor::refit(), decision: None }))
    }
}

/// What a decision record will say; ids and times are added when it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What was decided about.
    pub kind: DecisionKind,
    /// What was decided, in one sentence.
    pub outcome: String,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// The numbers it rests on.
    pub inputs: Arc<serde_json::Value>,
}

/// An idempotent action on the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Write the frozen request beside the run's outputs.
    WriteRequest {
        /// The run.
        run: RunId,
        /// Below which address.
        output: ObjectUri,
        /// The document.
        document: String,
    },
    /// Start the execution; what the service names it is recorded.
    StartExecution {
        /// The run.
        run: RunId,
        /// The number of the attempt.
        attempt: u32,
        /// The name by which the execution can be found again.
        display_name: String,
        /// The attempt's frozen request.
        request: Box<TrainingRequest>,
    },
    /// Ask the service to stop the execution.
    StopExecution {
        /// Which.
        execution: String,
    },
    /// Tell the registry what was decided about a package.
    SetApproval {
        /// The package.
        package_arn: String,
        /// Approved or rejected.
        is_approved: bool,
    },
    /// Make the endpoint serve exactly this package.
    Serve {
        /// The endpoint.
        endpoint: String,
        /// The variant.
        variant: String,
        /// The package.
        package_arn: String,
    },
    /// Remove every object that a run wrote.
    RemoveOutputs {
        /// Below which address.
        output: ObjectUri,
    },
}

impl Step {
    /// The attempt that it starts, if it starts one.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Step::StartExecution { attempt, .. } => Some(*attempt),
            Step::WriteRequest { .. }
            | Step::StopExecution { .. }
            | Step::SetApproval { .. }
            | Step::Serve { .. }
            | Step::RemoveOutputs { .. } => None,
        }
    }
}

/// Why a plan does nothing now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WaitingOn {
    /// There is nothing to do in this state.
    Nothing,
    /// The next check is due later.
    NextCheck,
    /// All slots are taken.
    Slot {
        /// Who holds them.
        holders: Vec<RunId>,
    },
    /// Another run is dispatched before this one.
    Turn {
        /// Which.
        next: RunId,
    },
    /// The run is not to be started before this time.
    Backoff {
        /// From when on it may be started.
        until: Timestamp,
    },
    /// The pipeline cannot take more executions now.
    Quota,
    /// The execution is under way.
    Execution {
        /// Which.
        arn: String,
    },
    /// The endpoint is changing and takes no other change now.
    Endpoint {
        /// Which.
        name: String,
    },
    /// People have to decide.
    Approval {
        /// How many more.
        missing: usize,
        /// Until when.
        expires_at: Timestamp,
    },
    /// The notice of the promotion has to be published.
    Notice {
        /// The event's number.
        seq: u64,
        /// How far the log is published.
        published: u64,
    },
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitingOn::Nothing => f.write_str("nothing to do"),
            WaitingOn::NextCheck => f.write_str("waiting for the next check"),
            WaitingOn::Slot { holders } => {
                let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
                write!(f, "waiting for a slot; taken by {}", names.join(", "))
            }
            WaitingOn::Turn { next } => write!(f, "waiting for its turn; {next} comes first"),
            WaitingOn::Backoff { until } => write!(f, "waiting until {until} before it is started again"),
            WaitingOn::Quota => f.write_str("waiting for the service's quota of executions"),
            WaitingOn::Execution { arn } => write!(f, "waiting for execution {arn}"),
            WaitingOn::Endpoint { name } => write!(f, "waiting for endpoint {name}, which is changing"),
            WaitingOn::Approval { missing, expires_at } => {
                write!(f, "waiting for {missing} approval(s) until {expires_at}")
            }
            WaitingOn::Notice { seq, published } => {
                write!(f, "waiting for the notice (event {seq}) to be published; published up to {published}")
            }
        }
    }
}

/// Why a person's request is refused. A negative answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A run is under way.
    #[error("run {0} is under way: let it end, or decide about it if it waits for approval")]
    RunActive(RunId),
    /// The cooldown forbids a run now.
    #[error(
        "cooldown: the last run was requested at {last}, the next is allowed at {until}; use --force to skip the cooldown"
    )]
    Cooldown {
        /// When the last run was requested.
        last: Timestamp,
        /// When the next is allowed.
        until: Timestamp,
    },
    /// Dates on which no run is requested.
    #[error("freeze: no run is requested from {from} to {to}")]
    Freeze {
        /// The first date.
        from: Date,
        /// The last date.
        to: Date,
    },
    /// The month has had its runs.
    #[error("budget: {runs} runs were requested in {month}, {limit} a month are allowed")]
    Budget {
        /// How many runs this month has had.
        runs: usize,
        /// How many it may have.
        limit: u32,
        /// The month, as `2026-12`.
        month: String,
    },
    /// Candidates are refused again and again.
    #[error(
        "loop breaker: the last {setbacks} candidates were rejected or rolled back, {limit} stop retraining by itself; trigger a run or resume the model"
    )]
    LoopBreaker {
        /// How many in a row.
        setbacks: u32,
        /// How many stop it.
        limit: u32,
    },
    /// What the model is fed with is broken: a new model would learn from it.
    #[error("upstream is broken: {0}")]
    UpstreamBroken(String),
    /// Too little came in to consider anything.
    #[error("volume: {predictions} predictions since the last run, {limit} are needed before a run is considered")]
    Volume {
        /// How many there were.
        predictions: u64,
        /// How many are needed.
        limit: u64,
    },
    /// A person suspended the model's triggers.
    #[error("suspended by {by} at {at}: {reason}; resume the model first")]
    Suspended {
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// There is nothing to resume.
    #[error("nothing to resume: the model is not suspended and its loop breaker has not acted")]
    NotSuspended,
    /// The run waits for the same reason already.
    #[error("run {0} waits already, for the same reason")]
    AskedAlready(RunId),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// The run has ended, or never began.
    #[error("run {0} is not under way: there is nothing to cancel")]
    NotUnderWay(RunId),
    /// The run is being stopped.
    #[error("run {0} is being stopped already; it ends when the service says so")]
    StoppingAlready(RunId),
    /// Traffic moves: half-way is no place to stop.
    #[error("run {0} is rolling out; when it is done, take it back with a rollback")]
    TrafficMoves(RunId),
    /// Only what ended without success is tried again.
    #[error("run {run} is {status}: only a run that was rejected, failed, canceled or timed out is tried again")]
    NotRetryable {
        /// Which.
        run: RunId,
        /// How it stands.
        status: RunStatus,
    },
    /// No run waits for approval.
    #[error("run {0} does not wait for approval")]
    NotAwaiting(RunId),
    /// The vote is about something else than is stored now.
    #[error("the vote is about {seen}, the request is about {basis}: look again before you decide")]
    BasisChanged {
        /// What the person saw.
        seen: String,
        /// What is stored.
        basis: String,
    },
    /// The request for approval changed since the person saw it.
    #[error(
        "the vote is on generation {seen} of the request, which is at {generation} by now: look again before you decide"
    )]
    StaleApproval {
        /// What the person saw.
        seen: u64,
        /// What is stored.
        generation: u64,
    },
    /// No person asked for the run, and this one changed the configuration by which it was requested.
    #[error(
        "{0} changed the configuration by which this run was requested, and no person asked for it: another person has to approve"
    )]
    OwnConfiguration(Actor),
    /// The person asked for the run.
    #[error("{0} asked for this run and cannot approve it: another person has to")]
    OwnRun(Actor),
    /// The person has voted.
    #[error("{0} has voted already")]
    VotedAlready(Actor),
    /// The request has expired or is decided.
    #[error("the request for approval of run {0} is closed")]
    Closed(RunId),
    /// There is nothing to go back to.
    #[error("there is no champion before version {0} to go back to")]
    NoPrevious(u64),
    /// The model left the policy.
    #[error("model {0} left the policy: it is not retrained; put it back and apply the policy")]
    Released(crate::names::ModelId),
    /// A version cannot be promoted.
    #[error("version {version} cannot be promoted: {why}")]
    NotPromotable {
        /// Which.
        version: u64,
        /// Why not.
        why: String,
    },
    /// A model cannot be adopted.
    #[error("it cannot be adopted: {0}")]
    NotAdoptable(String),
    /// There is no champion.
    #[error("there is no champion")]
    NoChampion,
    /// The champion is another than the request says.
    #[error("version {asked} is not the champion, version {champion} is")]
    NotChampion {
        /// What was asked to be rolled back.
        asked: u64,
        /// The champion.
        champion: u64,
    },
    /// The champion was rolled back already.
    #[error("version {from} was already rolled back to {to}; to go back further name the champion: --from {to}")]
    AlreadyRolledBack {
        /// The champion that was taken back.
        from: u64,
        /// The champion that was restored.
        to: u64,
    },
}
