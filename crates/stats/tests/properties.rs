//! What must hold for any data: symmetry, bounds, no drift gives 0, determinism, coverage.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::distance::{
    Bins, CountPair, Sample, homogeneity, ks_p_asymptotic, ks_p_exact, ks_p_kolmogorov_limit, ks_statistic,
    psi_null_quantile, wasserstein1,
};
use refit_stats::quality::{Metric, Scored, Task};
use refit_stats::resample::BlockBootstrap;

fn pairs_of_counts() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    prop::collection::vec((0_u64..1000, 0_u64..1000), 2..12).prop_map(|rows| {
        let (mut reference, mut current): (Vec<u64>, Vec<u64>) = rows.into_iter().unzip();
        // Neither side may be empty.
        reference[0] += 1;
        current[0] += 1;
        (reference, current)
    })
}

fn samples() -> impl Strategy<Value = Sample> {
    // Whole numbers, so that there are ties.
    prop::collection::vec(-50_i32..50, 1..80)
        .prop_map(|it| Sample::from_finite(it.into_iter().map(f64::from).collect()).unwrap())
}

proptest! {
    #[test]
    fn binned_distances_are_symmetric_and_bounded((a, b) in pairs_of_counts()) {
        let (there, back) = (CountPair::new(&a, &b).unwrap(), CountPair::new(&b, &a).unwrap());
        prop_assert!((there.kl_current_reference() - back.kl_reference_current()).abs() < 1e-12);
        for distance in [CountPair::psi, CountPair::js_distance_base2, CountPair::hellinger, CountPair::tvd, CountPair::l_infinity] {
            prop_assert!(0.0 <= distance(&there));
            prop_assert!((distance(&there) - distance(&back)).abs() < 1e-12);
        }
        for distance in [CountPair::js_distance_base2, CountPair::hellinger, CountPair::tvd, CountPair::l_infinity] {
            prop_assert!(distance(&there) <= 1.0 + 1e-12);
        }
        prop_assert!(there.l_infinity() <= there.tvd() + 1e-12);
    }

    #[test]
    fn equal_shares_have_no_distance((a, _) in pairs_of_counts(), times in 1_u64..1000) {
        let b: Vec<u64> = a.iter().map(|it| it * times).collect();
        let pair = CountPair::new(&a, &b).unwrap();
        prop_assert_eq!(pair.psi(), 0.0);
        prop_assert_eq!(pair.js_distance_base2(), 0.0);
        prop_assert_eq!(pair.hellinger(), 0.0);
        if let Some(test) = homogeneity(&a, &b) {
            prop_assert!(test.chi2 < 1e-9 && 0.99 < test.chi2_p);
        }
    }

    #[test]
    fn sample_distances_are_symmetric_and_bounded(a in samples(), b in samples()) {
        let (ks, area) = (ks_statistic(&a, &b), wasserstein1(&a, &b));
        prop_assert!((0.0..=1.0).contains(&ks) && 0.0 <= area);
        prop_assert_eq!(ks, ks_statistic(&b, &a));
        prop_assert!((area - wasserstein1(&b, &a)).abs() < 1e-9);
        prop_assert!((a.mean() - b.mean()).abs() <= area + 1e-9);
        prop_assert_eq!((ks_statistic(&a, &a), wasserstein1(&a, &a)), (0.0, 0.0));
    }

    #[test]
    fn every_value_has_one_bin(a in samples(), b in samples()) {
        for bins in [Some(Bins::deciles(&a)), Bins::equal_width(&a)].into_iter().flatten() {
            prop_assert_eq!(bins.counts(b.values()).iter().sum::<u64>(), b.n() as u64);
        }
    }

    #[test]
    fn p_values_are_probabilities_that_fall_with_the_statistic(n in 1_usize..400, m in 1_usize..400, d in 0.0..0.98) {
        for law in [ks_p_asymptotic, ks_p_kolmogorov_limit, ks_p_exact] {
            if let (Some(p), Some(further)) = (law(d, n, m), law(d + 0.02, n, m)) {
                prop_assert!((0.0..=1.0).contains(&p));
                prop_assert!(further <= p + 1e-9, "{} {} {}: {} {}", n, m, d, p, further);
            }
        }
    }

    #[test]
    fn a_weight_is_a_repetition(rows in prop::collection::vec((0_u8..2, 0_u32..11, 0_u8..4), 2..40)) {
        let repeat = |pick: fn(&(u8, u32, u8)) -> f64| -> Vec<f64> {
            rows.iter().flat_map(|row| vec![pick(row); usize::from(row.2)]).collect()
        };
        let (label, score) = (|row: &(u8, u32, u8)| f64::from(row.0), |row: &(u8, u32, u8)| f64::from(row.1) / 10.0);
        let weights: Vec<f64> = rows.iter().map(|row| f64::from(row.2)).collect();
        for task in [Task::Regression, Task::Binary, Task::Multiclass] {
            let wide = |scores: Vec<f64>| match task {
                Task::Regression | Task::Binary => scores,
                Task::Multiclass => scores.iter().flat_map(|it| [1.0 - it, *it]).collect(),
            };
            let labels: Vec<f64> = rows.iter().map(label).collect();
            let once = Scored::new(task, &labels, &wide(rows.iter().map(score).collect())).unwrap();
            let often = Scored::new(task, &repeat(label), &wide(repeat(score))).ok();
            for metric in Metric::ALL.into_iter().filter(|it| it.applies_to(task)) {
                let weighted = once.measure(metric).unwrap().weighted(&weights);
                let repeated = often.as_ref().and_then(|it| it.value(metric));
                match (weighted, repeated) {
                    (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9, "{}: {} {}", metric, a, b),
                    (a, b) => prop_assert_eq!(a, b, "{}", metric),
                }
            }
        }
    }

    #[test]
    fn auc_of_flipped_scores_is_the_complement(rows in prop::collection::vec((0_u8..2, 0_u32..33), 2..60)) {
        let labels: Vec<f64> = rows.iter().map(|it| f64::from(it.0)).collect();
        let scores: Vec<f64> = rows.iter().map(|it| f64::from(it.1) / 32.0).collect();
        let flipped: Vec<f64> = scores.iter().map(|it| 1.0 - it).collect();
        let auc = |scores: &[f64]| Scored::binary(&labels, scores).unwrap().value(Metric::Auc);
        match (auc(&scores), auc(&flipped)) {
            (Some(a), Some(b)) => prop_assert!((a + b - 1.0).abs() < 1e-12),
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn a_seed_decides_every_replicate(seed in 0_u64..1000, values in prop::collection::vec(-5.0..5.0, 4..30)) {
        let keys: Vec<i64> = (0..values.len() as i64).collect();
        let zeros = vec![0.0; values.len()];
        let scored = Scored::regression(&values, &zeros).unwrap();
        let measure = scored.measure(Metric::Mae).unwrap();
        let run = || {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            BlockBootstrap::new(&keys).unwrap().replicates(&|it| measure.weighted(it), 50, &mut rng)
        };
        prop_assert_eq!(run(), run());
    }
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

#[test]
fn the_interval_covers_the_mean_of_independent_days() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (days, rows_a_day, trials) = (60, 5, 300);
    let keys: Vec<i64> = (0..days * rows_a_day).map(|row| row / rows_a_day).collect();
    let bootstrap = BlockBootstrap::new(&keys).unwrap();
    let mut covered = 0;
    let mut errors = 0.0;
    for _ in 0..trials {
        let labels: Vec<f64> = keys.iter().map(|_| uniform(&mut rng)).collect();
        let scored = Scored::regression(&labels, &vec![0.0; labels.len()]).unwrap();
        let mae = scored.measure(Metric::Mae).unwrap();
        let replicates = bootstrap.replicates(&|weights| mae.weighted(weights), 400, &mut rng);
        let (low, high) = replicates.interval(0.05).unwrap();
        covered += u32::from(low <= 0.5 && 0.5 <= high);
        errors += replicates.standard_error().unwrap() / f64::from(trials);
    }
    // 285 of 300 at the nominal 95 %; four standard deviations to each side, and the known narrowness at 60 blocks.
    assert!((264..=299).contains(&covered), "covered {covered} of {trials}");
    let truth = (1.0_f64 / 12.0 / 300.0).sqrt();
    assert!((errors / truth - 1.0).abs() < 0.05, "standard error {errors}, truth {truth}");
}

#[test]
fn days_that_err_together_widen_the_interval() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let (days, rows_a_day) = (50_i64, 20_i64);
    let by_day: Vec<i64> = (0..days * rows_a_day).map(|row| row / rows_a_day).collect();
    let by_row: Vec<i64> = (0..days * rows_a_day).collect();
    let of_day: Vec<f64> = (0..days).map(|_| uniform(&mut rng)).collect();
    let labels: Vec<f64> = by_day.iter().map(|day| of_day[*day as usize] + 0.1 * uniform(&mut rng)).collect();
    let scored = Scored::regression(&labels, &vec![0.0; labels.len()]).unwrap();
    let mae = scored.measure(Metric::Mae).unwrap();
    let mut error = |keys: &[i64]| {
        let bootstrap = BlockBootstrap::new(keys).unwrap();
        bootstrap.replicates(&|weights| mae.weighted(weights), 500, &mut rng).standard_error().unwrap()
    };
    let (blocked, naive) = (error(&by_day), error(&by_row));
    assert!(3.0 * naive < blocked, "{blocked} {naive}");
}

#[test]
fn the_null_of_psi_at_fifty_rows_is_far_from_zero() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    // numpy: 20,000 draws of multinomial(50, [0.1] * 10) against the same give 0.377, 0.788 and 1.052.
    for (level, expected) in [(0.5, 0.377), (0.9, 0.788), (0.95, 1.052)] {
        let ours = psi_null_quantile(&[5; 10], &[5; 10], level, 5000, &mut rng).unwrap();
        assert!((ours / expected - 1.0).abs() < 0.06, "{level}: {ours}");
    }
}
