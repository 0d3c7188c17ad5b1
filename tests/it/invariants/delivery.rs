//! Events that come twice, late, in any order, never, or from strangers (E).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use refit_handlers::Function;
use refit_local::memory::faults::Calm;
use refit_local::memory::{Delivered, Ending, MODEL, MemoryWorld, Outputs, scheduled_event};
use refit_local::sim::{Checker, Violation};
use serde_json::{Value, json};

use crate::support::player::{Delivering, Player, Undisturbed, play_delivering};
use crate::support::summary::Summary;
use crate::support::workflows::{self, Action, Workflow};
use crate::support::worlds::{ask, finish, one_champion, rollback, trigger, two_champions};

const STATUS: &str = "SageMaker Model Building Pipeline Execution Status Change";

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
    early.send(Value::clone(&kept[1]));
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
