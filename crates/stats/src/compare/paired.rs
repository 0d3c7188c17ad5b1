//! Differences of paired values.

use super::midranks;
use crate::laws::{normal_two_sided, student_tail, student_two_sided_quantile};
use crate::sum::{pairwise, pairwise_by};

/// Student's test of whether the mean of differences is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// The mean difference.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// One less than the number of differences.
    pub degrees_of_freedom: u64,
    /// The mean over its standard error; infinite when all differences are the same.
    pub t: f64,
    /// p-value against a mean other than 0.
    pub p_two_sided: f64,
    /// p-value against a mean above 0.
    pub p_greater: f64,
}

impl PairedDifference {
    /// Returns the interval of confidence `1 - alpha` around the mean; `None` unless `alpha` is in (0, 1).
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        if !(0.0 < alpha && alpha < 1.0) {
            return None;
        }
        let reach = student_two_sided_quantile(alpha, self.degrees_of_freedom as f64) * self.standard_error;
        Some((self.mean - reach, self.mean + reach))
    }
}

/// Tests the mean of differences, as `scipy.stats.ttest_1samp(d, 0)`.
///
/// Exact for normal differences, good for many of any law with a variance. `None` for fewer than two differences, one that is
/// not finite, or nothing but zeros.
///
/// ```
/// use refit_stats::compare::paired_difference;
/// let found = paired_difference(&[1.0, 2.0, 3.0]).expect("differences");
/// assert!((found.t - 12.0_f64.sqrt()).abs() < 1e-12);
/// assert!((found.p_two_sided - 0.07417990022744853).abs() < 1e-12);
/// ```
pub fn paired_difference(differences: &[f64]) -> Option<PairedDifference> {
    let n = differences.len();
    if n < 2 || differences.iter().any(|it| !it.is_finite()) || differences.iter().all(|it| *it == 0.0) {
        return None;
    }
    let size = n as f64;
    let is_constant = differences.iter().all(|it| *it == differences[0]);
    let mean = if is_constant { differences[0] } else { pairwise(differences) / size };
    let squares = pairwise_by(n, &|at| (differences[at] - mean) * (differences[at] - mean));
    let standard_error = (squares / (size - 1.0) / size).sqrt();
    let t = mean / standard_error;
    let freedom = size - 1.0;
    Some(PairedDifference {
        mean,
        standard_error,
        degrees_of_freedom: n as u64 - 1,
        t,
        p_two_sided: (2.0 * student_tail(t.abs(), freedom)).min(1.0),
        p_greater: student_tail(t, freedom),
    })
}

/// Wilcoxon's signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilcoxon {
    /// The smaller sum of ranks.
    pub w: f64,
    /// Two-sided p-value by the normal law, with ties corrected and without continuity correction.
    pub p_approx: f64,
    /// How many differences are not 0.
    pub n_nonzero: u64,
}

/// Tests whether differences lie symmetrically around 0, as
/// `scipy.stats.wilcoxon(d, method="approx", correction=False, zero_method="wilcox")`.
///
/// Zeros are left out. The normal law is good from some ten differences on. `None` without a difference other than 0, or with
/// one that is not finite.
///
/// ```
/// use refit_stats::compare::wilcoxon;
/// let found = wilcoxon(&[1.0, -2.0, 3.0, 4.0, 0.0]).expect("differences");
/// assert_eq!((found.w, found.n_nonzero), (2.0, 4));
/// assert!((found.p_approx - 0.2733216783).abs() < 1e-9);
/// ```
pub fn wilcoxon(differences: &[f64]) -> Option<Wilcoxon> {
    if differences.iter().any(|it| !it.is_finite()) {
        return None;
    }
    let nonzero: Vec<f64> = differences.iter().copied().filter(|it| *it != 0.0).collect();
    if nonzero.is_empty() {
        return None;
    }
    let (ranks, groups) = midranks(&nonzero.iter().map(|it| it.abs()).collect::<Vec<f64>>());
    let sum = |is_wanted: fn(f64) -> bool| -> f64 {
        nonzero.iter().zip(&ranks).filter(|(it, _)| is_wanted(**it)).map(|(_, rank)| rank).sum()
    };
    let w = sum(|it| 0.0 < it).min(sum(|it| it < 0.0));
    let n = nonzero.len() as f64;
    let ties: f64 = groups.iter().map(|it| *it as f64).map(|it| it * (it * it - 1.0)).sum();
    let deviation = ((n * (n + 1.0) * (2.0 * n + 1.0) - 0.5 * ties) / 24.0).sqrt();
    let z = (w - n * (n + 1.0) / 4.0) / deviation;
    Some(Wilcoxon { w, p_approx: normal_two_sided(z), n_nonzero: nonzero.len() as u64 })
}
