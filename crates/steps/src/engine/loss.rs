//! What is minimized: where margins begin, which way they should move, and what answer they mean.

use serde::{Deserialize, Serialize};

use super::{EngineError, Margins};
use crate::request::Task;

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// Half the squared distance; the margin is the answer.
    Squared,
    /// The negative log likelihood of 0 or 1; the margin is the log odds of 1.
    Logistic,
    /// The negative log likelihood of a class; the margins are log probabilities but for a common summand.
    Softmax,
}

/// First and second derivatives by margin, one output.
type Slopes = (Vec<f32>, Vec<f32>);

impl Loss {
    pub(crate) fn of(task: Task) -> Loss {
        match task {
            Task::Regression => Loss::Squared,
            Task::Binary => Loss::Logistic,
            Task::Multiclass => Loss::Softmax,
        }
    }

    /// The best constant margins: one output, or one a class.
    pub(crate) fn base(self, labels: &[f64], classes: &[String]) -> Result<Vec<f64>, EngineError> {
        let only = labels.first().filter(|first| labels.iter().all(|it| it == *first)).copied();
        let one_class = |label: String, task| EngineError::OneClass { rows: labels.len(), label, task };
        let count = labels.len() as f64;
        let sum: f64 = labels.iter().sum();
        match (self, only) {
            (Loss::Squared, _) => Ok(vec![sum / count]),
            (Loss::Logistic, Some(label)) => Err(one_class(label.to_string(), Task::Binary)),
            (Loss::Logistic, None) => Ok(vec![(sum / (count - sum)).ln()]),
            (Loss::Softmax, Some(label)) => {
                let name = classes.get(label as usize).cloned().unwrap_or_default();
                Err(one_class(format!("`{name}`"), Task::Multiclass))
            }
            (Loss::Softmax, None) => {
                let mut rows = vec![0.0; classes.len()];
                labels.iter().for_each(|it| rows[*it as usize] += 1.0);
                // A class that is known and did not occur now is rare, not impossible.
                Ok(rows.iter().map(|it: &f64| (it.max(0.5) / count).ln()).collect())
            }
        }
    }

    /// The derivatives of the loss by every output's margin.
    pub(super) fn slopes(self, labels: &[f64], margins: &Margins) -> Vec<Slopes> {
        match self {
            Loss::Squared => margins
                .iter()
                .map(|margin| margin.iter().zip(labels).map(|(it, label)| ((it - label) as f32, 1.0)).unzip())
                .collect(),
            Loss::Logistic => margins
                .iter()
                .map(|margin| {
                    let slope = |(it, label): (&f64, &f64)| {
                        let probability = sigmoid(*it);
                        ((probability - label) as f32, (probability * (1.0 - probability)) as f32)
                    };
                    margin.iter().zip(labels).map(slope).unzip()
                })
                .collect(),
            Loss::Softmax => softmax_slopes(labels, margins),
        }
    }

    /// Turns margins into answers: the number, the probability of 1, or the probability of each class.
    pub(crate) fn to_scores(self, mut margins: Margins) -> Margins {
        match self {
            Loss::Squared => {}
            Loss::Logistic => margins.iter_mut().flatten().for_each(|it| *it = sigmoid(*it)),
            Loss::Softmax => normalize(&mut margins),
        }
        margins
    }
}

fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

/// Probabilities in place of margins, output by output; the largest margin is taken off first, so that none overflows.
fn normalize(margins: &mut Margins) {
    let rows = margins.first().map_or(0, Vec::len);
    for row in 0..rows {
        let largest = margins.iter().map(|it| it[row]).fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for margin in margins.iter_mut() {
            margin[row] = (margin[row] - largest).exp();
            sum += margin[row];
        }
        margins.iter_mut().for_each(|it| it[row] /= sum);
    }
}

/// The diagonal of the second derivatives is widened by K/(K-1), as LightGBM does: the outputs move together, and the
/// diagonal alone would overshoot (Friedman 2001, algorithm 6).
fn softmax_slopes(labels: &[f64], margins: &Margins) -> Vec<Slopes> {
    let mut probabilities = margins.clone();
    normalize(&mut probabilities);
    let count = margins.len() as f64;
    let widening = count / (count - 1.0).max(1.0);
    let outputs = probabilities.into_iter().enumerate();
    outputs
        .map(|(class, probabilities)| {
            let slope = |(probability, label): (f64, &f64)| {
                let target = if *label == class as f64 { 1.0 } else { 0.0 };
                ((probability - target) as f32, (widening * probability * (1.0 - probability)) as f32)
            };
            probabilities.into_iter().zip(labels).map(slope).unzip()
        })
        .collect()
}
