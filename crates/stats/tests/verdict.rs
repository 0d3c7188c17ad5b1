//! Verdicts: no false alarms on windows of the reference, none missed that matter, and what is not known is said.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::distance::{Bins, CountPair, Sample, psi_null};
use refit_stats::multiple::Correction;
use refit_stats::verdict::{
    Evidence, Rules, Score, Statistic, Verdict, counts_p_value, judge, judge_dataset, judge_features, psi_chance,
};

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform(rng)).cos()
}

/// One of 40 categories, the first ones often and the last ones hardly ever.
fn category(rng: &mut ChaCha8Rng) -> usize {
    ((1.0 / uniform(rng).powf(0.8)) as usize).min(40) - 1
}

const N_NUMERIC: usize = 6;
const N_CATEGORICAL: usize = 3;

/// Rows of six numbers and three categories; `shift` moves the numbers.
struct Rows {
    numbers: Vec<[f64; N_NUMERIC]>,
    categories: Vec<[usize; N_CATEGORICAL]>,
}

fn rows(rng: &mut ChaCha8Rng, n: usize, shift: f64) -> Rows {
    let number = |rng: &mut ChaCha8Rng| {
        let common = normal(rng);
        // Dependent, skewed, tied, heavy-tailed, rounded, and nearly constant.
        let z = |rng: &mut ChaCha8Rng| 0.7 * common + 0.3 * normal(rng) + shift;
        [
            z(rng),
            z(rng).exp(),
            (4.0 * z(rng)).round(),
            z(rng) / uniform(rng),
            (10.0 * z(rng)).floor() / 10.0,
            f64::from(u8::from(1.6 < z(rng))),
        ]
    };
    Rows {
        numbers: (0..n).map(|_| number(rng)).collect(),
        categories: (0..n).map(|_| [(); N_CATEGORICAL].map(|()| category(rng))).collect(),
    }
}

impl Rows {
    fn numbers(&self, at: usize) -> Sample {
        Sample::from_finite(self.numbers.iter().map(|it| it[at]).collect()).unwrap()
    }

    fn counts(&self, at: usize) -> Vec<u64> {
        let mut counts = vec![0; 40];
        self.categories.iter().for_each(|it| counts[it[at]] += 1);
        counts
    }

    /// Some of the rows, each at most once.
    fn draw(&self, rng: &mut ChaCha8Rng, n: usize) -> Rows {
        let mut left: Vec<usize> = (0..self.numbers.len()).collect();
        let drawn: Vec<usize> = (0..n).map(|_| left.swap_remove((uniform(rng) * left.len() as f64) as usize)).collect();
        Rows {
            numbers: drawn.iter().map(|at| self.numbers[*at]).collect(),
            categories: drawn.iter().map(|at| self.categories[*at]).collect(),
        }
    }
}

/// Every feature by the statistic, at its default threshold.
fn evidence(by: Statistic, reference: &Rows, window: &Rows, rng: &mut ChaCha8Rng) -> Vec<Evidence> {
    let threshold = by.default_threshold();
    let numeric = (0..N_NUMERIC).map(|at| (reference.numbers(at), window.numbers(at)));
    let mut found: Vec<Evidence> = numeric
        .map(|(r, c)| match by {
            Statistic::Ks | Statistic::Wasserstein1OverRefStd | Statistic::LinfRobust => {
                Evidence::of_samples(by, threshold, &r, &c)
            }
            _ => {
                let bins = if by == Statistic::PsiW20 { Bins::equal_width(&r).unwrap() } else { Bins::deciles(&r) };
                Evidence::of_counts(by, threshold, &bins.counts(r.values()), &bins.counts(c.values()), rng)
            }
        })
        .collect();
    let by = if matches!(by, Statistic::Ks | Statistic::Wasserstein1OverRefStd | Statistic::LinfRobust) {
        Statistic::JsDistanceBase2
    } else {
        by
    };
    found.extend(
        (0..N_CATEGORICAL)
            .map(|at| Evidence::of_counts(by, by.default_threshold(), &reference.counts(at), &window.counts(at), rng)),
    );
    found
}

const STATISTICS: [Statistic; 7] = [
    Statistic::PsiQ10,
    Statistic::PsiW20,
    Statistic::JsDistanceBase2,
    Statistic::CramersV,
    Statistic::Ks,
    Statistic::Wasserstein1OverRefStd,
    Statistic::LinfRobust,
];

/// 500 windows for each statistic. By effect alone up to all of them would be called drifted.
#[test]
fn windows_of_the_reference_itself_are_rarely_called_drifted() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let reference = rows(&mut rng, 1_000, 0.0);
    for (by, rows) in STATISTICS.into_iter().zip([50, 100, 50, 200, 50, 100, 300]) {
        let rules = Rules { min_rows: 50, ..Rules::DEFAULT };
        let (mut data_sets, mut single, mut by_effect) = (0, 0, 0);
        for _ in 0..500 {
            let window = reference.draw(&mut rng, rows);
            let features = evidence(by, &reference, &window, &mut rng);
            by_effect += u32::from(features.iter().any(|it| it.score.is_some_and(|s| it.threshold <= s.value)));
            data_sets += u32::from(judge(&features, &rules).1.verdict == Verdict::Drifted);
            // The hardest case: a model of one feature, whose share is 1 as soon as that one is found to have drifted.
            single += u32::from(judge(&features[..1], &rules).1.verdict == Verdict::Drifted);
        }
        assert!(data_sets <= 5 && single <= 5, "{by}: {data_sets} and {single} of 500");
        println!("{by} at {rows} rows: {data_sets}, one feature {single}, by effect alone {by_effect} of 500");
    }
}

#[test]
fn windows_of_the_same_law_are_rarely_called_drifted() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let rules = Rules { min_rows: 50, ..Rules::DEFAULT };
    for by in [Statistic::PsiQ10, Statistic::Ks, Statistic::CramersV] {
        let mut drifted = 0;
        for _ in 0..500 {
            let (reference, window) = (rows(&mut rng, 120, 0.0), rows(&mut rng, 60, 0.0));
            let features = evidence(by, &reference, &window, &mut rng);
            drifted += u32::from(judge(&features[..1], &rules).1.verdict == Verdict::Drifted);
        }
        assert!(drifted <= 5, "{by}: {drifted} of 500");
    }
}

#[test]
fn a_shift_that_matters_is_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let reference = rows(&mut rng, 3_000, 0.0);
    for by in STATISTICS {
        let found = (0..20).filter(|_| {
            let window = rows(&mut rng, 500, 0.8);
            let features = evidence(by, &reference, &window, &mut rng);
            judge(&features, &Rules::DEFAULT).1.verdict == Verdict::Drifted
        });
        assert_eq!(found.count(), 20, "{by}");
    }
}

fn known(value: f64, error_bound: f64, p_value: f64) -> Evidence {
    Evidence {
        by: Statistic::Ks,
        threshold: 0.1,
        score: Some(Score { value, error_bound }),
        p_value: Some(p_value),
        chance: None,
        reference_rows: 1_000,
        current_rows: 1_000,
        problem: None,
    }
}

#[track_caller]
fn check(feature: &Evidence, verdict: Verdict, reason: &str) {
    let found = &judge_features(std::slice::from_ref(feature), &Rules::DEFAULT)[0];
    assert_eq!((found.verdict, found.reasons.join("; ").as_str()), (verdict, reason));
    assert_eq!((found.verdict_by, found.threshold), (feature.by, feature.threshold));
}

#[test]
fn each_condition_is_needed_and_named() {
    let base = known(0.25, 0.0, 1e-9);
    check(&base, Verdict::Drifted, "ks 0.2500 reaches 0.1, corrected p-value 1.00e-9");
    check(
        &Evidence { chance: Some(0.2), ..base.clone() },
        Verdict::Drifted,
        "ks 0.2500 reaches 0.1, chance alone gives up to 0.2000 at these sizes, corrected p-value 1.00e-9",
    );
    check(
        &Evidence { chance: Some(0.3), ..base.clone() },
        Verdict::Stable,
        "ks 0.2500 reaches 0.1, but chance alone gives up to 0.3000 at these sizes",
    );
    check(&known(0.05, 0.0, 1e-9), Verdict::Stable, "ks 0.0500 is below 0.1");
    check(
        &known(0.25, 0.0, 0.01),
        Verdict::Stable,
        "ks 0.2500 reaches 0.1, but chance explains it: corrected p-value 1.00e-2, 0.001 is needed",
    );
    check(
        &known(0.11, 0.02, 1e-9),
        Verdict::Inconclusive,
        "ks 0.1100 ± 0.0200: the error bound spans the threshold 0.1",
    );
    check(
        &known(0.05, f64::INFINITY, 1e-9),
        Verdict::Inconclusive,
        "ks 0.0500 ± inf: the error bound spans the threshold 0.1",
    );
    check(
        &Evidence { current_rows: 99, ..base.clone() },
        Verdict::Inconclusive,
        "1000 values in the reference and 99 now; 100 are needed on both sides",
    );
    check(
        &Evidence { reference_rows: 99, ..base.clone() },
        Verdict::Inconclusive,
        "99 values in the reference and 1000 now; 100 are needed on both sides",
    );
    check(
        &Evidence { p_value: None, ..base.clone() },
        Verdict::Inconclusive,
        "ks 0.2500 reaches 0.1, but no test tells it from chance",
    );
    check(&Evidence { score: None, ..base.clone() }, Verdict::Inconclusive, "ks is undefined on these values");
    check(&known(f64::NAN, 0.0, 1e-9), Verdict::Errored, "ks is not a number that can be held against 0.1");
    check(&Evidence::problem(Statistic::Ks, 0.1, "column x is text".to_owned()), Verdict::Errored, "column x is text");
}

#[test]
fn p_values_are_corrected_over_the_features_that_can_be_tested() {
    let few = Evidence { current_rows: 1, ..known(0.2, 0.0, 1e-9) };
    // One of forty at p = 0.0005: twice the expected number of such features without drift, and no drift by itself.
    let mut features = vec![known(0.2, 0.0, 0.0005)];
    features.extend((1..40).map(|_| known(0.02, 0.0, 0.7)));
    features.push(few);
    let found = judge_features(&features, &Rules::DEFAULT);
    assert_eq!((found[0].verdict, found[0].q_value), (Verdict::Stable, Some(0.02)));
    assert_eq!((found[40].verdict, found[40].q_value), (Verdict::Inconclusive, None));
    let alone = judge_features(&features[..1], &Rules::DEFAULT);
    assert_eq!(alone[0].verdict, Verdict::Drifted);
    let strict = Rules { correction: Correction::BenjaminiYekutieli, ..Rules::DEFAULT };
    assert!(0.02 < judge_features(&features, &strict)[0].q_value.unwrap());
}

#[test]
fn the_report_has_the_names_of_its_contract() {
    let (features, dataset) = judge(&[known(0.25, 0.0, 1e-9)], &Rules::DEFAULT);
    assert_eq!(
        serde_json::to_string(&features[0]).unwrap(),
        "{\"verdict\":\"drifted\",\"verdict_by\":\"ks\",\"threshold\":0.1,\"p_value\":1e-9,\"q_value\":1e-9,\
         \"reasons\":[\"ks 0.2500 reaches 0.1, corrected p-value 1.00e-9\"]}"
    );
    assert_eq!(
        serde_json::to_string(&dataset).unwrap(),
        "{\"drifted_features\":1,\"share\":1.0,\"threshold\":0.3,\"verdict\":\"drifted\",\
         \"reasons\":[\"1 of 1 features drifted, share 1.00 reaches 0.30\"]}"
    );
    for it in Statistic::ALL {
        assert_eq!(serde_json::to_string(&it).unwrap(), format!("\"{it}\""));
    }
}

/// The limit law that stands in for drawing once counts are large, against the drawn one at its border.
#[test]
fn the_limit_law_of_the_index_takes_over_where_it_holds() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for (reference, window) in [(vec![50; 10], vec![50; 10]), (vec![5_000, 300, 60], vec![5_000, 300, 60])] {
        let drawn = psi_null(&reference, &window, 40_000, &mut rng).unwrap().quantile(0.999).unwrap();
        let law = psi_chance(&reference, &window, &mut rng).unwrap();
        assert!((law / drawn - 1.0).abs() < 0.08, "{law} {drawn}");
    }
}

#[test]
fn rare_categories_are_no_evidence_one_by_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    // 5,000 categories, about one row each: a chi-square test of all cells would have no law to be held against.
    let mut small = 0;
    for _ in 0..200 {
        let mut draw = || {
            let mut counts = vec![0_u64; 5_000];
            for _ in 0..5_000 {
                counts[(uniform(&mut rng) * 5_000.0) as usize] += 1;
            }
            counts
        };
        let (reference, window) = (draw(), draw());
        small += u32::from(counts_p_value(&reference, &window).is_some_and(|p| p < 0.05));
    }
    assert!(small <= 22, "{small} of 200 below 0.05");
}

proptest! {
    #[test]
    fn the_more_is_known_the_less_is_inconclusive(value in 0.0..0.5, bound in 0.0..0.2, p in 0.0..0.01_f64) {
        let of = |score: Score| {
            let feature = Evidence { score: Some(score), ..known(0.0, 0.0, p) };
            judge_features(&[feature], &Rules::DEFAULT)[0].verdict
        };
        let rough = of(Score { value, error_bound: bound });
        if rough != Verdict::Inconclusive {
            // Any exact value within the bound gets the same verdict.
            for exact in [(value - bound).max(0.0), value, value + bound] {
                prop_assert_eq!(of(Score::exact(exact)), rough);
            }
        }
    }

    #[test]
    fn a_data_set_is_judged_by_shares(found in prop::collection::vec(0_u8..4, 0..12), share in 0.05..1.0) {
        let verdicts: Vec<Verdict> = found
            .iter()
            .map(|it| [Verdict::Stable, Verdict::Drifted, Verdict::Inconclusive, Verdict::Errored][usize::from(*it)])
            .collect();
        let dataset = judge_dataset(&verdicts, share);
        // Whatever the unsure ones turn out to be, a conclusive verdict stands.
        let settle = |to: Verdict| -> Vec<Verdict> {
            let sure = |it: &Verdict| matches!(it, Verdict::Stable | Verdict::Drifted);
            verdicts.iter().map(|it| if sure(it) { *it } else { to }).collect()
        };
        if matches!(dataset.verdict, Verdict::Stable | Verdict::Drifted) {
            for to in [Verdict::Stable, Verdict::Drifted] {
                prop_assert_eq!(judge_dataset(&settle(to), share).verdict, dataset.verdict);
            }
        }
    }

    #[test]
    fn any_counts_are_judged(pairs in prop::collection::vec((0_u64..400, 0_u64..400), 0..30)) {
        let (reference, window): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for by in Statistic::ALL {
            let feature = Evidence::of_counts(by, by.default_threshold(), &reference, &window, &mut rng);
            prop_assert!(feature.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)));
            let defined = CountPair::new(&reference, &window).is_ok();
            prop_assert!(defined || feature.score.is_none());
            prop_assert_eq!(judge_features(&[feature], &Rules::DEFAULT).len(), 1);
        }
    }
}
