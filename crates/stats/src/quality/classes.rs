//! Several classes: the predicted class of each row, and averages over classes.

use super::measure::LOG_LOSS_CLIP;
use super::{Metric, Scored};

/// The class of a row and the predicted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassRow {
    pub(crate) label: usize,
    pub(crate) predicted: usize,
}

/// The position of the largest score; the first wins.
pub(crate) fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (class, score) in row.iter().enumerate() {
        if row[best] < *score {
            best = class;
        }
    }
    best
}

pub(super) fn class_rows(scored: &Scored) -> impl Iterator<Item = ClassRow> + '_ {
    let rows = scored.scores().chunks_exact(scored.n_classes());
    scored.labels().iter().zip(rows).map(|(label, row)| ClassRow { label: *label as usize, predicted: argmax(row) })
}

/// The loss of each row on the scores as given: they are clipped from below, not normalized.
pub(super) fn log_loss_of_class(scored: &Scored) -> Vec<f64> {
    let rows = scored.scores().chunks_exact(scored.n_classes());
    scored.labels().iter().zip(rows).map(|(label, row)| -row[*label as usize].clamp(LOG_LOSS_CLIP, 1.0).ln()).collect()
}

/// Rows of one class, by weight.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    hits: f64,
    labels: f64,
    predicted: f64,
}

impl Totals {
    fn metric(self, metric: Metric) -> f64 {
        let (part, whole) = match metric {
            Metric::MacroRecall | Metric::WeightedRecall => (self.hits, self.labels),
            Metric::MacroF1 | Metric::WeightedF1 => (2.0 * self.hits, self.labels + self.predicted),
            Metric::MacroPrecision
            | Metric::WeightedPrecision
            | Metric::Accuracy
            | Metric::Precision
            | Metric::Recall
            | Metric::F1
            | Metric::Auc
            | Metric::AucOvrMacro
            | Metric::LogLoss
            | Metric::Brier
            | Metric::Mae
            | Metric::Rmse
            | Metric::R2 => (self.hits, self.predicted),
        };
        if whole <= 0.0 { 0.0 } else { part / whole }
    }
}

/// The mean over classes: plain over those that are a label or a prediction somewhere, as in scikit-learn, or weighted by
/// how often each is the label.
pub(crate) fn average(
    metric: Metric,
    rows: &[ClassRow],
    n_classes: usize,
    weight: &impl Fn(usize) -> f64,
) -> Option<f64> {
    // One pass; exact for weights that are counts, below 2^53.
    let mut classes = vec![Totals::default(); n_classes];
    for (at, row) in rows.iter().enumerate() {
        let it = weight(at);
        classes[row.label].labels += it;
        classes[row.predicted].predicted += it;
        if row.label == row.predicted {
            classes[row.label].hits += it;
        }
    }
    let is_weighted = matches!(metric, Metric::WeightedPrecision | Metric::WeightedRecall | Metric::WeightedF1);
    let (mut sum, mut total) = (0.0, 0.0);
    for class in classes.iter().filter(|it| 0.0 < it.labels + it.predicted) {
        let share = if is_weighted { class.labels } else { 1.0 };
        sum += share * class.metric(metric);
        total += share;
    }
    (0.0 < total).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use crate::quality::{Metric, Scored};

    fn scored(labels: &[f64], scores: &[f64]) -> Scored {
        Scored::multiclass(labels, scores).unwrap()
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        let table = scored(&[0.0, 1.0], &[0.5, 0.5, 0.0, 0.2, 0.4, 0.4]).confusion_table().unwrap();
        assert_eq!(table, [[1, 0, 0], [0, 1, 0], [0, 0, 0]]);
    }

    #[test]
    fn a_class_that_is_nowhere_does_not_pull_the_mean_down() {
        let rows = scored(&[0.0, 1.0], &[0.9, 0.1, 0.0, 0.2, 0.8, 0.0]);
        assert_eq!(rows.value(Metric::MacroF1), Some(1.0));
        assert_eq!(rows.value(Metric::AucOvrMacro), None, "nobody is of the third class");
    }

    #[test]
    fn a_class_name_has_no_probabilities() {
        let rows = Scored::predicted_classes(&[0.0, 2.0], &[0.0, 1.0], 3).unwrap();
        assert_eq!(rows.value(Metric::Accuracy), Some(0.5));
        assert_eq!(rows.value(Metric::WeightedRecall), Some(0.5));
        assert_eq!(rows.value(Metric::LogLoss), None);
        assert_eq!(rows.value(Metric::AucOvrMacro), None);
    }

    #[test]
    fn weights_count_rows() {
        let doubled = scored(&[0.0, 1.0, 1.0], &[0.6, 0.4, 0.7, 0.3, 0.7, 0.3]);
        let weighted = scored(&[0.0, 1.0], &[0.6, 0.4, 0.7, 0.3]);
        for metric in Metric::ALL.into_iter().filter(|it| it.applies_to(crate::quality::Task::Multiclass)) {
            let measure = weighted.measure(metric).unwrap();
            assert_eq!(measure.weighted(&[1.0, 2.0]), doubled.value(metric), "{metric}");
        }
    }
}
