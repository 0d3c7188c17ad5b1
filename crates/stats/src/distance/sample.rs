//! The finite values of a column, sorted, with their summary.

use crate::sort::sort_finite;
use crate::sum::pairwise_by;

/// Values beyond this would overflow when squared, so moments are taken of scaled values.
const SCALE_ABOVE: f64 = 1e150;

/// 2^-600 brings any double below 1e128, whose square is far from overflow; a power of two rounds nothing.
pub(super) const SCALE: f64 = 2.409_919_865_102_884e-181;

/// A numeric column of a window: its finite values, and how many rows had none.
///
/// ```
/// use refit_stats::distance::NumericColumn;
/// let column = NumericColumn::new(&[Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY)]);
/// assert_eq!((column.n_rows(), column.n_null, column.n_nan, column.n_infinite), (4, 1, 1, 1));
/// assert_eq!(column.null_rate(), Some(0.25));
/// assert_eq!(column.finite, [1.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumericColumn {
    /// The finite values, in row order.
    pub finite: Vec<f64>,
    /// Rows without a value.
    pub n_null: u64,
    /// Rows holding NaN.
    pub n_nan: u64,
    /// Rows holding an infinity of either sign.
    pub n_infinite: u64,
}

impl NumericColumn {
    /// Splits the rows of a column.
    pub fn new(values: &[Option<f64>]) -> Self {
        let mut column = Self::default();
        for value in values {
            match value {
                None => column.n_null += 1,
                Some(it) if it.is_nan() => column.n_nan += 1,
                Some(it) if it.is_infinite() => column.n_infinite += 1,
                Some(it) => column.finite.push(*it),
            }
        }
        column
    }

    /// Returns the number of rows.
    pub fn n_rows(&self) -> u64 {
        self.finite.len() as u64 + self.n_null + self.n_nan + self.n_infinite
    }

    /// Returns the share of rows without a value; `None` without rows.
    pub fn null_rate(&self) -> Option<f64> {
        (0 < self.n_rows()).then(|| self.n_null as f64 / self.n_rows() as f64)
    }

    /// Returns the share of rows without a finite value; `None` without rows.
    pub fn unusable_rate(&self) -> Option<f64> {
        let unusable = self.n_null + self.n_nan + self.n_infinite;
        (0 < self.n_rows()).then(|| unusable as f64 / self.n_rows() as f64)
    }

    /// Returns the finite values as a sample; `None` if there are none, so that no distance can be given.
    pub fn sample(&self) -> Option<Sample> {
        Sample::from_finite(self.finite.clone())
    }
}

/// At least one finite number, sorted.
///
/// ```
/// use refit_stats::distance::Sample;
/// let sample = Sample::from_finite(vec![3.0, 1.0, 2.0, 4.0]).expect("finite");
/// assert_eq!((sample.mean(), sample.min(), sample.max()), (2.5, 1.0, 4.0));
/// assert_eq!(sample.quantile(0.25), Some(1.75));
/// assert!(Sample::from_finite(vec![]).is_none());
/// assert!(Sample::from_finite(vec![f64::NAN]).is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Finite, rising, never empty.
    sorted: Vec<f64>,
    mean: f64,
    std: f64,
}

impl Sample {
    /// Takes the values; `None` if there are none or one is not finite.
    pub fn from_finite(values: Vec<f64>) -> Option<Self> {
        Self::from_finite_with(values, &mut Vec::new())
    }

    /// Does the same with working memory that was used before; it grows to one word a value.
    pub fn from_finite_with(mut values: Vec<f64>, spare: &mut Vec<u64>) -> Option<Self> {
        if values.is_empty() || values.iter().any(|it| !it.is_finite()) {
            return None;
        }
        // Moments first: their last bits depend on the order of the rows, and numpy's order is the given one.
        let (mean, std) = moments(&values);
        sort_finite(&mut values, spare);
        let std = if values[0] == values[values.len() - 1] { 0.0 } else { std };
        Some(Self { sorted: values, mean, std })
    }

    /// Returns the values, rising.
    pub fn values(&self) -> &[f64] {
        &self.sorted
    }

    /// Returns the values, given away.
    pub fn into_values(self) -> Vec<f64> {
        self.sorted
    }

    /// Returns the number of values, which is at least one.
    pub fn n(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the arithmetic mean (pairwise sum).
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns the population standard deviation, exactly 0 for a constant.
    pub fn std(&self) -> f64 {
        self.std
    }

    /// Returns the smallest value.
    pub fn min(&self) -> f64 {
        self.sorted[0]
    }

    /// Returns the largest value.
    pub fn max(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// Tells whether all values are the same.
    pub fn is_constant(&self) -> bool {
        self.min() == self.max()
    }

    /// Returns the type-7 quantile (numpy's default); `None` unless `level` is in [0, 1].
    pub fn quantile(&self, level: f64) -> Option<f64> {
        (0.0..=1.0).contains(&level).then(|| quantile_of_sorted(&self.sorted, level))
    }
}

/// Type-7 quantile of rising values that are not empty.
pub(crate) fn quantile_of_sorted(sorted: &[f64], level: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = last as f64 * level;
    let at = (position.floor() as usize).min(last);
    let share = position - at as f64;
    let (low, high) = (sorted[at], sorted[(at + 1).min(last)]);
    let step = high - low;
    if step.is_infinite() {
        // numpy overflows here; the weighted mean of the two does not.
        return low * (1.0 - share) + high * share;
    }
    // From the nearer end, as numpy does.
    if 0.5 <= share { high - step * (1.0 - share) } else { low + step * share }
}

/// Mean and population standard deviation, in two passes.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len();
    let largest = values.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
    let scale = if SCALE_ABOVE < largest { SCALE } else { 1.0 };
    let mean = pairwise_by(n, &|at| values[at] * scale) / n as f64;
    let variance = pairwise_by(n, &|at| (values[at] * scale - mean) * (values[at] * scale - mean)) / n as f64;
    (mean / scale, variance.sqrt() / scale)
}

#[cfg(test)]
mod tests {
    use super::{SCALE, Sample};

    #[test]
    fn the_scale_is_a_power_of_two() {
        assert_eq!(SCALE, 2.0_f64.powi(-600));
    }

    #[test]
    fn a_constant_has_no_spread_whatever_its_rounding() {
        for n in [3, 10, 20, 100] {
            assert_eq!(Sample::from_finite(vec![0.1; n]).unwrap().std(), 0.0);
        }
    }

    #[test]
    fn huge_values_have_finite_moments() {
        let sample = Sample::from_finite(vec![1e308, 1.2e308, 1.4e308]).unwrap();
        assert!((sample.mean() / 1.2e308 - 1.0).abs() < 1e-15);
        assert!(sample.std().is_finite());
    }
}
