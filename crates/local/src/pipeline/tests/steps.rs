//! What steps get, leave behind and decide.

use refit_app::ports::{ApprovalStatus, ExecutionStatus};
use serde_json::{Value, json};

use super::{World, count_entries, definition, register, shell, statuses, training};
use crate::pipeline::Programs;

const RESULT: &str = r#"{"metrics":{"mae":{"value":6.5}},"valid":true}"#;

/// An `Evaluate` step whose property file holds [`RESULT`], and a gate on its error.
fn gated(limit: &str) -> Value {
    let script = format!("printf '%s' '{RESULT}' > /opt/ml/processing/evaluation/evaluation.json");
    let mut evaluate = shell("Evaluate", &script, &[], &[("evaluation", json!("s3://bucket/evaluation"))]);
    evaluate["PropertyFiles"] =
        json!([{"PropertyFileName": "Evaluation", "OutputName": "evaluation", "FilePath": "evaluation.json"}]);
    let get = |path: &str| json!({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"}, "Path": path}});
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [
            {"Type": "Equals", "LeftValue": get("valid"), "RightValue": true},
            {"Type": "LessThanOrEqualTo", "LeftValue": get("metrics.mae.value"), "RightValue": {"Get": "Parameters.Limit"}}],
        "IfSteps": [shell("Good", "echo good", &[], &[])],
        "ElseSteps": [{"Name": "Bad", "Type": "Fail", "Arguments": {"ErrorMessage":
            {"Std:Join": {"On": " ", "Values": ["error", get("metrics.mae.value"), "is above", {"Get": "Parameters.Limit"}]}}}}]}});
    let default: Value = limit.parse::<f64>().expect("number").into();
    definition(&json!([{"Name": "Limit", "Type": "Float", "DefaultValue": default}]), &[gate, evaluate])
}

#[test]
fn data_flows_from_objects_through_steps_to_objects() {
    let world = World::new();
    world.put("s3://bucket/in/part/a.txt", "hello");
    world.put("s3://bucket/in2/b.txt", "not this");
    let first = shell(
        "First",
        "cat /opt/ml/processing/data/part/a.txt > /opt/ml/processing/copy/out.txt; env | sort; ls /opt/ml/config",
        &[("data", json!("s3://bucket/in"))],
        &[(
            "copy",
            json!({"Std:Join": {"On": "/", "Values": ["s3:/", "bucket", {"Get": "Execution.PipelineExecutionId"}, {"Get": "Parameters.Folder"}]}}),
        )],
    );
    let mut second = shell(
        "Second",
        "echo \"$(cat /opt/ml/processing/got/out.txt) $WHO $1\"; test ! -e /opt/ml/processing/got/b.txt",
        &[("got", json!({"Get": "Steps.First.ProcessingOutputConfig.Outputs['copy'].S3Output.S3Uri"}))],
        &[],
    );
    second["Arguments"]["Environment"] = json!({"WHO": {"Get": "Parameters.Folder"}});
    second["Arguments"]["AppSpecification"]["ContainerArguments"]
        .as_array_mut()
        .expect("list")
        .extend([json!("sh"), json!("/opt/ml/x")]);
    // The second stands first: references decide.
    let definition = definition(&json!([{"Name": "Folder", "Type": "String"}]), &[second, first]);
    let execution = world.run(&definition, &[("Folder", "deep/er")]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    let names: Vec<&str> = execution.steps.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Second", "First"], "the order of the definition");
    let id = crate::pipeline::events::execution_id(&execution.arn).to_owned();
    assert_eq!(world.get(&format!("s3://bucket/{id}/deep/er/out.txt")), "hello");
    let log = world.log(&execution, "First");
    let variables: Vec<&str> = log.lines().filter_map(|it| Some(it.split_once('=')?.0)).collect();
    let allowed = ["HOME", "PATH", "PROCESSING_JOB_ARN", "PWD", "REFIT_SANDBOX", "SHLVL", "_", "OLDPWD"];
    assert!(variables.iter().all(|it| allowed.contains(it)), "{variables:?}");
    assert!(variables.contains(&"REFIT_SANDBOX") && log.contains("processingjobconfig.json"), "{log}");
    let log = world.log(&execution, "Second");
    assert!(log.starts_with("hello deep/er /") && log.trim().ends_with("/Second/opt/ml/x"), "{log}");
    // Two logs; the sandboxes of steps that succeeded are gone.
    assert_eq!(count_entries(&world.folder.path().join("executions").join(id)), 2);
}

#[test]
fn entrypoints_are_mapped_to_programs() {
    let world = World::with_programs(Programs::from([(
        "/refit-step".to_owned(),
        vec!["/bin/echo".to_owned(), "step".to_owned()],
    )]));
    let mut step = shell("A", "ingest", &[], &[]);
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = json!(["/refit-step"]);
    let execution = world.run(&definition(&json!([]), &[step]), &[]);
    assert_eq!(world.log(&execution, "A"), "step ingest\n");
}

#[test]
fn a_trained_model_is_packed_and_registered_once() {
    let world = World::new();
    world.put("s3://bucket/rows/a.csv", "1");
    let script = "cp /opt/ml/input/data/train/a.csv /opt/ml/model/m; cat /opt/ml/input/config/hyperparameters.json; \
                  echo; cat /opt/ml/input/config/inputdataconfig.json; echo; echo $TRAINING_JOB_NAME";
    let artifacts = json!({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"});
    let steps = [training(script, &json!("s3://bucket/rows")), register("Register", &artifacts)];
    let execution = world.run(&definition(&json!([]), &steps), &[]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    let log = world.log(&execution, "Train");
    assert!(log.starts_with("{\"rounds\":\"7\"}\n{\"train\":{"), "{log}");
    let packages = world.packages.list("flights").expect("packages");
    assert_eq!(packages.len(), 1);
    let package = &packages[0];
    assert_eq!(package.approval, ApprovalStatus::PendingManualApproval);
    assert_eq!(package.metadata["refit:run-id"], "r1");
    assert_eq!(execution.steps[1].package_arn.as_ref(), Some(&package.arn));
    let job = log.lines().last().expect("job name");
    assert_eq!(package.model_data_url, format!("s3://bucket/model/{job}/output/model.tar.gz"));
}

#[test]
fn a_condition_runs_one_branch_alone() {
    let world = World::new();
    let good = world.run(&gated("6.5"), &[]);
    assert_eq!(good.status, ExecutionStatus::Succeeded, "{:?}", good.failure_reason);
    assert_eq!(statuses(&good).into_keys().collect::<Vec<_>>(), ["Evaluate", "Gate", "Good"]);
    let world = World::new();
    let bad = world.run(&gated("6.25"), &[]);
    assert_eq!(bad.status, ExecutionStatus::Failed);
    assert_eq!(bad.failure_reason.as_deref(), Some("error 6.5 is above 6.25"));
    assert_eq!(
        statuses(&bad).into_iter().collect::<Vec<_>>(),
        [("Bad", "Failed"), ("Evaluate", "Succeeded"), ("Gate", "Succeeded")]
    );
}

#[test]
fn what_waits_for_a_skipped_step_is_skipped() {
    let world = World::new();
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 2.0}],
        "IfSteps": [shell("Inside", "true", &[], &[])]}});
    let mut after = shell("After", "true", &[], &[]);
    after["DependsOn"] = json!(["Inside"]);
    let mut beside = shell("Beside", "true", &[], &[]);
    beside["DependsOn"] = json!(["Gate"]);
    let execution = world.run(&definition(&json!([]), &[after, gate, beside]), &[]);
    assert_eq!(statuses(&execution).into_keys().collect::<Vec<_>>(), ["Beside", "Gate"]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded);
}

#[test]
fn json_is_read_from_any_object() {
    let world = World::new();
    world.put("s3://bucket/x/result.json", r#"{"list":[{"b":"yes"}]}"#);
    let uri = json!({"Std:Join": {"On": "/", "Values": ["s3://bucket", "x", "result.json"]}});
    let get = json!({"Std:JsonGet": {"S3Uri": uri, "Path": "list[0].b"}});
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": get, "RightValue": "yes"}],
        "IfSteps": [shell("Yes", "true", &[], &[])]}});
    let execution = world.run(&definition(&json!([]), &[gate]), &[]);
    assert_eq!(statuses(&execution).into_keys().collect::<Vec<_>>(), ["Gate", "Yes"]);
}

#[test]
fn conditions_combine() {
    let equals = |value: i64| json!({"Type": "Equals", "LeftValue": {"Get": "Parameters.N"}, "RightValue": value});
    let not = |inner: Value| json!({"Type": "Not", "Condition": inner});
    let or = |inner: &[Value]| json!({"Type": "Or", "Conditions": inner});
    let within = |values: Value| json!({"Type": "In", "QueryValue": {"Get": "Parameters.N"}, "Values": values});
    let cases = [
        (within(json!([1, 3])), true),
        (within(json!([1, 2])), false),
        (within(json!([3.0])), true),
        (not(equals(3)), false),
        (not(not(equals(3))), true),
        (or(&[equals(1), equals(3)]), true),
        (or(&[equals(1), not(equals(3))]), false),
        (not(or(&[equals(1), not(within(json!([{"Get": "Parameters.N"}])))])), true),
    ];
    for (condition, expected) in cases {
        let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
            "Conditions": [equals(3), condition], "IfSteps": [shell("Yes", "true", &[], &[])]}});
        let parameters = json!([{"Name": "N", "Type": "Integer", "DefaultValue": 3}]);
        let execution = World::new().run(&definition(&parameters, std::slice::from_ref(&gate)), &[]);
        assert_eq!(execution.status, ExecutionStatus::Succeeded, "{gate}");
        assert_eq!(statuses(&execution).contains_key("Yes"), expected, "{gate}");
    }
}

#[test]
fn a_condition_that_cannot_be_read_is_not_passed_over() {
    let world = World::new();
    let unreadable = json!({"Std:JsonGet": {"S3Uri": "s3://bucket/none.json", "Path": "a"}});
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {"Conditions": [{"Type": "Or", "Conditions": [
        {"Type": "Equals", "LeftValue": 1, "RightValue": 1},
        {"Type": "In", "QueryValue": unreadable, "Values": [1]}]}]}});
    let execution = world.run(&definition(&json!([]), &[gate]), &[]);
    assert_eq!(execution.status, ExecutionStatus::Failed);
}
