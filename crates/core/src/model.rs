//! The state of one monitored model, and how facts change it: `fold(audit) == state`.

mod champion;
mod head;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use self::head::{Head, Rollback, Suspension};
use crate::actor::{Actor, ActorKind};
use crate::approval::Approval;
use crate::audit::{AfterEvaluation, AuditEntry, AuditEvent, CausesEffect, Fact};
use crate::guard::Guard;
use crate::names::{Digest, RunId};
use crate::package::{Package, PackageStatus};
use crate::policy::{EndpointPolicy, Priority};
use crate::run::{
    Attempt, Failure, FailureClass, IllegalTransition, Outcome, OutcomeCode, Run, RunEvent, RunStatus, StopReason,
};
use crate::trigger::{Cause, CauseKind, Finding, FindingOutcome, Judgment, JudgmentKind};

/// A model's state, or the part of it that a decision reads. Maps hold what was loaded; copies share what neither changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The head.
    pub head: Arc<Head>,
    /// Runs.
    pub runs: BTreeMap<RunId, Arc<Run>>,
    /// Packages by version.
    pub packages: BTreeMap<u64, Arc<Package>>,
    /// Requests for approval, by run.
    pub approvals: BTreeMap<RunId, Arc<Approval>>,
    /// Judgments of windows, by their sort name.
    pub judgments: BTreeMap<String, Arc<Judgment>>,
}

/// A fact that does not fit the state: a bug, or a log that was tampered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// The event's number is not the next.
    #[error("event {found} does not follow event {last}")]
    Sequence {
        /// The last applied number.
        last: u64,
        /// The event's number.
        found: u64,
    },
    /// The event names another event before it.
    #[error("event {0} does not follow the log: the hash of the event before differs")]
    Unlinked(u64),
    /// The first event is not the one that begins a log, or a later one is.
    #[error("event {0} ({1}) cannot stand here")]
    Misplaced(u64, &'static str),
    /// The event concerns something that is not there.
    #[error("event {seq} concerns {what}, which is not there")]
    Missing {
        /// Which event.
        seq: u64,
        /// What is missing.
        what: String,
    },
    /// The run is not where the event needs it.
    #[error("event {seq} does not fit the run")]
    Transition {
        /// Which event.
        seq: u64,
        /// Why not.
        #[source]
        source: IllegalTransition,
    },
}

impl Model {
    /// The state after the first event of a log.
    ///
    /// # Errors
    /// Says that it is not a first event.
    pub fn begin(event: &AuditEvent) -> Result<Model, Inconsistent> {
        let Fact::ModelWatched { policy, origin, endpoint, editor } = &event.fact else {
            return Err(Inconsistent::Misplaced(event.seq, event.fact.name()));
        };
        if event.seq != 1 || event.previous != AuditEvent::genesis() {
            return Err(Inconsistent::Sequence { last: 0, found: event.seq });
        }
        Ok(Model {
            head: Arc::new(Head {
                schema: Head::SCHEMA,
                model: event.model.clone(),
                policy: policy.clone(),
                endpoint: endpoint.clone(),
                editor: editor.clone(),
                released_at: None,
                champion: None,
                previous_champion: None,
                active_run: None,
                active_rollback: None,
                rolled_back: None,
                frozen: None,
                suspended: None,
                setbacks: 0,
                setbacks_before: 0,
                signals: Vec::new(),
                run_count: 0,
                last_run_at: None,
                checked_at: event.at,
                is_check_due: false,
                scheduled_until: event.at,
                drift_judged_until: *origin,
                performance_judged_until: *origin,
                judged_until: BTreeMap::new(),
                origin: *origin,
                drift: None,
                performance: None,
                cleaned_runs: 0,
                cleaning: Vec::new(),
                audit_seq: 1,
                audit_hash: event.hash(),
            }),
            runs: BTreeMap::new(),
            packages: BTreeMap::new(),
            approvals: BTreeMap::new(),
            judgments: BTreeMap::new(),
        })
    }

    /// The state that a whole log leads to.
    ///
    /// # Errors
    /// Says where the log does not fit.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a AuditEvent>) -> Result<Option<Model>, Inconsistent> {
        let mut model: Option<Model> = None;
        for event in events {
            match &mut model {
                None => model = Some(Model::begin(event)?),
                Some(model) => model.apply(event)?,
            }
        }
        Ok(model)
    }

    /// The state that a whole log leads to whose hashes were checked before: they are not computed again.
    ///
    /// # Errors
    /// Says where the log does not fit.
    pub fn fold_entries<'a>(entries: impl IntoIterator<Item = &'a AuditEntry>) -> Result<Option<Model>, Inconsistent> {
        let mut model: Option<Model> = None;
        for entry in entries {
            match &mut model {
                None => model = Some(Model::begin(&entry.event)?),
                Some(model) => model.apply_entry(entry)?,
            }
        }
        Ok(model)
    }

    /// The event that records `fact` next.
    #[must_use]
    pub fn next_event(&self, fact: Fact, actor: Actor, cause: &str, at: Timestamp) -> AuditEvent {
        AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: self.head.model.clone(),
            seq: self.head.audit_seq + 1,
            at,
            actor,
            cause: cause.to_owned(),
            snapshot: None,
            fact,
            previous: if Guard::EntriesChained.is_kept() {
                self.head.audit_hash.clone()
            } else {
                AuditEvent::genesis()
            },
        }
    }

    /// The champion's package, when loaded.
    #[must_use]
    pub fn champion(&self) -> Option<&Package> {
        self.packages.get(&self.head.champion?).map(|it| &**it)
    }

    /// The run that is under way, when loaded.
    #[must_use]
    pub fn active_run(&self) -> Option<&Run> {
        self.runs.get(self.head.active_run.as_ref()?).map(|it| &**it)
    }

    /// Applies the next event of the log.
    ///
    /// # Errors
    /// Says why the event does not fit; the state is then not to be used any more.
    pub fn apply(&mut self, event: &AuditEvent) -> Result<(), Inconsistent> {
        self.apply_hashed(event, event.hash())
    }

    /// Applies the next entry of the log, whose hash was made or checked before: it is not computed again.
    ///
    /// # Errors
    /// See [`Model::apply`].
    pub fn apply_entry(&mut self, entry: &AuditEntry) -> Result<(), Inconsistent> {
        self.apply_hashed(&entry.event, entry.hash.clone())
    }

    fn apply_hashed(&mut self, event: &AuditEvent, hash: Digest) -> Result<(), Inconsistent> {
        let seq = event.seq;
        if seq != self.head.audit_seq + 1 {
            return Err(Inconsistent::Sequence { last: self.head.audit_seq, found: seq });
        }
        if !Guard::EntriesChained.holds(event.previous == self.head.audit_hash) {
            return Err(Inconsistent::Unlinked(seq));
        }
        self.apply_fact(event)?;
        let head = self.head_mut();
        head.audit_seq = seq;
        head.audit_hash = hash;
        Ok(())
    }

    fn apply_fact(&mut self, event: &AuditEvent) -> Result<(), Inconsistent> {
        let seq = event.seq;
        match &event.fact {
            Fact::ModelWatched { .. } => return Err(Inconsistent::Misplaced(seq, event.fact.name())),
            Fact::PolicyAdopted { policy, endpoint, editor } => self.adopt_policy(event.at, policy, endpoint, editor),
            Fact::ModelReleased { .. } => {
                if self.head.active_run.is_some() {
                    return Err(Inconsistent::Misplaced(seq, event.fact.name()));
                }
                self.head_mut().released_at = Some(event.at);
            }
            Fact::ModelAdopted { package, .. } => self.adopt_package(event, package)?,
            Fact::SignalReceived { signal } => {
                let head = self.head_mut();
                head.signals.retain(|it| it.source != signal.source);
                head.signals.push(signal.clone());
                head.is_check_due = true;
            }
            Fact::ModelSuspended { reason } => {
                let (by, reason) = (event.actor.clone(), reason.clone());
                self.head_mut().suspended = Some(Suspension { by, at: event.at, reason });
            }
            Fact::ModelResumed { .. } => {
                let head = self.head_mut();
                head.suspended = None;
                head.setbacks = 0;
                head.is_check_due = true;
            }
            Fact::TriggersChecked { findings, judgments } => {
                self.check_triggers(event, findings);
                self.add_judgments(judgments);
            }
            Fact::RunRequested { run, causes, findings, judgments } => {
                // A person's request is no check: a scheduled time that nobody has looked at yet stays due.
                if causes.iter().all(|it| it.kind != CauseKind::Manual) {
                    self.check_triggers(event, findings);
                } else {
                    self.head_mut().setbacks = 0;
                }
                self.add_judgments(judgments);
                self.request_run(event, run, causes)?;
            }
            Fact::PromotionRequested { run, version, reason, approval } => {
                self.request_promotion(event, run, *version, reason, approval)?;
            }
            Fact::RunQueued { run, priority, request } => {
                let champion = self.head.champion;
                let run = self.step(seq, run, RunEvent::Freeze)?;
                run.request = Some(Arc::clone(request));
                run.champion = champion;
                run.priority = *priority;
                run.queued_at = Some(event.at);
                run.ready_at = Some(event.at);
            }
            Fact::RunStarting { run } => {
                let run = self.step(seq, run, RunEvent::TakeSlot)?;
                run.ready_at = None;
                run.starting_at = Some(event.at);
            }
            Fact::RunTraining { run, execution, deadline } => {
                let run = self.step(seq, run, RunEvent::ExecutionStarted)?;
                let number = run.attempt();
                run.attempts.push(Attempt {
                    number,
                    execution: execution.clone(),
                    started_at: event.at,
                    ended_at: None,
                    failure: None,
                });
                run.execution = Some(execution.clone());
                run.deadline = Some(*deadline);
                // From now on the service has time to list it.
                run.stopping_at = run.stopping_at.map(|it| it.max(event.at));
            }
            Fact::RunCausesAdded { run, causes, findings, judgments, effect } => {
                self.note_causes(event, causes, findings, judgments);
                self.add_causes(event, run, causes, *effect)?;
            }
            Fact::RunRetrying { run, failure, ready_at, .. } => {
                let run = self.step(seq, run, RunEvent::Retry)?;
                // It had its turn and waits anew.
                run.queued_at = Some(event.at);
                end_attempt(run, event.at, Some(failure.clone()));
                run.execution = None;
                run.deadline = None;
                run.starting_at = None;
                run.ready_at = Some(*ready_at);
            }
            Fact::RunSuperseded { run, by, causes, findings, judgments, outcome } => {
                // After a stop this is no check: the check was what stopped the run.
                if self.run(seq, run)?.stopping.is_none() {
                    self.note_causes(event, causes, findings, judgments);
                }
                self.supersede_run(event, run, by, causes, outcome)?;
            }
            Fact::RunStopping { run, because } => {
                let run = self.step(seq, run, RunEvent::Stop)?;
                run.stopping = Some(because.clone());
                run.stopping_at = Some(event.at);
            }
            Fact::RunTrained { run } => {
                let run = self.step(seq, run, RunEvent::ExecutionSucceeded)?;
                end_attempt(run, event.at, None);
            }
            Fact::CandidateEvaluated { run, package, evaluation, next } => {
                let mut package = Arc::clone(package);
                let entry = self.run(seq, run)?;
                entry.candidate = Some(package.version);
                entry.evaluation = Some(Arc::clone(evaluation));
                match next {
                    AfterEvaluation::Announce { announcement } => {
                        self.step(seq, run, RunEvent::Announce)?.announced = Some(announcement.clone());
                    }
                    AfterEvaluation::AskApproval { approval } => {
                        self.step(seq, run, RunEvent::AskApproval)?;
                        self.approvals.insert(run.clone(), Arc::new(approval.clone()));
                    }
                    AfterEvaluation::Reject { outcome } => {
                        Arc::make_mut(&mut package).status = PackageStatus::Rejected;
                        self.end_run(seq, run, RunEvent::Reject, outcome)?;
                    }
                }
                self.packages.insert(package.version, package);
            }
            Fact::ApprovalVoted { run, vote } => {
                let approval = self.approvals.get_mut(run).ok_or_else(|| missing(seq, "the approval of", run))?;
                let approval = Arc::make_mut(approval);
                approval.generation += 1;
                approval.votes.push(vote.clone());
            }
            Fact::PromotionAnnounced { run, announcement, .. } => {
                self.step(seq, run, RunEvent::Announce)?.announced = Some(announcement.clone());
            }
            Fact::RolloutStarted { run, .. } => {
                self.step(seq, run, RunEvent::BeginRollout)?;
            }
            Fact::ModelPromoted { run, version, replaced } => self.promote(event, run, *version, *replaced)?,
            Fact::RunEnded { run, status, outcome } => {
                let run_event = match status {
                    RunStatus::Rejected => RunEvent::Reject,
                    RunStatus::Canceled => RunEvent::Cancel,
                    RunStatus::TimedOut => RunEvent::TimeOut,
                    _ => RunEvent::Fail,
                };
                let candidate = self.run(seq, run)?.candidate;
                self.refuse_candidate(candidate);
                self.end_run(seq, run, run_event, outcome)?;
                let failure = (outcome.code == OutcomeCode::ExecutionFailed)
                    .then(|| Failure { class: FailureClass::of(&outcome.reason), reason: outcome.reason.clone() });
                end_attempt(self.run(seq, run)?, event.at, failure);
            }
            Fact::RollbackStarted { from, to, reason } => {
                let by = event.actor.clone();
                self.head_mut().active_rollback =
                    Some(Rollback { from: *from, to: *to, reason: reason.clone(), by, at: event.at });
            }
            Fact::ModelRolledBack { from, to, .. } => self.roll_back(seq, *from, *to)?,
            Fact::OutputsExpired { runs, versions, until } => {
                for version in versions {
                    self.package(seq, *version)?.removed_at = Some(event.at);
                }
                self.head_mut().cleaned_runs = *until;
                self.head_mut().cleaning.clone_from(runs);
            }
            Fact::OutputsRemoved { runs } => self.head_mut().cleaning.retain(|it| !runs.contains(it)),
        }
        Ok(())
    }

    fn check_triggers(&mut self, event: &AuditEvent, findings: &[Finding]) {
        self.head_mut().checked_at = event.at;
        self.head_mut().is_check_due = false;
        let is_held_back = |it: &Finding| it.kind == CauseKind::Schedule && it.outcome == FindingOutcome::Suppressed;
        if !findings.iter().any(is_held_back) {
            self.head_mut().scheduled_until = event.at;
        }
    }

    fn adopt_policy(&mut self, at: Timestamp, policy: &Digest, endpoint: &EndpointPolicy, editor: &Actor) {
        let head = self.head_mut();
        head.policy = policy.clone();
        head.endpoint = endpoint.clone();
        head.editor = editor.clone();
        if head.released_at.take().is_some() {
            // What went by while nobody watched was not taken in: it is not judged, and no schedule is made up for.
            head.checked_at = at;
            head.scheduled_until = at;
            head.drift_judged_until = head.drift_judged_until.max(at);
            head.performance_judged_until = head.performance_judged_until.max(at);
        }
    }

    fn request_promotion(
        &mut self,
        event: &AuditEvent,
        id: &RunId,
        version: u64,
        reason: &str,
        approval: &Approval,
    ) -> Result<(), Inconsistent> {
        let last_run_at = self.head.last_run_at;
        let cause = Cause { kind: CauseKind::Manual, reason: format!("promote version {version}: {reason}") };
        self.request_run(event, id, &[cause])?;
        // Nothing is trained: no cooldown begins.
        self.head_mut().last_run_at = last_run_at;
        let run = self.run(event.seq, id)?;
        run.status = RunStatus::AwaitingApproval;
        run.candidate = Some(version);
        self.approvals.insert(id.clone(), Arc::new(approval.clone()));
        Ok(())
    }

    fn add_judgments(&mut self, judgments: &[Judgment]) {
        for judgment in judgments {
            let is_current = judgment.champion == self.head.champion;
            let head = Arc::make_mut(&mut self.head);
            let (until, last) = match judgment.kind {
                JudgmentKind::Drift => (&mut head.drift_judged_until, &mut head.drift),
                JudgmentKind::Performance => (&mut head.performance_judged_until, &mut head.performance),
                JudgmentKind::Predictions
                | JudgmentKind::Concept
                | JudgmentKind::Upstream
                | JudgmentKind::EstimatedPerformance => {
                    let until = head.judged_until.entry(judgment.kind).or_insert(judgment.window.end);
                    *until = judgment.window.end.max(*until);
                    self.judgments.insert(judgment.sort(), Arc::new(judgment.clone()));
                    continue;
                }
            };
            *until = judgment.window.end.max(*until);
            // A revision of an older window changes what is known of it, not what is known last.
            if is_current && last.as_ref().is_none_or(|it| it.age() <= judgment.age()) {
                *last = Some(judgment.clone());
            }
            self.judgments.insert(judgment.sort(), Arc::new(judgment.clone()));
        }
    }

    fn request_run(&mut self, event: &AuditEvent, id: &RunId, causes: &[Cause]) -> Result<(), Inconsistent> {
        if self.head.active_run.is_some() {
            return Err(Inconsistent::Misplaced(event.seq, event.fact.name()));
        }
        let head = self.head_mut();
        head.active_run = Some(id.clone());
        head.run_count += 1;
        head.last_run_at = Some(event.at);
        head.signals.clear();
        let run = Run {
            schema: Run::SCHEMA,
            id: id.clone(),
            status: RunStatus::Requested,
            causes: causes.to_vec(),
            requested_by: event.actor.clone(),
            editor: self.head.editor.clone(),
            also_requested_by: Vec::new(),
            requested_at: event.at,
            decision: event.cause.clone(),
            priority: Priority::Normal,
            queued_at: None,
            ready_at: None,
            champion: self.head.champion,
            request: None,
            starting_at: None,
            execution: None,
            attempts: Vec::new(),
            deadline: None,
            stopping: None,
            stopping_at: None,
            candidate: None,
            evaluation: None,
            announced: None,
            outcome: None,
        };
        self.runs.insert(id.clone(), Arc::new(run));
        Ok(())
    }

    /// What a check leaves behind that found causes; a person's request is no check, a scheduled time stays due.
    fn note_causes(&mut self, event: &AuditEvent, causes: &[Cause], findings: &[Finding], judgments: &[Judgment]) {
        if causes.iter().all(|it| it.kind != CauseKind::Manual) {
            self.check_triggers(event, findings);
        } else {
            self.head_mut().setbacks = 0;
        }
        self.add_judgments(judgments);
    }

    fn add_causes(
        &mut self,
        event: &AuditEvent,
        id: &RunId,
        causes: &[Cause],
        effect: CausesEffect,
    ) -> Result<(), Inconsistent> {
        // What the run trains for is asked for: it does not fire again once the run has ended.
        self.head_mut().last_run_at = Some(event.at);
        self.head_mut().signals.clear();
        match effect {
            CausesEffect::Coalesced => {}
            CausesEffect::Superseding => {
                let run = self.step(event.seq, id, RunEvent::Stop)?;
                run.stopping = Some(StopReason::Superseded);
                run.stopping_at = Some(event.at);
            }
        }
        let run = self.run(event.seq, id)?;
        run.causes.extend_from_slice(causes);
        if causes.iter().any(|it| it.kind == CauseKind::Manual) {
            run.priority = run.priority.max(Priority::High);
        }
        if event.actor.kind == ActorKind::Person && !run.is_requested_by(&event.actor) {
            run.also_requested_by.push(event.actor.clone());
        }
        Ok(())
    }

    fn supersede_run(
        &mut self,
        event: &AuditEvent,
        id: &RunId,
        by: &RunId,
        causes: &[Cause],
        outcome: &Outcome,
    ) -> Result<(), Inconsistent> {
        let seq = event.seq;
        let old = self.run(seq, id)?;
        end_attempt(old, event.at, None);
        let mut people = vec![old.requested_by.clone()];
        people.extend(old.also_requested_by.iter().cloned());
        let candidate = old.candidate;
        self.refuse_candidate(candidate);
        self.end_run(seq, id, RunEvent::Cancel, outcome)?;
        self.request_run(event, by, causes)?;
        // Whoever asked for the old run asked for this one, too, and cannot approve it alone.
        let run = self.run(seq, by)?;
        for person in people.into_iter().filter(|it| it.kind == ActorKind::Person) {
            if !run.is_requested_by(&person) {
                run.also_requested_by.push(person);
            }
        }
        Ok(())
    }

    fn head_mut(&mut self) -> &mut Head {
        Arc::make_mut(&mut self.head)
    }

    fn run(&mut self, seq: u64, id: &RunId) -> Result<&mut Run, Inconsistent> {
        self.runs.get_mut(id).map(Arc::make_mut).ok_or_else(|| missing(seq, "run", id))
    }

    fn step(&mut self, seq: u64, id: &RunId, run_event: RunEvent) -> Result<&mut Run, Inconsistent> {
        let run = self.run(seq, id)?;
        run.take(run_event).map_err(|source| Inconsistent::Transition { seq, source })?;
        Ok(run)
    }

    fn end_run(&mut self, seq: u64, id: &RunId, run_event: RunEvent, outcome: &Outcome) -> Result<(), Inconsistent> {
        self.step(seq, id, run_event)?.outcome = Some(outcome.clone());
        let head = self.head_mut();
        head.active_run = None;
        if run_event == RunEvent::Reject {
            head.setbacks = head.setbacks.saturating_add(1);
        }
        Ok(())
    }
}

/// Notes how the attempt under way ended, if there is one.
fn end_attempt(run: &mut Run, at: Timestamp, failure: Option<Failure>) {
    if let Some(attempt) = run.attempts.last_mut().filter(|it| it.ended_at.is_none()) {
        attempt.ended_at = Some(at);
        attempt.failure = failure;
    }
}

fn missing(seq: u64, what: &str, id: &dyn std::fmt::Display) -> Inconsistent {
    Inconsistent::Missing { seq, what: format!("{what} {id}") }
}
