//! Tests of the policy reader: what is accepted, and the words in which everything else is refused.

mod any;
mod fuzz;
mod keys;
mod meaning;
mod presets;
mod text;
mod values;

use std::fmt::Write as _;

use expect_test::Expect;

use super::{Policy, Problems, read};

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
