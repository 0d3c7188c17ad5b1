//! What a check needs of the stored records beyond the state: the newest judgments, and when this month's runs were
//! requested. Read anew at each check; the record that follows fails if anything was written meanwhile, because all of it
//! is written together with HEAD.

use std::sync::Arc;

use jiff::Timestamp;
use refit_core::RunId;
use refit_core::model::Head;
use refit_core::package::Package;
use refit_core::plan::{Recent, Volume, budget_from};
use refit_core::policy::{ModelPolicy, Persistence, Span, TriggersPolicy, VolumeLimit, VolumePolicy};
use refit_core::run::Run;
use refit_core::trigger::{Judgment, JudgmentKind};

use crate::documents::{model_partition, parse, parse_shared, run_key};
use crate::error::AppError;
use crate::ports::{Order, Query, Table};
use crate::use_cases::record_window::{FileKind, count_rows};

/// Most judgments of one kind that are looked at: windows before a long row of inconclusive ones say nothing about today.
const MAX_JUDGMENTS: usize = 48;

/// How far back files are counted: each day of it is a read.
const MAX_COUNTED: Span = Span::from_const_seconds(92 * 86_400);

/// Events of clocks that run ahead a little are counted, too.
const FUTURE: Span = Span::from_const_seconds(86_400);

/// Most intervals between runs that a volume is learned from.
const MAX_INTERVALS: usize = 5;

/// Reads what the check of a model needs.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn load_recent(
    table: &dyn Table,
    head: &Head,
    policy: &ModelPolicy,
    champion: Option<&Package>,
    now: Timestamp,
) -> Result<Recent, AppError> {
    let triggers = &policy.triggers;
    let wanted = [
        (JudgmentKind::Drift, triggers.drift.as_ref().map(|it| it.persistence)),
        (JudgmentKind::Performance, triggers.performance.as_ref().map(|it| it.persistence)),
        (JudgmentKind::EstimatedPerformance, estimates(triggers)),
        (JudgmentKind::Predictions, triggers.prediction_drift.as_ref().map(|it| it.persistence)),
        // An alarm stands until a run answers it: all that are looked at.
        (JudgmentKind::Concept, triggers.concept.and(Persistence::new(1, Persistence::MAX))),
        (JudgmentKind::Upstream, triggers.upstream.map(|_| Persistence::ONCE)),
    ];
    let mut recent = Recent::default();
    for (kind, persistence) in wanted {
        if let Some(persistence) = persistence {
            recent.judgments.extend(newest_judgments(table, head, kind, persistence).await?);
        }
    }
    if triggers.budget.is_some()
        && let Some(from) = budget_from(triggers, now)
    {
        recent.requested = requested_since(table, head, from).await?;
    }
    if let Some(volume) = &triggers.volume {
        recent.volume = Some(count_volume(table, head, policy, volume, champion, now).await?);
    }
    Ok(recent)
}

/// Counts predictions and labels from the pointers to the files that were taken in.
async fn count_volume(
    table: &dyn Table,
    head: &Head,
    policy: &ModelPolicy,
    volume: &VolumePolicy,
    champion: Option<&Package>,
    now: Timestamp,
) -> Result<Volume, AppError> {
    let earliest = MAX_COUNTED.before(now);
    let since = head.last_run_before(now).unwrap_or(head.origin).max(earliest);
    let predictions = count_rows(table, policy, since, FUTURE.after(now), FileKind::Capture).await?;
    let mut intervals = Vec::new();
    if volume.max_predictions == Some(VolumeLimit::Learned) {
        let mut until = since;
        for number in (1..head.run_count).rev().take(MAX_INTERVALS) {
            let Some(item) = table.get(&run_key(&RunId::new(&head.model, number))).await? else { break };
            let from = parse_shared::<Run>(&item)?.requested_at;
            if from < earliest || until <= from {
                break;
            }
            intervals.push(count_rows(table, policy, from, until, FileKind::Capture).await?);
            until = from;
        }
    }
    let labels = match champion {
        Some(champion) if volume.new_records.is_some() => {
            let from = champion.train.end.max(earliest);
            Some(count_rows(table, policy, from, FUTURE.after(now), FileKind::Labels).await?)
        }
        Some(_) | None => None,
    };
    Ok(Volume { predictions, intervals, labels })
}

/// The newest judgments of the champion, until enough of them are conclusive.
async fn newest_judgments(
    table: &dyn Table,
    head: &Head,
    kind: JudgmentKind,
    persistence: Persistence,
) -> Result<Vec<Judgment>, AppError> {
    let mut found: Vec<Judgment> = Vec::new();
    let mut conclusive = 0;
    let mut looked_at = 0;
    let mut after = None;
    while conclusive < persistence.of() && looked_at < MAX_JUDGMENTS {
        let query = Query {
            partition: model_partition(&head.model),
            prefix: format!("JUDGMENT#{}#", kind.name()),
            after: after.take(),
            order: Order::Descending,
            limit: persistence.of().max(4),
        };
        let page = table.query(&query).await?;
        for item in &page.items {
            looked_at += 1;
            let judgment: Judgment = parse(item)?;
            if judgment.champion == head.champion {
                conclusive += usize::from(judgment.verdict.is_conclusive());
                found.push(judgment);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(found)
}

/// When the runs since `from` were requested, newest first.
async fn requested_since(table: &dyn Table, head: &Head, from: Timestamp) -> Result<Vec<Timestamp>, AppError> {
    let mut requested = Vec::new();
    for number in (1..=head.run_count).rev() {
        let Some(item) = table.get(&run_key(&RunId::new(&head.model, number))).await? else { break };
        let run: Arc<Run> = parse_shared(&item)?;
        if run.requested_at < from {
            break;
        }
        requested.push(run.requested_at);
    }
    Ok(requested)
}

/// How many estimates are looked at: where labels are judged too, all that can be held beside them.
fn estimates(triggers: &TriggersPolicy) -> Option<Persistence> {
    let own = triggers.estimated_performance.as_ref()?.persistence;
    if triggers.performance.is_some() { Persistence::new(1, Persistence::MAX) } else { Some(own) }
}
