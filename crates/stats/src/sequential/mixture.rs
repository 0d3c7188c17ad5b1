//! Tests and intervals that stay valid however often one looks.

use serde::{Deserialize, Serialize};

/// The mixture sequential probability ratio test for a normal mean of known variance.
///
/// Values are `N(theta, sigma2)`; the hypothesis is `theta = theta0`, the alternative is mixed over `theta ~ N(theta0, tau2)`.
/// Under the hypothesis the chance that [`NormalMixture::always_valid_p`] ever falls to `alpha` is at most `alpha`, whenever
/// one looks and stops (Ville's inequality). H. Robbins, 1970; R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always Valid
/// Inference", 2015. A value that is not finite is left out.
///
/// For rates and means of unknown variance use [`AsymptoticMean`].
///
/// ```
/// use refit_stats::sequential::NormalMixture;
/// let mut test = NormalMixture::new(1.0, 0.05, 0.0).expect("variances");
/// for _ in 0..100 {
///     test.add(0.5);
/// }
/// assert!(test.always_valid_p() < 0.001);
/// let (low, high) = test.interval(0.05).expect("values");
/// assert!(0.0 < low && low < 0.5 && 0.5 < high);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalMixture {
    sigma2: f64,
    tau2: f64,
    theta0: f64,
    count: u64,
    sum: f64,
    /// The largest logarithm of the likelihood ratio so far, at least 0.
    most: f64,
}

impl NormalMixture {
    /// A test with values of variance `sigma2` and effects of variance `tau2`; `None` unless both are above 0 and finite, and
    /// `theta0` is finite.
    pub fn new(sigma2: f64, tau2: f64, theta0: f64) -> Option<Self> {
        let is_variance = |it: f64| 0.0 < it && it.is_finite();
        (is_variance(sigma2) && is_variance(tau2) && theta0.is_finite()).then_some(Self {
            sigma2,
            tau2,
            theta0,
            count: 0,
            sum: 0.0,
            most: 0.0,
        })
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.count += 1;
            self.sum += value - self.theta0;
            self.most = self.most.max(self.log_lambda());
        }
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the logarithm of the mixture likelihood ratio at this moment; 0 before the first value.
    pub fn log_lambda(&self) -> f64 {
        let spread = self.sigma2 + self.count as f64 * self.tau2;
        0.5 * (self.sigma2 / spread).ln() + self.tau2 * self.sum * self.sum / (2.0 * self.sigma2 * spread)
    }

    /// Returns the p-value, which only falls: the least of all looks so far.
    pub fn always_valid_p(&self) -> f64 {
        (-self.most).exp().min(1.0)
    }

    /// Tells whether the hypothesis is given up at `alpha` at this moment, which is when [`NormalMixture::interval`] leaves
    /// `theta0` out. The one that counts is the first.
    pub fn rejects(&self, alpha: f64) -> bool {
        -alpha.ln() <= self.log_lambda()
    }

    /// Returns the confidence sequence's interval of the mean: all of them together cover it with probability `1 - alpha`.
    ///
    /// `None` before the first value, or unless `alpha` is in (0, 1).
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        if self.count == 0 || !(0.0 < alpha && alpha < 1.0) {
            return None;
        }
        let n = self.count as f64;
        let spread = self.sigma2 + n * self.tau2;
        let reach = (self.sigma2 * spread / (n * n * self.tau2) * (spread / (self.sigma2 * alpha * alpha)).ln()).sqrt();
        let mean = self.theta0 + self.sum / n;
        Some((mean - reach, mean + reach))
    }
}

/// An asymptotic confidence sequence of a mean of unknown variance: rates, errors, losses.
///
/// I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic
/// confidence sequences", 2103.06476, theorem 2.2. Whenever one looks from the burn-in on, all intervals together cover the
/// mean with probability about `1 - alpha`: the guarantee is that of the central limit theorem, so the burn-in must be long
/// enough for it (30 for values that are nearly normal, some `10 / rate` for rare events). A value that is not finite is left
/// out.
///
/// ```
/// use refit_stats::sequential::AsymptoticMean;
/// let mut errors = AsymptoticMean::new(0.05, 500, 30).expect("level");
/// for row in 0..1_000 {
///     errors.add(f64::from(row % 5 == 0));
/// }
/// let (low, high) = errors.interval().expect("beyond the burn-in");
/// assert!(0.14 < low && low < 0.2 && 0.2 < high && high < 0.26);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsymptoticMean {
    alpha: f64,
    rho2: f64,
    burn_in: u64,
    count: u64,
    mean: f64,
    squares: f64,
}

impl AsymptoticMean {
    /// A sequence of level `alpha`, narrowest at about `best_at` values, that says nothing before `burn_in` values.
    ///
    /// `None` unless `alpha` is in (0, 1) and `best_at` is at least 1.
    pub fn new(alpha: f64, best_at: u64, burn_in: u64) -> Option<Self> {
        if !(0.0 < alpha && alpha < 1.0) || best_at == 0 {
            return None;
        }
        // The paper's choice: nearly the narrowest at that time.
        let level = -2.0 * alpha.ln();
        let rho2 = (level + level.ln_1p()) / best_at as f64;
        Some(Self { alpha, rho2, burn_in, count: 0, mean: 0.0, squares: 0.0 })
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.count += 1;
            let before = value - self.mean;
            self.mean += before / self.count as f64;
            self.squares += before * (value - self.mean);
        }
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean; `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        (0 < self.count).then_some(self.mean)
    }

    /// Returns the interval at this moment; `None` before the burn-in, or while all values are the same.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let variance = self.squares / (self.count.max(1) as f64);
        if self.count < self.burn_in.max(2) || variance <= 0.0 {
            return None;
        }
        let t = self.count as f64;
        let spread = t * self.rho2 + 1.0;
        let reach = (variance * 2.0 * spread / (t * t * self.rho2) * (spread.sqrt() / self.alpha).ln()).sqrt();
        Some((self.mean - reach, self.mean + reach))
    }
}
