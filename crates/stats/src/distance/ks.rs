//! Distances between two samples by their distribution functions, and p-values of the Kolmogorov-Smirnov statistic.
//!
//! Three p-values are offered, because they answer differently at small sizes: `asymptotic` is what `scipy.stats.ks_2samp`
//! calls so (the finite Kolmogorov law at the rounded effective size), `limit` is the textbook law, `exact` counts paths.

use super::Sample;
use super::kolmogorov::{limit_tail, two_sided_tail};
use super::sample::SCALE;
use crate::sum::pairwise;

/// Sizes up to which [`ks_p_exact`] answers; beyond, its work grows with their product.
pub const EXACT_UP_TO: usize = 10_000;

/// Returns the largest difference between both distribution functions, all ties stepped together.
///
/// ```
/// use refit_stats::distance::{Sample, ks_statistic};
/// let of = |values: &[f64]| Sample::from_finite(values.to_vec()).expect("finite");
/// assert_eq!(ks_statistic(&of(&[1.0, 2.0, 2.0]), &of(&[2.0, 3.0])), 0.5);
/// ```
pub fn ks_statistic(reference: &Sample, current: &Sample) -> f64 {
    let mut most = 0.0_f64;
    steps(reference, current, |_, gap, _| most = most.max(gap));
    most
}

/// Returns the Wasserstein distance of order 1: the area between both distribution functions.
///
/// ```
/// use refit_stats::distance::{Sample, wasserstein1};
/// let of = |values: &[f64]| Sample::from_finite(values.to_vec()).expect("finite");
/// assert_eq!(wasserstein1(&of(&[0.0, 1.0]), &of(&[2.0, 3.0])), 2.0);
/// ```
pub fn wasserstein1(reference: &Sample, current: &Sample) -> f64 {
    let span_overflows = (reference.max().max(current.max()) - reference.min().min(current.min())).is_infinite();
    let scale = if span_overflows { SCALE } else { 1.0 };
    let mut areas = Vec::with_capacity(reference.n() + current.n());
    steps(reference, current, |at, gap, next| {
        if let Some(next) = next {
            areas.push(gap * (next * scale - at * scale));
        }
    });
    pairwise(&areas) / scale
}

/// Visits each distinct value with the gap of the distribution functions from it to the next value.
fn steps(reference: &Sample, current: &Sample, mut visit: impl FnMut(f64, f64, Option<f64>)) {
    let (r, c) = (reference.values(), current.values());
    let (n, m) = (r.len() as f64, c.len() as f64);
    let (mut i, mut j) = (0, 0);
    let next = |i: usize, j: usize| match (r.get(i), c.get(j)) {
        (Some(a), Some(b)) => Some(if b < a { *b } else { *a }),
        (a, b) => a.or(b).copied(),
    };
    while let Some(at) = next(i, j) {
        while r.get(i).is_some_and(|it| *it <= at) {
            i += 1;
        }
        while c.get(j).is_some_and(|it| *it <= at) {
            j += 1;
        }
        visit(at, (i as f64 / n - j as f64 / m).abs(), next(i, j));
    }
}

/// Returns the p-value that `scipy.stats.ks_2samp(method="asymp")` gives for statistic `d` at sizes `n` and `m`.
///
/// It is the finite Kolmogorov law at `round(n m / (n + m))`, half to even; `None` where that is 0.
///
/// ```
/// use refit_stats::distance::ks_p_asymptotic;
/// let p = ks_p_asymptotic(0.12, 200, 150).expect("large enough");
/// assert!((p - 0.15476222762561526).abs() < 1e-9);
/// assert_eq!(ks_p_asymptotic(1.0, 1, 1), None);
/// ```
pub fn ks_p_asymptotic(d: f64, n: usize, m: usize) -> Option<f64> {
    let size = effective_size(n, m)?.round_ties_even();
    (1.0 <= size && !d.is_nan()).then(|| two_sided_tail(size as u64, d))
}

/// Returns the limit law's p-value, `scipy.special.kolmogorov(d * sqrt(n m / (n + m)))`.
///
/// ```
/// use refit_stats::distance::ks_p_kolmogorov_limit;
/// let p = ks_p_kolmogorov_limit(0.12, 200, 150).expect("not empty");
/// assert!((p - 0.16930859894297043).abs() < 1e-12);
/// ```
pub fn ks_p_kolmogorov_limit(d: f64, n: usize, m: usize) -> Option<f64> {
    let size = effective_size(n, m)?;
    (!d.is_nan()).then(|| limit_tail(d * size.sqrt()))
}

/// Returns the exact p-value for continuous data, by counting lattice paths.
///
/// `None` if a sample is empty, or a size or the number of steps (the least common multiple of the sizes) is too large, as
/// in scipy.
///
/// ```
/// use refit_stats::distance::ks_p_exact;
/// let p = ks_p_exact(0.12, 200, 150).expect("small enough");
/// assert!((p - 0.15797547206963716).abs() < 1e-9);
/// ```
pub fn ks_p_exact(d: f64, n: usize, m: usize) -> Option<f64> {
    if n == 0 || m == 0 || EXACT_UP_TO < n.max(m) || !(0.0..=1.0).contains(&d) {
        return None;
    }
    let (longer, shorter) = (n.max(m), n.min(m));
    let divisor = greatest_common_divisor(longer, shorter);
    let steps = longer / divisor * shorter;
    // scipy's limit, there for the width of its integers, kept so that both answer for the same sizes.
    if i32::MAX as usize <= (longer / divisor) * (shorter / divisor) {
        return None;
    }
    let reach = (d * steps as f64).round_ties_even() as usize;
    if reach == 0 {
        return Some(1.0);
    }
    let p = if n == m { outside_square(n, reach) } else { outside_band(longer, shorter, divisor, reach) };
    // Rounding can pass 1 by a bit.
    Some(p.clamp(0.0, 1.0))
}

fn effective_size(n: usize, m: usize) -> Option<f64> {
    let (n, m) = (n as f64, m as f64);
    (0.0 < n && 0.0 < m).then(|| n * m / (n + m))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Share of paths in an n by n square that leave the diagonal by `reach` (reflection principle, as a Horner scheme).
fn outside_square(n: usize, reach: usize) -> f64 {
    let mut p = 0.0;
    for k in (0..=n / reach).rev() {
        let term: f64 =
            (0..reach).map(|j| (n as f64 - (k * reach) as f64 - j as f64) / (n + k * reach + j + 1) as f64).product();
        p = term * (1.0 - p);
    }
    2.0 * p
}

/// Share of paths from (0, 0) to (m, n) that touch the lines `|x n - y m| = reach * divisor`.
///
/// `column[y]` is that share for paths ending in (x, y): the mean over both predecessors, weighted by the number of paths
/// through each, and 1 outside the band. Nothing grows, so nothing is rescaled.
fn outside_band(m: usize, n: usize, divisor: usize, reach: usize) -> f64 {
    let (step_x, step_y) = (n / divisor, m / divisor);
    let is_outside = |x: usize, y: usize| reach <= (x * step_x).abs_diff(y * step_y);
    let mut column: Vec<f64> = (0..=n).map(|y| f64::from(is_outside(0, y))).collect();
    let mut first_inside = 0;
    for x in 1..=m {
        while first_inside <= n && first_inside * step_y < x * step_x && is_outside(x, first_inside) {
            column[first_inside] = 1.0;
            first_inside += 1;
        }
        for y in first_inside..=n {
            if is_outside(x, y) {
                break;
            }
            let from_below = if y == 0 { 0.0 } else { column[y - 1] };
            column[y] = (column[y] * x as f64 + from_below * y as f64) / (x + y) as f64;
        }
    }
    column[n]
}
