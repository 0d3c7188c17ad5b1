//! The four steps one after the other, as SageMaker would run them: each in folders of its own.

mod classes;
mod incremental;
mod serve;
mod support;

use refit_data::{Kind, ReadOptions, Values};
use refit_steps::{Model, Step, pack_model, with_causes};
use serde_json::json;
use support::{Data, Pipeline, days};

#[track_caller]
fn check_fails(pipeline: &Pipeline, expected: &str) {
    let error = pipeline.run_all().expect_err("fails");
    let text = with_causes(&error);
    assert!(text.contains(expected), "{text}");
    assert_eq!(pipeline.read_text("output/message"), text, "the message SageMaker shows");
}

#[test]
fn regression_from_history_alone() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/2024.csv", &Data::regression(1200).to_csv());
    pipeline.write("processing/reference/.keep", "");
    pipeline.run_all().expect("runs");

    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["valid"], true);
    assert_eq!(evaluation["problems"], json!([]));
    assert_eq!(evaluation["rows"], 400);
    let mae = evaluation["regression_metrics"]["mae"]["value"].as_f64().expect("mae");
    assert!(mae < 2.0, "{mae}");
    assert!(evaluation["regression_metrics"]["mae"]["standard_deviation"].is_number());
    assert!(evaluation.get("champion").is_none());

    let manifest = pipeline.read_json("processing/evaluation/manifest.json");
    assert_eq!((&manifest["train_rows"], &manifest["holdout_rows"]), (&json!(800), &json!(400)));
    for file in ["evaluation.json", "predictions.parquet"] {
        let bytes = pipeline.read(&format!("processing/evaluation/{file}"));
        assert_eq!(manifest["files"][file]["bytes"], bytes.len());
        assert_eq!(manifest["files"][file]["sha256"], support::sha256(&bytes));
    }
    let predictions = pipeline.read_table("processing/evaluation/predictions.parquet");
    let names: Vec<&str> = predictions.columns().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["id", "ts", "label", "candidate", "champion", "segment_color"]);
    assert_eq!(predictions.rows(), 400);
}

#[test]
fn the_champion_is_scored_on_the_same_rows() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/2024.csv", &Data::regression(1200).to_csv());
    pipeline.run_all().expect("runs");
    let archive = pack_model(&pipeline.folder("model")).expect("packs");
    pipeline.write_bytes("processing/champion/model.tar.gz", &archive);
    pipeline.run_all().expect("runs");
    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["champion"]["regression_metrics"], evaluation["regression_metrics"]);
    assert!(Model::from_tar_gz(&archive).is_ok());
}

#[test]
fn a_champion_that_cannot_be_scored_makes_the_evaluation_invalid() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/2024.csv", &Data::regression(600).to_csv());
    pipeline.write("processing/champion/none", "");
    pipeline.run_all().expect("any other file means that there is no champion");
    assert_eq!(pipeline.read_json("processing/evaluation/evaluation.json")["valid"], true);
    pipeline.write("processing/champion/model.tar.gz", "not an archive");
    pipeline.run_all().expect("the condition step decides");
    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["valid"], false);
    let problem = evaluation["problems"][0].as_str().expect("problem");
    assert!(problem.starts_with("the champion's model cannot be used: model archive could not be read"), "{problem}");
}

#[test]
fn binary_predictions_are_probabilities_that_rank() {
    let pipeline = Pipeline::new(json!({"task": "binary"}));
    pipeline.write("processing/reference/2024.csv", &Data::binary(1500).to_csv());
    pipeline.run_all().expect("runs");
    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["valid"], true);
    let auc = evaluation["binary_classification_metrics"]["auc"]["value"].as_f64().expect("auc");
    assert!(0.85 < auc, "{auc}");
}

#[test]
fn captured_rows_are_joined_with_their_last_label_and_each_id_is_taken_once() {
    let pipeline = Pipeline::new(json!({}));
    let data = Data::regression(1200);
    let (history, live) = Data::regression(1200).split(700);
    pipeline.write("processing/reference/history.csv", &history.to_csv());
    // The first hundred captured rows are in the history, too; the last fifty have no label yet.
    pipeline.write("processing/capture/m/champion/all.jsonl", &data.to_capture(600..1200));
    pipeline.write("processing/capture/m/champion/2020/01/01/00/old.jsonl", "this is never opened");
    pipeline.write("processing/labels/2024/01/a.jsonl", &live.to_ground_truth(0..450, |_| 1e9));
    pipeline.write("processing/labels/2024/02/b.jsonl", &live.to_ground_truth(0..450, |label| label));
    pipeline.write("processing/labels/.keep", "");
    pipeline.run(Step::Ingest).expect("runs");
    let rows = pipeline.read_table("processing/output/ingested.parquet");
    assert_eq!(rows.rows(), 1150);
    pipeline.run_all().expect("runs");

    let alone = Pipeline::new(json!({}));
    alone.write("processing/reference/all.csv", &data.split(1150).0.to_csv());
    alone.run_all().expect("runs");
    let read = |it: &Pipeline| it.read("processing/evaluation/predictions.parquet");
    assert!(read(&pipeline) == read(&alone), "where a row comes from makes no difference");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let outputs = || {
        let pipeline = Pipeline::new(json!({}));
        pipeline.write("processing/reference/b.csv", &Data::regression(900).split(400).1.to_csv());
        pipeline.write("processing/reference/a.csv", &Data::regression(900).split(400).0.to_csv());
        pipeline.run_all().expect("runs");
        let files = [
            "processing/output/ingested.parquet",
            "processing/train/train.parquet",
            "processing/holdout/holdout.parquet",
            "processing/features/features.json",
            "model/model.json",
            "processing/model/model.tar.gz",
            "processing/evaluation/evaluation.json",
            "processing/evaluation/predictions.parquet",
            "processing/evaluation/manifest.json",
        ];
        files.map(|it| (it, support::sha256(&pipeline.read(it))))
    };
    assert_eq!(outputs(), outputs());
}

#[test]
fn a_missing_column_is_named_with_its_file() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/old.csv", "ts,y,size\n2024-01-01,1,2\n");
    check_fails(&pipeline, "data file `old.csv` could not be read: column `color` is missing");
}

#[test]
fn a_wrong_value_is_named_with_its_file_row_and_column() {
    let pipeline = Pipeline::new(json!({}));
    let text = "ts,y,color,size\n2024-01-01,1,red,2\n2024-01-02,1,red,large\n";
    pipeline.write("processing/reference/new/x.csv", text);
    check_fails(&pipeline, "data file `new/x.csv` could not be read: row 2, column `size`: `large` is not a numeric");
    let pipeline = Pipeline::new(json!({"task": "binary"}));
    pipeline.write("processing/reference/x.csv", "ts,y,color,size\n2024-01-01,7,red,2\n");
    check_fails(&pipeline, "data file `x.csv`, row 1, column `y`: label 7 is neither 0 nor 1");
}

#[test]
fn too_few_rows_are_counted_and_the_remedy_named() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/x.csv", &Data::regression(60).to_csv());
    check_fails(
        &pipeline,
        "40 labeled rows in the training interval [2024-01-01T00:00:00Z, 2024-03-01T00:00:00Z) where at least 50 are \
         needed; widen `training.window`",
    );
    let pipeline = Pipeline::new(json!({"holdout": {"start": days(60), "end": days(61)}}));
    pipeline.write("processing/reference/x.csv", &Data::regression(600).to_csv());
    check_fails(&pipeline, "labeled rows in the hold-out interval");
    let pipeline = Pipeline::new(json!({}));
    check_fails(&pipeline, "0 labeled rows in the training interval");
}

#[test]
fn training_failures_go_to_the_file_of_training_jobs() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/x.csv", &Data::regression(600).to_csv());
    pipeline.write("input/config/hyperparameters.json", r#"{"eta":"0.1"}"#);
    pipeline.run_all().expect_err("refused");
    let text = pipeline.read_text("output/failure");
    assert!(text.contains("hyperparameter `eta` is not known; known are bins, colsample"), "{text}");
}

#[test]
fn hyperparameters_reach_the_model() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/x.csv", &Data::regression(600).to_csv());
    pipeline.write("input/config/hyperparameters.json", r#"{"iterations":"7"}"#);
    pipeline.run_all().expect("runs");
    let model = pipeline.read_json("model/model.json");
    assert_eq!(model["stages"][0]["trees"].as_array().expect("trees").len(), 7);
}

/// Mean absolute errors of the model in `pipeline` for each month of 2013.
fn monthly_errors(pipeline: &Pipeline) -> Vec<f64> {
    let model = Model::from_json(&pipeline.read("model/model.json")).expect("model");
    let columns = [
        ("ts", Kind::Time),
        ("air_time", Kind::Numeric),
        ("carrier", Kind::Categorical),
        ("origin", Kind::Categorical),
        ("dest", Kind::Categorical),
        ("distance", Kind::Numeric),
        ("hour", Kind::Numeric),
        ("weekday", Kind::Numeric),
    ];
    let bytes = std::fs::read(support::FLIGHTS).expect("flights");
    let rows = refit_data::read(&bytes, &ReadOptions::columns(&columns)).expect("table");
    let predicted = model.predict(&rows).expect("predicts");
    let (Values::Time(times), Values::Numeric(labels)) = (&rows.columns()[0].values, &rows.columns()[1].values) else {
        panic!("declared kinds");
    };
    let mut months = [(0.0, 0.0); 12];
    for ((time, label), predicted) in times.iter().zip(labels).zip(&predicted) {
        let (Some(time), Some(label)) = (time, label) else { continue };
        let time = jiff::Timestamp::from_microsecond(*time).expect("time").to_zoned(jiff::tz::TimeZone::UTC);
        let (sum, count) = &mut months[time.month() as usize - 1];
        *sum += (predicted - label).abs();
        *count += 1.0;
    }
    months.iter().map(|(sum, count)| sum / count).collect()
}

#[test]
fn flight_times_age_and_a_fresh_model_is_better() {
    let Some(january) = Pipeline::of_flights(1) else { return };
    january.run_all().expect("runs");
    let frozen = monthly_errors(&january);
    println!("January's model, January to December: {frozen:.2?}");
    assert!(frozen[1] < 10.0, "February {}", frozen[1]);
    assert!(13.0 < frozen[8], "September {}", frozen[8]);

    let fresh: Vec<f64> = (1..12)
        .map(|month| {
            let pipeline = Pipeline::of_flights(month).expect("flights");
            pipeline.run_all().expect("runs");
            let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
            evaluation["regression_metrics"]["mae"]["value"].as_f64().expect("mae")
        })
        .collect();
    println!("the month before's model, February to December: {fresh:.2?}");
    assert!((fresh[0] - frozen[1]).abs() < 1e-9, "both ways measure the same");
    let mean = fresh.iter().sum::<f64>() / 11.0;
    assert!(mean < 9.0, "mean {mean}");
}

#[test]
fn the_definition_uses_the_folders_and_names_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/pipelines/retrain.json");
    let definition: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("file")).expect("JSON");
    let steps = definition["Steps"].as_array().expect("steps");
    let folders = |step: &serde_json::Value, pointer: &str, part: &str| -> Vec<String> {
        let list = step.pointer(pointer).and_then(|it| it.as_array()).expect("list");
        list.iter().map(|it| it[part]["LocalPath"].as_str().expect("path").replace("/opt/ml/processing/", "")).collect()
    };
    let expected = [
        ("ingest", vec!["request", "reference", "capture", "labels"], vec!["output"]),
        ("preprocess", vec!["request", "data", "champion"], vec!["train", "holdout", "features"]),
        ("evaluate", vec!["request", "model", "champion", "holdout"], vec!["evaluation"]),
    ];
    for (name, inputs, outputs) in expected {
        let is_step =
            |it: &&serde_json::Value| it["Arguments"]["AppSpecification"]["ContainerArguments"] == json!([name]);
        let step = steps.iter().find(is_step).expect(name);
        assert_eq!(folders(step, "/Arguments/ProcessingInputs", "S3Input"), inputs);
        assert_eq!(folders(step, "/Arguments/ProcessingOutputConfig/Outputs", "S3Output"), outputs);
    }
    let train = &steps.iter().find(|it| it["Type"] == "Training").expect("training")["Arguments"];
    assert_eq!(train["AlgorithmSpecification"]["ContainerArguments"], json!(["train"]));
    let channels: Vec<&serde_json::Value> =
        train["InputDataConfig"].as_array().expect("channels").iter().map(|it| &it["ChannelName"]).collect();
    assert_eq!(channels, ["train", "features", "request"]);
}

#[test]
fn the_program_finds_its_sandbox_and_fails_with_a_reason() {
    let pipeline = Pipeline::new(json!({"schema": 2}));
    let root = pipeline.folder("").ancestors().nth(2).expect("root").to_owned();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_refit-step"))
        .arg("ingest")
        .env(refit_steps::SANDBOX_VARIABLE, root)
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.starts_with("error: request.json cannot be carried out: schema 2"), "{stderr}");
    assert!(stderr.contains(&pipeline.read_text("output/message")));
}
