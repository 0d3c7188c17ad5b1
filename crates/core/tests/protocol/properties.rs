//! What must always hold, and what must be reached so that the rest means something.

use refit_core::run::RunStatus;
use stateright::{Model as _, Property};

use crate::model::Protocol;
use crate::state::{State, Worker};
use crate::weakness::Weakness;

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always("L1: no more runs than slots hold one", |protocol: &Protocol, state: &State| {
            state.expected_holders().len() <= protocol.bounds.slots
        }),
        Property::always("L1: no more executions run than there are slots", |protocol: &Protocol, state: &State| {
            state.running().count() <= protocol.bounds.slots
        }),
        Property::always("L1: whatever runs holds a slot", |_, state: &State| {
            let holders = state.expected_holders();
            state.running().all(|it| holders.contains(&(it.model, it.run)))
        }),
        Property::always("L1: slots are held by exactly the runs that hold one", slots_add_up),
        Property::always("T1: a run has at most one execution", |_, state: &State| {
            state.executions.windows(2).all(|it| (it[0].model, it[0].run) != (it[1].model, it[1].run))
        }),
        Property::always("U1: each record is one event, and none is lost", |_, state: &State| {
            state.items.iter().zip(&state.events).all(|(item, events)| item.generation == *events)
        }),
        Property::always("E3, P1: nothing that never may", |_, state: &State| state.broken.is_none()),
        Property::always("P1: the champion exists", |_, state: &State| {
            state.items.iter().all(|it| 0 < it.champion && it.champion <= it.versions && it.champion != it.previous)
        }),
        Property::always("R1: one request goes back one step", |_, state: &State| {
            state.back_in_row.iter().all(|it| *it <= 1)
        }),
        Property::always("whatever is under way can go on, and at rest the champion serves", rest_is_quiet),
        Property::sometimes("a candidate is promoted", |protocol: &Protocol, state: &State| {
            state.items.iter().any(|it| protocol.bounds.champions < it.champion)
        }),
        Property::sometimes("a champion is taken back", |protocol: &Protocol, state: &State| {
            protocol.bounds.rollbacks == 0 || state.items.iter().any(|it| it.is_rolled_back)
        }),
        Property::sometimes("a candidate loses its basis", |protocol: &Protocol, state: &State| {
            let is_lost = |it: &crate::state::Item| {
                it.run.is_some_and(|run| run.status == RunStatus::Rejected && run.basis != it.champion)
            };
            protocol.bounds.rollbacks == 0 || state.items.iter().any(is_lost)
        }),
        Property::sometimes("a late worker is refused", |_, state: &State| state.has_conflicted),
        Property::sometimes("a run waits for a slot", |protocol: &Protocol, state: &State| {
            let is_waiting = |it: &crate::state::Item| it.run.is_some_and(|run| run.status == RunStatus::Queued);
            protocol.bounds.models <= protocol.bounds.slots
                || protocol.bounds.slots == state.slots.holders.len() && state.items.iter().any(is_waiting)
        }),
    ]
}

fn is_at_rest(worker: &Worker) -> bool {
    *worker == Worker::Idle
}

fn slots_add_up(protocol: &Protocol, state: &State) -> bool {
    let expected = state.expected_holders();
    if protocol.weakness == Weakness::Counter {
        // Between counting and recording a count may be off; with nobody at it, it must not.
        return !state.workers.iter().all(is_at_rest) || usize::from(state.slots.count) == expected.len();
    }
    state.slots.holders == expected && state.slots.waiting.len() == state.queued()
}

/// Where nothing can happen any more, everything has ended and the endpoint serves the champion.
fn rest_is_quiet(protocol: &Protocol, state: &State) -> bool {
    let mut actions = Vec::new();
    protocol.actions(state, &mut actions);
    let is_done = |(item, serving): (&crate::state::Item, &u8)| {
        item.active().is_none() && item.rollback.is_none() && item.champion == *serving
    };
    !actions.is_empty() || state.items.iter().zip(&state.serving).all(is_done)
}
