//! What the Population Stability Index is when nothing drifted.
//!
//! At 50 rows against 50 in ten bins its mean without drift is 0.45, far above the usual threshold of 0.2: small windows need the null
//! distribution, not a fixed limit. It is found by drawing both rows of counts from their pooled proportions.

use rand_core::Rng;

use super::{CountPair, Sample};
use crate::binomial::draw;

/// Returns the `level` quantile of [`psi_null`].
///
/// `None` as there, or if `level` is outside [0, 1].
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::distance::psi_null_quantile;
/// let mut rng = ChaCha8Rng::seed_from_u64(7);
/// let small = psi_null_quantile(&[5; 10], &[5; 10], 0.99, 500, &mut rng).expect("counts");
/// let large = psi_null_quantile(&[5000; 10], &[5000; 10], 0.99, 500, &mut rng).expect("counts");
/// assert!(0.2 < small && large < 0.01);
/// ```
pub fn psi_null_quantile(
    reference: &[u64],
    current: &[u64],
    level: f64,
    n_replicates: usize,
    rng: &mut dyn Rng,
) -> Option<f64> {
    psi_null(reference, current, n_replicates, rng)?.quantile(level)
}

/// Draws the index as it is when both rows of counts come from their pooled proportions.
///
/// Each of `n_replicates` draws a reference and a window of the given sizes. `None` if the rows cannot be paired, or there are
/// no replicates. The window's size is what it is: an index of 50 rows against many averages 0.2, of 50 against 50 about 0.5.
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::distance::psi_null;
/// let mut rng = ChaCha8Rng::seed_from_u64(7);
/// let null = psi_null(&[100; 10], &[100; 10], 500, &mut rng).expect("counts");
/// assert!((null.mean() / (9.0 * 2.0 / 1000.0) - 1.0).abs() < 0.1);
/// ```
pub fn psi_null(reference: &[u64], current: &[u64], n_replicates: usize, rng: &mut dyn Rng) -> Option<Sample> {
    CountPair::new(reference, current).ok()?;
    let pooled: Vec<u64> = reference.iter().zip(current).map(|(r, c)| r + c).collect();
    let (n, m) = (reference.iter().sum(), current.iter().sum());
    let mut values = Vec::with_capacity(n_replicates);
    for _ in 0..n_replicates {
        let pair = CountPair::new(&multinomial(rng, n, &pooled), &multinomial(rng, m, &pooled)).ok()?;
        values.push(pair.psi());
    }
    Sample::from_finite(values)
}

/// Draws `n` rows into bins weighted by `weights`, one binomial for each bin.
fn multinomial(rng: &mut dyn Rng, n: u64, weights: &[u64]) -> Vec<u64> {
    let (mut rows, mut weight) = (n, weights.iter().sum::<u64>());
    let mut counts = Vec::with_capacity(weights.len());
    for it in weights {
        let share = if weight == 0 { 0.0 } else { *it as f64 / weight as f64 };
        let drawn = draw(rng, rows, share);
        counts.push(drawn);
        rows -= drawn;
        weight -= it;
    }
    counts
}
