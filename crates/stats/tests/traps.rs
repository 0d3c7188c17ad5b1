//! Known traps of drift detection, each as a named peer answers (`tests/peers/peers.py` wrote `traps.json`, with versions), and
//! as we do on the same numbers.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_stats::distance::{Bins, CountPair, Sample, homogeneity, ks_p_asymptotic, ks_statistic, wasserstein1};
use refit_stats::verdict::{Evidence, Rules, Statistic, Verdict, counts_p_value, judge_features};
use serde_json::Value;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// What the peers answered.
fn peers(trap: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("peers/traps.json")).unwrap();
    assert_eq!((&file["evidently"], &file["scipy"]), (&"0.7.23".into(), &"1.17.1".into()));
    file[trap].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
fn close(ours: f64, peer: &Value) {
    let peer = number(peer);
    assert!((ours - peer).abs() <= 1e-6 * peer.abs().max(1e-3), "ours {ours}, peer {peer}");
}

/// The generator of `peers.py`.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    fn uniforms(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.uniform()).collect()
    }

    fn normals(&mut self, n: usize) -> Vec<f64> {
        let law = Normal::standard();
        (0..n).map(|_| law.inverse_cdf(self.uniform())).collect()
    }

    fn levels(&mut self, n: usize, levels: usize) -> Vec<u64> {
        let mut counts = vec![0; levels];
        (0..n).for_each(|_| counts[(self.uniform() * levels as f64) as usize] += 1);
        counts
    }
}

fn sample(values: Vec<f64>) -> Sample {
    Sample::from_finite(values).unwrap()
}

fn deciles(reference: &Sample, window: &Sample) -> (Vec<u64>, Vec<u64>) {
    let bins = Bins::deciles(reference);
    (bins.counts(reference.values()), bins.counts(window.values()))
}

fn verdict(evidence: Evidence, min_rows: u64) -> Verdict {
    judge_features(&[evidence], &Rules { min_rows, ..Rules::DEFAULT })[0].verdict
}

/// By the index over deciles, at the usual threshold.
fn by_index(reference: &[u64], window: &[u64], min_rows: u64) -> Verdict {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    verdict(Evidence::of_counts(Statistic::PsiQ10, 0.2, reference, window, &mut rng), min_rows)
}

#[test]
fn an_index_of_few_rows_is_large_without_drift() {
    let peer = peers("no_drift");
    let mut draws = Draws(1);
    let reference = sample(draws.normals(20_000));
    for (rows, usual) in [(50, 0.22), (100, 0.10)] {
        let (mut sum, mut drifted) = (0.0, 0);
        for _ in 0..400 {
            let (r, c) = deciles(&reference, &sample(draws.normals(rows)));
            sum += CountPair::new(&r, &c).unwrap().psi();
            drifted += u32::from(by_index(&r, &c, 50) == Verdict::Drifted);
        }
        let peer = &peer[rows.to_string()];
        close(sum / 400.0, &peer["deciles"]);
        assert!((sum / 400.0 - usual).abs() < 0.03, "a mean of {} at {rows} rows", sum / 400.0);
        // Evidently's index of thirty pooled bins is 0.35 and 0.16; at its default of 0.1 it flags nearly all of 400.
        assert!(320.0 < number(&peer["evidently_flagged"]));
        assert!(drifted <= 4, "{drifted} of 400 windows of {rows} rows");
    }
}

#[test]
fn a_reference_is_a_sample_too() {
    let peer = peers("exact_reference");
    let mut draws = Draws(2);
    let (mut as_exact, mut as_sample, mut drifted) = (0, 0, 0);
    for _ in 0..40 {
        let (reference, window) = (draws.levels(1_000, 10), draws.levels(1_000, 10));
        let sum = reference.iter().zip(&window).map(|(r, c)| (*c as f64 - *r as f64).powi(2) / *r as f64).sum();
        as_exact += u32::from(ChiSquared::new(9.0).unwrap().sf(sum) < 0.05);
        as_sample += u32::from(homogeneity(&reference, &window).unwrap().chi2_p < 0.05);
        drifted += u32::from(by_index(&reference, &window, 100) == Verdict::Drifted);
    }
    // Evidently 0.7.23 tests against scaled reference counts: 24 of 40 undrifted columns at 5 %, where 2 are expected.
    assert_eq!(f64::from(as_exact), number(&peer["evidently_chisquare"]));
    assert_eq!(as_exact, 24);
    assert_eq!(f64::from(as_sample), number(&peer["scipy_chi2_contingency"]));
    assert!(as_sample <= 5 && drifted == 0, "{as_sample} {drifted}");
}

#[test]
fn one_outlier_hides_no_shift() {
    let peer = peers("outlier");
    let mut draws = Draws(3);
    let reference = sample(draws.normals(5_000));
    let mut values: Vec<f64> = draws.normals(5_000).into_iter().map(|it| it + 0.5).collect();
    let clean = sample(values.clone());
    values.push(1_000.0);
    let outlier = sample(values);
    // Evidently bins over the pooled range: one value in 5,000 takes its index from 0.242 to 0.00007, its Jensen-Shannon
    // distance from 0.171 to 0.008, and any statistic on such bins with it; a Wasserstein distance over the pooled deviation
    // goes from 0.480 to 0.069.
    let (before, after) = (&peer["clean"], &peer["outlier"]);
    assert!(0.24 < number(&before["evidently_psi"]) && number(&after["evidently_psi"]) < 0.0001);
    assert!(0.17 < number(&before["evidently_js"]) && number(&after["evidently_js"]) < 0.009);
    assert!(0.18 < number(&before["pooled_bins_ks"]) && number(&after["pooled_bins_ks"]) < 0.0003);
    let name = "wasserstein_over_pooled_std";
    assert!(0.47 < number(&before[name]) && number(&after[name]) < 0.07);
    let index = |window: &Sample| {
        let (r, c) = deciles(&reference, window);
        CountPair::new(&r, &c).unwrap()
    };
    for distance in [CountPair::psi, CountPair::js_distance_base2] {
        assert!((distance(&index(&clean)) - distance(&index(&outlier))).abs() < 0.001);
    }
    assert!((ks_statistic(&reference, &clean) - ks_statistic(&reference, &outlier)).abs() < 0.001);
    let area = |window: &Sample| wasserstein1(&reference, window) / reference.std();
    close(area(&clean), &before["evidently_wasserstein_norm"]);
    assert!(area(&clean) < area(&outlier), "a far value adds to the area");
    for window in [&clean, &outlier] {
        let (r, c) = deciles(&reference, window);
        assert_eq!(by_index(&r, &c, 100), Verdict::Drifted);
        for by in [Statistic::Ks, Statistic::Wasserstein1OverRefStd, Statistic::LinfRobust] {
            let evidence = Evidence::of_samples(by, by.default_threshold(), &reference, window);
            assert_eq!(verdict(evidence, 100), Verdict::Drifted, "{by}");
        }
    }
}

#[test]
fn one_rare_category_does_not_decide_what_an_empty_one_costs() {
    let peer = peers("zero_rule");
    let reference = vec![200; 5_000];
    let mut window = vec![40; 5_000];
    window[..100].fill(0);
    let gone = CountPair::new(&reference, &window).unwrap().psi();
    window[100] = 5;
    let rare = CountPair::new(&reference, &window).unwrap().psi();
    // Evidently puts a millionth of the rarest category where there is none, once that is below 1e-4: 0.007 becomes 0.318.
    close(gone, &peer["hundred_gone"]["evidently"]);
    assert!(0.31 < number(&peer["and_one_rare"]["evidently"]));
    close(rare, &peer["and_one_rare"]["floor_1e-4"]);
    assert!(rare - gone < 0.0001);
}

#[test]
fn what_is_significant_may_mean_nothing() {
    let peer = peers("large");
    let (n, law) = (3_000_000, Normal::standard());
    let values: Vec<f64> = (0..n).map(|it| law.inverse_cdf((f64::from(it) + 0.5) / f64::from(n))).collect();
    let shifted = sample(values.iter().map(|it| it + 0.005).collect());
    let reference = sample(values);
    let evidence = Evidence::of_samples(Statistic::Ks, 0.1, &reference, &shifted);
    // scipy's p-value, by which a test alone would retrain: 1.3e-5 for a shift of 0.005 standard deviations.
    close(evidence.score.unwrap().value, &peer["scipy_ks"]);
    let (ours, theirs) = (evidence.p_value.unwrap(), number(&peer["scipy_p"]));
    assert!((ours / theirs - 1.0).abs() < 1e-6 && ours < 2e-5, "{ours} {theirs}");
    assert_eq!(verdict(evidence, 100), Verdict::Stable);
    let (r, c) = deciles(&reference, &shifted);
    assert_eq!(by_index(&r, &c, 100), Verdict::Stable);
}

#[test]
fn ties_make_the_test_of_distribution_functions_timid() {
    let peer = peers("ties");
    let mut draws = Draws(4);
    let (mut tied, mut continuous, mut by_counts) = (0, 0, 0);
    for _ in 0..500 {
        let mut rejects = |make: fn(f64) -> f64| {
            let mut side = || draws.uniforms(400).into_iter().map(make).collect::<Vec<f64>>();
            let (reference, window) = (sample(side()), sample(side()));
            let p = ks_p_asymptotic(ks_statistic(&reference, &window), 400, 400).unwrap();
            let (r, c) = deciles(&reference, &window);
            (p <= 0.05, counts_p_value(&r, &c).is_some_and(|it| it <= 0.05))
        };
        let (by_ks, by_chi2) = rejects(|it| (3.0 * it).floor());
        tied += u32::from(by_ks);
        by_counts += u32::from(by_chi2);
        continuous += u32::from(rejects(|it| it).0);
    }
    // 25 of 500 are expected at 5 %: scipy and ours find 3 on columns of three values, and 21 on continuous ones.
    assert_eq!(f64::from(tied), number(&peer["scipy_tied"]));
    assert_eq!(f64::from(continuous), number(&peer["scipy_continuous"]));
    assert!(tied <= 5, "{tied}");
    // The test of counts, by which indices of tied columns are judged, has its level.
    assert!((12..=40).contains(&by_counts), "{by_counts}");
}
