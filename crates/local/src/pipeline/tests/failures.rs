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

/// A step that counts its attempts below `bucket/attempts` in the world's folder and succeeds at the `last`.
fn flaky(world: &World, end: &str, last: u32, policies: &Value) -> Value {
    let count = world.folder.path().join("count");
    let script = format!(
        "test ! -e left && touch left && echo x >> {count}; n=$(wc -l < {count}); echo attempt $n; \
         test $n -ge {last} || {end}; cat {count} > /opt/ml/processing/out/n",
        count = count.display()
    );
    let mut step = shell("Flaky", &script, &[], &[("out", json!("s3://bucket/out"))]);
    step["RetryPolicies"] = policies.clone();
    step
}

#[test]
fn a_killed_program_is_tried_again_and_a_failed_one_is_not() {
    let internal = |attempts: u32| {
        json!([
            {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 20},
            {"ExceptionType": ["SageMaker.CAPACITY_ERROR", "SageMaker.JOB_INTERNAL_ERROR"],
             "IntervalSeconds": 1, "BackoffRate": 0.1, "MaxAttempts": attempts}])
    };
    let others = json!([{"ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.CAPACITY_ERROR",
        "SageMaker.RESOURCE_LIMIT"]}]);
    let cases = [
        ("kill -9 $$", 3, internal(2), 3, ExecutionStatus::Succeeded),
        ("kill -9 $$", 3, internal(1), 2, ExecutionStatus::Failed),
        ("kill -9 $$", 2, others, 1, ExecutionStatus::Failed),
        ("exit 1", 2, internal(2), 1, ExecutionStatus::Failed),
    ];
    for (end, last, policies, attempts, expected) in cases {
        let world = World::new();
        let execution = world.run(&definition(&json!([]), &[flaky(&world, end, last, &policies)]), &[]);
        assert_eq!(execution.status, expected, "{end} {policies}: {:?}", execution.failure_reason);
        let count = std::fs::read_to_string(world.folder.path().join("count")).expect("count");
        assert_eq!(count.lines().count(), attempts, "{end} {policies}");
        assert_eq!(world.log(&execution, "Flaky"), format!("attempt {attempts}\n"));
        if 1 < attempts {
            assert_eq!(world.log(&execution, "Flaky.1"), "attempt 1\n");
        }
    }
}

#[test]
fn a_stop_ends_the_wait_for_a_retry() {
    let world = World::new();
    let policies = json!([{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "IntervalSeconds": 600}]);
    let step = flaky(&world, "kill -9 $$", 2, &policies);
    let arn = world.start(&definition(&json!([]), &[step]), &[]);
    let count = world.folder.path().join("count");
    let execution = std::thread::scope(|scope| {
        let run = scope.spawn(|| world.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran"));
        while !count.exists() {
            std::thread::yield_now();
        }
        wait(world.pipelines.stop(&arn)).expect("stop");
        run.join().expect("ended")
    });
    assert_eq!(execution.status, ExecutionStatus::Stopped);
    assert_eq!(execution.steps[0].status, "Stopped");
}

#[test]
fn a_run_is_held_to_its_resources() {
    use refit_core::policy::{Resources, Span};
    let run = |script: &str, resources: Resources| {
        let world = World::new();
        let definition = definition(&json!([]), &[shell("x", script, &[], &[])]).to_string();
        let version = world.pipelines.define("test", &definition).expect("definition").version;
        let request = refit_app::ports::StartRequest { resources, ..super::request(version, &[]) };
        let arn = wait(world.pipelines.ensure_started(&"0".repeat(32), &request)).expect("started");
        world.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran").failure_reason.unwrap_or_default()
    };
    let eats = "kib=$(ulimit -v); test \"$kib\" = 65536 && kill -6 $$";
    let reason = run(eats, Resources { memory_mb: Some(64), ..Resources::default() });
    assert!(reason.contains("it may use 64 MB"), "{reason}");
    let reason = run("sleep 61", Resources { max_runtime: Some(Span::seconds(1)), ..Resources::default() });
    assert!(reason.contains("stopped after 1 s"), "{reason}");
}
