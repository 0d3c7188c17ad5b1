//! What each trigger of the policy finds.

use super::CheckInputs;
use crate::model::Head;
use crate::trigger::{CauseKind, Finding, FindingOutcome, Judgment, JudgmentKind, WindowVerdict};

pub(super) fn find(inputs: &CheckInputs<'_>, judgments: &[Judgment]) -> Vec<Finding> {
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
    let fresh = fresh.iter().filter(|it| it.kind == kind && it.champion == head.champion);
    // The newest window's newest revision, wherever it stands.
    let newest = stored.into_iter().chain(fresh).max_by_key(|it| it.age());
    let Some(judgment) = newest else {
        return (FindingOutcome::Inconclusive, "no window of this champion is closed yet".to_owned());
    };
    let is_spent = head.last_run_at.is_some_and(|it| judgment.caused_at <= it);
    let reason = format!("{}: {}", judgment.window, judgment.reason);
    let outcome = match judgment.verdict {
        WindowVerdict::Inconclusive | WindowVerdict::Errored => FindingOutcome::Inconclusive,
        WindowVerdict::Stable | WindowVerdict::Drifted | WindowVerdict::Degraded => {
            if judgment.causes.contains(&cause) && !is_spent { FindingOutcome::Fired } else { FindingOutcome::Quiet }
        }
    };
    (outcome, reason)
}
