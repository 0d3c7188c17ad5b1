//! Intervals around any statistic of rows, by resampling whole days.
//!
//! Rows of one day err together, so drawing single rows would understate the variance. Here the blocks are the distinct
//! keys (days), and a replicate draws as many blocks as there are, with replacement; a row then weighs as often as its
//! block was drawn. Both models of a comparison see the same draws, so what is common to them cancels.
//!
//! A replicate in which the statistic is undefined is dropped and counted. When fewer than nine tenths are defined, every
//! figure of the replicates is undefined: what remains would be a biased choice of days.
//!
//! The percentile interval is only as good as the number of blocks. With a week of days it is too narrow: the spread of
//! replicates is about `sqrt((k - 1) / k)` of the true one for `k` blocks. [`BlockBootstrap::n_blocks`] is there to be
//! reported beside the interval.

use rand_core::Rng;

use crate::binomial::index;
use crate::distance::Sample;
use crate::quality::{Measure, Metric};

/// Replicates for an interval, unless there is a reason for another number: enough for a stable 2.5 % quantile.
pub const REPLICATES: usize = 2000;

/// Share of the replicates that must be defined.
const MIN_DEFINED: f64 = 0.9;

/// Why rows cannot be resampled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// With fewer than two blocks every replicate is the same.
    #[error("{blocks} block of rows is too few to resample; at least 2 are needed")]
    TooFewBlocks {
        /// Distinct keys found.
        blocks: usize,
    },
    /// Two measures that should be compared are of different rows.
    #[error("measure of {measured} rows does not pair with {resampled} resampled rows")]
    RowsDiffer {
        /// Rows of the measure.
        measured: usize,
        /// Rows of the bootstrap.
        resampled: usize,
    },
    /// Two measures that should be compared are of different metrics.
    #[error("candidate is measured by {candidate} and champion by {champion}")]
    MetricsDiffer {
        /// Metric of the candidate.
        candidate: Metric,
        /// Metric of the champion.
        champion: Metric,
    },
}

/// A statistic of rows under weights, `None` where it is undefined.
pub type Statistic<'a> = dyn Fn(&[f64]) -> Option<f64> + 'a;

/// Rows grouped into the blocks that are drawn together.
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::quality::{Metric, Scored};
/// use refit_stats::resample::BlockBootstrap;
///
/// let days = [0, 0, 1, 1, 2, 2, 3, 3];
/// let labels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
/// let champion = Scored::regression(&labels, &[2.0, 4.0, 4.0, 6.0, 6.0, 8.0, 8.0, 10.0])?;
/// let candidate = Scored::regression(&labels, &[1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5])?;
///
/// let bootstrap = BlockBootstrap::new(&days)?;
/// let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let improvement = bootstrap.improvement(
///     &candidate.measure(Metric::Mae).expect("regression"),
///     &champion.measure(Metric::Mae).expect("regression"),
///     2000,
///     &mut rng,
/// )?;
/// assert_eq!(improvement.point(), Some(1.0));
/// assert_eq!(improvement.lower_bound(0.05), Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockBootstrap {
    /// Block of each row, below `n_blocks`.
    block_of_row: Vec<usize>,
    /// At least 2.
    n_blocks: usize,
}

impl BlockBootstrap {
    /// Groups rows by key, one key (such as a day number) for each row, in any order.
    ///
    /// # Errors
    /// When there are fewer than two distinct keys.
    pub fn new(keys: &[i64]) -> Result<Self, ResampleError> {
        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 2 {
            return Err(ResampleError::TooFewBlocks { blocks: distinct.len() });
        }
        let block_of_row = keys.iter().map(|key| distinct.partition_point(|it| it < key)).collect();
        Ok(Self { block_of_row, n_blocks: distinct.len() })
    }

    /// Returns the number of rows.
    pub fn n_rows(&self) -> usize {
        self.block_of_row.len()
    }

    /// Returns the number of blocks, which is at least two.
    pub fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    /// Draws blocks and returns the weight of each row: how often its block was drawn.
    pub fn draw(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut weights = vec![0.0; self.n_rows()];
        self.draw_into(rng, &mut vec![0.0; self.n_blocks], &mut weights);
        weights
    }

    /// Returns the statistic of the rows as they are and of each replicate.
    pub fn replicates(&self, statistic: &Statistic<'_>, n_replicates: usize, rng: &mut dyn Rng) -> Replicates {
        let finite = |weights: &[f64]| statistic(weights).filter(|it| it.is_finite());
        let mut weights = vec![1.0; self.n_rows()];
        let point = finite(&weights);
        let mut blocks = vec![0.0; self.n_blocks];
        let mut values = Vec::with_capacity(n_replicates);
        for _ in 0..n_replicates {
            self.draw_into(rng, &mut blocks, &mut weights);
            values.extend(finite(&weights));
        }
        Replicates::of(point, values, n_replicates)
    }

    /// Returns two statistics of the same draws, to be combined in several ways: both are computed once.
    pub fn pairs(
        &self,
        candidate: &Statistic<'_>,
        champion: &Statistic<'_>,
        n_replicates: usize,
        rng: &mut dyn Rng,
    ) -> Pairs {
        let both = |weights: &[f64]| Some((candidate(weights)?, champion(weights)?));
        let mut weights = vec![1.0; self.n_rows()];
        let point = both(&weights);
        let mut blocks = vec![0.0; self.n_blocks];
        let draws = (0..n_replicates).map(|_| {
            self.draw_into(rng, &mut blocks, &mut weights);
            both(&weights)
        });
        Pairs { point, draws: draws.collect() }
    }

    /// Returns a combination of two statistics, each replicate giving both the same weights.
    ///
    /// `combine` receives candidate and champion, and says `None` where they cannot be compared (a ratio to 0).
    pub fn paired(
        &self,
        candidate: &Statistic<'_>,
        champion: &Statistic<'_>,
        combine: &dyn Fn(f64, f64) -> Option<f64>,
        n_replicates: usize,
        rng: &mut dyn Rng,
    ) -> Replicates {
        self.replicates(&|weights| combine(candidate(weights)?, champion(weights)?), n_replicates, rng)
    }

    /// Returns how much better the candidate is, in the metric's own direction and unit.
    ///
    /// # Errors
    /// When the measures are of different metrics or not of these rows.
    pub fn improvement(
        &self,
        candidate: &Measure,
        champion: &Measure,
        n_replicates: usize,
        rng: &mut dyn Rng,
    ) -> Result<Replicates, ResampleError> {
        if candidate.metric() != champion.metric() {
            return Err(ResampleError::MetricsDiffer { candidate: candidate.metric(), champion: champion.metric() });
        }
        for measure in [candidate, champion] {
            if measure.n_rows() != self.n_rows() {
                return Err(ResampleError::RowsDiffer { measured: measure.n_rows(), resampled: self.n_rows() });
            }
        }
        let direction = candidate.metric().direction();
        Ok(self.paired(
            &|weights| candidate.weighted(weights),
            &|weights| champion.weighted(weights),
            &|candidate, champion| Some(direction.improvement(candidate, champion)),
            n_replicates,
            rng,
        ))
    }

    fn draw_into(&self, rng: &mut dyn Rng, blocks: &mut [f64], weights: &mut [f64]) {
        blocks.fill(0.0);
        for _ in 0..self.n_blocks {
            blocks[index(rng, self.n_blocks)] += 1.0;
        }
        for (weight, block) in weights.iter_mut().zip(&self.block_of_row) {
            *weight = blocks[*block];
        }
    }
}

/// Candidate and champion under the same draws; `None` where one of them is undefined.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    point: Option<(f64, f64)>,
    draws: Vec<Option<(f64, f64)>>,
}

impl Pairs {
    /// Returns a combination of both, as [`BlockBootstrap::paired`] does with the same draws.
    pub fn combine(&self, combine: impl Fn(f64, f64) -> Option<f64>) -> Replicates {
        let finite = |pair: &Option<(f64, f64)>| {
            pair.and_then(|(candidate, champion)| combine(candidate, champion)).filter(|it| it.is_finite())
        };
        Replicates::of(finite(&self.point), self.draws.iter().filter_map(finite).collect(), self.draws.len())
    }
}

/// A statistic and its values over the replicates.
///
/// Every figure of the replicates is `None` when fewer than nine tenths of them were defined.
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::resample::BlockBootstrap;
///
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0];
/// let mean = |w: &[f64]| Some(values.iter().zip(w).map(|(v, w)| v * w).sum::<f64>() / w.iter().sum::<f64>());
/// let mut rng = ChaCha8Rng::seed_from_u64(3);
/// let replicates = BlockBootstrap::new(&[0, 1, 2, 3, 4])?.replicates(&mean, 2000, &mut rng);
/// assert_eq!(replicates.point(), Some(3.0));
/// let (low, high) = replicates.interval(0.05).expect("defined");
/// assert!(low < 3.0 && 3.0 < high);
/// # Ok::<(), refit_stats::resample::ResampleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "replicates are made to be summarized"]
pub struct Replicates {
    point: Option<f64>,
    /// The defined values, if they are enough.
    defined: Option<Sample>,
    n_replicates: usize,
    n_undefined: usize,
}

impl Replicates {
    /// Sums up the defined ones, all finite, of `n_replicates` values.
    pub(crate) fn of(point: Option<f64>, defined: Vec<f64>, n_replicates: usize) -> Self {
        let n_undefined = n_replicates - defined.len();
        let enough = MIN_DEFINED * n_replicates as f64 <= defined.len() as f64;
        let defined = if enough { Sample::from_finite(defined) } else { None };
        Self { point, defined, n_replicates, n_undefined }
    }

    /// Returns the statistic of the rows as they are.
    pub fn point(&self) -> Option<f64> {
        self.point
    }

    /// Returns the number of replicates drawn.
    pub fn n_replicates(&self) -> usize {
        self.n_replicates
    }

    /// Returns the number of replicates in which the statistic was undefined.
    pub fn n_undefined(&self) -> usize {
        self.n_undefined
    }

    /// Returns the defined values, rising; `None` if they are too few.
    pub fn values(&self) -> Option<&[f64]> {
        self.defined.as_ref().map(Sample::values)
    }

    /// Returns the standard deviation of the replicates (n - 1 in the divisor).
    pub fn standard_error(&self) -> Option<f64> {
        let sample = self.defined.as_ref().filter(|it| 2 <= it.n())?;
        let n = sample.n() as f64;
        Some(sample.std() * (n / (n - 1.0)).sqrt())
    }

    /// Returns the percentile interval of confidence `1 - alpha`, half of `alpha` on each side.
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        Some((self.lower_bound(alpha / 2.0)?, self.upper_bound(alpha / 2.0)?))
    }

    /// Returns the one-sided lower bound of confidence `1 - alpha`; `None` unless `alpha` is in [0, 1].
    pub fn lower_bound(&self, alpha: f64) -> Option<f64> {
        self.defined.as_ref()?.quantile(alpha)
    }

    /// Returns the one-sided upper bound of confidence `1 - alpha`; `None` unless `alpha` is in [0, 1].
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        self.defined.as_ref()?.quantile(1.0 - alpha)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::{BlockBootstrap, ResampleError};

    #[test]
    fn rows_of_a_day_share_their_weight() {
        let bootstrap = BlockBootstrap::new(&[7, -1, 7, 3]).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..20 {
            let weights = bootstrap.draw(&mut rng);
            assert_eq!(weights[0], weights[2]);
            assert_eq!(weights[0] + weights[1] + weights[3], 3.0);
        }
    }

    #[test]
    fn one_day_is_too_few() {
        assert_eq!(BlockBootstrap::new(&[4, 4]), Err(ResampleError::TooFewBlocks { blocks: 1 }));
    }

    #[test]
    fn mostly_undefined_is_undefined() {
        let bootstrap = BlockBootstrap::new(&[0, 1]).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        // Both days are drawn half of the time.
        let replicates = bootstrap.replicates(&|w| (w[0] == w[1]).then_some(1.0), 1000, &mut rng);
        assert_eq!(replicates.point(), Some(1.0));
        assert!(400 < replicates.n_undefined() && replicates.n_undefined() < 600);
        assert_eq!(replicates.interval(0.05), None);
        assert_eq!(replicates.standard_error(), None);
    }
}
