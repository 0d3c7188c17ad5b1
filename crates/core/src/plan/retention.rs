//! What ended runs wrote, once their keep time is over: first the intent is recorded, then it is removed.
//!
//! The intent and every change of the champion are conditional on the same HEAD: whichever comes first, the other is
//! planned anew. A version whose intent is recorded is no longer promotable, and what a rollback could still reach is never
//! among it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Plan, Record, Step, WaitingOn};
use crate::audit::Fact;
use crate::guard::Guard;
use crate::model::Model;
use crate::names::{ObjectUri, RunId};
use crate::package::Package;
use crate::policy::ModelPolicy;
use crate::run::Run;

/// How many runs are looked at, at most, in one plan.
pub const RUNS_LOOKED_AT: u64 = 20;

/// What cleaning up looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionInputs<'a> {
    /// The state: HEAD and, unless something is being removed already, every package.
    pub model: &'a Model,
    /// The runs after the last that was looked at, in their order, at most [`RUNS_LOOKED_AT`].
    pub runs: &'a [Arc<Run>],
    /// What is wanted.
    pub policy: &'a ModelPolicy,
    /// The time.
    pub now: Timestamp,
    /// Below which address runs write.
    pub runs_root: &'a ObjectUri,
    /// Steps performed since the state last changed.
    pub performed: &'a [Step],
}

/// Plans the removal of what at most one run wrote.
pub fn plan_retention(inputs: &RetentionInputs<'_>) -> Plan {
    let head = &inputs.model.head;
    if let Some(run) = head.cleaning.first() {
        return plan_removal(inputs, run);
    }
    let nothing = Plan::Wait { on: WaitingOn::Nothing, until: None };
    let is_busy = head.active_run.is_some() || head.active_rollback.is_some() || head.released_at.is_some();
    let (Some(retention), true) = (&inputs.policy.retention, Guard::CleansWhenIdle.holds(!is_busy)) else {
        return nothing;
    };
    let Some(kept) = find_restorable(inputs.model) else { return nothing };
    let ended_long_ago = |run: &Run| {
        let ended = run.outcome.as_ref().filter(|_| run.status.is_terminal());
        ended.is_some_and(|it| retention.runs.after(it.at) <= inputs.now)
    };
    let mut until = head.cleaned_runs;
    for run in inputs.runs.iter().take_while(|it| ended_long_ago(it)) {
        until = until.saturating_add(1);
        if Guard::KeepsReferenced.holds(!kept.iter().any(|it| is_from(it, &run.id, inputs.runs_root))) {
            let made = inputs.model.packages.values().filter(|it| is_from(it, &run.id, inputs.runs_root));
            let versions = made.map(|it| it.version).collect();
            return Record::carried_out(Fact::OutputsExpired { runs: vec![run.id.clone()], versions, until });
        }
    }
    // All of them are in use: the next plan begins after them.
    if head.cleaned_runs.saturating_add(RUNS_LOOKED_AT) <= until {
        return Record::carried_out(Fact::OutputsExpired { runs: Vec::new(), versions: Vec::new(), until });
    }
    nothing
}

fn plan_removal(inputs: &RetentionInputs<'_>, run: &RunId) -> Plan {
    let output = inputs.runs_root.join(run.as_ref()).expect("invariant: a run's name is part of an address");
    let step = Step::RemoveOutputs { output };
    if inputs.performed.contains(&step) {
        return Record::carried_out(Fact::OutputsRemoved { runs: vec![run.clone()] });
    }
    Plan::Perform(step)
}

/// The champion and everything that rollbacks could restore from it, one after the other; `None` when one of them is not
/// there: then nothing can be told to be out of use.
fn find_restorable(model: &Model) -> Option<Vec<&Package>> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut next: Vec<u64> = model.head.champion.into_iter().chain(model.head.previous_champion).collect();
    while let Some(version) = next.pop() {
        if seen.insert(version) {
            let package = model.packages.get(&version)?;
            next.extend(package.replaced.into_iter().chain(package.replaced_before.iter().copied().flatten()));
            found.push(&**package);
        }
    }
    Some(found)
}

/// Whether a run made a package, or the package's archive is among what the run wrote.
fn is_from(package: &Package, run: &RunId, runs_root: &ObjectUri) -> bool {
    package.run.as_ref() == Some(run) || runs_root.join(run.as_ref()).is_ok_and(|it| it.contains(&package.model))
}
