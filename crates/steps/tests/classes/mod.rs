//! Several classes: labels of every spelling, scores in the order of the classes, classes that somebody does not know.

use refit_data::Values;
use refit_steps::{Model, Scores};
use serde_json::{Value, json};

use crate::support::{Data, Pipeline, days};

fn request(changes: &Value) -> Value {
    let mut document = json!({ "task": "multiclass" });
    for (name, value) in changes.as_object().expect("object") {
        document[name] = value.clone();
    }
    document
}

fn run(changes: &Value, csv: &str, champion: Option<&Pipeline>) -> Pipeline {
    let pipeline = Pipeline::new(request(changes));
    if let Some(champion) = champion {
        pipeline.write_bytes("processing/champion/model.tar.gz", &champion.read("processing/model/model.tar.gz"));
    }
    pipeline.write("processing/reference/x.csv", csv);
    pipeline.run_all().expect("runs");
    pipeline
}

fn numbers(pipeline: &Pipeline, name: &str) -> Vec<Option<f64>> {
    let table = pipeline.read_table("processing/evaluation/predictions.parquet");
    match &table.find_column(name).unwrap_or_else(|| panic!("no column {name}")).values {
        Values::Numeric(values) => values.clone(),
        Values::Categorical(_) | Values::Time(_) => panic!("{name} is not numeric"),
    }
}

/// Renames the labels 0, 1 and 2 of a CSV file, whose last column they are.
fn renamed(csv: &str, names: [&str; 3]) -> String {
    let lines = csv.lines().enumerate().map(|(number, line)| {
        let (rest, label) = line.rsplit_once(',').expect("columns");
        match label.parse::<usize>() {
            Ok(label) if 0 < number => format!("{rest},{}\n", names[label]),
            Ok(_) | Err(_) => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn classes_are_learned_and_their_scores_are_columns() {
    let csv = renamed(&Data::classes(1500).to_csv(), ["early", "late", "on time"]);
    let pipeline = run(&json!({}), &csv, None);
    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["valid"], true, "{evaluation}");
    assert_eq!(evaluation["classes"], json!(["early", "late", "on time"]));
    let metrics = &evaluation["multiclass_classification_metrics"];
    let value = |name: &str| metrics[name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {metrics}"));
    assert!(0.8 < value("accuracy") && 0.8 < value("macro_f1") && value("log_loss") < 0.6, "{metrics}");
    assert!(metrics["accuracy"]["standard_deviation"].is_number());
    assert_eq!(pipeline.read_json("processing/evaluation/manifest.json")["classes"], evaluation["classes"]);

    let columns: Vec<Vec<Option<f64>>> = (0..3).map(|it| numbers(&pipeline, &format!("candidate_{it}"))).collect();
    for row in 0..columns[0].len() {
        let sum: f64 = columns.iter().filter_map(|it| it[row]).sum();
        assert!((sum - 1.0).abs() < 1e-12, "row {row} sums to {sum}");
    }
    assert!(numbers(&pipeline, "champion_2").iter().all(Option::is_none));

    let model = Model::from_tar_gz(&pipeline.read("processing/model/model.tar.gz")).expect("a model");
    let holdout = pipeline.read_table("processing/holdout/holdout.parquet");
    let Scores::Classes(rows) = model.score(&holdout).expect("scores") else { panic!("several classes") };
    assert!(rows.iter().zip(&columns[1]).all(|(row, column)| Some(row[1]) == *column), "served as evaluated");
}

#[test]
fn numbers_are_classes_in_any_spelling_and_the_same_rows_give_the_same_bytes() {
    let csv = Data::classes(1500).to_csv();
    let pipeline = run(&json!({}), &csv, None);
    let classes = &pipeline.read_json("processing/evaluation/manifest.json")["classes"];
    assert_eq!(classes, &json!(["0", "1", "2"]));
    let spelled = run(&json!({}), &renamed(&csv, ["0.0", "1", "2e0"]), None);
    assert_eq!(&spelled.read_json("processing/evaluation/manifest.json")["classes"], classes);
    assert_eq!(pipeline.read("processing/model/model.tar.gz"), spelled.read("processing/model/model.tar.gz"));
}

#[test]
fn classes_come_from_captured_traffic_too() {
    let data = Data::classes(1500);
    let pipeline = Pipeline::new(request(&json!({})));
    let answered = data.to_capture(0..1500).replace("\"data\":\"1.5\"", "\"data\":\"0.2,0.3,0.5\"");
    pipeline.write("processing/capture/x.jsonl", &answered);
    pipeline.write("processing/labels/x.jsonl", &data.to_ground_truth(0..1500, |it| it));
    pipeline.run_all().expect("runs");
    let classes = &pipeline.read_json("processing/evaluation/manifest.json")["classes"];
    assert_eq!(classes, &json!(["0", "1", "2"]));
}

/// A class that appears in the hold-out only is nobody's; one that the champion alone knows stays in the list.
#[test]
fn a_class_that_a_model_does_not_know_has_probability_0_from_it() {
    let csv = Data::classes(1500).to_csv();
    let champion = run(&json!({"holdout": {"start": days(60), "end": days(75)}}), &csv, None);
    let names = |number: usize, label: &str| match (number, label) {
        // From day 60 on, class 2 is called otherwise; class 0 was called so in training, too.
        (1000.., "2") => "new".to_owned(),
        (_, "0") => "zero".to_owned(),
        (_, label) => label.to_owned(),
    };
    let changed: String = csv
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let (rest, label) = line.rsplit_once(',').expect("columns");
            format!("{rest},{}\n", names(number, label))
        })
        .collect();
    let pipeline = run(&json!({}), &changed, Some(&champion));
    let evaluation = pipeline.read_json("processing/evaluation/evaluation.json");
    assert_eq!(evaluation["valid"], true, "{evaluation}");
    assert_eq!(evaluation["classes"], json!(["1", "2", "zero", "0", "new"]), "the candidate's come first");
    let unseen = &evaluation["unseen_classes"];
    let count = |role: &str, class: &str| unseen[role][class].as_u64().unwrap_or(0);
    assert!(0 < count("candidate", "new") && count("candidate", "new") == count("champion", "new"), "{unseen}");
    assert!(0 < count("champion", "zero") && count("candidate", "zero") == 0, "{unseen}");
    assert!(numbers(&pipeline, "candidate_4").iter().all(|it| *it == Some(0.0)));
    assert!(numbers(&pipeline, "champion_2").iter().all(|it| *it == Some(0.0)));
    assert!(numbers(&pipeline, "champion_3").iter().any(|it| it.is_some_and(|it| 0.5 < it)));
    let accuracy = |pointer: &str| evaluation.pointer(pointer).and_then(Value::as_f64).expect("accuracy");
    let candidate = accuracy("/multiclass_classification_metrics/accuracy/value");
    let champion = accuracy("/champion/multiclass_classification_metrics/accuracy/value");
    assert!(champion < candidate && candidate < 0.9, "{candidate} against {champion}");
}

#[test]
fn models_of_classes_go_on_until_a_class_is_new() {
    let early = |end: i64| {
        json!({"strategy": "incremental", "train": {"start": days(0), "end": days(end)},
            "holdout": {"start": days(end), "end": days(end + 15)}})
    };
    let csv = Data::classes(1500).to_csv();
    let first = run(&early(30), &csv, None);
    let second = run(&early(60), &csv, Some(&first));
    let training =
        |pipeline: &Pipeline| pipeline.read_json("processing/evaluation/evaluation.json")["training"].clone();
    assert_eq!(training(&second), json!({"asked": "incremental", "used": "incremental", "reason": "", "stages": 2}));
    let again = run(&early(60), &csv, Some(&first));
    assert_eq!(second.read("processing/model/model.tar.gz"), again.read("processing/model/model.tar.gz"));
    let evaluation = second.read_json("processing/evaluation/evaluation.json");
    let loss = |pointer: &str| evaluation.pointer(pointer).and_then(Value::as_f64).expect("log loss");
    let candidate = loss("/multiclass_classification_metrics/log_loss/value");
    let champion = loss("/champion/multiclass_classification_metrics/log_loss/value");
    assert!(candidate < champion, "{candidate} against {champion}");

    let third = run(&early(60), &renamed(&csv, ["0", "1", "other"]), Some(&first));
    let reason = "the champion does not know class `other`, which its successor is to learn";
    assert_eq!(training(&third), json!({"asked": "incremental", "used": "full", "reason": reason, "stages": 1}));
}

#[test]
fn what_is_no_class_is_refused() {
    let fails = |csv: &str| {
        let pipeline = Pipeline::new(request(&json!({})));
        pipeline.write("processing/reference/x.csv", csv);
        refit_steps::with_causes(&pipeline.run_all().expect_err("fails"))
    };
    let csv = Data::classes(1500).to_csv();
    let text = fails(&renamed(&csv, ["0", "\"[1]\"", "2"]));
    assert!(text.contains("label `[1]` begins with `[`, as no class does"), "{text}");
    let text = fails(&Data::regression(1500).to_csv());
    assert!(text.contains("different values in the training rows; at most 100 classes are learned"), "{text}");
    let text = fails(&renamed(&csv, ["0", "0", "0"]));
    assert!(text.contains("training labels is `0`; a multiclass model needs at least two classes"), "{text}");
}
