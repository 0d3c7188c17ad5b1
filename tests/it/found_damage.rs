//! Damaged tables that the simulator found, each written down as it was: what Refit does with them.

use jiff::SignedDuration;
use refit_app::documents::{head_key, look_key, policy_key, queue_key, run_key, slots_key};
use refit_app::ports::{Expect, Item, Key, Table, Token, Write};
use refit_app::queries;
use refit_core::run::RunStatus;
use refit_core::{ModelId, RunId};
use refit_handlers::Function;
use refit_local::memory::faults::{At, Call, Calm, Fault, FaultPlan, Faults};
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, poll};
use serde_json::{Value, json};

use super::found::Worker;
use super::support::worlds::{ask, finish, one_champion, trigger};

fn run_id(number: u64) -> RunId {
    RunId::new(&MODEL.parse::<ModelId>().expect("a constant name"), number)
}

fn item(world: &MemoryWorld, key: &Key) -> Option<Item> {
    poll(world.table.get(key)).unwrap_done().expect("memory does not fail")
}

/// Changes the document of an item, or makes one.
fn change(world: &MemoryWorld, key: &Key, change: impl FnOnce(&mut Value)) {
    let found = item(world, key);
    let mut document = found.as_ref().map_or(Value::Null, |it| serde_json::from_str(&it.body).expect("a document"));
    change(&mut document);
    let expect = found.map_or(Expect::Absent, |it| Expect::Generation(it.generation));
    let write = Write::Put { key: key.clone(), expect, body: document.to_string().into(), due: None };
    poll(world.table.transact(&Token(format!("change {}", key.sort)), &[write])).unwrap_done().expect("written");
}

fn remove(world: &MemoryWorld, key: &Key) {
    let expect = item(world, key).expect("it is there").generation;
    let write = Write::Delete { key: key.clone(), expect };
    poll(world.table.transact(&Token(format!("remove {}", key.sort)), &[write])).unwrap_done().expect("removed");
}

fn last_status(world: &MemoryWorld) -> RunStatus {
    let runs = poll(queries::list_runs(&world.table, &run_id(1).model())).unwrap_done().expect("runs");
    runs.last().expect("a run").status
}

fn is_told(world: &MemoryWorld, what: &str) -> bool {
    world.publisher.alerts().iter().any(|it| it.subject.contains(what))
}

/// A crash at each call of a method.
struct CrashAt(&'static str, Fault);

impl FaultPlan for CrashAt {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.method == self.0).then_some(self.1)
    }
}

fn wake_up(function: Function) -> Value {
    json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": function.name() } })
}

/// Run 1 made the champion, run 2 waits for a slot, and whoever queued it died.
fn queued() -> MemoryWorld {
    let mut world = MemoryWorld::at(&one_champion().world);
    world.lose(|_| true);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    world.set_faults(Faults::new(CrashAt("transact", Fault::CrashAfter)));
    assert!(matches!(world.call(Function::StartRetraining, &wake_up(Function::StartRetraining)), Delivered::Killed));
    world.set_faults(Faults::new(Calm));
    world.lose(|_| false);
    assert_eq!(last_status(&world), RunStatus::Queued);
    world
}

fn sweep(world: &mut MemoryWorld, times: usize) {
    for _ in 0..times {
        world.sweep_after(SignedDuration::from_mins(6));
    }
}

/// As [`queued`], but the queue has lost it.
fn lost_from_queue() -> MemoryWorld {
    let world = queued();
    change(&world, &queue_key(), |it| it["entries"] = json!({}));
    world
}

/// The run that waited is trained, by one execution, and nobody else waits.
#[track_caller]
fn check_trains(world: &MemoryWorld, when: &str) {
    assert_eq!(last_status(world), RunStatus::Training, "{when}");
    assert_eq!(world.pipelines.executions().len(), 2, "{when}");
    let of =
        |key: &Key| serde_json::from_str::<Value>(&item(world, key).expect("it is there").body).expect("a document");
    assert_eq!(of(&queue_key())["entries"], json!({}), "{when}");
    assert_eq!(of(&slots_key())["holders"].as_object().map(serde_json::Map::len), Some(1), "{when}");
}

#[test]
fn x1_a_run_that_waits_since_or_until_the_year_9999_is_told() {
    for field in ["queued_at", "ready_at"] {
        let mut world = queued();
        change(&world, &run_key(&run_id(2)), |it| {
            it["ready_at"] = Value::Null;
            it[field] = json!("9999-12-30T22:00:00Z");
        });
        sweep(&mut world, 4);
        assert!(is_told(&world, "m cannot be looked at"), "people are told of {field}");
    }
}

#[test]
fn x1_a_run_that_is_stopped_since_no_time_is_told() {
    let mut world = queued();
    change(&world, &run_key(&run_id(2)), |it| {
        it["execution"] = json!("an execution that nobody knows");
        it["status"] = json!("stopping");
    });
    sweep(&mut world, 4);
    assert!(is_told(&world, "m cannot be looked at"), "people are told");
}

#[test]
fn x1_the_daily_pass_goes_on_and_tells_people_when_the_policy_cannot_be_read() {
    let mut world = queued();
    change(&world, &policy_key(), |it| it["policy"] = Value::Null);
    remove(&world, &look_key(&run_id(1).model()));
    world.sweep_after(SignedDuration::from_hours(25));
    assert!(is_told(&world, "no policy is in force"), "people are told");
    assert!(is_told(&world, "m cannot be looked at"), "people are told of the model, too");
}

#[test]
fn x1_a_run_that_trains_without_an_end_is_told() {
    for deadline in [Value::Null, json!("9999-12-30T22:00:00Z")] {
        let mut world = queued();
        sweep(&mut world, 1);
        assert_eq!(last_status(&world), RunStatus::Training);
        change(&world, &run_key(&run_id(2)), |it| {
            it["execution"] = json!("an execution that nobody knows");
            it["deadline"] = deadline.clone();
        });
        sweep(&mut world, 4);
        assert!(is_told(&world, "m cannot be looked at"), "people are told: {deadline}");
    }
}

#[test]
fn l1_whoever_puts_a_run_back_into_the_queue_may_die_anywhere() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for index in 1.. {
            let mut world = lost_from_queue();
            world.set_faults(Faults::new(At { index, fault }));
            let event = wake_up(Function::StartRetraining);
            let _ = world.call(Function::StartRetraining, &event);
            let calls = world.faults().calls();
            world.set_faults(Faults::new(Calm));
            sweep(&mut world, 2);
            check_trains(&world, &format!("{fault:?} at call {index}"));
            if calls < index {
                assert!(30 < index, "it died at calls before and after the repair");
                break;
            }
        }
    }
}

#[test]
fn l1_whoever_was_frozen_while_another_repaired_the_queue_leaves_it_alone() {
    for index in 1.. {
        let mut world = lost_from_queue();
        world.set_faults(Faults::new(At { index, fault: Fault::Pause }));
        let event = wake_up(Function::StartRetraining);
        let mut frozen = Worker::of(world.context(), Function::StartRetraining, event);
        if frozen.go_on() {
            assert!(30 < index, "it was frozen at calls before and after the repair");
            return;
        }
        world.set_faults(Faults::new(Calm));
        sweep(&mut world, 2);
        assert!(frozen.go_on());
        sweep(&mut world, 1);
        check_trains(&world, &format!("frozen before call {index}"));
    }
}

#[test]
fn i2_a_run_that_is_written_down_as_another_is_not_tried_for_ever() {
    let mut world = queued();
    change(&world, &run_key(&run_id(2)), |it| it["id"] = json!(run_id(1)));
    let before = world.faults().calls();
    let _ = world.call(Function::StartRetraining, &wake_up(Function::StartRetraining));
    let calls = world.faults().calls() - before;
    assert!(calls < 60, "{calls} calls");
    sweep(&mut world, 1);
    assert!(is_told(&world, "m cannot be looked at"), "people are told");
}

#[test]
fn x1_a_false_holder_gives_its_slot_back_though_no_policy_is_current() {
    let mut world = queued();
    remove(&world, &policy_key());
    let holder = json!({ "since": "2026-01-05T03:00:00Z", "pipeline": "m-retrain", "display_name": "m-r0001" });
    change(&world, &slots_key(), |it| {
        for name in ["m-r0001", "m-r0098", "m-r0099"] {
            it["holders"][name] = holder.clone();
        }
    });
    sweep(&mut world, 4);
    assert_eq!(last_status(&world), RunStatus::Training);
    assert!(is_told(&world, "the slot of m-r0001 is freed"));
}

#[test]
fn x1_a_false_entry_leaves_the_queue_though_no_policy_is_current() {
    let mut world = queued();
    remove(&world, &policy_key());
    change(&world, &queue_key(), |it| {
        let mut entry = it["entries"]["m-r0002"].clone();
        entry["enqueued_at"] = json!("2026-01-05T03:00:00Z");
        it["entries"]["m-r0001"] = entry;
    });
    sweep(&mut world, 3);
    assert_eq!(last_status(&world), RunStatus::Training);
    assert!(is_told(&world, "a false entry of the queue is removed: m-r0001"));
}

#[test]
fn x1_an_entry_of_the_queue_that_waits_for_ever_is_put_right() {
    for (field, never) in [("ready_at", "9999-12-30T22:00:00Z"), ("parked_until", "9999-12-30T22:00:00Z")] {
        let mut world = queued();
        change(&world, &queue_key(), |it| it["entries"]["m-r0002"][field] = json!(never));
        sweep(&mut world, 3);
        assert_eq!(last_status(&world), RunStatus::Training, "{field}");
    }
}

#[test]
fn x1_a_slot_whose_model_cannot_record_anything_is_freed() {
    // HEAD is behind its log, or ahead of it.
    for off in [-1, 1, 50] {
        let mut world = queued();
        let waiting = item(&world, &queue_key()).expect("a queue").body;
        sweep(&mut world, 1);
        assert_eq!(last_status(&world), RunStatus::Training);
        world.lose(|_| true);
        finish(&mut world, &Ending::Failed("no reason".to_owned()));
        change(&world, &head_key(&run_id(1).model()), |head| {
            head["audit_seq"] = json!(head["audit_seq"].as_i64().expect("a number") + off);
        });
        // Somebody waits for the slot.
        change(&world, &queue_key(), |queue| {
            let queued: Value = serde_json::from_str(&waiting).expect("a document");
            queue["entries"]["m-r0003"] = queued["entries"]["m-r0002"].clone();
        });
        world.clock.advance(SignedDuration::from_hours(2));
        let _ = world.call(Function::StartRetraining, &wake_up(Function::StartRetraining));
        assert!(is_told(&world, "the slot of m-r0002 is freed"), "off by {off}");
    }
}

#[test]
fn x1_a_run_that_is_being_stopped_since_the_year_9999_ends() {
    let mut world = queued();
    world.set_faults(Faults::new(CrashAt("ensure_started", Fault::CrashBefore)));
    assert!(matches!(world.call(Function::StartRetraining, &wake_up(Function::StartRetraining)), Delivered::Killed));
    world.set_faults(Faults::new(Calm));
    let cancel = json!({ "kind": "cancel", "id": "c", "actor": "dan", "reason": "not now", "run": "m-r0002" });
    ask(&mut world, Function::EvaluateCandidate, &cancel);
    assert_eq!(last_status(&world), RunStatus::Stopping);
    change(&world, &run_key(&run_id(2)), |it| it["stopping_at"] = json!("9999-12-30T22:00:00Z"));
    sweep(&mut world, 5);
    assert_eq!(last_status(&world), RunStatus::Canceled);
}

#[test]
fn people_are_told_each_day_that_no_policy_is_current() {
    let mut world = MemoryWorld::at(&one_champion().world);
    remove(&world, &policy_key());
    world.sweep_after(SignedDuration::from_hours(25));
    assert!(is_told(&world, "no policy is in force"));
    world.sweep_after(SignedDuration::from_hours(25));
    let told = world.publisher.alerts().iter().filter(|it| it.subject.contains("no policy is in force")).count();
    assert_eq!(told, 2);
}

#[test]
fn i2_windows_before_the_watch_began_are_not_judged_one_by_one() {
    for field in ["performance_judged_until", "drift_judged_until"] {
        let mut world = MemoryWorld::at(&one_champion().world);
        change(&world, &head_key(&run_id(1).model()), |it| it[field] = json!("1970-01-01T00:00:00Z"));
        let before = world.faults().calls();
        world.sweep_after(SignedDuration::from_hours(25));
        let calls = world.faults().calls() - before;
        assert!(calls < 200, "{field}: {calls} calls");
        assert!(is_told(&world, "m cannot be looked at"), "{field}: people are told");
    }
}
