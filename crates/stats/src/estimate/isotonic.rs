//! The best rising step function.

use serde::{Deserialize, Serialize};

/// Isotonic regression of labels on scores: the rising function with the least squared error, linear between its points and
/// constant beyond them.
///
/// M. Ayer et al., 1955 (pool adjacent violators); as `sklearn.isotonic.IsotonicRegression(out_of_bounds="clip")`.
///
/// ```
/// use refit_stats::estimate::Isotonic;
/// let fitted = Isotonic::fit(&[0.1, 0.2, 0.3, 0.4], &[0.0, 1.0, 0.0, 1.0]).expect("rows");
/// assert_eq!([0.0, 0.1, 0.25, 0.4, 1.0].map(|it| fitted.at(it)), [0.0, 0.0, 0.5, 1.0, 1.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    /// Scores, strictly rising; never empty.
    scores: Vec<f64>,
    /// Its value at each, not falling.
    values: Vec<f64>,
}

/// Neighboring scores of one value.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Isotonic {
    /// Fits; `None` unless there is one finite score for each label, and at least one.
    pub fn fit(scores: &[f64], labels: &[f64]) -> Option<Self> {
        if scores.is_empty() || scores.len() != labels.len() || scores.iter().any(|it| !it.is_finite()) {
            return None;
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut blocks: Vec<Block> = Vec::new();
        for at in order {
            let (score, label) = (scores[at], labels[at]);
            match blocks.last_mut() {
                // Rows of one score have one value, whatever comes before.
                Some(block) if block.first == score => {
                    block.sum += label;
                    block.weight += 1.0;
                }
                Some(_) | None => blocks.push(Block { first: score, last: score, sum: label, weight: 1.0 }),
            }
        }
        let mut pooled: Vec<Block> = Vec::new();
        for mut block in blocks {
            while let Some(before) = pooled.pop_if(|it| block.sum * it.weight <= it.sum * block.weight) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    sum: before.sum + block.sum,
                    weight: before.weight + block.weight,
                };
            }
            pooled.push(block);
        }
        let (mut points, mut values) = (Vec::new(), Vec::new());
        for block in pooled {
            let value = block.sum / block.weight;
            points.push(block.first);
            values.push(value);
            if block.first < block.last {
                points.push(block.last);
                values.push(value);
            }
        }
        Some(Self { scores: points, values })
    }

    /// Returns the value at a score.
    pub fn at(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|it| *it < score);
        if above == 0 {
            return self.values[0];
        }
        let Some((right, high)) = self.scores.get(above).zip(self.values.get(above)) else {
            return self.values[above - 1];
        };
        let (left, low) = (self.scores[above - 1], self.values[above - 1]);
        low + (high - low) * ((score - left) / (right - left))
    }
}
