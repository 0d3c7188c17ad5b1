//! Evidence about closed windows, from the extracts that `record-window` keeps.

use jiff::Timestamp;
use refit_core::Window;
use refit_core::model::Model;
use refit_core::package::Package;
use refit_core::plan::Recent;
use refit_core::policy::{DriftPolicy, ModelPolicy, PerformancePolicy, Span};
use refit_core::trigger::{JudgmentKind, QualityEvidence, Source, WindowEvidence, WindowVerdict};

use super::baseline::{Baseline, BaselineError, ensure_baseline};
use super::estimates::estimated;
use super::joined::{Joined, join};
use super::late::{Late, late_captures, late_labels, list_arrivals};
use super::reader::Reader;
use super::streams::collect_streams;
use super::verdicts::judge_window;
use crate::error::{AppError, chain};
use crate::use_cases::Context;
use crate::use_cases::record_window::{Arrival, tell_damaged};

/// Most windows of one kind judged in one check.
const MAX_WINDOWS: usize = 64;
/// Most features judged in one check, over all its windows: so that its records stay far below an item's limit.
const MAX_JUDGED_FEATURES: usize = 1_500;

/// What was measured for a check.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collected {
    /// Windows, oldest first, drift before performance.
    pub windows: Vec<WindowEvidence>,
}

/// Measures the windows that closed since they were judged last, and those whose data changed since they were judged.
///
/// With a damaged reference there is nothing to judge drift against: people are told once, and its windows are judged when it
/// is repaired.
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
    let head = &model.head;
    let arrivals = list_arrivals(&*context.ports.table, head).await?;
    let mut check = Check { context, model, policy, recent, now, reader: Reader::new(context, policy, now), arrivals };
    let mut windows = Vec::new();
    if let Some(drift) = &policy.triggers.drift {
        windows.extend(check.drift(drift).await?);
    }
    if let (Some(performance), Some(champion)) = (&policy.triggers.performance, model.champion()) {
        windows.extend(check.performance(performance, champion).await?);
    }
    windows.extend(collect_streams(context, model, policy, recent, now, &mut check.reader).await?);
    windows.iter_mut().for_each(|it| judge_window(it, &policy.triggers));
    Ok(Collected { windows })
}

/// What one check measures with.
struct Check<'a> {
    context: &'a Context,
    model: &'a Model,
    policy: &'a ModelPolicy,
    recent: &'a Recent,
    now: Timestamp,
    reader: Reader<'a>,
    arrivals: Vec<Arrival>,
}

impl Check<'_> {
    async fn drift(&mut self, drift: &DriftPolicy) -> Result<Vec<WindowEvidence>, AppError> {
        let head = &self.model.head;
        let until = self.policy.window.lateness.before(self.now);
        let closed = newest_closed(self.policy, head.drift_judged_until, until);
        let late = self.late_captures(JudgmentKind::Drift, head.drift_judged_until).await?;
        let mut evidence = Vec::new();
        if closed.is_empty() && late.is_empty() {
            return Ok(evidence);
        }
        let Some(baseline) = find_baseline(self.context, self.policy).await? else { return Ok(evidence) };
        for (window, late) in in_turn(late, closed) {
            let profile = self.reader.profile(&window).await?;
            let Some(source) = revision(late.as_ref(), profile.source()) else { continue };
            let rows = profile.rows;
            let features = if rows == 0 { Vec::new() } else { baseline.score(&profile, drift) };
            let verdict = WindowVerdict::Inconclusive;
            evidence.push(WindowEvidence::Drift { window, source, rows, features, verdict });
        }
        Ok(evidence)
    }

    async fn performance(
        &mut self,
        performance: &PerformancePolicy,
        champion: &Package,
    ) -> Result<Vec<WindowEvidence>, AppError> {
        let (head, policy) = (&self.model.head, self.policy);
        let known = labels_known(policy, self.now);
        // Rows that an earlier champion predicted say nothing about this one.
        let restored_at = head.rolled_back.as_ref().filter(|it| it.to == champion.version).map(|it| it.at);
        let since = restored_at.max(champion.promoted_at).unwrap_or(Timestamp::MIN);
        let closed = newest_closed(policy, head.performance_judged_until, known);
        let mut late = self.late_captures(JudgmentKind::Performance, head.performance_judged_until).await?;
        let bounds = (self.now, revised_at_once(policy));
        let table = &*self.context.ports.table;
        for found in late_labels(table, &mut self.reader, policy, head, &self.arrivals, bounds).await? {
            if late.iter().all(|it| it.window() != found.window()) {
                late.push(found);
            }
        }
        late.sort_by_key(Late::window);
        let mut evidence = Vec::new();
        for (window, late) in in_turn(late, closed) {
            let joined = self.join(&window, since).await?;
            let Some(source) = revision(late.as_ref(), joined.source.clone()) else { continue };
            let seed = format!("{}/{}/{}", policy.id, champion.version, window.end);
            let measured = joined.measure(policy.task, performance.metric, champion, &seed);
            let rows = joined.times.len() as u64;
            let estimated = estimated(self.recent, champion, &window, performance.metric);
            let quality = QualityEvidence { measured, estimated };
            evidence.push(WindowEvidence::Performance { window, source, rows, quality });
        }
        Ok(evidence)
    }

    async fn late_captures(&self, kind: JudgmentKind, judged_until: Timestamp) -> Result<Vec<Late>, AppError> {
        let table = &*self.context.ports.table;
        let bounds = (self.now, revised_at_once(self.policy));
        late_captures(table, &self.model.head, kind, judged_until, &self.arrivals, bounds).await
    }

    /// The predictions of a window with their labels.
    async fn join(&mut self, window: &Window, since: Timestamp) -> Result<Joined, AppError> {
        let captured = self.reader.captured(window).await?.unwrap_or_default();
        let labels = self.reader.labels_of(&captured, window).await?;
        Ok(join(&captured, &labels, since))
    }
}

/// Late windows, then closed ones; each window once.
fn in_turn(late: Vec<Late>, closed: Vec<Window>) -> impl Iterator<Item = (Window, Option<Late>)> {
    let late = late.into_iter().map(|it| (it.window(), Some(it)));
    late.chain(closed.into_iter().map(|it| (it, None)))
}

/// The source as the first judgment of a window, or as its next revision; `None` when it was judged already.
fn revision(late: Option<&Late>, source: Source) -> Option<Source> {
    match late {
        None => Some(source),
        Some(late) => late.revise(source),
    }
}

/// Windows that end at or before this time have their labels.
pub(super) fn labels_known(policy: &ModelPolicy, now: Timestamp) -> Timestamp {
    policy.data.label_maturity.before(policy.data.label_delay.before(policy.window.lateness.before(now)))
}

/// How many windows of a kind are judged anew in one check, of the features that one check may judge a quarter.
fn revised_at_once(policy: &ModelPolicy) -> usize {
    (MAX_JUDGED_FEATURES / 4 / policy.data.features.len().max(1)).max(1)
}

/// The windows that closed after `judged` and until `until`, oldest first. After a long silence only the newest: what was
/// true weeks ago is no reason to retrain today.
pub(super) fn newest_closed(policy: &ModelPolicy, judged: Timestamp, until: Timestamp) -> Vec<Window> {
    let limit = (MAX_JUDGED_FEATURES * 3 / 4 / policy.data.features.len().max(1)).clamp(1, MAX_WINDOWS);
    let length = policy.window.hop.as_seconds().saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX));
    let since = policy.window.hop.floor(Span::seconds(length).before(until));
    Window::closed(&policy.window, judged.max(since), until, limit)
}

/// The model's baseline; `None` when there is no reference or a part of it is damaged, which people are told once.
async fn find_baseline(context: &Context, policy: &ModelPolicy) -> Result<Option<Baseline>, AppError> {
    match ensure_baseline(&*context.ports.objects, &context.settings.bucket, policy).await {
        Ok(baseline) => Ok(baseline),
        Err(BaselineError::Damaged { uri, etag, source }) => {
            tell_damaged(context, policy, &uri, &etag, &chain(&*source)).await?;
            Ok(None)
        }
        Err(BaselineError::App(error)) => Err(error),
    }
}
