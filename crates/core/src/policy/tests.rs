//! Tests of the policy reader: what is accepted, and the words in which everything else is refused.

mod fuzz;
mod presets;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::yaml::{self, Kind, Node, Style};
use super::{CustomMetric, Direction, GateMetric, Metric, Policy, Problems, Task, read};

const EXAMPLE: &str = include_str!("../../../../infra/policies/example.yaml");

/// A complete document, with every key that is built.
const FULL: &str = r#"schema: 1
fleet: { concurrent_runs: 3, timezone: UTC }
notifications:
  - { email: ml-team@example.com, on: [failure, drift] }
models:
  - id: flight-time
    task: regression
    endpoint: { name: flights, variant: main }
    package_group: flight-group
    pipeline:
      definition: infra/pipelines/retrain.json
      parameters: { InstanceType: ml.m5.large }
      strategy: full
      timeout: 3h
    data:
      reference: s3://refit/reference/
      capture: s3://refit/capture/
      labels: s3://refit/labels/
      time: ts
      label: air_time
      prediction: result
      segments: [carrier]
      label_delay: 3d
      label_maturity: 1d
      features:
        carrier: categorical
        distance: numeric
    window: { size: 7d, hop: 7d, lateness: 2h }
    training: { window: 30d, holdout: 7d }
    triggers:
      when: any
      check_every: 30m
      schedule: "cron(0 2 * * ? *)"
      drift: { metric: ks, threshold: 0.25, share: 0.5, min_rows: 200 }
      performance: { metric: mae, max_drop: 0.05, floor: 12.0, min_rows: 50 }
      age: { max: 30d }
      cooldown: 6d
    gates:
      - { metric: mae, min: 1, max: 15 }
      - { metric: rmse, min_improvement: 0.01, max_regression: 0.02, mode: relative, lower_bound_above: 0.001 }
    promotion:
      mode: auto
      auto_promote: { metric: r2, mode: error_reduction, min_improvement: 0.1, lower_bound_above: 0.01 }
      approvals: 2
      expires: 5d
      notice_timeout: 10m
    rollout: { strategy: immediate }
    retention: { runs: 90d }
"#;

/// The least that is a policy.
const LEAST: &str = r#"schema: 1
models:
  - id: m
    task: binary
    pipeline: { definition: retrain.json }
    data:
      reference: s3://bucket/reference
      capture: s3://bucket/capture
      labels: s3://bucket/labels
      time: ts
      label: y
      features: { x: numeric }
    window: { size: 1h }
    training: { window: 30d, holdout: 7d }
    triggers: { check_every: 1m }
"#;

#[track_caller]
fn accepted(text: &str) -> Policy {
    read(text).unwrap_or_else(|problems| panic!("{}", problems.render("refit.yaml", text)))
}

#[track_caller]
fn refused(text: &str) -> Problems {
    match read(text) {
        Ok(policy) => panic!("accepted: {policy:#?}"),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            problems
        }
    }
}

/// Replaces the only occurrence of `old` in the full document.
#[track_caller]
fn patched(old: &str, new: &str) -> String {
    assert_eq!(FULL.matches(old).count(), 1, "{old}");
    FULL.replace(old, new)
}

/// The problems after each of the patches, which are `old => new`.
#[track_caller]
fn check(patches: &[(&str, &str)], expected: Expect) {
    let mut out = String::new();
    for (old, new) in patches {
        let problems = refused(&patched(old, new));
        writeln!(out, "{}", problems).unwrap_or_default();
    }
    expected.assert_eq(&out);
}

#[track_caller]
fn check_text(texts: &[&str], expected: Expect) {
    let mut out = String::new();
    for text in texts {
        writeln!(out, "{}", refused(text)).unwrap_or_default();
    }
    expected.assert_eq(&out);
}

#[test]
fn the_largest_fleet_fits() {
    let (fleet, model) = FULL.split_once("models:\n").expect("models");
    let of =
        |it: u32| model.replace("flight", &format!("flight-{it}")).replace("s3://refit/", &format!("s3://refit-{it}/"));
    let models: String = (0..1_000).map(of).collect();
    assert_eq!(accepted(&format!("{fleet}models:\n{models}")).models.len(), 1_000);
}

#[test]
fn the_example_is_a_policy() {
    let policy = accepted(EXAMPLE);
    assert_eq!(policy.models.len(), 1);
    assert_eq!(policy.models[0].task, Task::Regression);
    assert_eq!(policy.models[0].pipeline_name(), "flight-time-retrain");
}

#[test]
fn a_full_document_reads_as_typed() {
    let policy = accepted(FULL);
    expect![[r#"
        {
          "schema": 1,
          "fleet": {
            "concurrent_runs": 3,
            "priority_aging": "1h",
            "timezone": "UTC"
          },
          "notifications": [
            {
              "email": "ml-team@example.com",
              "on": [
                "failure",
                "drift"
              ]
            }
          ],
          "models": [
            {
              "id": "flight-time",
              "task": "regression",
              "priority": "normal",
              "endpoint": {
                "name": "flights",
                "variant": "main"
              },
              "package_group": "flight-group",
              "pipeline": {
                "definition": "infra/pipelines/retrain.json",
                "parameters": {
                  "InstanceType": "ml.m5.large"
                },
                "strategy": "full",
                "timeout": "3h",
                "retry": {
                  "attempts": 3,
                  "backoff": "5m",
                  "factor": 2,
                  "max_backoff": "1h"
                },
                "resources": {
                  "instance": null,
                  "count": null,
                  "volume_gb": null,
                  "memory_mb": null,
                  "max_runtime": null
                }
              },
              "data": {
                "reference": "s3://refit/reference/",
                "capture": "s3://refit/capture/",
                "labels": "s3://refit/labels/",
                "time": "ts",
                "label": "air_time",
                "prediction": "result",
                "segments": [
                  "carrier"
                ],
                "label_delay": "3d",
                "label_maturity": "1d",
                "features": {
                  "carrier": "categorical",
                  "distance": "numeric"
                }
              },
              "window": {
                "size": "7d",
                "hop": "7d",
                "lateness": "2h"
              },
              "training": {
                "window": "30d",
                "holdout": "7d"
              },
              "triggers": {
                "when": "any",
                "timezone": "UTC",
                "check_every": "30m",
                "schedule": "cron(0 2 * * ? *)",
                "drift": {
                  "metric": "ks",
                  "threshold": 0.25,
                  "share": 0.5,
                  "persistence": "1/1",
                  "min_rows": 200,
                  "features": {}
                },
                "prediction_drift": null,
                "concept": null,
                "performance": {
                  "metric": "mae",
                  "max_drop": 0.05,
                  "floor": 12.0,
                  "persistence": "1/1",
                  "min_rows": 50
                },
                "estimated_performance": null,
                "age": "30d",
                "volume": null,
                "alarms": [],
                "events": [],
                "on_new_trigger": "wait",
                "cooldown": "6d",
                "budget": null,
                "freeze": [],
                "loop_breaker": null,
                "upstream": null
              },
              "gates": [
                {
                  "metric": {
                    "measured": "mae"
                  },
                  "min": 1.0,
                  "max": 15.0,
                  "min_improvement": null,
                  "max_regression": null,
                  "mode": "relative",
                  "lower_bound_above": null,
                  "segments": [],
                  "min_segment_rows": 100,
                  "dry_run": false
                },
                {
                  "metric": {
                    "measured": "rmse"
                  },
                  "min": null,
                  "max": null,
                  "min_improvement": 0.01,
                  "max_regression": 0.02,
                  "mode": "relative",
                  "lower_bound_above": 0.001,
                  "segments": [],
                  "min_segment_rows": 100,
                  "dry_run": false
                }
              ],
              "promotion": {
                "auto_promote": {
                  "metric": "r2",
                  "mode": "error_reduction",
                  "min_improvement": 0.1,
                  "lower_bound_above": 0.01
                },
                "approvals": 2,
                "expires": "5d",
                "notice_timeout": "10m"
              },
              "rollout": {
                "strategy": "immediate"
              },
              "retention": {
                "runs": "90d"
              }
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&policy).unwrap_or_default());
}

#[test]
fn what_is_left_out_has_its_default() {
    let policy = accepted(LEAST);
    expect![[r#"
        {
          "schema": 1,
          "fleet": {
            "concurrent_runs": 3,
            "priority_aging": "1h",
            "timezone": "UTC"
          },
          "notifications": [],
          "models": [
            {
              "id": "m",
              "task": "binary",
              "priority": "normal",
              "endpoint": {
                "name": "m",
                "variant": "champion"
              },
              "package_group": "m",
              "pipeline": {
                "definition": "retrain.json",
                "parameters": {},
                "strategy": "full",
                "timeout": "2h",
                "retry": {
                  "attempts": 3,
                  "backoff": "5m",
                  "factor": 2,
                  "max_backoff": "1h"
                },
                "resources": {
                  "instance": null,
                  "count": null,
                  "volume_gb": null,
                  "memory_mb": null,
                  "max_runtime": null
                }
              },
              "data": {
                "reference": "s3://bucket/reference",
                "capture": "s3://bucket/capture",
                "labels": "s3://bucket/labels",
                "time": "ts",
                "label": "y",
                "prediction": "score",
                "segments": [],
                "label_delay": "0s",
                "label_maturity": "0s",
                "features": {
                  "x": "numeric"
                }
              },
              "window": {
                "size": "1h",
                "hop": "1h",
                "lateness": "0s"
              },
              "training": {
                "window": "30d",
                "holdout": "7d"
              },
              "triggers": {
                "when": "any",
                "timezone": "UTC",
                "check_every": "1m",
                "schedule": null,
                "drift": null,
                "prediction_drift": null,
                "concept": null,
                "performance": null,
                "estimated_performance": null,
                "age": null,
                "volume": null,
                "alarms": [],
                "events": [],
                "on_new_trigger": "wait",
                "cooldown": "0s",
                "budget": null,
                "freeze": [],
                "loop_breaker": null,
                "upstream": null
              },
              "gates": [],
              "promotion": {
                "auto_promote": null,
                "approvals": 1,
                "expires": "7d",
                "notice_timeout": "15m"
              },
              "rollout": {
                "strategy": "immediate"
              },
              "retention": null
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&policy).unwrap_or_default());
}

#[test]
fn a_stored_policy_reads_back() {
    for text in [FULL, LEAST, EXAMPLE] {
        let policy = accepted(text);
        let stored = serde_json::to_string(&policy).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Policy>(&stored).ok(), Some(policy));
    }
}

#[test]
fn a_policy_means_the_same_however_it_is_written() {
    let crlf = FULL.replace('\n', "\r\n");
    let marked = format!("\u{feff}---\n{FULL}...\n");
    let json = r#"{"schema": 1, "models": [{"id": "m", "task": "binary", "pipeline": {"definition": "retrain.json"}, "data": {"reference":
        "s3://bucket/reference", "capture": "s3://bucket/capture", "labels": "s3://bucket/labels", "time": "ts", "label": "y",
        "features": {"x": "numeric"}}, "window": {"size": "1h"}, "training": {"window": "30d", "holdout": "7d"}, "triggers": {"check_every": "1m"}}]}"#;
    assert_eq!(accepted(&crlf).digest(), accepted(FULL).digest());
    assert_eq!(accepted(&marked).digest(), accepted(FULL).digest());
    assert_eq!(accepted(json).digest(), accepted(LEAST).digest());
}

#[test]
fn yaml_that_surprises_is_refused() {
    let deep = format!("schema: {}1{}\n", "[".repeat(40), "]".repeat(40));
    let long = format!("schema: 1\n# {}\n", "x".repeat(5_000_000));
    check_text(
        &[
            "",
            "# nothing\n",
            "---\n",
            "~\n",
            "[1, 2]\n",
            "just text\n",
            "schema: 1\n\tfleet: {}\n",
            "schema: 1\nschema: 1\n",
            "schema: 1\n---\nschema: 1\n",
            "schema: [1\n",
            "schema: 1\nfleet: \"open\n",
            "schema: 1\nfleet: a: b\n",
            "fleet: &a { concurrent_runs: 3 }\n",
            "fleet: *a\n",
            "fleet:\n  <<: { concurrent_runs: 3 }\n",
            "fleet: !!python/object:os.system { concurrent_runs: 3 }\n",
            "fleet: !secret { concurrent_runs: 3 }\n",
            "1: x\n",
            "? [a, b]\n: c\n",
            "~: x\n",
            "schema: 1\nfleet: a\u{0}b\n",
            "schema: 1\nfleet: \"a\\0b\"\n",
            "schema: 1\u{1b}[2J\n",
            &deep,
            &long,
        ],
        expect![[r#"
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: expected a map, found a list
            1:1: expected a map, found the text `just text`
            2:1: a tab in the indentation; YAML is indented by spaces
            1:1: required key `models` is missing
            2:1: schema: duplicate key `schema`; it is first given at line 1, column 1
            2:1: a second document begins here; one file holds one document
            2:1: schema[1]: not YAML: while parsing a flow sequence, expected ',' or ']'
            2:8: fleet: not YAML: while scanning a quoted scalar, found unexpected end of stream
            2:9: not YAML: mapping values are not allowed in this context
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: anchor `&a`: anchors and aliases are not read; write the value out
            1:8: fleet: alias `*a`: anchors and aliases are not read; write the value out
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            2:3: fleet: merge key `<<`: merge keys are not read; write the keys out
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: tag `!!python/object:os.system`: tags are not read; remove it
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: tag `!secret`: tags are not read; remove it
            1:1: a key is a text; put `1` in quotes
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:3: a key is a text, not a list or a map
            1:1: a key is a text; put `~` in quotes
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            2:9: control character U+0000; remove it
            1:1: required key `models` is missing
            2:8: fleet: the text holds the control character U+0000; remove it
            1:10: control character U+001B; remove it
            1:40: schema[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: nested deeper than 32 levels
            1:1: the text has 5000013 bytes; at most 4194304 are read
        "#]],
    );
}

#[test]
fn billions_of_laughs_are_refused_quickly() {
    let mut text = String::from("a: &a [lol, lol]\n");
    for (name, before) in ('b'..='z').zip('a'..='y') {
        writeln!(text, "{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]")
            .unwrap_or_default();
    }
    let problems = refused(&text);
    assert!(problems.0.iter().any(|it| it.message.starts_with("anchor `&a`")), "{problems}");
    assert!(problems.0.iter().any(|it| it.message.starts_with("alias `*a`")), "{problems}");
}

#[test]
fn large_texts_are_read_or_refused_in_time() {
    for piece in [
        "[", "{", "- ", "? ", "a: ", "a:\n", "- a\n", "&a x, ", "\"", "'", "!", "|\n", "a: [\n", "\\", "{a: b}, ", "%",
        "é",
    ] {
        for head in ["", "models: [", "\"long key that has \\n in it\": ", "schema: 1\nfleet: {"] {
            let text = format!("{head}{}", piece.repeat((250_000 - head.len()) / piece.len()));
            check_total(&text);
        }
    }
}

#[test]
fn scalars_mean_what_the_schema_says() {
    for text in ["NO", "on", "off", "y", "1:30", "0o17", "0x1f", "1_000", "2013-01-01", "'null'", "'12'", "été"] {
        let policy = accepted(&patched("label: air_time", &format!("label: {text}")));
        assert_eq!(policy.models[0].data.label, text.trim_matches('\''));
    }
    check(
        &[
            ("label: air_time", "label: ~"),
            ("label: air_time", "label:"),
            ("label: air_time", "label: null"),
            ("label: air_time", "label: true"),
            ("label: air_time", "label: 12"),
            ("min_rows: 200", "min_rows: 0o17"),
            ("min_rows: 200", "min_rows: 1:30"),
            ("min_rows: 200", "min_rows: NO"),
            ("min_rows: 200", "min_rows: ~"),
        ],
        expect![[r#"
            20:14: models[0].data.label: expected a text, found nothing
            20:12: models[0].data.label: expected a text, found nothing
            20:14: models[0].data.label: expected a text, found nothing
            20:14: models[0].data.label: expected a text, found `true`; put it in quotes to mean a text
            20:14: models[0].data.label: expected a text, found the number `12`; put it in quotes to mean a text
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `0o17`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `1:30`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `NO`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found nothing
        "#]],
    );
}

#[test]
fn unknown_keys_get_a_suggestion() {
    check(
        &[
            ("threshold: 0.25", "treshold: 0.25"),
            ("schema: 1", "shema: 1"),
            ("concurrent_runs: 3", "max_concurrent: 3"),
            ("    task: regression", "    taks: regression"),
            ("cooldown: 6d", "Cooldown: 6d"),
            ("when: any", "\"a b\": any"),
        ],
        expect![[r#"
            34:28: models[0].triggers.drift.treshold: unknown key `treshold`; did you mean `threshold`?
            1:1: shema: unknown key `shema`; did you mean `schema`?
            1:1: required key `schema` is missing
            2:10: fleet.max_concurrent: unknown key `max_concurrent`; use `concurrent_runs`, `priority_aging`, `timezone`
            6:5: models[0]: required key `task` is missing
            7:5: models[0].taks: unknown key `taks`; did you mean `task`?
            37:7: models[0].triggers.Cooldown: unknown key `Cooldown`; did you mean `cooldown`?
            31:7: models[0].triggers["a b"]: unknown key `a b`; use `when`, `check_every`, `schedule`, `drift`, `prediction_drift`, `concept`, `performance`, `estimated_performance`, `age`, `volume`, `alarms`, `events`, `cooldown`, `budget`, `freeze`, `loop_breaker`, `upstream`, `on_new_trigger`
        "#]],
    );
}

#[test]
fn required_keys_are_missed_at_their_parent() {
    check(
        &[
            ("schema: 1\n", ""),
            ("    task: regression\n", ""),
            ("email: ml-team@example.com, ", ""),
            ("      definition: infra/pipelines/retrain.json\n", ""),
            ("      label: air_time\n", ""),
            ("size: 7d, ", ""),
            (", holdout: 7d", ""),
            ("{ max: 30d }", "{}"),
            ("{ metric: mae, max_drop: 0.05, floor: 12.0, min_rows: 50 }", "{}"),
            ("metric: rmse, ", ""),
            ("metric: r2, ", ""),
        ],
        expect![[r#"
            1:1: required key `schema` is missing
            6:5: models[0]: required key `task` is missing
            4:5: notifications[0]: required key `email` is missing
            10:5: models[0].pipeline: required key `definition` is missing
            15:5: models[0].data: required key `label` is missing
            28:5: models[0].window: required key `size` is missing
            29:5: models[0].training: required key `holdout` is missing
            36:7: models[0].triggers.age: required key `max` is missing
            35:7: models[0].triggers.performance: required key `metric` is missing
            35:7: models[0].triggers.performance: it needs `max_drop`, `floor` or both
            40:9: models[0].gates[1]: required key `metric` is missing
            43:7: models[0].promotion.auto_promote: required key `metric` is missing
        "#]],
    );
    check_text(
        &["schema: 1\n", "schema: 1\nmodels: []\n", "schema: 1\nmodels: [{}]\n"],
        expect![[r#"
        1:1: required key `models` is missing
        2:9: models: at least 1 of the models must be given
        2:10: models[0]: required key `id` is missing
        2:10: models[0]: required key `task` is missing
        2:10: models[0]: required key `pipeline` is missing
        2:10: models[0]: required key `data` is missing
        2:10: models[0]: required key `window` is missing
        2:10: models[0]: required key `training` is missing
        2:10: models[0]: required key `triggers` is missing
    "#]],
    );
}

#[test]
fn wrong_types_are_named() {
    check(
        &[
            ("threshold: 0.25", "threshold: [0.25]"),
            ("threshold: 0.25", "threshold: '0.25'"),
            ("threshold: 0.25", "threshold: high"),
            ("timeout: 3h", "timeout: [3h]"),
            ("timeout: 3h", "timeout: 3"),
            ("segments: [carrier]", "segments: carrier"),
            ("[failure, drift]", "failure"),
            ("fleet: { concurrent_runs: 3, timezone: UTC }", "fleet: 3"),
            ("concurrent_runs: 3", "concurrent_runs: 3.0"),
            ("parameters: { InstanceType: ml.m5.large }", "parameters: [a]"),
            ("parameters: { InstanceType: ml.m5.large }", "parameters: { A: [1] }"),
            ("carrier: categorical", "carrier: { kind: categorical }"),
            ("schema: 1", "schema: one"),
            ("schema: 1", "schema: 2"),
        ],
        expect![[r#"
            34:39: models[0].triggers.drift.threshold: expected a number, found a list
            34:39: models[0].triggers.drift.threshold: expected a number, found the text `0.25`; remove the quotes
            34:39: models[0].triggers.drift.threshold: expected a number, found the text `high`
            14:16: models[0].pipeline.timeout: expected a length of time, found a list
            14:16: models[0].pipeline.timeout: `3` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            22:17: models[0].data.segments: expected a list, found the text `carrier`
            4:39: notifications[0].on: expected a list, found the text `failure`
            2:8: fleet: expected a map, found the number `3`
            2:27: fleet.concurrent_runs: expected a whole number, found the number `3.0`
            12:19: models[0].pipeline.parameters: expected a map, found a list
            12:24: models[0].pipeline.parameters.A: expected a text, a number or a boolean, found a list
            26:18: models[0].data.features.carrier: expected one of `numeric`, `categorical`, found a map
            1:9: schema: expected a whole number, found the text `one`
            1:9: schema: schema 2 is not known; this version reads schema 1
        "#]],
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    check(
        &[
            ("threshold: 0.25", "threshold: -0.25"),
            ("threshold: 0.25", "threshold: 0"),
            ("threshold: 0.25", "threshold: .nan"),
            ("threshold: 0.25", "threshold: .inf"),
            ("threshold: 0.25", "threshold: 1e309"),
            ("threshold: 0.25", "threshold: 5%"),
            ("threshold: 0.25", "threshold: 1.5"),
            ("share: 0.5", "share: 0"),
            ("share: 0.5", "share: 1.01"),
            ("share: 0.5", "share: 5"),
            ("max_drop: 0.05", "max_drop: 5"),
            ("max_drop: 0.05", "max_drop: 0"),
            ("max_drop: 0.05", "max_drop: 5 %"),
            ("min_rows: 200", "min_rows: 0"),
            ("min_rows: 200", "min_rows: -1"),
            ("concurrent_runs: 3", "concurrent_runs: 0"),
            ("concurrent_runs: 3", "concurrent_runs: -1"),
            ("concurrent_runs: 3", "concurrent_runs: 1e9"),
            ("concurrent_runs: 3", "concurrent_runs: 1000000000"),
            ("approvals: 2", "approvals: 0"),
            ("approvals: 2", "approvals: 11"),
            ("min_improvement: 0.01", "min_improvement: -0.01"),
            ("min_improvement: 0.01", "min_improvement: 5"),
            ("max_regression: 0.02", "max_regression: 2"),
            ("lower_bound_above: 0.001", "lower_bound_above: 1"),
            ("floor: 12.0", "floor: -1"),
        ],
        expect![[r#"
            34:39: models[0].triggers.drift.threshold: `-0.25` is out of range: it must be above 0
            34:39: models[0].triggers.drift.threshold: `0` is out of range: it must be above 0
            34:39: models[0].triggers.drift.threshold: `.nan` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: `.inf` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: `1e309` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: expected a number, found `5%`; say `0.05`
            34:39: models[0].triggers.drift.threshold: `1.5` is out of range: a `ks` distance is at most 1, so this never fires
            34:52: models[0].triggers.drift.share: `0` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            34:52: models[0].triggers.drift.share: `1.01` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: `0` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: expected a number, found `5 %`; say `0.05`
            34:67: models[0].triggers.drift.min_rows: `0` is out of range: it must be at least 1
            34:67: models[0].triggers.drift.min_rows: `-1` is out of range: it must be at least 1
            2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
            2:27: fleet.concurrent_runs: `-1` is out of range: it must be 1 to 1000
            2:27: fleet.concurrent_runs: expected a whole number, found the number `1e9`
            2:27: fleet.concurrent_runs: `1000000000` is out of range: it must be 1 to 1000
            44:18: models[0].promotion.approvals: `0` is out of range: it must be 1 to 10
            44:18: models[0].promotion.approvals: `11` is out of range: it must be 1 to 10
            40:42: models[0].gates[1].min_improvement: `-0.01` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:42: models[0].gates[1].min_improvement: `5` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:64: models[0].gates[1].max_regression: `2` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:105: models[0].gates[1].lower_bound_above: `1` is out of range: it must be a share above -1, below 1 (5 % is `0.05`)
            35:58: models[0].triggers.performance.floor: `-1` is out of range: `mae` is at least 0
        "#]],
    );
    let whole_share = accepted(&patched("share: 0.5", "share: 1"));
    assert_eq!(whole_share.models[0].triggers.drift.as_ref().map(|it| it.share), Some(1.0));
}

#[test]
fn lengths_of_time_out_of_range_are_refused() {
    check(
        &[
            ("size: 7d", "size: 59m"),
            ("size: 7d", "size: 367d"),
            ("hop: 7d", "hop: 1d"),
            ("hop: 7d", "hop: 0s"),
            ("window: 30d", "window: 0s"),
            ("holdout: 7d", "holdout: 0d"),
            ("check_every: 30m", "check_every: 59s"),
            ("timeout: 3h", "timeout: 59s"),
            ("timeout: 3h", "timeout: 29d"),
            ("expires: 5d", "expires: 1s"),
            ("notice_timeout: 10m", "notice_timeout: 8d"),
            ("notice_timeout: 10m", "notice_timeout: 59s"),
            ("cooldown: 6d", "cooldown: -6d"),
            ("cooldown: 6d", "cooldown: 1.5d"),
            ("cooldown: 6d", "cooldown: 6 days"),
            ("cooldown: 6d", "cooldown: 5000d"),
            ("max: 30d", "max: 0s"),
        ],
        expect![[r#"
            28:21: models[0].window.size: 59m is out of range: it must be at least 1h, at most 366d
            28:21: models[0].window.size: 367d is out of range: it must be at least 1h, at most 366d
            28:30: models[0].window.hop: windows do not overlap: `1d` is less than `window.size`; use at least 7d
            28:30: models[0].window.hop: 0s is out of range: it must be at least 1s
            29:25: models[0].training.window: 0s is out of range: it must be at least 1s
            29:39: models[0].training.holdout: 0s is out of range: it must be at least 1s
            32:20: models[0].triggers.check_every: 59s is out of range: it must be at least 1m
            14:16: models[0].pipeline.timeout: 59s is out of range: it must be at least 1m, at most 28d
            14:16: models[0].pipeline.timeout: 29d is out of range: it must be at least 1m, at most 28d
            45:16: models[0].promotion.expires: 1s is out of range: it must be at least 1m
            46:23: models[0].promotion.notice_timeout: 8d is out of range: it must be at least 1m, at most 7d
            46:23: models[0].promotion.notice_timeout: 59s is out of range: it must be at least 1m, at most 7d
            37:17: models[0].triggers.cooldown: `-6d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `1.5d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `6 days` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `5000d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            36:19: models[0].triggers.age.max: 0s is out of range: it must be at least 1m
        "#]],
    );
}

#[test]
fn schedules_are_aws_schedules() {
    check(
        &[
            ("cron(0 2 * * ? *)", "0 2 * * *"),
            ("cron(0 2 * * ? *)", "cron(0 2 * * ? * *)"),
            ("cron(0 2 * * ? *)", "rate(1 hours)"),
            ("cron(0 2 * * ? *)", "rate(0 minutes)"),
            ("cron(0 2 * * ? *)", "cron(0 2 30 2 ? *)"),
            ("cron(0 2 * * ? *)", "cron(0 2 1 * MON *)"),
            ("timezone: UTC", "timezone: Mars/Olympus"),
            ("timezone: UTC", "timezone: europe/berlin"),
        ],
        expect![[r#"
            33:17: models[0].triggers.schedule: `0 2 * * *` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 * * ? * *)` is not a schedule: it has 7 fields where six are needed; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `rate(1 hours)` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `rate(0 minutes)` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 30 2 ? *)` is not a schedule: no day matches it; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 1 * MON *)` is not a schedule: exactly one of the day fields must be `?`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            2:40: fleet.timezone: `Mars/Olympus` is not the name of a time zone: write it like `UTC`, `Europe/Berlin` or `America/New_York`
            2:40: fleet.timezone: `europe/berlin` is not the name of a time zone: write it like `UTC`, `Europe/Berlin` or `America/New_York`
        "#]],
    );
}

#[test]
fn addresses_are_strict() {
    check(
        &[
            ("s3://refit/reference/", "s3://"),
            ("s3://refit/reference/", "s3:///k"),
            ("s3://refit/reference/", "S3://B/.."),
            ("s3://refit/reference/", "http://169.254.169.254/latest"),
            ("s3://refit/reference/", "file:///etc/passwd"),
            ("s3://refit/reference/", "s3://Refit/reference"),
            ("s3://refit/reference/", "\"s3://refit/a\\0b\""),
            ("s3://refit/reference/", "s3://refit//reference"),
            ("s3://refit/reference/", "\"s3://refit/reference \""),
            ("s3://refit/reference/", "s3://refit/../reference"),
            ("s3://refit/reference/", "s3://refit/capture/old"),
            ("s3://refit/labels/", "s3://refit/capture"),
            ("s3://refit/labels/", "s3://refit"),
            ("infra/pipelines/retrain.json", "/etc/passwd"),
            ("infra/pipelines/retrain.json", "/etc/retrain.json"),
            ("infra/pipelines/retrain.json", "retrain.yaml"),
            ("infra/pipelines/retrain.json", "C:\\retrain.json"),
            ("infra/pipelines/retrain.json", "my_pipeline.json"),
        ],
        expect![[r#"
            16:18: models[0].data.reference: `s3://` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: `s3:///k` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: `S3://B/..` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `http://169.254.169.254/latest` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `file:///etc/passwd` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `s3://Refit/reference` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: the text holds the control character U+0000; remove it
            16:18: models[0].data.reference: `s3://refit//reference` is not an S3 address: the key has an empty part (`//`)
            16:18: models[0].data.reference: `s3://refit/reference ` is not an S3 address: the key begins or ends with a space
            16:18: models[0].data.reference: `s3://refit/../reference` is not an S3 address: the key has a part `.` or `..`
            17:16: models[0].data.capture: `data.capture` and `data.reference` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.capture` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.reference` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.capture` overlap; neither prefix may lie in the other
            11:19: models[0].pipeline.definition: `/etc/passwd` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `/etc/retrain.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `retrain.yaml` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `C:\\retrain.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `my_pipeline.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
        "#]],
    );
    accepted(&patched("s3://refit/labels/", "s3://refit/capture-labels"));
}

#[test]
fn receivers_are_mail_addresses() {
    check(
        &[
            ("ml-team@example.com", "ml-team"),
            ("ml-team@example.com", "a@b@example.com"),
            ("ml-team@example.com", "\"a b@example.com\""),
            ("ml-team@example.com", "\"a@example.com\\nBcc: b@example.com\""),
            ("ml-team@example.com", "\"a@example.com\\r\\nBcc: b\""),
            ("ml-team@example.com", "'a@example.com,b@example.com'"),
            ("ml-team@example.com", "'@example.com'"),
            ("ml-team@example.com", "a@"),
            ("ml-team@example.com", "a@example..com"),
            ("[failure, drift]", "[failure, failure]"),
            ("[failure, drift]", "[]"),
            ("[failure, drift]", "[failures]"),
            ("[failure, drift]", "[failure, everything]"),
            ("[failure, drift] }", "[failure] }\n  - { email: ml-team@example.com }"),
        ],
        expect![[r#"
            4:14: notifications[0].email: `ml-team` is not an e-mail address: it needs one `@`
            4:14: notifications[0].email: `a@b@example.com` is not an e-mail address: it has more than one `@`
            4:14: notifications[0].email: `a b@example.com` is not an e-mail address: it holds a space, a line break or a control character
            4:14: notifications[0].email: `a@example.com\nBcc: b@example.com` is not an e-mail address: it holds a space, a line break or a control character
            4:14: notifications[0].email: the text holds the control character U+000D; remove it
            4:14: notifications[0].email: `a@example.com,b@example.com` is not an e-mail address: it has more than one `@`
            4:14: notifications[0].email: `@example.com` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:14: notifications[0].email: `a@` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:14: notifications[0].email: `a@example..com` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:49: notifications[0].on[1]: subject `failure` is already used at line 4, column 40
            4:39: notifications[0].on: an empty list is never told anything; list subjects, or remove `on` to be told everything
            4:40: notifications[0].on[0]: unknown word `failures`; did you mean `failure`?
            4:49: notifications[0].on[1]: unknown word `everything`; use `failure`, `drift`, `approval`, `before_promotion`, `promotion`, `rollback`
            5:14: notifications[1].email: e-mail address `ml-team@example.com` is already used at line 4, column 14
        "#]],
    );
    let long = format!("{}@{}.com", "a".repeat(60), "b.".repeat(100));
    refused(&patched("ml-team@example.com", &long));
}

#[test]
fn names_follow_the_rule() {
    check(
        &[
            ("id: flight-time", "id: ''"),
            ("id: flight-time", "id: -a"),
            ("id: flight-time", "id: a_b"),
            ("id: flight-time", "id: a/b"),
            ("id: flight-time", "id: .."),
            ("id: flight-time", "id: CON"),
            ("id: flight-time", "id: com1"),
            ("id: flight-time", "id: 😀"),
            ("id: flight-time", "id: а"),
            ("id: flight-time", "id: \"a\\n\""),
            ("id: flight-time", "id: 7"),
            ("name: flights", "name: my_flights"),
            ("variant: main", "variant: ''"),
            ("package_group: flight-group", "package_group: a b"),
            ("label: air_time", "label: ''"),
            ("label: air_time", "label: \"a\\nb\""),
            ("distance: numeric", "\"\": numeric"),
            ("distance: numeric", "\"a\\tb\": numeric"),
            ("InstanceType: ml.m5.large", "\"Instance Type\": ml.m5.large"),
            ("InstanceType: ml.m5.large", "TrainStart: now"),
        ],
        expect![[r#"
            6:9: models[0].id: `` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `-a` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a_b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a/b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `..` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `CON` is the name of a device on some systems; choose another id
            6:9: models[0].id: `com1` is the name of a device on some systems; choose another id
            6:9: models[0].id: `😀` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `а` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a\n` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: expected a text, found the number `7`; put it in quotes to mean a text
            8:23: models[0].endpoint.name: `my_flights` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            8:41: models[0].endpoint.variant: `` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            9:20: models[0].package_group: `a b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            20:14: models[0].data.label: `` is not the name of a column: use 1 to 128 characters, no control characters
            20:14: models[0].data.label: `a\nb` is not the name of a column: use 1 to 128 characters, no control characters
            27:9: models[0].data.features[""]: `` is not the name of a column: use 1 to 128 characters, no control characters
            27:9: models[0].data.features["a\tb"]: `a\tb` is not the name of a column: use 1 to 128 characters, no control characters
            12:21: models[0].pipeline.parameters["Instance Type"]: `Instance Type` is not the name of a parameter: use 1 to 256 of `a-z A-Z 0-9 - _`
            12:21: models[0].pipeline.parameters.TrainStart: `TrainStart` is set by Refit for each run; remove it
        "#]],
    );
    refused(&patched("id: flight-time", &format!("id: {}", "x".repeat(64))));
    refused(&patched("label: air_time", &format!("label: {}", "x".repeat(129))));
    accepted(&patched("id: flight-time", &format!("id: {}", "x".repeat(63))));
}

#[test]
fn every_contract_parameter_is_refused() {
    for name in [
        "RefitRunId",
        "TrainStart",
        "TrainEnd",
        "HoldoutStart",
        "HoldoutEnd",
        "ReferenceUri",
        "ChampionPackageArn",
        "ChampionModelUri",
        "OutputUri",
        "Strategy",
    ] {
        let problems = refused(&patched("InstanceType: ml", &format!("{name}: ml")));
        assert!(problems.0[0].message.contains("is set by Refit"), "{problems}");
    }
}

#[test]
fn names_are_used_once() {
    let same = LEAST.split_once("models:\n").unwrap_or_default().1;
    let second = same
        .replace("s3://bucket/capture", "s3://bucket/n/capture")
        .replace("s3://bucket/labels", "s3://bucket/n/labels");
    let check = |id: &str, expected: Expect| {
        let text = format!("{LEAST}{}", second.replace("id: m", id));
        expected.assert_eq(&refused(&text).to_string());
    };
    check("id: m", expect!["16:9: models[1].id: model id `m` is already used at line 3, column 9"]);
    check(
        "id: n\n    endpoint: { name: m }",
        expect!["17:23: models[1].endpoint.name: endpoint `m` is already used at line 3, column 9"],
    );
    check(
        "id: n\n    package_group: m",
        expect!["17:20: models[1].package_group: package group `m` is already used at line 3, column 9"],
    );
    accepted(&format!("{LEAST}{}", second.replace("id: m", "id: n")));
    let clash = format!("{LEAST}{}", second.replace("id: m", "id: m-a"));
    let clash = clash.replacen("definition: retrain.json", "definition: a-retrain.json", 1);
    expect!["18:15: models[1].pipeline: pipeline name `m-a-retrain` is already used at line 5, column 15"]
        .assert_eq(&refused(&clash).to_string());
    // Files of two models under one prefix would all be given to the first.
    let shared = second.replace("id: m", "id: n").replace("s3://bucket/n/labels", "s3://bucket/capture/labels");
    expect!["20:7: models[1].data: `s3://bucket/capture/labels` overlaps `s3://bucket/capture` of another model; each model has its own captures and labels"].assert_eq(&refused(&format!("{LEAST}{shared}")).to_string());
}

#[test]
fn triggers_and_guards_are_read_strictly() {
    let arn = "arn:aws:cloudwatch:eu-central-1:000000000000:alarm:latency";
    let good = [
        "when: all",
        "when: { at_least: 3 }",
        "alarms: []",
        &format!("alarms: [{{ arn: \"{arn}\", reason: slow }}]"),
        "events: [{ source: shop, detail_type: Season Changed, reason: new season }]",
        "budget: { runs_per_month: 8 }",
        "freeze: [{ from: 2026-12-20, to: 2027-01-03 }, { from: 2027-04-02, to: 2027-04-02 }]",
        "loop_breaker: { rejections: 3 }",
        "prediction_drift: { metric: js, threshold: 0.1, persistence: 2/2 }",
        "concept: { detector: page_hinkley, delta: 0, threshold: 20 }",
        "concept: { detector: adwin }",
        "volume: { min_predictions: 100, max_predictions: 1000, new_records: 1000 }",
        "volume: { max_predictions: learned }",
        "upstream: { max_null_rate: 0 }",
    ];
    for line in good {
        accepted(&patched("      when: any\n", &format!("      {line}\n")));
    }
    accepted(&patched("share: 0.5", "share: 0.5, persistence: 2/3"));
    accepted(&patched("share: 0.5", "share: 0.5, features: { distance: { metric: wasserstein, threshold: 2 } }"));
    accepted(&patched("share: 0.5", "share: 0.5, features: { carrier: { metric: cramers_v, threshold: 0.3 } }"));
    let bad = [
        "when: most",
        "when: { at_least: 0 }",
        "when: { at_least: 4 }",
        "when: { atleast: 1 }",
        "when: {}",
        "alarms: [{ arn: \"arn:aws:sns:eu-central-1:000000000000:alarm\", reason: slow }]",
        "alarms: [{ arn: latency }]",
        &format!("alarms: [{{ arn: \"{arn}\", reason: a }}, {{ arn: \"{arn}\", reason: b }}]"),
        "events: [{ source: refit, detail_type: Model Promoted, reason: again }]",
        "events: [{ source: shop, detail_type: a, reason: b }, { source: shop, detail_type: a, reason: c }]",
        "events: [{ source: shop, detail_type: \" \", reason: b }]",
        "budget: { runs_per_month: 0 }",
        "budget: 8",
        "freeze: [{ from: 2026-12-20 }]",
        "freeze: [{ from: 2027-01-03, to: 2026-12-20 }]",
        "freeze: [{ from: 2026-02-30, to: 2026-03-01 }]",
        "freeze: [{ from: 20261220, to: 2027-01-03T00:00 }]",
        "loop_breaker: { rejections: 0 }",
        "loop_breaker: { rejection: 3 }",
        "prediction_drift: { metric: js, threshold: 1.1 }",
        "concept: {}",
        "concept: { detector: ddm }",
        "concept: { detector: adwin, threshold: 3 }",
        "concept: { detector: adwin, delta: 1 }",
        "volume: {}",
        "volume: { max_predictions: learnt }",
        "volume: { min_predictions: 100, max_predictions: 10 }",
        "when: { at_least: 4 }\n      volume: { min_predictions: 100 }",
        "upstream: { max_null_rate: 1 }",
    ];
    let mut out = String::new();
    for line in bad {
        writeln!(out, "{}", refused(&patched("      when: any\n", &format!("      {line}\n")))).unwrap_or_default();
    }
    for features in [
        "{ distanse: {} }",
        "{ distance: { metric: ks, threshold: 2 } }",
        "{ carrier: { metric: ks, threshold: 0.1 } }",
        "{ distance: { metric: psi } }",
    ] {
        let text = patched("share: 0.5", &format!("share: 0.5, features: {features}"));
        writeln!(out, "{}", refused(&text)).unwrap_or_default();
    }
    for persistence in ["3/2", "0/3", "2", "13/13", "2/3/4", "+2/3", "all", "[2, 3]"] {
        let text = patched("share: 0.5", &format!("share: 0.5, persistence: {persistence}"));
        writeln!(out, "{}", refused(&text)).unwrap_or_default();
    }
    expect![[r#"
        31:13: models[0].triggers.when: unknown word `most`; use `any`, `all`
        31:25: models[0].triggers.when.at_least: `0` is out of range: it must be 1 to 100
        31:25: models[0].triggers.when.at_least: 3 of the conditions `drift`, `prediction_drift`, `concept`, `performance`, `estimated_performance`, `age`, `volume` are given, so 4 never hold; schedules, alarms, events and people each suffice alone
        31:7: models[0].triggers.when: required key `at_least` is missing
        31:15: models[0].triggers.when.atleast: unknown key `atleast`; did you mean `at_least`?
        31:7: models[0].triggers.when: required key `at_least` is missing
        31:23: models[0].triggers.alarms[0].arn: `arn:aws:sns:eu-central-1:000000000000:alarm` is not the ARN of an alarm: it looks like `arn:aws:cloudwatch:<region>:<account>:alarm:<name>`
        31:16: models[0].triggers.alarms[0]: required key `reason` is missing
        31:23: models[0].triggers.alarms[0].arn: `latency` is not the ARN of an alarm: it looks like `arn:aws:cloudwatch:<region>:<account>:alarm:<name>`
        31:105: models[0].triggers.alarms[1].arn: alarm `arn:aws:cloudwatch:eu-central-1:000000000000:alarm:latency` is already used at line 31, column 23
        31:26: models[0].triggers.events[0].source: Refit's own events cannot ask for a run: it would answer itself
        31:61: models[0].triggers.events[1]: event `shop: a` is already used at line 31, column 16
        31:45: models[0].triggers.events[0].detail_type: ` ` must have 1 to 256 bytes and no control characters
        31:33: models[0].triggers.budget.runs_per_month: `0` is out of range: it must be 1 to 1000
        31:15: models[0].triggers.budget: expected a map, found the number `8`
        31:16: models[0].triggers.freeze[0]: required key `to` is missing
        31:16: models[0].triggers.freeze[0]: it ends on 2026-12-20 before it begins on 2027-01-03
        31:24: models[0].triggers.freeze[0].from: `2026-02-30` is not a date: write it like `2026-12-20`
        31:24: models[0].triggers.freeze[0].from: `20261220` is not a date: write it like `2026-12-20`
        31:38: models[0].triggers.freeze[0].to: `2027-01-03T00:00` is not a date: write it like `2026-12-20`
        31:35: models[0].triggers.loop_breaker.rejections: `0` is out of range: it must be 1 to 100
        31:7: models[0].triggers.loop_breaker: required key `rejections` is missing
        31:23: models[0].triggers.loop_breaker.rejection: unknown key `rejection`; did you mean `rejections`?
        31:50: models[0].triggers.prediction_drift.threshold: `1.1` is out of range: a `js` distance is at most 1, so this never fires
        31:7: models[0].triggers.concept: required key `detector` is missing
        31:28: models[0].triggers.concept.detector: `ddm` needs errors of 0 or 1; use `page_hinkley` or `adwin` for `regression`
        31:46: models[0].triggers.concept.threshold: `adwin` has no `threshold`; remove it
        31:42: models[0].triggers.concept.delta: `1` is out of range: it must be 0 or above and below 1
        31:7: models[0].triggers.volume: it needs `min_predictions`, `max_predictions` or `new_records`
        31:34: models[0].triggers.volume.max_predictions: expected a whole number, found the text `learnt`
        31:7: models[0].triggers.volume: `max_predictions` 10 is below `min_predictions` 100
        31:25: models[0].triggers.when.at_least: 3 of the conditions `drift`, `prediction_drift`, `concept`, `performance`, `estimated_performance`, `age`, `volume` are given, so 4 never hold; schedules, alarms, events and people each suffice alone
        31:34: models[0].triggers.upstream.max_null_rate: `1` is out of range: it must be a share from 0 to below 1 (5 % is `0.05`)
        34:69: models[0].triggers.drift.features.distanse: `distanse` is none of `data.features`
        34:104: models[0].triggers.drift.features.distance.threshold: `2` is out of range: a `ks` distance is at most 1, so this never fires
        34:88: models[0].triggers.drift.features.carrier.metric: `ks` needs an order, and categories have none; use `psi`, `js` or `cramers_v`
        34:69: models[0].triggers.drift.features.distance: `psi` needs a `threshold` of its own
        34:70: models[0].triggers.drift.persistence: `3/2` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `0/3` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `2` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `13/13` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `2/3/4` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `+2/3` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: `all` is not `m/n`: m of the last n windows, 1 <= m <= n <= 12, such as `2/3`
        34:70: models[0].triggers.drift.persistence: expected `m/n`, such as `2/3`, found a list
    "#]].assert_eq(&out);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let lines = [
        ("    task: regression\n", "watch: { for: 24h, rollback: automatic }"),
        ("      strategy: full\n", "  resources: { instance: ml.m5.large }"),
        ("      when: any\n", "  estimated_performance: { metric: mae, floor: 12 }"),
    ];
    let mut out = String::new();
    for (before, line) in lines {
        writeln!(out, "{}", refused(&patched(before, &format!("{before}    {line}\n")))).unwrap_or_default();
    }
    expect![[r#"
        8:5: models[0].watch: `watch` is not built yet; remove it
        14:18: models[0].pipeline.resources: it sets `InstanceType`, which `pipeline.parameters` sets, too; remove one of both
        32:30: models[0].triggers.estimated_performance: quality is estimated from the probabilities of a classification, and `task` is regression; remove it
    "#]]
    .assert_eq(&out);
    check(
        &[
            ("share: 0.5", "share: 0.5, warn: 0.1"),
            ("strategy: immediate", "steps: [5, 100], bake: 30m, guardrails: [], on_no_data: hold"),
            ("strategy: immediate", "strategy: canary"),
            ("strategy: immediate", "strategy: canari"),
            ("strategy: full", "strategy: incremantal"),
            ("task: regression", "task: multi"),
        ],
        expect![[r#"
            34:57: models[0].triggers.drift.warn: `triggers.drift.warn` is not built yet; remove it
            47:16: models[0].rollout.steps: `rollout.steps` is not built yet; remove it
            47:33: models[0].rollout.bake: `rollout.bake` is not built yet; remove it
            47:44: models[0].rollout.guardrails: `rollout.guardrails` is not built yet; remove it
            47:60: models[0].rollout.on_no_data: `rollout.on_no_data` is not built yet; remove it
            47:26: models[0].rollout.strategy: `rollout.strategy: canary` is not built yet; use `immediate`
            47:26: models[0].rollout.strategy: unknown word `canari`; use `immediate`
            13:17: models[0].pipeline.strategy: unknown word `incremantal`; did you mean `incremental`?
            7:11: models[0].task: unknown word `multi`; use `regression`, `binary`, `multiclass`
        "#]],
    );
}

#[test]
fn metrics_apply_to_the_task() {
    check(
        &[
            ("{ metric: mae, max_drop", "{ metric: auc, max_drop"),
            ("{ metric: mae, min: 1", "{ metric: f1, min: 1"),
            ("metric: r2", "metric: accuracy"),
            ("metric: r2", "metric: r3"),
            ("metric: ks", "metric: kl"),
        ],
        expect![[r#"
            35:30: models[0].triggers.performance.metric: `auc` does not apply to the task `regression`; use `mae`, `rmse`, `r2`
            39:19: models[0].gates[0].metric: `f1` does not apply to the task `regression`; use `mae`, `rmse`, `r2`
            43:31: models[0].promotion.auto_promote.metric: `accuracy` does not apply to the task `regression`; use `mae`, `rmse`, `r2`
            43:31: models[0].promotion.auto_promote.metric: unknown word `r3`; did you mean `r2`?
            34:24: models[0].triggers.drift.metric: unknown word `kl`; did you mean `ks`?
        "#]],
    );
}

#[test]
fn gates_can_be_met() {
    check(
        &[
            ("metric: mae, min: 1, max: 15", "metric: mae"),
            ("metric: mae, min: 1, max: 15", "metric: mae, mode: absolute"),
            ("min: 1, max: 15", "min: 15, max: 1"),
            ("min: 1, max: 15", "max: -1"),
            ("{ metric: mae, min: 1, max: 15 }", "{ metric: r2, min: 1.5 }"),
            ("mode: relative", "mode: error_reduction"),
            ("mode: relative", "mode: relativ"),
            ("mode: error_reduction", "mode: absolute, min_rows: 3"),
        ],
        expect![[r#"
            39:9: models[0].gates[0]: the gate has no condition; give at least one of `min`, `max`, `min_improvement`, `max_regression`, `lower_bound_above`
            39:9: models[0].gates[0]: the gate has no condition; give at least one of `min`, `max`, `min_improvement`, `max_regression`, `lower_bound_above`
            39:29: models[0].gates[0].min: `min` 15 is above `max` 1; no candidate can meet both
            39:29: models[0].gates[0].max: `-1` is out of range: `mae` is at least 0
            39:28: models[0].gates[0].min: `1.5` is out of range: `r2` is at most 1
            40:76: models[0].gates[1].mode: `error_reduction` is for metrics whose best value is 1; for `rmse` it equals `relative`, use that
            40:76: models[0].gates[1].mode: unknown word `relativ`; did you mean `relative`?
            43:51: models[0].promotion.auto_promote.min_rows: unknown key `min_rows`; use `metric`, `mode`, `min_improvement`, `lower_bound_above`
        "#]],
    );
    let binary = |gate: &str| LEAST.replace("    triggers:", &format!("    gates: [{gate}]\n    triggers:"));
    check_text(
        &[
            &binary("{ metric: auc, min: 90 }"),
            &binary("{ metric: brier, max: 0.1, mode: error_reduction }"),
            &binary("{ metric: auc, min_improvement: 2, mode: absolute }"),
            &binary("{ metric: auc, lower_bound_above: -3, mode: absolute }"),
            &LEAST.replace("{ check_every: 1m }", "{ performance: { metric: auc, max_drop: 1 } }"),
            &LEAST.replace("{ check_every: 1m }", "{ performance: { metric: auc, floor: 90 } }"),
            &LEAST.replace("{ check_every: 1m }", "{ performance: { metric: auc } }"),
        ],
        expect![[r#"
            15:33: models[0].gates[0].min: `90` is out of range: `auc` is within 0 to 1
            15:46: models[0].gates[0].mode: `error_reduction` is for metrics whose best value is 1; for `brier` it equals `relative`, use that
            15:45: models[0].gates[0].min_improvement: `2` is out of range: `auc` cannot change by more than 1
            15:47: models[0].gates[0].lower_bound_above: `-3` is out of range: `auc` cannot change by more than 1
            15:55: models[0].triggers.performance.max_drop: `1` is out of range: `auc` cannot drop by more than itself, so this never fires
            15:52: models[0].triggers.performance.floor: `90` is out of range: `auc` is within 0 to 1
            15:17: models[0].triggers.performance: it needs `max_drop`, `floor` or both
        "#]],
    );
    accepted(&binary("{ metric: auc, min_improvement: 0.1, mode: error_reduction }"));
    accepted(&binary("{ metric: auc, lower_bound_above: -0.01, mode: absolute }"));
    accepted(&patched("min: 1, max: 15", "min: 15, max: 15"));
}

#[test]
fn gates_on_segments_and_custom_metrics_are_strict() {
    let gate = |text: &str| accepted(&FULL.replace("metric: rmse", text)).models[0].gates[1].clone();
    let all = gate("metric: rmse, segments: all, min_segment_rows: 50, dry_run: true");
    assert_eq!((all.segments.as_slice(), all.min_segment_rows, all.dry_run), (&["carrier".to_owned()][..], 50, true));
    let custom = gate("metric: { custom: latency_ms, direction: lower_is_better, range: [0, 1e4] }");
    let expected =
        CustomMetric { name: "latency_ms".to_owned(), direction: Direction::LowerIsBetter, range: Some((0.0, 1e4)) };
    assert_eq!(custom.metric, GateMetric::Custom(expected));
    assert_eq!(gate("metric: win_rate").metric, GateMetric::Measured(Metric::WinRate));
    check(
        &[
            ("metric: rmse", "metric: rmse, segments: some"),
            ("metric: rmse", "metric: rmse, segments: []"),
            ("metric: rmse", "metric: rmse, segments: [origin]"),
            ("metric: rmse", "metric: rmse, segments: [carrier, carrier]"),
            ("metric: rmse", "metric: rmse, segments: all, min_segment_rows: 1"),
            ("metric: rmse", "metric: rmse, min_segment_rows: 10"),
            ("metric: rmse", "metric: rmse, dry_run: yes"),
            ("metric: rmse", "metric: { custom: latency_ms }"),
            ("metric: rmse", "metric: { custom: latency_ms, direction: lower }"),
            ("metric: rmse", "metric: { custom: latency ms, direction: lower_is_better }"),
            ("metric: rmse", "metric: { custom: accuracy, direction: higher_is_better }"),
            ("metric: rmse", "metric: { custom: hits, direction: higher_is_better, range: [1, 0] }"),
            ("metric: rmse", "metric: { custom: hits, direction: higher_is_better, range: [0] }"),
            ("metric: rmse", "metric: { custom: hits, direction: higher_is_better }, segments: all"),
            ("metric: rmse", "metric: win_rate, segments: all"),
            ("metric: rmse", "metric: max_drawdown"),
            ("performance: { metric: mae", "performance: { metric: win_rate"),
        ],
        expect![[r#"
            40:35: models[0].gates[1].segments: unknown word `some`; use `all`
            40:35: models[0].gates[1].segments: at least 1 of the segments must be given
            40:36: models[0].gates[1].segments[0]: `origin` is not one of `data.segments`
            40:45: models[0].gates[1].segments[1]: segment `carrier` is already used at line 40, column 36
            40:58: models[0].gates[1].min_segment_rows: `1` is out of range: it must be 2 to 1000000000
            40:43: models[0].gates[1].min_segment_rows: `min_segment_rows` has no effect without `segments`
            40:34: models[0].gates[1].dry_run: unknown word `yes`; use `true`, `false`
            40:11: models[0].gates[1].metric: required key `direction` is missing
            40:52: models[0].gates[1].metric.direction: unknown word `lower`; use `higher_is_better`, `lower_is_better`
            40:29: models[0].gates[1].metric.custom: `latency ms` is not the name of a metric: it has 1 to 64 of a-z, A-Z, 0-9, `_`, `-`, `.`
            40:29: models[0].gates[1].metric.custom: `accuracy` is measured by Refit itself; say `metric: accuracy`, or give yours another name
            40:71: models[0].gates[1].metric.range: the range begins at 1 and ends at 0; the lower end comes first
            40:71: models[0].gates[1].metric.range: at least 2 of the ends of a range must be given
            40:76: models[0].gates[1].segments: `hits` is known for the hold-out as a whole only; it cannot be judged on segments
            40:39: models[0].gates[1].segments: `win_rate` is known for the hold-out as a whole only; it cannot be judged on segments
            40:113: models[0].gates[1].lower_bound_above: `max_drawdown` depends on the order of the days, which resampling loses: it has no bound
            35:30: models[0].triggers.performance.metric: `win_rate` does not apply to the task `regression`; use `mae`, `rmse`, `r2`
        "#]],
    );
}

#[test]
fn modes_of_promotion_do_not_contradict() {
    check(
        &[
            ("mode: auto", "mode: manual"),
            (
                "      auto_promote: { metric: r2, mode: error_reduction, min_improvement: 0.1, lower_bound_above: 0.01 }\n",
                "",
            ),
            ("mode: auto\n", "mode: automatic\n"),
        ],
        expect![[r#"
            43:21: models[0].promotion.auto_promote: `promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`
            42:13: models[0].promotion.mode: `promotion.mode: auto` needs `promotion.auto_promote`, the bar for promotion without a person
            42:13: models[0].promotion.mode: unknown word `automatic`; use `manual`, `auto`
        "#]],
    );
    let without_mode = accepted(&patched("      mode: auto\n", ""));
    assert_eq!(without_mode, accepted(FULL));
}

#[test]
fn columns_have_one_role() {
    check(
        &[
            ("distance: numeric", "air_time: numeric"),
            ("distance: numeric", "ts: numeric"),
            ("label: air_time", "label: ts"),
            ("segments: [carrier]", "segments: [plane]"),
            ("segments: [carrier]", "segments: [distance]"),
            ("segments: [carrier]", "segments: [carrier, carrier]"),
            ("distance: numeric", "carrier: numeric"),
            ("distance: numeric", "distance: number"),
        ],
        expect![[r#"
            27:9: models[0].data.features.air_time: `air_time` is the label; a model may not see it as a feature
            27:9: models[0].data.features.ts: `ts` is the event time; derive features from it under other names
            20:14: models[0].data.label: `data.label` and `data.time` are both `ts`; a column is one of them
            22:18: models[0].data.segments[0]: `plane` is not a feature; segments are features of kind `categorical`
            22:18: models[0].data.segments[0]: `distance` is numeric; segments are features of kind `categorical`
            22:27: models[0].data.segments[1]: segment `carrier` is already used at line 22, column 18
            27:9: models[0].data.features.carrier: duplicate key `carrier`; it is first given at line 26, column 9
            27:19: models[0].data.features.distance: unknown word `number`; use `numeric`, `categorical`
        "#]],
    );
    refused(&patched("        carrier: categorical\n        distance: numeric\n", ""));
}

#[test]
fn counts_are_limited() {
    let features: String = (0..1_001).map(|it| format!("        f{it}: numeric\n")).collect();
    let problems = refused(&patched("        distance: numeric\n", &features));
    assert!(problems.0[0].message.contains("at most 1000"), "{problems}");
    let models = "- {}\n".repeat(1_001);
    let problems = refused(&format!("schema: 1\nmodels:\n{models}"));
    assert!(problems.0[0].message.contains("at most 1000"), "{problems}");
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_text() {
    let text = FULL
        .replace("share: 0.5", "share: 5")
        .replace("treshold: 0.25", "threshold: 0.25")
        .replace("id: flight-time", "id: flight_time")
        .replace("label: air_time", "lable: air_time")
        .replace("concurrent_runs: 3", "concurrent_runs: 0")
        .replace("cooldown: 6d", "cooldown: 6")
        .replace("mode: auto\n", "mode: manual\n");
    let problems = refused(&text);
    assert!(problems.0.is_sorted_by_key(|it| (it.line, it.column)));
    expect![[r#"
        refit.yaml:2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
         2 | fleet: { concurrent_runs: 0, timezone: UTC }
           |                           ^
        refit.yaml:6:9: models[0].id: `flight_time` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
         6 |   - id: flight_time
           |         ^
        refit.yaml:15:5: models[0].data: required key `label` is missing
        15 |     data:
           |     ^
        refit.yaml:20:7: models[0].data.lable: unknown key `lable`; did you mean `label`?
        20 |       lable: air_time
           |       ^
        refit.yaml:34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
        34 |       drift: { metric: ks, threshold: 0.25, share: 5, min_rows: 200 }
           |                                                    ^
        refit.yaml:37:17: models[0].triggers.cooldown: `6` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
        37 |       cooldown: 6
           |                 ^
        refit.yaml:43:21: models[0].promotion.auto_promote: `promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`
        43 |       auto_promote: { metric: r2, mode: error_reduction, min_improvement: 0.1, lower_bound_above: 0.01 }
           |                     ^
    "#]].assert_eq(&problems.render("refit.yaml", &text));
    expect![[r#"
        a/refit.yaml:2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
        a/refit.yaml:6:9: models[0].id: `flight_time` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
        a/refit.yaml:15:5: models[0].data: required key `label` is missing
        a/refit.yaml:20:7: models[0].data.lable: unknown key `lable`; did you mean `label`?
        a/refit.yaml:34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
        a/refit.yaml:37:17: models[0].triggers.cooldown: `6` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
        a/refit.yaml:43:21: models[0].promotion.auto_promote: `promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`"#]].assert_eq(&problems.display("a/refit.yaml").to_string());
}

#[test]
fn excerpts_are_short_and_free_of_control_characters() {
    let text = patched("label: air_time", &format!("label: [{}, 1]", "x".repeat(5_000)));
    let problems = refused(&text);
    let shown = problems.render("refit.yaml", &text);
    assert!(shown.lines().all(|it| it.chars().count() < 200), "{shown}");
    let text = "schema: 1\nfleet: \u{1b}[2J\n";
    assert!(!refused(text).render("refit.yaml", text).contains('\u{1b}'));
}

/// The places of all leaves: path, line and column from 1, and how many characters they have in the text.
fn leaves(node: &Node, path: &str, out: &mut Vec<(String, usize, usize, usize)>) {
    match &node.kind {
        Kind::Scalar { text, style } => {
            let quotes = if *style == Style::Quoted { 2 } else { 0 };
            out.push((path.to_owned(), node.at.line, node.at.column, text.chars().count() + quotes));
        }
        Kind::List(nodes) => {
            nodes.iter().enumerate().for_each(|(index, it)| leaves(it, &format!("{path}[{index}]"), out))
        }
        Kind::Map(entries) => entries.iter().for_each(|it| leaves(&it.value, &yaml::join(path, &it.key), out)),
        Kind::Refused => panic!("{path} is refused"),
    }
}

#[test]
fn no_leaf_takes_what_it_is_not() {
    let long = format!("\"{}\"", "x".repeat(10_240));
    let replacements = ["null", "{}", "[]", "\"\"", "-1", "1e309", long.as_str(), "true", ".nan", "~"];
    let mut problems = Vec::new();
    let root = yaml::parse(FULL, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let mut places = Vec::new();
    leaves(&root, "", &mut places);
    assert_eq!(places.len(), 62);
    let before = serde_json::to_value(accepted(FULL)).unwrap_or_default();
    for (path, line, column, length) in places {
        for replacement in replacements {
            let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
            let characters: Vec<char> = lines[line - 1].chars().collect();
            let (head, tail) = (&characters[..column - 1], &characters[column - 1 + length..]);
            lines[line - 1] = head.iter().copied().chain(replacement.chars()).chain(tail.iter().copied()).collect();
            let shown: String = replacement.chars().take(8).collect();
            match read(&lines.join("\n")) {
                Err(problems) => assert!(
                    problems.0.iter().any(|it| it.path == path && it.line == line),
                    "{path}: {shown}: {problems}"
                ),
                Ok(policy) => {
                    // Only the value of a parameter is a text whatever it looks like.
                    assert_eq!(path, "models[0].pipeline.parameters.InstanceType", "{shown}");
                    let mut after = serde_json::to_value(policy).unwrap_or_default();
                    let value = &mut after["models"][0]["pipeline"]["parameters"]["InstanceType"];
                    assert_eq!(value.as_str(), Some(replacement.trim_matches('"')));
                    *value = "ml.m5.large".into();
                    assert_eq!(after, before, "{path}: {shown}");
                }
            }
        }
    }
}

/// Texts that are almost YAML, which random characters hardly ever are.
fn pieces() -> impl Strategy<Value = String> {
    let tokens = prop::sample::select(vec![
        "schema",
        "models",
        "id",
        "data",
        "features",
        "a",
        ":",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!!str ",
        "#",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "1",
        "~",
        "<<",
        "\t",
        "\r",
        "\\",
        "é",
        "😀",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "0.1",
        "7d",
        "@",
        "`",
        "-",
        "+",
        "|2-\n",
    ]);
    prop::collection::vec(tokens, 0..60).prop_map(|it| it.concat())
}

fn check_total(text: &str) {
    if let Err(problems) = read(text) {
        assert!(!problems.0.is_empty());
        assert!(problems.0.iter().all(|it| 1 <= it.line && 1 <= it.column));
        _ = problems.render("refit.yaml", text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check_total(&text);
    }

    #[test]
    fn any_yaml_is_read_or_refused(text in pieces()) {
        check_total(&text);
    }

    #[test]
    fn any_edit_is_read_or_refused(from in 0..FULL.len(), length in 0..40_usize, text in pieces()) {
        let to = (from + length).min(FULL.len());
        check_total(&format!("{}{text}{}", &FULL[..from], &FULL[to..]));
    }
}
