//! What forbids a run although a trigger asks for one.
//!
//! A guard never uses up what it holds back: judgments, scheduled times, alarms and events go on asking until a run is
//! requested. `force` skips the cooldown and nothing else. The loop breaker stops what Refit starts by itself, never a
//! person.

use jiff::Timestamp;

use super::CheckInputs;
use super::intake::{Intake, intake};
use crate::guard::Guard;
use crate::plan::Refusal;
use crate::policy::TriggersPolicy;
use crate::trigger::{Judgment, JudgmentKind, WindowVerdict};

/// What forbids a run now, the cooldown last: whoever reads "use --force" first would find another guard behind it.
pub(super) fn guards(inputs: &CheckInputs<'_>, fresh: &[Judgment]) -> Vec<Refusal> {
    // A run that waits still is requested already: only who suspended it wants nothing more of it.
    if let Intake::Coalesce(_) = intake(inputs) {
        return suspended(inputs).into_iter().collect();
    }
    let all = [
        run_active(inputs),
        suspended(inputs),
        looping(inputs),
        frozen(inputs),
        over_budget(inputs),
        upstream(inputs, fresh),
        too_little(inputs),
        cooling(inputs),
    ];
    all.into_iter().flatten().collect()
}

fn run_active(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    match intake(inputs) {
        Intake::Hold => inputs.model.head.active_run.clone().map(Refusal::RunActive),
        Intake::Request | Intake::Coalesce(_) | Intake::Stop(_) | Intake::End(_) => None,
    }
}

fn suspended(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let suspension = inputs.model.head.suspended.clone()?;
    Some(Refusal::Suspended { by: suspension.by, at: suspension.at, reason: suspension.reason })
}

fn looping(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let setbacks = inputs.model.head.setbacks;
    let limit = inputs.policy.triggers.loop_breaker?.rejections;
    (inputs.manual.is_none() && limit <= setbacks).then_some(Refusal::LoopBreaker { setbacks, limit })
}

fn frozen(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let triggers = &inputs.policy.triggers;
    let today = triggers.timezone.date(inputs.now);
    let freeze = triggers.freeze.iter().find(|it| it.from <= today && today <= it.to)?;
    Some(Refusal::Freeze { from: freeze.from, to: freeze.to })
}

fn over_budget(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let limit = inputs.policy.triggers.budget?.runs_per_month;
    let from = budget_from(&inputs.policy.triggers, inputs.now)?;
    let runs = inputs.recent.requested.iter().filter(|it| from <= **it).count();
    let is_spent = usize::try_from(limit).is_ok_and(|limit| limit <= runs);
    is_spent.then(|| Refusal::Budget {
        runs,
        limit,
        month: inputs.policy.triggers.timezone.date(inputs.now).strftime("%Y-%m").to_string(),
    })
}

/// From when on a budget counts runs: the beginning of the month that it is in the fleet's time zone.
#[must_use]
pub fn budget_from(policy: &TriggersPolicy, now: Timestamp) -> Option<Timestamp> {
    policy.timezone.start_of(policy.timezone.date(now).first_of_month())
}

/// The newest window whose inputs were looked at is not whole. A person's request is held back, too: it would train on it.
fn upstream(inputs: &CheckInputs<'_>, fresh: &[Judgment]) -> Option<Refusal> {
    inputs.policy.triggers.upstream?;
    let all = inputs.recent.judgments.iter().chain(fresh);
    let seen = all.filter(|it| it.kind == JudgmentKind::Upstream && it.verdict.is_conclusive());
    let newest = seen.max_by_key(|it| it.age())?;
    let is_broken = newest.verdict == WindowVerdict::Broken;
    is_broken.then(|| Refusal::UpstreamBroken(format!("{}: {}", newest.window, newest.reason)))
}

fn too_little(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let limit = inputs.policy.triggers.volume?.min_predictions?;
    let predictions = inputs.recent.volume.as_ref()?.predictions;
    (inputs.manual.is_none() && predictions < limit).then_some(Refusal::Volume { predictions, limit })
}

fn cooling(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let is_forced = inputs.manual.is_some_and(|it| it.force);
    let last = inputs.model.head.last_run_before(inputs.now)?;
    let until = inputs.policy.triggers.cooldown.after(last);
    (!is_forced && inputs.now < until && Guard::Cooldown.is_kept()).then_some(Refusal::Cooldown { last, until })
}
