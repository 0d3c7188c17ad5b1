//! What the last fact of a log promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::approval::Choice;
use refit_core::audit::{AfterEvaluation, AuditEvent, Fact};
use refit_core::evaluation::{Evaluation, Verdict, improvement};
use refit_core::model::Model;
use refit_core::package::Package;
use refit_core::plan::approval_basis;
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::run::{ExecutionStatus, Run, RunStatus};
use refit_core::trigger::CauseKind;
use refit_core::{ActorKind, Digest};

use super::asked::{Asked, request_of};
use super::model::ModelChecker;
use super::{Checked, Transaction, Violation, ensure};
use crate::memory::MemoryWorld;

/// What was so when the fact was recorded.
pub(super) struct Seen<'a> {
    pub(super) world: &'a MemoryWorld,
    pub(super) transaction: &'a Transaction,
    pub(super) policies: &'a BTreeMap<Digest, Arc<Policy>>,
    pub(super) asked: &'a BTreeMap<String, Asked>,
}

impl Seen<'_> {
    /// The model's policy, when the checker knows it.
    fn policy(&self, model: &ModelChecker) -> Option<&ModelPolicy> {
        let head = model.head_before.as_ref()?;
        self.policies.get(&head.policy)?.find_model(&model.id)
    }
}

/// Checks the last fact of a model.
pub(super) fn check(model: &mut ModelChecker, seen: &Seen<'_>) -> Checked {
    let Some(entry) = model.entries().last().cloned() else { return Ok(()) };
    let event = &entry.event;
    let request = request_of(&event.fact);
    if let Some(request) = request {
        let is_new = Arc::make_mut(&mut model.answered).insert((event.fact.name(), request.to_owned()));
        ensure!(is_new, "E1", "request {request} had its effect twice: {}", event.fact.name());
    }
    let asked = request.and_then(|it| seen.asked.get(it));
    match &event.fact {
        Fact::RunRequested { causes, .. } => {
            let is_manual = causes.iter().any(|it| it.kind == CauseKind::Manual);
            // Whoever asks without force waits for the cooldown; to try again skips it.
            if is_manual && asked.is_none_or(|it| it.is_forced) { Ok(()) } else { check_cooldown(model, event, seen) }
        }
        Fact::RunTrained { run } => {
            let status = execution_status(model, seen, run);
            ensure!(status == Some(ExecutionStatus::Succeeded), "E2", "{run} was trained, its execution is {status:?}");
            Ok(())
        }
        Fact::RunEnded { run, .. } | Fact::RunSuperseded { run, .. } | Fact::RunRetrying { run, .. } => {
            check_end(model, seen, run)
        }
        Fact::CandidateEvaluated { run, package, evaluation, next } => {
            check_judged(model, seen, run, package, evaluation, next)?;
            match next {
                AfterEvaluation::Announce { .. } => check_automatic(model, seen, run),
                AfterEvaluation::AskApproval { .. } | AfterEvaluation::Reject { .. } => Ok(()),
            }
        }
        Fact::ApprovalVoted { run, .. } => check_vote(model, run, asked),
        Fact::PromotionAnnounced { run, .. } => check_approved(model, seen, run),
        Fact::RolloutStarted { run, was_announced, .. } => {
            check_notice(model, event, seen, run, *was_announced)?;
            let entry = known(model, run)?;
            let champion = model.head_before.as_ref().and_then(|it| it.champion);
            ensure!(
                entry.champion == champion,
                "P2",
                "{run} rolls out over champion {champion:?}, it was compared with {:?}",
                entry.champion
            );
            let candidate = entry.candidate.and_then(|it| folded(model).ok()?.packages.get(&it).cloned());
            let digest = candidate.and_then(|it| seen.world.objects.peek(&it.model)).map(|it| Digest::of(&it));
            Arc::make_mut(&mut model.archives).insert(run.clone(), digest);
            Ok(())
        }
        Fact::ModelPromoted { run, version, .. } => {
            model.is_frozen = false;
            check_promotion(model, seen, run, *version)
        }
        Fact::RollbackStarted { from, .. } => check_rollback_asked(model, *from, asked),
        Fact::ModelRolledBack { from, to, .. } => {
            model.is_frozen = true;
            check_rollback(model, seen, *from, *to)?;
            Arc::make_mut(&mut model.before).entry(*from).or_default().pop();
            Ok(())
        }
        Fact::OutputsExpired { runs, .. } if !runs.is_empty() => {
            let head = model.head_before.as_ref();
            let is_idle = head.is_some_and(|it| it.active_run.is_none() && it.active_rollback.is_none());
            ensure!(is_idle, "P6", "outputs of {runs:?} expire while the champion may change");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// E1, R1: who asked to go back meant this champion, and not the one that came back when they had asked before.
fn check_rollback_asked(model: &ModelChecker, from: u64, asked: Option<&Asked>) -> Checked {
    let Some(asked) = asked else { return Ok(()) };
    ensure!(asked.from.is_none_or(|it| it == from), "R1", "{from} is taken back, {:?} was asked", asked.from);
    let head = model.head_before.as_ref();
    let is_again = head.and_then(|it| it.rolled_back.as_ref()).is_some();
    ensure!(
        !is_again || asked.from == Some(from),
        "E1",
        "{from} is taken back by a request that was carried out before"
    );
    Ok(())
}

/// P2, P4: what is judged is what the pipeline evaluated, against the champion, and by its gates.
fn check_judged(
    model: &ModelChecker,
    seen: &Seen<'_>,
    run: &refit_core::RunId,
    package: &Package,
    evaluation: &Evaluation,
    next: &AfterEvaluation,
) -> Checked {
    let entry = known(model, run)?;
    let manifest = entry.attempt_request().and_then(|it| it.output.join("manifest.json").ok());
    let manifest = manifest.and_then(|it| seen.world.objects.peek(&it));
    let manifest: Option<serde_json::Value> = manifest.and_then(|it| serde_json::from_slice(&it).ok());
    let evaluated = manifest.as_ref().and_then(|it| it["model"]["sha256"].as_str());
    ensure!(
        evaluated == Some(package.artifact.hex()),
        "P2",
        "{run} was judged by archive {}, its pipeline evaluated {evaluated:?}",
        package.artifact.hex()
    );
    let is_granted = evaluation.auto_promotion.is_granted;
    ensure!(
        !is_granted || evaluation.verdict == Verdict::Passed,
        "P4",
        "{run} needs no person, its gates did not pass"
    );
    if let AfterEvaluation::Reject { .. } = next {
        return Ok(());
    }
    let is_refused = matches!(evaluation.verdict, Verdict::Failed | Verdict::Errored);
    ensure!(!is_refused, "P2", "{run} was not refused, its gates did not pass");
    let champion = model.head_before.as_ref().and_then(|it| it.champion);
    ensure!(
        entry.champion == champion,
        "P2",
        "{run} was judged beside champion {champion:?}, it was compared with {:?}",
        entry.champion
    );
    Ok(())
}

fn folded(model: &ModelChecker) -> Result<&Model, Violation> {
    model.folded().ok_or_else(|| Violation::new("U3", "nothing was folded"))
}

fn known<'a>(model: &'a ModelChecker, run: &refit_core::RunId) -> Result<&'a Run, Violation> {
    model.run(run).ok_or_else(|| Violation::new("U3", format!("there is no run {run}")))
}

fn check_cooldown(model: &ModelChecker, event: &AuditEvent, seen: &Seen<'_>) -> Checked {
    let last = model.head_before.as_ref().and_then(|it| it.last_run_at);
    // A time to come, by a clock that ran ahead, answers nothing.
    let last = last.filter(|it| *it <= event.at);
    let (Some(policy), Some(last)) = (seen.policy(model), last) else { return Ok(()) };
    let until = policy.triggers.cooldown.after(last);
    ensure!(until <= event.at, "T3", "a run was requested at {}, the cooldown lasts until {until}", event.at);
    Ok(())
}

fn execution_status(model: &ModelChecker, seen: &Seen<'_>, run: &refit_core::RunId) -> Option<ExecutionStatus> {
    let arn = model.run(run)?.execution.as_ref()?;
    seen.world.pipelines.status(arn)
}

/// L4: a run ends, or goes back to the queue, only when every execution of it has ended; one that is not known any more is none.
fn check_end(model: &ModelChecker, seen: &Seen<'_>, run: &refit_core::RunId) -> Checked {
    let attempts = model.run(run).map(|it| it.attempts.clone()).unwrap_or_default();
    for attempt in attempts {
        if let Some(status) = seen.world.pipelines.status(&attempt.execution) {
            let name = status.name();
            ensure!(status.is_terminal(), "L4", "attempt {} of {run} is over, its execution is {name}", attempt.number);
        }
    }
    Ok(())
}

/// P2, P4: what is announced without a person.
fn check_automatic(model: &ModelChecker, seen: &Seen<'_>, run: &refit_core::RunId) -> Checked {
    let evaluation = known(model, run)?.evaluation.as_ref();
    let is_passed = evaluation.is_some_and(|it| it.verdict == Verdict::Passed && it.auto_promotion.is_granted);
    ensure!(is_passed, "P2", "{run} was announced without a person, its gates did not pass");
    let head = model.head_before.as_ref();
    ensure!(head.is_some_and(|it| it.champion.is_some()), "P4", "{run} was announced without a champion to beat");
    ensure!(!model.is_frozen, "P4", "{run} was announced without a person after a rollback");
    let Some(policy) = seen.policy(model) else { return Ok(()) };
    let Some(auto) = &policy.promotion.auto_promote else {
        let text = format!("{run} was announced without a person, the policy asks for one");
        return Err(Violation::new("P4", text));
    };
    let comparison = evaluation.and_then(|it| it.evidence.metrics.get(&auto.metric));
    let better = comparison
        .and_then(|it| improvement(auto.metric, auto.mode, it.champion.as_ref()?.value, it.candidate.as_ref()?.value));
    ensure!(
        better.is_some_and(|it| auto.min_improvement <= it),
        "P4",
        "{run} was announced without a person, it is better by {better:?}"
    );
    Ok(())
}

fn check_vote(model: &ModelChecker, run: &refit_core::RunId, asked: Option<&Asked>) -> Checked {
    let entry = known(model, run)?;
    let approval = folded(model)?.approvals.get(run);
    let approval = approval.ok_or_else(|| Violation::new("P3", format!("{run} was voted on and never asked about")))?;
    ensure!(entry.status == RunStatus::AwaitingApproval, "P3", "{run} was voted on while {}", entry.status);
    let Some((vote, earlier)) = approval.votes.split_last() else { return Ok(()) };
    ensure!(earlier.iter().all(|it| it.by.id != vote.by.id), "P3", "{} voted twice on {run}", vote.by);
    let is_declined = earlier.iter().any(|it| it.choice == Choice::Decline);
    let is_enough = usize::try_from(approval.needed).is_ok_and(|it| it <= earlier.len());
    ensure!(!is_declined && !is_enough, "P3", "{} voted on {run} after it was decided", vote.by);
    ensure!(vote.at < approval.expires_at, "P3", "{} voted on {run} after it expired", vote.by);
    let basis = asked.and_then(|it| it.basis.as_ref());
    ensure!(basis.is_none_or(|it| *it == approval.basis), "P3", "{} voted on {run} and saw another basis", vote.by);
    let is_own = vote.choice == Choice::Approve && entry.is_requested_by(&vote.by);
    ensure!(!is_own, "P3", "{} approved the run {run} that they asked for", vote.by);
    let is_own_configuration =
        vote.choice == Choice::Approve && entry.requested_by.kind != ActorKind::Person && vote.by.id == entry.editor.id;
    ensure!(!is_own_configuration, "P3", "{} approved {run}, which their own configuration asked for", vote.by);
    Ok(())
}

/// P2, P3: what is announced by vote: enough people, nobody against, and about what is stored now.
fn check_approved(model: &ModelChecker, seen: &Seen<'_>, run: &refit_core::RunId) -> Checked {
    let folded = folded(model)?;
    let entry = known(model, run)?;
    let approval = folded.approvals.get(run);
    let approval = approval.ok_or_else(|| Violation::new("P2", format!("{run} was announced without an approval")))?;
    let count = |choice| approval.votes.iter().filter(|it| it.choice == choice).count();
    ensure!(count(Choice::Decline) == 0, "P3", "{run} was announced although somebody declined");
    ensure!(
        usize::try_from(approval.needed).is_ok_and(|it| 0 < it && it <= count(Choice::Approve)),
        "P3",
        "{run} was announced with {} of {} approvals",
        count(Choice::Approve),
        approval.needed
    );
    if let (Some(policy), Some(candidate)) =
        (seen.policy(model), entry.candidate.and_then(|it| folded.packages.get(&it)))
    {
        let basis = approval_basis(candidate, folded.champion(), entry.evaluation.as_deref(), policy);
        ensure!(basis == approval.basis, "P2", "{run} was announced on votes about something else");
    }
    Ok(())
}

/// A2: the notice was published, or its time is over.
fn check_notice(
    model: &ModelChecker,
    event: &AuditEvent,
    seen: &Seen<'_>,
    run: &refit_core::RunId,
    was_announced: bool,
) -> Checked {
    let announced = known(model, run)?.announced.as_ref();
    let announced = announced.ok_or_else(|| Violation::new("A2", format!("{run} rolls out without a notice")))?;
    let id = format!("{}-{}", model.id, announced.seq);
    // Parked entries count as published: people were told of them.
    let heard = seen.world.publisher.published_up_to(seen.transaction.published.0).iter().any(|it| it.dedupe_id == id)
        || seen.world.publisher.was_told(&format!("{}-parked-{}", model.id, announced.seq));
    ensure!(!was_announced || heard, "A2", "{run} rolls out, its notice {id} was said to be published");
    ensure!(
        was_announced || announced.deadline <= event.at,
        "A2",
        "{run} rolls out before its notice {id} was published or expired"
    );
    Ok(())
}

/// P1, P2: what is promoted is served, and is what was judged.
fn check_promotion(model: &ModelChecker, seen: &Seen<'_>, run: &refit_core::RunId, version: u64) -> Checked {
    let folded = folded(model)?;
    let entry = known(model, run)?;
    ensure!(entry.candidate == Some(version), "P2", "{run} promoted version {version}, its candidate is another");
    match &entry.evaluation {
        Some(evaluation) => {
            let is_refused = matches!(evaluation.verdict, Verdict::Failed | Verdict::Errored);
            ensure!(!is_refused, "P2", "{run} was promoted although its gates did not pass");
        }
        // A version that exists is judged by people alone.
        None => {
            let approval = folded.approvals.get(run);
            let is_approved = approval.is_some_and(|it| {
                usize::try_from(it.needed).is_ok_and(|needed| 0 < needed && needed <= it.votes.len())
                    && it.votes.iter().all(|it| it.choice == Choice::Approve)
            });
            ensure!(is_approved, "P2", "{run} was promoted without gates and without an approval");
        }
    }
    let replaced = folded.packages.get(&version).and_then(|it| it.replaced);
    ensure!(entry.champion == replaced, "P2", "{run} was compared with {:?} and replaced {replaced:?}", entry.champion);
    if let (Some(Some(found)), Some(package)) = (model.archives.get(run), folded.packages.get(&version)) {
        ensure!(*found == package.artifact, "P2", "{run} rolled out an archive that is not the one that was judged");
    }
    let serving = seen.transaction.serving.variants(&folded.head.endpoint.name);
    let expected = model.expected_serving(&folded.head);
    ensure!(Some(&serving) == expected.as_ref(), "P1", "{run} was promoted while {serving:?} was served");
    Ok(())
}

/// R1: the champion before is restored exactly.
fn check_rollback(model: &ModelChecker, seen: &Seen<'_>, from: u64, to: u64) -> Checked {
    let folded = folded(model)?;
    let before = model.before.get(&from).and_then(|it| it.last());
    let before = before.ok_or_else(|| Violation::new("R1", format!("version {from} was never promoted")))?;
    let head = &before.head;
    ensure!(head.champion == Some(to), "R1", "went back to {to}, before {from} it was {:?}", head.champion);
    ensure!(folded.head.champion == head.champion, "R1", "champion is {:?}", folded.head.champion);
    ensure!(
        folded.head.previous_champion == head.previous_champion,
        "R1",
        "the champion before is {:?}, it was {:?}",
        folded.head.previous_champion,
        head.previous_champion
    );
    let serving = seen.transaction.serving.variants(&folded.head.endpoint.name);
    ensure!(serving == before.served, "R1", "{serving:?} is served, it was {:?}", before.served);
    Ok(())
}
