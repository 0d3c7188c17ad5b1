//! Labels with their predictions, checked once.

use super::{Measure, Metric, Task};

/// Why labels and predictions cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScoredError {
    /// There are no rows.
    #[error("there are no rows to measure")]
    Empty,
    /// One side has more rows.
    #[error("{labels} labels do not pair with {scores} predictions")]
    LengthDiffers {
        /// Number of labels.
        labels: usize,
        /// Number of predictions.
        scores: usize,
    },
    /// A label is NaN or infinite.
    #[error("label of row {row} is not finite")]
    LabelNotFinite {
        /// 0-based row.
        row: usize,
    },
    /// A prediction is NaN or infinite.
    #[error("prediction of row {row} is not finite")]
    ScoreNotFinite {
        /// 0-based row.
        row: usize,
    },
    /// A label of a binary task is neither 0 nor 1.
    #[error("label {label} of row {row} is neither 0 nor 1")]
    LabelNotBinary {
        /// 0-based row.
        row: usize,
        /// The label.
        label: f64,
    },
    /// A score of a binary task is outside [0, 1].
    #[error("score {score} of row {row} is not a probability")]
    ScoreNotProbability {
        /// 0-based row.
        row: usize,
        /// The score.
        score: f64,
    },
}

/// Labels and predictions of the same rows, ready to be measured.
///
/// ```
/// use refit_stats::quality::{Metric, Scored};
/// let scored = Scored::binary(&[0.0, 0.0, 1.0, 1.0], &[0.1, 0.6, 0.6, 0.9])?;
/// assert_eq!(scored.value(Metric::Accuracy), Some(0.75));
/// assert_eq!(scored.value(Metric::Auc), Some(0.875));
/// assert_eq!(scored.value(Metric::Mae), None);
/// # Ok::<(), refit_stats::quality::ScoredError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    task: Task,
    /// Finite; 0 or 1 in a binary task. As long as `scores`, never empty.
    labels: Vec<f64>,
    /// Finite; in [0, 1] in a binary task.
    scores: Vec<f64>,
}

impl Scored {
    /// Checks and takes the rows of a regression.
    ///
    /// # Errors
    /// When the sides differ in length, are empty, or hold a value that is not finite.
    pub fn regression(labels: &[f64], predictions: &[f64]) -> Result<Self, ScoredError> {
        check_finite(labels, predictions)?;
        Ok(Self { task: Task::Regression, labels: labels.to_vec(), scores: predictions.to_vec() })
    }

    /// Checks and takes the rows of a binary task.
    ///
    /// # Errors
    /// As [`Scored::regression`]; also when a label is neither 0 nor 1 or a score is outside [0, 1].
    pub fn binary(labels: &[f64], scores: &[f64]) -> Result<Self, ScoredError> {
        check_finite(labels, scores)?;
        if let Some(row) = labels.iter().position(|it| *it != 0.0 && *it != 1.0) {
            return Err(ScoredError::LabelNotBinary { row, label: labels[row] });
        }
        if let Some(row) = scores.iter().position(|it| !(0.0..=1.0).contains(it)) {
            return Err(ScoredError::ScoreNotProbability { row, score: scores[row] });
        }
        Ok(Self { task: Task::Binary, labels: labels.to_vec(), scores: scores.to_vec() })
    }

    /// Checks and takes the rows of either task.
    ///
    /// # Errors
    /// As [`Scored::regression`] or [`Scored::binary`].
    pub fn new(task: Task, labels: &[f64], scores: &[f64]) -> Result<Self, ScoredError> {
        match task {
            Task::Regression => Self::regression(labels, scores),
            Task::Binary => Self::binary(labels, scores),
        }
    }

    /// Returns the kind of label.
    pub fn task(&self) -> Task {
        self.task
    }

    /// Returns the labels, in row order.
    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// Returns the predictions, in row order.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Returns the number of rows, which is at least one.
    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Prepares a metric for repeated weightings; `None` if it does not apply to the task.
    pub fn measure(&self, metric: Metric) -> Option<Measure> {
        metric.applies_to(self.task).then(|| Measure::new(metric, self))
    }

    /// Returns the metric of the rows as they are; `None` if it is undefined or does not apply.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.measure(metric)?.value()
    }
}

fn check_finite(labels: &[f64], scores: &[f64]) -> Result<(), ScoredError> {
    if labels.len() != scores.len() {
        return Err(ScoredError::LengthDiffers { labels: labels.len(), scores: scores.len() });
    }
    if labels.is_empty() {
        return Err(ScoredError::Empty);
    }
    if let Some(row) = labels.iter().position(|it| !it.is_finite()) {
        return Err(ScoredError::LabelNotFinite { row });
    }
    if let Some(row) = scores.iter().position(|it| !it.is_finite()) {
        return Err(ScoredError::ScoreNotFinite { row });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Scored, ScoredError};

    #[test]
    fn bad_rows_are_refused_by_name() {
        let refused = |labels: &[f64], scores: &[f64]| Scored::binary(labels, scores).unwrap_err();
        assert_eq!(refused(&[], &[]), ScoredError::Empty);
        assert_eq!(refused(&[1.0], &[]), ScoredError::LengthDiffers { labels: 1, scores: 0 });
        assert_eq!(refused(&[1.0, f64::NAN], &[0.5, 0.5]), ScoredError::LabelNotFinite { row: 1 });
        assert_eq!(refused(&[1.0], &[f64::INFINITY]), ScoredError::ScoreNotFinite { row: 0 });
        assert_eq!(refused(&[2.0], &[0.5]), ScoredError::LabelNotBinary { row: 0, label: 2.0 });
        assert_eq!(refused(&[1.0], &[1.5]), ScoredError::ScoreNotProbability { row: 0, score: 1.5 });
    }
}
