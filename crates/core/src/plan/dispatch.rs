//! Which run of the fleet is started next: slots, the queue, and the order in it.
//!
//! The fleet is a subject of its own. A run takes a slot in one transaction that fails if the slots, the queue or its own
//! model have changed since they were read, so that at every instant at most `concurrent_runs` hold one, however many
//! workers dispatch. Who is in the queue and who holds a slot follows from the runs' statuses alone ([`Queue::follow`],
//! [`Slots::follow`]): both documents are written with the status.
//!
//! Order: by effective priority, which is the run's own plus one for each aging step that it has waited; then by when
//! it was queued; then by name. Priorities differ by three at the most, so that no run that was queued four steps after
//! another goes before it: whatever arrives, each run's turn comes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::guard::Guard;
use crate::model::Model;
use crate::names::RunId;
use crate::policy::{Priority, Span};
use crate::run::{Run, RunStatus};
use crate::trigger::CauseKind;

/// The fleet's slots: a set of holders, so that taking twice is taking once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// Document version.
    pub schema: u16,
    /// Which runs hold a slot.
    pub holders: BTreeMap<RunId, Holder>,
}

/// Who holds a slot, and where to look whether it still needs it, should the run itself be unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Since when.
    pub since: Timestamp,
    /// The pipeline that its execution belongs to.
    pub pipeline: String,
    /// The display name that its execution has, if it was started.
    pub display_name: String,
}

/// The runs that wait for a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Document version.
    pub schema: u16,
    /// What is known of each, without looking at its model.
    pub entries: BTreeMap<RunId, QueueEntry>,
}

/// A run that waits for a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueEntry {
    /// How urgent it is.
    pub priority: Priority,
    /// Since when it waits.
    pub enqueued_at: Timestamp,
    /// From when on it may be started.
    pub ready_at: Timestamp,
    /// Why it was requested, each kind once.
    pub causes: Vec<CauseKind>,
    /// Until when it is passed over, because it could not be started though its turn had come.
    pub parked_until: Option<Timestamp>,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { schema: Slots::SCHEMA, holders: BTreeMap::new() }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { schema: Queue::SCHEMA, entries: BTreeMap::new() }
    }
}

impl Slots {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// The slots after a model's state changed, if it took or freed one.
    #[must_use]
    pub fn follow(&self, before: &Model, after: &Model, now: Timestamp) -> Option<Slots> {
        let mut holders = Cow::Borrowed(&self.holders);
        for (id, run) in &after.runs {
            let held_before = before.runs.get(id).is_some_and(|it| it.status.holds_slot());
            let holds = run.status.holds_slot();
            if holds && !held_before {
                let pipeline = run.request.as_ref().map(|it| it.pipeline.clone()).unwrap_or_default();
                let holder = Holder { since: now, pipeline, display_name: run.display_name() };
                if Guard::SlotTaken.is_kept() {
                    holders.to_mut().insert(id.clone(), holder);
                }
            } else if !holds && held_before && Guard::SlotFreed.is_kept() {
                holders.to_mut().remove(id);
            }
        }
        let holders = changed_from(holders, &self.holders)?;
        Some(Slots { schema: Slots::SCHEMA, holders })
    }
}

impl Queue {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// The queue after a model's state changed, if it changed.
    #[must_use]
    pub fn follow(&self, before: &Model, after: &Model) -> Option<Queue> {
        let mut entries = Cow::Borrowed(&self.entries);
        for (id, run) in &after.runs {
            let entry = QueueEntry::of(run);
            // An entry that was parked stays so until the run itself changes.
            if before.runs.get(id).and_then(|it| QueueEntry::of(it)) == entry {
                continue;
            }
            match entry {
                Some(entry) => _ = entries.to_mut().insert(id.clone(), entry),
                None if Guard::QueueLeft.is_kept() => _ = entries.to_mut().remove(id),
                None => {}
            }
        }
        let entries = changed_from(entries, &self.entries)?;
        Some(Queue { schema: Queue::SCHEMA, entries })
    }
}

/// What was copied in order to change it, if that made it another.
fn changed_from<T: Clone + PartialEq>(now: Cow<'_, T>, before: &T) -> Option<T> {
    match now {
        Cow::Owned(now) if now != *before => Some(now),
        Cow::Owned(_) | Cow::Borrowed(_) => None,
    }
}

impl QueueEntry {
    /// The entry of a run, if it waits for a slot.
    #[must_use]
    pub fn of(run: &Run) -> Option<QueueEntry> {
        if run.status != RunStatus::Queued {
            return None;
        }
        let enqueued_at = run.queued_at.unwrap_or(run.requested_at);
        let mut causes: Vec<CauseKind> = run.causes.iter().map(|it| it.kind).collect();
        causes.sort_unstable();
        causes.dedup();
        Some(QueueEntry {
            priority: run.priority,
            enqueued_at,
            ready_at: run.ready_at.unwrap_or(enqueued_at),
            causes,
            parked_until: None,
        })
    }

    /// Whether it is what follows from its run, and parked for no longer than anybody parks.
    #[must_use]
    pub fn is_of(&self, run: &Run, now: Timestamp) -> bool {
        let is_parked_for_good = self.parked_until.is_some_and(|it| LONGEST_PARKED.after(now) < it);
        let unparked = QueueEntry { parked_until: None, ..self.clone() };
        !is_parked_for_good && QueueEntry::of(run).is_some_and(|it| it == unparked)
    }

    /// From when on it may be started, parking included.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        self.parked_until.map_or(self.ready_at, |it| it.max(self.ready_at))
    }

    /// Its priority after waiting: one more for each step of `aging` since it was queued.
    #[must_use]
    pub fn effective_priority(&self, aging: Span, now: Timestamp) -> i64 {
        let own = match self.priority {
            Priority::Low => 0,
            Priority::Normal => 1,
            Priority::High => 2,
            Priority::Urgent => 3,
        };
        let waited = now.duration_since(self.enqueued_at).as_secs().max(0);
        own + waited / aging.as_seconds().max(1)
    }
}

/// Far longer than any entry is parked, whatever the clock of whoever parked it.
const LONGEST_PARKED: Span = Span::from_const_seconds(30 * 86_400);

/// What dispatching looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet<'a> {
    /// Who holds a slot.
    pub slots: &'a Slots,
    /// Who waits for one.
    pub queue: &'a Queue,
    /// How many slots there are.
    pub concurrent_runs: u32,
    /// After how much waiting a run counts as one priority higher.
    pub aging: Span,
}

/// What comes next for the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an unread plan starts nothing"]
pub enum Dispatch {
    /// A slot is free and it is this run's turn.
    Start(RunId),
    /// Runs are ready, all slots are taken.
    WaitForSlot {
        /// Who holds them.
        holders: Vec<RunId>,
    },
    /// Nobody is ready before this time.
    WaitUntil(Timestamp),
    /// Nobody waits.
    Rest,
}

/// Plans which run takes a slot next. Pure: the same fleet at the same time gives the same answer.
pub fn plan_dispatch(fleet: &Fleet<'_>, now: Timestamp) -> Dispatch {
    let ready = fleet.queue.entries.iter().filter(|(_, it)| it.due_at() <= now);
    let rank = |(id, entry): &(&RunId, &QueueEntry)| {
        (std::cmp::Reverse(entry.effective_priority(fleet.aging, now)), entry.enqueued_at, (*id).clone())
    };
    let Some((next, _)) = ready.min_by_key(rank) else {
        return match fleet.queue.entries.values().map(QueueEntry::due_at).min() {
            Some(earliest) => Dispatch::WaitUntil(earliest),
            None => Dispatch::Rest,
        };
    };
    let is_held = |it: &&Holder| Guard::SlotHeldToTheEnd.is_kept() || now < Span::hours(1).after(it.since);
    let held = fleet.slots.holders.values().filter(is_held).count();
    let is_free = Guard::SlotLimit.holds(usize::try_from(fleet.concurrent_runs).is_ok_and(|slots| held < slots));
    if is_free {
        Dispatch::Start(next.clone())
    } else {
        Dispatch::WaitForSlot { holders: fleet.slots.holders.keys().cloned().collect() }
    }
}

#[cfg(test)]
mod tests;
