//! Bins fitted on a reference, into which any window can be counted.
//!
//! A bin is open on the left and closed on the right, and the outer two are unbounded, so every finite value has exactly
//! one bin. (`numpy.histogram` closes the left; on tied data the two differ.)

use super::Sample;

/// Why edges do not make bins.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BinsError {
    /// An edge is NaN.
    #[error("edge {at} is not a number")]
    NotANumber {
        /// 0-based position.
        at: usize,
    },
    /// An edge does not exceed the one before.
    #[error("edge {at} does not exceed the one before")]
    NotRising {
        /// 0-based position.
        at: usize,
    },
}

/// Edges of bins `(-inf, e1], (e1, e2], ..., (ek, inf)`.
///
/// ```
/// use refit_stats::distance::{Bins, Sample};
/// let reference = Sample::from_finite((1..=100).map(f64::from).collect()).expect("finite");
/// let bins = Bins::deciles(&reference);
/// assert_eq!(bins.counts(reference.values()), [10; 10]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// Strictly rising, none NaN. Infinite only where equal widths of a range near the largest double overflow.
    edges: Vec<f64>,
}

impl Bins {
    /// Makes bins of stored edges.
    ///
    /// # Errors
    /// When an edge is NaN or does not exceed the one before.
    pub fn from_edges(edges: Vec<f64>) -> Result<Self, BinsError> {
        if let Some(at) = edges.iter().position(|it| it.is_nan()) {
            return Err(BinsError::NotANumber { at });
        }
        if let Some(at) = edges.windows(2).position(|pair| pair[1] <= pair[0]) {
            return Err(BinsError::NotRising { at: at + 1 });
        }
        Ok(Self { edges })
    }

    /// Fits bins at the distinct deciles of the reference.
    ///
    /// With ties there are fewer than ten; a constant gives two.
    pub fn deciles(reference: &Sample) -> Self {
        let levels = (1..=9).map(|tenth| f64::from(tenth) / 10.0);
        Self::distinct(levels.filter_map(|level| reference.quantile(level)).collect())
    }

    /// Fits twenty bins of equal width over the range of the reference; `None` for a constant, which has no range.
    ///
    /// Fewer come out when the range is too small for twenty distinct doubles.
    pub fn equal_width(reference: &Sample) -> Option<Self> {
        Self::equal_width_between(reference.min(), reference.max())
    }

    /// The same from the range alone.
    pub(crate) fn equal_width_between(low: f64, high: f64) -> Option<Self> {
        if low == high {
            return None;
        }
        let range = high - low;
        Some(Self { edges: (1..=19).map(|k| low + range * f64::from(k) / 20.0).collect() })
    }

    fn distinct(mut edges: Vec<f64>) -> Self {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        Self { edges }
    }

    /// Returns the edges, rising.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Returns the number of bins.
    pub fn n_bins(&self) -> usize {
        self.edges.len() + 1
    }

    /// Counts the values of a sample into the bins, by bisection.
    pub fn counts_of(&self, sample: &Sample) -> Vec<u64> {
        let values = sample.values();
        let mut below = 0;
        let ends = self.edges.iter().map(|edge| values.partition_point(|it| it <= edge)).chain([values.len()]);
        ends.map(|end| (end - std::mem::replace(&mut below, end)) as u64).collect()
    }

    /// Returns the edges, given away.
    pub fn into_edges(self) -> Vec<f64> {
        self.edges
    }

    /// Counts finite values into the bins. Values that are not finite are left out.
    pub fn counts(&self, values: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; self.n_bins()];
        for value in values.iter().filter(|it| it.is_finite()) {
            counts[self.edges.partition_point(|edge| edge < value)] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::{Bins, BinsError};

    #[test]
    fn an_edge_belongs_to_the_bin_below() {
        let bins = Bins::from_edges(vec![1.0, 2.0]).unwrap();
        assert_eq!(bins.counts(&[1.0, 1.5, 2.0, 2.5, f64::NAN]), [1, 2, 1]);
    }

    #[test]
    fn edges_must_rise() {
        assert_eq!(Bins::from_edges(vec![1.0, 1.0]), Err(BinsError::NotRising { at: 1 }));
        assert_eq!(Bins::from_edges(vec![f64::NAN]), Err(BinsError::NotANumber { at: 0 }));
    }
}
