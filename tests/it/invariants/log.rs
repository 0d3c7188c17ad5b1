//! What happened is written down once, adds up, and is told (U, A).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use refit_app::documents::head_key;
use refit_app::ports::{Expect, Order, Query, Table, Token, Write};
use refit_app::queries;
use refit_app::use_cases::publish_events::alert_of;
use refit_handlers::Function;
use refit_local::memory::{Ending, MODEL, MemoryWorld, Outputs, poll};
use refit_local::sim::Recorder;
use serde_json::json;

use super::{head, model};
use crate::support::player::Undisturbed;
use crate::support::summary::Summary;
use crate::support::workflows::{self};
use crate::support::worlds::{ask, finish, one_champion, trigger, two_champions, vote};

#[test]
fn u1_every_change_of_state_has_one_entry_of_its_own() {
    // Checked after every transaction of every history; here it is shown that the check can fail.
    let mut world = MemoryWorld::at(&one_champion().world);
    let recorder = Recorder::watch(&mut world);
    let key = head_key(&model());
    let item = poll(world.table.get(&key)).unwrap_done().expect("memory does not fail").expect("a head");
    let body = item.body.replace("\"champion\":1", "\"champion\":2").into();
    let writes = [Write::Put { key, expect: Expect::Generation(item.generation), body, due: None }];
    poll(world.ports().table.transact(&Token("t".to_owned()), &writes)).unwrap_done().expect("it is as it was read");
    let violation =
        one_champion().checker.clone().check(&world, &recorder.take()).expect_err("a change without an entry");
    assert_eq!(violation.id, "U1", "{violation}");
}

#[test]
fn u2_a_changed_entry_is_found() {
    let world = MemoryWorld::at(&two_champions().world);
    let partition = format!("AUDIT#{MODEL}");
    let query = Query { partition, prefix: String::new(), after: None, order: Order::Ascending, limit: 1_000 };
    let entries = poll(world.table.query(&query)).unwrap_done().expect("memory does not fail").items;
    assert!(10 < entries.len());
    let snapshot = world.table.snapshot();
    for (index, entry) in entries.iter().enumerate() {
        world.table.restore(&snapshot);
        let body = entry.body.replacen("\"cause\":\"", "\"cause\":\"forged ", 1);
        assert_ne!(body, entry.body.as_str());
        let expect = Expect::Generation(entry.generation);
        let writes =
            [Write::Put { key: refit_app::ports::Key::clone(&entry.key), expect, body: body.into(), due: None }];
        poll(world.table.transact(&Token(format!("t{index}")), &writes)).unwrap_done().expect("it is as it was read");
        let report = poll(queries::verify_audit(&world.table, &model())).unwrap_done().expect("it can be read");
        assert!(!report.verified, "entry {}", index + 1);
    }
}

#[test]
fn u3_the_log_adds_up_to_what_is_stored_after_every_workflow() {
    for workflow in workflows::all() {
        let undisturbed = Undisturbed::play(&workflow);
        let world = MemoryWorld::at(&undisturbed.end);
        let report = poll(queries::verify_audit(&world.table, &model())).unwrap_done().expect("it can be read");
        assert!(report.verified, "{}: {:?}", workflow.name, report.problems);
    }
}

#[test]
fn a1_what_could_not_be_sent_is_sent_later_and_nothing_is_passed_over() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let recorder = Recorder::watch(&mut world);
    let mut checker = one_champion().checker.clone();
    world.publisher.take_down();
    let _ = world.call(Function::CheckTriggers, &trigger("t"));
    world.drain();
    checker.check(&world, &recorder.take()).expect("every invariant holds");
    assert!(!Summary::of(&world).is_published());
    world.publisher.bring_up();
    for _ in 0..3 {
        world.sweep_after(SignedDuration::from_mins(6));
    }
    checker.check(&world, &recorder.take()).expect("every invariant holds");
    assert!(Summary::of(&world).is_published());
    let alerts: BTreeSet<String> = world.publisher.alerts().iter().map(|it| it.dedupe_id.clone()).collect();
    let owed = checker.entries().iter().filter_map(|it| alert_of(&it.event)).map(|it| it.dedupe_id);
    assert!(owed.into_iter().all(|it| alerts.contains(&it)));
    assert_eq!(world.pipelines.open().len(), 1, "the run went on");
}

#[test]
fn a1_an_event_that_is_refused_for_good_is_parked_and_told() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let recorder = Recorder::watch(&mut world);
    let mut checker = one_champion().checker.clone();
    let next = checker.entries().len() + 2;
    world.publisher.refuse(&format!("{MODEL}-{next}"));
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    for _ in 0..2 {
        world.sweep_after(SignedDuration::from_mins(6));
    }
    checker.check(&world, &recorder.take()).expect("every invariant holds");
    assert!(Summary::of(&world).is_published());
    assert!(world.publisher.alerts().iter().any(|it| it.dedupe_id == format!("{MODEL}-parked-{next}")));
    assert_eq!(world.pipelines.open().len(), 1, "the run went on");
}

#[test]
fn a2_people_are_told_before_the_champion_changes() {
    // Nothing can be published: the promotion waits until the notice's deadline, and not longer.
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    world.drain();
    world.publisher.take_down();
    let wake_up = |function: &str| json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": function } });
    let _ = world.call(Function::PromoteModel, &vote("v", 2, "bob", "approve"));
    for minutes in [5, 5, 4] {
        world.clock.advance(SignedDuration::from_mins(minutes));
        world.send(wake_up("promote-model"));
        world.drain();
        assert_eq!(head(&world)["champion"], 1, "the notice is not out");
    }
    world.clock.advance(SignedDuration::from_mins(1));
    world.send(wake_up("promote-model"));
    world.drain();
    assert_eq!(head(&world)["champion"], 2, "the deadline has passed");
    world.publisher.bring_up();
    world.sweep_after(SignedDuration::from_hours(24));
    assert!(world.publisher.alerts().iter().any(|it| it.subject.contains("without its notice")));
}
