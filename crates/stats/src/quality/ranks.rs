//! Rows in the order of one score, for areas under the ROC curve.

use std::ops::Range;

use super::Scored;

/// Rows by rising score, with the ranges in that order that share one score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranks {
    order: Vec<usize>,
    positive: Vec<bool>,
    ties: Vec<Range<usize>>,
}

impl Ranks {
    pub(super) fn new(scores: &[f64], is_positive: impl Fn(usize) -> bool) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let positive = order.iter().map(|row| is_positive(*row)).collect();
        let mut ties = Vec::new();
        let mut start = 0;
        for end in 1..=order.len() {
            if end == order.len() || scores[order[end]] != scores[order[start]] {
                ties.push(start..end);
                start = end;
            }
        }
        Self { order, positive, ties }
    }

    /// One class against all others, on rows divided by their sum.
    pub(super) fn of_class(scored: &Scored, class: usize) -> Self {
        let rows = scored.scores().chunks_exact(scored.n_classes());
        let shares: Vec<f64> = rows.map(|row| row[class] / row.iter().sum::<f64>()).collect();
        Self::new(&shares, |row| scored.labels()[row] == class as f64)
    }

    /// Area under the ROC curve as the Mann-Whitney share; `None` without both classes. Weights that are counts make every
    /// sum here exact below 2^53.
    pub(super) fn area(&self, weight: &impl Fn(usize) -> f64) -> Option<f64> {
        let (mut below, mut positives, mut wins) = (0.0, 0.0, 0.0);
        for tie in &self.ties {
            let (mut tied_positive, mut tied_negative) = (0.0, 0.0);
            for at in tie.clone() {
                let it = weight(self.order[at]);
                if self.positive[at] {
                    tied_positive += it;
                } else {
                    tied_negative += it;
                }
            }
            wins += tied_positive * (below + 0.5 * tied_negative);
            below += tied_negative;
            positives += tied_positive;
        }
        (0.0 < below && 0.0 < positives).then(|| wins / (below * positives))
    }
}
