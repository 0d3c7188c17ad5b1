//! From a running execution to a judged candidate.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Decision, POLL, Plan, Record, Step, WaitingOn};
use crate::actor::Actor;
use crate::approval::Approval;
use crate::audit::{AfterEvaluation, Fact};
use crate::decision::DecisionKind;
use crate::evaluation::{Evaluation, Evidence, Verdict, evaluate};
use crate::model::Model;
use crate::package::Package;
use crate::policy::ModelPolicy;
use crate::run::{Announcement, ExecutionStatus, Outcome, OutcomeCode, Run, RunStatus, StopReason};

use super::promote::approval_basis;

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
    let arn = run.execution.clone().expect("invariant: a training run has an execution");
    let now = inputs.now;
    let wait = |until: Timestamp| Plan::Wait { on: WaitingOn::Execution { arn: arn.clone() }, until: Some(until) };
    let Some(execution) = inputs.execution else { return plan_unknown(inputs, run, &arn) };
    if run.status == RunStatus::Stopping {
        let stop = Step::StopExecution { execution: arn.clone() };
        return if execution.status.is_terminal() && run.stopping == Some(StopReason::Released) {
            end(run, now, RunStatus::Canceled, OutcomeCode::Released, "the model left the policy".to_owned())
        } else if execution.status.is_terminal() {
            let took = run.deadline.map_or_else(String::new, |it| format!(" and was still training at {it}"));
            end(
                run,
                now,
                RunStatus::TimedOut,
                OutcomeCode::TimedOut,
                format!("the execution took longer than {}{took}", inputs.policy.pipeline.timeout),
            )
        } else if inputs.performed.contains(&stop) {
            wait(POLL.after(now))
        } else {
            Plan::Perform(stop)
        };
    }
    match execution.status {
        ExecutionStatus::Succeeded => Record::carried_out(Fact::RunTrained { run: run.id.clone() }),
        ExecutionStatus::Failed => {
            let reason = execution.failure.clone().unwrap_or_else(|| "the service gives no reason".to_owned());
            end(run, now, RunStatus::Failed, OutcomeCode::ExecutionFailed, reason)
        }
        ExecutionStatus::Stopped => end(
            run,
            now,
            RunStatus::Canceled,
            OutcomeCode::ExecutionStopped,
            "the execution was stopped outside of Refit".to_owned(),
        ),
        ExecutionStatus::Executing | ExecutionStatus::Stopping => match run.deadline {
            Some(deadline) if deadline <= now => {
                Record::carried_out(Fact::RunStopping { run: run.id.clone(), because: StopReason::Timeout })
            }
            Some(deadline) => wait(deadline.min(POLL.after(now))),
            None => wait(POLL.after(now)),
        },
    }
}

/// The service does not know the execution: it may lag behind its own answer, but not for as long as a run may take.
fn plan_unknown(inputs: &EvaluateInputs<'_>, run: &Run, arn: &str) -> Plan {
    let now = inputs.now;
    let Some(deadline) = run.deadline.filter(|it| *it <= now) else {
        let until = run.deadline.map_or(POLL.after(now), |it| it.min(POLL.after(now)));
        return Plan::Wait { on: WaitingOn::Execution { arn: arn.to_owned() }, until: Some(until) };
    };
    let reason = format!("the pipeline service does not know execution {arn}, which had time until {deadline}");
    if run.status == RunStatus::Stopping {
        end(run, now, RunStatus::TimedOut, OutcomeCode::TimedOut, reason)
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
            let arn = run.execution.clone().expect("invariant: a run that was trained has an execution");
            return Plan::Wait { on: WaitingOn::Execution { arn }, until: Some(POLL.after(now)) };
        }
    };
    let head = &inputs.model.head;
    let champion = inputs.model.champion();
    let promotion = &inputs.policy.promotion;
    if run.champion != head.champion {
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
    let decision = Decision { kind: DecisionKind::Evaluation, outcome, reasons, inputs: details };
    let fact = Fact::CandidateEvaluated {
        run: run.id.clone(),
        package: Box::new(outputs.package.clone()),
        evaluation: Box::new(evaluation),
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
    match evaluation.verdict {
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
