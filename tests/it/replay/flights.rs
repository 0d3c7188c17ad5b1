//! The demo: a year of flights, in which the winds change and the flights do not.

use std::path::Path;

use refit_data::{Column, Frame, ReadOptions, write_parquet};
use serde_json::Value;
use tempfile::TempDir;

use super::generated::Draws;
use super::played::{answer, has_cause, list, number, run_of, shown, text, time};

/// The bundled data.
pub(super) const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cli/demo/flights.parquet");

/// The names of DESIGN section 7 with the types of their values; `*` stands for each element of a list.
const NAMES: [(&str, &str); 44] = [
    ("/schema", "number"),
    ("/world", "string"),
    ("/data", "object"),
    ("/runs", "array"),
    ("/runs/*/id", "string"),
    ("/runs/*/model", "string"),
    ("/runs/*/causes", "array"),
    ("/runs/*/causes/*", "string"),
    ("/runs/*/status", "string"),
    ("/runs/*/attempts", "number"),
    ("/runs/*/verdicts", "array"),
    ("/runs/*/verdicts/*/metric", "string"),
    ("/runs/*/verdicts/*/verdict", "string"),
    ("/runs/*/verdicts/*/reasons", "array"),
    ("/runs/*/metrics", "object"),
    ("/runs/*/candidate", "number or null"),
    ("/promotions", "array"),
    ("/promotions/*/run", "string"),
    ("/promotions/*/version", "number"),
    ("/promotions/*/approved_by", "array"),
    ("/rejections", "array"),
    ("/rejections/*/reason", "string"),
    ("/failures", "array"),
    ("/failures/*/reason", "string"),
    ("/rollbacks", "array"),
    ("/rollbacks/*/from", "number"),
    ("/rollbacks/*/to", "number"),
    ("/approvals", "array"),
    ("/approvals/*/votes", "array"),
    ("/quality", "object"),
    ("/quality/metric", "string"),
    ("/quality/windows", "array"),
    ("/quality/windows/*/start", "string"),
    ("/quality/windows/*/end", "string"),
    ("/quality/windows/*/rows", "number"),
    ("/quality/windows/*/frozen", "number"),
    ("/quality/windows/*/refit", "number"),
    ("/quality/mean/frozen", "number"),
    ("/quality/mean/refit", "number"),
    ("/decisions", "array"),
    ("/audit/entries", "number"),
    ("/audit/verified", "boolean"),
    ("/audit/head", "string"),
    ("/report", "string"),
];

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values at a path with `*` in it; a name that is not there is `None`.
fn values_at<'a>(value: &'a Value, path: &[&str]) -> Vec<Option<&'a Value>> {
    match path {
        [] => vec![Some(value)],
        ["*", rest @ ..] => {
            value.as_array().map(|it| it.iter().flat_map(|it| values_at(it, rest)).collect()).unwrap_or_default()
        }
        [name, rest @ ..] => value.get(name).map_or_else(|| vec![None], |it| values_at(it, rest)),
    }
}

#[track_caller]
fn check_names(document: &Value) {
    for (path, expected) in NAMES {
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let found = values_at(document, &steps);
        assert!(!found.is_empty(), "{path} is nowhere");
        for value in found {
            let found = value.map_or("absent", kind);
            assert!(expected.split(" or ").any(|it| it == found), "{path} is {found}, not {expected}");
        }
    }
}

/// Whether people were told that a run failed.
fn is_told(state: &Path, run: &str) -> bool {
    let alerts = std::fs::read_to_string(state.join("alerts.jsonl")).expect("alerts");
    let mut alerts = alerts.lines().map(|it| serde_json::from_str::<Value>(it).expect("a line is JSON"));
    alerts
        .any(|it| it["alert"]["kind"] == "failure" && it["alert"].to_string().contains(run) && it["to"][0].is_string())
}

#[track_caller]
fn check_report(document: &Value, state: &Path) {
    let path = Path::new(text(document, "/report"));
    assert_eq!(path, state.join("report.html"));
    let html = std::fs::read_to_string(path).expect("the report is there");
    assert!(html.starts_with("<!DOCTYPE html>"), "{}", &html[..40]);
    assert!(html.trim_end().ends_with("</html>"));
    for load in ["http://", "https://", " src=", "<link", "<script", "@import", "url("] {
        assert!(!html.contains(load), "the report loads something by {load}");
    }
    for run in list(document, "/runs") {
        assert!(html.contains(text(run, "/id")), "{} is not in the report", run["id"]);
    }
}

/// What people did: each of their acts is in the document, and ended as it had to.
#[track_caller]
fn check_people(document: &Value, state: &Path) {
    let failure = list(document, "/failures").first().expect("a failure");
    assert!(is_told(state, text(failure, "/run")), "nobody was told of {failure}");
    let is_manual = |it: &&Value| has_cause(run_of(document, text(it, "/run")), "manual");
    assert!(list(document, "/rejections").iter().any(|it| is_manual(&it)), "no manual run was rejected");
    let promotions = list(document, "/promotions");
    let approved = promotions[1..].iter().filter(|it| !list(it, "/approved_by").is_empty()).count();
    assert!(0 < approved, "nobody approved anything but the first champion");
    assert!(approved < promotions.len() - 1, "nothing was promoted without a person");
    let rollback = list(document, "/rollbacks").first().expect("a rollback");
    let mut before = promotions.iter().filter(|it| time(it, "/at") < time(rollback, "/at"));
    let taken_back = before.next_back().expect("a promotion before the rollback");
    assert_eq!(rollback["from"], taken_back["version"]);
    assert_eq!(rollback["to"], taken_back["replaced"], "the champion before is restored");
}

#[track_caller]
fn check_decisions(document: &Value, state: &Path) {
    for wanted in ["check", "evaluation", "promotion", "rollback"] {
        let decision = list(document, "/decisions").iter().find(|it| it["kind"] == wanted).expect(wanted);
        let explained = answer(&["explain", text(decision, "/id"), "--state", shown(state)]);
        for name in ["id", "at", "kind", "outcome", "reasons"] {
            assert_eq!(explained[name], decision[name], "{wanted}");
        }
        assert!(text(&explained, "/policy").starts_with("sha256:"), "{wanted}");
        assert!(!list(&explained, "/reasons").is_empty(), "{wanted}");
    }
}

/// Every decision of the year, asked again, is the recorded one, byte for byte.
#[track_caller]
fn check_replayed(document: &Value, state: &Path) {
    let replayed = answer(&["audit", "replay", "--state", shown(state)]);
    let decisions = list(&replayed, "/flight-time");
    let checks = number(document, "/quiet_checks") as usize;
    assert_eq!(decisions.len(), list(document, "/decisions").len() + checks, "every decision is asked again");
    for decision in decisions {
        assert_eq!(decision["is_equal"], true, "{decision}");
    }
}

#[test]
fn a_year_of_flights_is_kept_fresh() {
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state");
    let document = answer(&["demo", "--state", shown(&state)]);
    check_names(&document);
    let (frozen, refit) = (number(&document, "/quality/mean/frozen"), number(&document, "/quality/mean/refit"));
    assert!(refit <= 0.8 * frozen, "{refit} is not 20 % below {frozen}");
    let warmup_end = time(&document, "/data/warmup_end");
    let runs = list(&document, "/runs");
    assert!(time(&runs[0], "/requested_at") < warmup_end && runs[0]["status"] == "succeeded");
    assert!(runs[1..].iter().all(|it| warmup_end <= time(it, "/requested_at")), "a run within the warm-up");
    assert!(runs.iter().any(|it| has_cause(it, "performance_drop")), "the winds were not noticed");
    assert_eq!(document["audit"]["verified"], true);
    check_people(&document, &state);
    check_report(&document, &state);
    check_decisions(&document, &state);
    check_replayed(&document, &state);
}

/// The bundled flights, with everything but time and id drawn from the whole year.
fn permuted(seed: u64) -> Frame {
    let bytes = std::fs::read(FLIGHTS).expect("the bundled flights");
    let frame = refit_data::read(&bytes, &ReadOptions::all()).expect("a table");
    let order = Draws::new(seed).permutation(frame.rows());
    let moved = frame.take(&order).into_columns();
    let columns: Vec<Column> = frame
        .into_columns()
        .into_iter()
        .zip(moved)
        .map(|(stays, moves)| if ["id", "ts"].contains(&stays.name.as_str()) { stays } else { moves })
        .collect();
    Frame::new(columns).expect("the same columns")
}

fn check_permuted(seed: u64) {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("flights.parquet");
    std::fs::write(&data, write_parquet(&permuted(seed))).expect("the data are written");
    let state = folder.path().join("state");
    let document = answer(&["demo", "--data", shown(&data), "--state", shown(&state)]);
    let runs = list(&document, "/runs");
    assert!(1 < runs.len(), "the other triggers still work");
    for run in runs {
        let is_false_alarm = has_cause(run, "performance_drop") || has_cause(run, "performance_floor");
        assert!(!is_false_alarm, "seed {seed}: nothing changes in these data, but {run}");
    }
}

#[test]
fn permuted_flights_cause_no_performance_run() {
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            scope.spawn(move || check_permuted(seed));
        }
    });
}
