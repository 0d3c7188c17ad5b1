//! Quality of predictions, and corrections of p-values.

use refit_stats::multiple::Correction;
use refit_stats::quality::{Metric, Scored};

use serde_json::Value;

use crate::{Differences, counts, fields, number, numbers, own_folder, parse};

pub(crate) fn check_binary(found: &mut Differences, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let scored = Scored::binary(&numbers(&case["y"]), &numbers(&case["score"])).unwrap();
    let table = scored.confusion().unwrap();
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        match field.as_str() {
            "n" => found.same(&at, Some(scored.n_rows() as u64), expected.as_u64()),
            "positives" => found.same(&at, Some(table.true_positives + table.false_negatives), expected.as_u64()),
            "threshold" => found.same(&at, Some(0.5), expected.as_f64()),
            "accuracy" => found.close(&at, scored.value(Metric::Accuracy), expected),
            "precision" => found.close(&at, scored.value(Metric::Precision), expected),
            "recall" => found.close(&at, scored.value(Metric::Recall), expected),
            "f1" => found.close(&at, scored.value(Metric::F1), expected),
            "mcc" => found.close(&at, Some(table.mcc()), expected),
            "confusion_tn_fp_fn_tp" => {
                let ours = [table.true_negatives, table.false_positives, table.false_negatives, table.true_positives];
                found.same(&at, ours.to_vec(), counts(expected));
            }
            "brier" => found.close(&at, scored.value(Metric::Brier), expected),
            "log_loss_clip_1e15" => found.close(&at, scored.value(Metric::LogLoss), expected),
            "auc_defined" => found.same(&at, Some(scored.value(Metric::Auc).is_some()), expected.as_bool()),
            "roc_auc" => found.close(&at, scored.value(Metric::Auc), expected),
            "average_precision" => found.close(&at, scored.average_precision(), expected),
            "ks_score" => found.within(&at, scored.ks_score(), expected, |_| 1e-12),
            _ => found.unknown(&at, field),
        }
    }
}

pub(crate) fn check_multiclass(found: &mut Differences, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let scores: Vec<f64> = case["proba"].as_array().unwrap().iter().flat_map(numbers).collect();
    let scored = Scored::multiclass(&numbers(&case["y"]), &scores).unwrap();
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        match field.as_str() {
            // Each row has one label and one prediction, so that all micro averages are the share of right rows.
            "accuracy" | "f1_micro" => {
                found.close(&at, scored.value(Metric::Accuracy), expected);
                found.close(&at, scored.value(Metric::WeightedRecall), expected);
            }
            "f1_macro" => found.close(&at, scored.value(Metric::MacroF1), expected),
            "f1_weighted" => found.close(&at, scored.value(Metric::WeightedF1), expected),
            "precision_macro" => found.close(&at, scored.value(Metric::MacroPrecision), expected),
            "precision_weighted" => found.close(&at, scored.value(Metric::WeightedPrecision), expected),
            "recall_macro" => found.close(&at, scored.value(Metric::MacroRecall), expected),
            "recall_weighted" => found.close(&at, scored.value(Metric::WeightedRecall), expected),
            "log_loss_no_renorm" => found.close(&at, scored.value(Metric::LogLoss), expected),
            "auc_ovr_macro" => found.close(&at, scored.value(Metric::AucOvrMacro), expected),
            "confusion" => {
                let expected = expected.as_array().unwrap().iter().map(counts).collect();
                found.same(&at, scored.confusion_table(), Some(expected));
            }
            _ => found.unknown(&at, field),
        }
    }
}

/// Macro and weighted precision and recall, which the oracle set lacks, from its confusion table by their definition.
#[test]
fn oracle_multiclass_precision_and_recall() {
    let mut found = Differences::default();
    for case in parse(&own_folder().join("multiclass_quality.json")) {
        let name = case["name"].as_str().unwrap();
        let scores: Vec<f64> = case["proba"].as_array().unwrap().iter().flat_map(numbers).collect();
        let scored = Scored::multiclass(&numbers(&case["y"]), &scores).unwrap();
        let table: Vec<Vec<u64>> = case["expect"]["confusion"].as_array().unwrap().iter().map(counts).collect();
        let k = table.len();
        let labels: Vec<f64> = table.iter().map(|row| row.iter().sum::<u64>() as f64).collect();
        let rows: f64 = labels.iter().sum();
        let mut expected = [0.0; 3];
        for class in 0..k {
            let hits = table[class][class] as f64;
            let predicted = table.iter().map(|row| row[class]).sum::<u64>() as f64;
            expected[0] += hits / predicted / k as f64;
            expected[1] += hits / labels[class] / k as f64;
            expected[2] += hits / predicted * labels[class] / rows;
        }
        let metrics = [Metric::MacroPrecision, Metric::MacroRecall, Metric::WeightedPrecision];
        for (metric, expected) in metrics.into_iter().zip(expected) {
            found.close(&format!("{name}.{metric}"), scored.value(metric), &expected.into());
        }
    }
    found.finish();
}

pub(crate) fn check_regression(found: &mut Differences, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let scored = Scored::regression(&numbers(&case["y"]), &numbers(&case["pred"])).unwrap();
    let errors = scored.regression_errors().unwrap();
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        let ours = match field.as_str() {
            "mae" => scored.value(Metric::Mae),
            "rmse" => scored.value(Metric::Rmse),
            "r2" => scored.value(Metric::R2),
            "mse" => Some(errors.mse),
            "median_ae" => Some(errors.median_absolute),
            "max_error" => Some(errors.max_error),
            "mape" => Some(errors.mape),
            "bias" => Some(errors.bias),
            _ => {
                found.unknown(&at, field);
                continue;
            }
        };
        found.close(&at, ours, expected);
    }
}

pub(crate) fn check_multiple_testing(found: &mut Differences, case: &Value) {
    let p_values = numbers(&case["p"]);
    let alpha = number(&case["alpha"]).unwrap();
    for (field, expected) in fields(case) {
        let at = field.clone();
        let Some(correction) = Correction::ALL.into_iter().find(|it| it.name() == field) else {
            found.unknown(&at, field);
            continue;
        };
        for (part, expected) in expected.as_object().unwrap() {
            let at = format!("{at}.{part}");
            match part.as_str() {
                "adjusted" => found.all_close(&at, &correction.adjusted(&p_values).unwrap(), expected),
                "reject" => {
                    let reject = expected.as_array().unwrap().iter().map(|it| it.as_bool().unwrap()).collect();
                    found.same(&at, correction.rejects(&p_values, alpha).unwrap(), reject);
                }
                _ => found.unknown(&at, part),
            }
        }
    }
}
