//! What a metric is expected to be, given calibrated probabilities.

use rand_core::Rng;

use super::{CalibrationCheck, Calibrator, Method};
use crate::binomial::uniform;
use crate::quality::{ClassRow, LOG_LOSS_CLIP, Measure, Metric, Scored, ScoredError, Task, argmax, average};
use crate::resample::{BlockBootstrap, Replicates, ResampleError};

/// Why nothing can be estimated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EstimateError {
    /// The scores are not those of a classification of these classes.
    #[error("scores cannot be taken")]
    Scores(#[source] ScoredError),
    /// Rows cannot be resampled.
    #[error("rows cannot be resampled")]
    Resample(#[source] ResampleError),
    /// There is not one key for each row.
    #[error("{keys} keys do not pair with {rows} rows")]
    KeysDiffer {
        /// Keys given.
        keys: usize,
        /// Rows of the estimate.
        rows: usize,
    },
    /// The metric does not apply to the task.
    #[error("{0} does not apply")]
    Metric(Metric),
}

/// What turns scores of a classification into probabilities, fitted on labelled reference rows.
///
/// ```
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use refit_stats::estimate::Estimator;
/// use refit_stats::quality::{Metric, Scored};
/// // Calibrated: of ten rows with a score of 0.8, eight are positive.
/// let scores: Vec<f64> = (0..1_000).map(|row| if row < 500 { 0.8 } else { 0.3 }).collect();
/// let labels: Vec<f64> = (0..1_000).map(|row| f64::from(row % 10 < if row < 500 { 8 } else { 3 })).collect();
/// let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let estimator = Estimator::fit(&Scored::binary(&labels, &scores)?, &mut rng).expect("a classification");
/// // A window in which the sure ones are rare.
/// let window = estimator.estimate(&[0.8, 0.3, 0.3, 0.3])?;
/// let accuracy = window.value(Metric::Accuracy).expect("applies");
/// assert!((accuracy - (0.8 + 3.0 * 0.7) / 4.0).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Estimator {
    task: Task,
    /// One for the positive class of a binary task, one for each class of another.
    calibrators: Vec<Calibrator>,
    checks: Vec<Option<CalibrationCheck>>,
}

impl Estimator {
    /// Fits on labelled rows, choosing for each class how its scores are calibrated; `None` for a regression, or where only
    /// the names of predicted classes are known.
    pub fn fit(reference: &Scored, rng: &mut dyn Rng) -> Option<Self> {
        Self::fit_each(reference, |scores, labels| Calibrator::choose(scores, labels, rng))
    }

    /// Fits on labelled rows by a method for each class (for the positive class alone of a binary task), the last one for all
    /// further classes; `None` as for [`Estimator::fit`].
    pub fn fit_by(reference: &Scored, methods: &[Method]) -> Option<Self> {
        let mut methods = methods.iter().copied();
        let mut method = Method::AsIs;
        Self::fit_each(reference, |scores, labels| {
            method = methods.next().unwrap_or(method);
            (Calibrator::fit(method, scores, labels), None)
        })
    }

    fn fit_each(
        reference: &Scored,
        mut fit: impl FnMut(&[f64], &[f64]) -> (Calibrator, Option<CalibrationCheck>),
    ) -> Option<Self> {
        let task = reference.task();
        let fitted: Vec<_> = match task {
            Task::Regression => return None,
            Task::Binary => vec![fit(reference.scores(), reference.labels())],
            Task::Multiclass if reference.has_probabilities() => (0..reference.n_classes())
                .map(|class| {
                    let scores = column(reference.scores(), class, reference.n_classes());
                    let labels: Vec<f64> =
                        reference.labels().iter().map(|it| f64::from(u8::from(*it == class as f64))).collect();
                    fit(&scores, &labels)
                })
                .collect(),
            Task::Multiclass => return None,
        };
        let (calibrators, checks) = fitted.into_iter().unzip();
        Some(Self { task, calibrators, checks })
    }

    /// Returns how each class is calibrated.
    pub fn calibrators(&self) -> &[Calibrator] {
        &self.calibrators
    }

    /// Returns the worst calibration error over the classes on rows not fitted on; `None` where it could not be checked.
    pub fn calibration_error(&self) -> Option<f64> {
        self.checks.iter().map(|it| it.map(|it| it.error_after)).try_fold(0.0_f64, |most, it| Some(most.max(it?)))
    }

    /// Returns the checks of calibration, one for each calibrator.
    pub fn checks(&self) -> &[Option<CalibrationCheck>] {
        &self.checks
    }

    /// Takes the scores of a window, row by row as in [`Scored::new`].
    ///
    /// # Errors
    /// When scores are empty, not probabilities, or not whole rows of the reference's classes.
    pub fn estimate(&self, scores: &[f64]) -> Result<Estimate, EstimateError> {
        match self.task {
            Task::Regression | Task::Binary => {
                Scored::binary(&vec![0.0; scores.len()], scores).map_err(EstimateError::Scores)?;
                let positive = scores.iter().map(|it| self.calibrators[0].at(*it).clamp(0.0, 1.0));
                let probabilities = positive.flat_map(|it| [1.0 - it, it]).collect();
                Ok(Estimate { task: self.task, n_classes: 2, probabilities, scores: scores.to_vec() })
            }
            Task::Multiclass => {
                let n_classes = self.calibrators.len();
                let n_rows = scores.len() / n_classes;
                if n_rows * n_classes != scores.len() {
                    let error = ScoredError::RowsDiffer { labels: n_rows, scores: scores.len() };
                    return Err(EstimateError::Scores(error));
                }
                Scored::multiclass(&vec![0.0; n_rows], scores).map_err(EstimateError::Scores)?;
                let mut probabilities = Vec::with_capacity(scores.len());
                for row in scores.chunks_exact(n_classes) {
                    let calibrated: Vec<f64> =
                        row.iter().zip(&self.calibrators).map(|(it, by)| by.at(*it).clamp(0.0, 1.0)).collect();
                    let total: f64 = calibrated.iter().sum();
                    let even = 1.0 / n_classes as f64;
                    probabilities.extend(calibrated.iter().map(|it| if 0.0 < total { it / total } else { even }));
                }
                Ok(Estimate { task: self.task, n_classes, probabilities, scores: scores.to_vec() })
            }
        }
    }
}

fn column(rows: &[f64], class: usize, n_classes: usize) -> Vec<f64> {
    rows.iter().skip(class).step_by(n_classes).copied().collect()
}

/// A window without labels: what its rows probably are.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    task: Task,
    n_classes: usize,
    /// Of each row, the calibrated probability of each class.
    probabilities: Vec<f64>,
    /// Of each row, the scores as they came.
    scores: Vec<f64>,
}

impl Estimate {
    /// Returns the number of rows.
    pub fn n_rows(&self) -> usize {
        self.probabilities.len() / self.n_classes
    }

    /// Returns the expected number of rows of each class (first) predicted as each class (second).
    pub fn confusion_table(&self) -> Vec<Vec<f64>> {
        let mut table = vec![vec![0.0; self.n_classes]; self.n_classes];
        let predicted = self.predicted();
        for (row, probabilities) in self.probabilities.chunks_exact(self.n_classes).enumerate() {
            for (class, it) in probabilities.iter().enumerate() {
                table[class][predicted[row]] += it;
            }
        }
        table
    }

    /// Returns the metric of the expected table, or the expectation where the metric is a mean over rows; `None` if it does not
    /// apply to the task or is undefined.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.prepare(metric)?.value(&self.probabilities)
    }

    /// Draws what the metric may turn out to be once labels are known: each replicate draws blocks of rows (one key such as a
    /// day number for each row) and a label for each row.
    ///
    /// The spread covers the chance of labels and of days. It does not cover that the reference was small, nor that labels come
    /// to follow another rule.
    ///
    /// # Errors
    /// When there are fewer than two keys or not one for each row, or the metric does not apply.
    pub fn replicates(
        &self,
        metric: Metric,
        keys: &[i64],
        n_replicates: usize,
        rng: &mut dyn Rng,
    ) -> Result<Replicates, EstimateError> {
        if keys.len() != self.n_rows() {
            return Err(EstimateError::KeysDiffer { keys: keys.len(), rows: self.n_rows() });
        }
        let prepared = self.prepare(metric).ok_or(EstimateError::Metric(metric))?;
        let bootstrap = BlockBootstrap::new(keys).map_err(EstimateError::Resample)?;
        let mut values = Vec::with_capacity(n_replicates);
        let mut weights = vec![0.0; self.probabilities.len()];
        for _ in 0..n_replicates {
            weights.fill(0.0);
            for (row, often) in bootstrap.draw(rng).into_iter().enumerate() {
                if 0.0 < often {
                    weights[row * self.n_classes + self.draw_label(row, rng)] = often;
                }
            }
            values.extend(prepared.value(&weights));
        }
        Ok(Replicates::of(prepared.value(&self.probabilities), values, n_replicates))
    }

    fn draw_label(&self, row: usize, rng: &mut dyn Rng) -> usize {
        let mut left = uniform(rng);
        let probabilities = &self.probabilities[row * self.n_classes..(row + 1) * self.n_classes];
        for (class, it) in probabilities.iter().enumerate() {
            left -= it;
            if left < 0.0 {
                return class;
            }
        }
        // Rounding can leave a bit over; a class that cannot be is not drawn.
        probabilities.iter().rposition(|it| 0.0 < *it).unwrap_or(0)
    }

    fn predicted(&self) -> Vec<usize> {
        match self.task {
            Task::Regression | Task::Binary => {
                self.scores.iter().map(|it| usize::from(crate::quality::CLASS_THRESHOLD <= *it)).collect()
            }
            Task::Multiclass => self.scores.chunks_exact(self.n_classes).map(argmax).collect(),
        }
    }

    /// Each row as many rows, one for each class it may be of: weights then say how much it is of which.
    fn prepare(&self, metric: Metric) -> Option<Prepared> {
        if !metric.applies_to(self.task) {
            return None;
        }
        match (self.task, metric) {
            (Task::Regression, _) => None,
            (Task::Binary, _) => Some(Prepared::Whole(either(&self.scores, metric)?)),
            (Task::Multiclass, Metric::LogLoss) => {
                Some(Prepared::Mean(self.scores.iter().map(|it| -it.clamp(LOG_LOSS_CLIP, 1.0).ln()).collect()))
            }
            (Task::Multiclass, Metric::AucOvrMacro) => {
                let rows = self.scores.chunks_exact(self.n_classes);
                let shares: Vec<f64> = rows.flat_map(|row| row.iter().map(|it| it / row.iter().sum::<f64>())).collect();
                let classes =
                    (0..self.n_classes).map(|class| either(&column(&shares, class, self.n_classes), Metric::Auc));
                Some(Prepared::Areas(classes.collect::<Option<_>>()?))
            }
            (Task::Multiclass, _) => {
                let classes = |predicted: usize| (0..self.n_classes).map(move |label| ClassRow { label, predicted });
                let rows = self.predicted().into_iter().flat_map(classes).collect();
                Some(Prepared::Classes { metric, rows, n_classes: self.n_classes })
            }
        }
    }
}

/// A binary metric of each score twice: as a row of class 0 and as one of class 1.
fn either(scores: &[f64], metric: Metric) -> Option<Measure> {
    let labels: Vec<f64> = scores.iter().flat_map(|_| [0.0, 1.0]).collect();
    let twice: Vec<f64> = scores.iter().flat_map(|it| [*it, *it]).collect();
    Scored::binary(&labels, &twice).ok()?.measure(metric)
}

/// A metric that takes, of each row, how much it is of each class.
enum Prepared {
    Whole(Measure),
    Mean(Vec<f64>),
    Areas(Vec<Measure>),
    Classes { metric: Metric, rows: Vec<ClassRow>, n_classes: usize },
}

impl Prepared {
    fn value(&self, weights: &[f64]) -> Option<f64> {
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return None;
        }
        let value = match self {
            Self::Whole(measure) => measure.weighted(weights),
            Self::Mean(losses) => Some(losses.iter().zip(weights).map(|(it, weight)| it * weight).sum::<f64>() / total),
            Self::Areas(classes) => {
                let areas: Option<Vec<f64>> = classes
                    .iter()
                    .enumerate()
                    .map(|(class, it)| {
                        let rows = weights.chunks_exact(classes.len());
                        let either: Vec<f64> =
                            rows.flat_map(|row| [row.iter().sum::<f64>() - row[class], row[class]]).collect();
                        it.weighted(&either)
                    })
                    .collect();
                areas.map(|it| it.iter().sum::<f64>() / it.len() as f64)
            }
            Self::Classes { metric: Metric::Accuracy, rows, .. } => {
                let right = rows.iter().zip(weights).filter(|(row, _)| row.label == row.predicted);
                Some(right.map(|(_, weight)| weight).sum::<f64>() / total)
            }
            Self::Classes { metric, rows, n_classes } => average(*metric, rows, *n_classes, &|row| weights[row]),
        };
        value.filter(|it| it.is_finite())
    }
}
