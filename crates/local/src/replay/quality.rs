//! The answer of a replay: what was served against the first champion left alone, on the same rows.

use std::collections::BTreeMap;

use refit_app::ports::Objects as _;
use refit_core::policy::{Metric, ModelPolicy, Task};
use refit_data::{CaptureOptions, Kind, Values, read_capture_with};
use refit_stats::quality::Scored;

use super::document::{History, Quality, QualityMean, QualityWindow};
use super::input::Rows;
use super::traffic::load_model;
use crate::world::{World, WorldError};

/// Most bytes of a capture file.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// The metric that quality is told in: the one the policy watches, else the task's plainest.
fn metric_of(policy: &ModelPolicy) -> Metric {
    match (&policy.triggers.performance, policy.task) {
        (Some(performance), _) => performance.metric,
        (None, Task::Regression) => Metric::Mae,
        (None, Task::Binary | Task::Multiclass) => Metric::LogLoss,
    }
}

/// Computes the quality of what was served and of the first champion, by window, over rows from `begin` on.
pub(super) fn compute(
    world: &World,
    rows: &Rows,
    policy: &ModelPolicy,
    history: &History,
    begin: usize,
) -> Result<Quality, WorldError> {
    let metric = metric_of(policy);
    let served = read_served(world, rows, policy)?;
    let first = history
        .promotions()
        .first()
        .and_then(|it| history.packages.iter().find(|package| package.version == it.version).cloned());
    let Some(first) = first else {
        return Ok(Quality { metric, windows: Vec::new(), mean: QualityMean { frozen: None, refit: None } });
    };
    let frozen_model = load_model(world, &first.arn)?;
    let indices: Vec<usize> = (begin..rows.count()).collect();
    let frozen = frozen_model
        .predict(&rows.features.take(&indices))
        .map_err(|source| WorldError::Scoring { package: first.arn.clone(), source })?;
    // A row between two windows counts, too: with the window before it.
    let mut by_window: BTreeMap<jiff::Timestamp, Side> = BTreeMap::new();
    for (row, frozen) in indices.into_iter().zip(frozen) {
        let (Some(refit), Some(label)) = (served[row], rows.labels[row]) else { continue };
        let side = by_window.entry(policy.window.hop.floor(rows.time(row))).or_default();
        side.labels.push(label);
        side.refit.push(refit);
        side.frozen.push(frozen);
    }
    let windows: Vec<QualityWindow> = by_window
        .into_iter()
        .map(|(start, side)| QualityWindow {
            start,
            end: policy.window.hop.after(start),
            rows: side.labels.len() as u64,
            frozen: value(policy.task, metric, &side.labels, &side.frozen),
            refit: value(policy.task, metric, &side.labels, &side.refit),
        })
        .collect();
    let mean = QualityMean { frozen: mean(&windows, |it| it.frozen), refit: mean(&windows, |it| it.refit) };
    Ok(Quality { metric, windows, mean })
}

/// One window's rows.
#[derive(Default)]
struct Side {
    labels: Vec<f64>,
    refit: Vec<f64>,
    frozen: Vec<f64>,
}

fn value(task: Task, metric: Metric, labels: &[f64], scores: &[f64]) -> Option<f64> {
    let scored = match task {
        Task::Regression => Scored::regression(labels, scores),
        Task::Binary => Scored::binary(labels, scores),
        Task::Multiclass => Scored::multiclass(labels, scores),
    };
    scored.ok()?.value(metric.name().parse().ok()?)
}

/// The mean over windows, each weighed by its rows; `None` when a window has no value.
fn mean(windows: &[QualityWindow], side: impl Fn(&QualityWindow) -> Option<f64>) -> Option<f64> {
    let defined: Vec<(f64, f64)> = windows.iter().filter_map(|it| Some((side(it)?, it.rows as f64))).collect();
    let rows: f64 = defined.iter().map(|it| it.1).sum();
    (0.0 < rows).then(|| defined.iter().map(|(value, weight)| value * weight).sum::<f64>() / rows)
}

/// What each row was answered, by row number; read back from the capture files.
fn read_served(world: &World, rows: &Rows, policy: &ModelPolicy) -> Result<Vec<Option<f64>>, WorldError> {
    let row_of: BTreeMap<&str, usize> = rows.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let features: Vec<(String, Kind)> = Vec::new();
    let options = CaptureOptions {
        features: &features,
        score_key: &policy.data.prediction,
        answers: refit_app::measure::answers(policy.task),
    };
    let mut served = vec![None; rows.count()];
    let mut after: Option<String> = None;
    loop {
        let page = world.block_on(world.objects.list(&policy.data.capture, after.as_deref()))?;
        for info in &page.items {
            // Not traffic: what was uploaded by hand repeats a row with another answer, and placeholders are empty.
            if info.uri.key().ends_with("/upload.jsonl") || info.size == 0 {
                continue;
            }
            let object = world.block_on(world.objects.get(&info.uri, MAX_FILE_BYTES))?;
            let capture = read_capture_with(&object.bytes, options)
                .map_err(|error| WorldError::Data(format!("{}: {}", info.uri, refit_app::chain(&error))))?;
            let column = |name| capture.frame.find_column(name).map(|it| &it.values);
            if let (Some(Values::Categorical(ids)), Some(Values::Numeric(scores))) =
                (column("id"), column("prediction"))
            {
                for (row, score) in scores.iter().enumerate() {
                    if let Some(&row) = ids.get(row).and_then(|id| row_of.get(id)) {
                        served[row] = *score;
                    }
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(served),
        }
    }
}
