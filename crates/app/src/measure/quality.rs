//! Quality of predictions with its error, and candidate against champion on the same rows.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_core::Digest;
use refit_core::evaluation::{Comparison, Improvement, improvement};
use refit_core::package::Measured;
use refit_core::policy::{ImprovementMode, Metric, Task};
use refit_stats::quality::{self, Measure, Scored};
use refit_stats::resample::{BlockBootstrap, REPLICATES};

use super::classes::{ClassRow, score_classes};

/// Replicates for a standard error: its own relative error is then about 3.5 %, far below what rests on it.
const ERROR_REPLICATES: usize = 400;
/// Microseconds of a day: the length of a block.
const DAY_MICROS: i64 = 86_400_000_000;
/// One-sided 95 %.
const ALPHA: f64 = 0.05;

fn stats_metric(metric: Metric) -> quality::Metric {
    match metric {
        Metric::Accuracy => quality::Metric::Accuracy,
        Metric::Precision => quality::Metric::Precision,
        Metric::Recall => quality::Metric::Recall,
        Metric::F1 => quality::Metric::F1,
        Metric::Auc => quality::Metric::Auc,
        Metric::LogLoss => quality::Metric::LogLoss,
        Metric::Brier => quality::Metric::Brier,
        Metric::Mae => quality::Metric::Mae,
        Metric::Rmse => quality::Metric::Rmse,
        Metric::R2 => quality::Metric::R2,
        Metric::AucOvrMacro => quality::Metric::AucOvrMacro,
        Metric::MacroPrecision => quality::Metric::MacroPrecision,
        Metric::MacroRecall => quality::Metric::MacroRecall,
        Metric::MacroF1 => quality::Metric::MacroF1,
        Metric::WeightedPrecision => quality::Metric::WeightedPrecision,
        Metric::WeightedRecall => quality::Metric::WeightedRecall,
        Metric::WeightedF1 => quality::Metric::WeightedF1,
    }
}

fn scored(task: Task, labels: &[f64], scores: &[f64]) -> Option<Scored> {
    let task = match task {
        Task::Regression => quality::Task::Regression,
        Task::Binary => quality::Task::Binary,
        Task::Multiclass => quality::Task::Multiclass,
    };
    Scored::new(task, labels, scores).ok()
}

/// The value of a metric with its standard error; `None` where the metric is undefined or a score is not finite.
///
/// The error is the larger of two: by resampling days, since rows of one day err together, and by resampling rows, since a
/// few days say little about the spread between days.
#[must_use]
pub fn measure(
    task: Task,
    metric: Metric,
    times: &[i64],
    labels: &[f64],
    scores: &[f64],
    seed: &str,
) -> Option<Measured> {
    let measure = scored(task, labels, scores)?.measure(stats_metric(metric))?;
    measured(&measure, times, seed)
}

/// As [`measure`], of answers that tell classes apart.
#[must_use]
pub(super) fn measure_classes(metric: Metric, times: &[i64], rows: &[ClassRow<'_>], seed: &str) -> Option<Measured> {
    let measure = score_classes(rows)?.measure(stats_metric(metric))?;
    measured(&measure, times, seed)
}

fn measured(measure: &Measure, times: &[i64], seed: &str) -> Option<Measured> {
    let value = measure.value().filter(|it| it.is_finite())?;
    let mut rng = ChaCha8Rng::seed_from_u64(Digest::of_list(&["error", seed]).seed());
    let days: Vec<i64> = times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
    let rows: Vec<i64> = (0i64..).take(times.len()).collect();
    let n_days = days.iter().collect::<std::collections::BTreeSet<_>>().len();
    let blocks = if n_days < 2 { times.len() } else { n_days } as u64;
    let errors = [days, rows].into_iter().filter_map(|keys| {
        let bootstrap = BlockBootstrap::new(&keys).ok()?;
        bootstrap.replicates(&|weights| measure.weighted(weights), ERROR_REPLICATES, &mut rng).standard_error()
    });
    let standard_error =
        errors.fold(None, |largest: Option<f64>, it| Some(largest.map_or(it, |largest| largest.max(it))));
    Some(Measured { value, standard_error, rows: times.len() as u64, blocks })
}

/// Candidate and champion on the same rows, by every metric of the task; bounds by resampling days, seeded by the run.
#[must_use]
pub fn compare(
    task: Task,
    times: &[i64],
    labels: &[f64],
    candidate: &[f64],
    champion: Option<&[f64]>,
    seed: &str,
) -> BTreeMap<Metric, Comparison> {
    let candidate = scored(task, labels, candidate);
    let champion = champion.and_then(|it| scored(task, labels, it));
    let days: Vec<i64> = times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
    let bootstrap = BlockBootstrap::new(&days).ok();
    let metrics = Metric::ALL.into_iter().filter(|it| it.applies_to(task));
    metrics
        .map(|metric| {
            let measure_of = |it: &Option<Scored>| it.as_ref().and_then(|it| it.measure(stats_metric(metric)));
            let (candidate, champion) = (measure_of(&candidate), measure_of(&champion));
            let improvements = match (&candidate, &champion) {
                (Some(candidate), Some(champion)) => {
                    improvements(metric, candidate, champion, bootstrap.as_ref(), seed)
                }
                _ => BTreeMap::new(),
            };
            let comparison = Comparison {
                candidate: candidate.and_then(|it| measured(&it, times, seed)),
                champion: champion.and_then(|it| measured(&it, times, seed)),
                improvements,
            };
            (metric, comparison)
        })
        .collect()
}

fn improvements(
    metric: Metric,
    candidate: &Measure,
    champion: &Measure,
    bootstrap: Option<&BlockBootstrap>,
    seed: &str,
) -> BTreeMap<ImprovementMode, Improvement> {
    let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
    let mut improvements = BTreeMap::new();
    for mode in modes {
        let point = candidate.value().zip(champion.value()).and_then(|(it, old)| improvement(metric, mode, old, it));
        let Some(value) = point else { continue };
        // The same seed for every mode and metric: they all see the same days.
        let mut rng = ChaCha8Rng::seed_from_u64(Digest::of_list(&["improvement", seed]).seed());
        let replicates = bootstrap.map(|it| {
            let combine = |new: f64, old: f64| improvement(metric, mode, old, new);
            it.paired(
                &|weights| candidate.weighted(weights),
                &|weights| champion.weighted(weights),
                &combine,
                REPLICATES,
                &mut rng,
            )
        });
        let (lower_bound, upper_bound) =
            replicates.map_or((None, None), |it| (it.lower_bound(ALPHA), it.upper_bound(ALPHA)));
        improvements.insert(mode, Improvement { value, lower_bound, upper_bound });
    }
    improvements
}
