//! The law of the two-sided Kolmogorov statistic, finite and in the limit.
//!
//! No one algorithm is both fast and exact everywhere. R. Simard and P. L'Ecuyer, "Computing the Two-Sided
//! Kolmogorov-Smirnov Distribution", J. Stat. Softw. 39(11), 2011, say which to use where; the division here is scipy's, so
//! that values agree on both sides of every border, but for the matrix, which is left to samples for which nothing cheaper is as good. The borders are named
//! in [`two_sided_tail`].

use std::f64::consts::PI;

use crate::binomial::probability;

/// Results are rescaled by this when they pass it, before doubles overflow or underflow.
const BIG: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;

/// Binary exponent of [`BIG`].
const BIG_EXPONENT: i32 = 128;

/// Above this size the one-sided tail is taken from its asymptotic form, as scipy does.
const SMIRNOV_UP_TO: u64 = 1_000_000;

/// Returns `P(D_n >= x)`.
pub(super) fn two_sided_tail(n: u64, x: f64) -> f64 {
    let size = n as f64;
    let t = size * x;
    if 1.0 <= x {
        return 0.0;
    }
    if t <= 0.5 {
        return 1.0;
    }
    // Every branch is a probability up to rounding.
    let tail = if t <= 1.0 {
        1.0 - ruben_gambino(n, t)
    } else if size - 1.0 <= t {
        2.0 * (size * (-x).ln_1p()).exp()
    } else if 0.5 <= x {
        2.0 * one_sided_tail(n, x)
    } else if n <= 140 {
        small(n, x)
    } else {
        large(n, x)
    };
    tail.clamp(0.0, 1.0)
}

fn small(n: u64, x: f64) -> f64 {
    let spread = n as f64 * x * x;
    if spread <= 0.754_693 {
        1.0 - durbin_matrix(n, x)
    } else if spread <= 4.0 {
        1.0 - pomeranz(n as usize, x)
    } else {
        2.0 * one_sided_tail(n, x)
    }
}

fn large(n: u64, x: f64) -> f64 {
    let spread = n as f64 * x * x;
    if 370.0 <= spread {
        0.0
    } else if 2.2 <= spread {
        2.0 * one_sided_tail(n, x)
    } else {
        // The matrix has more rows the larger the sample is, and the series errs by less: above this size by 1e-12 at most, and where it is so small by less than
        // what is left of it beside 1.
        const MATRIX_UP_TO: u64 = 10_000;
        const NOTHING: f64 = 1e-18;
        let series = pelz_good(n as f64, x);
        let is_precise = MATRIX_UP_TO < n || series < NOTHING || 1.4 < n as f64 * x.powf(1.5);
        1.0 - if is_precise { series } else { durbin_matrix(n, x) }
    }
}

/// Returns `P(K >= z)` of the limit law.
pub(super) fn limit_tail(z: f64) -> f64 {
    if z <= 0.0 {
        return 1.0;
    }
    // Both series are exact; each converges in a few terms on its side of 0.82.
    let sum = if z < 0.82 {
        let q = -PI * PI / (8.0 * z * z);
        let theta: f64 = [1.0, 3.0, 5.0, 7.0, 9.0_f64].iter().map(|odd| (q * odd * odd).exp()).sum();
        1.0 - (2.0 * PI).sqrt() / z * theta
    } else {
        let term = |k: f64| (-2.0 * k * k * z * z).exp();
        2.0 * (term(1.0) - (term(2.0) - (term(3.0) - (term(4.0) - term(5.0)))))
    };
    sum.clamp(0.0, 1.0)
}

/// `n! / n^n (2t - 1)^n`, exact for `1/2 <= t <= 1`.
fn ruben_gambino(n: u64, t: f64) -> f64 {
    let size = n as f64;
    let base = 2.0 * t - 1.0;
    if n <= 140 {
        return (1..=n).map(|i| i as f64 / size * base).product();
    }
    let r = 1.0 / size;
    let stirling = r * (1.0 / 12.0 - r * r * (1.0 / 360.0 - r * r / 1260.0));
    (size.ln() / 2.0 - size + (2.0 * PI).ln() / 2.0 + stirling + size * base.ln()).exp()
}

/// Terms that a long sum is taken from: of as many and more, every so many-th.
const SAMPLED_TERMS: u64 = 2_048;

/// `P(D+_n >= x)`: the sum of Dwass, all terms positive, each a binomial probability.
///
/// A long sum is that of every h-th term times h. The terms are values of a smooth function that vanishes with all its derivatives at both ends, so the rule of
/// rectangles errs by its Fourier transform at one over the step: below `exp(-2 sqrt(pi s N))` of the sum for N terms and `s = n x^2`. Callers with so
/// many terms have an s of 2.2 at least, which is below the last bit.
fn one_sided_tail(n: u64, x: f64) -> f64 {
    let size = n as f64;
    if SMIRNOV_UP_TO < n {
        let z = 6.0 * size * x + 1.0;
        return (-z * z / (18.0 * size)).exp();
    }
    let last = ((size * (1.0 - x)).floor() as u64).min(n - 1);
    let step = (last / SAMPLED_TERMS).max(1);
    let sum: f64 = (step / 2..=last)
        .step_by(step as usize)
        .map(|v| {
            let mean_hits = v as f64 + size * x;
            let mean_misses = (n - v) as f64 - size * x;
            if mean_misses <= 0.0 { 0.0 } else { size * x / mean_hits * probability(v, n, mean_hits, mean_misses) }
        })
        .sum();
    step as f64 * sum
}

/// `P(D_n <= x)` by the power of a matrix: J. Durbin 1968; G. Marsaglia, W. W. Tsang, J. Wang 2003.
fn durbin_matrix(n: u64, x: f64) -> f64 {
    let t = n as f64 * x;
    let k = t.ceil() as usize;
    let h = k as f64 - t;
    let m = 2 * k - 1;
    let mut matrix = durbin_start(m, h);
    let center = (k - 1) * m + (k - 1);
    // Of the power, only the row that is asked for.
    let mut power: Vec<f64> = (0..m).map(|at| f64::from(at == k - 1)).collect();
    let (mut exponent, mut power_exponent) = (0, 0);
    let mut left = n;
    while 0 < left {
        if left % 2 == 1 {
            power = product(&power, &matrix, m);
            power_exponent += exponent;
            power_exponent += rescale(&mut power, k - 1);
        }
        matrix = product(&matrix, &matrix, m);
        exponent *= 2;
        exponent += rescale(&mut matrix, center);
        left /= 2;
    }
    let mut p = power[k - 1];
    for i in 1..=n {
        p *= i as f64 / n as f64;
        if p.abs() < 1.0 / BIG {
            p *= BIG;
            power_exponent -= BIG_EXPONENT;
        }
    }
    scaled(p, power_exponent)
}

fn durbin_start(m: usize, h: f64) -> Vec<f64> {
    let mut factorials = vec![1.0; m + 1];
    for i in 1..=m {
        factorials[i] = factorials[i - 1] / i as f64;
    }
    let mut edge: Vec<f64> = (1..=m).map(|i| (1.0 - h.powi(i as i32)) * factorials[i]).collect();
    let corner = (2.0 * h - 1.0).max(0.0).powi(m as i32) - 2.0 * h.powi(m as i32);
    edge[m - 1] = (1.0 + corner) * factorials[m];
    let mut matrix = vec![0.0; m * m];
    for row in 0..m {
        for column in 1..(row + 2).min(m) {
            matrix[row * m + column] = factorials[row + 1 - column];
        }
        matrix[row * m] = edge[row];
    }
    for column in 0..m {
        matrix[(m - 1) * m + column] = edge[m - 1 - column];
    }
    matrix
}

/// Some rows of `m` times a matrix.
fn product(a: &[f64], b: &[f64], m: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    for (row, target) in out.chunks_exact_mut(m).enumerate() {
        for (inner, source) in b.chunks_exact(m).enumerate() {
            let factor = a[row * m + inner];
            if factor != 0.0 {
                for (sum, it) in target.iter_mut().zip(source) {
                    *sum += factor * it;
                }
            }
        }
    }
    out
}

fn rescale(matrix: &mut [f64], center: usize) -> i32 {
    if matrix[center].abs() <= BIG {
        return 0;
    }
    for it in matrix {
        *it /= BIG;
    }
    BIG_EXPONENT
}

/// `P(D_n <= x)` by J. Pomeranz's recursion, 1974: a convolution with one of three Poisson-like rows for each half step.
fn pomeranz(n: usize, x: f64) -> f64 {
    let t = n as f64 * x;
    let whole = t.floor() as usize;
    let fraction = t - t.floor();
    let g = fraction.min(1.0 - fraction);
    let powers = |rate: f64| {
        let mut row = vec![1.0; 2 * (whole + 1)];
        for at in 1..row.len() {
            row[at] = row[at - 1] * rate / at as f64;
        }
        row
    };
    let size = n as f64;
    let (outer, odd, even) = (powers(g / size), powers(2.0 * g / size), powers((1.0 - 2.0 * g) / size));
    let bounds = |i: usize| pomeranz_bounds(i as i64, n as i64, whole as i64, fraction);
    let (mut start, _) = bounds(0);
    let mut row = vec![1.0];
    let mut exponent = 0;
    for i in 1..2 * n + 2 {
        let factors = if i == 1 || i == 2 * n + 1 {
            &outer
        } else if i % 2 == 1 {
            &odd
        } else {
            &even
        };
        let (low, high) = bounds(i);
        row = (low..=high)
            .map(|j| {
                let terms = row.iter().enumerate().take_while(|(at, _)| start + at <= j);
                terms.map(|(at, it)| it * factors.get(j - start - at).copied().unwrap_or(0.0)).sum()
            })
            .collect();
        start = low;
        let largest = row.iter().copied().fold(0.0, f64::max);
        if 0.0 < largest && largest < 1.0 / BIG {
            row.iter_mut().for_each(|it| *it *= BIG);
            exponent -= BIG_EXPONENT;
        }
    }
    let mut p = n.checked_sub(start).and_then(|at| row.get(at)).copied().unwrap_or(0.0);
    for i in 1..=n {
        if BIG < p.abs() {
            p /= BIG;
            exponent += BIG_EXPONENT;
        }
        p *= i as f64;
    }
    scaled(p, exponent)
}

/// First and last column of row `i` that can be nonzero.
fn pomeranz_bounds(i: i64, n: i64, whole: i64, fraction: f64) -> (usize, usize) {
    let (up, round) = (i64::from(0.0 < fraction), i64::from(0.5 < fraction));
    let half = (i + 1) / 2;
    let (low, high) = if i == 0 {
        (-whole - up - 1, whole + up - 1)
    } else if (i + 1) % 2 == 1 {
        (half - 2 - whole, half - 1 + whole + round)
    } else if half == n + 1 {
        (n - whole - up - 1, n + whole + up - 1)
    } else {
        (half - 2 - whole - round, half - 2 + whole + up)
    };
    ((low + 2).max(0) as usize, high.min(n).max(0) as usize)
}

/// `P(D_n <= x)` to the order `n^(-3/2)`: W. Pelz and I. J. Good, 1976, in the form for small arguments.
fn pelz_good(n: f64, x: f64) -> f64 {
    let z = n.sqrt() * x;
    let (z2, z3, z4, z6) = (z * z, z.powi(3), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI * PI, PI.powi(4), PI.powi(6));
    let log_q = -pi2 / 8.0 / z2;
    if log_q < -708.0 {
        return 0.0;
    }
    let mut k = [0.0; 4];
    let last = (16.0 * z / PI).ceil() as u32;
    for odd in (1..=last).rev().map(|it| f64::from(2 * it - 1)) {
        let (m2, m4, m6) = (odd * odd, odd.powi(4), odd.powi(6));
        let q = (log_q * m2).exp();
        k[0] += q;
        k[1] += q * (-z2 + pi2 / 4.0 * m2);
        k[2] += q * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4);
        k[3] += q
            * (-30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * m4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * m6);
    }
    let root = (2.0 * PI).sqrt();
    let scale = [z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)];
    for (sum, by) in k.iter_mut().zip(scale) {
        *sum *= root / by;
    }
    for at in (1..=last).rev().map(f64::from) {
        let q = (4.0 * log_q * at * at).exp() * at * at;
        k[2] += q * pi2 * root / (-36.0 * z3);
        k[3] += q * (3.0 * z2 - pi2 * at * at) * pi2 * root / (216.0 * z6);
    }
    k[0] + k[1] / n.sqrt() + k[2] / n + k[3] / (n * n.sqrt())
}

/// `p * 2^exponent`, in steps that do not overflow on the way.
fn scaled(p: f64, exponent: i32) -> f64 {
    let step = if exponent < 0 { 1.0 / BIG } else { BIG };
    (0..exponent.abs() / BIG_EXPONENT).fold(p, |it, _| it * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_as_good_as_the_matrix_where_it_takes_its_place() {
        for n in [10_001_u64, 12_345, 17_500] {
            let last = (1.4 / n as f64).powf(2.0 / 3.0);
            for share in [0.5, 0.7, 0.8, 0.9, 0.95, 1.0] {
                let (series, matrix) = (pelz_good(n as f64, last * share), durbin_matrix(n, last * share));
                assert!((series - matrix).abs() < 1e-12, "{n} {share}: {series} {matrix}");
            }
        }
        for n in [141, 500, 3000, 9999] {
            for t in (2..40).map(f64::from) {
                let (series, matrix) = (pelz_good(n as f64, t / n as f64), durbin_matrix(n, t / n as f64));
                if series < 1e-18 {
                    assert_eq!(1.0 - matrix, 1.0, "{n} {t}");
                }
            }
        }
    }
}
