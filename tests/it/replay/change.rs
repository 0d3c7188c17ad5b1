//! The world changes: what a label depends on turns round, while the features stay as they were.

use serde_json::Value;
use tempfile::TempDir;

use super::generated::{CHANGE, Rules, binary, day, write_policy};
use super::played::{answer, has_cause, list, number, shown, text, time};

const RULES: Rules<'_> = Rules {
    task: "binary",
    strategy: "full",
    rules: "    window: { size: 7d, lateness: 2h }
    training: { window: 10d, holdout: 4d }
    triggers:
      check_every: 12h
      drift: { metric: psi, threshold: 0.2, share: 0.5, min_rows: 200 }
      performance: { metric: log_loss, max_drop: 0.1, min_rows: 200 }
      cooldown: 5d
    gates:
      - { metric: log_loss, min_improvement: 0.01, mode: relative }
      - { metric: auc, min: 0.6 }
    promotion:
      mode: auto
      auto_promote: { metric: log_loss, mode: relative, min_improvement: 0.05, lower_bound_above: 0 }",
};

/// The mean quality of a side over windows within `[from, to)` days.
fn mean(document: &Value, side: &str, from: i64, to: i64) -> f64 {
    let windows = list(document, "/quality/windows").iter();
    let within = windows.filter(|it| day(from) <= time(it, "/start") && time(it, "/end") <= day(to));
    let values: Vec<f64> = within.map(|it| number(it, &format!("/{side}"))).collect();
    assert!(!values.is_empty(), "no window in days {from} to {to}");
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_change_point_in_binary_data_is_found_and_repaired() {
    let folder = TempDir::new().expect("a folder");
    let config = write_policy(folder.path(), &RULES);
    let data = folder.path().join("rows.csv");
    std::fs::write(&data, refit_data::write_csv(&binary())).expect("the data are written");
    let state = folder.path().join("state");
    let (config, data, state) = (shown(&config), shown(&data), shown(&state));
    let document =
        answer(&["replay", "--config", config, "--data", data, "--time", "ts", "--warmup", "28d", "--state", state]);

    let is_performance = |it: &&Value| has_cause(it, "performance_drop") || has_cause(it, "performance_floor");
    let runs: Vec<&Value> = list(&document, "/runs").iter().filter(is_performance).collect();
    let early: Vec<&&Value> = runs.iter().filter(|it| time(it, "/requested_at") < day(CHANGE)).collect();
    assert!(early.is_empty(), "before the change: {early:?}");
    let repairs = list(&document, "/promotions").iter().filter(|it| runs.iter().any(|run| run["id"] == it["run"]));
    let repaired = repairs.map(|it| time(it, "/at")).min().expect("a performance run is promoted");
    assert!(day(CHANGE) < repaired && repaired < day(CHANGE + 21), "repaired at {repaired}");

    let quality = |side| [(28, CHANGE), (98, 120)].map(|(from, to)| mean(&document, side, from, to));
    let ([before, after], [frozen_before, frozen_after]) = (quality("refit"), quality("frozen"));
    assert_eq!(text(&document, "/quality/metric"), "log_loss");
    assert!((before - frozen_before).abs() < 0.1, "before the change: {before} and {frozen_before}");
    assert!((after - before).abs() < 0.1, "the repaired model: {after} after, {before} before");
    assert!(2.0 * before < frozen_after, "the frozen model: {frozen_after} after, {before} before");
    assert_eq!(document["audit"]["verified"], true);
}
