//! What can happen, one variant for each kind of change.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::approval::{Approval, Vote};
use crate::evaluation::Evaluation;
use crate::names::{Digest, RunId};
use crate::package::Package;
use crate::policy::{EndpointPolicy, Priority};
use crate::run::{Announcement, Failure, Outcome, RunStatus, StopReason, TrainingRequest};
use crate::trigger::{Cause, Finding, Judgment, Signal};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// A model came under watch.
    ModelWatched {
        /// The policy it follows.
        policy: Digest,
        /// Windows that end at or before this time are never judged.
        origin: Timestamp,
        /// Where it serves.
        endpoint: EndpointPolicy,
        /// Who made that policy the current one.
        editor: Actor,
    },
    /// A model adopted a changed policy; one that was released is under watch again.
    PolicyAdopted {
        /// The policy it follows from now on.
        policy: Digest,
        /// Where it serves from now on.
        endpoint: EndpointPolicy,
        /// Who made that policy the current one.
        editor: Actor,
    },
    /// A model left the policy: it is no longer checked or retrained. Its champion goes on serving and can be taken back.
    ModelReleased {
        /// The policy that no longer names it.
        policy: Digest,
    },
    /// A model that was made elsewhere came under watch as champion.
    ModelAdopted {
        /// The package, as champion.
        package: Arc<Package>,
        /// Why, in a person's words.
        reason: String,
    },
    /// An alarm or an event asks for a run until one is requested.
    SignalReceived {
        /// The call.
        signal: Signal,
    },
    /// A person suspended the triggers.
    ModelSuspended {
        /// Why.
        reason: String,
    },
    /// A person ended a suspension, or what a loop breaker had stopped.
    ModelResumed {
        /// Why; may be empty.
        reason: String,
    },
    /// Triggers were checked and asked for nothing, or were suppressed.
    TriggersChecked {
        /// What each trigger found.
        findings: Vec<Finding>,
        /// Windows judged at this check.
        judgments: Vec<Judgment>,
    },
    /// Triggers were checked, or a person asked, and a run was requested.
    RunRequested {
        /// The run.
        run: RunId,
        /// Why.
        causes: Vec<Cause>,
        /// What each trigger found.
        findings: Vec<Finding>,
        /// Windows judged at this check.
        judgments: Vec<Judgment>,
    },
    /// A person asked to promote a version that exists; people decide.
    PromotionRequested {
        /// The run that carries it, without training.
        run: RunId,
        /// The version.
        version: u64,
        /// Why, in a person's words.
        reason: String,
        /// The request to the people who decide.
        approval: Approval,
    },
    /// What a run trains was frozen.
    RunQueued {
        /// The run.
        run: RunId,
        /// How urgent it is.
        priority: Priority,
        /// What it trains.
        request: Arc<TrainingRequest>,
    },
    /// A run took a slot.
    RunStarting {
        /// The run.
        run: RunId,
    },
    /// A run's execution was started.
    RunTraining {
        /// The run.
        run: RunId,
        /// The execution.
        execution: String,
        /// When it is stopped if it still trains.
        deadline: Timestamp,
    },
    /// A run is being stopped.
    RunStopping {
        /// The run.
        run: RunId,
        /// Why.
        because: StopReason,
    },
    /// Causes came while a run was under way.
    RunCausesAdded {
        /// The run.
        run: RunId,
        /// Those that it did not have.
        causes: Vec<Cause>,
        /// What each trigger found.
        findings: Vec<Finding>,
        /// Windows judged at this check.
        judgments: Vec<Judgment>,
        /// What they do.
        effect: CausesEffect,
    },
    /// A run goes back to the queue: its attempt failed for a reason that may pass, or none could be started now.
    RunRetrying {
        /// The run.
        run: RunId,
        /// The attempt that failed, or that could not be started and does not count.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// From when on the next one may be started.
        ready_at: Timestamp,
    },
    /// A run ended because a newer one takes its place, with the causes of both.
    RunSuperseded {
        /// The run that ended.
        run: RunId,
        /// The newer run.
        by: RunId,
        /// Why the newer run was requested.
        causes: Vec<Cause>,
        /// What each trigger found.
        findings: Vec<Finding>,
        /// Windows judged at this check.
        judgments: Vec<Judgment>,
        /// How the older run ended.
        outcome: Outcome,
    },
    /// A run's execution ended well.
    RunTrained {
        /// The run.
        run: RunId,
    },
    /// A run's candidate was judged.
    CandidateEvaluated {
        /// The run.
        run: RunId,
        /// The package.
        package: Arc<Package>,
        /// The judgment.
        evaluation: Arc<Evaluation>,
        /// What follows.
        next: AfterEvaluation,
    },
    /// A person voted.
    ApprovalVoted {
        /// The run.
        run: RunId,
        /// The vote.
        vote: Vote,
    },
    /// A promotion is about to happen.
    PromotionAnnounced {
        /// The run.
        run: RunId,
        /// The package that will be champion.
        version: u64,
        /// The notice.
        announcement: Announcement,
    },
    /// Traffic begins to move.
    RolloutStarted {
        /// The run.
        run: RunId,
        /// The package that will be champion.
        version: u64,
        /// Whether the notice was published before its deadline.
        was_announced: bool,
    },
    /// The champion changed.
    ModelPromoted {
        /// The run.
        run: RunId,
        /// The new champion.
        version: u64,
        /// The champion before.
        replaced: Option<u64>,
    },
    /// A run ended without promotion.
    RunEnded {
        /// The run.
        run: RunId,
        /// Its last status.
        status: RunStatus,
        /// Why.
        outcome: Outcome,
    },
    /// The champion is being taken back.
    RollbackStarted {
        /// The champion that is taken back.
        from: u64,
        /// The champion that is restored.
        to: u64,
        /// Why.
        reason: String,
    },
    /// The champion was taken back; promotion without a person is frozen.
    ModelRolledBack {
        /// The champion that was taken back.
        from: u64,
        /// The champion that was restored.
        to: u64,
        /// Why.
        reason: String,
    },
    /// The keep time of runs is over: what they wrote is being removed. Nothing in use is among it.
    OutputsExpired {
        /// The runs.
        runs: Vec<RunId>,
        /// The versions that they made, which can no longer be promoted.
        versions: Vec<u64>,
        /// The number of the last run that was looked at.
        until: u64,
    },
    /// What expired runs wrote is removed.
    OutputsRemoved {
        /// The runs.
        runs: Vec<RunId>,
    },
}

/// What causes do that come while a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CausesEffect {
    /// The run waits still and trains for them, too.
    Coalesced,
    /// The run is stopped; a newer one takes its place.
    Superseding,
}

/// What follows an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AfterEvaluation {
    /// The candidate is promoted without a person.
    Announce {
        /// The notice.
        announcement: Announcement,
    },
    /// People are asked.
    AskApproval {
        /// The request.
        approval: Approval,
    },
    /// The candidate is refused.
    Reject {
        /// Why.
        outcome: Outcome,
    },
}

impl Fact {
    /// The word in files and on screens.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fact::ModelWatched { .. } => "model_watched",
            Fact::PolicyAdopted { .. } => "policy_adopted",
            Fact::SignalReceived { .. } => "signal_received",
            Fact::ModelSuspended { .. } => "model_suspended",
            Fact::ModelResumed { .. } => "model_resumed",
            Fact::ModelReleased { .. } => "model_released",
            Fact::ModelAdopted { .. } => "model_adopted",
            Fact::TriggersChecked { .. } => "triggers_checked",
            Fact::RunRequested { .. } => "run_requested",
            Fact::PromotionRequested { .. } => "promotion_requested",
            Fact::RunQueued { .. } => "run_queued",
            Fact::RunStarting { .. } => "run_starting",
            Fact::RunTraining { .. } => "run_training",
            Fact::RunStopping { .. } => "run_stopping",
            Fact::RunCausesAdded { .. } => "run_causes_added",
            Fact::RunRetrying { .. } => "run_retrying",
            Fact::RunSuperseded { .. } => "run_superseded",
            Fact::RunTrained { .. } => "run_trained",
            Fact::CandidateEvaluated { .. } => "candidate_evaluated",
            Fact::ApprovalVoted { .. } => "approval_voted",
            Fact::PromotionAnnounced { .. } => "promotion_announced",
            Fact::RolloutStarted { .. } => "rollout_started",
            Fact::ModelPromoted { .. } => "model_promoted",
            Fact::RunEnded { .. } => "run_ended",
            Fact::RollbackStarted { .. } => "rollback_started",
            Fact::ModelRolledBack { .. } => "model_rolled_back",
            Fact::OutputsExpired { .. } => "outputs_expired",
            Fact::OutputsRemoved { .. } => "outputs_removed",
        }
    }

    /// The run it concerns, if any.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Fact::RunRequested { run, .. }
            | Fact::PromotionRequested { run, .. }
            | Fact::RunQueued { run, .. }
            | Fact::RunStarting { run }
            | Fact::RunTraining { run, .. }
            | Fact::RunStopping { run, .. }
            | Fact::RunCausesAdded { run, .. }
            | Fact::RunRetrying { run, .. }
            | Fact::RunSuperseded { run, .. }
            | Fact::RunTrained { run }
            | Fact::CandidateEvaluated { run, .. }
            | Fact::ApprovalVoted { run, .. }
            | Fact::PromotionAnnounced { run, .. }
            | Fact::RolloutStarted { run, .. }
            | Fact::ModelPromoted { run, .. }
            | Fact::RunEnded { run, .. } => Some(run),
            Fact::ModelWatched { .. }
            | Fact::PolicyAdopted { .. }
            | Fact::SignalReceived { .. }
            | Fact::ModelSuspended { .. }
            | Fact::ModelResumed { .. }
            | Fact::ModelReleased { .. }
            | Fact::ModelAdopted { .. }
            | Fact::TriggersChecked { .. }
            | Fact::RollbackStarted { .. }
            | Fact::ModelRolledBack { .. }
            | Fact::OutputsExpired { .. }
            | Fact::OutputsRemoved { .. } => None,
        }
    }

    /// Windows judged with this fact.
    #[must_use]
    pub fn judgments(&self) -> &[Judgment] {
        match self {
            Fact::TriggersChecked { judgments, .. }
            | Fact::RunRequested { judgments, .. }
            | Fact::RunCausesAdded { judgments, .. }
            | Fact::RunSuperseded { judgments, .. } => judgments,
            Fact::ModelWatched { .. }
            | Fact::PolicyAdopted { .. }
            | Fact::SignalReceived { .. }
            | Fact::ModelSuspended { .. }
            | Fact::ModelResumed { .. }
            | Fact::ModelReleased { .. }
            | Fact::ModelAdopted { .. }
            | Fact::PromotionRequested { .. }
            | Fact::RunQueued { .. }
            | Fact::RunStarting { .. }
            | Fact::RunTraining { .. }
            | Fact::RunStopping { .. }
            | Fact::RunRetrying { .. }
            | Fact::RunTrained { .. }
            | Fact::CandidateEvaluated { .. }
            | Fact::ApprovalVoted { .. }
            | Fact::PromotionAnnounced { .. }
            | Fact::RolloutStarted { .. }
            | Fact::ModelPromoted { .. }
            | Fact::RunEnded { .. }
            | Fact::RollbackStarted { .. }
            | Fact::ModelRolledBack { .. }
            | Fact::OutputsExpired { .. }
            | Fact::OutputsRemoved { .. } => &[],
        }
    }
}
