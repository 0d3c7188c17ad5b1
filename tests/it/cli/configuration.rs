//! The fleet's policy by the command line: applied, compared, listed, brought back.

use expect_test::{expect, expect_file};

use super::setting::{DEFINITION, Folder, POLICY};

/// The played state, with the policy that it was played under and another one.
fn folder() -> Folder {
    let folder = Folder::with_state();
    folder.write("refit.yaml", POLICY);
    folder.write("retrain.json", DEFINITION);
    folder.write("stricter.yaml", stricter());
    folder
}

/// A stricter gate, a longer cooldown, and no retraining by age.
fn stricter() -> String {
    let changed = POLICY.replace("max: 3 }", "max: 2 }").replace("cooldown: 3d", "cooldown: 5d");
    let changed = changed.replace("      age: { max: 9d }\n", "");
    assert_ne!(changed, POLICY);
    changed
}

fn session(folder: &Folder, lines: &[&[&str]]) -> String {
    lines.iter().map(|it| folder.shown(it)).collect()
}

#[test]
fn a_changed_policy_is_shown_before_it_is_stored() {
    let folder = folder();
    let before = folder.json(&["config", "history"]);
    let lines: &[&[&str]] = &[&["diff", "stricter.yaml"], &["apply", "stricter.yaml", "--dry-run"]];
    expect_file!["snapshots/apply-dry-run.txt"].assert_eq(&session(&folder, lines));
    assert_eq!(folder.json(&["config", "history"]), before, "nothing was stored");
}

#[test]
fn a_changed_policy_is_applied_listed_and_taken_back() {
    let folder = folder();
    let lines: &[&[&str]] = &[
        &["apply", "stricter.yaml", "--as", "maria", "--comment", "the shop complains"],
        &["status"],
        &["config", "history"],
        &["config", "rollback", "--as", "eve", "--comment", "too strict"],
        &["config", "rollback", "1", "--as", "eve"],
        &["config", "rollback", "9", "--as", "eve"],
        &["config", "rollback", "two", "--as", "eve"],
        &["config", "history"],
        &["config", "show", "9"],
        &["config", "show", "1", "--source"],
    ];
    expect_file!["snapshots/config.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn a_policy_that_cannot_be_applied_is_explained() {
    let folder = folder();
    folder.write("wrong.yaml", POLICY.replace("cooldown: 3d", "cooldwn: 3d").replace("max: 3 }", "max: three }"));
    folder.write("homeless.yaml", POLICY.replace("retrain.json", "elsewhere.json"));
    folder.write("broken.json", "{");
    folder.write("broken.yaml", POLICY.replace("retrain.json", "broken.json"));
    let before = folder.json(&["config", "history"]);
    let lines: &[&[&str]] = &[
        &["apply", "wrong.yaml"],
        &["diff", "wrong.yaml"],
        &["apply", "missing.yaml"],
        &["apply", "homeless.yaml"],
        &["apply", "broken.yaml"],
        &["apply", "--as", " "],
    ];
    expect_file!["snapshots/apply-wrong.txt"].assert_eq(&session(&folder, lines));
    assert_eq!(folder.json(&["config", "history"]), before, "nothing was stored");
}

#[test]
fn without_a_state_there_is_no_configuration() {
    let folder = Folder::new();
    let lines: &[&[&str]] = &[&["config", "history"], &["config", "show"], &["config", "rollback"]];
    expect![[r#"
        $ refit config history
        exit 2
        -- stderr
        error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
        $ refit config show
        exit 2
        -- stderr
        error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
        $ refit config rollback
        exit 2
        -- stderr
        error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
    "#]]
    .assert_eq(&session(&folder, lines));
}

#[test]
fn the_schema_is_a_document_about_the_policy() {
    let folder = Folder::new();
    let output = folder.refit(&["schema"]).output().expect("refit starts");
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("text");
    let head: Vec<&str> = text.lines().take(12).collect();
    expect![[r#"
        {
          "$schema": "https://json-schema.org/draft/2020-12/schema",
          "additionalProperties": false,
          "properties": {
            "fleet": {
              "additionalProperties": false,
              "properties": {
                "concurrent_runs": {
                  "maximum": 1000,
                  "minimum": 1,
                  "type": "integer"
                },"#]]
    .assert_eq(&head.join("\n"));
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(schema["$schema"].is_string(), "editors look for it");
}
