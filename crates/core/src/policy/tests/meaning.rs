//! What a document means when it is accepted.

use expect_test::expect;

use super::{EXAMPLE, FULL, LEAST, accepted};
use crate::policy::{Policy, Task};

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
