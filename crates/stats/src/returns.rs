//! How good the returns of decisions were: Sharpe ratio, win rate, maximum drawdown.
//!
//! A row is one decision with its simple return: 0.02 is a gain of 2 %, -1 the loss of everything. Rows are taken in the order
//! of time, each reinvesting what the one before left, so a day's return is the product of `1 + r` over its rows, less 1.
//!
//! - Sharpe ratio (Sharpe 1994, "The Sharpe Ratio", ex post, against a return of 0): mean of daily returns over their standard
//!   deviation (n - 1 in the divisor), times the root of [`DAYS_OF_A_YEAR`]. Days without a row do not count. Undefined
//!   with fewer than two days or without any variation.
//! - Win rate: share of rows with a return above 0.
//! - Maximum drawdown (Magdon-Ismail and Atiya 2004): the largest loss since a peak, as a share of the peak, of the wealth that
//!   begins with 1; after each row. Between 0 and 1.
//!
//! Not here: fees, a risk-free rate, positions held over several rows. They belong into the returns.

/// Trading days by which a daily Sharpe ratio is made yearly.
pub const DAYS_OF_A_YEAR: f64 = 252.0;

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Why returns cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReturnsError {
    /// There are no rows.
    #[error("there are no returns to measure")]
    Empty,
    /// One side has more rows.
    #[error("{times} times do not pair with {returns} returns")]
    LengthDiffers {
        /// Number of times.
        times: usize,
        /// Number of returns.
        returns: usize,
    },
    /// A return is NaN, infinite, or a loss of more than everything.
    #[error("return {value} of row {row} is not a number of at least -1")]
    NotAReturn {
        /// 0-based row.
        row: usize,
        /// The return.
        value: f64,
    },
}

/// A measure of returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnMetric {
    /// Yearly ratio of mean and standard deviation.
    SharpeRatio,
    /// Share of gains.
    WinRate,
    /// Largest loss since a peak.
    MaxDrawdown,
}

/// Returns of decisions, ready to be measured.
///
/// ```
/// use refit_stats::returns::{ReturnMetric, Returns};
/// let day = 86_400_000_000;
/// let returns = Returns::new(&[0, day, 2 * day], &[0.10, -0.20, 0.05])?;
/// assert!((returns.value(ReturnMetric::MaxDrawdown).unwrap() - 0.2).abs() < 1e-12);
/// assert_eq!(returns.value(ReturnMetric::WinRate), Some(2.0 / 3.0));
/// # Ok::<(), refit_stats::returns::ReturnsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Returns {
    /// By row as given; finite, at least -1.
    returns: Vec<f64>,
    /// Rows in the order of time; rows of one time stay in their order.
    order: Vec<usize>,
    /// Each day's compounded return with one of its rows, in the order of time.
    days: Vec<(f64, usize)>,
}

impl Returns {
    /// Checks and takes returns with their times, in microseconds since the epoch, in any order.
    ///
    /// # Errors
    /// When the sides differ in length, are empty, or a return is not finite or below -1.
    pub fn new(times: &[i64], returns: &[f64]) -> Result<Self, ReturnsError> {
        if times.len() != returns.len() {
            return Err(ReturnsError::LengthDiffers { times: times.len(), returns: returns.len() });
        }
        if returns.is_empty() {
            return Err(ReturnsError::Empty);
        }
        if let Some(row) = returns.iter().position(|it| !(it.is_finite() && -1.0 <= *it)) {
            return Err(ReturnsError::NotAReturn { row, value: returns[row] });
        }
        let mut order: Vec<usize> = (0..returns.len()).collect();
        order.sort_by_key(|row| times[*row]);
        let mut days: Vec<(f64, usize)> = Vec::new();
        let mut last = None;
        for &row in &order {
            let day = times[row].div_euclid(DAY_MICROS);
            if last != Some(day) {
                days.push((1.0, row));
                last = Some(day);
            }
            if let Some((wealth, _)) = days.last_mut() {
                *wealth *= 1.0 + returns[row];
            }
        }
        days.iter_mut().for_each(|(wealth, _)| *wealth -= 1.0);
        Ok(Self { returns: returns.to_vec(), order, days })
    }

    /// Returns the metric of the rows as they are; `None` where it is undefined.
    pub fn value(&self, metric: ReturnMetric) -> Option<f64> {
        match metric {
            ReturnMetric::SharpeRatio => self.sharpe_ratio(&|_| 1.0),
            ReturnMetric::WinRate => self.win_rate(&|_| 1.0),
            ReturnMetric::MaxDrawdown => Some(self.max_drawdown()),
        }
    }

    /// Returns the metric with row `i` counted `weights[i]` times, where rows of one day weigh the same.
    ///
    /// `None` where it is undefined, without one weight for each row, and for the maximum drawdown, which depends on the order
    /// of the days.
    pub fn weighted(&self, metric: ReturnMetric, weights: &[f64]) -> Option<f64> {
        if weights.len() != self.returns.len() {
            return None;
        }
        match metric {
            ReturnMetric::SharpeRatio => self.sharpe_ratio(&|row| weights[row]),
            ReturnMetric::WinRate => self.win_rate(&|row| weights[row]),
            ReturnMetric::MaxDrawdown => None,
        }
    }

    fn sharpe_ratio(&self, weight: &impl Fn(usize) -> f64) -> Option<f64> {
        let total: f64 = self.days.iter().map(|(_, row)| weight(*row)).sum();
        if total.is_nan() || total < 2.0 {
            return None;
        }
        let mean = self.days.iter().map(|(it, row)| weight(*row) * it).sum::<f64>() / total;
        let squares: f64 = self.days.iter().map(|(it, row)| weight(*row) * (it - mean) * (it - mean)).sum();
        let deviation = (squares / (total - 1.0)).sqrt();
        // Equal returns differ by rounding only; their ratio would be a huge number that means nothing.
        let is_flat = deviation <= 1e-12 * mean.abs().max(f64::MIN_POSITIVE);
        let ratio = mean / deviation * DAYS_OF_A_YEAR.sqrt();
        (!is_flat && ratio.is_finite()).then_some(ratio)
    }

    fn win_rate(&self, weight: &impl Fn(usize) -> f64) -> Option<f64> {
        let (mut wins, mut total) = (0.0, 0.0);
        for (row, it) in self.returns.iter().enumerate() {
            total += weight(row);
            wins += weight(row) * f64::from(u8::from(0.0 < *it));
        }
        (0.0 < total).then(|| wins / total)
    }

    fn max_drawdown(&self) -> f64 {
        let (mut wealth, mut peak, mut worst) = (1.0_f64, 1.0_f64, 0.0_f64);
        for row in &self.order {
            wealth *= 1.0 + self.returns[*row];
            peak = peak.max(wealth);
            // Wealth can grow beyond what a float holds; the share lost of it is then unknown, and counts as nothing new.
            let lost = 1.0 - wealth / peak;
            worst = if worst < lost { lost } else { worst };
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = DAY_MICROS;

    #[track_caller]
    fn check(times: &[i64], returns: &[f64], expected: [Option<f64>; 3]) {
        let measured = Returns::new(times, returns).unwrap();
        let metrics = [ReturnMetric::SharpeRatio, ReturnMetric::WinRate, ReturnMetric::MaxDrawdown];
        for (metric, expected) in metrics.into_iter().zip(expected) {
            match (measured.value(metric), expected) {
                (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{metric:?}: {found}"),
                (found, expected) => assert_eq!(found, expected, "{metric:?}"),
            }
        }
    }

    /// Python 3: `r = [0.01, -0.02, 0.015, 0.03, -0.01]`, `statistics.mean(r) / statistics.stdev(r) * math.sqrt(252)`; the others
    /// by hand: three of five are gains, and the loss of the second day is the largest since a peak.
    #[test]
    fn one_row_a_day_agrees_with_pythons_statistics() {
        let times = [0, DAY, 2 * DAY, 3 * DAY, 4 * DAY];
        check(&times, &[0.01, -0.02, 0.015, 0.03, -0.01], [Some(SHARPE), Some(0.6), Some(0.02)]);
    }

    const SHARPE: f64 = 3.968626966596885;

    /// By hand: the first day makes 1.1 * 0.9 - 1 = -0.01, the second 0.03. Their mean is 0.01, their deviation 0.02 * sqrt(2).
    #[test]
    fn rows_of_a_day_are_compounded() {
        let sharpe = 0.01 / (0.02 * 2.0_f64.sqrt()) * 252.0_f64.sqrt();
        check(&[0, 1, DAY], &[0.1, -0.1, 0.03], [Some(sharpe), Some(2.0 / 3.0), Some(0.1)]);
    }

    #[test]
    fn rows_are_put_in_the_order_of_time() {
        // In time: a gain, then two losses of a half: 1.5, 0.75, 0.375 of the peak 1.5.
        check(
            &[2 * DAY, 0, DAY],
            &[-0.5, 0.5, -0.5],
            [Some(-0.5 / 3.0 / (1.0 / 3.0_f64).sqrt() * 252.0_f64.sqrt()), Some(1.0 / 3.0), Some(0.75)],
        );
    }

    #[test]
    fn a_loss_from_the_start_counts_from_what_was_put_in() {
        check(&[0], &[-0.25], [None, Some(0.0), Some(0.25)]);
        check(&[0, DAY], &[-1.0, 0.5], [Some(-0.25 / 1.125_f64.sqrt() * 252.0_f64.sqrt()), Some(0.5), Some(1.0)]);
    }

    #[test]
    fn without_variation_there_is_no_ratio() {
        check(&[0, DAY, 2 * DAY], &[0.1, 0.1, 0.1], [None, Some(1.0), Some(0.0)]);
    }

    #[test]
    fn a_weight_is_a_repetition_of_a_day() {
        let once = Returns::new(&[0, DAY, 2 * DAY], &[0.1, -0.05, 0.02]).unwrap();
        let often = Returns::new(&[0, DAY, 2 * DAY, 3 * DAY], &[0.1, -0.05, -0.05, 0.02]).unwrap();
        for metric in [ReturnMetric::SharpeRatio, ReturnMetric::WinRate] {
            let (a, b) = (once.weighted(metric, &[1.0, 2.0, 1.0]).unwrap(), often.value(metric).unwrap());
            assert!((a - b).abs() < 1e-12);
        }
        assert_eq!(once.weighted(ReturnMetric::MaxDrawdown, &[1.0; 3]), None);
        assert_eq!(once.weighted(ReturnMetric::WinRate, &[1.0]), None);
    }

    #[test]
    fn what_is_no_return_is_refused() {
        assert_eq!(Returns::new(&[], &[]), Err(ReturnsError::Empty));
        assert_eq!(Returns::new(&[0], &[-1.5]), Err(ReturnsError::NotAReturn { row: 0, value: -1.5 }));
        assert!(Returns::new(&[0], &[f64::NAN]).is_err());
        assert_eq!(Returns::new(&[0], &[]), Err(ReturnsError::LengthDiffers { times: 1, returns: 0 }));
    }
}
