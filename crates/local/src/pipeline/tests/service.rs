//! Starting, finding and running again.

use std::panic::AssertUnwindSafe;

use refit_app::ports::{ApprovalStatus, Clock as _, ExecutionStatus, Packages, PipelineError, Pipelines};
use serde_json::json;

use super::{Still, World, definition, register, request, shell};
use crate::pipeline::interpreter::wait;
use crate::pipeline::{Programs, run_definition, status_event, step_event};
use crate::store::FileObjects;

#[test]
fn definitions_are_versions_by_content() {
    let world = World::new();
    let one =
        definition(&json!([{"Name": "A", "Type": "Integer", "DefaultValue": 3}]), &[shell("S", "true", &[], &[])]);
    let two = definition(&json!([]), &[shell("S", "true", &[], &[])]);
    let define = |text: &str| world.pipelines.define("test", text).expect("definition").version;
    assert_eq!(define(&one.to_string()), 1);
    assert_eq!(define(&serde_json::to_string_pretty(&one).expect("text")), 1);
    assert_eq!(define(&two.to_string()), 2);
    assert_eq!(define(&one.to_string()), 1);
    let newest = wait(world.pipelines.describe("test")).expect("known");
    assert_eq!((newest.version, newest.parameters.len()), (2, 0));
    assert!(matches!(wait(world.pipelines.describe("other")), Err(PipelineError::NotFound(_))));
    // A request runs the version that it pins: only the first knows the parameter.
    let key = "k".repeat(32);
    let start = |version| wait(world.pipelines.ensure_started(&key, &request(version, &[("A", "4")])));
    assert!(matches!(start(2), Err(PipelineError::Invalid(_))));
    assert!(matches!(start(3), Err(PipelineError::NotFound(_))));
    assert!(start(1).is_ok());
}

#[test]
fn parameters_must_be_given_and_declared() {
    let world = World::new();
    let parameters = json!([
        {"Name": "Text", "Type": "String"}, {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Kind", "Type": "String", "DefaultValue": "full", "EnumValues": ["full"]}]);
    let definition = definition(&parameters, &[shell("S", "true", &[], &[])]);
    world.pipelines.define("test", &definition.to_string()).expect("definition");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "`Text` has no default and must be given"),
        (&[("Text", "x"), ("Other", "y")], "`Other` is not declared"),
        (&[("Text", "x"), ("Count", "many")], "`Count` is not a value of type Integer"),
        (&[("Text", "x"), ("Kind", "half")], "`Kind` must be one of full"),
    ];
    for (given, expected) in cases {
        match wait(world.pipelines.ensure_started(&"k".repeat(32), &request(1, given))) {
            Err(PipelineError::Invalid(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.pipelines.list_open().expect("list"), []);
}

#[test]
fn a_key_stands_for_one_request() {
    let world = World::new();
    let parameters = json!([{"Name": "A", "Type": "String"}]);
    let definition = definition(&parameters, &[shell("S", "true", &[], &[])]);
    let arn = world.start(&definition, &[("A", "1")]);
    assert_eq!(world.start(&definition, &[("A", "1")]), arn);
    let start = |key: &str, value| wait(world.pipelines.ensure_started(key, &request(1, &[("A", value)])));
    assert!(matches!(start(&"k".repeat(32), "2"), Err(PipelineError::KeyReused)));
    assert!(matches!(start("short", "1"), Err(PipelineError::Invalid(_))));
    assert!(arn.starts_with("arn:aws:sagemaker:us-east-1:000000000000:pipeline/test/execution/"), "{arn}");
    let found = |name| wait(world.pipelines.find_by_display_name("test", name)).expect("found");
    assert_eq!((found("run-r0001"), found("run-r0002")), (Some(arn.clone()), None));
    assert_eq!(world.pipelines.list_open().expect("list"), [(arn.clone(), Still.now())]);
    world.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran");
    assert_eq!(world.pipelines.list_open().expect("list"), []);
}

#[test]
fn an_execution_whose_process_died_runs_again_from_its_beginning() {
    let world = World::new();
    world.put("s3://bucket/model.tar.gz", "archive");
    let mut last = shell(
        "Last",
        "test ! -e left && touch left && echo x > /opt/ml/processing/out/x",
        &[],
        &[("out", json!("s3://bucket/out"))],
    );
    last["DependsOn"] = json!(["Register"]);
    let steps = [register("Register", &json!("s3://bucket/model.tar.gz")), last];
    let arn = world.start(&definition(&json!([]), &steps), &[]);
    let crash = std::panic::catch_unwind(AssertUnwindSafe(|| {
        world
            .pipelines
            .run_to_end(&arn, &mut |step| assert_ne!((step.name.as_str(), step.status.as_str()), ("Last", "Succeeded")))
    }));
    assert!(crash.is_err());
    assert_eq!(wait(world.pipelines.observe(&arn)).expect("known").status, ExecutionStatus::Executing);
    let execution = world.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran");
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    assert_eq!(execution.steps.len(), 2);
    assert_eq!(world.packages.list("flights").expect("packages").len(), 1);
    // Without effect on an ended one.
    let again = world.pipelines.run_to_end(&arn, &mut |_| panic!("no step runs")).expect("ended");
    assert_eq!(again, execution);
}

#[test]
fn two_never_run_one_execution_at_once() {
    let world = World::new();
    let arn = world.start(&definition(&json!([]), &[shell("A", "true", &[], &[])]), &[]);
    let mut inner = None;
    world
        .pipelines
        .run_to_end(&arn, &mut |_| {
            inner.get_or_insert_with(|| world.pipelines.run_to_end(&arn, &mut |_| {}));
        })
        .expect("ran");
    assert!(matches!(inner, Some(Err(PipelineError::Invalid(_)))));
}

#[test]
fn packages_are_numbered_and_approved() {
    let world = World::new();
    world.put("s3://bucket/m", "archive");
    let steps = [register("One", &json!("s3://bucket/m")), register("Two", &json!("s3://bucket/m"))];
    let execution = world.run(&definition(&json!([]), &steps), &[]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    let arn = execution.steps[1].package_arn.clone().expect("registered");
    assert_eq!(arn, "arn:aws:sagemaker:us-east-1:000000000000:model-package/flights/2");
    wait(world.packages.set_approval(&arn, ApprovalStatus::Approved)).expect("approved");
    assert_eq!(wait(world.packages.describe(&arn)).expect("known").approval, ApprovalStatus::Approved);
    assert!(wait(world.packages.describe(&arn.replace("/2", "/3"))).is_err());
}

#[test]
fn events_have_the_shape_of_sagemakers() {
    let world = World::new();
    let execution = world.run(&definition(&json!([]), &[shell("A", "exit 1", &[], &[])]), &[]);
    let time = "2013-02-01T00:05:00.25Z".parse().expect("time");
    let event = status_event(&execution, Some(ExecutionStatus::Executing), ExecutionStatus::Failed, time);
    assert_eq!(event["detail-type"], "SageMaker Model Building Pipeline Execution Status Change");
    assert_eq!(event["time"], "2013-02-01T00:05:00Z");
    assert_eq!(event["resources"][1], execution.arn);
    assert_eq!(event["detail"]["currentPipelineExecutionStatus"], "Failed");
    assert_eq!(event["detail"]["previousPipelineExecutionStatus"], "Executing");
    assert_eq!(event["detail"]["pipelineExecutionDisplayName"], "run-r0001");
    assert_eq!(event, status_event(&execution, Some(ExecutionStatus::Executing), ExecutionStatus::Failed, time));
    let step = step_event(&execution, &execution.steps[0], None, "Executing", Still.now(), time);
    assert_eq!(step["detail"]["currentStepStatus"], "Failed");
    assert!(
        step["detail"]["metadata"]["processingJob"]["arn"]
            .as_str()
            .is_some_and(|it| it.contains(":processing-job/pipelines-"))
    );
    assert_eq!(step["detail"]["failureReason"].as_str(), execution.steps[0].failure_reason.as_deref());
    assert_ne!(step["id"], event["id"]);
}

#[test]
fn a_definition_runs_by_itself_over_files() {
    let folder = tempfile::tempdir().expect("folder");
    let clock = std::sync::Arc::new(Still);
    let objects = FileObjects::open(&folder.path().join("objects"), clock.clone()).expect("objects");
    for (uri, text) in [("s3://bucket/in/deep/a", "new"), ("s3://bucket/out/a", "old")] {
        objects.overwrite(&uri.parse().expect("address"), text.as_bytes()).expect("put");
    }
    // The program changes its input, which must not reach the store.
    let script =
        "cp /opt/ml/processing/data/deep/a /opt/ml/processing/out/a && echo more >> /opt/ml/processing/data/deep/a";
    let step = shell("A", script, &[("data", json!("s3://bucket/in"))], &[("out", json!("s3://bucket/out"))]);
    let mut seen = Vec::new();
    let execution = run_definition(
        &definition(&json!([]), &[step]).to_string(),
        &std::collections::BTreeMap::new(),
        std::sync::Arc::new(objects),
        folder.path(),
        &Programs::new(),
        clock,
        &mut |step| seen.push(step.status.clone()),
    )
    .expect("ran");
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    assert_eq!(seen, ["Executing", "Succeeded"]);
    let read = |path: &str| std::fs::read_to_string(folder.path().join("objects/bucket").join(path)).expect("object");
    assert_eq!((read("in/deep/a"), read("out/a")), ("new".to_owned(), "new".to_owned()));
}
