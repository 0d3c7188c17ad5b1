//! What predictions are measured by.

use serde::{Deserialize, Serialize};

use super::Task;

/// A measure of predictions against labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of right classes.
    Accuracy,
    /// Right positives among predicted positives.
    Precision,
    /// Right positives among positives.
    Recall,
    /// Harmonic mean of precision and recall.
    F1,
    /// Area under the ROC curve.
    Auc,
    /// Mean negative log likelihood.
    LogLoss,
    /// Mean squared error of probabilities.
    Brier,
    /// Mean absolute error.
    Mae,
    /// Root of the mean squared error.
    Rmse,
    /// Coefficient of determination.
    R2,
    /// Area under the ROC curve of each class against the rest, averaged over classes.
    AucOvrMacro,
    /// Precision, averaged over classes.
    MacroPrecision,
    /// Recall, averaged over classes.
    MacroRecall,
    /// F1, averaged over classes.
    MacroF1,
    /// Precision, averaged over classes by their rows.
    WeightedPrecision,
    /// Recall, averaged over classes by their rows; equals accuracy.
    WeightedRecall,
    /// F1, averaged over classes by their rows.
    WeightedF1,
    /// Mean over standard deviation of daily returns, times the root of 252.
    SharpeRatio,
    /// Share of rows with a return above 0.
    WinRate,
    /// Largest loss since a peak of the wealth that returns add up to, as a share of the peak.
    MaxDrawdown,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

impl Direction {
    /// The word in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Direction::HigherIsBetter => "higher_is_better",
            Direction::LowerIsBetter => "lower_is_better",
        }
    }
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 20] = [
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::Auc,
        Metric::LogLoss,
        Metric::Brier,
        Metric::Mae,
        Metric::Rmse,
        Metric::R2,
        Metric::AucOvrMacro,
        Metric::MacroPrecision,
        Metric::MacroRecall,
        Metric::MacroF1,
        Metric::WeightedPrecision,
        Metric::WeightedRecall,
        Metric::WeightedF1,
        Metric::SharpeRatio,
        Metric::WinRate,
        Metric::MaxDrawdown,
    ];

    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Precision => "precision",
            Metric::Recall => "recall",
            Metric::F1 => "f1",
            Metric::Auc => "auc",
            Metric::LogLoss => "log_loss",
            Metric::Brier => "brier",
            Metric::Mae => "mae",
            Metric::Rmse => "rmse",
            Metric::R2 => "r2",
            Metric::AucOvrMacro => "auc_ovr_macro",
            Metric::MacroPrecision => "macro_precision",
            Metric::MacroRecall => "macro_recall",
            Metric::MacroF1 => "macro_f1",
            Metric::WeightedPrecision => "weighted_precision",
            Metric::WeightedRecall => "weighted_recall",
            Metric::WeightedF1 => "weighted_f1",
            Metric::SharpeRatio => "sharpe_ratio",
            Metric::WinRate => "win_rate",
            Metric::MaxDrawdown => "max_drawdown",
        }
    }

    /// Which way is better.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self {
            Metric::Accuracy
            | Metric::Precision
            | Metric::Recall
            | Metric::F1
            | Metric::Auc
            | Metric::R2
            | Metric::AucOvrMacro
            | Metric::MacroPrecision
            | Metric::MacroRecall
            | Metric::MacroF1
            | Metric::WeightedPrecision
            | Metric::WeightedRecall
            | Metric::WeightedF1
            | Metric::SharpeRatio
            | Metric::WinRate => Direction::HigherIsBetter,
            Metric::LogLoss | Metric::Brier | Metric::Mae | Metric::Rmse | Metric::MaxDrawdown => {
                Direction::LowerIsBetter
            }
        }
    }

    /// Whether the metric is of the returns that were made, and not of predictions.
    #[must_use]
    pub fn needs_returns(self) -> bool {
        matches!(self, Metric::SharpeRatio | Metric::WinRate | Metric::MaxDrawdown)
    }

    /// Whether the metric is defined for answers of this kind. Those of returns are of no answer.
    #[must_use]
    pub fn applies_to(self, task: Task) -> bool {
        match self {
            Metric::Mae | Metric::Rmse | Metric::R2 => task == Task::Regression,
            Metric::Accuracy | Metric::LogLoss => matches!(task, Task::Binary | Task::Multiclass),
            Metric::Precision | Metric::Recall | Metric::F1 | Metric::Auc | Metric::Brier => task == Task::Binary,
            Metric::AucOvrMacro
            | Metric::MacroPrecision
            | Metric::MacroRecall
            | Metric::MacroF1
            | Metric::WeightedPrecision
            | Metric::WeightedRecall
            | Metric::WeightedF1 => task == Task::Multiclass,
            Metric::SharpeRatio | Metric::WinRate | Metric::MaxDrawdown => false,
        }
    }

    /// The values that the metric can take, ends included.
    #[must_use]
    pub fn range(self) -> (f64, f64) {
        match self {
            Metric::Accuracy
            | Metric::Precision
            | Metric::Recall
            | Metric::F1
            | Metric::Auc
            | Metric::Brier
            | Metric::AucOvrMacro
            | Metric::MacroPrecision
            | Metric::MacroRecall
            | Metric::MacroF1
            | Metric::WeightedPrecision
            | Metric::WeightedRecall
            | Metric::WeightedF1
            | Metric::WinRate
            | Metric::MaxDrawdown => (0.0, 1.0),
            Metric::SharpeRatio => (f64::NEG_INFINITY, f64::INFINITY),
            Metric::LogLoss | Metric::Mae | Metric::Rmse => (0.0, f64::INFINITY),
            Metric::R2 => (f64::NEG_INFINITY, 1.0),
        }
    }
}
