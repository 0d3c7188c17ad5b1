//! How good predictions are, measured for any weighting of the rows.
//!
//! A candidate is compared with a champion on the same rows, and the interval around the difference comes from weighting
//! those rows again and again. So predictions are checked and prepared once ([`Scored`]), a metric is prepared once more
//! ([`Measure`]: losses, or ranks for AUC), and then each weighting costs one pass.
//!
//! Definitions are scikit-learn's: predicted class is `0.5 <= score`; a ratio over nothing is 0 (`zero_division=0`); ties
//! in AUC count one half; log loss clips scores to `[1e-15, 1 - 1e-15]`. Of several classes the one with the largest score is
//! predicted, the first of equals; averages over classes leave out those that are neither label nor prediction; log loss takes
//! scores as they are, AUC (each class against the rest) divides a row by its sum. A figure that does not exist (AUC with one class)
//! is `None`, never 0 or NaN.
//!
//! Not here: which metric a gate uses and what difference suffices.

use std::fmt;
use std::str::FromStr;

mod classes;
mod measure;
mod ranks;
mod scored;
mod summary;

pub(crate) use classes::{ClassRow, argmax, average};
pub use measure::Measure;
pub(crate) use measure::{CLASS_THRESHOLD, LOG_LOSS_CLIP};
pub use scored::{Scored, ScoredError};
pub use summary::{Confusion, RegressionErrors};

/// What kind of label is predicted.
///
/// ```
/// use refit_stats::quality::{Metric, Task};
/// assert!(Metric::Auc.applies_to(Task::Binary));
/// assert!(!Metric::Auc.applies_to(Task::Regression));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// A number.
    Regression,
    /// Class 0 or 1, with the probability of class 1 as score.
    Binary,
    /// One of several classes, 0 to k - 1, with a probability of each as scores.
    Multiclass,
}

/// Which way a metric gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// More is better, as in accuracy.
    HigherIsBetter,
    /// Less is better, as in any error.
    LowerIsBetter,
}

impl Direction {
    /// Returns how much better `candidate` is than `champion`; negative when it is worse.
    ///
    /// ```
    /// use refit_stats::quality::Direction;
    /// assert_eq!(Direction::LowerIsBetter.improvement(3.0, 4.0), 1.0);
    /// assert_eq!(Direction::HigherIsBetter.improvement(3.0, 4.0), -1.0);
    /// ```
    pub fn improvement(self, candidate: f64, champion: f64) -> f64 {
        match self {
            Self::HigherIsBetter => candidate - champion,
            Self::LowerIsBetter => champion - candidate,
        }
    }
}

/// A measure of predictions that a gate or a trigger can name.
///
/// ```
/// use refit_stats::quality::{Direction, Metric};
/// let metric: Metric = "log_loss".parse()?;
/// assert_eq!(metric, Metric::LogLoss);
/// assert_eq!(metric.direction(), Direction::LowerIsBetter);
/// # Ok::<(), refit_stats::quality::UnknownMetric>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Share of rows whose predicted class is right.
    Accuracy,
    /// Share of predicted positives that are positive.
    Precision,
    /// Share of positives that are predicted.
    Recall,
    /// Harmonic mean of precision and recall.
    F1,
    /// Probability that a positive outranks a negative, ties one half.
    Auc,
    /// Mean negative log-likelihood in nats.
    LogLoss,
    /// Mean squared error of the probability.
    Brier,
    /// Mean absolute error.
    Mae,
    /// Root of the mean squared error.
    Rmse,
    /// Share of the variance of the labels that is explained.
    R2,
    /// Mean over classes of the probability that a row of the class outranks one of another, ties one half.
    AucOvrMacro,
    /// Plain mean of precision over classes.
    MacroPrecision,
    /// Plain mean of recall over classes.
    MacroRecall,
    /// Plain mean of F1 over classes.
    MacroF1,
    /// Mean of precision over classes, weighted by their rows.
    WeightedPrecision,
    /// Mean of recall over classes, weighted by their rows; equals accuracy.
    WeightedRecall,
    /// Mean of F1 over classes, weighted by their rows.
    WeightedF1,
}

/// Error of parsing a metric's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`")]
pub struct UnknownMetric {
    /// What was given.
    pub name: String,
}

impl Metric {
    /// Every metric, in the order of the definition.
    pub const ALL: [Self; 17] = [
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::Auc,
        Self::LogLoss,
        Self::Brier,
        Self::Mae,
        Self::Rmse,
        Self::R2,
        Self::AucOvrMacro,
        Self::MacroPrecision,
        Self::MacroRecall,
        Self::MacroF1,
        Self::WeightedPrecision,
        Self::WeightedRecall,
        Self::WeightedF1,
    ];

    /// Returns the name used in policies and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::Auc => "auc",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::Mae => "mae",
            Self::Rmse => "rmse",
            Self::R2 => "r2",
            Self::AucOvrMacro => "auc_ovr_macro",
            Self::MacroPrecision => "macro_precision",
            Self::MacroRecall => "macro_recall",
            Self::MacroF1 => "macro_f1",
            Self::WeightedPrecision => "weighted_precision",
            Self::WeightedRecall => "weighted_recall",
            Self::WeightedF1 => "weighted_f1",
        }
    }

    /// Returns which way the metric gets better.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Accuracy
            | Self::Precision
            | Self::Recall
            | Self::F1
            | Self::Auc
            | Self::R2
            | Self::AucOvrMacro
            | Self::MacroPrecision
            | Self::MacroRecall
            | Self::MacroF1
            | Self::WeightedPrecision
            | Self::WeightedRecall
            | Self::WeightedF1 => Direction::HigherIsBetter,
            Self::LogLoss | Self::Brier | Self::Mae | Self::Rmse => Direction::LowerIsBetter,
        }
    }

    /// Tells whether the metric is defined for the task.
    pub const fn applies_to(self, task: Task) -> bool {
        match self {
            Self::Accuracy | Self::LogLoss => matches!(task, Task::Binary | Task::Multiclass),
            Self::Precision | Self::Recall | Self::F1 | Self::Auc | Self::Brier => matches!(task, Task::Binary),
            Self::Mae | Self::Rmse | Self::R2 => matches!(task, Task::Regression),
            Self::AucOvrMacro
            | Self::MacroPrecision
            | Self::MacroRecall
            | Self::MacroF1
            | Self::WeightedPrecision
            | Self::WeightedRecall
            | Self::WeightedF1 => matches!(task, Task::Multiclass),
        }
    }

    /// Tells whether the metric is a mean over rows, so that each row has a loss of its own.
    pub const fn is_row_mean(self) -> bool {
        match self {
            Self::Accuracy | Self::LogLoss | Self::Brier | Self::Mae => true,
            Self::Precision
            | Self::Recall
            | Self::F1
            | Self::Auc
            | Self::Rmse
            | Self::R2
            | Self::AucOvrMacro
            | Self::MacroPrecision
            | Self::MacroRecall
            | Self::MacroF1
            | Self::WeightedPrecision
            | Self::WeightedRecall
            | Self::WeightedF1 => false,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| UnknownMetric { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn names_parse_back() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
        }
        assert!("AUC".parse::<Metric>().is_err());
    }
}
