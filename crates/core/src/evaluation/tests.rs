//! Tables of gates.

use std::collections::BTreeMap;

use super::gate::judge_gate;
use super::*;
use crate::names::Digest;
use crate::package::Measured;

fn evidence(metric: Metric, champion: Option<f64>, candidate: f64, bound: Option<f64>) -> Evidence {
    let measured = |value| Measured { value, standard_error: Some(0.1), rows: 500, blocks: 7 };
    let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
    let improvements = modes
        .into_iter()
        .filter_map(|mode| {
            let value = improvement(metric, mode, champion?, candidate)?;
            Some((mode, Improvement { value, standard_error: None, lower_bound: bound, upper_bound: bound }))
        })
        .collect();
    let comparison = Comparison {
        candidate: candidate.is_finite().then(|| measured(candidate)),
        champion: champion.map(measured),
        improvements,
    };
    Evidence::new(500, BTreeMap::from([(metric, comparison)]), Digest::of(b""))
}

fn gate(metric: Metric) -> GatePolicy {
    GatePolicy::on(metric)
}

#[track_caller]
fn check(gate: &GatePolicy, evidence: &Evidence, expected: Verdict) {
    let result = judge_gate(gate, evidence, true);
    assert_eq!(result.verdict, expected, "{:?}", result.reasons);
}

#[test]
fn absolute_limits_include_their_ends() {
    let maximum = GatePolicy { max: Some(10.0), ..gate(Metric::Mae) };
    check(&maximum, &evidence(Metric::Mae, None, 10.0, None), Verdict::Passed);
    check(&maximum, &evidence(Metric::Mae, None, 10.001, None), Verdict::Failed);
    let minimum = GatePolicy { min: Some(0.8), ..gate(Metric::Auc) };
    check(&minimum, &evidence(Metric::Auc, None, 0.8, None), Verdict::Passed);
    check(&minimum, &evidence(Metric::Auc, None, 0.79, None), Verdict::Failed);
}

#[test]
fn nan_fails_closed() {
    for gate in [
        GatePolicy { max: Some(10.0), ..gate(Metric::Mae) },
        GatePolicy { min_improvement: Some(0.0), ..gate(Metric::Mae) },
        GatePolicy { max_regression: Some(0.5), ..gate(Metric::Mae) },
        GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) },
    ] {
        check(&gate, &evidence(Metric::Mae, Some(10.0), f64::NAN, Some(0.5)), Verdict::Errored);
    }
    check(
        &GatePolicy { max: Some(1.0), ..gate(Metric::Mae) },
        &Evidence { metrics: BTreeMap::new(), ..evidence(Metric::Mae, None, 1.0, None) },
        Verdict::Errored,
    );
}

#[test]
fn improvements_have_three_modes() {
    for (metric, mode, champion, candidate, expected) in [
        (Metric::Mae, ImprovementMode::Relative, 10.0, 9.0, Some(0.1)),
        (Metric::Mae, ImprovementMode::Absolute, 10.0, 9.0, Some(1.0)),
        (Metric::Auc, ImprovementMode::Relative, 0.8, 0.9, Some(0.125)),
        (Metric::Auc, ImprovementMode::ErrorReduction, 0.8, 0.9, Some(0.5)),
        (Metric::Mae, ImprovementMode::Relative, 0.0, 0.1, None),
        (Metric::Auc, ImprovementMode::ErrorReduction, 1.0, 1.0, None),
    ] {
        let found = improvement(metric, mode, champion, candidate);
        match (found, expected) {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() < 1e-12, "{metric:?} {mode}: {found}")
            }
            (found, expected) => assert_eq!(found, expected),
        }
    }
}

#[test]
fn relative_conditions() {
    let better = evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05));
    let worse = evidence(Metric::Mae, Some(10.0), 10.4, Some(-0.08));
    check(&GatePolicy { min_improvement: Some(0.1), ..gate(Metric::Mae) }, &better, Verdict::Passed);
    check(&GatePolicy { min_improvement: Some(0.11), ..gate(Metric::Mae) }, &better, Verdict::Failed);
    check(&GatePolicy { max_regression: Some(0.05), ..gate(Metric::Mae) }, &worse, Verdict::Passed);
    check(&GatePolicy { max_regression: Some(0.03), ..gate(Metric::Mae) }, &worse, Verdict::Failed);
    check(&GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) }, &better, Verdict::Passed);
    check(&GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) }, &worse, Verdict::Failed);
    check(
        &GatePolicy { lower_bound_above: Some(0.0), ..gate(Metric::Mae) },
        &evidence(Metric::Mae, Some(10.0), 9.0, None),
        Verdict::Inconclusive,
    );
}

#[test]
fn an_impossible_gate_is_errored_not_failed() {
    let gate = GatePolicy { min_improvement: Some(0.05), ..gate(Metric::Accuracy) };
    check(&gate, &evidence(Metric::Accuracy, Some(0.97), 0.99, Some(0.01)), Verdict::Errored);
}

#[test]
fn p4_a_person_is_needed_unless_the_policy_and_the_numbers_say_otherwise() {
    let auto = AutoPromote {
        metric: Metric::Mae,
        mode: ImprovementMode::Relative,
        min_improvement: 0.05,
        lower_bound_above: 0.0,
    };
    let good = evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05));
    let granted = |auto: Option<&AutoPromote>, evidence: &Evidence, has_champion, frozen: Option<&str>| {
        evaluate(evidence.clone(), &[], auto, has_champion, frozen).auto_promotion.is_granted
    };
    assert!(granted(Some(&auto), &good, true, None));
    assert!(!granted(None, &good, true, None));
    assert!(!granted(Some(&auto), &good, false, None));
    assert!(!granted(Some(&auto), &good, true, Some("rolled back")));
    assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.6, Some(0.01)), true, None));
    assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.0, Some(-0.01)), true, None));
    assert!(!granted(Some(&auto), &evidence(Metric::Mae, Some(10.0), 9.0, None), true, None));
    let failed_gate = [GatePolicy { max: Some(1.0), ..gate(Metric::Mae) }];
    assert!(!evaluate(good, &failed_gate, Some(&auto), true, None).auto_promotion.is_granted);
}

/// One value of `carrier` with an absolute improvement in mae and its standard error over a week.
fn segment(value: &str, rows: u64, champion: f64, candidate: f64, standard_error: f64) -> SegmentEvidence {
    let measured = |value| Measured { value, standard_error: None, rows, blocks: 7 };
    let value_of = improvement(Metric::Mae, ImprovementMode::Absolute, champion, candidate).unwrap();
    let improvement =
        Improvement { value: value_of, standard_error: Some(standard_error), lower_bound: None, upper_bound: None };
    let comparison = Comparison {
        candidate: Some(measured(candidate)),
        champion: Some(measured(champion)),
        improvements: BTreeMap::from([(ImprovementMode::Absolute, improvement)]),
    };
    SegmentEvidence {
        segment: "carrier".to_owned(),
        value: Some(value.to_owned()),
        rows,
        metrics: BTreeMap::from([(Metric::Mae, comparison)]),
    }
}

fn by_carrier() -> GatePolicy {
    GatePolicy { segments: vec!["carrier".to_owned()], mode: ImprovementMode::Absolute, ..gate(Metric::Mae) }
}

#[track_caller]
fn check_segments(gate: &GatePolicy, segments: &[SegmentEvidence], expected: expect_test::Expect) {
    let evidence = Evidence { segments: segments.to_vec(), ..evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05)) };
    let result = judge_gate(gate, &evidence, true);
    let parts: Vec<String> = result.segments.iter().map(|it| format!("{}: {}", it.name, it.verdict.name())).collect();
    expected.assert_eq(&format!("{}\n{}\n{}\n", result.verdict.name(), result.reasons.join("\n"), parts.join(", ")));
}

#[test]
fn a_gate_holds_on_each_value_of_a_segment_and_names_the_worst() {
    let gate = GatePolicy { max: Some(12.0), max_regression: Some(0.5), ..by_carrier() };
    let good = [segment("UA", 500, 10.0, 9.0, 0.1), segment("AA", 400, 10.0, 10.4, 0.1)];
    check_segments(
        &gate,
        &good,
        expect_test::expect![[r#"
        passed
        worst is carrier=AA (400 rows): mae 10.4000, at most 12 is needed
        worst is carrier=AA (400 rows): mae got worse by 0.4000 (absolute), a loss of at most 0.5 is allowed
        carrier=UA: passed, carrier=AA: passed
    "#]],
    );
    let bad =
        [segment("UA", 500, 10.0, 11.0, 0.1), segment("AA", 400, 10.0, 13.0, 0.1), segment("HA", 3, 5.0, 50.0, 9.0)];
    check_segments(
        &gate,
        &bad,
        expect_test::expect![[r#"
        failed
        1 of 2 values fail; worst is carrier=AA (400 rows): mae 13.0000, at most 12 is needed
        2 of 2 values fail; worst is carrier=AA (400 rows): mae got worse by 3.0000 (absolute), a loss of at most 0.5 is allowed
        not judged for fewer than 100 rows: carrier=HA (3 rows)
        carrier=UA: failed, carrier=AA: failed, carrier=HA: inconclusive
    "#]],
    );
    check_segments(
        &gate,
        &[segment("HA", 3, 5.0, 50.0, 9.0)],
        expect_test::expect![[r#"
        inconclusive
        no value has enough rows; not judged for fewer than 100 rows: carrier=HA (3 rows)
        carrier=HA: inconclusive
    "#]],
    );
    check_segments(
        &gate,
        &[],
        expect_test::expect![[r#"
        inconclusive
        the hold-out has no value of carrier

    "#]],
    );
}

#[test]
fn a_bound_on_segments_does_not_refuse_by_chance() {
    let gate = GatePolicy { lower_bound_above: Some(0.0), ..by_carrier() };
    let sure = |value: &str| segment(value, 500, 10.0, 9.0, 0.1);
    check_segments(
        &gate,
        &[sure("UA"), sure("AA")],
        expect_test::expect![[r#"
        passed
        worst is carrier=AA (500 rows): mae improved by at least +0.8057 (absolute, one-sided 95 %), more than 0 is needed
        carrier=UA: passed, carrier=AA: passed
    "#]],
    );
    // Alone the upper bound of this one would be below 0: -0.2 + 1.94 * 0.1. Among twenty it may be chance.
    let unlucky = segment("DL", 500, 10.0, 10.2, 0.1);
    check_segments(
        &gate,
        std::slice::from_ref(&unlucky),
        expect_test::expect![[r#"
            failed
            1 of 1 values fail; worst is carrier=DL (500 rows): mae improved by at most -0.0057 (absolute, one-sided 95 % over 1 values, 95.00 % each), more than 0 is needed
            carrier=DL: failed
        "#]],
    );
    let names: Vec<String> = (0..19).map(|it| format!("C{it}")).collect();
    let twenty: Vec<SegmentEvidence> = names.iter().map(|it| sure(it)).chain([unlucky]).collect();
    let evidence = Evidence { segments: twenty, ..evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05)) };
    let result = judge_gate(&gate, &evidence, true);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(result.reasons[0].contains("carrier=DL"), "{:?}", result.reasons);
}

#[test]
fn without_a_champion_segments_have_absolute_limits_only() {
    let gate = GatePolicy { max: Some(12.0), max_regression: Some(0.5), ..by_carrier() };
    let mut alone = segment("UA", 500, 10.0, 9.0, 0.1);
    for comparison in alone.metrics.values_mut() {
        (comparison.champion, comparison.improvements) = (None, BTreeMap::new());
    }
    let evidence = Evidence { segments: vec![alone], ..evidence(Metric::Mae, None, 9.0, None) };
    assert_eq!(judge_gate(&gate, &evidence, false).verdict, Verdict::Passed);
    // With a champion that could not be measured there it is for a person to say.
    assert_eq!(judge_gate(&gate, &evidence, true).verdict, Verdict::Inconclusive);
}

#[test]
fn a_gate_on_trial_is_shown_and_not_enforced() {
    let failing = GatePolicy { max: Some(1.0), ..gate(Metric::Mae) };
    let trial = GatePolicy { dry_run: true, ..failing.clone() };
    let found = |gates: &[GatePolicy]| {
        let it = evaluate(evidence(Metric::Mae, Some(10.0), 9.0, Some(0.05)), gates, None, true, None);
        (it.verdict, it.gates.iter().map(|it| it.verdict).collect::<Vec<_>>())
    };
    assert_eq!(found(std::slice::from_ref(&trial)), (Verdict::Passed, vec![Verdict::Failed]));
    assert_eq!(found(&[trial, failing]), (Verdict::Failed, vec![Verdict::Failed, Verdict::Failed]));
}

fn latency(direction: Direction) -> GatePolicy {
    let custom = crate::policy::CustomMetric { name: "latency_ms".to_owned(), direction, range: Some((0.0, 1e4)) };
    GatePolicy::on(crate::policy::GateMetric::Custom(custom))
}

/// RELIABILITY cases 58 to 60.
#[test]
fn custom_metrics_fail_closed() {
    let value = |value: f64, standard_error| Some(CustomValue { value, standard_error });
    let told = CustomComparison {
        direction: Some(Direction::LowerIsBetter),
        candidate: value(80.0, Some(2.0)),
        champion: value(100.0, Some(2.0)),
        problems: Vec::new(),
    };
    let lower = latency(Direction::LowerIsBetter);
    let check = |gate: &GatePolicy, told: Option<&CustomComparison>, expected: Verdict, reason: &str| {
        let custom = told.map(|it| ("latency_ms".to_owned(), it.clone())).into_iter().collect();
        let evidence = Evidence { custom, ..evidence(Metric::Mae, Some(10.0), 9.0, None) };
        let result = judge_gate(gate, &evidence, true);
        assert_eq!(result.verdict, expected, "{:?}", result.reasons);
        assert!(result.reasons[0].contains(reason), "{:?}", result.reasons);
    };
    let max = GatePolicy { max: Some(90.0), ..lower.clone() };
    check(&max, Some(&told), Verdict::Passed, "latency_ms 80.0000, at most 90 is needed");
    check(&max, None, Verdict::Errored, "evaluation.json has no metric `latency_ms`");
    let broken = CustomComparison { candidate: None, problems: vec!["it is \"NaN\"".to_owned()], ..told.clone() };
    check(&max, Some(&broken), Verdict::Errored, "it is \"NaN\"");
    let undirected = CustomComparison { direction: None, ..told.clone() };
    check(&max, Some(&undirected), Verdict::Errored, "`direction` is not declared");
    let higher = GatePolicy { max: Some(90.0), ..latency(Direction::HigherIsBetter) };
    check(&higher, Some(&told), Verdict::Errored, "is lower_is_better, the policy says higher_is_better");
    let outside = CustomComparison { candidate: value(-1.0, None), ..told.clone() };
    check(&max, Some(&outside), Verdict::Errored, "the candidate's latency_ms is -1, outside of 0 to 10000");
    let infinite = CustomComparison { candidate: value(f64::INFINITY, None), ..told.clone() };
    check(&max, Some(&infinite), Verdict::Errored, "outside of 0 to 10000");

    // By hand: 0.2 better; its error is sqrt(2^2 + 0.8^2 2^2) / 100 = 0.0256, the bound 0.2 - 1.645 * 0.0256 = 0.1579.
    let better = |limit| GatePolicy { lower_bound_above: Some(limit), ..lower.clone() };
    check(&better(0.157), Some(&told), Verdict::Passed, "at least +0.1579");
    check(&better(0.158), Some(&told), Verdict::Failed, "at least +0.1579");
    let unsure = CustomComparison { champion: value(100.0, None), ..told.clone() };
    check(&better(0.0), Some(&unsure), Verdict::Inconclusive, "no standard error of latency_ms");
    let alone = CustomComparison { champion: None, ..told };
    check(&better(0.0), Some(&alone), Verdict::Errored, "the champion's latency_ms is undefined");
}

#[test]
fn returns_are_missed_by_name() {
    let gate = GatePolicy { min: Some(0.5), ..gate(Metric::WinRate) };
    let result = judge_gate(&gate, &evidence(Metric::Mae, Some(10.0), 9.0, None), true);
    assert_eq!(result.verdict, Verdict::Errored);
    assert_eq!(result.reasons, ["win_rate was not measured: predictions.parquet has no column `candidate_return`"]);
}

#[test]
fn gates_beyond_reach_are_found_before_a_run() {
    let text = include_str!("../../../../infra/policies/example.yaml");
    let mut policy = crate::policy::read(text).expect("valid").models.remove(0);
    policy.task = crate::policy::Task::Binary;
    policy.gates = vec![
        GatePolicy { min: Some(0.99), min_improvement: Some(0.05), ..gate(Metric::Accuracy) },
        GatePolicy { min_improvement: Some(0.05), mode: ImprovementMode::ErrorReduction, ..gate(Metric::Accuracy) },
        GatePolicy { min_improvement: Some(0.5), ..gate(Metric::LogLoss) },
    ];
    policy.promotion.auto_promote = Some(AutoPromote {
        metric: Metric::Auc,
        mode: ImprovementMode::Absolute,
        min_improvement: 0.01,
        lower_bound_above: 0.1,
    });
    let measured = |value| Measured { value, standard_error: None, rows: 100, blocks: 7 };
    let champion = |accuracy, auc| {
        let quality = BTreeMap::from([(Metric::Accuracy, measured(accuracy)), (Metric::Auc, measured(auc))]);
        impossible_gates(&policy, &quality).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(champion(0.9, 0.5), [""; 0]);
    // A relative gain of 5 % is impossible from 1 / 1.05 on.
    assert_eq!(champion(0.9523, 0.5), [""; 0]);
    assert_eq!(
        champion(0.9524, 0.9),
        [
            "gates[0].min_improvement: impossible: accuracy can improve by at most 0.0500 (relative), 0.05 is asked",
            "promotion.auto_promote.lower_bound_above: impossible: auc can improve by at most 0.1000 (absolute), 0.1 is asked",
        ]
    );
    assert_eq!(impossible_gates(&policy, &BTreeMap::new()), []);
}
