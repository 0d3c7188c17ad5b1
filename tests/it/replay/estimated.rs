//! Labels come late, and quality falls: it is estimated from the scores before, and held beside what labels say then.

use serde_json::Value;
use tempfile::TempDir;

use super::generated::{Rules, TURN, day, fading, write_policy};
use super::played::{answer, has_cause, list, shown, text, time};

const RULES: Rules<'_> = Rules {
    task: "binary",
    strategy: "full",
    rules: "    window: { size: 7d, lateness: 2h }
    training: { window: 14d, holdout: 13d }
    triggers:
      check_every: 6h
      performance: { metric: accuracy, floor: 0.1, min_rows: 200 }
      estimated_performance: { metric: accuracy, max_drop: 0.1, min_rows: 200 }
      cooldown: 25d
    gates:
      - { metric: accuracy, min: 0.3 }
    promotion: { mode: manual }",
};

#[test]
fn a_fall_is_seen_before_labels_come_and_held_beside_them_after() {
    let folder = TempDir::new().expect("a folder");
    let config = write_policy(folder.path(), &RULES);
    let data = folder.path().join("rows.csv");
    std::fs::write(&data, refit_data::write_csv(&fading())).expect("the data are written");
    let state = folder.path().join("state");
    let (config, data, state) = (shown(&config), shown(&data), shown(&state));
    let document =
        answer(&["replay", "--config", config, "--data", data, "--time", "ts", "--warmup", "28d", "--state", state]);

    let runs: Vec<&Value> =
        list(&document, "/runs").iter().filter(|it| has_cause(it, "estimated_performance")).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let requested = time(runs[0], "/requested_at");
    // The first window after the turn closes on day TURN + 7; its labels are judged a day and more later.
    assert!(day(TURN + 7) < requested && requested < day(TURN + 8), "requested at {requested}");

    let explained = answer(&["explain", text(runs[0], "/id"), "--state", state]).to_string();
    assert!(explained.contains("estimated accuracy 0."), "{explained}");
    assert!(explained.contains("on the hold-out"), "{explained}");
    let export = folder.path().join("export.json");
    answer(&["export", "--output", shown(&export), "--state", state]);
    let kept = std::fs::read_to_string(&export).expect("the export");
    // Labels confirm what was estimated, within a few percent, before and after the turn.
    let offs: Vec<f64> = kept
        .split("was estimated before labels came, off by ")
        .skip(1)
        .map(|it| it[..7].parse().expect("a signed number of four digits"))
        .collect();
    assert!(!offs.is_empty() && offs.iter().all(|it| it.abs() < 0.08), "{offs:?}");
    assert!(kept.contains("windows before, labels made it "), "later estimates say how earlier ones held");
}
