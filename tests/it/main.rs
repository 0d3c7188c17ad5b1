//! Tests of the whole: the walls between crates, names, licenses, and the handlers over the memory world.

mod adversity;
mod cli;
mod crash;
mod decisions;
mod events;
mod executable;
mod found;
mod found_damage;
mod iam;
mod invariants;
mod layering;
mod licenses;
mod names;
mod policies;
mod power;
mod race;
mod replay;
mod repo;
mod retention;
mod routes;
mod sim;
mod support;
mod support_events;
mod triggers;
mod windows;
