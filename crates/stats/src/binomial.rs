//! The binomial law to full precision, and draws from it.
//!
//! Loader's saddle-point form keeps fifteen digits where a difference of log-gammas would keep ten; the Kolmogorov law and
//! Fisher's test are sums of these terms. C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000.

use rand_core::Rng;

/// `ln(2 * pi)`.
const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// 2^-53: the spacing of the uniform draws.
const ULP: f64 = 1.0 / 9_007_199_254_740_992.0;

/// Returns the probability of `hits` among `trials`, given the expected hits and the expected misses.
///
/// The two expectations are separate arguments because a caller often knows the small one exactly.
pub(crate) fn probability(hits: u64, trials: u64, mean_hits: f64, mean_misses: f64) -> f64 {
    let misses = trials - hits;
    if mean_hits <= 0.0 {
        return if hits == 0 { 1.0 } else { 0.0 };
    }
    if mean_misses <= 0.0 {
        return if misses == 0 { 1.0 } else { 0.0 };
    }
    let n = trials as f64;
    if hits == 0 {
        return all_or_nothing(n, mean_hits, mean_misses).exp();
    }
    if misses == 0 {
        return all_or_nothing(n, mean_misses, mean_hits).exp();
    }
    let (x, y) = (hits as f64, misses as f64);
    let exponent = stirling_error(trials)
        - stirling_error(hits)
        - stirling_error(misses)
        - deviance(x, mean_hits)
        - deviance(y, mean_misses);
    (exponent - 0.5 * (LN_2PI + x.ln() + (y / n).ln())).exp()
}

/// Logarithm of `(1 - absent / n)^n`, by the smaller of the two shares.
fn all_or_nothing(n: f64, absent: f64, present: f64) -> f64 {
    if absent < present { n * (-absent / n).ln_1p() } else { n * (present / n).ln() }
}

/// Returns the error of Stirling's formula, `ln(n!) - ln(sqrt(2 pi n) (n/e)^n)`.
fn stirling_error(n: u64) -> f64 {
    if n < 16 {
        let n_factorial: f64 = (1..=n).map(|it| it as f64).product();
        let x = n as f64;
        return if n == 0 { 0.0 } else { n_factorial.ln() - 0.5 * (LN_2PI + x.ln()) - x * x.ln() + x };
    }
    let x = n as f64;
    let square = x * x;
    (1.0 / 12.0
        - (1.0 / 360.0
            - (1.0 / 1260.0 - (1.0 / 1680.0 - (1.0 / 1188.0 - 691.0 / 360_360.0 / square) / square) / square) / square)
            / square)
        / x
}

/// Returns `x ln(x / mean) + mean - x` without cancellation where the two are close.
fn deviance(x: f64, mean: f64) -> f64 {
    if 0.1 * (x + mean) <= (x - mean).abs() {
        return x * (x / mean).ln() + mean - x;
    }
    let ratio = (x - mean) / (x + mean);
    let mut sum = (x - mean) * ratio;
    let mut term = 2.0 * x * ratio;
    // The ratio is below 0.1, so each term is a hundredth of the one before and sixteen reach the last bit.
    for power in 1..16 {
        term *= ratio * ratio;
        let next = sum + term / f64::from(2 * power + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// Returns a uniform draw from [0, 1).
pub(crate) fn uniform(rng: &mut dyn Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * ULP
}

/// Returns a uniform draw from `0..bound`, without bias (Lemire's multiplication with rejection).
pub(crate) fn index(rng: &mut dyn Rng, bound: usize) -> usize {
    let bound = bound as u64;
    let reject_below = bound.wrapping_neg() % bound;
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(bound);
        if reject_below <= wide as u64 {
            return (wide >> 64) as usize;
        }
    }
}

/// Draws the number of hits among `trials` of probability `p`, by inversion outward from the mode.
///
/// The expected work is the standard deviation of the count, so it stays cheap at millions of trials.
pub(crate) fn draw(rng: &mut dyn Rng, trials: u64, p: f64) -> u64 {
    if trials == 0 || p <= 0.0 {
        return 0;
    }
    if 1.0 <= p {
        return trials;
    }
    let n = trials as f64;
    let mode = (((n + 1.0) * p) as u64).min(trials);
    let at_mode = probability(mode, trials, n * p, n * (1.0 - p));
    let odds = p / (1.0 - p);
    let mut left = uniform(rng) - at_mode;
    let (mut low, mut high) = (mode, mode);
    let (mut p_low, mut p_high) = (at_mode, at_mode);
    while 0.0 <= left {
        if high < trials {
            p_high *= (trials - high) as f64 / (high + 1) as f64 * odds;
            high += 1;
            left -= p_high;
            if left < 0.0 {
                return high;
            }
        }
        if 0 < low {
            p_low *= low as f64 / (trials - low + 1) as f64 / odds;
            low -= 1;
            left -= p_low;
            if left < 0.0 {
                return low;
            }
        }
        // Rounding can leave a draw of nearly 1 unspent; both tails are then exhausted or below one bit.
        if p_low < f64::MIN_POSITIVE && p_high < f64::MIN_POSITIVE || low == 0 && high == trials {
            return mode;
        }
    }
    mode
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::{draw, index, probability};

    #[test]
    fn probabilities_sum_to_one() {
        for (trials, p) in [(1, 0.5), (7, 0.3), (100, 0.01), (1000, 0.6), (20_000, 0.5)] {
            let n = trials as f64;
            let sum: f64 = (0..=trials).map(|hits| probability(hits, trials, n * p, n * (1.0 - p))).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{trials} {p}: {sum}");
        }
    }

    #[test]
    fn probability_matches_the_closed_form() {
        // 10 choose 3 / 2^10
        assert!((probability(3, 10, 5.0, 5.0) - 120.0 / 1024.0).abs() < 1e-15);
    }

    #[test]
    fn draws_have_the_mean_and_variance_of_the_law() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (trials, p) in [(50_u64, 0.1), (5000, 0.7)] {
            let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut rng, trials, p) as f64).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / 20_000.0;
            let n = trials as f64;
            assert!((mean - n * p).abs() < 4.0 * (n * p * (1.0 - p) / 20_000.0).sqrt());
            assert!((variance / (n * p * (1.0 - p)) - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn indices_cover_the_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut seen = [0; 7];
        for _ in 0..7000 {
            seen[index(&mut rng, 7)] += 1;
        }
        assert!(seen.iter().all(|it| 850 < *it && *it < 1150), "{seen:?}");
    }
}
