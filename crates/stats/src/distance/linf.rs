//! Model Monitor's distance with a correction for sample sizes.

/// The correction's factor in Model Monitor and Deequ: alpha 0.003.
pub const LINF_ROBUST_C: f64 = 1.8;

/// Returns Model Monitor's robust L-infinity distance, `max(0, d - 1.8 sqrt((n + m) / (n m)))`, from the simple one.
///
/// The simple distance is the Kolmogorov-Smirnov statistic ([`super::ks_statistic`]); the correction is what chance explains
/// at these sizes, so that 0 means "nothing beyond chance". As in Deequ, `Distance.numericalDistance`
/// (<https://github.com/awslabs/deequ>). `None` for an empty side or a distance outside [0, 1].
///
/// ```
/// use refit_stats::distance::linf_robust;
/// assert_eq!(linf_robust(0.1, 100, 100), Some(0.0));
/// assert!((linf_robust(0.1, 10_000, 10_000).expect("sizes") - (0.1 - 1.8 * 2e-4_f64.sqrt())).abs() < 1e-15);
/// assert_eq!(linf_robust(0.1, 0, 100), None);
/// ```
pub fn linf_robust(d: f64, n: u64, m: u64) -> Option<f64> {
    let (n, m) = (n as f64, m as f64);
    (0.0 < n && 0.0 < m && (0.0..=1.0).contains(&d)).then(|| (d - LINF_ROBUST_C * ((n + m) / (n * m)).sqrt()).max(0.0))
}
