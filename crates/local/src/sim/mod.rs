//! The simulator: the real core, use cases and handlers over the memory world, under every fault, by seed.
//!
//! A schedule begins with a fleet at rest ([`base`]) and has two phases. In the first, workers interleave at the calls of
//! their ports, the bus delivers in any order, twice or never, people and services do what they may at any time, and
//! calls fail ([`dice`]); every invariant that must hold at every instant is checked after every transaction
//! ([`checks`]). In the second, faults have stopped, and everything has to come to rest within bounds.
//!
//! A seed says everything: what is drawn for a call or step depends on nothing but the seed and its place. So a schedule
//! can be played again, and pieces of it can be left out to find what a failure needs ([`shrink`]).

mod actions;
pub mod any_state;
pub mod base;
pub mod checks;
mod damage;
pub mod dice;
mod fleet;
pub mod pairs;
mod people;
#[cfg(feature = "planted-bugs")]
pub mod power;
pub mod record;
mod report;
pub mod rng;
mod ruins;
mod run;
mod schedule;
mod settle;
pub mod workflows;

pub use checks::{CHECKS, Check, Checked, Checker, Violation};
pub use dice::Mask;
pub use fleet::{DayProgress, FleetSize, FleetYear, play_fleet};
pub use record::{Recorder, Transaction};
pub use report::{Ended, Stats};
pub use run::{
    Progress, Seeds, Tally, play, play_any_state, play_any_state_traced, play_many, play_traced, play_twice, shrink,
};
pub use schedule::Simulation;
pub use settle::Bounds;
