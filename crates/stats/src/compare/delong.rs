//! The areas under two receiver operating curves of the same rows.

use super::midranks;
use crate::laws::{normal_quantile, normal_two_sided};
use crate::sum::{pairwise, pairwise_by};

/// Two areas under the curve with their covariance, and the test of their difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeLong {
    /// Area of the first scores.
    pub auc1: f64,
    /// Area of the second scores.
    pub auc2: f64,
    /// Variance of the first area.
    pub var1: f64,
    /// Variance of the second area.
    pub var2: f64,
    /// Covariance of both areas.
    pub cov: f64,
    /// `(auc1 - auc2)` over its standard error; 0 for equal areas, infinite for different ones without variance.
    pub z: f64,
    /// Two-sided p-value of `z`.
    pub p_two_sided: f64,
}

impl DeLong {
    /// Returns the normal interval of confidence `1 - alpha` around the first area, not clipped to [0, 1]; `None` unless
    /// `alpha` is in (0, 1).
    pub fn interval1(&self, alpha: f64) -> Option<(f64, f64)> {
        interval(self.auc1, self.var1, alpha)
    }

    /// Returns the normal interval of confidence `1 - alpha` around the second area, not clipped to [0, 1]; `None` unless
    /// `alpha` is in (0, 1).
    pub fn interval2(&self, alpha: f64) -> Option<(f64, f64)> {
        interval(self.auc2, self.var2, alpha)
    }
}

fn interval(center: f64, variance: f64, alpha: f64) -> Option<(f64, f64)> {
    if !(0.0 < alpha && alpha < 1.0) {
        return None;
    }
    let reach = normal_quantile(1.0 - alpha / 2.0) * variance.sqrt();
    Some((center - reach, center + reach))
}

/// Compares two scores of the same rows by their areas under the curve.
///
/// E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
/// characteristic curves", Biometrics 44, 1988: placement values with ties one half, sample covariances. Takes
/// `O(n log n)`. `None` unless all three are of one length, scores finite, labels 0 or 1, and each class has two rows.
///
/// ```
/// use refit_stats::compare::delong;
/// let labels = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0];
/// let found = delong(&labels, &[0.1, 0.4, 0.35, 0.8, 0.2, 0.9], &[0.1; 6]).expect("both classes");
/// assert!((found.auc1 - 8.0 / 9.0).abs() < 1e-12 && found.auc2 == 0.5);
/// let same = delong(&labels, &[0.1, 0.4, 0.35, 0.8, 0.2, 0.9], &[0.1, 0.4, 0.35, 0.8, 0.2, 0.9]).expect("both classes");
/// assert_eq!((same.z, same.p_two_sided), (0.0, 1.0));
/// ```
pub fn delong(labels: &[f64], scores1: &[f64], scores2: &[f64]) -> Option<DeLong> {
    let (first, second) = (Placements::new(labels, scores1)?, Placements::new(labels, scores2)?);
    let (var1, var2) = (first.covariance(&first), second.covariance(&second));
    let (auc1, auc2) = (first.area(), second.area());
    // Of the differences themselves, so that equal rankings differ by exactly nothing.
    let difference = first.less(&second);
    let (gap, variance) = (auc1 - auc2, difference.covariance(&difference));
    let z = if variance <= 0.0 && gap.abs() <= f64::EPSILON { 0.0 } else { gap / variance.max(0.0).sqrt() };
    Some(DeLong { auc1, auc2, var1, var2, cov: first.covariance(&second), z, p_two_sided: normal_two_sided(z) })
}

/// For each positive the share of negatives below it, and for each negative the share of positives above it.
struct Placements {
    of_positives: Vec<f64>,
    of_negatives: Vec<f64>,
}

impl Placements {
    fn new(labels: &[f64], scores: &[f64]) -> Option<Self> {
        if labels.len() != scores.len() || scores.iter().any(|it| !it.is_finite()) {
            return None;
        }
        if labels.iter().any(|it| *it != 0.0 && *it != 1.0) {
            return None;
        }
        let rows_of = |class: f64| -> Vec<usize> { (0..labels.len()).filter(|row| labels[*row] == class).collect() };
        let (negatives, positives) = (rows_of(0.0), rows_of(1.0));
        if negatives.len() < 2 || positives.len() < 2 {
            return None;
        }
        let (all, _) = midranks(scores);
        let within = |rows: &[usize]| midranks(&rows.iter().map(|row| scores[*row]).collect::<Vec<f64>>()).0;
        let of = |rows: &[usize], others: usize| -> Vec<f64> {
            rows.iter().zip(within(rows)).map(|(row, rank)| (all[*row] - rank) / others as f64).collect()
        };
        let of_positives = of(&positives, negatives.len());
        let of_negatives = of(&negatives, positives.len()).into_iter().map(|it| 1.0 - it).collect();
        Some(Self { of_positives, of_negatives })
    }

    fn area(&self) -> f64 {
        pairwise(&self.of_positives) / self.of_positives.len() as f64
    }

    fn less(&self, other: &Self) -> Self {
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self {
            of_positives: less(&self.of_positives, &other.of_positives),
            of_negatives: less(&self.of_negatives, &other.of_negatives),
        }
    }

    /// Covariance of both areas.
    fn covariance(&self, other: &Self) -> f64 {
        sample_covariance(&self.of_positives, &other.of_positives) / self.of_positives.len() as f64
            + sample_covariance(&self.of_negatives, &other.of_negatives) / self.of_negatives.len() as f64
    }
}

/// Covariance with `n - 1` in the divisor, of at least two pairs.
fn sample_covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (pairwise(a) / n, pairwise(b) / n);
    pairwise_by(a.len(), &|at| (a[at] - mean_a) * (b[at] - mean_b)) / (n - 1.0)
}
