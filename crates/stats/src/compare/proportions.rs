//! Rates, and the difference of two of them.

use crate::laws::{binomial_lower, binomial_upper, bisect, normal_quantile, normal_two_sided};

/// The pooled test of two rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoProportions {
    /// The second rate less the first, over the standard error of equal rates.
    pub z_pooled: f64,
    /// Two-sided p-value by the normal law.
    pub p_two_sided: f64,
}

/// Tests whether two rates are equal, by the pooled z.
///
/// Good where each side has some five hits and five misses; below that use Fisher's test
/// ([`crate::distance::two_by_two`]). `None` when a side is empty, has more hits than trials, or all rows are hits or all are
/// misses, which leaves no variance.
///
/// ```
/// use refit_stats::compare::two_proportions;
/// let found = two_proportions((45, 300), (66, 310)).expect("variance");
/// assert!((found.z_pooled - 2.013110189708516).abs() < 1e-12);
/// assert_eq!(two_proportions((0, 300), (0, 310)), None);
/// ```
pub fn two_proportions(first: (u64, u64), second: (u64, u64)) -> Option<TwoProportions> {
    let ((hits1, trials1), (hits2, trials2)) = (first, second);
    if trials1 == 0 || trials2 == 0 || trials1 < hits1 || trials2 < hits2 {
        return None;
    }
    let (n1, n2) = (trials1 as f64, trials2 as f64);
    let pooled = (hits1 + hits2) as f64 / (n1 + n2);
    let variance = pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2);
    if variance <= 0.0 {
        return None;
    }
    let z_pooled = (hits2 as f64 / n2 - hits1 as f64 / n1) / variance.sqrt();
    Some(TwoProportions { z_pooled, p_two_sided: normal_two_sided(z_pooled) })
}

/// Returns Wilson's score interval of confidence `1 - alpha` for a rate, within [0, 1].
///
/// E. B. Wilson, 1927. Covers about as often as stated even for few trials and rates near 0 and 1. `None` without trials, with
/// more hits than trials, or unless `alpha` is in (0, 1).
///
/// ```
/// use refit_stats::compare::wilson;
/// let (low, high) = wilson(45, 300, 0.05).expect("trials");
/// assert!((low - 0.11403246871185314).abs() < 1e-12 && (high - 0.19481761114532903).abs() < 1e-12);
/// ```
pub fn wilson(hits: u64, trials: u64, alpha: f64) -> Option<(f64, f64)> {
    check(hits, trials, alpha)?;
    let (n, z) = (trials as f64, normal_quantile(1.0 - alpha / 2.0));
    let p = hits as f64 / n;
    let scale = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / scale;
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    // Exactly 0 and 1 at the ends, which rounding misses by a bit.
    let low = if hits == 0 { 0.0 } else { (center - reach).max(0.0) };
    let high = if hits == trials { 1.0 } else { (center + reach).min(1.0) };
    Some((low, high))
}

/// Returns the interval of Clopper and Pearson of confidence at least `1 - alpha` for a rate.
///
/// C. J. Clopper and E. S. Pearson, 1934: each end is the rate at which a result as far out has probability `alpha / 2`. It
/// never covers less often than stated, and is wide for it. `None` as for [`wilson`].
///
/// ```
/// use refit_stats::compare::clopper_pearson;
/// let (low, high) = clopper_pearson(45, 300, 0.05).expect("trials");
/// assert!((low - 0.1115625224301255).abs() < 1e-12 && (high - 0.195516440684027).abs() < 1e-12);
/// assert_eq!(clopper_pearson(0, 10, 0.05).expect("trials").0, 0.0);
/// ```
pub fn clopper_pearson(hits: u64, trials: u64, alpha: f64) -> Option<(f64, f64)> {
    check(hits, trials, alpha)?;
    let tail = alpha / 2.0;
    let low = if hits == 0 { 0.0 } else { bisect(0.0, 1.0, |p| binomial_upper(hits, trials, p) < tail) };
    let high = if hits == trials { 1.0 } else { bisect(0.0, 1.0, |p| tail < binomial_lower(hits, trials, p)) };
    Some((low, high))
}

fn check(hits: u64, trials: u64, alpha: f64) -> Option<()> {
    (0 < trials && hits <= trials && 0.0 < alpha && alpha < 1.0).then_some(())
}
