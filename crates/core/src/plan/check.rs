//! Whether to retrain: judges closed windows, asks every trigger, lets the guards object.

use jiff::Timestamp;
use serde_json::json;

use super::{Decision, Plan, Record, Refusal, WaitingOn};
use crate::actor::Actor;
use crate::audit::Fact;
use crate::decision::DecisionKind;
use crate::model::{Head, Model};
use crate::names::RunId;
use crate::policy::ModelPolicy;
use crate::trigger::{
    Cause, CauseKind, Finding, FindingOutcome, Judgment, JudgmentKind, WindowEvidence, WindowVerdict, judge,
};

/// A person's request to retrain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualRequest {
    /// Who.
    pub actor: Actor,
    /// Why, in their words; not empty.
    pub reason: String,
    /// Skip the cooldown, and nothing else.
    pub force: bool,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckInputs<'a> {
    /// The state: HEAD, the champion's package and the active run.
    pub model: &'a Model,
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// Closed windows that were not judged yet, oldest first.
    pub windows: &'a [WindowEvidence],
    /// A person's request.
    pub manual: Option<&'a ManualRequest>,
}

/// When the triggers are to be checked next.
#[must_use]
pub fn next_check(head: &Head, policy: &ModelPolicy) -> Timestamp {
    let every = policy.triggers.check_every;
    let grid = every.after(every.floor(head.checked_at));
    let scheduled = policy.triggers.schedule.as_ref().and_then(|cron| cron.next_after(head.checked_at));
    scheduled.map_or(grid, |it| it.min(grid))
}

/// Plans a check; [`Plan::Record`] always carries a decision record.
pub fn plan_check(inputs: &CheckInputs<'_>) -> Plan {
    let head = &inputs.model.head;
    if inputs.manual.is_none() && inputs.now < next_check(head, inputs.policy) {
        return Plan::Wait { on: WaitingOn::NextCheck, until: None };
    }
    let triggers = &inputs.policy.triggers;
    let champion = inputs.model.champion();
    let judgments: Vec<Judgment> = inputs
        .windows
        .iter()
        .filter_map(|it| judge(it, triggers.drift.as_ref(), triggers.performance.as_ref(), champion, inputs.now))
        .collect();
    let mut findings = find(inputs, &judgments);
    let guard = guard(inputs);
    if let (Some(guard), true) = (&guard, inputs.manual.is_some()) {
        return Plan::Refuse(guard.clone());
    }
    if let Some(guard) = &guard {
        for finding in findings.iter_mut().filter(|it| it.outcome == FindingOutcome::Fired) {
            finding.outcome = FindingOutcome::Suppressed;
            finding.reason = format!("{}; suppressed: {guard}", finding.reason);
        }
    }
    let causes: Vec<Cause> = findings
        .iter()
        .filter(|it| it.outcome == FindingOutcome::Fired)
        .map(|it| Cause { kind: it.kind, reason: it.reason.clone() })
        .collect();
    let reasons = findings.iter().map(|it| format!("{}: {}", it.kind, it.reason)).collect();
    let details = json!({
        "checked_at": head.checked_at,
        "last_run_at": head.last_run_at,
        "active_run": head.active_run,
        "findings": findings,
        "judgments": judgments,
    });
    let decide = |outcome: String| Some(Decision { kind: DecisionKind::Check, outcome, reasons, inputs: details });
    let actor = inputs.manual.map_or_else(Actor::schedule, |it| it.actor.clone());
    if causes.is_empty() {
        let is_suppressed = findings.iter().any(|it| it.outcome == FindingOutcome::Suppressed);
        let outcome = if is_suppressed { "no retraining: suppressed" } else { "no retraining: no trigger fired" };
        let decision = decide(outcome.to_owned());
        let fact = Fact::TriggersChecked { findings, judgments };
        return Plan::Record(Box::new(Record { fact, actor, decision }));
    }
    let run = RunId::new(&head.model, head.run_count + 1);
    let kinds: Vec<&str> = causes.iter().map(|it| it.kind.name()).collect();
    let decision = decide(format!("retrain as {run}: {}", kinds.join(", ")));
    let fact = Fact::RunRequested { run, causes, findings, judgments };
    Plan::Record(Box::new(Record { fact, actor, decision }))
}

/// What forbids a run now, if anything.
fn guard(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let head = &inputs.model.head;
    if let Some(run) = &head.active_run {
        return Some(Refusal::RunActive(run.clone()));
    }
    let is_forced = inputs.manual.is_some_and(|it| it.force);
    let last = head.last_run_at?;
    let until = inputs.policy.triggers.cooldown.after(last);
    (!is_forced && inputs.now < until).then_some(Refusal::Cooldown { last, until })
}

fn find(inputs: &CheckInputs<'_>, judgments: &[Judgment]) -> Vec<Finding> {
    let head = &inputs.model.head;
    let triggers = &inputs.policy.triggers;
    let mut findings = Vec::new();
    let mut add = |kind, outcome, reason: String| findings.push(Finding { kind, outcome, reason });
    if let Some(manual) = inputs.manual {
        add(CauseKind::Manual, FindingOutcome::Fired, format!("{}: {}", manual.actor, manual.reason));
    }
    if let Some(performance) = &triggers.performance {
        let kinds = [
            (CauseKind::PerformanceDrop, performance.max_drop.is_some()),
            (CauseKind::PerformanceFloor, performance.floor.is_some()),
        ];
        for (kind, is_wanted) in kinds {
            if is_wanted {
                let (outcome, reason) = find_judgment(head, judgments, JudgmentKind::Performance, kind);
                add(kind, outcome, reason);
            }
        }
    }
    if triggers.drift.is_some() {
        let (outcome, reason) = find_judgment(head, judgments, JudgmentKind::Drift, CauseKind::DataDrift);
        add(CauseKind::DataDrift, outcome, reason);
    }
    if let Some(max) = triggers.age {
        let since = inputs
            .model
            .champion()
            .map(|it| head.last_run_at.map_or(it.registered_at, |last| last.max(it.registered_at)));
        let (outcome, reason) = match since {
            None => (FindingOutcome::Inconclusive, "there is no champion yet".to_owned()),
            Some(since) if max.after(since) <= inputs.now => {
                (FindingOutcome::Fired, format!("the last retraining was at {since}, more than {max} ago"))
            }
            Some(since) => (FindingOutcome::Quiet, format!("the last retraining was at {since}, within {max}")),
        };
        add(CauseKind::Age, outcome, reason);
    }
    if let Some(cron) = &triggers.schedule {
        let (outcome, reason) = match cron.next_after(head.checked_at) {
            Some(due) if due <= inputs.now => (FindingOutcome::Fired, format!("{cron} was due at {due}")),
            Some(due) => (FindingOutcome::Quiet, format!("{cron} is due at {due}")),
            None => (FindingOutcome::Quiet, format!("{cron} is never due again")),
        };
        add(CauseKind::Schedule, outcome, reason);
    }
    findings
}

/// What the newest judgment of this champion says. It asks for a run until one was requested at or after it.
fn find_judgment(head: &Head, fresh: &[Judgment], kind: JudgmentKind, cause: CauseKind) -> (FindingOutcome, String) {
    let stored = match kind {
        JudgmentKind::Drift => head.drift.as_ref(),
        JudgmentKind::Performance => head.performance.as_ref(),
    };
    let newest = fresh.iter().rev().find(|it| it.kind == kind && it.champion == head.champion).or(stored);
    let Some(judgment) = newest else {
        return (FindingOutcome::Inconclusive, "no window of this champion is closed yet".to_owned());
    };
    let is_spent = head.last_run_at.is_some_and(|it| judgment.at <= it);
    let reason = format!("{}: {}", judgment.window, judgment.reason);
    let outcome = match judgment.verdict {
        WindowVerdict::Inconclusive | WindowVerdict::Errored => FindingOutcome::Inconclusive,
        WindowVerdict::Stable | WindowVerdict::Drifted | WindowVerdict::Degraded => {
            if judgment.causes.contains(&cause) && !is_spent { FindingOutcome::Fired } else { FindingOutcome::Quiet }
        }
    };
    (outcome, reason)
}
