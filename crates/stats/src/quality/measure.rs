//! One metric of one set of rows, prepared for many weightings.
//!
//! Losses and ranks do not depend on weights, so they are found once; each weighting is then a single pass.

use super::classes::{ClassRow, average, class_rows, log_loss_of_class};
use super::ranks::Ranks;
use super::{Metric, Scored, Task};
use crate::sum::pairwise_by;

/// Scores are kept this far from 0 and 1 before taking logarithms, so that one sure mistake does not decide everything.
pub(crate) const LOG_LOSS_CLIP: f64 = 1e-15;

/// Scores from here on count as predictions of class 1.
pub(crate) const CLASS_THRESHOLD: f64 = 0.5;

/// A metric of certain rows that can be evaluated under any weights.
///
/// ```
/// use refit_stats::quality::{Metric, Scored};
/// let scored = Scored::regression(&[1.0, 2.0, 3.0], &[1.0, 3.0, 5.0])?;
/// let mae = scored.measure(Metric::Mae).expect("applies to regression");
/// assert_eq!(mae.value(), Some(1.0));
/// assert_eq!(mae.weighted(&[0.0, 1.0, 2.0]), Some(5.0 / 3.0));
/// assert_eq!(mae.row_losses(), Some(&[0.0, 1.0, 2.0][..]));
/// # Ok::<(), refit_stats::quality::ScoredError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    metric: Metric,
    n_rows: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// The weighted mean of these.
    RowMean(Vec<f64>),
    /// The root of the weighted mean of these.
    RootRowMean(Vec<f64>),
    /// Squared errors and labels.
    Explained { squares: Vec<f64>, labels: Vec<f64> },
    /// Of each row: is it positive, is it predicted positive.
    Classes(Vec<(f64, f64)>),
    /// Rows by rising score.
    Ranks(Ranks),
    /// Of each row: its class and the predicted one.
    ClassRows { rows: Vec<ClassRow>, n_classes: usize },
    /// Of each class against all others.
    ClassRanks(Vec<Ranks>),
    /// There are no probabilities to measure.
    Undefined,
}

impl Measure {
    pub(super) fn new(metric: Metric, scored: &Scored) -> Self {
        let kind =
            if scored.task() == Task::Multiclass { of_classes(metric, scored) } else { of_scores(metric, scored) };
        Self { metric, n_rows: scored.n_rows(), kind }
    }

    /// Returns which metric this is.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Returns the number of rows, and so of weights.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Returns the metric with each row counted once.
    pub fn value(&self) -> Option<f64> {
        self.evaluate(&|_| 1.0)
    }

    /// Returns the metric with row `i` counted `weights[i]` times.
    ///
    /// `None` when it is undefined under these weights (no weight at all, one class only for AUC), when the result is
    /// not finite, or when there is not one weight for each row.
    pub fn weighted(&self, weights: &[f64]) -> Option<f64> {
        if weights.len() != self.n_rows {
            return None;
        }
        self.evaluate(&|row| weights[row])
    }

    /// Returns each row's own value where the metric is a mean over rows.
    ///
    /// For accuracy these are 1 for right and 0 for wrong, so more is better; for the others less is better.
    pub fn row_losses(&self) -> Option<&[f64]> {
        match &self.kind {
            Kind::RowMean(losses) => Some(losses),
            Kind::RootRowMean(_)
            | Kind::Explained { .. }
            | Kind::Classes(_)
            | Kind::Ranks(_)
            | Kind::ClassRows { .. }
            | Kind::ClassRanks(_)
            | Kind::Undefined => None,
        }
    }

    fn evaluate(&self, weight: &impl Fn(usize) -> f64) -> Option<f64> {
        let total = pairwise_by(self.n_rows, weight);
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let mean = |values: &[f64]| pairwise_by(self.n_rows, &|row| weight(row) * values[row]) / total;
        let value = match &self.kind {
            Kind::RowMean(losses) => Some(mean(losses)),
            Kind::RootRowMean(squares) => Some(mean(squares).sqrt()),
            Kind::Explained { squares, labels } => {
                let center = mean(labels);
                let spread =
                    pairwise_by(self.n_rows, &|row| weight(row) * (labels[row] - center) * (labels[row] - center))
                        / total;
                explained(total, mean(squares), spread)
            }
            Kind::Classes(rows) => Some(ratio_of_classes(self.metric, rows, weight)),
            Kind::Ranks(ranks) => ranks.area(weight),
            Kind::ClassRows { rows, n_classes } => average(self.metric, rows, *n_classes, weight),
            Kind::ClassRanks(classes) => {
                let areas: Option<Vec<f64>> = classes.iter().map(|it| it.area(weight)).collect();
                areas.map(|it| it.iter().sum::<f64>() / it.len() as f64)
            }
            Kind::Undefined => None,
        };
        value.filter(|it| it.is_finite())
    }
}

fn of_scores(metric: Metric, scored: &Scored) -> Kind {
    let rows = || scored.labels().iter().copied().zip(scored.scores().iter().copied());
    match metric {
        Metric::Accuracy => Kind::RowMean(rows().map(|(y, s)| f64::from(y == class(s))).collect()),
        Metric::LogLoss => Kind::RowMean(rows().map(|(y, s)| log_loss(y, s)).collect()),
        Metric::Brier => Kind::RowMean(rows().map(|(y, s)| (s - y) * (s - y)).collect()),
        Metric::Mae => Kind::RowMean(rows().map(|(y, s)| (s - y).abs()).collect()),
        Metric::Rmse => Kind::RootRowMean(rows().map(|(y, s)| (s - y) * (s - y)).collect()),
        Metric::R2 => Kind::Explained {
            squares: rows().map(|(y, s)| (s - y) * (s - y)).collect(),
            labels: scored.labels().to_vec(),
        },
        Metric::Precision | Metric::Recall | Metric::F1 => Kind::Classes(rows().map(|(y, s)| (y, class(s))).collect()),
        Metric::Auc => Kind::Ranks(Ranks::new(scored.scores(), |row| scored.labels()[row] == 1.0)),
        Metric::AucOvrMacro
        | Metric::MacroPrecision
        | Metric::MacroRecall
        | Metric::MacroF1
        | Metric::WeightedPrecision
        | Metric::WeightedRecall
        | Metric::WeightedF1 => Kind::Undefined,
    }
}

fn of_classes(metric: Metric, scored: &Scored) -> Kind {
    let n_classes = scored.n_classes();
    match metric {
        Metric::Accuracy => {
            Kind::RowMean(class_rows(scored).map(|row| f64::from(u8::from(row.label == row.predicted))).collect())
        }
        Metric::LogLoss if scored.has_probabilities() => Kind::RowMean(log_loss_of_class(scored)),
        Metric::AucOvrMacro if scored.has_probabilities() => {
            Kind::ClassRanks((0..n_classes).map(|class| Ranks::of_class(scored, class)).collect())
        }
        Metric::MacroPrecision
        | Metric::MacroRecall
        | Metric::MacroF1
        | Metric::WeightedPrecision
        | Metric::WeightedRecall
        | Metric::WeightedF1 => Kind::ClassRows { rows: class_rows(scored).collect(), n_classes },
        Metric::LogLoss
        | Metric::AucOvrMacro
        | Metric::Precision
        | Metric::Recall
        | Metric::F1
        | Metric::Auc
        | Metric::Brier
        | Metric::Mae
        | Metric::Rmse
        | Metric::R2 => Kind::Undefined,
    }
}

fn class(score: f64) -> f64 {
    f64::from(CLASS_THRESHOLD <= score)
}

fn log_loss(label: f64, score: f64) -> f64 {
    let clipped = score.clamp(LOG_LOSS_CLIP, 1.0 - LOG_LOSS_CLIP);
    if label == 1.0 { -clipped.ln() } else { -(-clipped).ln_1p() }
}

/// R2; one row has no variance to explain. Constant labels give 1 when met exactly and else 0, as in scikit-learn.
fn explained(total: f64, squares: f64, spread: f64) -> Option<f64> {
    if total < 2.0 {
        return None;
    }
    if spread == 0.0 {
        return Some(f64::from(squares == 0.0));
    }
    Some(1.0 - squares / spread)
}

fn ratio_of_classes(metric: Metric, rows: &[(f64, f64)], weight: &impl Fn(usize) -> f64) -> f64 {
    // One pass; exact for weights that are counts, below 2^53.
    let (mut hits, mut positives, mut predicted) = (0.0, 0.0, 0.0);
    for (row, (label, class)) in rows.iter().enumerate() {
        let it = weight(row);
        hits += it * label * class;
        positives += it * label;
        predicted += it * class;
    }
    let (part, whole) = match metric {
        Metric::Recall => (hits, positives),
        Metric::F1 => (2.0 * hits, positives + predicted),
        Metric::Precision
        | Metric::Accuracy
        | Metric::Auc
        | Metric::LogLoss
        | Metric::Brier
        | Metric::Mae
        | Metric::Rmse
        | Metric::R2
        | Metric::AucOvrMacro
        | Metric::MacroPrecision
        | Metric::MacroRecall
        | Metric::MacroF1
        | Metric::WeightedPrecision
        | Metric::WeightedRecall
        | Metric::WeightedF1 => (hits, predicted),
    };
    if whole <= 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use crate::quality::{Metric, Scored};

    #[track_caller]
    fn check_binary(metric: Metric, labels: &[f64], scores: &[f64], expected: Option<f64>) {
        assert_eq!(Scored::binary(labels, scores).unwrap().value(metric), expected);
    }

    #[test]
    fn nothing_predicted_has_precision_zero() {
        check_binary(Metric::Precision, &[1.0, 0.0], &[0.2, 0.1], Some(0.0));
        check_binary(Metric::F1, &[0.0, 0.0], &[0.2, 0.1], Some(0.0));
    }

    #[test]
    fn one_class_has_no_auc() {
        check_binary(Metric::Auc, &[1.0, 1.0], &[0.2, 0.1], None);
    }

    #[test]
    fn one_half_is_positive() {
        check_binary(Metric::Recall, &[1.0], &[0.5], Some(1.0));
    }

    #[test]
    fn constant_labels_follow_scikit_learn() {
        let r2 = |labels: &[f64], scores: &[f64]| Scored::regression(labels, scores).unwrap().value(Metric::R2);
        assert_eq!(r2(&[2.0, 2.0], &[2.0, 2.0]), Some(1.0));
        assert_eq!(r2(&[2.0, 2.0], &[2.0, 3.0]), Some(0.0));
        assert_eq!(r2(&[2.0], &[2.0]), None);
    }

    #[test]
    fn no_weight_measures_nothing() {
        let scored = Scored::regression(&[1.0, 2.0], &[1.0, 1.0]).unwrap();
        let mae = scored.measure(Metric::Mae).unwrap();
        assert_eq!(mae.weighted(&[0.0, 0.0]), None);
        assert_eq!(mae.weighted(&[1.0]), None);
    }
}
