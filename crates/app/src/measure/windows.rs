//! Evidence about closed windows, from the pointers that `record-window` keeps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use refit_core::model::Model;
use refit_core::plan::Recent;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::trigger::{QualityEvidence, Source, WindowEvidence};
use refit_core::{Digest, ObjectUri, Window};
use refit_data::{CaptureOptions, Frame, Label, read_capture_with, read_ground_truth};

use super::baseline::{Baseline, ensure_baseline};
use super::joined::join;
use super::streams::collect_streams;
use super::{MAX_FILE_BYTES, answers, feature_columns};
use crate::documents::{parse, window_partition};
use crate::error::{AppError, chain};
use crate::ports::{ObjectError, Order, Query, Table};
use crate::use_cases::Context;
use crate::use_cases::record_window::{FileKind, WindowPointer, tell_damaged};

/// Most windows of one kind judged in one check.
const MAX_WINDOWS: usize = 64;
/// Most features judged in one check, over all its windows: so that its records stay far below an item's limit.
const MAX_JUDGED_FEATURES: usize = 1_500;

/// Microseconds of an hour.
const HOUR_MICROS: i64 = 3_600_000_000;

/// What was measured for a check.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collected {
    /// Windows, oldest first, drift before performance.
    pub windows: Vec<WindowEvidence>,
}

/// Measures the windows that closed since they were judged last.
///
/// A damaged file does not stop the others: people are told, and the file is left out. With a damaged reference there is
/// nothing to judge drift against; its windows are judged once it is repaired.
///
/// # Errors
/// See [`AppError`].
pub async fn collect_windows(
    context: &Context,
    model: &Model,
    policy: &ModelPolicy,
    recent: &Recent,
    now: Timestamp,
) -> Result<Collected, AppError> {
    let mut collected = Collected::default();
    let head = &model.head;
    if let Some(drift) = &policy.triggers.drift {
        let until = policy.window.lateness.before(now);
        let closed = newest_closed(policy, head.drift_judged_until, until);
        if !closed.is_empty()
            && let Some(baseline) = find_baseline(context, policy).await?
        {
            for window in closed {
                let capture = read_captures(context, policy, &window).await?;
                let source = source(capture.as_ref());
                let features = capture.as_ref().map(|it| baseline.score(it, drift)).unwrap_or_default();
                let rows = capture.map_or(0, |it| it.rows() as u64);
                collected.windows.push(WindowEvidence::Drift { window, source, rows, features });
            }
        }
    }
    if let (Some(performance), Some(champion)) = (&policy.triggers.performance, model.champion()) {
        let known = labels_known(policy, now);
        // Rows that an earlier champion predicted say nothing about this one.
        let restored_at = head.rolled_back.as_ref().filter(|it| it.to == champion.version).map(|it| it.at);
        let since = restored_at.max(champion.promoted_at).unwrap_or(Timestamp::MIN);
        for window in newest_closed(policy, head.performance_judged_until, known) {
            let capture = read_captures(context, policy, &window).await?;
            let source = source(capture.as_ref());
            let labels = read_labels(context, policy, &window, now).await?;
            let joined = capture.map(|it| join(&it, &labels, since)).unwrap_or_default();
            let seed = format!("{}/{}/{}", policy.id, champion.version, window.end);
            let measured = joined.measure(policy.task, performance.metric, champion, &seed);
            let rows = joined.times.len() as u64;
            let quality = QualityEvidence { measured };
            collected.windows.push(WindowEvidence::Performance { window, source, rows, quality });
        }
    }
    collected.windows.extend(collect_streams(context, model, policy, recent, now).await?);
    Ok(collected)
}

/// Windows that end at or before this time have their labels.
pub(super) fn labels_known(policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    policy.data.label_maturity.before(policy.data.label_delay.before(policy.window.lateness.before(now)))
}

/// How many rows the files of a kind have that begin in `[from, until)`, by the pointers to them.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn count_rows(
    table: &dyn Table,
    policy: &ModelPolicy,
    from: Timestamp,
    until: Timestamp,
    kind: FileKind,
) -> Result<u64, AppError> {
    let found = pointers(table, policy, from, until, kind).await?;
    Ok(found.iter().filter(|it| from <= it.from && it.from < until).map(|it| it.rows).sum())
}

/// Names the data of a window that is judged for the first time.
pub(super) fn source(capture: Option<&Frame>) -> Source {
    let times = capture.and_then(|it| it.find_column("ts")).and_then(|it| it.values.as_time()).unwrap_or_default();
    let hours: BTreeSet<i64> = times.iter().flatten().map(|it| it.div_euclid(HOUR_MICROS)).collect();
    let hours = u32::try_from(hours.len()).unwrap_or(u32::MAX);
    Source { revision: 1, data: Digest::of_json(&times), hours, replaces: None }
}

/// The windows that closed after `judged` and until `until`, oldest first. After a long silence only the newest: what was
/// true weeks ago is no reason to retrain today.
pub(super) fn newest_closed(policy: &ModelPolicy, judged: Timestamp, until: Timestamp) -> Vec<Window> {
    let limit = (MAX_JUDGED_FEATURES / policy.data.features.len().max(1)).clamp(1, MAX_WINDOWS);
    let length = policy.window.hop.as_seconds().saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX));
    let since = policy.window.hop.floor(Span::seconds(length).before(until));
    Window::closed(&policy.window, judged.max(since), until, limit)
}

async fn pointers(
    table: &dyn Table,
    policy: &ModelPolicy,
    from: Timestamp,
    until: Timestamp,
    kind: FileKind,
) -> Result<Vec<WindowPointer>, AppError> {
    // By address: a file that was uploaded again was recorded again, and counts once.
    let mut found: BTreeMap<ObjectUri, WindowPointer> = BTreeMap::new();
    let day_length = SignedDuration::from_hours(24);
    let mut day = Span::days(1).floor(from);
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
                found.insert(pointer.uri.clone(), pointer);
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

/// The model's baseline; `None` when there is no reference or a part of it is damaged, which people are told.
async fn find_baseline(context: &Context, policy: &ModelPolicy) -> Result<Option<Baseline>, AppError> {
    match ensure_baseline(&*context.ports.objects, &context.settings.bucket, policy).await {
        Err(AppError::CorruptObject { uri, source }) => {
            tell_damaged(context, policy, &uri, &uri, &source.to_string()).await?;
            Ok(None)
        }
        other => other,
    }
}

/// The rows captured in a window; `None` without any file.
pub(super) async fn read_captures(
    context: &Context,
    policy: &ModelPolicy,
    window: &Window,
) -> Result<Option<Frame>, AppError> {
    let features = feature_columns(&policy.data);
    let options =
        CaptureOptions { features: &features, score_key: &policy.data.prediction, answers: answers(policy.task) };
    let mut frames = Vec::new();
    for pointer in pointers(&*context.ports.table, policy, window.start, window.end, FileKind::Capture).await? {
        let capture = read_file(context, policy, &pointer, |bytes| read_capture_with(bytes, options)).await?;
        frames.extend(capture.map(|it| it.frame));
    }
    if frames.is_empty() {
        return Ok(None);
    }
    let unfit = |error: refit_data::FrameError| AppError::Invalid(format!("captured rows of {window}: {error}"));
    let frame = Frame::concat(&frames).map_err(unfit)?;
    let (start, end) = (window.start.as_microsecond(), window.end.as_microsecond());
    frame.filter_time("ts", start, end).map(Some).map_err(unfit)
}

/// Labels by inference id that arrived since the window began; the one that arrived last wins.
pub(super) async fn read_labels(
    context: &Context,
    policy: &ModelPolicy,
    window: &Window,
    now: Timestamp,
) -> Result<BTreeMap<String, Label>, AppError> {
    let mut files = pointers(&*context.ports.table, policy, window.start, now, FileKind::Labels).await?;
    files.sort_by(|a, b| (a.from, &a.uri).cmp(&(b.from, &b.uri)));
    let mut labels = BTreeMap::new();
    for pointer in files {
        let pairs = read_file(context, policy, &pointer, read_ground_truth).await?.unwrap_or_default();
        labels.extend(pairs);
    }
    Ok(labels)
}

/// Reads a recorded file as it is now; `None` when it is gone, or was damaged after it was recorded.
async fn read_file<T>(
    context: &Context,
    policy: &ModelPolicy,
    pointer: &WindowPointer,
    read: impl FnOnce(&[u8]) -> Result<T, refit_data::ReadError>,
) -> Result<Option<T>, AppError> {
    let object = match context.ports.objects.get(&pointer.uri, MAX_FILE_BYTES).await {
        Ok(object) => object,
        Err(ObjectError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match read(&object.bytes) {
        Ok(content) => Ok(Some(content)),
        Err(error) => {
            tell_damaged(context, policy, &pointer.uri.to_string(), &object.etag, &chain(&error)).await?;
            Ok(None)
        }
    }
}
