//! Retraining runs: everything from a trigger to promoted, rejected or abandoned.

mod attempt;
mod execution;
mod failure;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use attempt::{Attempt, run_of_display_name};
pub use execution::{ExecutionStatus, UnknownStatus};
pub use failure::{Failure, FailureClass};
pub use status::{IllegalTransition, RunEvent, RunStatus};

use crate::actor::Actor;
use crate::evaluation::Evaluation;
use crate::names::{Digest, ObjectUri, RunId};
use crate::policy::{Priority, Resources, Span};
use crate::trigger::Cause;
use crate::window::Window;

/// A retraining run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Document version.
    pub schema: u16,
    /// Its id.
    pub id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it was requested; never empty.
    pub causes: Vec<Cause>,
    /// Who asked.
    pub requested_by: Actor,
    /// Who had changed the configuration last, when it was requested: answers for a run that no person asked for.
    pub editor: Actor,
    /// People who asked for it, too, while it waited.
    pub also_requested_by: Vec<Actor>,
    /// When.
    pub requested_at: Timestamp,
    /// The decision record that led to it.
    pub decision: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Since when it waits in the queue, or waited there last.
    pub queued_at: Option<Timestamp>,
    /// From when on it may be started; set while it is queued.
    pub ready_at: Option<Timestamp>,
    /// The champion when the run's request was frozen.
    pub champion: Option<u64>,
    /// What it trains; set from Queued on and never changed.
    pub request: Option<Arc<TrainingRequest>>,
    /// When it took its slot; set from Starting on.
    pub starting_at: Option<Timestamp>,
    /// The pipeline execution of the attempt under way or the last one; set from Training on.
    pub execution: Option<String>,
    /// The executions it has had, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is stopped if it still trains.
    pub deadline: Option<Timestamp>,
    /// Why it is being stopped.
    pub stopping: Option<StopReason>,
    /// Since when, or since when it is known which execution is stopped, whichever is later.
    pub stopping_at: Option<Timestamp>,
    /// The package it made; set from its evaluation on.
    pub candidate: Option<u64>,
    /// How the candidate was judged.
    pub evaluation: Option<Arc<Evaluation>>,
    /// The audit event that announced its promotion, and until when the notice is awaited.
    pub announced: Option<Announcement>,
    /// How it ended; set when terminal.
    pub outcome: Option<Outcome>,
}

/// The notice before a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// The number of the audit event; the promotion waits until it is published.
    pub seq: u64,
    /// When the promotion goes on without it, with an alarm.
    pub deadline: Timestamp,
}

/// Why a run is being stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StopReason {
    /// It took longer than the policy allows.
    Timeout,
    /// The model left the policy.
    Released,
    /// A person asked.
    Canceled {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: String,
    },
    /// A newer cause came, and the policy lets it end the run.
    Superseded,
    /// Its execution cannot be started. An earlier call without an answer may have started it all the same.
    NotStartable {
        /// Why not.
        reason: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// When.
    pub at: Timestamp,
    /// A word that does not change, for programs.
    pub code: OutcomeCode,
    /// A sentence for people.
    pub reason: String,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeCode {
    /// The candidate is champion.
    Promoted,
    /// A gate failed.
    GateFailed,
    /// A person declined.
    Declined,
    /// Nobody decided in time.
    ApprovalExpired,
    /// The champion, the candidate's archive or the policy changed, so that the evaluation no longer applies.
    BasisChanged,
    /// The execution failed.
    ExecutionFailed,
    /// The execution was stopped by somebody else.
    ExecutionStopped,
    /// The pipeline cannot be started as the policy says.
    NotStartable,
    /// The run's outputs are missing, damaged or not valid.
    InvalidOutputs,
    /// It took too long.
    TimedOut,
    /// The model left the policy.
    Released,
    /// A person ended it.
    Canceled,
    /// A newer run took its place.
    Superseded,
}

/// What a run trains, frozen: the same bytes are sent each time that an attempt is started. [`TrainingRequest::attempt`]
/// names the later ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRequest {
    /// The pipeline's name.
    pub pipeline: String,
    /// The version of its definition.
    pub definition_version: u64,
    /// The digest of that definition.
    pub definition_digest: Digest,
    /// The key under which the execution is started, a pure function of the run.
    pub start_key: String,
    /// The parameters, declared ones only.
    pub parameters: BTreeMap<String, String>,
    /// What is trained on.
    pub train: Window,
    /// What is held out.
    pub holdout: Window,
    /// Where outputs go.
    pub output: ObjectUri,
    /// The bytes of `request.json` beside the outputs.
    pub document: String,
    /// What its programs may use.
    pub resources: Resources,
}

/// No clock is ahead by more.
const MOST_AHEAD: Span = Span::from_const_seconds(7 * 86_400);

impl Run {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// Whether this actor asked for it, alone or among others.
    #[must_use]
    pub fn is_requested_by(&self, actor: &Actor) -> bool {
        self.requested_by.id == actor.id || self.also_requested_by.iter().any(|it| it.id == actor.id)
    }

    /// Since when it is being stopped, as far as that can be: what no clock shows is damage, and is not waited for.
    #[must_use]
    pub fn stopping_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.stopping_at.filter(|it| *it <= MOST_AHEAD.after(now))
    }

    /// Moves to the status after `event`.
    pub(crate) fn take(&mut self, event: RunEvent) -> Result<(), IllegalTransition> {
        self.status = self.status.after(event)?;
        Ok(())
    }
}
