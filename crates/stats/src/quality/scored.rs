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
    /// The scores are not a row of at least two for each label.
    #[error("{scores} scores are not rows of one number of classes, at least 2, for {labels} labels")]
    RowsDiffer {
        /// Number of labels.
        labels: usize,
        /// Number of scores.
        scores: usize,
    },
    /// A label of a multiclass task is not the position of a class.
    #[error("label {label} of row {row} is not a class of 0 to {last}")]
    LabelNotClass {
        /// 0-based row.
        row: usize,
        /// The label.
        label: f64,
        /// The last class.
        last: usize,
    },
    /// All scores of a row are 0.
    #[error("row {row} has no probability for any class")]
    NoProbability {
        /// 0-based row.
        row: usize,
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
    /// Finite; 0 or 1 in a binary task, the position of a class in a multiclass one. Never empty.
    labels: Vec<f64>,
    /// Finite; in [0, 1] in a binary or multiclass task. `n_classes` for each label, row by row.
    scores: Vec<f64>,
    /// 1 unless the task is multiclass, and then at least 2.
    n_classes: usize,
    /// Whether scores are more than a mark on the predicted class.
    has_probabilities: bool,
}

impl Scored {
    /// Checks and takes the rows of a regression.
    ///
    /// # Errors
    /// When the sides differ in length, are empty, or hold a value that is not finite.
    pub fn regression(labels: &[f64], predictions: &[f64]) -> Result<Self, ScoredError> {
        check_finite(labels, predictions)?;
        Ok(Self::one_score(Task::Regression, labels, predictions))
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
        Ok(Self::one_score(Task::Binary, labels, scores))
    }

    fn one_score(task: Task, labels: &[f64], scores: &[f64]) -> Self {
        Self { task, labels: labels.to_vec(), scores: scores.to_vec(), n_classes: 1, has_probabilities: true }
    }

    /// Checks and takes the rows of a multiclass task: labels are positions of classes, scores are row by row, and how many
    /// there are for a label is the number of classes. Rows need not sum to 1.
    ///
    /// ```
    /// use refit_stats::quality::{Metric, Scored};
    /// let scored = Scored::multiclass(&[0.0, 2.0], &[0.7, 0.2, 0.1, 0.1, 0.5, 0.4])?;
    /// assert_eq!(scored.value(Metric::Accuracy), Some(0.5));
    /// # Ok::<(), refit_stats::quality::ScoredError>(())
    /// ```
    ///
    /// # Errors
    /// When scores are not whole rows of at least two, a value is not finite, a label is no position of a class, a score is
    /// outside [0, 1], or a row is all 0.
    pub fn multiclass(labels: &[f64], scores: &[f64]) -> Result<Self, ScoredError> {
        let n_classes = if labels.is_empty() { 0 } else { scores.len() / labels.len() };
        if !labels.is_empty() && (n_classes < 2 || n_classes * labels.len() != scores.len()) {
            return Err(ScoredError::RowsDiffer { labels: labels.len(), scores: scores.len() });
        }
        check_each_finite(labels, scores, n_classes.max(1))?;
        check_classes(labels, n_classes)?;
        for (row, scores) in scores.chunks_exact(n_classes).enumerate() {
            if let Some(score) = scores.iter().find(|it| !(0.0..=1.0).contains(*it)) {
                return Err(ScoredError::ScoreNotProbability { row, score: *score });
            }
            if scores.iter().sum::<f64>() <= 0.0 {
                return Err(ScoredError::NoProbability { row });
            }
        }
        let task = Task::Multiclass;
        Ok(Self { task, labels: labels.to_vec(), scores: scores.to_vec(), n_classes, has_probabilities: true })
    }

    /// Checks and takes the rows of a multiclass task of which only the predicted classes are known: log loss and AUC are
    /// undefined.
    ///
    /// # Errors
    /// When the sides differ in length or are empty, or a value is not the position of one of `n_classes` classes.
    pub fn predicted_classes(labels: &[f64], predicted: &[f64], n_classes: usize) -> Result<Self, ScoredError> {
        check_finite(labels, predicted)?;
        let n_classes = n_classes.max(2);
        check_classes(labels, n_classes)?;
        check_classes(predicted, n_classes)?;
        let mut scores = vec![0.0; labels.len() * n_classes];
        for (row, class) in predicted.iter().enumerate() {
            scores[row * n_classes + *class as usize] = 1.0;
        }
        let task = Task::Multiclass;
        Ok(Self { task, labels: labels.to_vec(), scores, n_classes, has_probabilities: false })
    }

    /// Checks and takes the rows of any task.
    ///
    /// # Errors
    /// As [`Scored::regression`], [`Scored::binary`] or [`Scored::multiclass`].
    pub fn new(task: Task, labels: &[f64], scores: &[f64]) -> Result<Self, ScoredError> {
        match task {
            Task::Regression => Self::regression(labels, scores),
            Task::Binary => Self::binary(labels, scores),
            Task::Multiclass => Self::multiclass(labels, scores),
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

    /// Returns the predictions, in row order; of a multiclass task one for each class, row by row.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Returns the number of scores for each row: the number of classes of a multiclass task, else 1.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    pub(crate) fn has_probabilities(&self) -> bool {
        self.has_probabilities
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
    check_each_finite(labels, scores, 1)
}

fn check_each_finite(labels: &[f64], scores: &[f64], n_classes: usize) -> Result<(), ScoredError> {
    if labels.is_empty() {
        return Err(ScoredError::Empty);
    }
    if let Some(row) = labels.iter().position(|it| !it.is_finite()) {
        return Err(ScoredError::LabelNotFinite { row });
    }
    if let Some(at) = scores.iter().position(|it| !it.is_finite()) {
        return Err(ScoredError::ScoreNotFinite { row: at / n_classes });
    }
    Ok(())
}

fn check_classes(labels: &[f64], n_classes: usize) -> Result<(), ScoredError> {
    let is_class = |it: f64| it.fract() == 0.0 && 0.0 <= it && it < n_classes as f64;
    match labels.iter().position(|it| !is_class(*it)) {
        Some(row) => Err(ScoredError::LabelNotClass { row, label: labels[row], last: n_classes.saturating_sub(1) }),
        None => Ok(()),
    }
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

    #[test]
    fn bad_rows_of_classes_are_refused_by_name() {
        let refused = |labels: &[f64], scores: &[f64]| Scored::multiclass(labels, scores).unwrap_err();
        assert_eq!(refused(&[], &[]), ScoredError::Empty);
        assert_eq!(refused(&[0.0, 1.0], &[0.5, 0.5, 0.5]), ScoredError::RowsDiffer { labels: 2, scores: 3 });
        assert_eq!(refused(&[0.0], &[0.5]), ScoredError::RowsDiffer { labels: 1, scores: 1 });
        assert_eq!(refused(&[2.0], &[0.5, 0.5]), ScoredError::LabelNotClass { row: 0, label: 2.0, last: 1 });
        assert_eq!(refused(&[0.5], &[0.5, 0.5]), ScoredError::LabelNotClass { row: 0, label: 0.5, last: 1 });
        assert_eq!(refused(&[0.0, 1.0], &[0.5, 0.5, f64::NAN, 0.1]), ScoredError::ScoreNotFinite { row: 1 });
        assert_eq!(refused(&[0.0], &[-0.5, 0.5]), ScoredError::ScoreNotProbability { row: 0, score: -0.5 });
        assert_eq!(refused(&[0.0], &[0.0, 0.0]), ScoredError::NoProbability { row: 0 });
        let refused = Scored::predicted_classes(&[0.0], &[3.0], 3).unwrap_err();
        assert_eq!(refused, ScoredError::LabelNotClass { row: 0, label: 3.0, last: 2 });
    }
}
