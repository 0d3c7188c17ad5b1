//! One run, one slot, one execution (L, T).

use jiff::SignedDuration;
use refit_app::documents::slots_key;
use refit_app::ports::Table;
use refit_handlers::Function;
use refit_local::memory::faults::{At, Calm, Fault, Faults};
use refit_local::memory::{Ending, MemoryWorld, poll};
use refit_local::sim::Recorder;
use serde_json::Value;

use super::{Worker, head, race};
use crate::support::player::{Player, Undisturbed};
use crate::support::workflows;
use crate::support::worlds::{ask, finish, one_champion, trigger};

#[test]
fn l1_triggers_at_once_request_one_run() {
    let mut world = MemoryWorld::at(&one_champion().world);
    // Both have read that no run is active when the first writes.
    for index in 1..=12 {
        let mut world = MemoryWorld::at(&one_champion().world);
        let recorder = Recorder::watch(&mut world);
        let mut checker = one_champion().checker.clone();
        world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
        let mut first = Worker::start(&world, Function::CheckTriggers, trigger("t1"));
        if first.go_on() {
            break;
        }
        world.set_faults(Faults::new(Calm));
        ask(&mut world, Function::CheckTriggers, &trigger("t2"));
        assert!(first.go_on());
        world.drain();
        checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("call {index}: {violation}"));
        assert_eq!(world.pipelines.executions().len(), 2, "the champion's and one more");
    }
    ask(&mut world, Function::CheckTriggers, &trigger("t1"));
    ask(&mut world, Function::CheckTriggers, &trigger("t2"));
    assert_eq!(head(&world)["run_count"], 2);
}

#[test]
fn l1_a_slot_is_held_until_the_service_says_that_it_is_over() {
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    world.sweep_after(SignedDuration::from_hours(3));
    let holders = |world: &MemoryWorld| {
        let item =
            poll(world.table.get(&slots_key())).unwrap_done().expect("memory does not fail").expect("there are slots");
        serde_json::from_str::<Value>(&item.body).expect("a document")["holders"]
            .as_object()
            .map_or(0, serde_json::Map::len)
    };
    for _ in 0..20 {
        world.sweep_after(SignedDuration::from_mins(6));
        assert_eq!((holders(&world), world.pipelines.open().len()), (1, 1), "it stops, but has not stopped");
    }
    finish(&mut world, &Ending::Stopped);
    world.drain();
    assert_eq!(holders(&world), 0);
}

#[test]
fn t1_two_workers_start_one_execution() {
    race(&workflows::execution_failed());
}

#[test]
fn t1_a_lost_answer_starts_no_second_execution() {
    let undisturbed = Undisturbed::play(&workflows::manual_to_promotion());
    let starts: Vec<_> = undisturbed.calls.iter().filter(|it| it.method == "ensure_started").collect();
    let [start] = starts[..] else { panic!("one call starts the execution: {starts:?}") };
    let workflow = workflows::manual_to_promotion();
    for fault in [Fault::UnavailableAfter, Fault::CrashAfter] {
        let mut player = Player::new(&workflow, At { index: start.index, fault });
        assert_eq!(player.play().expect("every invariant holds"), undisturbed.summary);
        let is_run = |name: &str| name.starts_with("m-r0002-");
        let starts = player.world.pipelines.starts();
        let sent: Vec<_> = starts.iter().filter(|it| is_run(&it.1.display_name)).collect();
        assert_eq!(sent.len(), 1, "it was found by its name before it was asked for again");
        assert_eq!(player.world.pipelines.executions().iter().filter(|it| is_run(&it.0.display_name)).count(), 1);
    }
}

#[test]
fn t2_a_request_is_frozen_before_it_is_sent() {
    // The policy and the clock change between two attempts to start: what is sent stays the same.
    let undisturbed = Undisturbed::play(&workflows::manual_to_promotion());
    let start = undisturbed.calls.iter().find(|it| it.method == "ensure_started").expect("it starts").index;
    let workflow = workflows::manual_to_promotion();
    let mut player = Player::new(&workflow, At { index: start, fault: Fault::Unavailable });
    while player.injected() == 0 {
        assert!(player.tick().expect("every invariant holds"));
    }
    player.world.clock.advance(SignedDuration::from_hours(5));
    player.world.pipelines.define("m-retrain", &["Another"]);
    player
        .world
        .apply_policy(
            &refit_local::memory::policy(refit_local::memory::Promotion::Automatic),
            crate::support::worlds::beginning(),
        )
        .unwrap_done()
        .expect("it applies");
    while player.calls() < start + 60 && player.tick().expect("every invariant holds") {}
    let starts: Vec<_> =
        player.world.pipelines.starts().into_iter().filter(|it| it.1.display_name.starts_with("m-r0002-")).collect();
    // The checker compares what was sent with what was stored before the policy and the clock changed.
    assert_eq!(starts.len(), 1, "{starts:?}");
}
