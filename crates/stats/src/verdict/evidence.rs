//! What a verdict on one feature is made from, and how exact numbers become that.

use rand_core::Rng;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{Score, Statistic};
use crate::distance::{
    CountPair, Sample, homogeneity, ks_p_asymptotic, ks_statistic, linf_robust, psi_null, wasserstein1,
};

/// Chance gives more than [`Evidence::chance`] once in a thousand windows.
pub const CHANCE_LEVEL: f64 = 0.999;

/// Draws behind [`psi_chance`] where it is drawn; a fifth of them for tables of more than a hundred cells.
pub const CHANCE_REPLICATES: usize = 1_000;

/// Expected counts from which the limit law of the Population Stability Index is within a few percent of the drawn one.
const LIMIT_LAW_FROM: f64 = 50.0;

/// Expected counts below which cells are pooled before a chi-square test: Cochran's five, less a half, so that fifty rows in
/// deciles do not lie on the border, where the window itself would decide which cells are pooled.
pub(crate) const MIN_EXPECTED: f64 = 4.5;

/// Tables of more cells than this are summed up by mean and deviation of fewer draws: their index is a sum of many terms.
const MANY_CELLS: usize = 100;

/// Chance is drawn for p-values up to this: a larger one decides by itself.
const CHANCE_ASKED_FROM: f64 = 0.01;

/// The standard normal quantile of [`CHANCE_LEVEL`].
const Z_999: f64 = 3.090_232_306_167_813;

/// What is known of one feature.
///
/// Whoever fills it from something else than all rows (a profile) states the error of the score, and gives the p-value of the
/// least distance that the error allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The statistic that decides.
    pub by: Statistic,
    /// From where on a score counts; compared with `<=`.
    pub threshold: f64,
    /// The score; `None` where it is undefined.
    pub score: Option<Score>,
    /// The probability of such a distance without drift; `None` where there is no test.
    pub p_value: Option<f64>,
    /// The score that chance alone exceeds once in a thousand windows of these sizes; `None` where it is not known or was not
    /// asked for, because the p-value decides.
    pub chance: Option<f64>,
    /// How many values the reference has, missing and non-finite ones left out.
    pub reference_rows: u64,
    /// How many values the current window has, missing and non-finite ones left out.
    pub current_rows: u64,
    /// Why the feature could not be measured; it is then errored.
    pub problem: Option<String>,
}

impl Evidence {
    /// A feature that could not be measured.
    pub fn problem(by: Statistic, threshold: f64, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::blank(by, threshold, 0, 0) }
    }

    fn blank(by: Statistic, threshold: f64, reference_rows: u64, current_rows: u64) -> Self {
        let (score, p_value, chance) = (None, None, None);
        Self { by, threshold, score, p_value, chance, reference_rows, current_rows, problem: None }
    }

    /// Measures a statistic of the distribution functions: `ks`, `linf_simple`, `linf_robust`, `wasserstein1_over_ref_std`.
    ///
    /// The p-value is [`samples_p_value`], for the Wasserstein distance too: both ask whether the distribution functions
    /// differ. No score for another statistic, or for a Wasserstein distance from a constant, which has no unit.
    ///
    /// ```
    /// use refit_stats::distance::Sample;
    /// use refit_stats::verdict::{Evidence, Statistic};
    /// let of = |shift: i32| Sample::from_finite((0..200).map(|it| f64::from(it + shift)).collect()).expect("finite");
    /// let evidence = Evidence::of_samples(Statistic::Ks, 0.1, &of(0), &of(50));
    /// assert!((evidence.score.expect("defined").value - 0.25).abs() < 1e-12);
    /// assert!(evidence.p_value.expect("a test") < 1e-4);
    /// ```
    pub fn of_samples(by: Statistic, threshold: f64, reference: &Sample, current: &Sample) -> Self {
        let (n, m) = (reference.n(), current.n());
        let d = ks_statistic(reference, current);
        let value = match by {
            Statistic::Ks | Statistic::LinfSimple => Some(d),
            Statistic::LinfRobust => linf_robust(d, n as u64, m as u64),
            Statistic::Wasserstein1OverRefStd => {
                Some(reference.std()).filter(|it| 0.0 < *it).map(|it| wasserstein1(reference, current) / it)
            }
            Statistic::PsiQ10
            | Statistic::PsiW20
            | Statistic::Psi
            | Statistic::KlCurRef
            | Statistic::KlRefCur
            | Statistic::JsDistanceBase2
            | Statistic::Hellinger
            | Statistic::Tvd
            | Statistic::LInfinity
            | Statistic::CramersV => None,
        };
        Self {
            score: value.map(Score::exact),
            p_value: samples_p_value(Score::exact(d), n as u64, m as u64),
            ..Self::blank(by, threshold, n as u64, m as u64)
        }
    }

    /// Measures a statistic of counts over the same bins or categories: the indices, entropies and distances of
    /// [`CountPair`], and `cramers_v`. The p-value is [`counts_p_value`].
    ///
    /// An index gets [`Evidence::chance`] by its limit law; where counts are too small for that it is drawn from `rng`, if the
    /// index reaches its threshold with a p-value of at most 1 %: any other is not called drifted whatever chance gives.
    /// No score for a statistic of samples, or when a side is empty.
    ///
    /// ```
    /// use rand_chacha::ChaCha8Rng;
    /// use rand_chacha::rand_core::SeedableRng;
    /// use refit_stats::verdict::{Evidence, Rules, Statistic, Verdict, judge_features};
    /// let mut rng = ChaCha8Rng::seed_from_u64(1);
    /// // Ten bins, fifty rows on both sides, nothing moved: far above the usual 0.2, and not beyond chance.
    /// let (reference, window) = ([5; 10], [2, 7, 5, 9, 4, 3, 8, 5, 6, 1]);
    /// let evidence = Evidence::of_counts(Statistic::PsiQ10, 0.2, &reference, &window, &mut rng);
    /// assert!(0.2 < evidence.score.expect("defined").value);
    /// let rules = Rules { min_rows: 50, min_reference_rows: 50, ..Rules::DEFAULT };
    /// assert_eq!(judge_features(&[evidence], &rules)[0].verdict, Verdict::Stable);
    /// ```
    pub fn of_counts(by: Statistic, threshold: f64, reference: &[u64], current: &[u64], rng: &mut dyn Rng) -> Self {
        let blank = Self::blank(by, threshold, reference.iter().sum(), current.iter().sum());
        let Ok(pair) = CountPair::new(reference, current) else { return blank };
        let value = match by {
            Statistic::PsiQ10 | Statistic::PsiW20 | Statistic::Psi => Some(pair.psi()),
            Statistic::KlCurRef => Some(pair.kl_current_reference()),
            Statistic::KlRefCur => Some(pair.kl_reference_current()),
            Statistic::JsDistanceBase2 => Some(pair.js_distance_base2()),
            Statistic::Hellinger => Some(pair.hellinger()),
            Statistic::Tvd => Some(pair.tvd()),
            Statistic::LInfinity => Some(pair.l_infinity()),
            // One category on both sides cannot differ.
            Statistic::CramersV => Some(homogeneity(reference, current).map_or(0.0, |it| it.cramers_v)),
            Statistic::Ks | Statistic::Wasserstein1OverRefStd | Statistic::LinfSimple | Statistic::LinfRobust => None,
        };
        let is_index = matches!(by, Statistic::PsiQ10 | Statistic::PsiW20 | Statistic::Psi);
        let p_value = counts_p_value(reference, current);
        let is_near = value.is_some_and(|it| threshold <= it) && p_value.is_some_and(|it| it <= CHANCE_ASKED_FROM);
        Self {
            score: value.map(Score::exact),
            p_value,
            chance: match psi_limit_law(reference, current) {
                _ if !is_index => None,
                Some(chance) => Some(chance),
                None if is_near => psi_chance(reference, current, rng),
                None => None,
            },
            ..blank
        }
    }
}

/// Returns the p-value of a Kolmogorov-Smirnov score: NUMERICS' `ks_p_asymp` of the least distance its error allows.
///
/// On ties it is conservative: the law is that of continuous data.
///
/// ```
/// use refit_stats::verdict::{Score, samples_p_value};
/// let exact = samples_p_value(Score::exact(0.1), 1_000, 1_000).expect("large enough");
/// let sketched = samples_p_value(Score { value: 0.1, error_bound: 0.02 }, 1_000, 1_000).expect("large enough");
/// assert!(exact < sketched);
/// ```
pub fn samples_p_value(ks: Score, reference_rows: u64, current_rows: u64) -> Option<f64> {
    ks_p_asymptotic(ks.low(), usize::try_from(reference_rows).ok()?, usize::try_from(current_rows).ok()?)
}

/// Returns the p-value of the two-sample chi-square test, after cells that expect fewer than 4.5 in either row were pooled
/// with each other (and with the smallest other cell, should they still be too few).
///
/// Pooling looks at the totals of both rows alone, so that it does not favor a result, and it is what lets the test be
/// trusted for thousands of rare categories. `None` when a row is empty or fewer than two cells remain.
///
/// ```
/// use refit_stats::distance::homogeneity;
/// use refit_stats::verdict::counts_p_value;
/// let (reference, current) = ([500, 300, 200], [450, 350, 200]);
/// assert_eq!(counts_p_value(&reference, &current), homogeneity(&reference, &current).map(|it| it.chi2_p));
/// // A category seen once is no evidence by itself.
/// assert_eq!(counts_p_value(&[500, 0], &[499, 1]), None);
/// ```
pub fn counts_p_value(reference: &[u64], current: &[u64]) -> Option<f64> {
    if reference.len() != current.len() {
        return None;
    }
    let (n, m): (u64, u64) = (reference.iter().sum(), current.iter().sum());
    if n == 0 || m == 0 {
        return None;
    }
    let least_share = n.min(m) as f64 / (n + m) as f64;
    let mut cells: Vec<(u64, u64)> = reference.iter().copied().zip(current.iter().copied()).collect();
    cells.retain(|(r, c)| 0 < r + c);
    // By total, largest last; the pool takes from the front.
    cells.sort_by_key(|(r, c)| r + c);
    let is_small = |cell: &(u64, u64)| ((cell.0 + cell.1) as f64) * least_share < MIN_EXPECTED;
    let mut n_pooled = cells.partition_point(is_small);
    let mut pool = cells[..n_pooled].iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    if 0 < n_pooled && is_small(&pool) {
        let (r, c) = cells.get(n_pooled)?;
        pool = (pool.0 + r, pool.1 + c);
        n_pooled += 1;
    }
    cells.drain(..n_pooled);
    if 0 < n_pooled {
        cells.push(pool);
    }
    let (reference, current): (Vec<u64>, Vec<u64>) = cells.into_iter().unzip();
    Some(homogeneity(&reference, &current)?.chi2_p)
}

/// Returns the Population Stability Index that chance alone exceeds once in a thousand pairs of rows like these.
///
/// Where every cell that occurs expects at least 50 in both rows it is the limit law, `(1/n + 1/m)` times the quantile of
/// chi-square (within 5 % of the truth); else the law is drawn. `None` if the rows cannot be paired.
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::verdict::psi_chance;
/// let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let chance = psi_chance(&[1_000; 10], &[1_000; 10], &mut rng).expect("counts");
/// assert!((chance - 2.0 / 10_000.0 * 27.877).abs() < 1e-5);
/// ```
pub fn psi_chance(reference: &[u64], current: &[u64], rng: &mut dyn Rng) -> Option<f64> {
    if let Some(chance) = psi_limit_law(reference, current) {
        return Some(chance);
    }
    let n_cells = reference.iter().zip(current).filter(|(r, c)| 0 < **r + **c).count();
    let replicates = if n_cells <= MANY_CELLS { CHANCE_REPLICATES } else { CHANCE_REPLICATES / 5 };
    let null = psi_null(reference, current, replicates, rng)?;
    if n_cells <= MANY_CELLS { null.quantile(CHANCE_LEVEL) } else { Some(null.mean() + Z_999 * null.std()) }
}

/// The quantile by the limit law; `None` where counts are too small for it, or cannot be paired.
fn psi_limit_law(reference: &[u64], current: &[u64]) -> Option<f64> {
    CountPair::new(reference, current).ok()?;
    let (n, m): (u64, u64) = (reference.iter().sum(), current.iter().sum());
    let totals = || reference.iter().zip(current).map(|(r, c)| r + c).filter(|it| 0 < *it);
    let n_cells = totals().count();
    if n_cells < 2 {
        return Some(0.0);
    }
    let least = totals().min()? as f64 * n.min(m) as f64 / (n + m) as f64;
    if least < LIMIT_LAW_FROM {
        return None;
    }
    let law = ChiSquared::new(n_cells as f64 - 1.0).ok()?;
    Some((1.0 / n as f64 + 1.0 / m as f64) * law.inverse_cdf(CHANCE_LEVEL))
}
