//! Distances between two rows of counts over the same bins or categories.

use crate::sum::{pairwise, pairwise_by};

/// A proportion below this is taken as this in the Population Stability Index and relative entropies.
///
/// An empty bin would make them infinite; one ten-thousandth is the custom, and proportions are not renormalized after.
pub const PROPORTION_FLOOR: f64 = 1e-4;

/// Why two rows of counts cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountsError {
    /// The rows are over different bins.
    #[error("{reference} reference bins do not pair with {current} current bins")]
    LengthDiffers {
        /// Bins of the reference.
        reference: usize,
        /// Bins of the current window.
        current: usize,
    },
    /// The reference counts nothing.
    #[error("the reference is empty")]
    EmptyReference,
    /// The current window counts nothing.
    #[error("the current window is empty")]
    EmptyCurrent,
}

/// Counts of a reference and of a current window over the same bins, neither of them empty.
///
/// ```
/// use refit_stats::distance::CountPair;
/// let same = CountPair::new(&[50, 50], &[500, 500])?;
/// assert_eq!(same.psi(), 0.0);
/// let moved = CountPair::new(&[50, 50], &[30, 70])?;
/// assert!((moved.psi() - 0.2 * (0.7_f64 / 0.3).ln()).abs() < 1e-12);
/// assert!((moved.tvd() - 0.2).abs() < 1e-12);
/// # Ok::<(), refit_stats::distance::CountsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CountPair {
    /// Proportions of the reference; they sum to 1 and pair with `current`.
    reference: Vec<f64>,
    /// Proportions of the current window; they sum to 1.
    current: Vec<f64>,
}

impl CountPair {
    /// Pairs two rows of counts.
    ///
    /// # Errors
    /// When the rows differ in length or one counts nothing.
    pub fn new(reference: &[u64], current: &[u64]) -> Result<Self, CountsError> {
        if reference.len() != current.len() {
            return Err(CountsError::LengthDiffers { reference: reference.len(), current: current.len() });
        }
        Ok(Self {
            reference: proportions(reference).ok_or(CountsError::EmptyReference)?,
            current: proportions(current).ok_or(CountsError::EmptyCurrent)?,
        })
    }

    /// Returns the Population Stability Index, with proportions floored at [`PROPORTION_FLOOR`].
    pub fn psi(&self) -> f64 {
        self.sum(|p, q| {
            let (p, q) = (p.max(PROPORTION_FLOOR), q.max(PROPORTION_FLOOR));
            (q - p) * (q / p).ln()
        })
    }

    /// Returns the entropy of the current window relative to the reference, in nats, of floored proportions.
    pub fn kl_current_reference(&self) -> f64 {
        relative_entropy(&self.current, &self.reference)
    }

    /// Returns the entropy of the reference relative to the current window, in nats, of floored proportions.
    pub fn kl_reference_current(&self) -> f64 {
        relative_entropy(&self.reference, &self.current)
    }

    /// Returns the Jensen-Shannon distance (a square root) in base 2: 0 when equal, 1 when disjoint.
    pub fn js_distance_base2(&self) -> f64 {
        self.js_divergence_bits().sqrt()
    }

    /// Returns the Jensen-Shannon distance (a square root) in base e.
    pub fn js_distance_nats(&self) -> f64 {
        self.js_divergence_nats().sqrt()
    }

    /// Returns the Jensen-Shannon divergence in bits, the square of [`CountPair::js_distance_base2`].
    pub fn js_divergence_bits(&self) -> f64 {
        self.js_divergence_nats() / std::f64::consts::LN_2
    }

    /// Returns the Hellinger distance.
    pub fn hellinger(&self) -> f64 {
        (self.sum(|p, q| (p.sqrt() - q.sqrt()) * (p.sqrt() - q.sqrt())) / 2.0).sqrt()
    }

    /// Returns the total variation distance.
    pub fn tvd(&self) -> f64 {
        self.sum(|p, q| (p - q).abs()) / 2.0
    }

    /// Returns the largest difference of a proportion.
    pub fn l_infinity(&self) -> f64 {
        self.reference.iter().zip(&self.current).fold(0.0, |most, (p, q)| most.max((p - q).abs()))
    }

    fn js_divergence_nats(&self) -> f64 {
        self.sum(jensen_shannon_term).max(0.0) / 2.0
    }

    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> f64 {
        pairwise_by(self.reference.len(), &|at| term(self.reference[at], self.current[at]))
    }
}

fn proportions(counts: &[u64]) -> Option<Vec<f64>> {
    let total: u64 = counts.iter().sum();
    (0 < total).then(|| counts.iter().map(|it| *it as f64 / total as f64).collect())
}

/// `scipy.stats.entropy(p, q)` of floored proportions: each is made to sum to 1 again.
fn relative_entropy(p: &[f64], q: &[f64]) -> f64 {
    let floored = |row: &[f64]| {
        let row: Vec<f64> = row.iter().map(|it| it.max(PROPORTION_FLOOR)).collect();
        let total = pairwise(&row);
        row.into_iter().map(|it| it / total).collect::<Vec<f64>>()
    };
    let (p, q) = (floored(p), floored(q));
    // Gibbs: never negative, so a rounding below 0 is 0.
    pairwise_by(p.len(), &|at| p[at] * (p[at] / q[at]).ln()).max(0.0)
}

/// `p ln(p/m) + q ln(q/m)` with `m` the mean, which is never negative.
fn jensen_shannon_term(p: f64, q: f64) -> f64 {
    let whole = p + q;
    if whole == 0.0 {
        return 0.0;
    }
    let skew = (p - q) / whole;
    let square = skew * skew;
    let bracket = if square < 1e-4 {
        // (1+d) ln(1+d) + (1-d) ln(1-d) loses half its digits for small d; the series to d^12 does not.
        square * (1.0 + square * (1.0 / 6.0 + square * (1.0 / 15.0 + square * (1.0 / 28.0 + square / 45.0))))
    } else {
        x_ln_x(1.0 + skew) + x_ln_x(1.0 - skew)
    };
    whole / 2.0 * bracket
}

fn x_ln_x(x: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { x * x.ln() }
}

#[cfg(test)]
mod tests {
    use super::{CountPair, CountsError, jensen_shannon_term};

    #[test]
    fn empty_sides_are_refused() {
        assert_eq!(CountPair::new(&[0, 0], &[1, 0]), Err(CountsError::EmptyReference));
        assert_eq!(CountPair::new(&[1, 0], &[0, 0]), Err(CountsError::EmptyCurrent));
        assert_eq!(CountPair::new(&[1], &[1, 0]), Err(CountsError::LengthDiffers { reference: 1, current: 2 }));
    }

    #[test]
    fn the_series_meets_the_logarithms() {
        let (below, above) = (jensen_shannon_term(0.504_999, 0.495_001), jensen_shannon_term(0.505_001, 0.494_999));
        assert!((above / below - 1.000_8).abs() < 1e-6, "{below} {above}");
    }
}
