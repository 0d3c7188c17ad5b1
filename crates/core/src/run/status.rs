//! The life of a run: one table that can say no.

use crate::guard::Guard;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// A trigger asked for it.
    Requested,
    /// Its request is frozen; it waits for a slot.
    Queued,
    /// It holds a slot; the execution is being started.
    Starting,
    /// The execution runs.
    Training,
    /// The execution ended well; the candidate is being judged.
    Evaluating,
    /// People are asked.
    AwaitingApproval,
    /// Promotion is announced; nothing has changed yet.
    Announced,
    /// Traffic is moving.
    RollingOut,
    /// The execution is being stopped.
    Stopping,
    /// The candidate became champion.
    Succeeded,
    /// The candidate was refused by a gate or a person.
    Rejected,
    /// It broke.
    Failed,
    /// Somebody ended it.
    Canceled,
    /// It took too long.
    TimedOut,
}

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// Its request was frozen.
    Freeze,
    /// It got a slot.
    TakeSlot,
    /// The service named the execution.
    ExecutionStarted,
    /// The execution ended well.
    ExecutionSucceeded,
    /// The execution failed for a reason that may pass.
    Retry,
    /// Stopping was decided.
    Stop,
    /// Gates passed, a person has to decide.
    AskApproval,
    /// Promotion was decided and announced.
    Announce,
    /// Traffic begins to move.
    BeginRollout,
    /// Traffic has moved.
    Promote,
    /// A gate or a person said no.
    Reject,
    /// It broke.
    Fail,
    /// Somebody ended it.
    Cancel,
    /// It took too long.
    TimeOut,
}

/// An event that is not allowed in a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {status} does not take the event {event}")]
pub struct IllegalTransition {
    /// The status.
    pub status: RunStatus,
    /// The event.
    pub event: RunEvent,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [RunStatus; 14] = [
        RunStatus::Requested,
        RunStatus::Queued,
        RunStatus::Starting,
        RunStatus::Training,
        RunStatus::Evaluating,
        RunStatus::AwaitingApproval,
        RunStatus::Announced,
        RunStatus::RollingOut,
        RunStatus::Stopping,
        RunStatus::Succeeded,
        RunStatus::Rejected,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::TimedOut,
    ];

    /// Returns the status after `event`.
    ///
    /// # Errors
    /// Says that the event is not allowed now.
    pub fn after(self, event: RunEvent) -> Result<RunStatus, IllegalTransition> {
        use RunEvent as E;
        use RunStatus as S;
        match (self, event) {
            (S::Requested, E::Freeze) => Ok(S::Queued),
            (S::Queued, E::TakeSlot) => Ok(S::Starting),
            (S::Starting, E::ExecutionStarted) => Ok(S::Training),
            (S::Training, E::ExecutionSucceeded) => Ok(S::Evaluating),
            (S::Training, E::Retry) => Ok(S::Queued),
            (S::Starting | S::Training, E::Stop) => Ok(S::Stopping),
            // Whether there is an execution was not known when stopping was decided; now it is, and it is stopped.
            (S::Stopping, E::ExecutionStarted) => Ok(S::Stopping),
            (S::Evaluating, E::AskApproval) => Ok(S::AwaitingApproval),
            (S::Evaluating | S::AwaitingApproval, E::Announce) => Ok(S::Announced),
            (S::Announced, E::BeginRollout) => Ok(S::RollingOut),
            (S::RollingOut, E::Promote) => Ok(S::Succeeded),
            // A rollout that lost its basis (the champion was rolled back meanwhile) is refused, not completed.
            (S::Evaluating | S::AwaitingApproval | S::Announced | S::RollingOut, E::Reject) => Ok(S::Rejected),
            (S::Requested | S::Queued | S::Starting | S::Training | S::Evaluating, E::Fail) => Ok(S::Failed),
            // Starting and Training hold a slot and an execution: they end by way of Stopping.
            (S::Requested | S::Queued | S::Evaluating | S::AwaitingApproval | S::Announced, E::Cancel) => {
                Ok(S::Canceled)
            }
            (S::Training | S::Stopping, E::Cancel) => Ok(S::Canceled),
            (S::Stopping, E::TimeOut) => Ok(S::TimedOut),
            (S::Stopping, E::Fail) => Ok(S::Failed),
            (status, event) => Err(IllegalTransition { status, event }),
        }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            RunStatus::Succeeded
            | RunStatus::Rejected
            | RunStatus::Failed
            | RunStatus::Canceled
            | RunStatus::TimedOut => true,
            RunStatus::Requested
            | RunStatus::Queued
            | RunStatus::Starting
            | RunStatus::Training
            | RunStatus::Evaluating
            | RunStatus::AwaitingApproval
            | RunStatus::Announced
            | RunStatus::RollingOut
            | RunStatus::Stopping => false,
        }
    }

    /// Whether the run counts against `concurrent_runs`: from Starting until the service says the execution is over.
    #[must_use]
    pub fn holds_slot(self) -> bool {
        matches!(self, RunStatus::Starting | RunStatus::Training)
            || (self == RunStatus::Stopping && Guard::SlotThroughStopping.is_kept())
    }

    /// The word in files and on screens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Requested => "requested",
            RunStatus::Queued => "queued",
            RunStatus::Starting => "starting",
            RunStatus::Training => "training",
            RunStatus::Evaluating => "evaluating",
            RunStatus::AwaitingApproval => "awaiting_approval",
            RunStatus::Announced => "announced",
            RunStatus::RollingOut => "rolling_out",
            RunStatus::Stopping => "stopping",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Rejected => "rejected",
            RunStatus::Failed => "failed",
            RunStatus::Canceled => "canceled",
            RunStatus::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl RunEvent {
    /// Every event.
    pub const ALL: [RunEvent; 14] = [
        RunEvent::Freeze,
        RunEvent::TakeSlot,
        RunEvent::ExecutionStarted,
        RunEvent::ExecutionSucceeded,
        RunEvent::Retry,
        RunEvent::Stop,
        RunEvent::AskApproval,
        RunEvent::Announce,
        RunEvent::BeginRollout,
        RunEvent::Promote,
        RunEvent::Reject,
        RunEvent::Fail,
        RunEvent::Cancel,
        RunEvent::TimeOut,
    ];
}

impl fmt::Display for RunEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            RunEvent::Freeze => "freeze",
            RunEvent::TakeSlot => "take_slot",
            RunEvent::ExecutionStarted => "execution_started",
            RunEvent::ExecutionSucceeded => "execution_succeeded",
            RunEvent::Retry => "retry",
            RunEvent::Stop => "stop",
            RunEvent::AskApproval => "ask_approval",
            RunEvent::Announce => "announce",
            RunEvent::BeginRollout => "begin_rollout",
            RunEvent::Promote => "promote",
            RunEvent::Reject => "reject",
            RunEvent::Fail => "fail",
            RunEvent::Cancel => "cancel",
            RunEvent::TimeOut => "time_out",
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn every_status_and_event() {
        let mut table = String::new();
        for status in RunStatus::ALL {
            for event in RunEvent::ALL {
                let after = status.after(event).map_or("-", RunStatus::name);
                table.push_str(&format!("{:<18} {:<20} {after}\n", status.name(), event.to_string()));
            }
        }
        expect_file!["transitions.txt"].assert_eq(&table);
    }

    #[test]
    fn e3_terminal_statuses_absorb_everything() {
        for status in RunStatus::ALL.into_iter().filter(|it| it.is_terminal()) {
            for event in RunEvent::ALL {
                assert_eq!(status.after(event), Err(IllegalTransition { status, event }));
            }
        }
    }

    #[test]
    fn every_status_is_reached_and_every_open_one_can_end() {
        let mut reached = vec![RunStatus::Requested];
        let mut next = 0;
        while next < reached.len() {
            for event in RunEvent::ALL {
                if let Ok(status) = reached[next].after(event)
                    && !reached.contains(&status)
                {
                    reached.push(status);
                }
            }
            next += 1;
        }
        assert_eq!(reached.len(), RunStatus::ALL.len());
        for status in RunStatus::ALL.into_iter().filter(|it| !it.is_terminal()) {
            assert!(RunEvent::ALL.iter().any(|&event| status.after(event).is_ok()), "{status}");
        }
    }
}
