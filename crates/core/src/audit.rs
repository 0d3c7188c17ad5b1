//! The audit log, which is also the event log: numbered facts, each bound to the one before by a hash.
//!
//! A fact carries what is needed to rebuild the state: [`crate::model::Model::apply`] folds the log. One transaction
//! records one event.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::approval::{Approval, Vote};
use crate::evaluation::Evaluation;
use crate::names::{Digest, ModelId, RunId};
use crate::package::Package;
use crate::policy::{EndpointPolicy, Priority};
use crate::run::{Announcement, Failure, Outcome, RunStatus, StopReason, TrainingRequest};
use crate::trigger::{Cause, Finding, Judgment, Signal};

/// One immutable, numbered fact: who, what, when, why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// Document version.
    pub schema: u16,
    /// The model it concerns.
    pub model: ModelId,
    /// Its number in the model's log, from 1, without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What caused it: a request's id, an event's id or the decision it carries out.
    pub cause: String,
    /// The digest of what the planner looked at, if a judgment was made: the log vouches for the inputs, too.
    pub snapshot: Option<Digest>,
    /// What happened.
    pub fact: Fact,
    /// The hash of the event before; of nothing for the first.
    pub previous: Digest,
}

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
        package: Box<Package>,
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
        request: Box<TrainingRequest>,
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
        package: Box<Package>,
        /// The judgment.
        evaluation: Box<Evaluation>,
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

impl AuditEvent {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// What the first event names as the one before.
    #[must_use]
    pub fn genesis() -> Digest {
        Digest::of(b"")
    }

    /// The hash that the next event names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Where it is stored in the log: numbers that sort as text.
    #[must_use]
    pub fn sort(seq: u64) -> String {
        format!("{seq:012}")
    }
}

/// An event as it is stored: with its own hash, so that each entry can be checked alone. What was read is shared and not
/// changed; a copy, which may be, is checked anew.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// The event.
    pub event: AuditEvent,
    /// Its hash.
    pub hash: Digest,
    /// Whether the hash is the event's, once somebody has asked.
    #[serde(skip)]
    is_whole: OnceLock<bool>,
}

impl Clone for AuditEntry {
    fn clone(&self) -> Self {
        AuditEntry { event: self.event.clone(), hash: self.hash.clone(), is_whole: OnceLock::new() }
    }
}

impl PartialEq for AuditEntry {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.event == other.event
    }
}

impl AuditEntry {
    /// The entry of `event`.
    #[must_use]
    pub fn new(event: AuditEvent) -> AuditEntry {
        let hash = event.hash();
        AuditEntry { event, hash, is_whole: OnceLock::new() }
    }

    /// Whether the hash is the event's: computed once for all who share the entry.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self.is_whole.get_or_init(|| self.event.hash() == self.hash)
    }

    /// The entry of `event`, and its text: the event is written once for both.
    ///
    /// # Panics
    /// Never: own documents serialize.
    #[must_use]
    pub fn written(event: AuditEvent) -> (AuditEntry, String) {
        let text = serde_json::to_string(&event).expect("invariant: own documents serialize");
        let hash = Digest::of(text.as_bytes());
        let text = format!("{{\"event\":{text},\"hash\":\"{hash}\"}}");
        (AuditEntry { event, hash, is_whole: OnceLock::new() }, text)
    }
}

/// Where a log is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// A number is missing or repeated.
    #[error("entry {found} stands where {expected} belongs")]
    Gap {
        /// The number that should be there.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// An entry does not match its own hash.
    #[error("entry {seq} was changed: its hash does not match its content")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// An entry does not follow the one before.
    #[error("entry {seq} does not follow entry {}: the hash of the one before differs", seq - 1)]
    Unlinked {
        /// Which.
        seq: u64,
    },
    /// The last entry is not the one that HEAD names.
    #[error("the log ends at entry {found}, HEAD says {expected}: the tail was cut or HEAD was changed")]
    Tail {
        /// HEAD's number.
        expected: u64,
        /// The last entry's number.
        found: u64,
    },
}

/// Checks a log entry by entry.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    seq: u64,
    hash: Digest,
}

impl Default for ChainCheck {
    fn default() -> Self {
        ChainCheck { seq: 0, hash: AuditEvent::genesis() }
    }
}

impl ChainCheck {
    /// Checks the next entry.
    ///
    /// # Errors
    /// Says where the log is broken.
    pub fn next(&mut self, entry: &AuditEntry) -> Result<(), BrokenChain> {
        let seq = entry.event.seq;
        if seq != self.seq + 1 {
            return Err(BrokenChain::Gap { expected: self.seq + 1, found: seq });
        }
        if !entry.is_whole() {
            return Err(BrokenChain::Changed { seq });
        }
        if entry.event.previous != self.hash {
            return Err(BrokenChain::Unlinked { seq });
        }
        self.seq = seq;
        self.hash = entry.hash.clone();
        Ok(())
    }

    /// Checks that the log ends where HEAD says.
    ///
    /// # Errors
    /// Says that it does not.
    pub fn finish(&self, seq: u64, hash: &Digest) -> Result<(), BrokenChain> {
        if self.seq == seq && &self.hash == hash {
            Ok(())
        } else {
            Err(BrokenChain::Tail { expected: seq, found: self.seq })
        }
    }

    /// How many entries were checked.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.seq
    }

    /// The hash of the last entry.
    #[must_use]
    pub fn head(&self) -> &Digest {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_it_is_read() {
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: "m".parse().expect("a name"),
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::person("ann \"a\" ä"),
            cause: "c".to_owned(),
            snapshot: None,
            fact: Fact::ModelReleased { policy: Digest::of(b"p") },
            previous: AuditEvent::genesis(),
        };
        let (entry, text) = AuditEntry::written(event.clone());
        assert_eq!(entry, AuditEntry::new(event));
        assert_eq!(text, serde_json::to_string(&entry).expect("it serializes"));
    }
}
