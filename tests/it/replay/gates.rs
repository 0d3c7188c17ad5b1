//! A fresh model is not a better model: gates compare on the same rows, and refuse what is worse.

use std::path::Path;

use refit_app::measure::compare;
use refit_core::Digest;
use refit_core::evaluation::{Evaluation, Evidence, Verdict, evaluate};
use refit_core::policy::{ImprovementMode, Metric, Task, read};
use refit_data::{Frame, Kind, ReadOptions};
use refit_steps::{Model, Paths, Step, run_in};
use serde_json::json;
use tempfile::TempDir;

use super::flights::FLIGHTS;

/// The demo's policy.
const POLICY: &str = include_str!("../../../crates/cli/demo/refit.yaml");
/// Outputs of a step, and where the next one finds them.
const HANDED_ON: [(Step, &str, &str); 6] = [
    (Step::Ingest, "processing/output/ingested.parquet", "processing/data/ingested.parquet"),
    (Step::Preprocess, "processing/train/train.parquet", "input/data/train/train.parquet"),
    (Step::Preprocess, "processing/features/features.json", "input/data/features/features.json"),
    (Step::Preprocess, "processing/features/training.json", "input/data/features/training.json"),
    (Step::Preprocess, "processing/holdout/holdout.parquet", "processing/holdout/holdout.parquet"),
    (Step::Preprocess, "processing/request/request.json", "input/data/request/request.json"),
];

/// The first moment of a month of 2013.
fn first_of(month: i8) -> jiff::Timestamp {
    let date = jiff::civil::date(2013 + i16::from((month - 1) / 12), (month - 1) % 12 + 1, 1);
    date.to_zoned(jiff::tz::TimeZone::UTC).expect("a time").timestamp()
}

fn columns() -> [(&'static str, Kind); 6] {
    let (text, number) = (Kind::Categorical, Kind::Numeric);
    [("carrier", text), ("origin", text), ("dest", text), ("distance", number), ("hour", number), ("weekday", number)]
}

fn copy(root: &Path, from: &str, to: &str) {
    let to = root.join(to);
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("the folder is made");
    std::fs::copy(root.join(from), to).expect("the file is copied");
}

/// The model that the reference pipeline learns from one month.
fn learned_from(month: i8) -> Model {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("opt/ml");
    for name in ["processing/request", "processing/reference"] {
        std::fs::create_dir_all(root.join(name)).expect("the folder is made");
    }
    let features = columns().map(|(name, kind)| json!({ "name": name, "kind": kind.to_string() }));
    let request = json!({
        "schema": 1, "run_id": format!("flights-r{month:04}"), "model": "flights", "task": "regression", "time": "ts",
        "label": "air_time", "prediction": "score", "features": features, "segments": ["carrier"], "strategy": "full", "seed": 11,
        "train": { "start": first_of(month), "end": first_of(month + 1) },
        "holdout": { "start": first_of(month + 1), "end": first_of(month + 2) },
    });
    std::fs::write(root.join("processing/request/request.json"), request.to_string()).expect("the request is written");
    std::fs::copy(FLIGHTS, root.join("processing/reference/flights.parquet")).expect("the bundled flights");
    for step in [Step::Ingest, Step::Preprocess, Step::Train] {
        run_in(step, &Paths::in_sandbox(folder.path())).expect("the step runs");
        for (_, from, to) in HANDED_ON.iter().filter(|it| it.0 == step) {
            copy(&root, from, to);
        }
    }
    let bytes = std::fs::read(root.join("model/model.json")).expect("the model is written");
    Model::from_json(&bytes).expect("the model is read")
}

/// The flights of a month.
fn flights_of(month: i8) -> Frame {
    let bytes = std::fs::read(FLIGHTS).expect("the bundled flights");
    let wanted = [vec![("ts", Kind::Time), ("air_time", Kind::Numeric)], columns().to_vec()].concat();
    let year = refit_data::read(&bytes, &ReadOptions::columns(&wanted)).expect("a table");
    year.filter_time("ts", first_of(month).as_microsecond(), first_of(month + 1).as_microsecond())
        .expect("a time column")
}

/// The evidence for a month's model as the candidate against January's as the champion, both on December.
fn evidence_for(month: i8, december: &Frame) -> Evidence {
    let [times, labels] = [&december.columns()[0].values, &december.columns()[1].values];
    let times: Vec<i64> = times.as_time().expect("times").iter().flatten().copied().collect();
    let labels: Vec<f64> = labels.as_numeric().expect("numbers").iter().flatten().copied().collect();
    let [champion, candidate] = [1, month].map(|it| learned_from(it).predict(december).expect("December is scored"));
    let metrics = compare(Task::Regression, &times, &labels, &candidate, Some(&champion), "flights-r0012");
    Evidence::new(labels.len() as u64, metrics, Digest::of(b"December"))
}

/// The mean absolute errors of champion and candidate.
fn errors(evidence: &Evidence) -> [f64; 2] {
    let comparison = &evidence.metrics[&Metric::Mae];
    [&comparison.champion, &comparison.candidate].map(|it| it.as_ref().expect("an error").value)
}

/// Judges evidence by the demo's policy, with these gates added.
fn judge(evidence: &Evidence, added: &str) -> Evaluation {
    let gates = "    gates:\n";
    let text = POLICY.replace(gates, &format!("{gates}{added}"));
    assert!(added.is_empty() || text != POLICY);
    let policy = read(&text).expect("a policy");
    let model = &policy.models[0];
    evaluate(evidence.clone(), &model.gates, model.promotion.auto_promote.as_ref(), true, None)
}

/// A fresh model is no better just because it is fresh: January's winds are nearer to December's than September's are.
#[test]
fn a_stale_champion_is_kept_when_the_fresh_candidate_is_worse() {
    let december = flights_of(12);
    for month in [9, 10] {
        let evidence = evidence_for(month, &december);
        let [champion, candidate] = errors(&evidence);
        assert!((8.5..9.5).contains(&champion) && 11.0 < candidate, "{champion} and {candidate}");
        let evaluation = judge(&evidence, "");
        assert_eq!(evaluation.verdict, Verdict::Failed, "{:?}", evaluation.gates);
        assert!(!evaluation.auto_promotion.is_granted);
        let passed: Vec<bool> = evaluation.gates.iter().map(|it| it.verdict == Verdict::Passed).collect();
        assert_eq!(passed, [true, false], "good enough by itself, but no better than what serves");
    }
}

/// In December the two err alike, within 2 % of each other, on 31 days that say nothing finer than 7 %. By the luck of
/// the sample November's point estimate is the lower one, so a gate must ask for certainty to refuse it.
#[test]
fn november_is_refused_against_january_in_december() {
    let december = flights_of(12);
    let evidence = evidence_for(11, &december);
    assert_eq!(evidence.rows, 2500);
    let [champion, candidate] = errors(&evidence);
    assert!((8.5..9.5).contains(&champion) && (champion - candidate).abs() < 0.3, "{champion} and {candidate}");
    let bounds = &evidence.metrics[&Metric::Mae].improvements[&ImprovementMode::Relative];
    assert!(bounds.lower_bound.is_some_and(|it| it < -0.02), "{bounds:?}");

    let evaluation = judge(&evidence, "      - { metric: mae, lower_bound_above: 0 }\n");
    assert_eq!(evaluation.verdict, Verdict::Failed, "{:?}", evaluation.gates);
    assert_eq!(evaluation.gates[0].verdict, Verdict::Failed, "{:?}", evaluation.gates);
    let demo = judge(&evidence, "");
    assert!(!demo.auto_promotion.is_granted, "never without a person: {}", demo.auto_promotion.reason);
    let tolerant = judge(&evidence, "      - { metric: mae, max_regression: 0.1 }\n");
    assert_eq!(tolerant.gates[0].verdict, Verdict::Passed, "{:?}", tolerant.gates);
}
