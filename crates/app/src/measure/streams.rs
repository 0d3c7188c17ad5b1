//! Evidence beyond drift and performance: the champion's predictions against those on its hold-out, its errors one by one,
//! and whether its inputs are whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_core::model::Model;
use refit_core::package::Package;
use refit_core::plan::Recent;
use refit_core::policy::{DetectorPolicy, ModelPolicy, PredictionDriftPolicy, Task};
use refit_core::trigger::{FeatureEvidence, Judgment, JudgmentKind, WindowEvidence};
use refit_data::drift::{FeatureProfile, Profiler};
use refit_data::{ClassAnswer, Column, Frame, Values};
use refit_stats::sequential::{Adwin, Ddm, PageHinkley};
use serde::{Deserialize, Serialize};

use super::MAX_FILE_BYTES;
use super::baseline::distance;
use super::classes::{classes_of, predicted};
use super::estimates::collect_estimates;
use super::joined::join;
use super::predictions::{Predictions, Wanted};
use super::profiles::{PREDICTION, WindowProfile, source_of};
use super::reader::Reader;
use super::verdicts::of_predictions;
use super::windows::{labels_known, newest_closed};
use crate::error::AppError;
use crate::ports::ObjectError;
use crate::state::find_run;
use crate::use_cases::Context;

/// What watches errors, as it is stored in a judgment: with its settings, so that changed ones begin anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    policy: DetectorPolicy,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    PageHinkley(PageHinkley),
    Ddm(Ddm),
    Adwin(Adwin),
}

impl Watch {
    fn new(policy: DetectorPolicy) -> Watch {
        let state = match policy {
            DetectorPolicy::PageHinkley { delta, threshold, warm_up } => {
                State::PageHinkley(PageHinkley::new(delta, threshold, warm_up))
            }
            DetectorPolicy::Ddm { threshold, warm_up } => State::Ddm(Ddm::new(warm_up, threshold)),
            DetectorPolicy::Adwin { delta } => State::Adwin(Adwin::new(delta)),
        };
        Watch { policy, state }
    }

    /// Goes on where the newest judgment of this champion stopped; begins anew with another champion, after a rollback and
    /// with other settings.
    fn resume(policy: DetectorPolicy, model: &Model, recent: &Recent) -> Watch {
        let head = &model.head;
        let since = head.rolled_back.as_ref().filter(|it| Some(it.to) == head.champion).map(|it| it.at);
        let is_ours = |it: &&Judgment| {
            it.kind == JudgmentKind::Concept && it.champion == head.champion && since.is_none_or(|since| since < it.at)
        };
        let newest = recent.judgments.iter().filter(is_ours).max_by_key(|it| it.age());
        let stored = newest.and_then(|it| serde_json::from_value::<Watch>(it.detector.clone()?).ok());
        stored.filter(|it| it.policy == policy).unwrap_or_else(|| Watch::new(policy))
    }

    /// Takes the error of one row; `true` is an alarm.
    fn add(&mut self, error: f64, task: Task) -> bool {
        match &mut self.state {
            State::PageHinkley(it) => it.add(error),
            State::Ddm(it) => it.add(0.5 <= error),
            State::Adwin(it) => it.add(match task {
                // ADWIN needs values in [0, 1]; this keeps their order and makes the usual error a half.
                Task::Regression => error / (1.0 + error),
                Task::Binary | Task::Multiclass => error,
            }),
        }
    }
}

/// Measures what the policy asks for on the windows that closed since they were judged last.
///
/// # Errors
/// See [`AppError`].
pub(super) async fn collect_streams(
    context: &Context,
    model: &Model,
    policy: &ModelPolicy,
    recent: &Recent,
    now: Timestamp,
    reader: &mut Reader<'_>,
) -> Result<Vec<WindowEvidence>, AppError> {
    let mut windows = Vec::new();
    let triggers = &policy.triggers;
    let head = &model.head;
    let closed_until = policy.window.lateness.before(now);
    if triggers.upstream.is_some() {
        for window in newest_closed(policy, head.judged_until(JudgmentKind::Upstream), closed_until) {
            let profile = reader.profile(&window).await?;
            let (source, rows) = (profile.source(), profile.rows);
            let null_rates = if rows == 0 { BTreeMap::new() } else { null_rates(&profile, policy) };
            windows.push(WindowEvidence::Upstream { window, source, rows, null_rates });
        }
    }
    let Some(champion) = model.champion() else { return Ok(windows) };
    // Rows that an earlier champion predicted say nothing about this one.
    let restored_at = head.rolled_back.as_ref().filter(|it| it.to == champion.version).map(|it| it.at);
    let since = restored_at.max(champion.promoted_at).unwrap_or(Timestamp::MIN);
    let until = (head.judged_until(JudgmentKind::EstimatedPerformance), closed_until);
    windows.extend(collect_estimates((context, policy), (champion, since), until, recent, reader).await?);
    if let Some(drift) = &triggers.prediction_drift {
        let closed = newest_closed(policy, head.judged_until(JudgmentKind::Predictions), closed_until);
        let classes = classes_of(champion);
        let holdout = if closed.is_empty() { None } else { find_holdout(context, policy, champion, &classes).await? };
        let reference = holdout.and_then(|it| profile_of(predictions_of(&it, policy.task, &classes)));
        for window in closed {
            let profile = reader.profile(&window).await?;
            let source = profile.source();
            let known = profile.features.get(PREDICTION).filter(|_| since <= window.start).cloned();
            let served = match known {
                Some(served) => Some(served),
                // Classes are named by the champion, and a part of the window may have been answered by an earlier one.
                None => {
                    let capture = reader.captured(&window).await?;
                    capture.and_then(|it| predictions_since(&it, since, policy.task, &classes)).and_then(profile_of)
                }
            };
            let rows = served.as_ref().map_or(0, |it| it.counts().count - it.counts().missing);
            let distance = compare_predictions(reference.as_ref(), served.as_ref(), drift);
            windows.push(WindowEvidence::Predictions { window, source, rows, distance });
        }
    }
    if let Some(detector) = triggers.concept {
        let closed = newest_closed(policy, head.judged_until(JudgmentKind::Concept), labels_known(policy, now));
        let unit = if closed.is_empty() { None } else { unit_of_errors(context, policy, champion).await? };
        let mut watch = Watch::resume(detector, model, recent);
        for window in closed {
            let capture = reader.captured(&window).await?;
            let source = source_of(capture.as_ref());
            let labels = match &capture {
                Some(capture) => reader.labels_of(capture, &window).await?,
                None => BTreeMap::new(),
            };
            let errors = match (capture, unit) {
                (Some(capture), Some(unit)) => join(&capture, &labels, since).errors(policy.task, unit, champion),
                (None, _) | (_, None) => Vec::new(),
            };
            let mut alarms = 0;
            let mut first_alarm = None;
            for (time, error) in &errors {
                if watch.add(*error, policy.task) {
                    alarms += 1;
                    first_alarm = first_alarm.or(Timestamp::from_microsecond(*time).ok());
                }
            }
            let rows = errors.len() as u64;
            let detector = unit.and_then(|_| serde_json::to_value(&watch).ok());
            windows.push(WindowEvidence::Concept { window, source, rows, alarms, first_alarm, detector });
        }
    }
    Ok(windows)
}

/// The share of rows without a value, NaN among them, for each input of the model.
fn null_rates(profile: &WindowProfile, policy: &ModelPolicy) -> BTreeMap<String, f64> {
    let rows = profile.rows.max(1) as f64;
    let nulls = |name: &str| match profile.features.get(name) {
        Some(FeatureProfile::Numeric(it)) => it.n_null + it.n_nan,
        Some(FeatureProfile::Categorical(it)) => it.n_null,
        None => profile.rows,
    };
    policy.data.features.keys().map(|name| (name.clone(), nulls(name) as f64 / rows)).collect()
}

/// The predictions of rows since a time: numbers, or the class that each row was given.
fn predictions_since(capture: &Frame, since: Timestamp, task: Task, classes: &[String]) -> Option<Column> {
    let column = |name| capture.find_column(name).map(|it| &it.values);
    let Some(Values::Time(times)) = column("ts") else { return None };
    let is_ours = |row: &usize| times[*row].is_some_and(|it| since.as_microsecond() <= it);
    let rows = (0..times.len()).filter(is_ours);
    let values = match (column("prediction")?, task) {
        (Values::Numeric(scores), Task::Regression | Task::Binary) => {
            Values::Numeric(rows.map(|row| scores[row]).collect())
        }
        (Values::Categorical(texts), Task::Multiclass) => {
            let answers: Vec<_> = rows.map(|row| texts.get(row).map(ClassAnswer::from_text)).collect();
            let named = answers.iter().map(|it| it.as_ref().and_then(|it| predicted(classes, it)));
            Values::Categorical(named.collect())
        }
        (Values::Numeric(_) | Values::Categorical(_) | Values::Time(_), _) => return None,
    };
    Some(Column { name: PREDICTION.to_owned(), values })
}

/// The same of the champion on its hold-out.
fn predictions_of(holdout: &Predictions, task: Task, classes: &[String]) -> Column {
    let values = match task {
        Task::Regression | Task::Binary => Values::Numeric(holdout.candidate.iter().map(|it| Some(*it)).collect()),
        Task::Multiclass => {
            let rows = holdout.candidate.chunks_exact(classes.len().max(1));
            let answers: Vec<_> = rows.map(|it| ClassAnswer::Probabilities(it.to_vec())).collect();
            Values::Categorical(answers.iter().map(|it| predicted(classes, it)).collect())
        }
    };
    Column { name: PREDICTION.to_owned(), values }
}

/// The profile of a column by itself.
fn profile_of(column: Column) -> Option<FeatureProfile> {
    let mut profiler = Profiler::new(&[(column.name.clone(), column.values.kind())]);
    profiler.add(&Frame::new(vec![column]).ok()?);
    profiler.finish().features.into_values().next()
}

fn compare_predictions(
    reference: Option<&FeatureProfile>,
    served: Option<&FeatureProfile>,
    policy: &PredictionDriftPolicy,
) -> FeatureEvidence {
    match (reference, served) {
        (Some(reference), Some(served)) => distance(PREDICTION, reference, served, of_predictions(policy)),
        (None, _) | (_, None) => FeatureEvidence::unmeasured(PREDICTION.to_owned(), policy.metric),
    }
}

/// What the champion predicted on its hold-out, when it was the candidate; `None` when that is gone or damaged. `classes` are
/// those of its answers, for a multiclass task.
pub(super) async fn find_holdout(
    context: &Context,
    policy: &ModelPolicy,
    champion: &Package,
    classes: &[String],
) -> Result<Option<Predictions>, AppError> {
    // An adopted champion has no run that judged it.
    let Some(run) = &champion.run else { return Ok(None) };
    let run = find_run(&*context.ports.table, run).await?;
    let Some(uri) = run.and_then(|it| it.request.as_ref()?.output.join("predictions.parquet").ok()) else {
        return Ok(None);
    };
    match context.ports.objects.get(&uri, MAX_FILE_BYTES).await {
        Ok(object) => {
            let wanted = Wanted { task: policy.task, classes, has_champion: false, segments: &[] };
            Ok(Predictions::read(&object.bytes, wanted).ok())
        }
        Err(ObjectError::NotFound(_) | ObjectError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What an error of 1 means: one wrong class, or the champion's mean absolute error on its hold-out.
async fn unit_of_errors(context: &Context, policy: &ModelPolicy, champion: &Package) -> Result<Option<f64>, AppError> {
    match policy.task {
        Task::Binary | Task::Multiclass => Ok(Some(1.0)),
        Task::Regression => {
            let Some(holdout) = find_holdout(context, policy, champion, &[]).await? else { return Ok(None) };
            let errors = holdout.labels.iter().zip(&holdout.candidate).map(|(label, score)| (label - score).abs());
            let mean = errors.sum::<f64>() / holdout.labels.len().max(1) as f64;
            Ok((mean.is_finite() && 0.0 < mean).then_some(mean))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_reads_back_as_it_was_stored() {
        for policy in [
            DetectorPolicy::PageHinkley { delta: 0.005, threshold: 50.0, warm_up: 30 },
            DetectorPolicy::Ddm { threshold: 3.0, warm_up: 30 },
            DetectorPolicy::Adwin { delta: 0.002 },
        ] {
            let mut watch = Watch::new(policy);
            for row in 0..100_u32 {
                watch.add(f64::from(row % 3), Task::Regression);
            }
            let stored = serde_json::to_value(&watch).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(serde_json::from_value::<Watch>(stored).ok(), Some(watch));
        }
    }
}
