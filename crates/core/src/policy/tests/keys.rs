//! Which keys there are, and which go together.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::{FULL, LEAST, accepted, check, check_text, patched, refused};
use crate::policy::{CustomMetric, Direction, GateMetric, Metric};

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
