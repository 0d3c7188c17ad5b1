//! From a running execution to a judged candidate.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Decision, POLL, Plan, Record, Step, WaitingOn};
use crate::actor::Actor;
use crate::approval::Approval;
use crate::audit::{AfterEvaluation, Fact};
use crate::decision::DecisionKind;
use crate::evaluation::{Evaluation, Evidence, Verdict, evaluate};
use crate::guard::Guard;
use crate::model::Model;
use crate::package::Package;
use crate::policy::ModelPolicy;
use crate::run::{
    Announcement, ExecutionStatus, Failure, FailureClass, Outcome, OutcomeCode, Run, RunStatus, StopReason,
};

use super::cancel::canceled;
use super::check::superseded;
use super::promote::approval_basis;
use crate::names::RunId;
use crate::policy::Span;

/// How long after a stop an execution may still come to light: a Lambda function lives 15 minutes at the most (Lambda quotas,
/// function timeout), so that no worker is left that planned a start before.
pub const START_GRACE: Span = Span::from_const_seconds(1_200);

/// What the service says about the run's execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedExecution {
    /// Its status.
    pub status: ExecutionStatus,
    /// Why it failed: the service's words and the failed step's.
    pub failure: Option<String>,
}

/// What a run's execution left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateOutputs {
    /// The package, as a candidate, with its measured quality.
    pub package: Package,
    /// Candidate and champion on the hold-out.
    pub evidence: Evidence,
}

/// Why a run's outputs cannot be judged; not the model's fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputsProblem(pub String);

/// What judging looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateInputs<'a> {
    /// The state: HEAD, the active run, the champion's package.
    pub model: &'a Model,
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// The execution; needed while the run trains or stops.
    pub execution: Option<&'a ObservedExecution>,
    /// The execution that has the run's display name; needed while the run stops and does not know its execution.
    pub found: Option<&'a str>,
    /// The outputs; needed while the run is Evaluating.
    pub outputs: Option<Result<&'a CandidateOutputs, &'a OutputsProblem>>,
    /// Steps performed since the run's status last changed.
    pub performed: &'a [Step],
}

/// Plans the way of a run from Training to a judged candidate.
pub fn plan_evaluate(inputs: &EvaluateInputs<'_>) -> Plan {
    let Some(run) = inputs.model.active_run() else {
        return Plan::Wait { on: WaitingOn::Nothing, until: None };
    };
    match run.status {
        RunStatus::Training | RunStatus::Stopping => plan_observed(inputs, run),
        RunStatus::Evaluating => plan_judged(inputs, run),
        RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Starting
        | RunStatus::AwaitingApproval
        | RunStatus::Announced
        | RunStatus::RollingOut
        | RunStatus::Succeeded
        | RunStatus::Rejected
        | RunStatus::Failed
        | RunStatus::Canceled
        | RunStatus::TimedOut => Plan::Wait { on: WaitingOn::Nothing, until: None },
    }
}

fn end(run: &Run, now: Timestamp, status: RunStatus, code: OutcomeCode, reason: String) -> Plan {
    let outcome = Outcome { at: now, code, reason };
    Record::carried_out(Fact::RunEnded { run: run.id.clone(), status, outcome })
}

fn plan_observed(inputs: &EvaluateInputs<'_>, run: &Run) -> Plan {
    let now = inputs.now;
    let Some(arn) = run.execution.clone() else { return plan_unresolved(inputs, run) };
    let wait = |until: Timestamp| Plan::Wait { on: WaitingOn::Execution { arn: arn.clone() }, until: Some(until) };
    let Some(execution) = inputs.execution else { return plan_unknown(inputs, run, &arn) };
    if run.status == RunStatus::Stopping {
        let stop = Step::StopExecution { execution: arn.clone() };
        return if Guard::StopAwaited.holds(execution.status.is_terminal()) {
            end_stopped(inputs, run, None)
        } else if inputs.performed.contains(&stop) {
            wait(POLL.after(now))
        } else {
            Plan::Perform(stop)
        };
    }
    match execution.status {
        ExecutionStatus::Succeeded => Record::carried_out(Fact::RunTrained { run: run.id.clone() }),
        ExecutionStatus::Failed => plan_failed(inputs, run, execution),
        ExecutionStatus::Stopped => end(
            run,
            now,
            RunStatus::Canceled,
            OutcomeCode::ExecutionStopped,
            "the execution was stopped outside of Refit".to_owned(),
        ),
        ExecutionStatus::Executing | ExecutionStatus::Stopping => match run.deadline {
            Some(deadline) if deadline <= now && Guard::TimeoutStops.is_kept() => {
                Record::carried_out(Fact::RunStopping { run: run.id.clone(), because: StopReason::Timeout })
            }
            Some(deadline) => wait(deadline.min(POLL.after(now))),
            None => wait(POLL.after(now)),
        },
    }
}

/// A failure that may pass is tried again as long as the policy allows; the pipeline's own is not.
fn plan_failed(inputs: &EvaluateInputs<'_>, run: &Run, execution: &ObservedExecution) -> Plan {
    let reason = execution.failure.clone().unwrap_or_else(|| "the service gives no reason".to_owned());
    let class = FailureClass::of(&reason);
    let attempt = run.attempt();
    let retry = &inputs.policy.pipeline.retry;
    if class == FailureClass::Transient && attempt < retry.attempts {
        return Record::carried_out(Fact::RunRetrying {
            run: run.id.clone(),
            attempt,
            failure: Failure { class, reason },
            ready_at: retry.wait_after(attempt).after(inputs.now),
        });
    }
    let reason = if 1 < attempt { format!("{reason} (attempt {attempt} of {})", retry.attempts) } else { reason };
    end(run, inputs.now, RunStatus::Failed, OutcomeCode::ExecutionFailed, reason)
}

/// How a run ends that was stopped, for the reason that it was stopped for.
fn end_stopped(inputs: &EvaluateInputs<'_>, run: &Run, unknown: Option<String>) -> Plan {
    let now = inputs.now;
    match &run.stopping {
        Some(StopReason::Superseded) => {
            let head = &inputs.model.head;
            let by = RunId::new(&head.model, head.run_count + 1);
            let outcome = superseded(&by, now);
            let (findings, judgments) = (Vec::new(), Vec::new());
            let causes = run.causes.clone();
            Record::carried_out(Fact::RunSuperseded { run: run.id.clone(), by, causes, findings, judgments, outcome })
        }
        Some(StopReason::Released) => {
            end(run, now, RunStatus::Canceled, OutcomeCode::Released, "the model left the policy".to_owned())
        }
        Some(StopReason::NotStartable { reason }) => {
            end(run, now, RunStatus::Failed, OutcomeCode::NotStartable, reason.clone())
        }
        Some(StopReason::Canceled { by, reason }) => {
            let outcome = canceled(by, reason, now);
            Record::carried_out(Fact::RunEnded { run: run.id.clone(), status: RunStatus::Canceled, outcome })
        }
        Some(StopReason::Timeout) | None => {
            let took = run.deadline.map_or_else(String::new, |it| format!(" and was still training at {it}"));
            let timeout = inputs.policy.pipeline.timeout;
            let reason = unknown.unwrap_or_else(|| format!("the execution took longer than {timeout}{took}"));
            end(run, now, RunStatus::TimedOut, OutcomeCode::TimedOut, reason)
        }
    }
}

/// A run that was stopped while it was being started: whether there is an execution is not known. One of its name is its
/// own, is recorded, and is stopped. That there is none is certain once every worker that may still start one is over, and
/// the service had time to list what it started.
fn plan_unresolved(inputs: &EvaluateInputs<'_>, run: &Run) -> Plan {
    let now = inputs.now;
    if let Some(execution) = inputs.found {
        if run.status != RunStatus::Stopping {
            // Only damage leads here: what runs has a slot, so it is stopped like everything that has one.
            let reason = "the record of its execution was lost".to_owned();
            let because = StopReason::Canceled { by: Actor::refit(), reason };
            return Record::carried_out(Fact::RunStopping { run: run.id.clone(), because });
        }
        let deadline = run.deadline.unwrap_or(now);
        let execution = execution.to_owned();
        return Record::carried_out(Fact::RunTraining { run: run.id.clone(), execution, deadline });
    }
    let since = run.stopping_since(now).or(run.starting_at).unwrap_or(run.requested_at);
    let certain_at = START_GRACE.after(since);
    if certain_at <= now {
        return if run.status == RunStatus::Stopping {
            end_stopped(inputs, run, Some("no execution was started".to_owned()))
        } else {
            let reason = "the run does not know its execution, and the service has none of its name".to_owned();
            end(run, now, RunStatus::Failed, OutcomeCode::ExecutionFailed, reason)
        };
    }
    let on = WaitingOn::Execution { arn: run.display_name() };
    Plan::Wait { on, until: Some(certain_at.min(POLL.after(now))) }
}

/// The service does not know the execution: it may lag behind its own answer, but not for as long as a run may take.
fn plan_unknown(inputs: &EvaluateInputs<'_>, run: &Run, arn: &str) -> Plan {
    let now = inputs.now;
    let stopped = run.stopping_since(now).filter(|_| run.status == RunStatus::Stopping).map(|it| START_GRACE.after(it));
    let until = [run.deadline, stopped].into_iter().flatten().min();
    let Some(deadline) = until.filter(|it| Guard::UnknownAwaited.holds(*it <= now)) else {
        let until = until.map_or(POLL.after(now), |it| it.min(POLL.after(now)));
        return Plan::Wait { on: WaitingOn::Execution { arn: arn.to_owned() }, until: Some(until) };
    };
    let reason = format!("the pipeline service does not know execution {arn}, which had time until {deadline}");
    if run.status == RunStatus::Stopping {
        end_stopped(inputs, run, Some(reason))
    } else {
        end(run, now, RunStatus::Failed, OutcomeCode::ExecutionFailed, reason)
    }
}

fn plan_judged(inputs: &EvaluateInputs<'_>, run: &Run) -> Plan {
    let now = inputs.now;
    let outputs = match inputs.outputs {
        Some(Ok(outputs)) => outputs,
        Some(Err(problem)) => return end(run, now, RunStatus::Failed, OutcomeCode::InvalidOutputs, problem.0.clone()),
        // The execution could not be seen this time; it has ended well, so it is somewhere.
        None => {
            let arn = run.execution.clone().unwrap_or_else(|| run.display_name());
            return Plan::Wait { on: WaitingOn::Execution { arn }, until: Some(POLL.after(now)) };
        }
    };
    let head = &inputs.model.head;
    let champion = inputs.model.champion();
    let promotion = &inputs.policy.promotion;
    if !Guard::ComparedChampion.holds(run.champion == head.champion) {
        let reason = "the champion changed while the candidate was trained: the comparison no longer applies";
        return end(run, now, RunStatus::Rejected, OutcomeCode::BasisChanged, reason.to_owned());
    }
    let evaluation = evaluate(
        outputs.evidence.clone(),
        &inputs.policy.gates,
        promotion.auto_promote.as_ref(),
        champion.is_some(),
        head.frozen.as_deref(),
    );
    let (outcome, next) = follow(inputs, run, outputs, &evaluation, champion);
    if let AfterEvaluation::Reject { .. } = next {
        let reject = Step::SetApproval { package_arn: outputs.package.arn.clone(), is_approved: false };
        if !inputs.performed.contains(&reject) {
            return Plan::Perform(reject);
        }
    }
    let mut reasons: Vec<String> = evaluation
        .gates
        .iter()
        .flat_map(|gate| {
            let trial = if gate.is_enforced() { "" } else { "dry run, " };
            gate.reasons.iter().map(move |reason| format!("{trial}{}: {reason}", gate.verdict.name()).to_lowercase())
        })
        .collect();
    reasons.push(evaluation.auto_promotion.reason.clone());
    let details =
        json!({ "evaluation": evaluation, "candidate": outputs.package, "champion": champion.map(|it| it.version) });
    let decision = Decision { kind: DecisionKind::Evaluation, outcome, reasons, inputs: Arc::new(details) };
    let fact = Fact::CandidateEvaluated {
        run: run.id.clone(),
        package: Arc::new(outputs.package.clone()),
        evaluation: Arc::new(evaluation),
        next,
    };
    Plan::Record(Box::new(Record { fact, actor: Actor::refit(), decision: Some(decision) }))
}

fn follow(
    inputs: &EvaluateInputs<'_>,
    run: &Run,
    outputs: &CandidateOutputs,
    evaluation: &Evaluation,
    champion: Option<&Package>,
) -> (String, AfterEvaluation) {
    let now = inputs.now;
    let promotion = &inputs.policy.promotion;
    let version = outputs.package.version;
    let verdict = if Guard::GatesDecide.is_kept() { evaluation.verdict } else { Verdict::Passed };
    match verdict {
        Verdict::Failed | Verdict::Errored => {
            let failed: Vec<&str> = evaluation
                .gates
                .iter()
                .filter(|it| it.is_enforced() && matches!(it.verdict, Verdict::Failed | Verdict::Errored))
                .flat_map(|it| it.reasons.iter().map(String::as_str))
                .collect();
            let outcome = Outcome { at: now, code: OutcomeCode::GateFailed, reason: failed.join("; ") };
            (format!("version {version} is rejected: a gate did not pass"), AfterEvaluation::Reject { outcome })
        }
        Verdict::Passed if evaluation.auto_promotion.is_granted => {
            let announcement =
                Announcement { seq: inputs.model.head.audit_seq + 1, deadline: promotion.notice_timeout.after(now) };
            (format!("version {version} is promoted without a person"), AfterEvaluation::Announce { announcement })
        }
        Verdict::Passed | Verdict::Inconclusive => {
            let approval = Approval {
                schema: Approval::SCHEMA,
                run: run.id.clone(),
                generation: 1,
                basis: approval_basis(&outputs.package, champion, Some(evaluation), inputs.policy),
                requested_at: now,
                expires_at: promotion.expires.after(now),
                needed: promotion.approvals,
                votes: Vec::new(),
            };
            (
                format!("version {version} waits for {} approval(s)", promotion.approvals),
                AfterEvaluation::AskApproval { approval },
            )
        }
    }
}
