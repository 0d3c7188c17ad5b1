//! Model check of the protocol: slots, fences, promotion and rollback, with two workers that may stop at any place.
//!
//! The model is small, and it is the code's: runs move by `RunStatus::after` and hold slots by `RunStatus::holds_slot`; each
//! worker reads HEAD, then slots and queue, decides as the planners do, performs a step or records in one conditional
//! transaction. A worker that does not act is paused, so that every zombie is among the interleavings, and all of them
//! within the bounds are tried. The same model with one weakness must fail: a check that finds nothing wrong in a wrong
//! protocol proves nothing about the right one.
//!
//! Not here: approvals (a vote is a record like any other), notices, priorities, attempts, windows, and data. A build
//! without optimization tries the smaller bounds; `cargo test --release -p refit-core --test protocol` the larger.

mod model;
mod plan;
mod properties;
mod state;
mod weakness;

use std::num::NonZeroUsize;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use model::Protocol;
use state::Bounds;
use weakness::Weakness;

/// Two models that share one slot and one queue.
const FLEET: Bounds = Bounds { models: 2, slots: 1, workers: 2, runs: 1, rollbacks: 0, crashes: 0, champions: 1 };
/// One model with a past, whose champion is taken back while a run goes on.
const PAST: Bounds = Bounds { models: 1, slots: 1, workers: 2, runs: 1, rollbacks: 1, crashes: 0, champions: 3 };

/// Checks every state within the bounds; returns how many there are.
#[track_caller]
fn check_holds(bounds: Bounds) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = Protocol { bounds, weakness: Weakness::None }.checker().threads(threads).spawn_bfs().join();
    println!("{bounds:?}: {} unique states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn a_champion_is_taken_back_while_a_run_goes_on() {
    let (bounds, expected) =
        if cfg!(debug_assertions) { (PAST, 60_000) } else { (Bounds { runs: 2, ..PAST }, 1_000_000) };
    let states = check_holds(bounds);
    assert!(expected < states, "{states}");
}

#[test]
fn two_models_share_a_slot() {
    let states = check_holds(FLEET);
    assert!(50_000 < states, "{states}");
}

#[test]
fn every_weakness_is_found() {
    for weakness in Weakness::ALL {
        let bounds = match weakness {
            Weakness::PromoteOverAnyone => PAST,
            Weakness::RollbackUnbound => Bounds { runs: 0, ..PAST },
            Weakness::None
            | Weakness::NoFence
            | Weakness::BlindSlots
            | Weakness::Counter
            | Weakness::ReleaseAnyone
            | Weakness::FreeEarly
            | Weakness::FreshKey => FLEET,
        };
        let protocol = Protocol { bounds, weakness };
        let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let broken = properties::all().into_iter().filter(|it| it.expectation == Expectation::Always);
        let found = broken.filter_map(|it| Some((it.name, checker.discovery(it.name)?))).next();
        let (name, path) = found.unwrap_or_else(|| panic!("{weakness:?} is not found"));
        let steps = path.into_actions().len();
        println!("{weakness:?}: `{name}` breaks after {steps} steps, {} states", checker.unique_state_count());
    }
}
