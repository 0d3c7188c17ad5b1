//! From a judged candidate to a champion: votes, notice, traffic, promotion. Also carries on a rollback.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::look::next_idle_look;
use super::rollback::plan_rollback;
use super::{Decision, POLL, Plan, Record, Refusal, Step, WaitingOn};
use crate::actor::{Actor, ActorKind};
use crate::approval::{Approval, ApprovalState, Choice, Vote};
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::evaluation::Evaluation;
use crate::guard::Guard;
use crate::model::{Head, Model};
use crate::names::{Digest, RunId};
use crate::package::{Package, PackageStatus};
use crate::policy::ModelPolicy;
use crate::run::{Announcement, Outcome, OutcomeCode, Run, RunStatus};

/// A person's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// The run.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
    /// What.
    pub choice: Choice,
    /// Why, in their words.
    pub comment: String,
    /// What the person saw; refused when it is not what is stored.
    pub basis: Option<Digest>,
    /// The generation of the request that the person saw; refused when somebody voted since.
    pub if_match: Option<u64>,
}

/// What promoting looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct PromoteInputs<'a> {
    /// The state: HEAD, the active run, its approval and package, the champion's package.
    pub model: &'a Model,
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// How far the log is published.
    pub published: u64,
    /// The package that the endpoint serves alone, if it serves one alone.
    pub serving: Option<&'a str>,
    /// The digest of the candidate's archive as it is now, if it is there; needed while the run rolls out and nothing of
    /// it is served yet.
    pub archive: Option<&'a Digest>,
    /// A person's vote.
    pub vote: Option<&'a VoteRequest>,
    /// Steps performed since the state last changed.
    pub performed: &'a [Step],
}

/// What votes are about: the same basis means the same decision. A version that is promoted again has no evaluation of its
/// own.
#[must_use]
pub fn approval_basis(
    candidate: &Package,
    champion: Option<&Package>,
    evaluation: Option<&Evaluation>,
    policy: &ModelPolicy,
) -> Digest {
    Digest::of_json(&(
        (candidate.version, &candidate.artifact),
        champion.map(|it| (it.version, &it.artifact)),
        evaluation,
        &policy.gates,
        &policy.promotion,
    ))
}

/// Plans the way of a candidate to champion.
pub fn plan_promote(inputs: &PromoteInputs<'_>) -> Plan {
    let model = inputs.model;
    if model.head.active_rollback.is_some() {
        return plan_rollback(model, inputs.performed);
    }
    let run = model.active_run();
    if let Some(vote) = inputs.vote {
        return plan_vote(inputs, vote, run);
    }
    let Some(run) = run else { return plan_repair(inputs) };
    match run.status {
        RunStatus::AwaitingApproval => plan_approval(inputs, run),
        RunStatus::Announced => plan_announced(inputs, run),
        RunStatus::RollingOut => plan_rolling_out(inputs, run),
        RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Starting
        | RunStatus::Training
        | RunStatus::Evaluating
        | RunStatus::Stopping
        | RunStatus::Succeeded
        | RunStatus::Rejected
        | RunStatus::Failed
        | RunStatus::Canceled
        | RunStatus::TimedOut => plan_repair(inputs),
    }
}

fn serve(head: &Head, package: &Package) -> Step {
    Step::Serve {
        endpoint: head.endpoint.name.clone(),
        variant: head.endpoint.variant.clone(),
        package_arn: package.arn.clone(),
    }
}

/// Makes the endpoint serve what HEAD says: a worker that was paused half-way may have set it back.
fn plan_repair(inputs: &PromoteInputs<'_>) -> Plan {
    let head = &inputs.model.head;
    if let Some(champion) = inputs.model.champion()
        && !Guard::EndpointRepaired.holds(inputs.serving == Some(&champion.arn))
    {
        let serve = serve(head, champion);
        // What was told and is not served yet is looked at again.
        return if inputs.performed.contains(&serve) {
            Plan::Wait {
                on: WaitingOn::Endpoint { name: head.endpoint.name.clone() },
                until: Some(POLL.after(inputs.now)),
            }
        } else {
            Plan::Perform(serve)
        };
    }
    if head.active_run.is_some() {
        return Plan::Wait { on: WaitingOn::Nothing, until: None };
    }
    // Nothing is left to do but what the publisher has to.
    let is_told = head.audit_seq <= inputs.published;
    Plan::Wait { on: WaitingOn::NextCheck, until: is_told.then(|| next_idle_look(head, inputs.policy, inputs.now)) }
}

fn reject(inputs: &PromoteInputs<'_>, run: &Run, code: OutcomeCode, reason: String) -> Plan {
    // The registry learns it first: if this worker dies in between, the next one does both again.
    if let Some(step) = refuse_candidate(inputs.model, run).filter(|it| !inputs.performed.contains(it)) {
        return Plan::Perform(step);
    }
    let outcome = Outcome { at: inputs.now, code, reason };
    Record::carried_out(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Rejected, outcome })
}

/// What tells the registry that a run's candidate is refused. A version that was judged before keeps what it was.
pub(in crate::plan) fn refuse_candidate(model: &Model, run: &Run) -> Option<Step> {
    let package = run.candidate.and_then(|it| model.packages.get(&it))?;
    (package.status == PackageStatus::Candidate)
        .then(|| Step::SetApproval { package_arn: package.arn.clone(), is_approved: false })
}

/// Why the votes or the evaluation no longer apply, if so.
pub(super) fn broken_basis(model: &Model, policy: &ModelPolicy, run: &Run) -> Option<String> {
    if !Guard::BasisChampion.holds(run.champion == model.head.champion) {
        return Some("the champion changed after the evaluation".to_owned());
    }
    let approval = model.approvals.get(&run.id)?;
    let candidate = model.packages.get(&run.candidate?)?;
    let basis = approval_basis(candidate, model.champion(), run.evaluation.as_deref(), policy);
    let voters: Vec<&str> = approval.votes.iter().map(|it| it.by.id.as_str()).collect();
    (!Guard::BasisPolicy.holds(basis == approval.basis)).then(|| match &voters[..] {
        [] => "gates or promotion policy changed after people were asked".to_owned(),
        voters => format!(
            "gates or promotion policy changed after people were asked, the votes of {} no longer apply",
            voters.join(", ")
        ),
    })
}

fn plan_vote(inputs: &PromoteInputs<'_>, vote: &VoteRequest, run: Option<&Run>) -> Plan {
    let awaiting = run.filter(|it| it.id == vote.run && it.status == RunStatus::AwaitingApproval);
    let approval = awaiting.and_then(|it| inputs.model.approvals.get(&it.id));
    let (Some(run), Some(approval)) = (awaiting, approval) else {
        return Plan::Refuse(Refusal::NotAwaiting(vote.run.clone()));
    };
    if let Some(refusal) = refuse_vote(approval, run, vote, inputs.now) {
        return Plan::Refuse(refusal);
    }
    let recorded = Vote { by: vote.actor.clone(), at: inputs.now, choice: vote.choice, comment: vote.comment.clone() };
    let fact = Fact::ApprovalVoted { run: run.id.clone(), vote: recorded };
    Plan::Record(Box::new(Record { fact, actor: vote.actor.clone(), decision: None }))
}

fn refuse_vote(approval: &Approval, run: &Run, vote: &VoteRequest, now: Timestamp) -> Option<Refusal> {
    if !Guard::VoteWhilePending.holds(approval.state(now) == ApprovalState::Pending) {
        return Some(Refusal::Closed(run.id.clone()));
    }
    if let Some(seen) = vote.basis.as_ref().filter(|it| !Guard::VoteBasis.holds(**it == approval.basis)) {
        return Some(Refusal::BasisChanged { seen: seen.short().to_owned(), basis: approval.basis.short().to_owned() });
    }
    if let Some(seen) = vote.if_match.filter(|it| *it != approval.generation) {
        return Some(Refusal::StaleApproval { seen, generation: approval.generation });
    }
    if vote.choice == Choice::Approve
        && let Some(refusal) = refuse_own(run, &vote.actor)
    {
        return Some(refusal);
    }
    if Guard::VoteOnce.is_kept() && approval.votes.iter().any(|it| it.by.id == vote.actor.id) {
        return Some(Refusal::VotedAlready(vote.actor.clone()));
    }
    None
}

/// Whoever asked for a run cannot approve it. Where no person asked, whoever changed the configuration last answers for
/// it: a lower bar would otherwise be set, and met, by one person.
fn refuse_own(run: &Run, actor: &Actor) -> Option<Refusal> {
    if !Guard::OwnRunRefused.is_kept() {
        return None;
    }
    if run.also_requested_by.iter().any(|it| it.id == actor.id) {
        return Some(Refusal::OwnRun(actor.clone()));
    }
    let refusal = match run.requested_by.kind {
        ActorKind::Person if run.requested_by.id == actor.id => Refusal::OwnRun(actor.clone()),
        ActorKind::Schedule | ActorKind::Alarm | ActorKind::Refit if run.editor.id == actor.id => {
            Refusal::OwnConfiguration(actor.clone())
        }
        ActorKind::Person | ActorKind::Schedule | ActorKind::Alarm | ActorKind::Refit => return None,
    };
    Some(refusal)
}

/// A vote in words; a comment is optional.
fn said(vote: &Vote, verb: &str) -> String {
    if vote.comment.is_empty() {
        format!("{} {verb}", vote.by)
    } else {
        format!("{} {verb}: {}", vote.by, vote.comment)
    }
}

fn plan_approval(inputs: &PromoteInputs<'_>, run: &Run) -> Plan {
    let approval = inputs.model.approvals.get(&run.id).expect("invariant: a run that awaits approval has a request");
    if let Some(reason) = broken_basis(inputs.model, inputs.policy, run) {
        return reject(inputs, run, OutcomeCode::BasisChanged, reason);
    }
    match approval.state(inputs.now) {
        ApprovalState::Declined => {
            let reasons: Vec<String> = approval
                .votes
                .iter()
                .filter(|it| it.choice == Choice::Decline)
                .map(|it| said(it, "declined"))
                .collect();
            reject(inputs, run, OutcomeCode::Declined, reasons.join("; "))
        }
        ApprovalState::Expired => {
            reject(inputs, run, OutcomeCode::ApprovalExpired, format!("nobody decided before {}", approval.expires_at))
        }
        ApprovalState::Approved => {
            let version = run.candidate.expect("invariant: a judged run has a candidate");
            let announcement = Announcement {
                seq: inputs.model.head.audit_seq + 1,
                deadline: inputs.policy.promotion.notice_timeout.after(inputs.now),
            };
            let voters: Vec<String> = approval.votes.iter().map(|it| said(it, "approved")).collect();
            let decision = Decision {
                kind: DecisionKind::Promotion,
                outcome: format!("version {version} is promoted by approval"),
                reasons: voters,
                inputs: Arc::new(json!({ "approval": approval })),
            };
            let fact = Fact::PromotionAnnounced { run: run.id.clone(), version, announcement };
            Plan::Record(Box::new(Record { fact, actor: Actor::refit(), decision: Some(decision) }))
        }
        ApprovalState::Pending => {
            let missing = usize::try_from(approval.needed).unwrap_or(usize::MAX).saturating_sub(approval.votes.len());
            Plan::Wait {
                on: WaitingOn::Approval { missing, expires_at: approval.expires_at },
                until: Some(approval.expires_at),
            }
        }
    }
}

fn plan_announced(inputs: &PromoteInputs<'_>, run: &Run) -> Plan {
    let announced = run.announced.as_ref().expect("invariant: an announced run has an announcement");
    if let Some(reason) = broken_basis(inputs.model, inputs.policy, run) {
        return reject(inputs, run, OutcomeCode::BasisChanged, reason);
    }
    let was_announced = announced.seq <= inputs.published;
    if Guard::NoticeFirst.holds(was_announced || announced.deadline <= inputs.now) {
        let version = run.candidate.expect("invariant: an announced run has a candidate");
        return Record::carried_out(Fact::RolloutStarted { run: run.id.clone(), version, was_announced });
    }
    let until = announced.deadline.min(POLL.after(inputs.now));
    Plan::Wait { on: WaitingOn::Notice { seq: announced.seq, published: inputs.published }, until: Some(until) }
}

fn plan_rolling_out(inputs: &PromoteInputs<'_>, run: &Run) -> Plan {
    let model = inputs.model;
    if !Guard::ChampionUnchanged.holds(run.champion == model.head.champion) {
        // Only the champion counts here: the promotion was decided, a later policy does not undo it.
        return reject(inputs, run, OutcomeCode::BasisChanged, "the champion changed during the rollout".to_owned());
    }
    let version = run.candidate.expect("invariant: a run that rolls out has a candidate");
    let candidate = model.packages.get(&version).expect("invariant: the candidate of a run that rolls out is loaded");
    let approve = Step::SetApproval { package_arn: candidate.arn.clone(), is_approved: true };
    let serve = serve(&model.head, candidate);
    // What was judged and what was approved is this archive: other bytes under its address are another model.
    if !inputs.performed.contains(&serve) && !Guard::ArchiveUnchanged.holds(inputs.archive == Some(&candidate.artifact))
    {
        let reason = format!("model archive {} is gone or is not the one that was judged", candidate.model);
        return reject(inputs, run, OutcomeCode::BasisChanged, reason);
    }
    for step in [approve, serve] {
        let is_due = !matches!(step, Step::Serve { .. }) || Guard::ServeBeforePromotion.is_kept();
        if is_due && !inputs.performed.contains(&step) {
            return Plan::Perform(step);
        }
    }
    Record::carried_out(Fact::ModelPromoted { run: run.id.clone(), version, replaced: model.head.champion })
}
