//! The best logistic curve.

use serde::{Deserialize, Serialize};

/// Scores are kept this far from 0 and 1 before the logit.
const CLIP: f64 = 1e-12;

/// Newton steps; they converge in about six.
const STEPS: usize = 60;

/// Platt's calibration: a logistic regression of labels on the logit of the score.
///
/// J. Platt, "Probabilistic outputs for support vector machines", 1999, with his corrected targets, which keep it finite for
/// separated classes. Two parameters: it needs far fewer rows than [`super::Isotonic`], and fits fewer shapes.
///
/// ```
/// use refit_stats::estimate::Platt;
/// // Three of four are right wherever the score says nine of ten.
/// let scores: Vec<f64> = (0..400).map(|row| if row < 200 { 0.9 } else { 0.1 }).collect();
/// let labels: Vec<f64> = (0..400).map(|row| f64::from((row % 4 == 0) != (row < 200))).collect();
/// let fitted = Platt::fit(&scores, &labels).expect("rows");
/// assert!((fitted.at(0.9) - 0.75).abs() < 0.01 && (fitted.at(0.1) - 0.25).abs() < 0.01);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    slope: f64,
    offset: f64,
}

impl Platt {
    /// Fits; `None` unless there is one finite score for each label, and both classes.
    pub fn fit(scores: &[f64], labels: &[f64]) -> Option<Self> {
        if scores.len() != labels.len() || scores.iter().any(|it| !it.is_finite()) {
            return None;
        }
        let positives = labels.iter().filter(|it| **it == 1.0).count() as f64;
        let negatives = labels.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
        let rows: Vec<(f64, f64)> = scores
            .iter()
            .zip(labels)
            .map(|(score, label)| (logit(*score), if *label == 1.0 { high } else { low }))
            .collect();
        let mut best = Self { slope: 0.0, offset: ((positives + 1.0) / (negatives + 1.0)).ln() };
        let mut loss = best.loss(&rows);
        for _ in 0..STEPS {
            let step = best.newton(&rows);
            let mut share = 1.0;
            let next = loop {
                let next = Self { slope: best.slope - share * step.0, offset: best.offset - share * step.1 };
                if next.loss(&rows) < loss {
                    break Some(next);
                }
                share /= 2.0;
                if share < 1e-6 {
                    break None;
                }
            };
            let Some(next) = next else { break };
            (best, loss) = (next, next.loss(&rows));
        }
        Some(best)
    }

    /// Returns the value at a score.
    pub fn at(&self, score: f64) -> f64 {
        sigmoid(self.slope * logit(score) + self.offset)
    }

    fn loss(&self, rows: &[(f64, f64)]) -> f64 {
        rows.iter()
            .map(|(x, target)| {
                let z = self.slope * x + self.offset;
                // ln(1 + e^z) - target z, without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
            })
            .sum()
    }

    /// The Newton step.
    fn newton(&self, rows: &[(f64, f64)]) -> (f64, f64) {
        let (mut g, mut h) = ((0.0, 0.0), (1e-10, 0.0, 1e-10));
        for (x, target) in rows {
            let p = sigmoid(self.slope * x + self.offset);
            let (residual, weight) = (p - target, p * (1.0 - p));
            g = (g.0 + residual * x, g.1 + residual);
            h = (h.0 + weight * x * x, h.1 + weight * x, h.2 + weight);
        }
        let determinant = h.0 * h.2 - h.1 * h.1;
        if determinant <= 0.0 {
            return (0.0, g.1 / h.2);
        }
        ((h.2 * g.0 - h.1 * g.1) / determinant, (h.0 * g.1 - h.1 * g.0) / determinant)
    }
}

fn logit(score: f64) -> f64 {
    let clipped = score.clamp(CLIP, 1.0 - CLIP);
    (clipped / (1.0 - clipped)).ln()
}

fn sigmoid(z: f64) -> f64 {
    if z < 0.0 { z.exp() / (1.0 + z.exp()) } else { 1.0 / (1.0 + (-z).exp()) }
}
