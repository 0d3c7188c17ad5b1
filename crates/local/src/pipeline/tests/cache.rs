//! When the result of an earlier execution is reused, and what makes it another one.

use refit_app::ports::{Clock as _, Execution, ExecutionStatus};
use serde_json::{Value, json};

use super::{World, definition, shell, training};
use crate::pipeline::interpreter::wait;
use crate::pipeline::step_event;

/// A step that copies its input to a folder of its execution, and notes in the world's folder that it ran.
fn copy(world: &World) -> Value {
    let script = format!(
        "echo x >> {}; cp /opt/ml/processing/data/a /opt/ml/processing/out/a; test \"$WHO\" != nobody",
        world.folder.path().join("count").display()
    );
    let out = json!({"Std:Join": {"On": "/", "Values": ["s3://bucket", {"Get": "Execution.PipelineExecutionId"}]}});
    let mut step = shell("Copy", &script, &[("data", json!("s3://bucket/in"))], &[("out", out)]);
    step["Arguments"]["Environment"] = json!({"WHO": {"Get": "Parameters.Who"}});
    step["CacheConfig"] = json!({"Enabled": true, "ExpireAfter": "P1D"});
    step["PropertyFiles"] = json!([{"PropertyFileName": "File", "OutputName": "out", "FilePath": "a"}]);
    step
}

/// A pipeline of that step and a condition that reads what it made.
fn pipeline(copy: &Value) -> Value {
    let file = json!({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Copy.PropertyFiles.File"}, "Path": "n"}});
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "In", "QueryValue": file, "Values": [1, 2]}],
        "ElseSteps": [{"Name": "Bad", "Type": "Fail", "Arguments": {"ErrorMessage": "bad"}}]}});
    let parameters = json!([{"Name": "Who", "Type": "String", "DefaultValue": "me"}]);
    definition(&parameters, &[copy.clone(), gate])
}

fn count(world: &World) -> usize {
    std::fs::read_to_string(world.folder.path().join("count")).map_or(0, |it| it.lines().count())
}

fn replace(world: &World, uri: &str, text: &str) {
    let uri = uri.parse().expect("address");
    let etag = wait(world.objects.head(&uri)).expect("object").etag;
    wait(world.objects.replace(&uri, text.as_bytes(), &etag)).expect("replaced");
}

fn folder(execution: &Execution) -> String {
    format!("s3://bucket/{}/a", crate::pipeline::events::execution_id(&execution.arn))
}

/// Runs the pipeline, changes something, runs it again, and checks how often the step really ran.
#[track_caller]
fn check(change: impl FnOnce(&World, &Execution, &mut Value), who: &str, expected: usize) {
    let world = World::new();
    world.put("s3://bucket/in/a", r#"{"n":1}"#);
    let mut step = copy(&world);
    let first = world.run_as(1, &pipeline(&step), &[]);
    assert_eq!((first.status, count(&world)), (ExecutionStatus::Succeeded, 1), "{:?}", first.failure_reason);
    change(&world, &first, &mut step);
    let second = world.run_as(2, &pipeline(&step), &[("Who", who)]);
    assert_eq!(second.status, ExecutionStatus::Succeeded, "{:?}", second.failure_reason);
    assert_eq!(count(&world), expected);
    let is_reused = world.pipelines.find_reused(&second.arn, "Copy").expect("known").is_some();
    assert_eq!(is_reused, expected == 1);
}

#[test]
fn an_equal_step_is_not_run_again() {
    let world = World::new();
    world.put("s3://bucket/in/a", r#"{"n":1}"#);
    let definition = pipeline(&copy(&world));
    let first = world.run_as(1, &definition, &[]);
    let second = world.run_as(2, &definition, &[]);
    // A reused result points to where it was made, also for the third.
    let third = world.run_as(3, &definition, &[]);
    assert_eq!((count(&world), second.steps.clone()), (1, first.steps.clone()));
    assert!(wait(world.objects.head(&folder(&first).parse().expect("address"))).is_ok());
    assert!(wait(world.objects.head(&folder(&second).parse().expect("address"))).is_err());
    for execution in [&second, &third] {
        let reused = world.pipelines.find_reused(&execution.arn, "Copy").expect("known");
        assert_eq!(reused.as_ref(), Some(&first.arn));
        let now = world.clock.now();
        let event = step_event(execution, &execution.steps[0], reused.as_deref(), "Executing", now, now);
        assert_eq!(event["detail"]["cacheHitResult"]["sourcePipelineExecutionArn"], first.arn);
        assert_eq!(event["detail"]["currentStepStatus"], "Succeeded");
        let made = step_event(&first, &first.steps[0], None, "Executing", now, now);
        assert_eq!(event["detail"]["metadata"], made["detail"]["metadata"]);
        assert!(made["detail"].get("cacheHitResult").is_none());
    }
    assert_eq!(world.pipelines.find_reused(&first.arn, "Copy").expect("known"), None);
}

#[test]
fn what_is_not_in_the_key_does_not_matter() {
    check(|_, _, _| {}, "me", 1);
    check(|_, _, step| step["Arguments"]["StoppingCondition"] = json!({"MaxRuntimeInSeconds": 60}), "me", 1);
    check(|_, _, step| step["RetryPolicies"] = json!([{"ExceptionType": ["Step.THROTTLING"]}]), "me", 1);
    check(
        |_, _, step| {
            step["Arguments"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = "s3://bucket/there".into();
        },
        "me",
        1,
    );
}

#[test]
fn what_is_in_the_key_makes_another_result() {
    check(|_, _, _| {}, "you", 2);
    check(|_, _, step| step["Arguments"]["AppSpecification"]["ImageUri"] = "new".into(), "me", 2);
    check(
        |_, _, step| {
            let arguments = &mut step["Arguments"]["AppSpecification"]["ContainerArguments"];
            arguments.as_array_mut().expect("list").push("more".into());
        },
        "me",
        2,
    );
    check(|world, _, _| replace(world, "s3://bucket/in/a", r#"{"n":2}"#), "me", 2);
    check(|world, _, _| world.put("s3://bucket/in/b", "more"), "me", 2);
}

#[test]
fn a_result_must_be_young_and_unchanged() {
    let advance = |world: &World, hours: i64| {
        let mut now = world.clock.0.lock().expect("clock");
        *now += jiff::SignedDuration::from_hours(hours);
    };
    check(|world, _, _| advance(world, 23), "me", 1);
    check(|world, _, _| advance(world, 24), "me", 2);
    check(|world, first, _| replace(world, &folder(first), r#"{"n":2}"#), "me", 2);
    check(|_, _, step| step["CacheConfig"]["Enabled"] = false.into(), "me", 2);
}

#[test]
fn a_step_that_failed_leaves_no_result() {
    let world = World::new();
    world.put("s3://bucket/in/a", r#"{"n":3}"#);
    let definition = pipeline(&copy(&world));
    let nobody = [("Who", "nobody")];
    let failed = [world.run_as(1, &definition, &nobody), world.run_as(2, &definition, &nobody)];
    assert!(failed.iter().all(|it| it.status == ExecutionStatus::Failed));
    assert_eq!(count(&world), 2);
    // The execution fails after the step has succeeded, whose result stays.
    let failed = [world.run_as(3, &definition, &[]), world.run_as(4, &definition, &[])];
    assert!(failed.iter().all(|it| it.failure_reason.as_deref() == Some("bad")));
    assert_eq!(count(&world), 3);
}

#[test]
fn a_trained_model_is_reused() {
    let world = World::new();
    world.put("s3://bucket/rows/a.csv", "1");
    let mut train = training("cp /opt/ml/input/data/train/a.csv /opt/ml/model/m", &json!("s3://bucket/rows"));
    train["CacheConfig"] = json!({"Enabled": true, "ExpireAfter": "30d"});
    let run = |number: u32, rounds: u32| {
        let mut train = train.clone();
        train["Arguments"]["HyperParameters"]["rounds"] = rounds.into();
        let artifacts = json!({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"});
        let execution =
            world.run_as(number, &definition(&json!([]), &[train, super::register("Register", &artifacts)]), &[]);
        assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    };
    run(1, 7);
    run(2, 7);
    run(3, 8);
    // Each execution registers, the second the first one's archive.
    let packages = world.packages.list("flights").expect("packages");
    let urls: Vec<&str> = packages.iter().map(|it| it.model_data_url.as_str()).collect();
    assert_eq!(urls.len(), 3);
    assert!(urls[0] == urls[1] && urls[1] != urls[2], "{urls:?}");
}
