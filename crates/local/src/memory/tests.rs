use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{Pipelines, StartRequest, Table};
use refit_handlers::Function;
use serde_json::json;

use super::faults::{At, Call, Fault, FaultPlan, Faults, Port};
use super::*;

fn world() -> MemoryWorld {
    let now: Timestamp = "2026-01-05T03:00:00Z".parse().unwrap();
    let world = MemoryWorld::new(now);
    world.apply_policy(&policy(Promotion::Manual), now).unwrap_done().unwrap();
    world
}

fn trigger(id: &str) -> serde_json::Value {
    json!({ "kind": "trigger", "id": id, "model": MODEL, "actor": "ann", "reason": "fresh data" })
}

#[test]
fn the_loop_runs_from_a_trigger_to_a_champion() {
    let mut world = world();
    assert!(
        matches!(world.call(Function::CheckTriggers, &trigger("t1")), Delivered::Answered(it) if it.outcome == "done")
    );
    world.drain();
    let [arn] = &world.pipelines.open()[..] else { panic!("one execution is under way") };
    world.pipelines.finish(arn, &Ending::Succeeded(Outputs::of_errors(5.0, 9.0))).unwrap();
    world.drain();
    let vote = json!({ "kind": "vote", "id": "v1", "run": "m-r0001", "actor": "bob", "choice": "approve" });
    world.call(Function::PromoteModel, &vote);
    world.drain();
    let packages = world.packages.list();
    assert_eq!(
        world.endpoints.variants(MODEL).iter().map(|it| &it.package_arn).collect::<Vec<_>>(),
        [&packages[0].arn]
    );
    assert_eq!(world.dead_letters, [""; 0]);
}

#[test]
fn a_snapshot_is_a_world_of_its_own() {
    let mut first = world();
    let snapshot = first.snapshot();
    first.call(Function::CheckTriggers, &trigger("t1"));
    first.drain();
    let mut second = MemoryWorld::at(&snapshot);
    assert_eq!(second.pipelines.executions().len(), 0);
    second.call(Function::CheckTriggers, &trigger("t1"));
    second.drain();
    assert_eq!(second.pipelines.executions(), first.pipelines.executions());
    assert_eq!(second.publisher.published(), first.publisher.published());
}

#[test]
fn a_key_starts_one_execution_and_no_other_request() {
    let world = world();
    let parameters = world_parameters();
    let request = StartRequest {
        pipeline: "m-retrain".to_owned(),
        version: 1,
        display_name: "m-r0001".to_owned(),
        parameters,
        resources: refit_core::policy::Resources::default(),
    };
    let key = "k".repeat(32);
    let start = |request: &StartRequest| poll(world.pipelines.ensure_started(&key, request)).unwrap_done();
    let arn = start(&request).unwrap();
    assert_eq!(start(&request).unwrap(), arn);
    let other = StartRequest { version: 2, ..request };
    assert!(matches!(start(&other), Err(refit_app::ports::PipelineError::KeyReused)));
    assert_eq!(world.pipelines.executions().len(), 1);
    assert_eq!(world.pipelines.starts().len(), 3);
}

#[test]
fn a_key_is_remembered_until_its_execution_is_listed() {
    let world = world();
    world.pipelines.set_lag(SignedDuration::from_mins(4));
    let request = StartRequest {
        pipeline: "m-retrain".to_owned(),
        version: 1,
        display_name: "m-r0001".to_owned(),
        parameters: world_parameters(),
        resources: refit_core::policy::Resources::default(),
    };
    let key = "k".repeat(32);
    let start = || poll(world.pipelines.ensure_started(&key, &request)).unwrap_done().unwrap();
    let arn = start();
    world.pipelines.forget_keys();
    assert_eq!(start(), arn);
    world.clock.advance(SignedDuration::from_mins(4));
    world.pipelines.forget_keys();
    assert_ne!(start(), arn);
}

fn world_parameters() -> std::collections::BTreeMap<String, String> {
    let names = [
        "RefitRunId",
        "TrainStart",
        "TrainEnd",
        "HoldoutStart",
        "HoldoutEnd",
        "ModelPackageGroup",
        "ChampionPackageArn",
        "OutputUri",
    ];
    names.iter().map(|it| ((*it).to_owned(), "x".to_owned())).collect()
}

#[test]
fn a_crash_stops_the_caller_before_or_after_the_effect() {
    let stream = json!({ "Records": [{ "dynamodb": { "Keys": { "pk": { "S": "AUDIT#m" } } } }] });
    for (fault, is_published) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let mut world = world();
        // Read the cursor, query the log, publish: the watch of a model is no alert.
        let faults = Faults::new(At { index: 3, fault });
        world.set_faults(faults.clone());
        assert!(matches!(world.call(Function::PublishEvents, &stream), Delivered::Killed));
        assert_eq!(world.publisher.published().len(), usize::from(is_published));
        assert_eq!((faults.injected(), faults.calls()), (1, 3));
    }
}

#[test]
fn a_lost_answer_leaves_its_effect_and_a_conflict_is_a_true_one() {
    for (fault, is_stored) in [
        (Fault::Unavailable, false),
        (Fault::UnavailableAfter, true),
        (Fault::ConflictAfter, true),
        (Fault::Throttled, false),
    ] {
        let world = world();
        let faults = Faults::new(At { index: 1, fault });
        let ports = faults.wrap(world.ports());
        let key = refit_app::ports::Key::new("p", "s");
        let writes = [refit_app::ports::Write::Put {
            key: key.clone(),
            expect: refit_app::ports::Expect::Absent,
            body: "{}".into(),
            due: None,
        }];
        let token = refit_app::ports::Token("token".to_owned());
        assert!(poll(ports.table.transact(&token, &writes)).unwrap_done().is_err(), "{fault:?}");
        assert_eq!(poll(world.table.get(&key)).unwrap_done().unwrap().is_some(), is_stored, "{fault:?}");
    }
    let mut world = world();
    let faults = Faults::new(FirstConflict);
    world.set_faults(faults.clone());
    assert!(
        matches!(world.call(Function::CheckTriggers, &trigger("t1")), Delivered::Answered(it) if it.outcome == "done")
    );
    assert_eq!(faults.injected(), 1);
    world.drain();
    assert_eq!(world.pipelines.executions().len(), 1);
}

struct FirstConflict;

impl FaultPlan for FirstConflict {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.port == Port::Table && call.is_write && call.index < 12).then_some(Fault::Conflict)
    }
}

#[test]
fn an_endpoint_that_is_busy_is_waited_for() {
    let mut world = world();
    world.call(Function::CheckTriggers, &trigger("t1"));
    world.drain();
    let arn = world.pipelines.open().remove(0);
    world.pipelines.finish(&arn, &Ending::Succeeded(Outputs::of_errors(5.0, 9.0))).unwrap();
    world.drain();
    world.endpoints.set_busy(MODEL, 1);
    let vote = json!({ "kind": "vote", "id": "v1", "run": "m-r0001", "actor": "bob", "choice": "approve" });
    world.call(Function::PromoteModel, &vote);
    world.drain();
    for _ in 0..3 {
        world.sweep_after(SignedDuration::from_mins(6));
    }
    assert_eq!(world.endpoints.variants(MODEL).len(), 1);
}
