//! One champion, of what was judged, by who may decide; and the way back (P, R).

use jiff::SignedDuration;
use refit_app::documents::{model_partition, policy_key, slots_key};
use refit_app::ports::{Expect, Item, Key, Order, Query, Table, Token, Write};
use refit_app::queries;
use refit_app::state::{LookAt, RecordContext, Scope, load, record};
use refit_core::audit::Fact;
use refit_core::plan::Record;
use refit_core::{Actor, Digest};
use refit_handlers::Function;
use refit_local::memory::faults::{At, Fault, Faults};
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, poll};
use refit_local::sim::Recorder;
use serde_json::{Value, json};

use super::{head, model, race};
use crate::support::workflows::{self};
use crate::support::worlds::{
    ask, finish, one_champion, promote, rollback, trigger, two_champions, two_champions_automatic, vote,
};

#[test]
fn p1_two_workers_never_make_two_champions() {
    race(&workflows::manual_to_promotion());
    race(&workflows::drop_to_promotion());
}

#[test]
fn p1_a_rollback_against_a_frozen_worker_leaves_one_champion() {
    race(&workflows::rollback_while_training());
    race(&workflows::rollback_while_awaiting());
}

#[test]
fn p1_a_frozen_rollout_that_thaws_after_a_rollback_is_repaired() {
    race(&workflows::promotion_taken_back());
}

#[test]
fn p2_a_promotion_is_of_the_artifact_that_was_judged() {
    // Other bytes under the same address, before the evaluation: the candidate is not what was evaluated.
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    let archive = world.packages.list().pop().expect("a package").model_data_url;
    world.objects.overwrite(&archive.parse().expect("an address"), b"something else").expect("it is a file");
    world.drain();
    let runs = poll(queries::list_runs(&world.table, &model())).unwrap_done().expect("runs");
    let outcome = runs.last().and_then(|it| it.outcome.clone()).expect("it has ended");
    assert!(outcome.reason.contains("is not the one that was evaluated"), "{outcome:?}");
    assert_eq!(head(&world)["champion"], 1);
}

#[test]
fn p2_a_rollback_before_an_announced_promotion_wins() {
    let mut world = MemoryWorld::at(&two_champions_automatic().world);
    let recorder = Recorder::watch(&mut world);
    let mut checker = two_champions_automatic().checker.clone();
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    // Its notice cannot be published, so that it waits; what was announced was compared with a champion that is taken back.
    world.publisher.take_down();
    let wake_up = json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": "evaluate-candidate" } });
    world.send(wake_up);
    world.drain();
    ask(&mut world, Function::PromoteModel, &rollback("b"));
    world.publisher.bring_up();
    for _ in 0..4 {
        world.sweep_after(SignedDuration::from_mins(6));
    }
    checker.check(&world, &recorder.take()).unwrap_or_else(|violation| panic!("{violation}"));
    let facts: Vec<&str> = checker.entries().iter().rev().take(6).map(|it| it.event.fact.name()).collect();
    assert_eq!(facts[..4], ["run_ended", "model_rolled_back", "rollback_started", "candidate_evaluated"]);
    assert!(rolled_back(&world));
    let runs = poll(queries::list_runs(&world.table, &model())).unwrap_done().expect("runs");
    assert_eq!(runs.last().map(|it| it.status), Some(refit_core::run::RunStatus::Rejected));
}

#[test]
fn p3_votes_count_once_in_time_and_not_for_ones_own_run() {
    let base = MemoryWorld::at(&one_champion().world);
    let mut world = base;
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    world.drain();
    let waiting = world.snapshot();
    let refused = |world: &MemoryWorld, request: &Value| match world.call(Function::PromoteModel, request) {
        Delivered::Answered(response) => {
            response.details.first().and_then(|it| it["refused"].as_str().map(str::to_owned))
        }
        other => panic!("{other:?}"),
    };
    let own = refused(&world, &vote("v1", 2, "ann", "approve"));
    assert!(own.is_some_and(|it| it.contains("ann asked for this run")));
    let other = refused(&world, &vote("v2", 1, "bob", "approve"));
    assert!(other.is_some_and(|it| it.contains("does not wait for approval")));
    world.clock.advance(SignedDuration::from_hours(12));
    assert!(refused(&world, &vote("v3", 2, "bob", "approve")).is_some_and(|it| it.contains("closed")));
    let mut world = MemoryWorld::at(&waiting);
    let mut seen = vote("v4", 2, "bob", "approve");
    seen["basis"] = Digest::of(b"another").to_string().into();
    assert!(refused(&world, &seen).is_some_and(|it| it.contains("look again")));
    ask(&mut world, Function::PromoteModel, &vote("v5", 2, "bob", "approve"));
    let promoted = head(&world);
    ask(&mut world, Function::PromoteModel, &vote("v5", 2, "bob", "approve"));
    assert_eq!((head(&world), &promoted["champion"]), (promoted.clone(), &json!(2)));
}

#[test]
fn p5_a_stale_writer_is_refused() {
    let world = MemoryWorld::at(&one_champion().world);
    let ports = world.ports();
    let read = || {
        poll(load(&*ports.table, &model(), Scope::Everything)).unwrap_done().expect("it loads").expect("it is watched")
    };
    let (first, second) = (read(), read());
    let fact = Fact::TriggersChecked { findings: Vec::new(), judgments: Vec::new() };
    let checked = Record { fact, actor: Actor::schedule(), decision: None };
    let now = ports.clock.now();
    let policy = &first.model.head.policy;
    let context = RecordContext { now, policy, look_at: LookAt::At(now), request_id: None, snapshot: None };
    let write = |loaded| poll(record(&*ports.table, loaded, &checked, &context)).unwrap_done();
    let after = write(&first).expect("the first writes");
    let later = RecordContext { now: now + SignedDuration::from_mins(20), ..context.clone() };
    let refused = poll(record(&*ports.table, &second, &checked, &later)).unwrap_done();
    assert!(refused.is_err_and(|it| it.is_conflict()), "the second has read what is no longer so");
    assert_eq!(read().model.head, after.head);
    assert_eq!(after.head.audit_seq, first.model.head.audit_seq + 1);
}

#[test]
fn r1_promote_then_rollback_is_identity() {
    let mut world = MemoryWorld::at(&two_champions().world);
    let (before, served) = (head(&world), world.endpoints.variants(MODEL));
    let packages = poll(queries::list_packages(&world.table, &model())).unwrap_done().expect("packages");
    promote(&mut world, 3);
    assert_eq!(head(&world)["champion"], 3);
    assert_ne!(world.endpoints.variants(MODEL), served);
    ask(&mut world, Function::PromoteModel, &rollback("b"));
    let mut after = head(&world);
    // The log goes on, the run was counted, and that it was taken back is kept; all else is as before.
    let kept = [
        "audit_seq",
        "audit_hash",
        "run_count",
        "last_run_at",
        "checked_at",
        "scheduled_until",
        "setbacks",
        "setbacks_before",
        "frozen",
        "rolled_back",
        "drift",
        "performance",
    ];
    for name in kept {
        after[name] = before[name].clone();
    }
    assert_eq!(after, before);
    assert_eq!(world.endpoints.variants(MODEL), served);
    let mut restored = poll(queries::list_packages(&world.table, &model())).unwrap_done().expect("packages");
    assert_eq!(restored.pop().map(|it| it.version), Some(3));
    assert_eq!(restored, packages);
}

#[test]
fn r1_a_rollback_of_a_rollback_goes_back_one_more_and_only_when_asked() {
    let mut world = MemoryWorld::at(&two_champions().world);
    promote(&mut world, 3);
    ask(&mut world, Function::PromoteModel, &rollback("b1"));
    assert_eq!(head(&world)["champion"], 2);
    let after = head(&world);
    ask(&mut world, Function::PromoteModel, &rollback("b2"));
    assert_eq!(head(&world), after, "an impatient second request goes back no further");
    let mut further = rollback("b3");
    further["from"] = json!(2);
    ask(&mut world, Function::PromoteModel, &further);
    assert_eq!(head(&world)["champion"], 1);
    assert_eq!(head(&world)["previous_champion"], Value::Null);
}

/// Every item of the model but HEAD and the two packages, the fleet's, and the policy: nothing parses any more.
fn corrupt(world: &MemoryWorld) {
    let partition = model_partition(&model());
    let query = Query { partition, prefix: String::new(), after: None, order: Order::Ascending, limit: 1_000 };
    let page = poll(world.table.query(&query)).unwrap_done().expect("memory does not fail");
    let spared =
        |key: &Key| key.sort == "HEAD" || ["PACKAGE#00000001", "PACKAGE#00000002"].contains(&key.sort.as_str());
    let fleet =
        [slots_key(), policy_key()].map(|key| poll(world.table.get(&key)).unwrap_done().expect("memory does not fail"));
    let items: Vec<Item> =
        page.items.into_iter().filter(|it| !spared(&it.key)).chain(fleet.into_iter().flatten()).collect();
    assert!(
        items.iter().any(|it| it.key.sort.starts_with("APPROVAL#"))
            && items.iter().any(|it| it.key.sort.starts_with("RUN#"))
    );
    for (index, item) in items.into_iter().enumerate() {
        let expect = Expect::Generation(item.generation);
        let writes = [Write::Put { key: Key::clone(&item.key), expect, body: "{\"broken".into(), due: item.due }];
        poll(world.table.transact(&Token(format!("corrupt-{index}")), &writes))
            .unwrap_done()
            .expect("it is as it was read");
    }
    let policies = "s3://state/policies/".parse().expect("an address");
    let listed = poll(world.ports().objects.list(&policies, None)).unwrap_done().expect("memory does not fail");
    for object in listed.items {
        world.objects.overwrite(&object.uri, b"broken").expect("it is a file");
    }
}

fn rolled_back(world: &MemoryWorld) -> bool {
    let arn = world.packages.list().first().map(|it| it.arn.clone());
    head(world)["champion"] == 1
        && head(world)["active_rollback"].is_null()
        && world.endpoints.variants(MODEL).iter().map(|it| Some(it.package_arn.clone())).eq([arn])
}

#[test]
fn r3_rollback_works_with_every_other_record_corrupted() {
    let mut world = MemoryWorld::at(&two_champions().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    world.drain();
    corrupt(&world);
    let broken = world.snapshot();
    assert!(
        matches!(world.call(Function::CheckTriggers, &trigger("t2")), Delivered::Failed(_)),
        "everything else is broken"
    );
    ask(&mut world, Function::PromoteModel, &rollback("b"));
    assert!(rolled_back(&world));
    // It dies at each call: the person asks again; or nobody does, and the fact's own event or the sweep carries it on.
    for index in 1..=20 {
        for is_repeated in [true, false] {
            let mut world = MemoryWorld::at(&broken);
            world.set_faults(Faults::new(At { index, fault: Fault::CrashBefore }));
            let killed = matches!(world.call(Function::PromoteModel, &rollback("b")), Delivered::Killed);
            let is_begun = !head(&world)["active_rollback"].is_null() || rolled_back(&world);
            if is_repeated {
                ask(&mut world, Function::PromoteModel, &rollback("b"));
            } else {
                world.lose(|event| event["detail-type"] == "Rollback Started");
                world.drain();
                world.sweep_after(SignedDuration::from_mins(1));
            }
            let is_expected = is_repeated || is_begun || !killed;
            assert_eq!(rolled_back(&world), is_expected, "call {index}, repeated: {is_repeated}");
        }
    }
}
