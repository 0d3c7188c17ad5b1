//! What forbids a run although a trigger asks for one.

use super::CheckInputs;
use crate::plan::Refusal;

/// What forbids a run now, if anything.
pub(super) fn guard(inputs: &CheckInputs<'_>) -> Option<Refusal> {
    let head = &inputs.model.head;
    if let Some(run) = &head.active_run {
        return Some(Refusal::RunActive(run.clone()));
    }
    let is_forced = inputs.manual.is_some_and(|it| it.force);
    let last = head.last_run_at?;
    let until = inputs.policy.triggers.cooldown.after(last);
    (!is_forced && inputs.now < until).then_some(Refusal::Cooldown { last, until })
}
