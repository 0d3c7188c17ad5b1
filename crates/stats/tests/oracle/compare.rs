//! NUMERICS D and S: champion against challenger, rates, and the normal mixture test.

use refit_stats::compare::{clopper_pearson, delong, mcnemar, paired_difference, two_proportions, wilcoxon, wilson};
use refit_stats::sequential::NormalMixture;
use serde_json::Value;

use crate::{Differences, fields, number, numbers};

/// Level of the intervals in the files, which their fields' names state.
const ALPHA: f64 = 0.05;

pub(crate) fn check_delong(found: &mut Differences, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let ours = delong(&numbers(&case["y"]), &numbers(&case["score1"]), &numbers(&case["score2"]));
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        match field.as_str() {
            "auc1" => found.close(&at, ours.map(|it| it.auc1), expected),
            "auc2" => found.close(&at, ours.map(|it| it.auc2), expected),
            "var1" => found.close(&at, ours.map(|it| it.var1), expected),
            "var2" => found.close(&at, ours.map(|it| it.var2), expected),
            "cov" => found.close(&at, ours.map(|it| it.cov), expected),
            "z" => found.close(&at, ours.map(|it| it.z), expected),
            "p_two_sided" => found.p_value(&at, ours.map(|it| it.p_two_sided), expected),
            "ci95_auc1" => found.interval(&at, ours.and_then(|it| it.interval1(ALPHA)), expected),
            "ci95_auc2" => found.interval(&at, ours.and_then(|it| it.interval2(ALPHA)), expected),
            _ => found.unknown(&at, field),
        }
    }
}

pub(crate) fn check_comparison(found: &mut Differences, case: &Value) {
    let test = case["test"].as_str().unwrap();
    match test {
        "mcnemar" => check_mcnemar(found, test, case),
        "paired_difference" => check_paired(found, test, case),
        "two_proportions" => check_proportions(found, test, case),
        "msprt_normal_mixture" => check_mixture(found, test, case),
        _ => found.unknown("test", test),
    }
}

fn check_mcnemar(found: &mut Differences, at: &str, case: &Value) {
    let table = &case["table_rows_champion_ok_wrong_cols_challenger_ok_wrong"];
    let ours = mcnemar(table[0][1].as_u64().unwrap(), table[1][0].as_u64().unwrap());
    for (field, expected) in fields(case) {
        let at = format!("{at}.{field}");
        match field.as_str() {
            "discordant" => found.same(&at, Some(ours.discordant), expected.as_u64()),
            "exact_p" => found.p_value(&at, Some(ours.exact_p), expected),
            "chi2_corrected" => found.close(&at, ours.chi2_corrected, expected),
            "p_corrected" => found.p_value(&at, Some(ours.p_corrected), expected),
            "chi2_uncorrected" => found.close(&at, ours.chi2_uncorrected, expected),
            "p_uncorrected" => found.p_value(&at, Some(ours.p_uncorrected), expected),
            _ => found.unknown(&at, field),
        }
    }
}

fn check_paired(found: &mut Differences, at: &str, case: &Value) {
    let differences = numbers(&case["d"]);
    let (mean, ranks) = (paired_difference(&differences), wilcoxon(&differences));
    for (field, expected) in fields(case) {
        let at = format!("{at}.{field}");
        match field.as_str() {
            "mean" => found.close(&at, mean.map(|it| it.mean), expected),
            "t" => found.close(&at, mean.map(|it| it.t), expected),
            "p_two_sided" => found.p_value(&at, mean.map(|it| it.p_two_sided), expected),
            "p_greater" => found.p_value(&at, mean.map(|it| it.p_greater), expected),
            "ci95" => found.interval(&at, mean.and_then(|it| it.interval(ALPHA)), expected),
            "wilcoxon_w" => found.close(&at, ranks.map(|it| it.w), expected),
            "wilcoxon_p_approx" => found.p_value(&at, ranks.map(|it| it.p_approx), expected),
            _ => found.unknown(&at, field),
        }
    }
}

fn check_proportions(found: &mut Differences, at: &str, case: &Value) {
    let side = |hits: &str, trials: &str| (case[hits].as_u64().unwrap(), case[trials].as_u64().unwrap());
    let (first, second) = (side("x1", "n1"), side("x2", "n2"));
    let ours = two_proportions(first, second);
    for (field, expected) in fields(case) {
        let at = format!("{at}.{field}");
        match field.as_str() {
            "z_pooled" => found.close(&at, ours.map(|it| it.z_pooled), expected),
            "p_two_sided" => found.p_value(&at, ours.map(|it| it.p_two_sided), expected),
            "wilson95_1" => found.interval(&at, wilson(first.0, first.1, ALPHA), expected),
            "wilson95_2" => found.interval(&at, wilson(second.0, second.1, ALPHA), expected),
            "clopper_pearson95_1" => found.interval(&at, clopper_pearson(first.0, first.1, ALPHA), expected),
            "clopper_pearson95_2" => found.interval(&at, clopper_pearson(second.0, second.1, ALPHA), expected),
            _ => found.unknown(&at, field),
        }
    }
}

/// The looks of a test, one for each value.
fn check_mixture(found: &mut Differences, at: &str, case: &Value) {
    let of = |name: &str| number(&case[name]).unwrap();
    let (mut test, alpha) = (NormalMixture::new(of("sigma2"), of("tau2"), of("theta0")).unwrap(), of("alpha"));
    let looks: Vec<NormalMixture> = numbers(&case["x"])
        .into_iter()
        .map(|value| {
            test.add(value);
            test
        })
        .collect();
    let asked = numbers(&case["expect"]["at"]).into_iter();
    // A look beyond the last value finds nothing, and the lengths then differ.
    let asked: Vec<NormalMixture> = asked.filter_map(|it| looks.get((it as usize).wrapping_sub(1)).copied()).collect();
    let each = |get: &dyn Fn(&NormalMixture) -> f64| -> Vec<f64> { asked.iter().map(get).collect() };
    for (field, expected) in fields(case) {
        let at = format!("{at}.{field}");
        match field.as_str() {
            "at" => found.all_close(&at, &each(&|it| it.count() as f64), expected),
            "log_lambda" => found.all_close(&at, &each(&NormalMixture::log_lambda), expected),
            "always_valid_p" => {
                let expected = expected.as_array().unwrap();
                for (ours, expected) in each(&NormalMixture::always_valid_p).into_iter().zip(expected) {
                    found.p_value(&at, Some(ours), expected);
                }
            }
            "cs_lower" => found.all_close(&at, &each(&|it| it.interval(alpha).unwrap().0), expected),
            "cs_upper" => found.all_close(&at, &each(&|it| it.interval(alpha).unwrap().1), expected),
            "first_crossing" => {
                let first = looks.iter().find(|it| it.rejects(alpha)).map(NormalMixture::count);
                found.within(&at, first.map(|it| it as f64), expected, |_| 0.0);
            }
            _ => found.unknown(&at, field),
        }
    }
}
