//! Whether probabilities are what they say, and what is done where they are not.

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::{Isotonic, Platt};
use crate::binomial::index;

/// Bins of equal counts over which the calibration error is taken.
pub const ECE_BINS: usize = 10;

/// Parts of the reference; each is predicted by a calibration that was fitted on the others.
const FOLDS: usize = 5;

/// Fewer rows of either class than this are not recalibrated: a fold would have too few to tell.
const MIN_OF_CLASS: usize = 20;

/// A way to turn scores into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Scores are taken as they are.
    AsIs,
    /// [`Isotonic`].
    Isotonic,
    /// [`Platt`].
    Platt,
}

/// A fitted way to turn scores into probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibrator {
    /// Scores are taken as they are.
    AsIs,
    /// By isotonic regression.
    Isotonic(Isotonic),
    /// By a logistic curve.
    Platt(Platt),
}

impl Calibrator {
    /// Fits by one method; scores as they are where it cannot be fitted.
    pub fn fit(method: Method, scores: &[f64], labels: &[f64]) -> Self {
        match method {
            Method::AsIs => Self::AsIs,
            Method::Isotonic => Isotonic::fit(scores, labels).map_or(Self::AsIs, Self::Isotonic),
            Method::Platt => Platt::fit(scores, labels).map_or(Self::AsIs, Self::Platt),
        }
    }

    /// Fits the method that has the least calibration error on rows it was not fitted on, and says what was compared.
    ///
    /// No check and no change where a class has fewer than 20 rows. `rng` deals rows to folds.
    ///
    /// ```
    /// use rand_chacha::ChaCha8Rng;
    /// use rand_chacha::rand_core::SeedableRng;
    /// use refit_stats::estimate::Calibrator;
    /// // Half of the rows are positive whatever the score says.
    /// let scores: Vec<f64> = (0..1_000).map(|row| f64::from(row % 10) / 10.0 + 0.05).collect();
    /// let labels: Vec<f64> = (0..1_000).map(|row| f64::from(row / 10 % 2)).collect();
    /// let mut rng = ChaCha8Rng::seed_from_u64(1);
    /// let (fitted, check) = Calibrator::choose(&scores, &labels, &mut rng);
    /// let check = check.expect("enough rows");
    /// assert!(0.2 < check.error_before && check.error_after < 0.06);
    /// assert!((fitted.at(0.95) - 0.5).abs() < 0.06);
    /// ```
    pub fn choose(scores: &[f64], labels: &[f64], rng: &mut dyn Rng) -> (Self, Option<CalibrationCheck>) {
        let Some(folds) = deal(labels, rng) else { return (Self::AsIs, None) };
        let errors = [Method::AsIs, Method::Isotonic, Method::Platt].map(|method| {
            let held_out = held_out(method, scores, labels, &folds);
            (method, calibration_error(&held_out, labels).unwrap_or(f64::INFINITY))
        });
        let before = errors[0].1;
        let (method, after) = errors.into_iter().fold(errors[0], |best, it| if it.1 < best.1 { it } else { best });
        let check = CalibrationCheck { rows: scores.len() as u64, error_before: before, error_after: after };
        (Self::fit(method, scores, labels), Some(check))
    }

    /// Returns the probability that a score stands for.
    pub fn at(&self, score: f64) -> f64 {
        match self {
            Self::AsIs => score,
            Self::Isotonic(it) => it.at(score),
            Self::Platt(it) => it.at(score),
        }
    }
}

/// Calibration errors on rows that were not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationCheck {
    /// How many rows.
    pub rows: u64,
    /// Of the scores as they are.
    pub error_before: f64,
    /// Of what was chosen.
    pub error_after: f64,
}

/// Returns the expected calibration error: the mean difference of predicted and true share over [`ECE_BINS`] bins of equal
/// counts, weighted by count.
///
/// Fewer bins where there are fewer than two rows for each. `None` without a row, or with other than one label for each score.
///
/// ```
/// use refit_stats::estimate::calibration_error;
/// assert_eq!(calibration_error(&[0.75; 8], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), Some(0.25));
/// ```
pub fn calibration_error(probabilities: &[f64], labels: &[f64]) -> Option<f64> {
    let n = probabilities.len();
    if n == 0 || n != labels.len() {
        return None;
    }
    let bins = ECE_BINS.min(n / 2).max(1);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let sum = (0..bins).map(|bin| {
        let rows = &order[bin * n / bins..(bin + 1) * n / bins];
        rows.iter().map(|row| probabilities[*row] - labels[*row]).sum::<f64>().abs()
    });
    Some(sum.sum::<f64>() / n as f64)
}

/// The fold of each row, dealt by class; `None` where a class has too few rows.
fn deal(labels: &[f64], rng: &mut dyn Rng) -> Option<Vec<usize>> {
    let mut folds = vec![0; labels.len()];
    for class in [0.0, 1.0] {
        let mut rows: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
        if rows.len() < MIN_OF_CLASS {
            return None;
        }
        for at in (1..rows.len()).rev() {
            rows.swap(at, index(rng, at + 1));
        }
        rows.iter().enumerate().for_each(|(at, row)| folds[*row] = at % FOLDS);
    }
    Some(folds)
}

/// Each row's probability by a calibration that did not see it.
fn held_out(method: Method, scores: &[f64], labels: &[f64], folds: &[usize]) -> Vec<f64> {
    let mut found = scores.to_vec();
    for fold in 0..FOLDS {
        let seen = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(folds).filter(|(_, it)| **it != fold).map(|(value, _)| *value).collect()
        };
        let fitted = Calibrator::fit(method, &seen(scores), &seen(labels));
        for (row, it) in found.iter_mut().enumerate().filter(|(row, _)| folds[*row] == fold) {
            *it = fitted.at(scores[row]);
        }
    }
    found
}
