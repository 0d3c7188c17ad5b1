//! Tails and quantiles of the laws that tests need, where `statrs` is exact, and by other ways where it is not.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;

use crate::binomial::probability;

/// Above so many degrees of freedom `statrs`' continued fraction stops before it has converged.
const FRACTION_UP_TO: f64 = 10_000.0;

/// Bisections of the unit interval: more would not change a double.
const BISECTIONS: usize = 200;

/// Returns `P(Z >= z)` of the standard normal law, to full relative precision in the far tail.
pub(crate) fn normal_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// Returns the two-sided p-value of a standard normal statistic.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    (2.0 * normal_tail(z.abs())).min(1.0)
}

/// Returns the quantile of the standard normal law.
pub(crate) fn normal_quantile(level: f64) -> f64 {
    Normal::standard().inverse_cdf(level)
}

/// Returns `P(T >= t)` of Student's law.
pub(crate) fn student_tail(t: f64, degrees_of_freedom: f64) -> f64 {
    let v = degrees_of_freedom;
    let upper = if FRACTION_UP_TO < v {
        // G. W. Hill, "Algorithm 395: Student's t-distribution", 1970: its error is below 1e-12 from here on.
        let a = v - 0.5;
        let b = 48.0 * a * a;
        let z = (a * (t * t / v).ln_1p()).sqrt();
        let z2 = z * z;
        let corrected = z + (z2 + 3.0) * z / b
            - (((4.0 * z2 + 33.0) * z2 + 240.0) * z2 + 855.0) * z / (10.0 * b * (b + 0.8 * z2 * z2 + 100.0));
        normal_tail(corrected)
    } else {
        0.5 * beta_reg(v / 2.0, 0.5, (v / (v + t * t)).clamp(0.0, 1.0))
    };
    if t < 0.0 { 1.0 - upper } else { upper }
}

/// Returns the `t` with `P(|T| >= t) = alpha` of Student's law, for `alpha` in (0, 1).
pub(crate) fn student_two_sided_quantile(alpha: f64, degrees_of_freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while alpha < 2.0 * student_tail(high, degrees_of_freedom) && high < f64::MAX / 2.0 {
        low = high;
        high *= 2.0;
    }
    bisect(low, high, |t| alpha < 2.0 * student_tail(t, degrees_of_freedom))
}

/// Returns `P(X >= hits)` of the binomial law.
pub(crate) fn binomial_upper(hits: u64, trials: u64, p: f64) -> f64 {
    let mean = trials as f64 * p;
    if hits as f64 <= mean {
        return if hits == 0 { 1.0 } else { (1.0 - binomial_sum(hits - 1, 0, trials, p)).max(0.0) };
    }
    binomial_sum(hits, trials, trials, p)
}

/// Returns `P(X <= hits)` of the binomial law.
pub(crate) fn binomial_lower(hits: u64, trials: u64, p: f64) -> f64 {
    binomial_upper(trials - hits, trials, 1.0 - p)
}

/// Sums the terms from `from` away from the mean to `to`, until they no longer count.
fn binomial_sum(from: u64, to: u64, trials: u64, p: f64) -> f64 {
    let n = trials as f64;
    let of = |hits: u64| probability(hits, trials, n * p, n * (1.0 - p));
    let mut sum = 0.0;
    let mut at = from;
    loop {
        let term = of(at);
        sum += term;
        if at == to || term <= sum * f64::EPSILON * 1e-3 {
            return sum.min(1.0);
        }
        at = if from < to { at + 1 } else { at - 1 };
    }
}

/// Returns where `is_below` turns from true to false between `low` and `high`.
pub(crate) fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..BISECTIONS {
        let middle = low + (high - low) / 2.0;
        if middle <= low || high <= middle {
            break;
        }
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

#[cfg(test)]
mod tests {
    use super::{
        binomial_lower, binomial_upper, normal_quantile, normal_tail, student_tail, student_two_sided_quantile,
    };

    #[track_caller]
    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() <= 1e-9 * expected.abs(), "{ours} {expected}");
    }

    /// Values of `scipy.stats.norm`, `t` and `binom`, scipy 1.17.1.
    #[test]
    fn tails_agree_with_scipy() {
        close(normal_tail(1.0), 0.158_655_253_931_457_07);
        close(normal_tail(30.0), 4.906_713_927_147_908e-198);
        close(normal_quantile(0.975), 1.959_963_984_540_054);
        close(student_tail(2.5, 4.0), 0.033_383_272_405_994_07);
        close(student_tail(-2.5, 4.0), 1.0 - 0.033_383_272_405_994_07);
        close(student_two_sided_quantile(0.05, 1.0), 12.706_204_736_174_693);
        close(student_two_sided_quantile(0.05, 59.0), 2.000_995_378_088_267);
        close(student_tail(2.0, 20_000.0), 0.022_756_880_979_249_966);
        close(student_tail(6.0, 1e6), 9.869_249_061_772_15e-10);
        close(student_tail(5.0, 12_000.0), 2.907_009_524_869_435_6e-7);
        close(binomial_upper(7, 10, 0.5), 0.171_875);
        close(binomial_lower(3, 10, 0.5), 0.171_875);
        close(binomial_upper(0, 10, 0.5), 1.0);
    }

    #[test]
    fn the_series_for_many_degrees_of_freedom_meets_the_fraction() {
        for t in [0.3, 1.0, 2.0, 4.0, 8.0, 20.0] {
            close(student_tail(t, 10_000.000_001), student_tail(t, 10_000.0));
        }
    }
}
