//! What is predicted and how often it is wrong are watched as they come, with two classes and with more.

use tempfile::TempDir;

use super::generated::{Change, Rules, TURN, changing, day, write_policy};
use super::played::{answer, has_cause, list, shown, time};

/// What a task's predictions and errors are watched with. Nobody approves a second champion.
fn rules(detector: &str) -> String {
    format!(
        "    window: {{ size: 7d, lateness: 2h }}
    training: {{ window: 14d, holdout: 4d }}
    triggers:
      check_every: 12h
      prediction_drift: {{ metric: js, threshold: 0.2, min_rows: 200 }}
      concept: {{ detector: {detector} }}
      cooldown: 14d
    gates:
      - {{ metric: accuracy, min: 0.3 }}
    promotion: {{ mode: manual }}"
    )
}

/// What asks for the first run of a history after its first champion, soon after the change.
#[track_caller]
fn check(task: &str, detector: &str, change: Change, expected: &[&str]) {
    let folder = TempDir::new().expect("a folder");
    let config = write_policy(folder.path(), &Rules { task, strategy: "full", rules: &rules(detector) });
    let data = folder.path().join("rows.csv");
    std::fs::write(&data, refit_data::write_csv(&changing(task, change))).expect("the data are written");
    let state = folder.path().join("state");
    let (config, data, state) = (shown(&config), shown(&data), shown(&state));
    let document =
        answer(&["replay", "--config", config, "--data", data, "--time", "ts", "--warmup", "28d", "--state", state]);
    let Some(run) = list(&document, "/runs").get(1) else {
        assert!(expected.is_empty(), "nothing was found, not even {expected:?}");
        return;
    };
    let found: Vec<&str> = ["prediction_drift", "concept_drift"].into_iter().filter(|it| has_cause(run, it)).collect();
    assert_eq!(found, expected, "{run}");
    let requested = time(run, "/requested_at");
    assert!(day(TURN) < requested && requested < day(TURN + 17), "requested at {requested}");
}

#[test]
fn nothing_changes_and_nothing_is_found() {
    check("multiclass", "adwin", Change::Nothing, &[]);
    check("binary", "adwin", Change::Nothing, &[]);
}

#[test]
fn errors_tell_of_another_concept_where_predictions_do_not() {
    check("multiclass", "adwin", Change::Concept, &["concept_drift"]);
    check("binary", "adwin", Change::Concept, &["concept_drift"]);
}

#[test]
fn predictions_move_before_labels_come() {
    check("multiclass", "adwin", Change::Drift, &["prediction_drift"]);
    check("binary", "adwin", Change::Drift, &["prediction_drift"]);
}
