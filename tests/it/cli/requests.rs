//! What people ask of runs, versions and triggers, each test on a state of its own.

use expect_test::expect_file;
use serde_json::json;

use super::setting::{DEFINITION, Folder, POLICY, SHARED};

fn session(folder: &Folder, lines: &[&[&str]]) -> String {
    lines.iter().map(|it| folder.shown(it)).collect()
}

#[test]
fn triggers_are_suspended_and_resumed() {
    let folder = Folder::with_state();
    let lines: &[&[&str]] = &[
        &["resume", "price"],
        &["suspend", "price", "--reason", "stocktaking", "--as", "eve"],
        &["suspend", "price", "--reason", "again", "--as", "maria"],
        &["status"],
        &["decline", "price-r0004", "--as", "maria"],
        &["trigger", "price", "--reason", "new shop", "--as", "eve", "--force"],
        &["retry", "price-r0004", "--as", "eve"],
        &["resume", "price", "--reason", "done", "--as", "maria"],
        &["suspend", "price", "--reason", " "],
        &["suspend", "prize", "--reason", "stocktaking"],
        &["resume", "prize"],
    ];
    expect_file!["snapshots/suspend.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn a_run_is_canceled_and_tried_again() {
    let folder = Folder::with_state();
    let lines: &[&[&str]] = &[
        &["retry", "price-r0004", "--as", "eve"],
        &["cancel", "price-r0004", "--reason", "wrong week", "--as", "eve"],
        &["cancel", "price-r0004", "--reason", "wrong week", "--as", "eve"],
        &["approve", "price-r0004", "--as", "maria"],
        &["retry", "price-r0004", "--as", "eve"],
        &["retry", "price-r0003", "--as", "eve"],
        &["retry", "price-r0099", "--as", "eve"],
        &["cancel", "price-r0099", "--reason", "wrong week"],
        &["cancel", "price", "--reason", "wrong week"],
        &["cancel", "price-r0005", "--reason", ""],
    ];
    expect_file!["snapshots/cancel.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn a_version_is_promoted_by_two_people() {
    let folder = Folder::with_state();
    let lines: &[&[&str]] = &[
        &["promote", "price", "1", "--reason", "it was better", "--as", "eve"],
        &["decline", "price-r0004", "--as", "maria"],
        &["promote", "price", "3", "--reason", "it was better", "--as", "eve"],
        &["promote", "price", "9", "--reason", "it was better", "--as", "eve"],
        &["promote", "price", "one", "--reason", "it was better", "--as", "eve"],
        &["promote", "price", "1", "--reason", "it was better", "--as", "eve"],
        &["status"],
        &["approve", "price-r0005", "--as", "eve"],
        &["approve", "price-r0005", "--as", "maria"],
        &["packages"],
        &["explain", "price-r0005"],
        &["audit", "verify"],
    ];
    expect_file!["snapshots/promote.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn a_model_is_adopted_once_and_only_if_there_is_something() {
    let folder = Folder::with_state();
    let fresh = Folder::new();
    fresh.shown(&["apply"]);
    fresh.write("evaluation.json", "{");
    let mut told = session(&folder, &[&["adopt", "price", "--reason", "it is ours now"]]);
    let lines: &[&[&str]] = &[
        &["adopt", "price", "--reason", "it is ours now"],
        &["adopt", "price", "--reason", "it is ours now", "--package-arn", "arn:aws:sagemaker:::model-package/price/1"],
        &["adopt", "price", "--reason", "it is ours now", "--evaluation", "evaluation.json"],
        &["adopt", "price", "--reason", "it is ours now", "--evaluation", "missing.json"],
        &["adopt", "prize", "--reason", "it is ours now"],
    ];
    told += &session(&fresh, lines);
    expect_file!["snapshots/adopt.txt"].assert_eq(&told);
}

#[test]
fn every_model_is_triggered_and_answers_for_itself() {
    let folder = Folder::with_state();
    let (head, model) = POLICY.split_once("models:\n").expect("it has models");
    let other = model.replace("id: price", "id: cost").replace("name: price,", "name: cost,");
    let other = other.replace("package_group: price", "package_group: cost").replace("refit-test/", "refit-cost/");
    folder.write("refit.yaml", format!("{head}models:\n{model}{other}"));
    folder.write("retrain.json", DEFINITION);
    let lines: &[&[&str]] = &[
        &["apply", "--as", "maria"],
        &["trigger", "--all", "--reason", "new shop", "--as", "eve"],
        &["trigger", "price", "--all", "--reason", "new shop"],
        &["models"],
    ];
    expect_file!["snapshots/trigger-all.txt"].assert_eq(&session(&folder, lines));
    let output =
        folder.refit(&["trigger", "--all", "--reason", "x", "--output-format", "json"]).output().expect("starts");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let models: Vec<&serde_json::Value> =
        document["models"].as_array().expect("models").iter().map(|it| &it["model"]).collect();
    assert_eq!(models, [&json!("cost"), &json!("price")]);
}

#[test]
fn two_runs_are_compared() {
    let lines: &[&[&str]] = &[
        &["compare", "price-r0002", "price-r0003"],
        &["compare", "price-r0003", "price-r0099"],
        &["compare", "price-r0003", "price"],
        &["compare", "price-r0003"],
    ];
    expect_file!["snapshots/compare.txt"].assert_eq(&session(&SHARED, lines));
    let document = SHARED.json(&["compare", "price-r0002", "price-r0003"]);
    assert_eq!(document["schema"], 1, "{document}");
}
