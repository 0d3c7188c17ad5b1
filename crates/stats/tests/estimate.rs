//! Estimated performance: NannyML's numbers, known truth under a shift of the inputs, and intervals that cover.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::estimate::{Calibrator, EstimateError, Estimator, Isotonic, Method, calibration_error};
use refit_stats::quality::{Metric, Scored, Task};
use serde_json::Value;

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform(rng)).cos()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

/// `tests/peers/cbpe.py` writes what `nannyml.CBPE` estimates. Which scores it recalibrates is taken from there, because its
/// splits are its own; whether we would do the same is a test of its own below.
#[test]
fn estimates_agree_with_nannyml() {
    let file: Value = serde_json::from_str(include_str!("peers/cbpe.json")).unwrap();
    assert_eq!(file["nannyml"], "0.13.1");
    for case in file["cases"].as_array().unwrap() {
        let task = if case["task"] == "binary" { Task::Binary } else { Task::Multiclass };
        let reference = &case["reference"];
        let reference = Scored::new(task, &numbers(&reference["y"]), &numbers(&reference["score"])).unwrap();
        let is_calibrated = case["is_calibrated"].as_array().unwrap().iter();
        let methods: Vec<Method> =
            is_calibrated.map(|it| if it == true { Method::Isotonic } else { Method::AsIs }).collect();
        let estimator = Estimator::fit_by(&reference, &methods).unwrap();
        let window = estimator.estimate(&numbers(&case["current"]["score"])).unwrap();
        for (name, expected) in case["expect"].as_object().unwrap() {
            let metric = match (name.as_str(), task) {
                ("accuracy", _) => Metric::Accuracy,
                ("precision", Task::Binary) => Metric::Precision,
                ("recall", Task::Binary) => Metric::Recall,
                ("f1", Task::Binary) => Metric::F1,
                ("roc_auc", Task::Binary) => Metric::Auc,
                ("precision", _) => Metric::MacroPrecision,
                ("recall", _) => Metric::MacroRecall,
                ("f1", _) => Metric::MacroF1,
                ("roc_auc", _) => Metric::AucOvrMacro,
                other => panic!("{other:?} is not known"),
            };
            let (ours, expected) = (window.value(metric).unwrap(), expected.as_f64().unwrap());
            // NannyML rounds the sums below its area to five digits, and puts one class's scores in order as they came.
            let tolerance = if name == "roc_auc" { 2e-6 } else { 1e-9 };
            assert!((ours - expected).abs() <= tolerance, "{} {name}: ours {ours}, NannyML {expected}", case["name"]);
        }
    }
}

/// A model whose scores are `sharpen` times too sure, and a window whose inputs moved by `shift`; with the labels.
fn window(rng: &mut ChaCha8Rng, n: usize, shift: f64, sharpen: f64) -> (Vec<f64>, Vec<f64>) {
    (0..n)
        .map(|_| {
            let z = 1.3 * (normal(rng) + shift) - 0.2;
            (f64::from(u8::from(uniform(rng) < sigmoid(z))), sigmoid(sharpen * z))
        })
        .unzip()
}

#[test]
fn the_truth_is_met_under_a_shift_of_the_inputs() {
    for (seed, shift, sharpen) in [(1, 0.0, 1.0), (2, 0.7, 1.0), (3, 0.7, 2.5), (4, -0.7, 0.4), (5, 1.0, 2.5)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (labels, scores) = window(&mut rng, 8_000, 0.0, sharpen);
        let reference = Scored::binary(&labels, &scores).unwrap();
        let estimator = Estimator::fit(&reference, &mut rng).unwrap();
        let (labels, scores) = window(&mut rng, 60_000, shift, sharpen);
        let truth = Scored::binary(&labels, &scores).unwrap();
        let estimate = estimator.estimate(&scores).unwrap();
        let naive = Estimator::fit_by(&reference, &[Method::AsIs]).unwrap().estimate(&scores).unwrap();
        for metric in [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1, Metric::Auc, Metric::Brier] {
            let (realized, expected) = (truth.value(metric).unwrap(), estimate.value(metric).unwrap());
            assert!((realized - expected).abs() < 0.02, "{seed} {metric}: {expected}, truth {realized}");
            if sharpen == 2.5 && metric == Metric::Accuracy {
                let naive = naive.value(metric).unwrap();
                assert!(3.0 * (realized - expected).abs() < (realized - naive).abs(), "{naive} {expected} {realized}");
            }
        }
        assert!(estimator.calibration_error().unwrap() < 0.03);
    }
}

#[test]
fn classes_are_estimated_under_a_shift_of_the_inputs() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut draw = |n: usize, shift: f64| {
        let (mut labels, mut scores) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let x = [normal(&mut rng) + shift, normal(&mut rng)];
            let logits = [1.3 * x[0], 1.1 * x[1], 0.3 - 0.8 * x[0]];
            let softmax = |by: f64| {
                let parts = logits.map(|it| (by * it).exp());
                parts.map(|it| it / parts.iter().sum::<f64>())
            };
            let (truth, u) = (softmax(1.0), uniform(&mut rng));
            labels.push(if u < truth[0] {
                0.0
            } else if u < truth[0] + truth[1] {
                1.0
            } else {
                2.0
            });
            scores.extend(softmax(2.2));
        }
        (labels, scores)
    };
    let (labels, scores) = draw(6_000, 0.0);
    let (later, later_scores) = draw(20_000, 0.8);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let estimator = Estimator::fit(&Scored::multiclass(&labels, &scores).unwrap(), &mut rng).unwrap();
    let truth = Scored::multiclass(&later, &later_scores).unwrap();
    let estimate = estimator.estimate(&later_scores).unwrap();
    for metric in Metric::ALL.into_iter().filter(|it| it.applies_to(Task::Multiclass)) {
        let (realized, expected) = (truth.value(metric).unwrap(), estimate.value(metric).unwrap());
        // Classes are calibrated one by one, so that a shift moves what they are together a little.
        let tolerance = if metric == Metric::LogLoss { 0.06 } else { 0.03 };
        assert!((realized - expected).abs() < tolerance, "{metric}: {expected}, truth {realized}");
    }
    let expected = estimate.confusion_table();
    for (row, truth) in expected.iter().flatten().zip(truth.confusion_table().unwrap().iter().flatten()) {
        assert!((row - *truth as f64).abs() < 0.02 * 20_000.0, "{expected:?}");
    }
}

#[test]
fn the_interval_covers_what_is_realized() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (labels, scores) = window(&mut rng, 10_000, 0.0, 1.0);
    let estimator = Estimator::fit(&Scored::binary(&labels, &scores).unwrap(), &mut rng).unwrap();
    let keys: Vec<i64> = (0..600).map(|row| row / 20).collect();
    for metric in [Metric::Accuracy, Metric::F1, Metric::Auc] {
        let mut covered = 0;
        for _ in 0..100 {
            let (labels, scores) = window(&mut rng, 600, 0.4, 1.0);
            let estimate = estimator.estimate(&scores).unwrap();
            let replicates = estimate.replicates(metric, &keys, 200, &mut rng).unwrap();
            assert_eq!(replicates.point(), estimate.value(metric));
            let (low, high) = replicates.interval(0.05).unwrap();
            let realized = Scored::binary(&labels, &scores).unwrap().value(metric).unwrap();
            covered += u32::from(low <= realized && realized <= high);
        }
        // Days are drawn too, so that it covers a little more than the labels' own chance.
        assert!(90 <= covered, "{metric}: {covered} of 100");
    }
}

#[test]
fn scores_are_recalibrated_only_where_that_helps() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (sharpen, is_needed) in [(1.0, false), (3.0, true), (0.3, true)] {
        let (labels, scores) = window(&mut rng, 4_000, 0.0, sharpen);
        let (_, check) = Calibrator::choose(&scores, &labels, &mut rng);
        let check = check.unwrap();
        assert!(check.error_after <= check.error_before && check.error_after < 0.03, "{check:?}");
        assert_eq!(0.05 < check.error_before, is_needed, "{check:?}");
    }
    let few = Calibrator::choose(&[0.9; 30], &[1.0; 30], &mut rng);
    assert_eq!(few, (Calibrator::AsIs, None));
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let numbers = Scored::regression(&[1.0, 2.0], &[1.0, 2.0]).unwrap();
    assert_eq!(Estimator::fit(&numbers, &mut rng), None);
    let names = Scored::predicted_classes(&[0.0, 1.0], &[0.0, 1.0], 2).unwrap();
    assert_eq!(Estimator::fit(&names, &mut rng), None);
    let binary = Estimator::fit(&Scored::binary(&[0.0, 1.0], &[0.2, 0.8]).unwrap(), &mut rng).unwrap();
    assert!(matches!(binary.estimate(&[]), Err(EstimateError::Scores(_))));
    assert!(matches!(binary.estimate(&[1.5]), Err(EstimateError::Scores(_))));
    let window = binary.estimate(&[0.2, 0.9]).unwrap();
    assert_eq!(window.value(Metric::Mae), None);
    assert!(matches!(window.replicates(Metric::Mae, &[1, 2], 10, &mut rng), Err(EstimateError::Metric(Metric::Mae))));
    assert!(matches!(
        window.replicates(Metric::Accuracy, &[1], 10, &mut rng),
        Err(EstimateError::KeysDiffer { keys: 1, rows: 2 })
    ));
    assert!(matches!(window.replicates(Metric::Accuracy, &[1, 1], 10, &mut rng), Err(EstimateError::Resample(_))));
    let classes = Scored::multiclass(&[0.0, 1.0, 2.0], &[0.6, 0.2, 0.2, 0.2, 0.6, 0.2, 0.2, 0.2, 0.6]).unwrap();
    let classes = Estimator::fit(&classes, &mut rng).unwrap();
    assert!(matches!(classes.estimate(&[0.5, 0.5]), Err(EstimateError::Scores(_))));
}

proptest! {
    /// Sure scores leave nothing to chance: the estimate is the metric.
    #[test]
    fn certainty_gives_the_metric_itself(labels in prop::collection::vec(0_u8..2, 2..40)) {
        let sure: Vec<f64> = labels.iter().map(|it| f64::from(*it)).collect();
        let estimator = Estimator::fit_by(&Scored::binary(&sure, &sure).unwrap(), &[Method::AsIs]).unwrap();
        let estimate = estimator.estimate(&sure).unwrap();
        let scored = Scored::binary(&sure, &sure).unwrap();
        for metric in Metric::ALL.into_iter().filter(|it| it.applies_to(Task::Binary)) {
            match (estimate.value(metric), scored.value(metric)) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-12, "{} {} {}", metric, a, b),
                (a, b) => prop_assert_eq!(a, b, "{}", metric),
            }
        }
    }

    #[test]
    fn an_isotonic_fit_rises_keeps_the_mean_and_is_within_the_labels(rows in prop::collection::vec((0_u32..30, 0_u8..2), 1..80)) {
        let (scores, labels): (Vec<f64>, Vec<f64>) =
            rows.iter().map(|it| (f64::from(it.0) / 30.0, f64::from(it.1))).unzip();
        let fitted = Isotonic::fit(&scores, &labels).unwrap();
        let values: Vec<f64> = scores.iter().map(|it| fitted.at(*it)).collect();
        prop_assert!((values.iter().sum::<f64>() - labels.iter().sum::<f64>()).abs() < 1e-9);
        let mut grid: Vec<f64> = (-5..40).map(|it| fitted.at(f64::from(it) / 30.0)).collect();
        prop_assert!(grid.iter().all(|it| (0.0..=1.0).contains(it)));
        let as_is = grid.clone();
        grid.sort_by(f64::total_cmp);
        prop_assert_eq!(grid, as_is);
        // No rising function has a smaller error: shifting any level set by a little makes it worse.
        let error = |by: &dyn Fn(f64) -> f64| -> f64 {
            scores.iter().zip(&labels).map(|(score, label)| (by(*score) - label).powi(2)).sum()
        };
        let best = error(&|it| fitted.at(it));
        for cut in 0..30 {
            for step in [-1e-3, 1e-3] {
                let moved = |it: f64| {
                    let is_above = f64::from(cut) / 30.0 <= it;
                    fitted.at(it) + if is_above == (0.0 < step) { step } else { 0.0 }
                };
                prop_assert!(best <= error(&moved) + 1e-12);
            }
        }
        prop_assert!(calibration_error(&values, &labels).unwrap() <= 0.5);
    }
}
