//! Quality of predictions with its error, and candidate against champion on the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_core::Digest;
use refit_core::evaluation::{Comparison, Improvement, improvement};
use refit_core::package::Measured;
use refit_core::policy::{ImprovementMode, Metric, Task};
use refit_stats::quality::{self, Measure, Scored};
use refit_stats::resample::{BlockBootstrap, REPLICATES, Replicates};
use refit_stats::returns::{ReturnMetric, Returns};

use super::classes::{ClassRow, score_classes};
use crate::memo::Memo;

/// Replicates for a standard error: its own relative error is then about 3.5 %, far below what rests on it.
pub(super) const ERROR_REPLICATES: usize = 400;
/// Microseconds of a day: the length of a block.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// One-sided 95 %.
const ALPHA: f64 = 0.05;

/// The statistic behind a metric of predictions; `None` for those of returns.
pub(super) fn stats_metric(metric: Metric) -> Option<quality::Metric> {
    Some(match metric {
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
        Metric::SharpeRatio | Metric::WinRate | Metric::MaxDrawdown => return None,
    })
}

/// A metric of certain rows under any weights.
#[derive(Debug, Clone)]
enum Statistic {
    Predictions(Measure),
    Returns(Returns, ReturnMetric),
}

impl Statistic {
    fn value(&self) -> Option<f64> {
        match self {
            Statistic::Predictions(measure) => measure.value(),
            Statistic::Returns(returns, metric) => returns.value(*metric),
        }
    }

    fn weighted(&self, weights: &[f64]) -> Option<f64> {
        match self {
            Statistic::Predictions(measure) => measure.weighted(weights),
            Statistic::Returns(returns, metric) => returns.weighted(*metric, weights),
        }
    }

    /// Whether single rows may be drawn, and not only whole days.
    fn takes_rows(&self) -> bool {
        match self {
            Statistic::Predictions(_) => true,
            Statistic::Returns(..) => false,
        }
    }
}

pub(super) fn scored(task: Task, labels: &[f64], scores: &[f64]) -> Option<Scored> {
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
    let measure = scored(task, labels, scores)?.measure(stats_metric(metric)?)?;
    measured(&Statistic::Predictions(measure), times, seed)
}

/// As [`measure`], of answers that tell classes apart.
#[must_use]
pub(super) fn measure_classes(metric: Metric, times: &[i64], rows: &[ClassRow<'_>], seed: &str) -> Option<Measured> {
    let measure = score_classes(rows)?.measure(stats_metric(metric)?)?;
    measured(&Statistic::Predictions(measure), times, seed)
}

fn measured(measure: &Statistic, times: &[i64], seed: &str) -> Option<Measured> {
    let value = measure.value().filter(|it| it.is_finite())?;
    let mut rng = ChaCha8Rng::seed_from_u64(Digest::of_list(&["error", seed]).seed());
    let days: Vec<i64> = times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
    let rows: Vec<i64> = (0i64..).take(times.len()).collect();
    let n_days = days.iter().collect::<std::collections::BTreeSet<_>>().len();
    let blocks = if n_days < 2 { times.len() } else { n_days } as u64;
    let keys = if measure.takes_rows() { vec![days, rows] } else { vec![days] };
    let errors = keys.into_iter().filter_map(|keys| {
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
    let metrics = Metric::ALL.into_iter().filter(|it| it.applies_to(task));
    let comparison = Comparing::new(times, seed);
    metrics
        .map(|metric| {
            let statistic =
                |it: &Option<Scored>| Some(Statistic::Predictions(it.as_ref()?.measure(stats_metric(metric)?)?));
            (metric, comparison.of(metric, statistic(&candidate), statistic(&champion)))
        })
        .collect()
}

/// Rows of a hold-out that both models answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) times: &'a [i64],
    pub(super) labels: &'a [f64],
    pub(super) candidate: &'a [f64],
    pub(super) champion: Option<&'a [f64]>,
}

impl Rows<'_> {
    /// The digest of all that a comparison depends on: of the times that is the days, and they may lie anywhere.
    fn digest(&self, task: Task, seed: &str) -> Digest {
        let days: Vec<i64> = self.times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
        let first = days.iter().copied().min().unwrap_or_default();
        let days = days.iter().flat_map(|it| (it - first).to_le_bytes());
        let bits = |values: &[f64]| values.iter().flat_map(|it| it.to_bits().to_le_bytes()).collect::<Vec<u8>>();
        let champion = self.champion.map_or_else(Vec::new, bits);
        let lengths = [seed.len(), self.times.len(), champion.len()].map(|it| (it as u64).to_le_bytes()).concat();
        let (labels, candidate) = (bits(self.labels), bits(self.candidate));
        Digest::of_parts(&[
            format!("{task:?}{}", self.champion.is_some()).as_bytes(),
            &lengths,
            seed.as_bytes(),
            &days.collect::<Vec<u8>>(),
            &labels,
            &candidate,
            &champion,
        ])
    }
}

/// As [`compare`]; what was compared lately is not compared again.
pub(super) fn compare_known(memo: &Memo, task: Task, rows: Rows<'_>, seed: &str) -> BTreeMap<Metric, Comparison> {
    let digest = rows.digest(task, seed);
    if let Some(known) = memo.comparisons().find(&digest) {
        return (*known).clone();
    }
    let compared = Arc::new(compare(task, rows.times, rows.labels, rows.candidate, rows.champion, seed));
    memo.comparisons().add(digest, &compared);
    Arc::unwrap_or_clone(compared)
}

/// Candidate and champion by what their decisions earned; `champion` is `None` without one.
///
/// Returns that are none (not finite, below -1) leave every metric undefined.
#[must_use]
pub fn compare_returns(
    times: &[i64],
    candidate: &[f64],
    champion: Option<&[f64]>,
    seed: &str,
) -> BTreeMap<Metric, Comparison> {
    let candidate = Returns::new(times, candidate).ok();
    let champion = champion.and_then(|it| Returns::new(times, it).ok());
    let comparison = Comparing::new(times, seed);
    let metrics = [
        (Metric::SharpeRatio, ReturnMetric::SharpeRatio),
        (Metric::WinRate, ReturnMetric::WinRate),
        (Metric::MaxDrawdown, ReturnMetric::MaxDrawdown),
    ];
    metrics
        .into_iter()
        .map(|(metric, it)| {
            let statistic = |returns: &Option<Returns>| Some(Statistic::Returns(returns.clone()?, it));
            (metric, comparison.of(metric, statistic(&candidate), statistic(&champion)))
        })
        .collect()
}

/// Some rows of a hold-out by the metrics that are asked for, with standard errors of the improvements instead of bounds: how far
/// a bound has to reach depends on how many there are.
#[must_use]
pub(super) fn compare_part(
    task: Task,
    metrics: &[Metric],
    times: &[i64],
    labels: &[f64],
    candidate: &[f64],
    champion: Option<&[f64]>,
    seed: &str,
) -> BTreeMap<Metric, Comparison> {
    let candidate = scored(task, labels, candidate);
    let champion = champion.and_then(|it| scored(task, labels, it));
    let comparison = Comparing { replicates: ERROR_REPLICATES, ..Comparing::new(times, seed) };
    metrics
        .iter()
        .map(|metric| {
            let statistic =
                |it: &Option<Scored>| Some(Statistic::Predictions(it.as_ref()?.measure(stats_metric(*metric)?)?));
            let mut comparison = comparison.of(*metric, statistic(&candidate), statistic(&champion));
            for improvement in comparison.improvements.values_mut() {
                (improvement.lower_bound, improvement.upper_bound) = (None, None);
            }
            (*metric, comparison)
        })
        .collect()
}

/// What comparisons on the same rows have in common.
struct Comparing<'a> {
    times: &'a [i64],
    seed: &'a str,
    bootstrap: Option<BlockBootstrap>,
    replicates: usize,
}

impl<'a> Comparing<'a> {
    fn new(times: &'a [i64], seed: &'a str) -> Comparing<'a> {
        let days: Vec<i64> = times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
        Comparing { times, seed, bootstrap: BlockBootstrap::new(&days).ok(), replicates: REPLICATES }
    }

    fn of(&self, metric: Metric, candidate: Option<Statistic>, champion: Option<Statistic>) -> Comparison {
        let improvements = match (&candidate, &champion) {
            (Some(candidate), Some(champion)) => self.improvements(metric, candidate, champion),
            (Some(_), None) | (None, _) => BTreeMap::new(),
        };
        Comparison {
            candidate: candidate.and_then(|it| measured(&it, self.times, self.seed)),
            champion: champion.and_then(|it| measured(&it, self.times, self.seed)),
            improvements,
        }
    }

    fn improvements(
        &self,
        metric: Metric,
        candidate: &Statistic,
        champion: &Statistic,
    ) -> BTreeMap<ImprovementMode, Improvement> {
        let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
        let points = modes.into_iter().filter_map(|mode| {
            let (new, old) = candidate.value().zip(champion.value())?;
            Some((mode, improvement(metric, mode, old, new)?))
        });
        let points: Vec<(ImprovementMode, f64)> = points.collect();
        // The same seed for every mode and metric: they all see the same days.
        let mut rng = ChaCha8Rng::seed_from_u64(Digest::of_list(&["improvement", self.seed]).seed());
        let pairs = self.bootstrap.as_ref().filter(|_| !points.is_empty()).map(|it| {
            let (candidate, champion) = (|w: &[f64]| candidate.weighted(w), |w: &[f64]| champion.weighted(w));
            it.pairs(&candidate, &champion, self.replicates, &mut rng)
        });
        let mut improvements = BTreeMap::new();
        for (mode, value) in points {
            let replicates = pairs.as_ref().map(|it| it.combine(|new, old| improvement(metric, mode, old, new)));
            let figure = |of: &dyn Fn(&Replicates) -> Option<f64>| replicates.as_ref().and_then(of);
            let improvement = Improvement {
                value,
                standard_error: figure(&Replicates::standard_error),
                lower_bound: figure(&|it| it.lower_bound(ALPHA)),
                upper_bound: figure(&|it| it.upper_bound(ALPHA)),
            };
            improvements.insert(mode, improvement);
        }
        improvements
    }
}
