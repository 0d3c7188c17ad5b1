//! Quality before labels come: the champion's scores of a window, calibrated on its own hold-out, say how often they are
//! right. What labels make of it later is kept beside it.

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_core::package::{Measured, Package};
use refit_core::plan::Recent;
use refit_core::policy::{Metric, ModelPolicy, PerformancePolicy, Task};
use refit_core::trigger::{Judgment, JudgmentKind, PastEstimates, QualityEvidence, WindowEvidence};
use refit_core::{Digest, Window};
use refit_data::{ClassAnswer, Frame, Values};
use refit_stats::estimate::Estimator;

use super::classes::classes_of;
use super::predictions::Predictions;
use super::profiles::source_of;
use super::quality::{DAY_MICROS, ERROR_REPLICATES, scored, stats_metric};
use super::reader::Reader;
use super::streams::find_holdout;
use super::windows::newest_closed;
use crate::error::AppError;
use crate::use_cases::Context;

/// Most probabilities of one window that are drawn from; above it nothing is estimated.
const MAX_SCORES: usize = 5_000_000;

/// The scores of a window.
#[derive(Debug, Default)]
struct Served {
    times: Vec<i64>,
    /// Row by row, one for each class of a multiclass task.
    scores: Vec<f64>,
    /// Whether an answer was no list of probabilities.
    is_unusable: bool,
}

/// Estimates the quality of the windows that closed since it was estimated last.
///
/// # Errors
/// See [`AppError`].
pub(super) async fn collect_estimates(
    (context, policy): (&Context, &ModelPolicy),
    (champion, since): (&Package, Timestamp),
    closed_until: (Timestamp, Timestamp),
    recent: &Recent,
    reader: &mut Reader<'_>,
) -> Result<Vec<WindowEvidence>, AppError> {
    let Some(wanted) = &policy.triggers.estimated_performance else { return Ok(Vec::new()) };
    let (judged, until) = closed_until;
    let closed = newest_closed(policy, judged, until);
    if closed.is_empty() {
        return Ok(Vec::new());
    }
    let classes = classes_of(champion);
    let holdout = find_holdout(context, policy, champion, &classes).await?;
    let estimator = holdout.and_then(|it| fit(&it, policy.task, champion));
    let past = past_estimates(recent, champion, wanted.metric);
    let mut windows = Vec::new();
    for window in closed {
        let capture = reader.captured(&window).await?;
        let source = source_of(capture.as_ref());
        let served = capture.map(|it| served_since(&it, since, policy.task, classes.len())).unwrap_or_default();
        let rows = served.times.len() as u64;
        let seed =
            Digest::of_list(&["estimate", policy.id.as_ref(), &champion.version.to_string(), &window.end.to_string()]);
        let measured = estimator.as_ref().and_then(|it| estimate(it, &served, wanted, &seed));
        let quality = QualityEvidence { measured, estimated: None };
        windows.push(WindowEvidence::Estimate { window, source, rows, quality, past });
    }
    Ok(windows)
}

/// Calibrates on the champion's hold-out, with draws that its version alone decides.
fn fit(holdout: &Predictions, task: Task, champion: &Package) -> Option<Estimator> {
    let mut rng = ChaCha8Rng::seed_from_u64(Digest::of_list(&["calibration", &champion.version.to_string()]).seed());
    Estimator::fit(&scored(task, &holdout.labels, &holdout.candidate)?, &mut rng)
}

/// The estimate of a window with its standard error, by drawing days and labels.
fn estimate(estimator: &Estimator, served: &Served, wanted: &PerformancePolicy, seed: &Digest) -> Option<Measured> {
    if served.is_unusable || MAX_SCORES < served.scores.len() {
        return None;
    }
    let metric = stats_metric(wanted.metric)?;
    let estimate = estimator.estimate(&served.scores).ok()?;
    let value = estimate.value(metric)?;
    let days: Vec<i64> = served.times.iter().map(|it| it.div_euclid(DAY_MICROS)).collect();
    let n_days = days.iter().collect::<std::collections::BTreeSet<_>>().len();
    let (keys, blocks) = if n_days < 2 { ((0i64..).take(days.len()).collect(), days.len()) } else { (days, n_days) };
    let mut rng = ChaCha8Rng::seed_from_u64(seed.seed());
    let replicates = estimate.replicates(metric, &keys, ERROR_REPLICATES, &mut rng).ok();
    let standard_error = replicates.and_then(|it| it.standard_error());
    Some(Measured { value, standard_error, rows: served.times.len() as u64, blocks: blocks as u64 })
}

/// The answers of rows since a time.
fn served_since(capture: &Frame, since: Timestamp, task: Task, n_classes: usize) -> Served {
    let mut served = Served::default();
    let column = |name| capture.find_column(name).map(|it| &it.values);
    let (Some(Values::Time(times)), Some(predictions)) = (column("ts"), column("prediction")) else { return served };
    for (row, time) in times.iter().enumerate() {
        let Some(time) = time.filter(|it| since.as_microsecond() <= *it) else { continue };
        match (predictions, task) {
            (Values::Numeric(scores), Task::Binary) => {
                let Some(score) = scores[row] else { continue };
                served.scores.push(score);
            }
            (Values::Categorical(texts), Task::Multiclass) => {
                let Some(text) = texts.get(row) else { continue };
                match ClassAnswer::from_text(text) {
                    ClassAnswer::Probabilities(values) if values.len() <= n_classes => {
                        // A list that ends early has probability 0 for the classes after it.
                        let missing = n_classes - values.len();
                        served.scores.extend(values.into_iter().chain(std::iter::repeat_n(0.0, missing)));
                    }
                    ClassAnswer::Probabilities(_) | ClassAnswer::Class(_) => {
                        served.is_unusable = true;
                    }
                }
            }
            (Values::Numeric(_) | Values::Categorical(_) | Values::Time(_), _) => continue,
        }
        served.times.push(time);
    }
    served
}

/// How the champion's earlier estimates held, by the judgments that have both.
fn past_estimates(recent: &Recent, champion: &Package, metric: Metric) -> Option<PastEstimates> {
    let errors: Vec<f64> = newest(recent, JudgmentKind::Performance, champion)
        .filter_map(|it| it.quality.as_ref())
        .filter(|it| it.metric == metric)
        .filter_map(|it| Some(it.value? - it.estimated?))
        .collect();
    (!errors.is_empty()).then(|| PastEstimates {
        windows: u32::try_from(errors.len()).unwrap_or(u32::MAX),
        mean_error: errors.iter().sum::<f64>() / errors.len() as f64,
        largest: errors.iter().fold(0.0, |most, it| most.max(it.abs())),
    })
}

/// What was estimated for a window before its labels came.
pub(super) fn estimated(recent: &Recent, champion: &Package, window: &Window, metric: Metric) -> Option<f64> {
    newest(recent, JudgmentKind::EstimatedPerformance, champion)
        .filter(|it| it.window == *window)
        .max_by_key(|it| it.age())
        .and_then(|it| it.quality.as_ref())
        .filter(|it| it.metric == metric)
        .and_then(|it| it.value)
}

fn newest<'a>(recent: &'a Recent, kind: JudgmentKind, champion: &Package) -> impl Iterator<Item = &'a Judgment> {
    let version = champion.version;
    recent.judgments.iter().filter(move |it| it.kind == kind && it.champion == Some(version))
}

#[cfg(test)]
mod tests {
    use refit_data::Column;

    use super::*;

    #[test]
    fn answers_are_taken_by_task_and_time() {
        let since = Timestamp::from_microsecond(10).unwrap_or_default();
        let frame = |prediction| {
            let ts = Column { name: "ts".to_owned(), values: Values::Time(vec![Some(9), Some(10), None, Some(12)]) };
            Frame::new(vec![ts, Column { name: "prediction".to_owned(), values: prediction }])
                .unwrap_or_else(|error| panic!("{error}"))
        };
        let numbers = frame(Values::Numeric(vec![Some(0.1), Some(0.2), Some(0.3), None]));
        let served = served_since(&numbers, since, Task::Binary, 0);
        assert_eq!((served.times, served.scores, served.is_unusable), (vec![10], vec![0.2], false));
        assert!(served_since(&numbers, since, Task::Multiclass, 2).times.is_empty());
        let lists = |texts: [&'static str; 4]| frame(Values::Categorical(texts.into_iter().map(Some).collect()));
        let served = served_since(&lists(["[1,0]", "[0.4,0.6]", "[1,0]", "[0.2,0.3,0.5]"]), since, Task::Multiclass, 3);
        assert_eq!((served.times, served.scores), (vec![10, 12], vec![0.4, 0.6, 0.0, 0.2, 0.3, 0.5]));
        assert!(!served.is_unusable);
        for unusable in ["spam", "[0.1,0.2,0.3,0.4]"] {
            assert!(served_since(&lists(["", unusable, "", ""]), since, Task::Multiclass, 3).is_unusable);
        }
    }
}
