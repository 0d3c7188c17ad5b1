//! The invariants of RELIABILITY 1.2 by their ids, each in the situation that breaks a naive build.
//!
//! What is checked after every transaction stands in `support::checks`; here are the situations.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_app::documents::{head_key, model_partition, policy_key, slots_key};
use refit_app::ports::{Expect, Item, Key, Order, Query, Table, Token, Write};
use refit_app::state::{LookAt, RecordContext, Scope, load, record};
use refit_app::use_cases::publish_events::alert_of;
use refit_app::{AppError, queries};
use refit_core::audit::Fact;
use refit_core::plan::Record;
use refit_core::{Actor, Digest, ModelId};
use refit_handlers::{Function, Response, handle};
use refit_local::memory::faults::{At, Calm, Fault, Faults};
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, poll, scheduled_event};
use serde_json::{Value, json};

use super::support::player::{Delivering, Player, Undisturbed, play_delivering};
use super::support::summary::Summary;
use super::support::workflows::{self, Action, Workflow};
use super::support::worlds::{
    ask, finish, one_champion, promote, rollback, trigger, two_champions, two_champions_automatic, vote,
};
use refit_local::sim::{Checker, Recorder, Violation};

const STATUS: &str = "SageMaker Model Building Pipeline Execution Status Change";

fn model() -> ModelId {
    MODEL.parse().expect("a constant name")
}

fn head(world: &MemoryWorld) -> Value {
    let item = poll(world.table.get(&head_key(&model()))).unwrap_done().expect("memory does not fail").expect("a head");
    serde_json::from_str(&item.body).expect("a document")
}

/// A function that is frozen in the middle of its work.
struct Worker(Pin<Box<dyn Future<Output = Result<Response, AppError>> + Send>>);

impl Worker {
    fn start(world: &MemoryWorld, function: Function, event: Value) -> Worker {
        let context = world.context();
        Worker(Box::pin(async move { handle(function, &context, &event).await }))
    }

    /// Goes on; whether it is done.
    fn go_on(&mut self) -> bool {
        matches!(self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }
}

/// Two workers on every event of the workflow: one is frozen at each of its calls, another does the same and the whole rest,
/// then the first goes on from what it had read. `check` sees each end.
#[track_caller]
fn race(workflow: &Workflow) {
    let mut workflow = workflow.clone();
    // What a frozen worker does to an endpoint when it thaws is repaired at the next check.
    workflow.actions.push(Action::Wait(SignedDuration::from_hours(24)));
    let undisturbed = Undisturbed::play(&workflow);
    let mut raced = 0;
    for call in &undisturbed.calls {
        let before = undisturbed.before(call.index);
        let is_write = undisturbed.calls.iter().any(|it| it.index == call.index && it.is_write);
        let Some(delivery) = MemoryWorld::at(&before.world).queue.front().cloned().filter(|_| is_write) else {
            continue;
        };
        raced += 1;
        let what = format!("{}: worker {delivery} frozen before {call}", workflow.name);
        let mut player = Player::resume(&workflow, before, Calm);
        player.world.set_faults(Faults::resume(At { index: call.index, fault: Fault::Pause }, before.calls));
        let mut frozen = Worker::start(&player.world, delivery.function, delivery.event);
        assert!(!frozen.go_on(), "{what}: it did not stop");
        player.world.set_faults(Faults::new(Calm));
        let mut is_thawed = false;
        // It thaws when everything else is done but the last check.
        loop {
            if !is_thawed && player.is_at_last_action() {
                is_thawed = true;
                let _ = frozen.go_on();
            }
            match player.tick() {
                Ok(true) => {}
                Ok(false) => break,
                Err(violation) => panic!("{what}: {violation}"),
            }
        }
        player.checker.finish(&player.world).unwrap_or_else(|violation| panic!("{what}: {violation}"));
        assert_eq!(Summary::of(&player.world), undisturbed.summary, "{what}");
    }
    assert!(3 < raced, "{}: {raced} races", workflow.name);
}

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
        let writes = [Write::Put { key: item.key, expect, body: "{\"broken".into(), due: item.due }];
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

#[track_caller]
fn check_delivering(delivering: Delivering) {
    for workflow in workflows::all() {
        let undisturbed = Undisturbed::play(&workflow);
        let (summary, checker) =
            play_delivering(&workflow, delivering).unwrap_or_else(|violation| panic!("{}: {violation}", workflow.name));
        assert_eq!(summary, undisturbed.summary, "{}", workflow.name);
        let facts = |it: &Checker| it.entries().iter().map(|it| it.event.fact.name()).collect::<Vec<_>>();
        assert_eq!(facts(&checker), facts(&undisturbed.checker), "{}", workflow.name);
    }
}

#[test]
fn e1_duplicates_of_every_event_have_one_effect() {
    check_delivering(Delivering::Twice);
}

#[test]
fn e1_a_repeated_request_is_told_that_it_was_handled() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let was_handled = |world: &MemoryWorld| match world.call(Function::CheckTriggers, &trigger("t")) {
        Delivered::Answered(response) => response.details[0]["was_handled"].as_bool(),
        other => panic!("{other:?}"),
    };
    assert_eq!(was_handled(&world), Some(false));
    assert_eq!(was_handled(&world), Some(true), "while its run is under way");
    world.drain();
    finish(&mut world, &Ending::Failed("out of memory".to_owned()));
    world.drain();
    let ended = Summary::of(&world);
    assert_eq!(was_handled(&world), Some(true), "and when it has ended");
    world.drain();
    assert_eq!(Summary::of(&world), ended);
}

#[test]
fn e1_every_event_again_long_after_has_no_effect() {
    for workflow in workflows::all() {
        let undisturbed = Undisturbed::play(&workflow);
        let mut world = MemoryWorld::at(&undisturbed.end);
        for delivery in undisturbed.seen.iter().filter(|it| it.event["detail-type"] != scheduled_event()["detail-type"])
        {
            world.queue.push_back(delivery.clone());
        }
        for action in &workflow.actions {
            if let Action::Ask(function, request) = action {
                world.call(*function, request);
            }
        }
        world.drain();
        assert_eq!(Summary::of(&world), undisturbed.summary, "{}", workflow.name);
        assert_eq!(world.dead_letters, [""; 0], "{}", workflow.name);
    }
}

#[test]
fn e2_every_workflow_ends_alike_when_the_newest_event_comes_first() {
    check_delivering(Delivering::NewestFirst);
}

#[test]
fn e2_permutations_of_a_runs_events_end_alike() {
    let mut world = MemoryWorld::at(&one_champion().world);
    let _ = world.call(Function::CheckTriggers, &trigger("t"));
    // The bus keeps what the service says; everything else is delivered.
    let mut kept = Vec::new();
    let mut keep = |world: &mut MemoryWorld| {
        loop {
            world.pump();
            let is_status = |it: &Value| it["detail-type"] == STATUS;
            let (status, rest): (Vec<_>, Vec<_>) = world.queue.drain(..).partition(|it| is_status(&it.event));
            kept.extend(status.into_iter().map(|it| it.event));
            if rest.is_empty() {
                return;
            }
            for delivery in rest {
                world.deliver(delivery);
            }
        }
    };
    keep(&mut world);
    let training = world.snapshot();
    finish(&mut world, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    keep(&mut world);
    let ended = world.snapshot();
    let statuses: Vec<&str> =
        kept.iter().filter_map(|it| it["detail"]["currentPipelineExecutionStatus"].as_str()).collect();
    assert_eq!(statuses, ["Executing", "Succeeded"]);
    let wake_up = json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": "evaluate-candidate" } });
    let events = [&kept[0], &kept[0], &kept[1], &kept[1], &wake_up, &wake_up];
    let mut ends: Vec<Summary> = Vec::new();
    for order in orders(events.len(), &[0, 0, 1, 1, 2, 2]) {
        let mut world = MemoryWorld::at(&ended);
        for index in order {
            world.send(events[index].clone());
        }
        world.drain();
        ends.push(Summary::of(&world));
        assert_eq!(world.dead_letters, [""; 0]);
    }
    assert_eq!(ends.len(), 90);
    assert!(ends.windows(2).all(|it| it[0] == it[1]));
    assert!(format!("{:?}", ends[0]).contains("AwaitingApproval"));
    // What the service says comes before it is true: nothing happens until it is.
    let mut early = MemoryWorld::at(&training);
    early.send(kept[1].clone());
    early.drain();
    assert_eq!(early.pipelines.open().len(), 1);
    finish(&mut early, &Ending::Succeeded(Outputs::of_errors(4.0, 9.0)));
    early.drain();
    assert_eq!(Summary::of(&early), ends[0]);
}

/// Every distinct order of `count` things of these kinds.
fn orders(count: usize, kinds: &[u8]) -> Vec<Vec<usize>> {
    fn extend(order: &mut Vec<usize>, kinds: &[u8], found: &mut Vec<Vec<usize>>) {
        if order.len() == kinds.len() {
            found.push(order.clone());
            return;
        }
        let mut tried = BTreeSet::new();
        for next in 0..kinds.len() {
            if !order.contains(&next) && tried.insert(kinds[next]) {
                order.push(next);
                extend(order, kinds, found);
                order.pop();
            }
        }
    }
    assert_eq!(count, kinds.len());
    let mut found = Vec::new();
    extend(&mut Vec::new(), kinds, &mut found);
    found
}

#[test]
fn e3_what_has_ended_stays_ended() {
    for (ending, status) in [
        (Ending::Failed("out of memory".to_owned()), "failed"),
        (Ending::Stopped, "canceled"),
        (Ending::Succeeded(Outputs::of_errors(20.0, 9.0)), "rejected"),
    ] {
        let mut world = MemoryWorld::at(&one_champion().world);
        ask(&mut world, Function::CheckTriggers, &trigger("t"));
        finish(&mut world, &ending);
        world.drain();
        let ended = Summary::of(&world);
        assert!(format!("{ended:?}").to_lowercase().contains(status), "{status}");
        let (execution, _) = world.pipelines.executions().pop().expect("an execution");
        for word in ["Executing", "Stopping", "Succeeded", "Failed"] {
            let detail = json!({
                "pipelineExecutionArn": execution.arn, "pipelineExecutionDisplayName": execution.display_name,
                "currentPipelineExecutionStatus": word,
            });
            world.send(json!({ "source": "aws.sagemaker", "detail-type": STATUS, "detail": detail }));
        }
        for function in ["start-retraining", "evaluate-candidate", "promote-model"] {
            world.send(json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": MODEL, "function": function } }));
        }
        world.drain();
        assert_eq!(Summary::of(&world), ended, "{status}");
    }
}

/// How many sweeps, six minutes apart, bring a run on by one step when every event is lost but the wake-ups.
const LOST_SWEEPS: usize = 6;

/// Plays a workflow while events are lost; after each action the schedule sweeps.
fn play_losing(workflow: &Workflow, is_lost: Arc<dyn Fn(&Value) -> bool + Send + Sync>) -> Result<Summary, Violation> {
    let mut player = Player::new(workflow, Calm);
    player.world.lose(move |event| is_lost(event));
    while player.tick()? {
        if player.world.queue.is_empty() {
            for _ in 0..LOST_SWEEPS {
                player.world.sweep_after(SignedDuration::from_mins(6));
                player.verify()?;
            }
        }
    }
    player.checker.finish(&player.world)?;
    Ok(Summary::of(&player.world))
}

#[test]
fn e4_lost_events_are_healed_by_the_sweep() {
    let workflows = [
        workflows::manual_to_promotion(),
        workflows::drop_to_promotion(),
        workflows::declined(),
        workflows::gate_rejected(),
        workflows::execution_failed(),
        workflows::rollback_while_training(),
    ];
    for workflow in &workflows {
        let undisturbed = Undisturbed::play(workflow);
        let kind = |event: &Value| event["detail-type"].as_str().unwrap_or("stream").to_owned();
        let kept = ["Wake Up", "Scheduled Event", "Object Created"];
        let classes: BTreeSet<String> =
            undisturbed.seen.iter().map(|it| kind(&it.event)).filter(|it| !kept.contains(&it.as_str())).collect();
        assert!(4 < classes.len(), "{classes:?}");
        for class in &classes {
            let lost = class.clone();
            let end = play_losing(workflow, Arc::new(move |event| kind(event) == lost));
            check_healed(workflow, class, end, &undisturbed);
        }
        // All at once: only what the sweep sends itself arrives.
        let end = play_losing(workflow, Arc::new(move |event| !kept.contains(&kind(event).as_str())));
        check_healed(workflow, "everything", end, &undisturbed);
    }
}

#[track_caller]
fn check_healed(workflow: &Workflow, class: &str, end: Result<Summary, Violation>, undisturbed: &Undisturbed) {
    let end = end.unwrap_or_else(|violation| panic!("{} without {class}: {violation}", workflow.name));
    // The last facts of an idle model are published at its next check, a day later at most.
    assert_eq!(end.published(), undisturbed.summary.clone().published(), "{} without {class}", workflow.name);
}

#[test]
fn e4_what_an_idle_model_has_to_say_is_published_at_its_next_check() {
    let mut world = MemoryWorld::at(&two_champions().world);
    world.lose(|event| event.get("Records").is_some());
    ask(&mut world, Function::PromoteModel, &rollback("b"));
    world.lose(|_| false);
    world.sweep_after(SignedDuration::from_hours(24));
    let alerts = world.publisher.alerts();
    assert!(alerts.iter().any(|it| it.subject.contains("was rolled back")), "{alerts:?}");
    assert!(Summary::of(&world).is_published());
}

#[test]
fn e5_events_of_strangers_change_nothing() {
    let mut world = MemoryWorld::at(&one_champion().world);
    ask(&mut world, Function::CheckTriggers, &trigger("t"));
    let before = Summary::of(&world);
    let detail = |arn: &str, name: &str| json!({ "pipelineExecutionArn": arn, "pipelineExecutionDisplayName": name });
    for detail in ["m-r0002-0123abcd", "m-r0002", "stranger", "x-r0001-0123abcd"]
        .map(|it| detail("arn:other", it))
        .into_iter()
        .chain([json!(7)])
    {
        world.send(json!({ "source": "aws.sagemaker", "detail-type": STATUS, "detail": detail }));
    }
    for detail in [json!({ "model": "../../etc" }), json!({ "model": "stranger" }), Value::Null] {
        world.send(json!({ "source": "refit", "detail-type": "Retraining Requested", "detail": detail }));
    }
    world.send(json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": { "bucket": { "name": "data" }, "object": { "key": "../x" } } }));
    world.drain();
    assert_eq!(Summary::of(&world), before);
    assert_eq!(world.dead_letters, [""; 0]);
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
            super::support::worlds::beginning(),
        )
        .unwrap_done()
        .expect("it applies");
    while player.calls() < start + 60 && player.tick().expect("every invariant holds") {}
    let starts: Vec<_> =
        player.world.pipelines.starts().into_iter().filter(|it| it.1.display_name.starts_with("m-r0002-")).collect();
    // The checker compares what was sent with what was stored before the policy and the clock changed.
    assert_eq!(starts.len(), 1, "{starts:?}");
}

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
        let writes = [Write::Put { key: entry.key.clone(), expect, body: body.into(), due: None }];
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
