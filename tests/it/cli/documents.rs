//! Policies and pipeline definitions: checked, and a definition run.

use expect_test::{expect, expect_file};
use serde_json::json;

use super::setting::{DEFINITION, Folder, POLICY, json_of};

/// A definition with one step that runs `script`.
fn definition(script: &str) -> String {
    json!({
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [{ "Name": "Greeting", "Type": "String", "DefaultValue": "hello" }],
        "Steps": [{
            "Name": "Greet",
            "Type": "Processing",
            "Arguments": {
                "AppSpecification": { "ImageUri": "any", "ContainerEntrypoint": ["/bin/sh", "-c", script] },
                "Environment": { "GREETING": { "Get": "Parameters.Greeting" } },
                "ProcessingResources": {
                    "ClusterConfig": { "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1 },
                },
                "RoleArn": "arn:aws:iam::000000000000:role/refit",
            },
        }],
    })
    .to_string()
}

#[test]
fn a_valid_policy_is_called_valid() {
    let folder = Folder::new();
    folder.check(
        &["validate"],
        expect![[r#"
        $ refit validate
        exit 0
        -- stdout
        refit.yaml is valid: price (policy …)
    "#]],
    );
    folder.write("example.yaml", include_str!("../../../infra/policies/example.yaml"));
    let document = folder.json(&["validate", "--config", "example.yaml"]);
    assert_eq!(document["valid"], true);
    assert_eq!(document["models"], json!(["flight-time"]));
}

#[test]
fn each_problem_of_a_policy_is_shown_where_it_is() {
    let folder = Folder::new();
    let wrong = POLICY.replace("cooldown: 3d", "cooldwn: 3d").replace("max_drop: 0.3", "max_drop: much");
    folder.write("refit.yaml", wrong.replace("task: regression", "task: ranking"));
    folder.check_file(&["validate"], expect_file!["snapshots/validate.txt"]);
    let document = folder.json(&["validate"]);
    assert_eq!(document["valid"], false);
    let places: Vec<_> =
        document["problems"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    let expected = ["models[0].task", "models[0].triggers.performance.max_drop", "models[0].triggers.cooldwn"];
    assert_eq!(places, expected);
}

#[test]
fn a_policy_that_cannot_be_read_is_bad_input() {
    let folder = Folder::new();
    folder.write("latin.yaml", b"schema: 1 # caf\xe9");
    folder.write("empty.yaml", "");
    let lines: String = ["missing.yaml", ".", "latin.yaml", "empty.yaml"]
        .iter()
        .map(|it| folder.shown(&["validate", "--config", it]))
        .collect();
    expect![[r#"
        $ refit validate --config missing.yaml
        exit 2
        -- stderr
        error: reading policy `missing.yaml`: No such file or directory
        $ refit validate --config .
        exit 2
        -- stderr
        error: reading policy `.`: Is a directory
        $ refit validate --config latin.yaml
        exit 2
        -- stderr
        error: policy `latin.yaml` is not UTF-8 text: incomplete utf-8 byte sequence from index 15
        $ refit validate --config empty.yaml
        exit 2
        -- stderr
        empty.yaml:1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
        error: policy `empty.yaml` has 1 problem
    "#]]
    .assert_eq(&lines);
}

#[test]
fn the_reference_pipeline_is_valid() {
    let folder = Folder::new();
    let document = folder.json(&["pipeline", "lint", "retrain.json"]);
    assert_eq!(document["valid"], true);
    assert_eq!(document["problems"], json!([]));
    let shown = folder.shown(&["pipeline", "lint", "retrain.json"]);
    let warnings = document["warnings"].as_array().unwrap().len();
    assert!(shown.ends_with(&format!("retrain.json is valid: 0 problems, {warnings} warnings\n")), "{shown}");
}

#[test]
fn each_problem_of_a_pipeline_is_shown_where_it_is() {
    let folder = Folder::new();
    folder.write(
        "tiny.json",
        definition("exit").replace("\"Greet\"", "\"Greet them\"").replace("Parameters.G", "Parameters.g"),
    );
    folder.check(&["pipeline", "lint", "tiny.json"], expect![[r#"
        $ refit pipeline lint tiny.json
        exit 1
        -- stdout
        error: tiny.json#/Steps/0: step name `Greet them` is not valid; use 1 to 64 of `A-Z a-z 0-9 - _`
        error: tiny.json#/Steps/0/Arguments/Environment/GREETING: parameter `greeting` is not declared; declare it under `Parameters`
        warning: tiny.json#/Parameters/0: parameter `Greeting` is not used; remove it or use it
        tiny.json is not valid: 2 problems, 1 warning
    "#]]);
    let document = json_of(folder.refit(&["pipeline", "lint", "tiny.json"]));
    assert_eq!(document["valid"], false);
    assert_eq!(document["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn two_pipelines_are_compared_by_content() {
    let folder = Folder::new();
    let old = definition("exit 0");
    folder.write("old.json", &old);
    let mut document: serde_json::Value = serde_json::from_str(&old).unwrap();
    folder.write("pretty.json", serde_json::to_string_pretty(&document).unwrap());
    document["Parameters"].as_array_mut().unwrap().insert(0, json!({ "Name": "Limit", "Type": "Float" }));
    document["Steps"][0]["Arguments"]["AppSpecification"]["ContainerEntrypoint"][2] = "exit \u{1b}1".into();
    folder.write("new.json", document.to_string());
    folder.write("renamed.json", old.replace("\"Greet\"", "\"Hello\""));
    let lines: String = ["pretty.json", "new.json", "renamed.json"]
        .iter()
        .map(|it| folder.shown(&["pipeline", "diff", "old.json", it]))
        .collect();
    expect![[r#"
        $ refit pipeline diff old.json pretty.json
        exit 0
        -- stdout
        old.json (…) -> pretty.json (…): equal
        $ refit pipeline diff old.json new.json
        exit 1
        -- stdout
        parameter Limit added /Parameters/0
        step Greet changed /Steps/0/Arguments/AppSpecification/ContainerEntrypoint/2: "exit 0" -> "exit \u001b1"
        old.json (…) -> new.json (…): 2 differences
        $ refit pipeline diff old.json renamed.json
        exit 1
        -- stdout
        step Greet removed /Steps/0
        step Hello added /Steps/0
        old.json (…) -> renamed.json (…): 2 differences
    "#]]
    .assert_eq(&lines);
    let document = json_of(folder.refit(&["pipeline", "diff", "old.json", "new.json"]));
    assert_eq!((&document["schema"], &document["equal"]), (&json!(1), &json!(false)));
    assert_eq!(
        document["parameters"],
        json!([{"change": "added", "name": "Limit", "pointer": "/Parameters/0", "new": {"Name": "Limit", "Type": "Float"}}])
    );
    let pointer = "/Steps/0/Arguments/AppSpecification/ContainerEntrypoint/2";
    let step =
        json!({"change": "changed", "name": "Greet", "pointer": pointer, "old": "exit 0", "new": "exit \u{1b}1"});
    assert_eq!((&document["steps"], &document["definition"]), (&json!([step]), &json!([])));
    assert_ne!(document["old"]["digest"], document["new"]["digest"]);
    let document = json_of(folder.refit(&["pipeline", "diff", "old.json", "pretty.json"]));
    assert_eq!(document["equal"], true);
    assert_eq!(document["old"]["digest"], document["new"]["digest"]);
}

#[test]
fn pipelines_that_cannot_be_compared_are_bad_input() {
    let folder = Folder::new();
    folder.write("good.json", definition("exit 0"));
    folder.write("twice.json", r#"{"Steps":[{"Name":"A"},{"Name":"A"},{}]}"#);
    folder.write("text.json", "steps");
    let lines: String = ["missing.json", "twice.json", "text.json"]
        .iter()
        .map(|it| folder.shown(&["pipeline", "diff", "good.json", it]))
        .collect();
    expect![[r#"
        $ refit pipeline diff good.json missing.json
        exit 2
        -- stderr
        error: reading pipeline definition `missing.json`: No such file or directory
        $ refit pipeline diff good.json twice.json
        exit 2
        -- stderr
        error: twice.json#/Steps/1: name `A` is used twice; rename one
        error: twice.json#/Steps/2: has no name; add a `Name`
        error: pipeline definition `twice.json` has 2 problems
        $ refit pipeline diff good.json text.json
        exit 2
        -- stderr
        error: text.json#/: is not JSON: expected value at line 1 column 1; correct the text
        error: pipeline definition `text.json` has 1 problem
    "#]]
    .assert_eq(&lines);
}

#[test]
fn a_pipeline_that_cannot_be_read_is_bad_input_and_runs_nothing() {
    let folder = Folder::new();
    folder.write("broken.json", &DEFINITION[..DEFINITION.len() / 2]);
    let lines: String = [
        &["pipeline", "lint", "missing.json"][..],
        &["pipeline", "lint", "broken.json"],
        &["pipeline", "run", "missing.json"],
        &["pipeline", "run", "broken.json"],
    ]
    .iter()
    .map(|it| folder.shown(it))
    .collect();
    expect![[r#"
        $ refit pipeline lint missing.json
        exit 2
        -- stderr
        error: reading pipeline definition `missing.json`: No such file or directory
        $ refit pipeline lint broken.json
        exit 1
        -- stdout
        error: broken.json#/: is not JSON: EOF while parsing an object at line 413 column 8; correct the text
        broken.json is not valid: 1 problem, 0 warnings
        $ refit pipeline run missing.json
        exit 2
        -- stderr
        error: reading pipeline definition `missing.json`: No such file or directory
        $ refit pipeline run broken.json
        exit 2
        -- stderr
        error: broken.json#/: is not JSON: EOF while parsing an object at line 413 column 8; correct the text
        error: pipeline definition `broken.json` has 1 problem
    "#]]
    .assert_eq(&lines);
    assert!(!folder.path(".refit").exists());
}

#[test]
fn a_definition_runs_its_steps() {
    let folder = Folder::new();
    folder.write("tiny.json", definition("test \"$GREETING\" = salut"));
    folder.check(
        &["pipeline", "run", "tiny.json", "--parameter", "Greeting=salut"],
        expect![[r#"
        $ refit pipeline run tiny.json --parameter Greeting=salut
        exit 0
        -- stdout
        tiny.json succeeded
        -- stderr
        executing    Greet
        succeeded    Greet
    "#]],
    );
    assert!(folder.path(".refit/executions").is_dir());
}

#[test]
fn a_failed_execution_is_a_negative_answer_with_the_last_words_of_the_program() {
    let folder = Folder::new();
    folder.write("tiny.json", definition("echo weighing; echo 'the scale is broken' >&2; exit 3"));
    let run = ["pipeline", "run", "tiny.json", "--objects", "objects", "--work", "work"];
    folder.check(
        &run,
        expect![[r#"
        $ refit pipeline run tiny.json --objects objects --work work
        exit 1
        -- stdout
        tiny.json failed
          step `Greet` failed: program ended with exit status: 3: weighing
          the scale is broken
        -- stderr
        executing    Greet
        failed       Greet
    "#]],
    );
    let document = json_of(folder.refit(&run));
    assert!(document["failure_reason"].as_str().unwrap().contains("the scale is broken"), "{document}");
    assert!(!folder.path(".refit").exists());
}

#[test]
fn a_wrong_parameter_is_bad_input() {
    let folder = Folder::new();
    folder.write("tiny.json", definition("exit"));
    let lines: String = ["Greeting", "Name=salut"]
        .iter()
        .map(|it| folder.shown(&["pipeline", "run", "tiny.json", "--parameter", it]))
        .collect();
    expect![[r#"
        $ refit pipeline run tiny.json --parameter Greeting
        exit 2
        -- stderr
        error: parameter `Greeting` is not of the form NAME=VALUE
        $ refit pipeline run tiny.json --parameter Name=salut
        exit 2
        -- stderr
        error: running a pipeline: request to the pipeline service is invalid: parameter `Name` is not declared by the pipeline
    "#]].assert_eq(&lines);
}
