//! How steps fail, hang and are stopped, and what the execution says then.

use refit_app::ports::{ExecutionStatus, Pipelines};
use serde_json::{Value, json};

use super::{World, definition, register, shell, training};
use crate::pipeline::interpreter::wait;

/// Runs one step and the step `Never` after it, and checks the reason.
#[track_caller]
fn check_fails(mut step: Value, expected: &[&str]) {
    let world = World::new();
    step["Name"] = "Only".into();
    let mut never = shell("Never", "true", &[], &[]);
    never["DependsOn"] = json!(["Only"]);
    let execution = world.run(&definition(&json!([]), &[step, never]), &[]);
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(execution.steps.len(), 1, "nothing starts after a failure");
    assert_eq!(execution.steps[0].status, "Failed");
    let reason = execution.failure_reason.unwrap_or_default();
    assert!(reason.starts_with("step `Only` failed: "), "{reason}");
    for expected in expected {
        assert!(reason.contains(expected), "{reason}");
    }
    assert_eq!(reason.strip_prefix("step `Only` failed: "), execution.steps[0].failure_reason.as_deref());
}

#[test]
fn the_reason_is_what_the_program_wrote() {
    let script = "echo noise; printf 'no rows\\n' > /opt/ml/output/message; exit 3";
    check_fails(shell("x", script, &[], &[]), &["failed: no rows"]);
}

#[test]
fn a_long_reason_is_cut() {
    let world = World::new();
    let script = "head -c 5000 /dev/zero | tr '\\0' x > /opt/ml/output/message; exit 1";
    let execution = world.run(&definition(&json!([]), &[shell("A", script, &[], &[])]), &[]);
    assert_eq!(execution.steps[0].failure_reason.as_ref().map(String::len), Some(1024));
}

#[test]
fn without_a_message_the_status_and_the_last_lines_are_the_reason() {
    check_fails(shell("x", "echo first; echo last >&2; exit 4", &[], &[]), &["exit status: 4", "first\nlast"]);
    check_fails(shell("x", "kill -9 $$", &[], &[]), &["signal: 9"]);
}

#[test]
fn an_endless_program_is_stopped_with_all_it_started() {
    let mut step = shell("x", "echo begun; sleep 61 & wait", &[], &[]);
    step["Arguments"]["StoppingCondition"] = json!({"MaxRuntimeInSeconds": 1});
    check_fails(step, &["stopped after 1 s, its MaxRuntimeInSeconds", "begun"]);
}

#[test]
fn a_program_that_is_missing_is_named() {
    let mut step = shell("x", "true", &[], &[]);
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = json!(["/no/such/program"]);
    check_fails(step, &["entrypoint `/no/such/program` could not be run"]);
}

#[test]
fn an_input_without_objects_is_named() {
    check_fails(shell("x", "true", &[("data", json!("s3://bucket/none"))], &[]), &["input `data`", "s3://bucket/none"]);
    check_fails(training("true", &json!("s3://bucket/none")), &["input `train`", "s3://bucket/none"]);
}

#[test]
fn outputs_of_a_failed_step_are_not_uploaded() {
    let world = World::new();
    let script = "echo half > /opt/ml/processing/out/a; exit 1";
    world.run(&definition(&json!([]), &[shell("A", script, &[], &[("out", json!("s3://bucket/out"))])]), &[]);
    let uri = "s3://bucket/out/a".parse().expect("address");
    assert!(wait(world.objects.head(&uri)).is_err());
}

#[test]
fn a_link_is_not_an_output() {
    let script = "ln -s /etc/passwd /opt/ml/processing/out/a";
    check_fails(shell("x", script, &[], &[("out", json!("s3://bucket/out"))]), &["is not a regular file"]);
}

#[test]
fn a_package_needs_its_archive() {
    check_fails(
        register("x", &json!("s3://bucket/none.tar.gz")),
        &["model data: object `s3://bucket/none.tar.gz` does not exist"],
    );
}

#[test]
fn values_of_different_types_are_not_compared() {
    let get = json!({"Std:JsonGet": {"S3Uri": "s3://bucket/r.json", "Path": "a"}});
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": get, "RightValue": 1}]}});
    for (document, expected) in
        [(r#"{"a":"1"}"#, "cannot be compared"), (r#"{"b":1}"#, "has no value at `a`"), ("{", "is not JSON")]
    {
        let world = World::new();
        world.put("s3://bucket/r.json", document);
        let execution = world.run(&definition(&json!([]), std::slice::from_ref(&gate)), &[]);
        let reason = execution.failure_reason.unwrap_or_default();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_stop_ends_the_running_program() {
    let world = World::new();
    let steps = [shell("Hangs", "sleep 62 & wait", &[], &[]), shell("Never", "true", &[], &[])];
    let arn = world.start(&definition(&json!([]), &steps), &[]);
    let execution = world.pipelines.run_to_end(&arn, &mut |step| {
        if step.status == "Executing" {
            wait(world.pipelines.stop(&arn)).expect("stop");
        }
    });
    let execution = execution.expect("ran");
    assert_eq!(execution.status, ExecutionStatus::Stopped);
    assert_eq!((execution.steps.len(), execution.steps[0].status.as_str()), (1, "Stopped"));
    wait(world.pipelines.stop(&arn)).expect("no effect");
    assert_eq!(wait(world.pipelines.observe(&arn)).expect("known"), execution);
}

#[test]
fn a_stop_before_anything_runs_ends_without_a_step() {
    let world = World::new();
    let arn = world.start(&definition(&json!([]), &[shell("A", "true", &[], &[])]), &[]);
    wait(world.pipelines.stop(&arn)).expect("stop");
    assert_eq!(wait(world.pipelines.observe(&arn)).expect("known").status, ExecutionStatus::Stopping);
    let execution = world.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran");
    assert_eq!((execution.status, execution.steps.len()), (ExecutionStatus::Stopped, 0));
}

#[test]
fn an_endless_log_is_cut() {
    let world = World::new();
    let script = "yes 0123456789 | head -c 12000000; echo the end";
    let execution = world.run(&definition(&json!([]), &[shell("A", script, &[], &[])]), &[]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded);
    let log = world.log(&execution, "A");
    assert!(log.trim_end().ends_with("[the log is cut here, at 10485760 bytes]") && log.len() < 10_500_000);
}
