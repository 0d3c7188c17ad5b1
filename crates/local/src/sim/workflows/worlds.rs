//! Worlds at well-known moments, made once and then copied.

use std::sync::OnceLock;

use crate::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, Promotion, WorldSnapshot, policy};
use crate::sim::{Checker, Recorder};
use jiff::{SignedDuration, Timestamp};
use refit_core::policy::Policy;
use refit_handlers::Function;
use serde_json::{Value, json};

/// When every history begins: some hours after the day's check.
#[must_use]
pub fn beginning() -> Timestamp {
    "2026-01-05T03:00:00Z".parse().expect("invariant: a constant time")
}

/// A world at rest, and the checker that has seen its history.
#[derive(Debug, Clone)]
pub struct Base {
    /// The world.
    pub world: WorldSnapshot,
    /// What was seen.
    pub checker: Checker,
}

/// Model `m` is watched and has no champion.
#[must_use]
pub fn watched() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build(Promotion::Manual, 0))
}

/// Version 1 is champion, promoted by hand.
#[must_use]
pub fn one_champion() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build(Promotion::Manual, 1))
}

/// Version 1 is champion; the next is promoted without a person if it is good enough.
#[must_use]
pub fn automatic() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build(Promotion::Automatic, 1))
}

/// Version 2 is champion, version 1 was before; the next is promoted without a person if it is good enough.
#[must_use]
pub fn two_champions_automatic() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build(Promotion::Automatic, 2))
}

/// Version 2 is champion, version 1 was before.
#[must_use]
pub fn two_champions() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| build(Promotion::Manual, 2))
}

/// A person's request for a run.
#[must_use]
pub fn trigger(id: &str) -> Value {
    json!({ "kind": "trigger", "id": id, "model": MODEL, "actor": "ann", "reason": "fresh data" })
}

/// A person's vote on a run.
#[must_use]
pub fn vote(id: &str, run: u64, actor: &str, choice: &str) -> Value {
    json!({ "kind": "vote", "id": id, "run": format!("{MODEL}-r{run:04}"), "actor": actor, "choice": choice })
}

/// A person's request to take the champion back.
#[must_use]
pub fn rollback(id: &str) -> Value {
    json!({ "kind": "rollback", "id": id, "model": MODEL, "actor": "bob", "reason": "complaints" })
}

/// Sends a person's request, which must be taken.
#[track_caller]
pub fn ask(world: &mut MemoryWorld, function: Function, request: &Value) {
    match world.call(function, request) {
        Delivered::Answered(response) => assert_eq!(response.outcome, "done", "{response:?}"),
        other => panic!("{function}: {other:?}"),
    }
    world.drain();
}

/// Ends the one execution that is under way.
#[track_caller]
pub fn finish(world: &mut MemoryWorld, ending: &Ending) {
    let open = world.pipelines.open();
    assert_eq!(open.len(), 1, "one execution is under way");
    world.pipelines.finish(&open[0], ending).expect("invariant: it has not ended");
}

/// Promotes the next version by hand.
pub fn promote(world: &mut MemoryWorld, run: u64) {
    ask(world, Function::CheckTriggers, &trigger(&format!("base-t{run}")));
    // Better, but not by enough to be promoted without a person.
    finish(world, &Ending::Succeeded(Outputs::of_errors(9.0, 9.2)));
    world.drain();
    ask(world, Function::PromoteModel, &vote(&format!("base-v{run}"), run, "bob", "approve"));
}

fn build(promotion: Promotion, champions: u64) -> Base {
    build_under(&policy(promotion), champions)
}

/// A world under a policy, with so many champions, promoted by hand.
pub(super) fn build_under(policy: &Policy, champions: u64) -> Base {
    let mut world = MemoryWorld::new(beginning());
    let recorder = Recorder::watch(&mut world);
    let day = "2026-01-05T00:00:00Z".parse().expect("invariant: a constant time");
    world.apply_policy(policy, day).unwrap_done().expect("invariant: nothing fails");
    world.drain();
    for run in 1..=champions {
        promote(&mut world, run);
        // Labels of the next hours, so that there is a fresh hold-out.
        world.clock.advance(SignedDuration::from_hours(2));
    }
    let mut checker = Checker::new();
    checker.check(&world, &recorder.take()).expect("invariant: the base keeps every invariant");
    checker.finish(&world).expect("invariant: the base keeps every invariant");
    assert_eq!(world.dead_letters, [""; 0]);
    checker.freeze();
    Base { world: world.snapshot(), checker }
}
