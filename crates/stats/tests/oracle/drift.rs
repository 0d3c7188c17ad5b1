//! Distances, summaries and tests of numeric and categorical columns.

use refit_stats::distance::{
    Bins, CategoryCounts, CategoryTable, CountPair, NumericColumn, Sample, homogeneity, ks_p_asymptotic, ks_p_exact,
    ks_p_kolmogorov_limit, ks_statistic, two_by_two, wasserstein1,
};
use refit_stats::scores::{BinnedScores, numeric_scores};
use serde_json::Value;

use crate::{Differences, counts, fields, number, numbers, texts};

fn column(values: &Value) -> NumericColumn {
    let values: Vec<Option<f64>> = values.as_array().unwrap().iter().map(number).collect();
    NumericColumn::new(&values)
}

fn check_numeric(found: &mut Differences, case: &Value, reference: &NumericColumn, current: &NumericColumn) {
    let name = case["name"].as_str().unwrap();
    let both = reference.sample().zip(current.sample());
    let of = |get: fn(&Sample, &Sample) -> f64| both.as_ref().map(|(r, c)| get(r, c));
    let scores = both.as_ref().map(|(r, c)| numeric_scores(r, c));
    let sizes = (reference.finite.len(), current.finite.len());
    let ks = of(ks_statistic);
    let p_of = |law: fn(f64, usize, usize) -> Option<f64>| ks.and_then(|d| law(d, sizes.0, sizes.1));
    let pooled = reference.finite.iter().chain(&current.finite);
    let span = pooled.clone().fold(f64::NEG_INFINITY, |a, b| a.max(*b)) - pooled.fold(f64::INFINITY, |a, b| a.min(*b));
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        let (side, column) = if field.starts_with("ref_") { ("ref_", reference) } else { ("cur_", current) };
        match field.as_str() {
            "ks" => {
                found.within(&at, ks, expected, |_| 1e-12);
                found.within(&at, scores.as_ref().map(|it| it.ks.value), expected, |_| 1e-12);
            }
            "ks_p_asymp" => found.p_value(&at, p_of(ks_p_asymptotic), expected),
            "ks_p_kolmogorov_limit" => found.p_value(&at, p_of(ks_p_kolmogorov_limit), expected),
            "ks_p_exact" => found.p_value(&at, p_of(ks_p_exact), expected),
            "wasserstein1" => {
                found.within(&at, of(wasserstein1), expected, |_| 1e-9 * span);
                found.within(&at, scores.as_ref().map(|it| it.wasserstein1.value), expected, |_| 1e-9 * span);
            }
            "wasserstein1_over_ref_std" => {
                let ratio = both.as_ref().filter(|(r, _)| 0.0 < r.std()).map(|(r, c)| wasserstein1(r, c) / r.std());
                found.close(&at, ratio, expected);
            }
            "defined" => found.same(&at, both.is_some(), expected.as_bool().unwrap()),
            "q10" => {
                check_bins(found, &at, both.as_ref().map(|(r, c)| (Bins::deciles(r), r, c)), expected);
                check_counts(found, &at, scores.as_ref().map(|it| &it.q10), expected);
            }
            "w20" => {
                let bins = both.as_ref().and_then(|(r, c)| Some((Bins::equal_width(r)?, r, c)));
                check_bins(found, &at, bins, expected);
                check_counts(found, &at, scores.as_ref().and_then(|it| it.w20.as_ref()), expected);
            }
            _ => match field.strip_prefix(side) {
                Some("rows") => found.same(&at, Some(column.n_rows()), expected.as_u64()),
                Some("null") => found.same(&at, Some(column.n_null), expected.as_u64()),
                Some("nan") => found.same(&at, Some(column.n_nan), expected.as_u64()),
                Some("inf") => found.same(&at, Some(column.n_infinite), expected.as_u64()),
                Some("n") => found.same(&at, Some(column.finite.len() as u64), expected.as_u64()),
                Some("summary") => check_summary(found, &at, column.sample().as_ref(), expected),
                Some(_) | None => found.unknown(&at, field),
            },
        }
    }
    if both.as_ref().is_some_and(|(r, _)| r.is_constant()) {
        found.same(&format!("{name}.w20 of a constant"), fields(case).contains_key("w20"), false);
    }
}

fn check_bins(found: &mut Differences, at: &str, fitted: Option<(Bins, &Sample, &Sample)>, expected: &Value) {
    let Some((bins, reference, current)) = fitted else {
        return found.same(at, true, expected.is_null());
    };
    let (reference, current) = (bins.counts(reference.values()), bins.counts(current.values()));
    let pair = CountPair::new(&reference, &current).unwrap();
    for (field, expected) in expected.as_object().unwrap() {
        let at = format!("{at}.{field}");
        match field.as_str() {
            "edges" => found.all_close(&at, bins.edges(), expected),
            "ref_counts" => found.same(&at, &reference, &counts(expected)),
            "cur_counts" => found.same(&at, &current, &counts(expected)),
            _ => found.distance(&at, field, Some(&pair), expected),
        }
    }
}

/// The counts by bisection are those by value.
fn check_counts(found: &mut Differences, at: &str, scores: Option<&BinnedScores>, expected: &Value) {
    let both = scores.map(|it| (it.reference.clone(), it.current.clone()));
    let expected = expected.as_object().map(|it| (counts(&it["ref_counts"]), counts(&it["cur_counts"])));
    found.same(&format!("{at} by bisection"), both, expected);
}

fn check_summary(found: &mut Differences, at: &str, sample: Option<&Sample>, expected: &Value) {
    let Some(sample) = sample else {
        return found.same(at, true, expected.is_null());
    };
    for (field, expected) in expected.as_object().unwrap() {
        let at = format!("{at}.{field}");
        match field.as_str() {
            // Relative to the size of a large mean, and absolute below 1.
            "mean" => found.within(&at, Some(sample.mean()), expected, |b| 1e-12 * b.abs().max(1.0)),
            "std_pop" => found.close(&at, Some(sample.std()), expected),
            "min" => found.close(&at, Some(sample.min()), expected),
            "max" => found.close(&at, Some(sample.max()), expected),
            "quantiles_0_25_50_75_100" => {
                let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|level| sample.quantile(level).unwrap());
                found.all_close(&at, &quantiles, expected);
            }
            _ => found.unknown(&at, field),
        }
    }
}

pub(crate) fn check_two_sample(found: &mut Differences, case: &Value) {
    check_numeric(found, case, &column(&case["ref"]), &column(&case["cur"]));
}

/// The generator that the file states.
fn generated(spec: &Value) -> NumericColumn {
    let of = |name: &str| number(&spec[name]).unwrap();
    let mut x = spec["seed"].as_u64().unwrap();
    let rows = 0..spec["n"].as_u64().unwrap();
    let finite = rows.map(|_| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let u = ((x >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        match spec["map"].as_str().unwrap() {
            "uniform" => of("a") + of("b") * u,
            "exponential" => of("a") - of("b") * (-u).ln_1p(),
            "grid" => of("a") + (u * of("levels")).floor(),
            "power" => of("a") + of("b") * u.powf(of("pow")),
            other => panic!("unknown map {other}"),
        }
    });
    NumericColumn { finite: finite.collect(), ..NumericColumn::default() }
}

pub(crate) fn check_generated(found: &mut Differences, case: &Value) {
    let (reference, current) = (generated(&case["ref_gen"]), generated(&case["cur_gen"]));
    let first = numbers(&case["first_ref"]).len();
    found.all_close("first_ref", &reference.finite[..first], &case["first_ref"]);
    check_numeric(found, case, &reference, &current);
}

pub(crate) fn check_categorical(found: &mut Differences, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let side = |key: &str| {
        let values: Vec<Option<&str>> = case[key].as_array().unwrap().iter().map(Value::as_str).collect();
        CategoryCounts::new(&values)
    };
    let (reference, current) = (side("ref"), side("cur"));
    let table = CategoryTable::new(&reference, &current);
    let pair = CountPair::new(&table.reference, &table.current).ok();
    let test = homogeneity(&table.reference, &table.current);
    let small = <[u64; 2]>::try_from(&table.reference[..])
        .ok()
        .zip(<[u64; 2]>::try_from(&table.current[..]).ok())
        .and_then(|(r, c)| two_by_two(r, c));
    for (field, expected) in fields(case) {
        let at = format!("{name}.{field}");
        match field.as_str() {
            "ref_rows" => found.same(&at, Some(reference.n_rows()), expected.as_u64()),
            "cur_rows" => found.same(&at, Some(current.n_rows()), expected.as_u64()),
            "ref_null" => found.same(&at, Some(reference.n_null()), expected.as_u64()),
            "cur_null" => found.same(&at, Some(current.n_null()), expected.as_u64()),
            "ref_distinct" => found.same(&at, Some(reference.n_distinct() as u64), expected.as_u64()),
            "cur_distinct" => found.same(&at, Some(current.n_distinct() as u64), expected.as_u64()),
            "ref_missing_rate" => found.close(&at, reference.missing_rate(), expected),
            "cur_missing_rate" => found.close(&at, current.missing_rate(), expected),
            "new_category_rate" => found.close(&at, table.new_category_rate(), expected),
            "new_categories" => found.same(&at, table.new_categories(), texts(expected)),
            "gone_categories" => found.same(&at, table.gone_categories(), texts(expected)),
            "categories" => found.same(&at, table.categories.iter().map(String::as_str).collect(), texts(expected)),
            "ref_counts" => found.same(&at, &table.reference, &counts(expected)),
            "cur_counts" => found.same(&at, &table.current, &counts(expected)),
            "defined" => found.same(&at, Some(pair.is_some()), expected.as_bool()),
            "dof" => found.within(&at, test.map(|it| it.degrees_of_freedom as f64), expected, |_| 0.0),
            "chi2" => found.close(&at, test.map(|it| it.chi2), expected),
            "chi2_p" => found.p_value(&at, test.map(|it| it.chi2_p), expected),
            "cramers_v" => found.close(&at, test.map(|it| it.cramers_v), expected),
            "min_expected" => found.close(&at, test.map(|it| it.min_expected), expected),
            "g_stat" => found.close(&at, test.map(|it| it.g), expected),
            "g_p" => found.p_value(&at, test.map(|it| it.g_p), expected),
            "chi2_yates" => found.close(&at, small.map(|it| it.chi2_yates), expected),
            "chi2_yates_p" => found.p_value(&at, small.map(|it| it.chi2_yates_p), expected),
            "fisher_p" => found.p_value(&at, small.map(|it| it.fisher_p), expected),
            _ => found.distance(&at, field, pair.as_ref(), expected),
        }
    }
}

/// Both sides of every border between algorithms, which no sample of data would reach.
#[test]
fn oracle_finite_kolmogorov_law() {
    let mut found = Differences::default();
    let set: Value = serde_json::from_str(include_str!("../oracles/kolmogorov_finite.json")).unwrap();
    for row in set["rows"].as_array().unwrap() {
        let (n, x) = (row[0].as_u64().unwrap() as usize, row[1].as_f64().unwrap());
        // Two samples of twice the size have just this effective size.
        found.p_value(&format!("n {n}, x {x}"), ks_p_asymptotic(x, 2 * n, 2 * n), &row[2]);
    }
    found.finish();
}
