//! Presets: what they fill in, and what wins over them.

use expect_test::expect;

use super::{LEAST, accepted, refused};
use crate::policy::{ModelPolicy, Strategy};

fn with_preset(name: &str, task: &str) -> String {
    LEAST
        .replace("    task: binary\n", &format!("    task: {task}\n    preset: {name}\n"))
        .replace("    triggers: { check_every: 1m }\n", "")
        .replace("  - id: m\n", "  - id: m\n    triggers: {}\n")
}

fn shown(model: &ModelPolicy) -> String {
    let triggers = &model.triggers;
    let strategy = match model.pipeline.strategy {
        Strategy::Full => "full",
        Strategy::Incremental => "incremental",
    };
    let schedule = triggers.schedule.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let drift =
        triggers.drift.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{:?} {}", it.metric, it.threshold));
    let performance = triggers.performance.as_ref().map_or_else(
        || "-".to_owned(),
        |it| format!("{} floor {:?} max_drop {:?}", it.metric.name(), it.floor, it.max_drop),
    );
    format!("{strategy}, {schedule}, {drift}, {performance}\n")
}

#[test]
fn presets_fill_in_what_is_customary() {
    let mut table = String::new();
    for name in ["lightgbm", "lstm", "transformer", "ensemble", "random_forest", "xgboost", "neural_network"] {
        for task in ["regression", "binary"] {
            table.push_str(&format!("{name} {task}: {}", shown(&accepted(&with_preset(name, task)).models[0])));
        }
    }
    expect![[r#"
        lightgbm regression: incremental, cron(0 2 * * ? *), Psi 0.25, r2 floor Some(0.8) max_drop None
        lightgbm binary: incremental, cron(0 2 * * ? *), Psi 0.25, accuracy floor Some(0.8) max_drop None
        lstm regression: full, cron(0 3 * * ? *), Psi 0.3, r2 floor Some(0.75) max_drop None
        lstm binary: full, cron(0 3 * * ? *), Psi 0.3, accuracy floor Some(0.75) max_drop None
        transformer regression: full, cron(0 4 * * ? *), Psi 0.3, r2 floor Some(0.75) max_drop None
        transformer binary: full, cron(0 4 * * ? *), Psi 0.3, accuracy floor Some(0.75) max_drop None
        ensemble regression: incremental, cron(0 5 * * ? *), Psi 0.2, r2 floor Some(0.85) max_drop None
        ensemble binary: incremental, cron(0 5 * * ? *), Psi 0.2, accuracy floor Some(0.85) max_drop None
        random_forest regression: full, cron(0 2 * * ? *), Psi 0.25, r2 floor Some(0.8) max_drop None
        random_forest binary: full, cron(0 2 * * ? *), Psi 0.25, accuracy floor Some(0.8) max_drop None
        xgboost regression: full, cron(0 2 * * ? *), Psi 0.25, r2 floor Some(0.8) max_drop None
        xgboost binary: full, cron(0 2 * * ? *), Psi 0.25, accuracy floor Some(0.8) max_drop None
        neural_network regression: full, cron(0 2 * * ? *), Psi 0.25, r2 floor Some(0.8) max_drop None
        neural_network binary: full, cron(0 2 * * ? *), Psi 0.25, accuracy floor Some(0.8) max_drop None
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_preset_stands_for_the_triggers_too() {
    let text = LEAST
        .replace("    triggers: { check_every: 1m }\n", "")
        .replace("    task: binary\n", "    task: binary\n    preset: lstm\n");
    assert_eq!(accepted(&text), accepted(&with_preset("lstm", "binary")));
}

#[test]
fn explicit_keys_win_over_the_preset() {
    let with = |triggers: &str| {
        let text = with_preset("ensemble", "binary").replace("triggers: {}", triggers);
        shown(&accepted(&text).models[0])
    };
    let table: String = [
        "triggers: { schedule: \"cron(0 0 * * ? *)\" }",
        "triggers: { drift: { threshold: 0.5 } }",
        "triggers: { drift: { metric: ks } }",
        "triggers: { performance: { floor: 0.6 } }",
        "triggers: { performance: { max_drop: 0.1 } }",
        "triggers: { performance: { metric: auc, max_drop: 0.1 } }",
    ]
    .iter()
    .map(|it| with(it))
    .collect();
    expect![[r#"
        incremental, cron(0 0 * * ? *), Psi 0.2, accuracy floor Some(0.85) max_drop None
        incremental, cron(0 5 * * ? *), Psi 0.5, accuracy floor Some(0.85) max_drop None
        incremental, cron(0 5 * * ? *), Ks 0.2, accuracy floor Some(0.85) max_drop None
        incremental, cron(0 5 * * ? *), Psi 0.2, accuracy floor Some(0.6) max_drop None
        incremental, cron(0 5 * * ? *), Psi 0.2, accuracy floor Some(0.85) max_drop Some(0.1)
        incremental, cron(0 5 * * ? *), Psi 0.2, auc floor None max_drop Some(0.1)
    "#]]
    .assert_eq(&table);
    let full = with_preset("ensemble", "binary")
        .replace("pipeline: { definition: retrain.json }", "pipeline: { definition: retrain.json, strategy: full }");
    assert_eq!(accepted(&full).models[0].pipeline.strategy, Strategy::Full);
}

#[test]
fn a_stored_policy_holds_the_values_and_not_the_name() {
    let stored = serde_json::to_string(&accepted(&with_preset("lightgbm", "binary"))).unwrap_or_default();
    assert!(stored.contains("cron(0 2 * * ? *)") && !stored.contains("lightgbm"), "{stored}");
}

#[test]
fn wrong_presets_are_refused_where_they_stand() {
    let table: String = ["lightbgm", "\"\"", "1", "[]", "catboost"]
        .iter()
        .map(|it| format!("{}\n", refused(&with_preset(it, "binary"))))
        .collect();
    expect![[r#"
        6:13: models[0].preset: unknown word `lightbgm`; did you mean `lightgbm`?
        6:13: models[0].preset: unknown word ``; use `lightgbm`, `lstm`, `transformer`, `ensemble`, `random_forest`, `xgboost`, `neural_network`
        6:13: models[0].preset: unknown word `1`; use `lightgbm`, `lstm`, `transformer`, `ensemble`, `random_forest`, `xgboost`, `neural_network`
        6:13: models[0].preset: expected one of `lightgbm`, `lstm`, `transformer`, `ensemble`, `random_forest`, `xgboost`, `neural_network`, found a list
        6:13: models[0].preset: unknown word `catboost`; use `lightgbm`, `lstm`, `transformer`, `ensemble`, `random_forest`, `xgboost`, `neural_network`
    "#]].assert_eq(&table);
}
