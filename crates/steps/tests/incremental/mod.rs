//! Going on from the champion: what a continued model is, when a run starts over instead, and what it is worth.

use refit_steps::{Model, Strategy};
use serde_json::{Value, json};

use crate::support::{Data, Pipeline, days};

/// A pipeline on toy data whose champion was trained by the one before, if there is one.
fn next(changes: Value, champion: Option<&Pipeline>) -> Pipeline {
    let pipeline = Pipeline::new(changes);
    if let Some(champion) = champion {
        pipeline.write_bytes("processing/champion/model.tar.gz", &champion.read("processing/model/model.tar.gz"));
    }
    pipeline
}

/// Intervals of a run that learns up to a day.
fn until(end: i64, changes: Value) -> Value {
    let mut document = json!({
        "strategy": "incremental", "run_id": format!("toy-r{end:04}"),
        "train": {"start": days(0), "end": days(end)}, "holdout": {"start": days(end), "end": days(end + 15)}
    });
    for (name, value) in changes.as_object().expect("object") {
        document[name] = value.clone();
    }
    document
}

fn run(pipeline: Pipeline, data: &Data) -> Pipeline {
    pipeline.write("processing/reference/x.csv", &data.to_csv());
    pipeline.run_all().expect("runs");
    pipeline
}

fn training(pipeline: &Pipeline) -> Value {
    pipeline.read_json("processing/evaluation/evaluation.json")["training"].clone()
}

#[track_caller]
fn check_starts_over(pipeline: &Pipeline, reason: &str) {
    let expected = json!({"asked": "incremental", "used": "full", "reason": reason, "stages": 1});
    assert_eq!(training(pipeline), expected);
}

#[test]
fn a_continued_model_is_the_champion_and_a_stage() {
    let data = Data::regression(1200);
    let first = run(next(until(30, json!({})), None), &data);
    check_starts_over(&first, "there is no champion to go on from");
    let second = run(next(until(60, json!({})), Some(&first)), &data);
    assert_eq!(training(&second), json!({"asked": "incremental", "used": "incremental", "reason": "", "stages": 2}));
    let (old, new) = (first.read_json("model/model.json"), second.read_json("model/model.json"));
    assert_eq!(old["stages"][0], new["stages"][0], "the champion's trees stay as they are");
    assert_eq!((&old["base"], new["rows"].as_u64()), (&new["base"], Some(400)), "newer rows only");
    assert_eq!(new["stages"][1]["train"], json!({"start": days(30), "end": days(60)}));
    assert_eq!(new["stages"][1]["trees"].as_array().map(Vec::len), Some(100));
    let again = run(next(until(60, json!({})), Some(&first)), &data);
    assert_eq!(second.read("processing/model/model.tar.gz"), again.read("processing/model/model.tar.gz"));
    let evaluation = second.read_json("processing/evaluation/evaluation.json");
    let mae = |pointer: &str| evaluation.pointer(pointer).and_then(Value::as_f64).expect("mae");
    let (candidate, champion) = (mae("/regression_metrics/mae/value"), mae("/champion/regression_metrics/mae/value"));
    assert!(candidate < champion, "{candidate} against {champion}");
}

#[test]
fn what_cannot_be_continued_starts_over_and_says_why() {
    let data = Data::regression(1200);
    let first = run(next(until(30, json!({})), None), &data);
    let other = json!({"features": [{"name": "size", "kind": "numeric"}], "segments": []});
    let pipeline = run(next(until(60, other), Some(&first)), &data);
    check_starts_over(&pipeline, "the champion's features are not those of the request");
    let pipeline = run(next(until(32, json!({})), Some(&first)), &data);
    check_starts_over(&pipeline, "27 labeled rows are newer than the champion's, and 50 are needed");
    let pipeline = run(next(until(60, json!({"task": "binary"})), Some(&first)), &Data::binary(1200));
    let reason = "the champion's task is regression, not binary";
    assert_eq!(training(&pipeline)["reason"], reason);
    let problems = &pipeline.read_json("processing/evaluation/evaluation.json")["problems"];
    assert!(problems.to_string().contains("trained for another task"), "{problems}");
    let pipeline = next(until(60, json!({})), None);
    pipeline.write("processing/champion/model.tar.gz", "damaged");
    pipeline.write("processing/reference/x.csv", &data.to_csv());
    pipeline.run_all().expect("runs");
    let reason = training(&pipeline)["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("the champion's model cannot be used: model archive could not be read"), "{reason}");
}

#[test]
fn growth_ends_at_eight_stages() {
    let data = Data::regression(3000);
    let few = |pipeline: Pipeline| {
        pipeline.write("input/config/hyperparameters.json", r#"{"iterations":"4"}"#);
        run(pipeline, &data)
    };
    let mut champion = few(next(until(20, json!({})), None));
    let mut stages = Vec::new();
    for number in 1..9 {
        champion = few(next(until(20 + 5 * number, json!({})), Some(&champion)));
        stages.push(training(&champion)["stages"].as_u64().expect("a number"));
    }
    assert_eq!(stages, [2, 3, 4, 5, 6, 7, 8, 1]);
    check_starts_over(&champion, "the champion has 8 stages, the most there may be; starting over");
}

#[test]
fn binary_models_go_on_with_the_rows_of_both_classes() {
    let data = Data::binary(1200);
    let first = run(next(until(30, json!({"task": "binary"})), None), &data);
    let second = run(next(until(60, json!({"task": "binary"})), Some(&first)), &data);
    assert_eq!(training(&second)["used"], "incremental");
    let scores = second.read_table("processing/evaluation/predictions.parquet");
    let refit_data::Values::Numeric(scores) = &scores.find_column("candidate").expect("scores").values else {
        panic!("numbers");
    };
    assert!(scores.iter().all(|it| it.is_some_and(|it| 0.0 < it && it < 1.0)));
    let one = Data::constant(1200, 30, 60);
    let pipeline = run(next(until(60, json!({"task": "binary"})), Some(&first)), &one);
    check_starts_over(&pipeline, "every label newer than the champion's is `1`");
}

/// The flights of 2013 month by month: each model from nothing, and each on top of the one before.
#[test]
fn a_year_of_continued_models_keeps_up_with_a_year_of_fresh_ones() {
    let mut champion: Option<Vec<u8>> = None;
    let (mut continued, mut fresh) = (Vec::new(), Vec::new());
    for month in 1..12 {
        for strategy in [Strategy::Full, Strategy::Incremental] {
            let Some(pipeline) = Pipeline::of_flights_by(month, strategy) else { return };
            if let (Strategy::Incremental, Some(champion)) = (strategy, &champion) {
                pipeline.write_bytes("processing/champion/model.tar.gz", champion);
            }
            pipeline.run_all().expect("runs");
            let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
            let mae = evaluation["regression_metrics"]["mae"]["value"].as_f64().expect("mae");
            match strategy {
                Strategy::Full => fresh.push(mae),
                Strategy::Incremental => {
                    continued.push(mae);
                    let archive = pipeline.read("processing/model/model.tar.gz");
                    let model = Model::from_tar_gz(&archive).expect("a model");
                    assert_eq!(model.training.stages, (month - 1) % 8 + 1);
                    champion = Some(archive);
                }
            }
        }
    }
    let mean = |it: &[f64]| it.iter().sum::<f64>() / it.len() as f64;
    let (fresh, continued) = (mean(&fresh), mean(&continued));
    println!("mean of the months after: {fresh:.3} fresh, {continued:.3} continued");
    assert!(continued < 1.05 * fresh, "continued {continued}, fresh {fresh}");
}
