//! What cannot be in a state that Refit wrote: references to nothing, a run without what its status says it has.
//!
//! Planners rely on it: they are asked only about a state in which nothing is found here. A damaged state is left alone and
//! people are told.

use jiff::Timestamp;

use crate::model::Model;
use crate::package::PackageStatus;
use crate::policy::Span;
use crate::run::{Run, RunStatus};

/// No run waits longer between two attempts, and a day more: a policy may ask for a week.
const LONGEST_WAIT: Span = Span::from_const_seconds(8 * 86_400);
/// No run is queued again later: ten attempts at most, each of 28 days, and a week between two.
const LONGEST_RUN: Span = Span::from_const_seconds(400 * 86_400);
/// No run is given longer to train, and a day more: SageMaker stops an execution after 28 days itself.
const LONGEST_TRAINING: Span = Span::from_const_seconds(29 * 86_400);

impl Model {
    /// What is wrong with the state, as far as it is loaded; `None` when nothing is.
    #[must_use]
    pub fn find_damage(&self) -> Option<String> {
        self.find_damaged_rollback()
            .or_else(|| self.find_misplaced())
            .or_else(|| self.find_misdated())
            .or_else(|| self.find_damaged_champion())
            .or_else(|| self.find_damaged_run())
    }

    /// What stands in the way of the rollback that is under way.
    #[must_use]
    pub fn find_damaged_rollback(&self) -> Option<String> {
        let rollback = self.head.active_rollback.as_ref()?;
        [rollback.from, rollback.to]
            .into_iter()
            .find(|it| !self.packages.contains_key(it))
            .map(|it| format!("HEAD names a rollback of version {it}, which is not there"))
    }

    /// A document that says to be another than it was read as.
    fn find_misplaced(&self) -> Option<String> {
        let run = self.runs.iter().find(|(id, it)| it.id != **id);
        let package = self.packages.iter().find(|(version, it)| it.version != **version);
        let approval = self.approvals.iter().find(|(id, it)| it.run != **id);
        run.map(|(id, it)| format!("run {id} is written down as {}", it.id))
            .or_else(|| package.map(|(version, it)| format!("version {version} is written down as {}", it.version)))
            .or_else(|| approval.map(|(id, it)| format!("the approval of {id} is written down as that of {}", it.run)))
    }

    /// Judgments of windows before the watch began: all windows since then would be judged.
    fn find_misdated(&self) -> Option<String> {
        let head = &self.head;
        let judged = [head.drift_judged_until, head.performance_judged_until];
        let earliest = judged.into_iter().chain(head.judged_until.values().copied()).min()?;
        (earliest < head.origin).then(|| {
            format!("HEAD says that windows are judged until {earliest}, but is watched from {} on", head.origin)
        })
    }

    fn find_damaged_champion(&self) -> Option<String> {
        let head = &self.head;
        if let Some(version) = head.previous_champion.filter(|it| !self.packages.contains_key(it)) {
            return Some(format!("HEAD names version {version} as the champion before, which is not there"));
        }
        let version = head.champion?;
        match self.packages.get(&version).map(|it| it.status) {
            None => Some(format!("HEAD names champion {version}, which is not there")),
            Some(PackageStatus::Champion) => None,
            Some(status) => Some(format!("HEAD names champion {version}, which is {status:?}").to_lowercase()),
        }
    }

    fn find_damaged_run(&self) -> Option<String> {
        let id = self.head.active_run.as_ref()?;
        let Some(run) = self.runs.get(id) else {
            return Some(format!("HEAD names run {id}, which is not there"));
        };
        if run.status.is_terminal() {
            return Some(format!("HEAD names run {id}, which has ended: {}", run.status));
        }
        let missing = self.find_missing_part(run).map(|part| format!("run {id} is {} and has no {part}", run.status));
        missing.or_else(|| find_late(run))
    }

    /// What a run of this status must have and this one lacks.
    fn find_missing_part(&self, run: &Run) -> Option<&'static str> {
        let lacks_request = run.request.is_none();
        let lacks_execution = run.execution.is_none();
        // A run that only promotes a version trained nothing and was judged before.
        let lacks_evaluation = run.evaluation.is_none() && run.request.is_some();
        let lacks_candidate = run.candidate.is_none_or(|it| !self.packages.contains_key(&it));
        let parts: &[(bool, &'static str)] = match run.status {
            RunStatus::Requested => &[],
            RunStatus::Queued | RunStatus::Starting => &[(lacks_request, "request")],
            // One that is stopped while it is being started does not know its execution yet.
            RunStatus::Stopping => {
                &[(lacks_request, "request"), (run.stopping_at.is_none(), "time since when it is being stopped")]
            }
            RunStatus::Training => {
                &[(lacks_request, "request"), (lacks_execution, "execution"), (run.deadline.is_none(), "deadline")]
            }
            RunStatus::Evaluating => &[(lacks_request, "request"), (lacks_execution, "execution")],
            RunStatus::AwaitingApproval => &[
                (lacks_candidate, "candidate"),
                (lacks_evaluation, "evaluation"),
                (!self.approvals.contains_key(&run.id), "approval"),
            ],
            RunStatus::Announced | RunStatus::RollingOut => &[
                (lacks_candidate, "candidate"),
                (lacks_evaluation, "evaluation"),
                (run.announced.is_none(), "announcement"),
            ],
            RunStatus::Succeeded
            | RunStatus::Rejected
            | RunStatus::Failed
            | RunStatus::Canceled
            | RunStatus::TimedOut => &[],
        };
        parts.iter().find(|it| it.0).map(|it| it.1)
    }
}

/// What a run waits for at a time at which nothing could make it wait.
fn find_late(run: &Run) -> Option<String> {
    let is_late = |at: Timestamp, since: Timestamp, longest: Span| longest.after(since) < at;
    let id = &run.id;
    match run.status {
        RunStatus::Queued => {
            let queued_at = run.queued_at.unwrap_or(run.requested_at);
            if is_late(queued_at, run.requested_at, LONGEST_RUN) {
                return Some(format!("run {id} was requested at {} and queued at {queued_at}", run.requested_at));
            }
            let is_wrong = |it: &Timestamp| *it < queued_at || is_late(*it, queued_at, LONGEST_WAIT);
            let ready_at = run.ready_at.filter(is_wrong)?;
            Some(format!("run {id} was queued at {queued_at} and is ready to start at {ready_at}"))
        }
        RunStatus::Training => {
            let started_at = run.attempts.last()?.started_at;
            let deadline = run.deadline.filter(|it| is_late(*it, started_at, LONGEST_TRAINING))?;
            Some(format!("run {id} trains since {started_at} and has time until {deadline}"))
        }
        _ => None,
    }
}
