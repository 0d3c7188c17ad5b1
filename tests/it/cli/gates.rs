//! `refit gate` on files, and `refit compare` and the page of an evaluation on a state.

use refit_data::{Column, Frame, Values, write_parquet};
use serde_json::{Value, json};

use super::setting::{Folder, POLICY};

/// Forty days with three rows each; the candidate is off by `candidate`, the champion by 1. Odd shops have another error.
fn predictions(candidate: f64) -> Vec<u8> {
    let rows = 0..120_u32;
    let label = |row: u32| f64::from(row % 7);
    let numbers = |of: &dyn Fn(u32) -> f64| Values::Numeric(rows.clone().map(|row| Some(of(row))).collect());
    let columns = [
        ("ts", Values::Time(rows.clone().map(|row| Some(i64::from(row / 3) * 86_400_000_000)).collect())),
        ("label", numbers(&label)),
        ("candidate", numbers(&|row| label(row) + candidate + if row % 2 == 0 { 0.0 } else { 0.1 })),
        ("champion", numbers(&|row| label(row) + 1.0)),
        (
            "segment_shop",
            Values::Categorical(rows.clone().map(|row| Some(if row % 2 == 0 { "a" } else { "b" })).collect()),
        ),
        ("candidate_return", numbers(&|row| if row % 3 == 0 { -0.01 } else { 0.02 })),
        ("champion_return", numbers(&|row| if row % 2 == 0 { -0.01 } else { 0.02 })),
    ];
    let columns = columns.into_iter().map(|(name, values)| Column { name: name.to_owned(), values }).collect();
    write_parquet(&Frame::new(columns).expect("columns of one length"))
}

fn folder(candidate: f64, evaluation: &Value) -> Folder {
    let folder = Folder::new();
    let gates = "      - { metric: mae, max: 3 }\n";
    let more = "      - { metric: mae, lower_bound_above: 0, segments: all, min_segment_rows: 20 }\n      \
                - { metric: win_rate, min: 0.6 }\n      \
                - { metric: rmse, max: 0.1, dry_run: true }\n      \
                - { metric: { custom: latency_ms, direction: lower_is_better }, max: 50 }\n";
    folder.write("refit.yaml", POLICY.replace(gates, &format!("{gates}{more}")));
    folder.write("predictions.parquet", predictions(candidate));
    folder.write("evaluation.json", evaluation.to_string());
    folder
}

const GATE: [&str; 3] = ["gate", "--evaluation", "evaluation.json"];

fn told(latency: &Value) -> Value {
    json!({ "valid": true, "run_id": "price-r0009", "metrics": { "latency_ms": { "value": latency, "direction": "lower_is_better" } } })
}

fn code(folder: &Folder, arguments: &[&str]) -> Option<i32> {
    folder.refit(arguments).output().expect("it runs").status.code()
}

#[test]
fn files_are_judged_by_every_gate() {
    let good = folder(0.5, &told(&json!(42)));
    let document = good.json(&GATE);
    let verdicts: Vec<_> = document["gates"].as_array().unwrap().iter().map(|it| it["verdict"].clone()).collect();
    assert_eq!(verdicts, ["passed", "passed", "passed", "failed", "passed"], "{document:#}");
    assert_eq!(document["verdict"], "passed", "the failed one is on trial");
    assert_eq!(document["gates"][1]["segments"][0]["rows"], 60);
    let winning = &document["evidence"]["metrics"]["win_rate"];
    assert_eq!((&winning["candidate"]["value"], &winning["champion"]["value"]), (&json!(2.0 / 3.0), &json!(0.5)));
    assert_eq!(code(&good, &GATE), Some(0));

    let report = [&GATE[..], &["--report", "page.html"]].concat();
    assert_eq!(code(&good, &report), Some(0));
    let page = std::fs::read_to_string(good.path("page.html")).unwrap();
    assert!(page.contains("price-r0009") && page.contains("shop=a") && !page.contains("<script"));
}

#[test]
fn what_does_not_pass_ends_with_1_and_what_cannot_be_read_with_2() {
    let worse = folder(1.5, &told(&json!(42)));
    assert_eq!(worse.json(&GATE)["gates"][1]["verdict"], "failed");
    assert_eq!(code(&worse, &GATE), Some(1));
    for latency in [json!("NaN"), json!(null), json!("42"), json!(1e308)] {
        let broken = folder(0.5, &told(&latency));
        assert_eq!(broken.json(&GATE)["gates"][4]["verdict"], "errored", "{latency}");
        assert_eq!(code(&broken, &GATE), Some(1));
    }
    let invalid = folder(0.5, &json!({ "valid": false, "problems": ["no rows"] }));
    assert_eq!(code(&invalid, &GATE), Some(2));
    assert_eq!(code(&invalid, &["gate", "--evaluation", "missing.json"]), Some(2));
}

#[test]
fn two_runs_are_compared() {
    let state = Folder::with_state();
    let document = state.json(&["compare", "price-r0001", "price-r0002"]);
    assert_eq!(document["first"]["run"], "price-r0001");
    assert_eq!(document["same_holdout"], false);
    let mae = document["metrics"].as_array().unwrap().iter().find(|it| it["metric"] == "mae").unwrap();
    let number = |name: &str| mae[name].as_f64().unwrap();
    assert_eq!(number("difference"), number("second") - number("first"));
    assert_eq!(code(&state, &["compare", "price-r0001", "price-r0099"]), Some(2));
    assert_eq!(code(&state, &["runs", "price-r0001", "--report", "run.html"]), Some(0));
    assert!(std::fs::read_to_string(state.path("run.html")).unwrap().contains("held-out rows"));
}
