//! `refit drift`: the same rows in four formats give the same numbers; verdicts, exit codes and what cannot be compared.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};
use refit_data::{
    CaptureLine, Column, Frame, ReadOptions, Values, feature_object, read, write_capture_line, write_csv, write_parquet,
};
use serde_json::Value;

use super::setting::Folder;

const FLIGHTS: &[u8] = include_bytes!("../../../crates/cli/demo/flights.parquet");
const FEATURES: &[&str] = &["carrier", "origin", "dest", "distance", "hour", "weekday", "air_time"];
/// 2013-01-01, 2013-02-01, 2013-07-01 and 2013-08-01 in microseconds.
const MONTHS: [(&str, i64, i64); 2] =
    [("january", 1_356_998_400_000_000, 1_359_676_800_000_000), ("july", 1_372_636_800_000_000, 1_375_315_200_000_000)];

fn month(frame: &Frame, (_, start, end): (&str, i64, i64)) -> Frame {
    frame.filter_time("ts", start, end).expect("a time column")
}

fn json_lines(frame: &Frame) -> String {
    let names: Vec<&str> = ["id", "ts"].iter().chain(FEATURES).copied().collect();
    (0..frame.rows()).map(|row| format!("{}\n", Value::from(feature_object(frame, row, &names)))).collect()
}

fn capture(frame: &Frame) -> String {
    let ids = frame.find_column("id").and_then(|it| it.values.as_categorical()).expect("ids");
    let times = frame.find_column("ts").and_then(|it| it.values.as_time()).expect("times");
    let line = |row: usize| {
        let input = Value::from(feature_object(frame, row, FEATURES)).to_string();
        write_capture_line(&CaptureLine {
            event_id: ids.get(row).expect("an id"),
            inference_id: None,
            time_micros: times[row].expect("a time"),
            input: &input,
            output: "{\"score\":1.5}",
        })
    };
    (0..frame.rows()).map(line).collect()
}

/// January and July in four formats, and settings that leave out what only some of these have.
fn flights() -> Folder {
    let folder = Folder::new();
    let year = read(&FLIGHTS, &ReadOptions::all()).expect("the bundled file");
    for it in MONTHS {
        let frame = month(&year, it);
        folder.write(&format!("{}.parquet", it.0), write_parquet(&frame));
        folder.write(&format!("{}.csv", it.0), write_csv(&frame));
        folder.write(&format!("{}.jsonl", it.0), json_lines(&frame));
        folder.write(&format!("{}.capture", it.0), capture(&frame));
    }
    folder.write("drift.yaml", "schema: 1\nignore: [id, prediction]\ntarget: air_time\ntime: ts\n");
    folder
}

fn arguments<'a>(reference: &'a str, current: &'a str) -> Vec<&'a str> {
    vec!["drift", "--reference", reference, "--current", current]
}

#[test]
fn four_formats_of_the_same_rows_give_identical_numbers() {
    let folder = flights();
    let document = |reference: &str, current: &str| {
        let mut document = folder.json(&[arguments(reference, current), vec!["--config", "drift.yaml"]].concat());
        document.as_object_mut().expect("an object").remove("ignored");
        document
    };
    let expected = document("january.parquet", "july.parquet");
    for ending in ["csv", "jsonl", "capture"] {
        let found = document(&format!("january.{ending}"), &format!("july.{ending}"));
        assert_eq!(found, expected, "{ending}");
        // Formats may be mixed.
        assert_eq!(document("january.parquet", &format!("july.{ending}")), expected, "{ending}");
    }
    assert_eq!(expected["features"].as_array().map(Vec::len), Some(6));
    assert_eq!(expected["reference"], serde_json::json!({ "rows": 2500 }));
    assert_eq!(expected["current"]["window"]["start"], "2013-07-01T05:00:00Z");
    for feature in expected["features"].as_array().expect("a list") {
        let mut keys: Vec<&str> = feature.as_object().expect("an object").keys().map(String::as_str).collect();
        let names = [
            "current",
            "kind",
            "name",
            "p_value",
            "q_value",
            "reasons",
            "reference",
            "scores",
            "threshold",
            "verdict",
            "verdict_by",
        ];
        keys.sort_unstable();
        assert_eq!(keys, names);
    }
}

#[test]
fn a_table_with_bars_says_what_moved() {
    let folder = flights();
    folder.check_file(
        &[arguments("january.parquet", "july.parquet"), vec!["--config", "drift.yaml"]].concat(),
        expect_file!["snapshots/drift.txt"],
    );
}

#[test]
fn a_report_draws_both_distributions() {
    let folder = flights();
    let output = folder
        .refit(
            &[arguments("january.parquet", "july.csv"), vec!["--report", "page.html", "--segment", "origin"]].concat(),
        )
        .output()
        .expect("refit starts");
    assert!(output.status.success(), "{}", folder.tell(&output));
    let page = std::fs::read_to_string(folder.path("page.html")).expect("a page");
    for part in ["july.csv against january.parquet", "class=\"histogram\"", "<path class=\"before\"", "EWR", "Segments"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
}

#[test]
fn files_for_the_dashboards_of_model_monitor_are_written() {
    let folder = Folder::new();
    folder.write("a.csv", around(0.0, 1000));
    folder.write("moved.csv", around(0.9, 1000).replace(",a\n", ",new\n"));
    let output = folder
        .refit(&[arguments("a.csv", "moved.csv"), vec!["--monitor", "files"]].concat())
        .output()
        .expect("refit starts");
    assert!(output.status.success(), "{}", folder.tell(&output));
    let file = |name: &str| std::fs::read(folder.path("files").join(name)).expect("a file");
    let statistics = refit_data::monitor::Statistics::read(&file("statistics.json")).expect("readable");
    assert_eq!(statistics.features.len(), 2);
    let constraints = refit_data::monitor::Constraints::read(&file("constraints.json")).expect("readable");
    assert_eq!(constraints.features.len(), 2);
    let violations = refit_data::monitor::Violations::read(&file("constraint_violations.json")).expect("readable");
    let types: Vec<&str> = violations.violations.iter().map(|it| it.constraint_check_type.as_str()).collect();
    assert_eq!(types, ["categorical_values_check", "baseline_drift_check", "baseline_drift_check"]);
}

#[test]
fn a_baseline_profile_stands_for_the_reference() {
    let folder = flights();
    let save = vec!["--config", "drift.yaml", "--save-profile", "january.profile"];
    folder.json(&[arguments("january.parquet", "july.parquet"), save].concat());
    let with = |first: [&'static str; 2], more: &[&'static str]| {
        let current = ["--current", "july.csv", "--config", "drift.yaml"];
        folder.json(&[&["drift"], &first[..], &current, more].concat())
    };
    let by_baseline = with(["--baseline", "january.profile"], &[]);
    let by_profile = with(["--reference", "january.parquet"], &["--method", "profile"]);
    let exact = with(["--reference", "january.parquet"], &[]);
    assert_eq!(by_baseline["method"], "profile");
    for key in ["features", "dataset", "target", "baseline_id"] {
        assert_eq!(by_baseline[key], by_profile[key], "{key}");
    }
    for (at, feature) in exact["features"].as_array().expect("a list").iter().enumerate() {
        let by = feature["verdict_by"].as_str().expect("a word");
        let (score, of_profile) = (&feature["scores"][by], &by_profile["features"][at]["scores"][by]);
        let number = |it: &Value, key: &str| it[key].as_f64().expect("a number");
        let off = (number(score, "value") - number(of_profile, "value")).abs();
        assert!(off <= number(of_profile, "error_bound") + 1e-9, "{feature} {of_profile}");
    }
    folder.shown(&["profile", "merge", "january.profile", "january.profile", "--output", "both.profile"]);
    let both = folder.json(&["profile", "show", "both.profile"]);
    assert_eq!((&both["rows"], both["features"].as_array().map(Vec::len)), (&5000.into(), Some(7)));
    folder.write("no.profile", "x,c\n");
    let refused = folder.shown(&["profile", "show", "no.profile"]);
    assert!(refused.contains("no.profile: this is not a profile"), "{refused}");
}

/// Rows whose `x` is around `center`.
fn around(center: f64, rows: usize) -> String {
    let mut text = "x,c\n".to_owned();
    for row in 0..rows {
        let x = center + (row * 7919 % 1000) as f64 / 1000.0;
        writeln!(text, "{x},{}", ["a", "b", "c"][row % 3]).expect("a string takes all");
    }
    text
}

#[test]
fn the_exit_code_tells_on_request() {
    let folder = Folder::new();
    folder.write("a.csv", around(0.0, 1000));
    folder.write("moved.csv", around(0.9, 1000).replace(",a\n", ",new\n"));
    folder.write("header.csv", "x,c\n");
    folder.write("empty.csv", ",\n".repeat(3).replacen(',', "x,c", 1));
    let mut told = String::new();
    for (current, option) in [
        ("a.csv", "--exit-code"),
        ("moved.csv", "--exit-code"),
        ("moved.csv", "--memory=64"),
        ("header.csv", "--exit-code"),
        ("empty.csv", "--exit-code"),
    ] {
        told.push_str(&folder.shown(&[arguments("a.csv", current), vec![option]].concat()));
    }
    expect_file!["snapshots/drift-exit.txt"].assert_eq(&told);
}

#[test]
fn settings_overrule_what_is_inferred() {
    let folder = flights();
    folder.write(
        "own.yaml",
        "schema: 1\nignore: [id, ts]\nthreshold: 0.15\nfeatures:\n  hour: categorical\n  distance: { metric: ks, threshold: 0.02 }\n",
    );
    let document = folder.json(&[arguments("january.csv", "july.csv"), vec!["--config", "own.yaml"]].concat());
    let by: Vec<String> = document["features"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| format!("{} {} {} {}", it["name"], it["kind"], it["verdict_by"], it["threshold"]).replace('"', ""))
        .collect();
    expect![[r#"
        air_time numeric psi_q10 0.15
        carrier categorical psi 0.15
        dest categorical psi 0.15
        distance numeric ks 0.02
        hour categorical psi 0.15
        origin categorical psi 0.15
        weekday numeric psi_q10 0.15
    "#]]
    .assert_eq(&(by.join("\n") + "\n"));
    folder.write("wrong.yaml", "schema: 1\nfeatures: { hour: categoric }\nshares: 0.3\n");
    folder.check(
        &[arguments("january.csv", "july.csv"), vec!["--config", "wrong.yaml"]].concat(),
        expect![[r#"
        $ refit drift --reference january.csv --current july.csv --config wrong.yaml
        exit 2
        -- stderr
        wrong.yaml:2:19: features.hour: unknown word `categoric`; did you mean `categorical`?
        2 | features: { hour: categoric }
          |                   ^
        wrong.yaml:3:1: shares: unknown key `shares`; did you mean `share`?
        3 | shares: 0.3
          | ^
        error: policy `wrong.yaml` has 2 problems
    "#]],
    );
}

#[test]
fn files_that_cannot_be_compared_are_named_with_the_place() {
    let folder = Folder::new();
    folder.write("a.csv", around(0.0, 200));
    folder.write("word.csv", around(0.0, 200).replacen("\n0.919,", "\nmany,", 1));
    folder.write("lacks.csv", "x\n1\n2\n");
    folder.write("cut.csv.gz", [0x1f, 0x8b, 8, 0]);
    std::fs::create_dir(folder.path("none")).expect("the folder is ours");
    let mut told = String::new();
    for (reference, current) in [
        ("a.csv", "word.csv"),
        ("a.csv", "lacks.csv"),
        ("a.csv", "cut.csv.gz"),
        ("missing.csv", "a.csv"),
        ("*.parquet", "a.csv"),
        ("none", "a.csv"),
        ("s3://bucket/key", "a.csv"),
    ] {
        told.push_str(&folder.shown(&arguments(reference, current)));
    }
    told.push_str(&folder.shown(&[arguments("a.csv", "a.csv"), vec!["--target", "y"]].concat()));
    expect_file!["snapshots/drift-refused.txt"].assert_eq(&told);
}

#[test]
fn folders_patterns_and_objects_are_read_as_one_side() {
    let folder = Folder::new();
    let text = around(0.0, 900);
    let lines: Vec<&str> = text.lines().collect();
    let part = |range: std::ops::Range<usize>| format!("x,c\n{}\n", lines[range].join("\n"));
    let below = folder.path("state/objects/bucket/day=1");
    std::fs::create_dir_all(&below).expect("the folder is ours");
    folder.write("state/objects/bucket/day=1/b.csv", part(1..400));
    folder.write("state/objects/bucket/day=1/_SUCCESS", "");
    folder.write("state/objects/bucket/c.csv", part(400..901));
    folder.write("whole.csv", &text);
    for pattern in ["state/objects/bucket", "state/objects/**/*.csv", "s3://bucket", "s3://bucket/**/?.csv"] {
        let document = folder.json(&arguments("whole.csv", pattern));
        assert_eq!(document["current"]["rows"], 900, "{pattern}");
        assert_eq!(document["features"][1]["scores"]["ks"]["value"], 0.0, "{pattern}");
    }
}

/// Predictions beside labels: both are judged by themselves, and the quality of the one by the other is measured.
#[test]
fn predictions_are_measured_where_there_are_labels() {
    let folder = Folder::new();
    let rows = |shift: f64| {
        let numbers = |values: Vec<f64>| Values::Numeric(values.into_iter().map(Some).collect());
        let labels: Vec<f64> = (0..500).map(f64::from).collect();
        let predictions = labels.iter().map(|it| it + shift).collect();
        let column = |name: &str, values| Column { name: name.to_owned(), values: numbers(values) };
        let columns = vec![column("x", labels.clone()), column("y", labels), column("score", predictions)];
        write_parquet(&Frame::new(columns).expect("a frame"))
    };
    folder.write("a.parquet", rows(1.0));
    folder.write("b.parquet", rows(3.0));
    let more = vec!["--target", "y", "--prediction", "score"];
    let document = folder.json(&[arguments("a.parquet", "b.parquet"), more].concat());
    assert_eq!(document["features"].as_array().map(Vec::len), Some(1));
    assert_eq!((&document["prediction"]["name"], &document["target"]["name"]), (&"score".into(), &"y".into()));
    assert_eq!(document["quality"][0], serde_json::json!({ "metric": "mae", "reference": 1.0, "current": 3.0 }));
}
