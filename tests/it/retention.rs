//! P6: what ended runs wrote is removed after its time, and never what is in use or could be.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_app::AppError;
use refit_app::queries;
use refit_core::ModelId;
use refit_core::model::Head;
use refit_core::package::Package;
use refit_core::policy::{RetentionPolicy, Span};
use refit_handlers::{Function, Response, handle};
use refit_local::memory::faults::{At, Calm, Fault, Faults};
use refit_local::memory::{Ending, MODEL, MemoryWorld, Outputs, Promotion, WorldSnapshot, policy, poll};
use refit_local::sim::{Checker, Recorder};
use serde_json::{Value, json};

use super::support::worlds::{ask, finish, rollback, trigger, two_champions, vote};

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn head(world: &MemoryWorld) -> Arc<Head> {
    poll(queries::get_head(&world.table, &model())).unwrap_done().expect("a head")
}

fn packages(world: &MemoryWorld) -> Vec<Package> {
    poll(queries::list_packages(&world.table, &model())).unwrap_done().expect("packages")
}

fn facts(checker: &Checker) -> Vec<&'static str> {
    checker.entries().iter().map(|it| it.event.fact.name()).filter(|it| it.starts_with("outputs")).collect()
}

fn promote_version(version: u64) -> Value {
    json!({ "kind": "promote", "id": "p", "model": MODEL, "version": version, "actor": "ann", "reason": "it was better" })
}

fn check_triggers() -> Value {
    json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": "check-triggers" } })
}

/// Version 2 is champion, version 1 was before, version 3 was rejected more than a day ago; runs are kept for a day, and a
/// check is due.
fn expired() -> (WorldSnapshot, Checker) {
    let base = two_champions();
    let mut world = MemoryWorld::at(&base.world);
    let recorder = Recorder::watch(&mut world);
    let mut checker = base.checker.clone();
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(40.0, 9.0)));
    world.drain();
    assert_eq!(packages(&world).len(), 3, "the third was judged");
    let mut wanted = policy(Promotion::Manual);
    wanted.models[0].retention = Some(RetentionPolicy { runs: Span::days(1) });
    let now = world.context().now();
    world.apply_policy(&wanted, now).unwrap_done().expect("it applies");
    world.drain();
    world.sweep_after(SignedDuration::from_mins(6));
    world.clock.advance(SignedDuration::from_hours(50));
    checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!((head(&world).active_run.clone(), facts(&checker)), (None, Vec::new()));
    (world.snapshot(), checker)
}

/// Every version has its archive, unless it is called removed; what is in use has it.
#[track_caller]
fn check_archives(world: &MemoryWorld, what: &str) {
    let head = head(world);
    for package in packages(world) {
        let is_there = world.objects.peek(&package.model).is_some();
        let in_use = [head.champion, head.previous_champion].contains(&Some(package.version));
        assert_eq!(is_there, package.removed_at.is_none(), "{what}: version {}", package.version);
        assert!(is_there || !in_use, "{what}: version {} is in use", package.version);
    }
}

#[test]
fn p6_what_a_rejected_run_wrote_is_removed_and_nothing_else() {
    let (snapshot, mut checker) = expired();
    let mut world = MemoryWorld::at(&snapshot);
    let recorder = Recorder::watch(&mut world);
    world.send(check_triggers());
    world.drain();
    for _ in 0..3 {
        world.sweep_after(SignedDuration::from_hours(24));
    }
    checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("{violation}"));
    checker.finish(&world).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(facts(&checker), ["outputs_expired", "outputs_removed"], "once, although it is checked again");
    check_archives(&world, "in the end");
    let gone: Vec<u64> = packages(&world).iter().filter(|it| it.removed_at.is_some()).map(|it| it.version).collect();
    assert_eq!(gone, [3]);
    let removed = world.objects.removed_from(0);
    assert!(removed.iter().all(|it| it.key().contains("/m-r0003/") || it.key().starts_with("runs/m-r0003/")));
    assert!(2 < removed.len(), "{removed:?}");
    let refused = format!("{:?}", world.call(Function::PromoteModel, &promote_version(3)));
    assert!(refused.contains("what its run wrote was removed"), "{refused}");
}

/// A worker checks the triggers and is frozen before one of its calls, once before each; meanwhile people do something.
#[track_caller]
fn interleave(what: &str, meanwhile: impl Fn(&mut MemoryWorld)) -> Vec<Arc<Head>> {
    type Work = Pin<Box<dyn Future<Output = Result<Response, AppError>> + Send>>;
    let (snapshot, before) = expired();
    let mut ends = Vec::new();
    for index in 1.. {
        let what = format!("{what}, frozen before call {index}");
        let (mut world, mut checker) = (MemoryWorld::at(&snapshot), before.clone());
        let recorder = Recorder::watch(&mut world);
        world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
        let context = world.context();
        let mut frozen: Work =
            Box::pin(async move { handle(Function::CheckTriggers, &context, &check_triggers()).await });
        let mut go_on = || frozen.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(done) = go_on() {
            assert!(done.is_ok() && 10 < index, "{what}: {done:?}");
            return ends;
        }
        world.set_faults(Faults::new(Calm));
        meanwhile(&mut world);
        let _ = go_on();
        for _ in 0..4 {
            world.sweep_after(SignedDuration::from_mins(6));
        }
        world.sweep_after(SignedDuration::from_hours(25));
        world.sweep_after(SignedDuration::from_mins(6));
        checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("{what}: {violation}"));
        checker.finish(&world).unwrap_or_else(|violation| panic!("{what}: {violation}"));
        check_archives(&world, &what);
        let end = head(&world);
        assert!(end.cleaning.is_empty(), "{what}: what was begun is done");
        ends.push(end);
    }
    ends
}

#[test]
fn p6_a_version_that_is_promoted_again_is_not_removed() {
    let ends = interleave("promotion", |world| {
        world.call(Function::PromoteModel, &promote_version(3));
        world.drain();
        world.call(Function::PromoteModel, &vote("v", 4, "bob", "approve"));
        world.drain();
    });
    let promoted = ends.iter().filter(|it| it.champion == Some(3)).count();
    assert!(0 < promoted && promoted < ends.len(), "{promoted} of {}: whoever is first wins", ends.len());
}

#[test]
fn p6_a_rollback_finds_what_it_restores() {
    let ends = interleave("rollback", |world| {
        world.call(Function::PromoteModel, &rollback("b"));
        world.drain();
    });
    assert!(ends.iter().all(|it| it.champion == Some(1)));
}

#[test]
fn p6_a_removal_that_dies_is_gone_on_with() {
    let ends = interleave("sweep", |world| world.sweep_after(SignedDuration::from_mins(6)));
    assert!(ends.iter().all(|it| it.cleaned_runs == 3), "{ends:?}");
}
