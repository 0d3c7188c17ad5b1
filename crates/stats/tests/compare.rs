//! What must hold for any comparison: symmetry, invariance, coverage, and error rates that are kept at every look.

use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_assume, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::compare::{clopper_pearson, delong, mcnemar, paired_difference, two_proportions, wilcoxon, wilson};
use refit_stats::quality::{Metric, Scored};
use refit_stats::sequential::{AsymptoticMean, NormalMixture};

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform(rng)).cos()
}

type Draw = fn(&mut ChaCha8Rng) -> f64;

proptest! {
    #[test]
    fn areas_are_those_of_the_metric_and_change_sides(rows in prop::collection::vec((0_u8..2, 0_u32..20, 0_u32..20), 4..60)) {
        let labels: Vec<f64> = rows.iter().map(|it| f64::from(it.0)).collect();
        let scores = |pick: fn(&(u8, u32, u32)) -> u32| -> Vec<f64> { rows.iter().map(|it| f64::from(pick(it)) / 20.0).collect() };
        let (first, second) = (scores(|it| it.1), scores(|it| it.2));
        let positives = labels.iter().sum::<f64>() as usize;
        let found = delong(&labels, &first, &second);
        prop_assert_eq!(found.is_some(), 2 <= positives && 2 <= rows.len() - positives);
        prop_assume!(found.is_some());
        let (there, back) = (found.unwrap(), delong(&labels, &second, &first).unwrap());
        let auc = Scored::binary(&labels, &first).unwrap().value(Metric::Auc).unwrap();
        prop_assert!((there.auc1 - auc).abs() < 1e-12);
        prop_assert_eq!((there.auc1, there.var1, there.p_two_sided), (back.auc2, back.var2, back.p_two_sided));
        prop_assert_eq!(there.z, -back.z);
        // Only the order counts.
        let stretched: Vec<f64> = first.iter().map(|it| it.exp()).collect();
        let same = delong(&labels, &first, &stretched).unwrap();
        prop_assert_eq!((same.z, same.p_two_sided), (0.0, 1.0));
    }

    #[test]
    fn tables_have_two_sides(a in 0_u64..500, b in 0_u64..500) {
        let found = mcnemar(a, b);
        prop_assert_eq!(found, mcnemar(b, a));
        for p in [found.exact_p, found.p_corrected, found.p_uncorrected] {
            prop_assert!((0.0..=1.0).contains(&p));
        }
    }

    #[test]
    fn differences_have_two_sides(values in prop::collection::vec(-5_i32..6, 2..40), scale in 0.001..1000.0) {
        let of = |factor: f64| -> Vec<f64> { values.iter().map(|it| f64::from(*it) * factor).collect() };
        let (plain, turned, scaled) = (of(1.0), of(-1.0), of(scale));
        match (paired_difference(&plain), paired_difference(&turned), paired_difference(&scaled)) {
            (Some(a), Some(b), Some(c)) => {
                prop_assert!((a.mean + b.mean).abs() < 1e-12 && (a.p_two_sided - b.p_two_sided).abs() < 1e-12);
                prop_assert!((a.p_greater + b.p_greater - 1.0).abs() < 1e-12);
                prop_assert!((a.p_two_sided - c.p_two_sided).abs() < 1e-9);
                let (low, high) = a.interval(0.05).unwrap();
                prop_assert!(low <= a.mean && a.mean <= high);
                prop_assert!((0.05 < a.p_two_sided) == (low < 0.0 && 0.0 < high) || (a.p_two_sided - 0.05).abs() < 1e-9);
            }
            (None, None, None) => prop_assert!(values.iter().all(|it| *it == 0)),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(wilcoxon(&plain), wilcoxon(&turned));
        prop_assert!(wilcoxon(&plain).is_none_or(|it| (0.0..=1.0).contains(&it.p_approx)));
    }

    #[test]
    fn rates_lie_in_their_intervals(trials in 1_u64..3_000, share in 0.0..=1.0) {
        let hits = (trials as f64 * share) as u64;
        let rate = hits as f64 / trials as f64;
        let (wide, narrow) = (clopper_pearson(hits, trials, 0.05).unwrap(), clopper_pearson(hits, trials, 0.2).unwrap());
        let score = wilson(hits, trials, 0.05).unwrap();
        for (low, high) in [wide, narrow, score] {
            prop_assert!(0.0 <= low && low <= rate + 1e-12 && rate - 1e-12 <= high && high <= 1.0);
        }
        prop_assert!(wide.0 <= narrow.0 && narrow.1 <= wide.1);
        // The complement mirrors.
        let (low, high) = clopper_pearson(trials - hits, trials, 0.05).unwrap();
        prop_assert!((low - (1.0 - wide.1)).abs() < 1e-9 && (high - (1.0 - wide.0)).abs() < 1e-9);
    }
}

#[test]
fn what_cannot_be_compared_is_none() {
    assert_eq!(delong(&[0.0, 1.0], &[0.1, 0.2], &[0.1, 0.2]), None, "one row of each class has no variance");
    assert_eq!(delong(&[0.0, 0.0, 1.0, 1.0], &[0.1; 4], &[0.1; 3]), None);
    assert_eq!(delong(&[0.0, 0.0, 1.0, 2.0], &[0.1; 4], &[0.1; 4]), None);
    assert_eq!(delong(&[0.0, 0.0, 1.0, 1.0], &[f64::NAN; 4], &[0.1; 4]), None);
    assert_eq!(paired_difference(&[1.0]), None);
    assert_eq!(paired_difference(&[1.0, f64::NAN]), None);
    let same = paired_difference(&[0.1, 0.1, 0.1]).unwrap();
    assert_eq!((same.mean, same.t, same.p_two_sided), (0.1, f64::INFINITY, 0.0));
    assert_eq!((wilcoxon(&[]), wilcoxon(&[0.0, 0.0])), (None, None));
    assert_eq!(two_proportions((1, 0), (0, 3)), None);
    assert_eq!(two_proportions((4, 3), (0, 3)), None);
    for alpha in [0.0, 1.0, f64::NAN] {
        assert_eq!((wilson(1, 3, alpha), clopper_pearson(1, 3, alpha)), (None, None));
    }
    assert_eq!((wilson(1, 0, 0.05), wilson(4, 3, 0.05)), (None, None));
    assert_eq!(NormalMixture::new(0.0, 1.0, 0.0), None);
    assert_eq!(NormalMixture::new(1.0, f64::INFINITY, 0.0), None);
    assert_eq!(AsymptoticMean::new(1.0, 100, 10), None);
    assert_eq!(AsymptoticMean::new(0.05, 0, 10), None);
}

/// Under the hypothesis each test may reject in at most alpha of the cases.
#[test]
fn tests_keep_their_error_rates() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let (trials, mut rejected) = (2_000, [0_u32; 5]);
    for _ in 0..trials {
        let labels: Vec<f64> = (0..60).map(|row| f64::from(row % 3 == 0)).collect();
        let scores = |rng: &mut ChaCha8Rng| -> Vec<f64> { labels.iter().map(|it| it + normal(rng)).collect() };
        let (first, second) = (scores(&mut rng), scores(&mut rng));
        let differences: Vec<f64> = (0..20).map(|_| normal(&mut rng)).collect();
        let hits = |rng: &mut ChaCha8Rng, n: u32, rate: f64| (0..n).filter(|_| uniform(rng) < rate).count() as u64;
        let p_values = [
            delong(&labels, &first, &second).unwrap().p_two_sided,
            mcnemar(hits(&mut rng, 40, 0.4), hits(&mut rng, 40, 0.4)).exact_p,
            paired_difference(&differences).unwrap().p_two_sided,
            wilcoxon(&differences).unwrap().p_approx,
            two_proportions((hits(&mut rng, 80, 0.2), 80), (hits(&mut rng, 120, 0.2), 120)).unwrap().p_two_sided,
        ];
        for (count, p) in rejected.iter_mut().zip(p_values) {
            *count += u32::from(p <= 0.05);
        }
    }
    // 100 expected of 2,000, four standard deviations above; DeLong is known to be a little liberal at 20 positives.
    assert!(rejected.iter().all(|it| *it <= 140), "{rejected:?}");
}

#[test]
fn rates_are_covered() {
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    for (n, rate) in [(20_u64, 0.1), (50, 0.5), (200, 0.02)] {
        let (mut score, mut exact) = (0, 0);
        for _ in 0..1_000 {
            let hits = (0..n).filter(|_| uniform(&mut rng) < rate).count() as u64;
            let covers = |(low, high): (f64, f64)| u32::from(low <= rate && rate <= high);
            score += covers(wilson(hits, n, 0.05).unwrap());
            exact += covers(clopper_pearson(hits, n, 0.05).unwrap());
        }
        assert!(920 <= score, "Wilson covered {score} of 1,000 at {n}, {rate}");
        assert!(935 <= exact, "Clopper-Pearson covered {exact} of 1,000 at {n}, {rate}");
    }
}

#[test]
fn looking_at_every_value_rejects_no_more_often_than_stated() {
    let mut rng = ChaCha8Rng::seed_from_u64(33);
    let (mut rejected, mut peeking) = (0, 0);
    for _ in 0..400 {
        let mut test = NormalMixture::new(1.0, 0.05, 0.3).unwrap();
        let mut fixed = false;
        for _ in 0..1_000 {
            test.add(0.3 + normal(&mut rng));
            let (low, high) = test.interval(0.05).unwrap();
            assert_eq!(test.rejects(0.05), high < 0.3 || 0.3 < low, "the interval and the test say the same");
            let n = test.count() as f64;
            let half = 1.96 / n.sqrt();
            let center = (low + high) / 2.0;
            fixed |= 10.0 <= n && half < (center - 0.3).abs();
        }
        rejected += u32::from(test.always_valid_p() <= 0.05);
        peeking += u32::from(fixed);
    }
    assert!(rejected <= 20 + 17, "{rejected} of 400 at 5 %");
    assert!(120 < peeking, "a test for one look, looked at a thousand times, rejects {peeking} of 400");
}

#[test]
fn an_effect_is_found_and_no_value_is_needed_twice() {
    let mut rng = ChaCha8Rng::seed_from_u64(34);
    let found = (0..100).filter(|_| {
        let mut test = NormalMixture::new(4.0, 0.2, 0.0).unwrap();
        (0..2_000).any(|_| {
            test.add(0.4 + 2.0 * normal(&mut rng));
            test.rejects(0.05)
        })
    });
    assert_eq!(found.count(), 100);
    let mut test = NormalMixture::new(1.0, 0.05, 0.0).unwrap();
    let before = test;
    test.add(f64::NAN);
    assert_eq!(test, before);
    assert_eq!((test.interval(0.05), test.always_valid_p()), (None, 1.0));
}

#[test]
fn means_of_unknown_variance_are_covered_at_every_look() {
    let mut rng = ChaCha8Rng::seed_from_u64(35);
    // Rates, skewed losses and normal values, each with a burn-in for its law.
    let laws: [(&str, f64, u64, Draw); 3] = [
        ("rate", 0.2, 100, |rng| f64::from(u8::from(uniform(rng) < 0.2))),
        ("exponential", 1.0, 100, |rng| -uniform(rng).ln()),
        ("normal", 0.0, 30, normal),
    ];
    for (name, mean, burn_in, draw) in laws {
        let mut missed = 0;
        for _ in 0..400 {
            let mut sequence = AsymptoticMean::new(0.05, 500, burn_in).unwrap();
            let is_missed = (0..1_500).any(|_| {
                sequence.add(draw(&mut rng));
                sequence.interval().is_some_and(|(low, high)| mean < low || high < mean)
            });
            missed += u32::from(is_missed);
        }
        assert!(missed <= 20 + 13, "{name}: missed in {missed} of 400 streams at 5 %");
    }
}

#[test]
fn a_stored_test_goes_on_where_it_stopped() {
    let mut rng = ChaCha8Rng::seed_from_u64(36);
    let (mut test, mut sequence) =
        (NormalMixture::new(1.0, 0.05, 0.0).unwrap(), AsymptoticMean::new(0.05, 500, 30).unwrap());
    let (mut kept_test, mut kept_sequence) = (test, sequence);
    for row in 0..500 {
        if row % 37 == 0 {
            kept_test = serde_json::from_str(&serde_json::to_string(&kept_test).unwrap()).unwrap();
            kept_sequence = serde_json::from_str(&serde_json::to_string(&kept_sequence).unwrap()).unwrap();
        }
        let value = normal(&mut rng);
        test.add(value);
        sequence.add(value);
        kept_test.add(value);
        kept_sequence.add(value);
    }
    assert_eq!((test, sequence), (kept_test, kept_sequence));
}
