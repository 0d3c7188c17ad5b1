//! Two kinds of classes, two ways of training, and three histories: something is learned anew, something moves, nothing does.

use serde_json::Value;
use tempfile::TempDir;

use super::generated::{Change, Rules, TURN, changing, day, write_policy};
use super::played::{answer, has_cause, list, number, shown, text, time};
use super::repeated::without_report;

const RULES: &str = "    window: { size: 7d, lateness: 2h }
    training: { window: 14d, holdout: 4d }
    triggers:
      check_every: 12h
      drift: { metric: psi, threshold: 0.3, share: 0.5, min_rows: 200 }
      performance: { metric: log_loss, max_drop: 0.2, min_rows: 200 }
      cooldown: 5d
    gates:
      - { metric: log_loss, min_improvement: 0.01, mode: relative }
      - { metric: accuracy, min: 0.5 }
    promotion:
      mode: auto
      auto_promote: { metric: log_loss, mode: relative, min_improvement: 0.05, lower_bound_above: 0 }";

/// A generated history under a policy, ready to be played.
struct Played {
    folder: TempDir,
    document: Value,
}

fn play(task: &str, strategy: &str, change: Change) -> Played {
    let folder = TempDir::new().expect("a folder");
    write_policy(folder.path(), &Rules { task, strategy, rules: RULES });
    let data = folder.path().join("rows.csv");
    std::fs::write(&data, refit_data::write_csv(&changing(task, change))).expect("the data are written");
    let document = answer_of(&folder, "state");
    assert_eq!(document["audit"]["verified"], true);
    assert_eq!(text(&document, "/quality/metric"), "log_loss");
    Played { folder, document }
}

fn answer_of(folder: &TempDir, state: &str) -> Value {
    let path = |name: &str| folder.path().join(name);
    let (config, data, state) = (path("refit.yaml"), path("rows.csv"), path(state));
    let (config, data, state) = (shown(&config), shown(&data), shown(&state));
    answer(&["replay", "--config", config, "--data", data, "--time", "ts", "--warmup", "28d", "--state", state])
}

/// The mean of a side over windows within `[from, to)` days.
fn mean(document: &Value, side: &str, from: i64, to: i64) -> f64 {
    let windows = list(document, "/quality/windows").iter();
    let within = windows.filter(|it| day(from) <= time(it, "/start") && time(it, "/end") <= day(to));
    let values: Vec<f64> = within.map(|it| number(it, &format!("/{side}"))).collect();
    assert!(!values.is_empty(), "no window in days {from} to {to}");
    values.iter().sum::<f64>() / values.len() as f64
}

/// What `train` said of a run: the strategy that was used.
fn used(played: &Played, run: &Value) -> String {
    let objects = played.folder.path().join("state/objects");
    let id = text(run, "/id");
    let found = evaluations(&objects).into_iter().find(|it| it["run_id"] == id);
    found.map(|it| text(&it, "/training/used").to_owned()).unwrap_or_default()
}

/// Every evaluation below a folder.
fn evaluations(folder: &std::path::Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(evaluations(&path));
        } else if path.ends_with("evaluation.json") {
            let bytes = std::fs::read(&path).expect("the file is read");
            found.push(serde_json::from_slice(&bytes).expect("JSON"));
        }
    }
    found
}

/// A concept change is found by the drop that it causes, and repaired; before it, nothing is.
#[track_caller]
fn check_repaired(task: &str, strategy: &str) {
    let played = play(task, strategy, Change::Concept);
    let document = &played.document;
    let runs = &list(document, "/runs")[1..];
    assert!(runs.iter().all(|it| day(TURN) < time(it, "/requested_at")), "a run before the change: {runs:?}");
    let dropped: Vec<&Value> = runs.iter().filter(|it| has_cause(it, "performance_drop")).collect();
    assert!(runs.iter().all(|it| !has_cause(it, "data_drift")), "the features did not move");
    let repairs = list(document, "/promotions").iter().filter(|it| dropped.iter().any(|run| run["id"] == it["run"]));
    let repaired = repairs.map(|it| time(it, "/at")).min().expect("a performance run is promoted");
    assert!(repaired < day(TURN + 21), "repaired at {repaired}");
    let quality = |side: &str| [(28, TURN), (77, 91)].map(|(from, to)| mean(document, side, from, to));
    let ([before, after], [frozen_before, frozen_after]) = (quality("refit"), quality("frozen"));
    assert_eq!(before, frozen_before, "nothing was changed before");
    assert!(after < 0.5 * frozen_after, "the repaired model {after}, the frozen one {frozen_after}");
    // Half of what it learned from was still of before the change.
    assert!(after < 2.0 * before, "the repaired model {after}, {before} before");
    let strategies: Vec<String> = runs.iter().map(|it| used(&played, it)).collect();
    assert!(strategies.iter().any(|it| it == strategy), "{strategies:?}");
    let again = answer_of(&played.folder, "again");
    let comparable = |it: &Value| without_report(&serde_json::to_string_pretty(it).expect("JSON"));
    assert_eq!(comparable(document), comparable(&again), "another state, the same document");
}

/// Without a change nothing is retrained.
#[track_caller]
fn check_quiet(task: &str, strategy: &str) {
    let played = play(task, strategy, Change::Nothing);
    let runs = &list(&played.document, "/runs")[1..];
    assert!(runs.is_empty(), "nothing changed, but {runs:?}");
    let mean = |side: &str| number(&played.document, &format!("/quality/mean/{side}"));
    assert_eq!(mean("refit"), mean("frozen"));
}

/// Features that move are seen without any label, and the model that learns from them is no worse than the frozen one.
#[track_caller]
fn check_drift(task: &str, strategy: &str) {
    let played = play(task, strategy, Change::Drift);
    let runs = &list(&played.document, "/runs")[1..];
    let first = runs.iter().find(|it| has_cause(it, "data_drift")).expect("a run for drift");
    assert!(runs.iter().all(|it| day(TURN) < time(it, "/requested_at")), "a run before the change: {runs:?}");
    assert!(time(first, "/requested_at") < day(TURN + 14), "the first window after the change shows it");
    let mean = |side: &str| number(&played.document, &format!("/quality/mean/{side}"));
    let (refit, frozen) = (mean("refit"), mean("frozen"));
    assert!(refit <= 1.01 * frozen, "{refit} against {frozen}");
}

#[test]
fn binary_models_are_repaired_in_full() {
    check_repaired("binary", "full");
}

#[test]
fn binary_models_are_repaired_by_going_on() {
    check_repaired("binary", "incremental");
}

#[test]
fn multiclass_models_are_repaired_in_full() {
    check_repaired("multiclass", "full");
}

#[test]
fn multiclass_models_are_repaired_by_going_on() {
    check_repaired("multiclass", "incremental");
}

#[test]
fn without_a_change_nothing_is_retrained() {
    std::thread::scope(|scope| {
        for (task, strategy) in [("binary", "incremental"), ("multiclass", "full")] {
            scope.spawn(move || check_quiet(task, strategy));
        }
    });
}

#[test]
fn features_that_move_are_learned_anew() {
    std::thread::scope(|scope| {
        for (task, strategy) in [("binary", "full"), ("multiclass", "incremental")] {
            scope.spawn(move || check_drift(task, strategy));
        }
    });
}
