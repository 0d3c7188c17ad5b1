//! Figures for reports that no gate names: the confusion table, ranking and error details.

use super::classes::class_rows;
use super::measure::CLASS_THRESHOLD;
use super::{Scored, Task};
use crate::distance::{Sample, ks_statistic};
use crate::sum::{pairwise, pairwise_by};

/// How many rows of each class were predicted as each class.
///
/// ```
/// use refit_stats::quality::{Confusion, Scored};
/// let scored = Scored::binary(&[0.0, 1.0, 1.0], &[0.1, 0.2, 0.9])?;
/// let table = scored.confusion().expect("binary");
/// assert_eq!(table, Confusion { true_negatives: 1, false_positives: 0, false_negatives: 1, true_positives: 1 });
/// # Ok::<(), refit_stats::quality::ScoredError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    /// Class 0 predicted as 0.
    pub true_negatives: u64,
    /// Class 0 predicted as 1.
    pub false_positives: u64,
    /// Class 1 predicted as 0.
    pub false_negatives: u64,
    /// Class 1 predicted as 1.
    pub true_positives: u64,
}

impl Confusion {
    /// Returns Matthews' correlation coefficient, 0 where it is undefined.
    pub fn mcc(self) -> f64 {
        let [tn, fp, fn_, tp] =
            [self.true_negatives, self.false_positives, self.false_negatives, self.true_positives].map(|it| it as f64);
        // Roots are taken factor by factor, because the product of four counts can overflow the exact range.
        let scale = (tp + fp).sqrt() * (tp + fn_).sqrt() * (tn + fp).sqrt() * (tn + fn_).sqrt();
        if scale == 0.0 { 0.0 } else { ((tp * tn - fp * fn_) / scale).clamp(-1.0, 1.0) }
    }
}

/// Details of the errors of a regression, as scikit-learn defines them.
///
/// ```
/// use refit_stats::quality::Scored;
/// let scored = Scored::regression(&[1.0, 2.0, 4.0], &[2.0, 2.0, 2.0])?;
/// let errors = scored.regression_errors().expect("regression");
/// assert_eq!(errors.max_error, 2.0);
/// assert_eq!(errors.median_absolute, 1.0);
/// # Ok::<(), refit_stats::quality::ScoredError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegressionErrors {
    /// Mean squared error.
    pub mse: f64,
    /// Median of the absolute errors.
    pub median_absolute: f64,
    /// Largest absolute error.
    pub max_error: f64,
    /// Mean of the absolute error over the label's size, which is taken as at least 2^-52.
    pub mape: f64,
    /// Mean of prediction minus label.
    pub bias: f64,
}

impl Scored {
    /// Returns the confusion table at the threshold 0.5; `None` unless the task is binary.
    pub fn confusion(&self) -> Option<Confusion> {
        if self.task() != Task::Binary {
            return None;
        }
        let mut table = Confusion { true_negatives: 0, false_positives: 0, false_negatives: 0, true_positives: 0 };
        for (label, score) in self.labels().iter().zip(self.scores()) {
            match (*label == 1.0, CLASS_THRESHOLD <= *score) {
                (false, false) => table.true_negatives += 1,
                (false, true) => table.false_positives += 1,
                (true, false) => table.false_negatives += 1,
                (true, true) => table.true_positives += 1,
            }
        }
        Some(table)
    }

    /// Returns how many rows of each class (first) were predicted as each class (second); `None` for a regression.
    ///
    /// ```
    /// use refit_stats::quality::Scored;
    /// let scored = Scored::multiclass(&[0.0, 2.0], &[0.7, 0.2, 0.1, 0.1, 0.5, 0.4])?;
    /// assert_eq!(scored.confusion_table().expect("classes"), [[1, 0, 0], [0, 0, 0], [0, 1, 0]]);
    /// # Ok::<(), refit_stats::quality::ScoredError>(())
    /// ```
    pub fn confusion_table(&self) -> Option<Vec<Vec<u64>>> {
        match self.task() {
            Task::Regression => None,
            Task::Binary => self.confusion().map(|it| {
                vec![vec![it.true_negatives, it.false_positives], vec![it.false_negatives, it.true_positives]]
            }),
            Task::Multiclass => {
                let mut table = vec![vec![0; self.n_classes()]; self.n_classes()];
                for row in class_rows(self) {
                    table[row.label][row.predicted] += 1;
                }
                Some(table)
            }
        }
    }

    /// Returns the average precision (steps, no interpolation); `None` without both classes.
    pub fn average_precision(&self) -> Option<f64> {
        let (negative, positive) = self.scores_by_class()?;
        let (n_positive, mut sum) = (positive.len() as f64, 0.0);
        let (mut hits, mut false_alarms) = (positive.len(), negative.len());
        let (mut seen_hits, mut seen_false) = (0_usize, 0_usize);
        while 0 < hits {
            // Walk down from the highest score; rows of one score enter together.
            let top = positive[hits - 1];
            let above = positive[..hits].partition_point(|it| *it < top);
            seen_hits += hits - above;
            let new_hits = hits - above;
            hits = above;
            let below = negative[..false_alarms].partition_point(|it| *it < top);
            seen_false += false_alarms - below;
            false_alarms = below;
            sum += new_hits as f64 / n_positive * (seen_hits as f64 / (seen_hits + seen_false) as f64);
        }
        Some(sum)
    }

    /// Returns the Kolmogorov-Smirnov distance between the scores of both classes; `None` without both.
    pub fn ks_score(&self) -> Option<f64> {
        let (negative, positive) = self.scores_by_class()?;
        Some(ks_statistic(&Sample::from_finite(negative)?, &Sample::from_finite(positive)?))
    }

    /// Returns details of the errors; `None` unless the task is a regression.
    pub fn regression_errors(&self) -> Option<RegressionErrors> {
        if self.task() != Task::Regression {
            return None;
        }
        let n = self.n_rows();
        let (labels, scores) = (self.labels(), self.scores());
        let absolute: Vec<f64> = labels.iter().zip(scores).map(|(y, s)| (s - y).abs()).collect();
        let mean = |sum: f64| sum / n as f64;
        let shares: Vec<f64> = absolute.iter().zip(labels).map(|(e, y)| e / y.abs().max(f64::EPSILON)).collect();
        let sorted = Sample::from_finite(absolute.clone())?;
        Some(RegressionErrors {
            mse: mean(pairwise_by(n, &|row| absolute[row] * absolute[row])),
            median_absolute: sorted.quantile(0.5)?,
            max_error: sorted.max(),
            mape: mean(pairwise(&shares)),
            bias: mean(pairwise_by(n, &|row| scores[row] - labels[row])),
        })
    }

    /// Returns the sorted scores of class 0 and of class 1, if there are both.
    fn scores_by_class(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        if self.task() != Task::Binary {
            return None;
        }
        let of = |class: f64| {
            let rows = self.labels().iter().zip(self.scores());
            let mut scores: Vec<f64> = rows.filter(|(y, _)| **y == class).map(|(_, s)| *s).collect();
            scores.sort_by(f64::total_cmp);
            scores
        };
        let (negative, positive) = (of(0.0), of(1.0));
        (!negative.is_empty() && !positive.is_empty()).then_some((negative, positive))
    }
}
