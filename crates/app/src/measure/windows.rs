//! Evidence about closed windows, from the pointers that `record-window` keeps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use refit_core::model::Model;
use refit_core::policy::ModelPolicy;
use refit_core::trigger::{QualityEvidence, WindowEvidence};
use refit_core::{ObjectUri, Window};
use refit_data::{CaptureOptions, Frame, Label, Values, read_capture_with, read_ground_truth};

use super::baseline::ensure_baseline;
use super::quality::measure;
use super::{MAX_FILE_BYTES, feature_columns};
use crate::documents::{parse, window_partition};
use crate::error::AppError;
use crate::ports::{Objects, Order, Query, Table};
use crate::use_cases::record_window::{FileKind, WindowPointer};

/// Most windows of one kind judged in one check; the rest is judged at the next.
const MAX_WINDOWS: usize = 8;

/// What was measured for a check.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collected {
    /// Windows, oldest first, drift before performance.
    pub windows: Vec<WindowEvidence>,
}

/// Measures the windows that closed since they were judged last.
///
/// # Errors
/// See [`AppError`].
pub async fn collect_windows(
    table: &dyn Table,
    objects: &dyn Objects,
    bucket: &str,
    model: &Model,
    policy: &ModelPolicy,
    now: Timestamp,
) -> Result<Collected, AppError> {
    let mut collected = Collected::default();
    let size = policy.window.size;
    let head = &model.head;
    if let Some(drift) = &policy.triggers.drift {
        let until = policy.window.lateness.before(now);
        let closed = Window::closed(size, head.drift_judged_until, until, MAX_WINDOWS);
        if !closed.is_empty()
            && let Some(baseline) = ensure_baseline(objects, bucket, policy).await?
        {
            for window in closed {
                let capture = read_captures(table, objects, policy, &window).await?;
                let features = capture.as_ref().map(|it| baseline.score(it, drift)).unwrap_or_default();
                let rows = capture.map_or(0, |it| it.rows() as u64);
                collected.windows.push(WindowEvidence::Drift { window, rows, features });
            }
        }
    }
    if let (Some(performance), Some(champion)) = (&policy.triggers.performance, model.champion()) {
        let known =
            policy.data.label_maturity.before(policy.data.label_delay.before(policy.window.lateness.before(now)));
        // Rows that an earlier champion predicted say nothing about this one.
        let since = champion.promoted_at.unwrap_or(Timestamp::MIN);
        for window in Window::closed(size, head.performance_judged_until, known, MAX_WINDOWS) {
            let capture = read_captures(table, objects, policy, &window).await?;
            let labels = read_labels(table, objects, policy, &window, now).await?;
            let joined = capture.map(|it| join(&it, &labels, since)).unwrap_or_default();
            let seed = format!("{}/{}/{}", policy.id, champion.version, window.end);
            let measured =
                measure(policy.task, performance.metric, &joined.times, &joined.labels, &joined.scores, &seed);
            let rows = joined.times.len() as u64;
            collected.windows.push(WindowEvidence::Performance { window, rows, quality: QualityEvidence { measured } });
        }
    }
    Ok(collected)
}

/// Predictions with their labels.
#[derive(Debug, Clone, PartialEq, Default)]
struct Joined {
    times: Vec<i64>,
    labels: Vec<f64>,
    scores: Vec<f64>,
}

fn join(capture: &Frame, labels: &BTreeMap<String, f64>, since: Timestamp) -> Joined {
    let mut joined = Joined::default();
    let column = |name| capture.find_column(name).map(|it| &it.values);
    let (Some(Values::Categorical(ids)), Some(Values::Time(times)), Some(Values::Numeric(scores))) =
        (column("id"), column("ts"), column("prediction"))
    else {
        return joined;
    };
    let mut seen = BTreeSet::new();
    for row in 0..capture.rows() {
        let (Some(id), Some(time), Some(score)) = (ids.get(row), times[row], scores[row]) else { continue };
        let Some(&label) = labels.get(id) else { continue };
        if since.as_microsecond() <= time && seen.insert(id) {
            joined.times.push(time);
            joined.labels.push(label);
            joined.scores.push(score);
        }
    }
    joined
}

async fn pointers(
    table: &dyn Table,
    policy: &ModelPolicy,
    from: Timestamp,
    until: Timestamp,
    kind: FileKind,
) -> Result<Vec<WindowPointer>, AppError> {
    let mut found: BTreeMap<(ObjectUri, String), WindowPointer> = BTreeMap::new();
    let day_length = SignedDuration::from_hours(24);
    let mut day = refit_core::policy::Span::days(1).floor(from);
    while day < until {
        let mut after = None;
        loop {
            let query = Query {
                partition: window_partition(&policy.id, day),
                prefix: format!("{}#", kind.name()),
                after: after.take(),
                order: Order::Ascending,
                limit: 1_000,
            };
            let page = table.query(&query).await?;
            for item in &page.items {
                let pointer: WindowPointer = parse(item)?;
                found.insert((pointer.uri.clone(), pointer.etag.clone()), pointer);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        day = day.checked_add(day_length).unwrap_or(Timestamp::MAX);
    }
    Ok(found.into_values().collect())
}

/// The rows captured in a window; `None` without any file.
async fn read_captures(
    table: &dyn Table,
    objects: &dyn Objects,
    policy: &ModelPolicy,
    window: &Window,
) -> Result<Option<Frame>, AppError> {
    let features = feature_columns(&policy.data);
    let options = CaptureOptions { features: &features, score_key: &policy.data.prediction };
    let mut frames = Vec::new();
    for pointer in pointers(table, policy, window.start, window.end, FileKind::Capture).await? {
        let bytes = read_file(objects, &pointer).await?;
        let corrupt = |error: refit_data::ReadError| AppError::CorruptObject {
            uri: pointer.uri.to_string(),
            source: error.into(),
        };
        frames.push(read_capture_with(&bytes, options).map_err(corrupt)?.frame);
    }
    if frames.is_empty() {
        return Ok(None);
    }
    let place = || AppError::NotFound(format!("captured rows of {window} do not fit together"));
    let frame = Frame::concat(&frames).map_err(|_| place())?;
    frame.filter_time("ts", window.start.as_microsecond(), window.end.as_microsecond()).map(Some).map_err(|_| place())
}

/// Labels by inference id that arrived since the window began; the one that arrived last wins.
async fn read_labels(
    table: &dyn Table,
    objects: &dyn Objects,
    policy: &ModelPolicy,
    window: &Window,
    now: Timestamp,
) -> Result<BTreeMap<String, f64>, AppError> {
    let mut files = pointers(table, policy, window.start, now, FileKind::Labels).await?;
    files.sort_by(|a, b| (a.from, &a.uri).cmp(&(b.from, &b.uri)));
    let mut labels = BTreeMap::new();
    for pointer in files {
        let bytes = read_file(objects, &pointer).await?;
        let pairs = read_ground_truth(&bytes)
            .map_err(|error| AppError::CorruptObject { uri: pointer.uri.to_string(), source: error.into() })?;
        labels.extend(pairs.into_iter().filter_map(|(id, label)| match label {
            Label::Number(value) => Some((id, value)),
            Label::Text(_) => None,
        }));
    }
    Ok(labels)
}

async fn read_file(objects: &dyn Objects, pointer: &WindowPointer) -> Result<Vec<u8>, AppError> {
    let object = objects.get(&pointer.uri, MAX_FILE_BYTES).await?;
    if object.etag != pointer.etag {
        return Err(AppError::NotFound(format!("`{}` changed after it was recorded", pointer.uri)));
    }
    Ok(object.bytes)
}
