//! All scores of one feature at once: what a drift report shows.
//!
//! From samples and counts they are exact ([`numeric_scores`], [`categorical_scores`]); from profiles each one carries how far
//! the exact one may be from it.

use serde::{Deserialize, Serialize};

use crate::distance::{
    Bins, CategoryCounts, CategoryTable, CountPair, Homogeneity, Sample, homogeneity, ks_and_wasserstein1,
    ks_p_asymptotic, linf_robust,
};
use crate::verdict::Score;

/// Scores over bins or categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinnedScores {
    /// Where one bin ends and the next begins, rising, each edge in the bin below; empty for categories. From profiles, near the exact ones.
    pub edges: Vec<f64>,
    /// Rows of the reference by bin, one more than there are edges. From profiles, the best guess.
    pub reference: Vec<u64>,
    /// Rows of the current window by bin.
    pub current: Vec<u64>,
    /// Population Stability Index.
    pub psi: Score,
    /// Entropy of the current window relative to the reference, in nats; `None` from a profile that left out categories.
    pub kl_cur_ref: Option<Score>,
    /// Entropy of the reference relative to the current window, in nats; `None` as above.
    pub kl_ref_cur: Option<Score>,
    /// Jensen-Shannon distance, base 2.
    pub js_distance_base2: Score,
    /// Hellinger distance.
    pub hellinger: Score,
    /// Total variation distance.
    pub tvd: Score,
    /// Largest difference of a proportion.
    pub l_infinity: Score,
    /// The test of counts that are known between two numbers each; `None` where they are exact and give it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounded_test: Option<BoundedTest>,
}

/// What can be said of the two-sample chi-square test where counts are known between two numbers each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundedTest {
    /// Its effect size.
    pub cramers_v: Score,
    /// The most that [`counts_p_value`](crate::verdict::counts_p_value) can be: that of the least statistic; `None` with fewer than two cells.
    pub p_value_at_most: Option<f64>,
}

/// Scores of a numeric feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericScores {
    /// Kolmogorov-Smirnov statistic, which is Model Monitor's simple L-infinity distance, too.
    pub ks: Score,
    /// The p-value of `ks` ([`ks_p_asymptotic`]), from profiles of the least that `ks` can be; `None` for a single row on both sides.
    pub ks_p_value: Option<f64>,
    /// Model Monitor's robust L-infinity distance.
    pub linf_robust: Score,
    /// Wasserstein distance of order 1, in units of the feature.
    pub wasserstein1: Score,
    /// The same in population standard deviations of the reference; `None` where that is 0 or beyond the range of a double.
    pub wasserstein1_over_ref_std: Option<Score>,
    /// Over the distinct deciles of the reference.
    pub q10: BinnedScores,
    /// Over twenty equal widths of the reference's range; `None` for a constant.
    pub w20: Option<BinnedScores>,
}

/// Scores of a categorical feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoricalScores {
    /// The categories in the order of the counts. From profiles that left out categories, the last one, named `None`, stands for all of these.
    pub categories: Vec<Option<String>>,
    /// Over the categories.
    pub counts: BinnedScores,
    /// Pearson's statistic of the two-sample test; `None` with fewer than two categories.
    pub chi2: Option<Score>,
    /// Its p-value; with left-out categories that of the least that the statistic can be, of the test that takes them as one.
    pub chi2_p_value: Option<f64>,
    /// Its degrees of freedom.
    pub degrees_of_freedom: Option<u64>,
    /// Effect size of the test.
    pub cramers_v: Option<Score>,
    /// The share of the current window's values whose category the reference lacks.
    pub new_category_rate: Score,
}

impl BinnedScores {
    /// The exact scores of counts over the same bins; `None` if the rows differ in length or one counts nothing.
    pub fn exact(edges: Vec<f64>, reference: Vec<u64>, current: Vec<u64>) -> Option<Self> {
        let pair = CountPair::new(&reference, &current).ok()?;
        Some(Self {
            psi: Score::exact(pair.psi()),
            kl_cur_ref: Some(Score::exact(pair.kl_current_reference())),
            kl_ref_cur: Some(Score::exact(pair.kl_reference_current())),
            js_distance_base2: Score::exact(pair.js_distance_base2()),
            hellinger: Score::exact(pair.hellinger()),
            tvd: Score::exact(pair.tvd()),
            l_infinity: Score::exact(pair.l_infinity()),
            edges,
            reference,
            current,
            bounded_test: None,
        })
    }
}

/// Returns every score of two samples.
///
/// ```
/// use refit_stats::distance::Sample;
/// use refit_stats::scores::numeric_scores;
/// let of = |range: std::ops::Range<i32>| Sample::from_finite(range.map(f64::from).collect()).expect("finite");
/// let scores = numeric_scores(&of(0..1000), &of(100..1100));
/// assert_eq!((scores.ks.value, scores.ks.error_bound), (0.1, 0.0));
/// assert!((scores.wasserstein1.value - 100.0).abs() < 1e-9);
/// assert_eq!(scores.q10.reference, [100; 10]);
/// ```
pub fn numeric_scores(reference: &Sample, current: &Sample) -> NumericScores {
    let (ks, area) = ks_and_wasserstein1(reference, current);
    let (n, m) = (reference.n() as u64, current.n() as u64);
    let binned = |bins: Bins| {
        let (of_reference, of_current) = (bins.counts_of(reference), bins.counts_of(current));
        BinnedScores::exact(bins.into_edges(), of_reference, of_current)
    };
    NumericScores {
        ks: Score::exact(ks),
        ks_p_value: ks_p_asymptotic(ks, reference.n(), current.n()),
        linf_robust: Score::exact(linf_robust(ks, n, m).expect("invariant: samples are not empty")),
        wasserstein1: Score::exact(area),
        wasserstein1_over_ref_std: unit(reference.std()).map(|it| Score::exact(area / it)),
        q10: binned(Bins::deciles(reference)).expect("invariant: samples are not empty"),
        w20: Bins::equal_width(reference).and_then(binned),
    }
}

/// A standard deviation that a distance can be divided by.
pub(crate) fn unit(std: f64) -> Option<f64> {
    (std.is_finite() && 0.0 < std).then_some(std)
}

/// Returns every score of two rows of categories; `None` if one has no value.
///
/// ```
/// use refit_stats::distance::CategoryCounts;
/// use refit_stats::scores::categorical_scores;
/// let of = |values: &[&str]| CategoryCounts::new(&values.iter().map(|it| Some(*it)).collect::<Vec<_>>());
/// let scores = categorical_scores(&of(&["a", "b"]), &of(&["a", "c"])).expect("values");
/// assert_eq!((scores.counts.tvd.value, scores.new_category_rate.value), (0.5, 0.5));
/// ```
pub fn categorical_scores(reference: &CategoryCounts, current: &CategoryCounts) -> Option<CategoricalScores> {
    let table = CategoryTable::new(reference, current);
    let new_category_rate = Score::exact(table.new_category_rate()?);
    let test: Option<Homogeneity> = homogeneity(&table.reference, &table.current);
    Some(CategoricalScores {
        counts: BinnedScores::exact(Vec::new(), table.reference, table.current)?,
        categories: table.categories.into_iter().map(Some).collect(),
        chi2: test.map(|it| Score::exact(it.chi2)),
        chi2_p_value: test.map(|it| it.chi2_p),
        degrees_of_freedom: test.map(|it| it.degrees_of_freedom),
        cramers_v: test.map(|it| Score::exact(it.cramers_v)),
        new_category_rate,
    })
}
