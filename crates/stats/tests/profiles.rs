//! Profiles against all rows: every bound holds, merging is adding, bytes are small and repeatable.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::distance::{CategoryCounts, NumericColumn, Sample, homogeneity};
use refit_stats::profile::{
    CategoryProfile, CategorySum, MAX_FEATURE_BYTES, NumericProfile, NumericSum, ProfileError, compare_categories,
    compare_numeric,
};
use refit_stats::scores::{BinnedScores, categorical_scores, numeric_scores};
use refit_stats::verdict::{Score, counts_p_value};

/// Kinds of data that summaries find hard, each in its own way.
const KINDS: [&str; 14] = [
    "uniform",
    "normal",
    "lognormal",
    "cauchy",
    "offset",
    "integers",
    "two values",
    "constant",
    "zeros and more",
    "tiny",
    "huge",
    "near equal",
    "clusters",
    "large integers",
];

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // Twelve uniforms: not normal in the tails, which "cauchy" and "lognormal" are for.
    (0..12).map(|_| uniform(rng)).sum::<f64>() - 6.0
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn value(kind: &str, rng: &mut ChaCha8Rng, shift: f64) -> f64 {
    match kind {
        "uniform" => uniform(rng) + shift,
        "normal" => normal(rng) + shift,
        "lognormal" => (2.0 * (normal(rng) + shift)).exp(),
        "cauchy" => (std::f64::consts::PI * (uniform(rng) - 0.5)).tan() + shift,
        "offset" => 1e9 + normal(rng) + shift,
        "integers" => ((normal(rng) + shift) * 10.0).round(),
        "two values" => f64::from(u8::from(uniform(rng) < 0.3 + shift / 10.0)),
        "constant" => 7.25,
        "zeros and more" => {
            if uniform(rng) < 0.6 {
                -0.0
            } else {
                normal(rng) + shift
            }
        }
        "tiny" => (normal(rng) + shift) * 1e-310,
        "huge" => (normal(rng) + shift) * 2e307,
        "near equal" => 1.0 + ((normal(rng) + shift) * 20.0).round() * f64::EPSILON,
        "clusters" => {
            let center = [-1e6, 3.0, 3.001, 5e12][(rng.next_u64() % 4) as usize];
            center + normal(rng) * 1e-3 + shift
        }
        "large integers" => ((normal(rng) + shift) * 1e6).round() + 1e12,
        other => panic!("{other}"),
    }
}

fn values(kind: &str, n: usize, shift: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| value(kind, &mut rng, shift)).collect()
}

fn profile(values: &[f64]) -> NumericProfile {
    NumericProfile::of(&values.iter().copied().map(Some).collect::<Vec<_>>())
}

/// Profiles of parts, added up two by two, stored and read in between.
fn rolled_up(values: &[f64], n_parts: usize) -> NumericProfile {
    let mut profiles: Vec<NumericProfile> = values.chunks(values.len().div_ceil(n_parts).max(1)).map(profile).collect();
    while 1 < profiles.len() {
        profiles = profiles
            .chunks(2)
            .map(|pair| {
                let both = pair.iter().skip(1).fold(pair[0].clone(), |sum, it| sum.merged(it));
                NumericProfile::from_bytes(&both.to_bytes()).unwrap()
            })
            .collect();
    }
    profiles.remove(0)
}

#[track_caller]
fn check_score(what: &str, score: Score, exact: f64, slack: f64) {
    let off = (score.value - exact).abs();
    assert!(off <= score.error_bound + slack, "{what}: {score:?} is not within its bound of {exact}");
    assert!(0.0 <= score.error_bound, "{what}: {score:?}");
}

#[track_caller]
fn check_bins(what: &str, found: &BinnedScores, exact: &BinnedScores) {
    let each: [fn(&BinnedScores) -> Score; 5] =
        [|it| it.psi, |it| it.js_distance_base2, |it| it.hellinger, |it| it.tvd, |it| it.l_infinity];
    for (at, get) in each.into_iter().enumerate() {
        check_score(&format!("{what} {at}"), get(found), get(exact).value, 1e-12);
    }
    let entropies: [fn(&BinnedScores) -> Option<Score>; 2] = [|it| it.kl_cur_ref, |it| it.kl_ref_cur];
    for (at, get) in entropies.into_iter().enumerate() {
        if let (Some(found), Some(exact)) = (get(found), get(exact)) {
            check_score(&format!("{what} entropy {at}"), found, exact.value, 1e-12);
        }
    }
}

#[track_caller]
fn check_numeric(what: &str, reference: &[f64], current: &[f64], profiles: (&NumericProfile, &NumericProfile)) {
    let of = |values: &[f64]| Sample::from_finite(values.to_vec()).unwrap();
    let (r, c) = (of(reference), of(current));
    let exact = numeric_scores(&r, &c);
    let found = compare_numeric(profiles.0, profiles.1).unwrap();
    let span = r.max().max(c.max()) / 2.0 - r.min().min(c.min()) / 2.0;
    check_score(&format!("{what}: ks"), found.ks, exact.ks.value, 1e-12);
    check_score(&format!("{what}: linf"), found.linf_robust, exact.linf_robust.value, 1e-12);
    check_score(&format!("{what}: wasserstein"), found.wasserstein1, exact.wasserstein1.value, 2e-9 * span);
    if let (Some(found), Some(exact)) = (found.wasserstein1_over_ref_std, exact.wasserstein1_over_ref_std) {
        check_score(&format!("{what}: normed"), found, exact.value, 1e-9 * exact.value.max(1.0));
    }
    check_bins(&format!("{what}: q10"), &found.q10, &exact.q10);
    assert_eq!(found.w20.is_some(), exact.w20.is_some(), "{what}");
    if let (Some(found), Some(exact)) = (&found.w20, &exact.w20) {
        check_bins(&format!("{what}: w20"), found, exact);
    }
    for (side, sample) in [(profiles.0, &r), (profiles.1, &c)] {
        assert_eq!((side.min(), side.max()), (Some(sample.min()), Some(sample.max())), "{what}");
        assert!(
            (side.mean().unwrap() - sample.mean()).abs() <= 1e-12 * sample.mean().abs().max(sample.std()) + 1e-318,
            "{what}"
        );
        if let Some(std) = side.std().filter(|it| 0.0 < *it) {
            // numpy's mean is rounded, and its deviation with it.
            let rounding = 2.0 * (sample.max() * f64::EPSILON / sample.std()).powi(2);
            assert!((std - sample.std()).abs() <= (1e-9 + rounding) * sample.std(), "{what}: {std} {}", sample.std());
        }
    }
}

fn check_kind(kind: &str, (n, m): (usize, usize), shift: f64, seed: u64, order: Order) {
    let (mut reference, mut current) = (values(kind, n, 0.0, seed), values(kind, m, shift, seed ^ 0xabcd));
    for side in [&mut reference, &mut current] {
        match order {
            Order::AsDrawn => {}
            Order::Rising => side.sort_by(f64::total_cmp),
            Order::Falling => side.sort_by(|a, b| b.total_cmp(a)),
        }
    }
    let profiles = (profile(&reference), profile(&current));
    check_numeric(&format!("{kind} {order:?}"), &reference, &current, (&profiles.0, &profiles.1));
    let rolled = (rolled_up(&reference, 24), rolled_up(&current, 7));
    check_numeric(&format!("{kind} {order:?}, rolled up"), &reference, &current, (&rolled.0, &rolled.1));
    for it in [&profiles.0, &profiles.1, &rolled.0, &rolled.1] {
        assert!(it.to_bytes().len() <= MAX_FEATURE_BYTES, "{kind}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Order {
    AsDrawn,
    Rising,
    Falling,
}

#[test]
fn bounds_hold_for_every_kind_of_data() {
    for (at, kind) in KINDS.into_iter().enumerate() {
        for (n, m) in [(1, 1), (3, 50), (700, 400), (20_000, 9_000)] {
            for order in [Order::AsDrawn, Order::Rising, Order::Falling] {
                for shift in [0.0, 0.3] {
                    check_kind(kind, (n, m), shift, at as u64, order);
                }
            }
        }
    }
}

#[test]
fn bounds_are_useful_on_large_data() {
    // The largest rank error that is stated, and what KS, PSI and the normed Wasserstein distance may be off by.
    let stated = [
        ("uniform", 0.004),
        ("normal", 0.004),
        ("lognormal", 0.004),
        ("cauchy", 0.004),
        ("offset", 0.004),
        ("clusters", 0.006),
    ];
    for (kind, most) in stated {
        for order in [Order::AsDrawn, Order::Rising] {
            let (mut reference, current) = (values(kind, 200_000, 0.0, 1), values(kind, 200_000, 0.02, 2));
            if let Order::Rising = order {
                reference.sort_by(f64::total_cmp);
            }
            let (r, c) = (profile(&reference), profile(&current));
            let scores = compare_numeric(&r, &c).unwrap();
            assert!(r.rank_error() <= most, "{kind} {order:?}: {}", r.rank_error());
            assert!(scores.ks.error_bound <= 2.0 * most, "{kind} {order:?}: {:?}", scores.ks);
            // Next to an empty bin, the logarithm makes a large score of a small doubt: useless only where it does not matter.
            assert!(
                scores.q10.psi.error_bound <= 0.03 || 2.0 < scores.q10.psi.low(),
                "{kind} {order:?}: {:?}",
                scores.q10.psi
            );
            check_numeric(kind, &reference, &current, (&r, &c));
        }
    }
}

#[test]
fn few_values_are_exact() {
    for kind in ["integers", "two values", "constant"] {
        let (reference, current) = (values(kind, 50_000, 0.0, 1), values(kind, 50_000, 0.2, 2));
        let scores = compare_numeric(&profile(&reference), &profile(&current)).unwrap();
        assert!(scores.ks.error_bound < 1e-9 && scores.wasserstein1.error_bound < 1e-9, "{kind}: {scores:?}");
        assert!(scores.q10.psi.error_bound < 1e-9, "{kind}: {scores:?}");
    }
}

#[test]
fn what_has_no_value_is_counted_apart() {
    let rows = [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(2.0)];
    let found = NumericProfile::of(&rows);
    assert_eq!((found.rows(), found.finite(), found.n_null, found.n_nan, found.n_infinite), (6, 2, 1, 1, 2));
    let column = NumericColumn::new(&rows);
    assert_eq!((column.n_null, column.n_nan, column.n_infinite), (found.n_null, found.n_nan, found.n_infinite));
    assert_eq!(NumericProfile::from_bytes(&found.to_bytes()).unwrap(), found);
    let empty = NumericProfile::of(&[None, Some(f64::NAN)]);
    assert_eq!((empty.min(), empty.mean(), empty.std()), (None, None, None));
    assert!(compare_numeric(&empty, &found).is_none() && compare_numeric(&found, &empty).is_none());
    assert_eq!(NumericProfile::from_bytes(&empty.to_bytes()).unwrap(), empty);
}

fn texts(n: usize, n_categories: u64, seed: u64) -> Vec<Option<String>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let of = |rng: &mut ChaCha8Rng| {
        // Few frequent, many rare.
        let skewed = uniform(rng) * uniform(rng) * uniform(rng);
        format!("category-{}", (skewed * n_categories as f64) as u64)
    };
    (0..n).map(|_| (rng.next_u64() % 20 != 0).then(|| of(&mut rng))).collect()
}

fn category_profile(rows: &[Option<String>]) -> CategoryProfile {
    CategoryProfile::of(&rows.iter().map(Option::as_deref).collect::<Vec<_>>())
}

#[track_caller]
fn check_categories(
    what: &str,
    sides: (&[Option<String>], &[Option<String>]),
    profiles: (&CategoryProfile, &CategoryProfile),
) {
    let counts = |rows: &[Option<String>]| CategoryCounts::new(&rows.iter().map(Option::as_deref).collect::<Vec<_>>());
    let (r, c) = (counts(sides.0), counts(sides.1));
    let exact = categorical_scores(&r, &c).unwrap();
    let found = compare_categories(profiles.0, profiles.1).unwrap();
    check_bins(what, &found.counts, &exact.counts);
    check_score(&format!("{what}: new"), found.new_category_rate, exact.new_category_rate.value, 1e-12);
    if let (Some(found), Some(exact)) = (found.chi2, exact.chi2) {
        check_score(&format!("{what}: chi2"), found, exact.value, 1e-9 * exact.value.max(1.0));
    }
    if let (Some(found), Some(exact)) = (found.cramers_v, exact.cramers_v) {
        check_score(&format!("{what}: v"), found, exact.value, 1e-9);
    }
    for (category, count) in r.iter() {
        let (low, high) = profiles.0.count(category);
        assert!(low <= count && count <= high, "{what}: {category}");
    }
    for (profile, counts) in [(profiles.0, &r), (profiles.1, &c)] {
        assert_eq!((profile.rows(), profile.n_null), (counts.n_rows(), counts.n_null()), "{what}");
        let distinct = counts.n_distinct() as f64;
        // Four standard errors.
        assert!(
            (profile.n_distinct() as f64 - distinct).abs() <= 0.13 * distinct,
            "{what}: {} {distinct}",
            profile.n_distinct()
        );
    }
}

#[test]
fn categories_that_fit_are_exact_and_others_bounded() {
    for (n, n_categories) in [(1, 1), (50, 5), (5_000, 100), (5_000, 3_000), (20_000, 1_000_000)] {
        let (reference, current) = (texts(n, n_categories, 1), texts(n, n_categories, 2));
        if category_profile(&reference).present() == 0 || category_profile(&current).present() == 0 {
            continue;
        }
        let stored = |rows: &[Option<String>]| CategoryProfile::from_bytes(&category_profile(rows).to_bytes()).unwrap();
        let whole = (stored(&reference), stored(&current));
        check_categories("whole", (&reference, &current), (&whole.0, &whole.1));
        let rolled = |rows: &[Option<String>]| {
            let parts: Vec<CategoryProfile> = rows.chunks(n.div_ceil(7)).map(stored).collect();
            let sum = parts.iter().fold(CategoryProfile::default(), |sum, it| sum.merged(it));
            CategoryProfile::from_bytes(&sum.to_bytes()).unwrap()
        };
        let rolled = (rolled(&reference), rolled(&current));
        check_categories("rolled up", (&reference, &current), (&rolled.0, &rolled.1));
        for it in [&whole.0, &rolled.0] {
            assert!(it.to_bytes().len() <= MAX_FEATURE_BYTES);
        }
        if n_categories <= 100 {
            assert!(whole.0.is_exact() && rolled.1.is_exact());
        }
    }
}

#[test]
fn other_bytes_are_refused() {
    let numeric = profile(&values("normal", 3000, 0.0, 1)).to_bytes();
    let categories = category_profile(&texts(3000, 500, 1)).to_bytes();
    assert_eq!(NumericProfile::from_bytes(&categories), Err(ProfileError::Kind));
    assert_eq!(CategoryProfile::from_bytes(&numeric), Err(ProfileError::Kind));
    assert_eq!(NumericProfile::from_bytes(&[2, b'n']), Err(ProfileError::Version(2)));
    assert!(NumericProfile::from_bytes(&[]).is_err());
    for end in 0..numeric.len() {
        assert!(NumericProfile::from_bytes(&numeric[..end]).is_err(), "{end}");
    }
}

fn numbers() -> impl Strategy<Value = Vec<f64>> {
    let finite = any::<f64>().prop_filter("finite", |it| it.is_finite());
    let usual = -50_i8..50;
    let some =
        prop_oneof![finite, usual.prop_map(f64::from), Just(0.5), (0_u32..1000).prop_map(|it| f64::from(it) / 999.0)];
    proptest::collection::vec(some, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bounds_hold_for_any_values(reference in numbers(), current in numbers(), bytes in 60_usize..2000) {
        let small = |values: &[f64]| profile(values).compact(bytes);
        check_numeric("compacted", &reference, &current, (&small(&reference), &small(&current)));
        check_numeric("rolled up", &reference, &current, (&rolled_up(&reference, 5), &rolled_up(&current, 3)));
    }

    #[test]
    fn merging_is_associative_and_commutative(a in numbers(), b in numbers(), c in numbers(), bytes in 60_usize..2000) {
        let [a, b, c] = [a, b, c].map(|it| profile(&it).compact(bytes));
        // The moments agree to within rounding, as `check_numeric` holds; all else to a bit.
        let cells = |it: &NumericProfile| format!("{it:?}").split("cells").nth(1).map(str::to_owned);
        assert_eq!(cells(&a.merged(&b)), cells(&b.merged(&a)));
        assert_eq!(cells(&a.merged(&b).merged(&c)), cells(&a.merged(&b.merged(&c))));
        assert_eq!(a.merged(&b).rows(), a.rows() + b.rows());
        let mut sum = NumericSum::default();
        [&a, &b, &c].into_iter().for_each(|it| sum.add(it));
        assert_eq!(sum.take(), a.merged(&b).merged(&c));
        let stored = [&a, &b, &c].map(NumericProfile::to_bytes);
        stored.iter().for_each(|it| sum.add_bytes(it).unwrap());
        let [a, b, c] = stored.map(|it| NumericProfile::from_bytes(&it).unwrap());
        assert_eq!(sum.take(), a.merged(&b).merged(&c));
    }

    #[test]
    fn categories_merge_as_sums(sizes in proptest::collection::vec((0_usize..300, 1_u64..2000), 3), bytes in 1200_usize..3000) {
        let of = |at: usize| category_profile(&texts(sizes[at].0, sizes[at].1, at as u64)).compact(bytes);
        let (a, b, c) = (of(0), of(1), of(2));
        assert_eq!(a.merged(&b), b.merged(&a));
        assert_eq!(a.merged(&b).merged(&c), a.merged(&b.merged(&c)));
        for parts in [[&a, &b, &c], [&c, &a, &b]] {
            let mut sum = CategorySum::default();
            parts.iter().for_each(|it| sum.add(it));
            assert_eq!(sum.finish(), a.merged(&b).merged(&c));
            let mut sum = CategorySum::default();
            parts.iter().for_each(|it| sum.add_bytes(&it.to_bytes()).unwrap());
            let stored = parts.map(|it| CategoryProfile::from_bytes(&it.to_bytes()).unwrap());
            assert_eq!(sum.finish(), stored[0].merged(&stored[1]).merged(&stored[2]));
        }
    }

    #[test]
    fn stored_profiles_come_back_to_the_same_bytes(values in numbers()) {
        let bytes = profile(&values).to_bytes();
        let back = NumericProfile::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes(), bytes);
        assert_eq!(profile(&values).to_bytes(), bytes);
    }

    #[test]
    fn no_bytes_are_too_odd(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), values in numbers(), at in any::<usize>(), byte in any::<u8>()) {
        for head in [[1, b'n'], [1, b'c']] {
            bytes.splice(0..bytes.len().min(2), head);
            let _ = NumericProfile::from_bytes(&bytes);
            let _ = CategoryProfile::from_bytes(&bytes);
        }
        let mut damaged = profile(&values).to_bytes();
        let at = at % damaged.len();
        damaged[at] = byte;
        if let Ok(read) = NumericProfile::from_bytes(&damaged) {
            let _ = compare_numeric(&read, &profile(&values));
            let _ = read.merged(&profile(&values)).to_bytes();
            let _ = read.rank_error();
        }
    }
}

#[test]
fn profiles_that_hold_every_value_give_the_scores_of_all_rows() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (n, m) in [(150, 90), (400, 300)] {
        let (reference, current) = (values("normal", n, 0.0, rng.next_u64()), values("normal", m, 0.3, rng.next_u64()));
        let exact = numeric_scores(
            &Sample::from_finite(reference.clone()).unwrap(),
            &Sample::from_finite(current.clone()).unwrap(),
        );
        let half = reference.len() / 2;
        let both = profile(&reference[..half]).merged(&profile(&reference[half..]));
        let found = compare_numeric(&both, &profile(&current)).unwrap();
        assert!(both.is_exact());
        assert_eq!((found.ks, found.ks_p_value, found.linf_robust), (exact.ks, exact.ks_p_value, exact.linf_robust));
        assert_eq!((found.q10, found.w20), (exact.q10, exact.w20));
    }
}

#[test]
fn the_p_value_of_bounded_counts_is_at_least_that_of_all_rows() {
    for (kind, shift) in [("normal", 0.0), ("normal", 0.05), ("lognormal", 0.1), ("uniform", 0.02)] {
        let (reference, current) = (values(kind, 20_000, 0.0, 8), values(kind, 15_000, shift, 9));
        let exact = numeric_scores(
            &Sample::from_finite(reference.clone()).unwrap(),
            &Sample::from_finite(current.clone()).unwrap(),
        );
        let found = compare_numeric(&profile(&reference), &profile(&current)).unwrap();
        let p_value = counts_p_value(&exact.q10.reference, &exact.q10.current).unwrap();
        let test = found.q10.bounded_test.unwrap();
        let at_most = test.p_value_at_most.unwrap();
        assert!(p_value <= at_most * (1.0 + 1e-9), "{kind} {shift}: {p_value} {at_most}");
        let v = homogeneity(&exact.q10.reference, &exact.q10.current).unwrap().cramers_v;
        check_score(&format!("{kind} {shift}: cramers_v"), test.cramers_v, v, 1e-12);
        assert!(test.cramers_v.error_bound < 0.05, "{kind} {shift}: {test:?}");
    }
}
