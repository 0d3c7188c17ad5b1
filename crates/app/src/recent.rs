//! What a check needs of the stored records beyond the state: the newest judgments, and when this month's runs were
//! requested. Read anew at each check; the record that follows fails if anything was written meanwhile, because all of it
//! is written together with HEAD.

use jiff::Timestamp;
use refit_core::RunId;
use refit_core::model::Head;
use refit_core::plan::{Recent, budget_from};
use refit_core::policy::{ModelPolicy, Persistence};
use refit_core::run::Run;
use refit_core::trigger::{Judgment, JudgmentKind};

use crate::documents::{model_partition, parse, run_key};
use crate::error::AppError;
use crate::ports::{Order, Query, Table};

/// Most judgments of one kind that are looked at: windows before a long row of inconclusive ones say nothing about today.
const MAX_JUDGMENTS: usize = 48;

/// Reads what the check of a model needs.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn load_recent(
    table: &dyn Table,
    head: &Head,
    policy: &ModelPolicy,
    now: Timestamp,
) -> Result<Recent, AppError> {
    let triggers = &policy.triggers;
    let wanted = [
        (JudgmentKind::Drift, triggers.drift.as_ref().map(|it| it.persistence)),
        (JudgmentKind::Performance, triggers.performance.as_ref().map(|it| it.persistence)),
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
    Ok(recent)
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
        let run: Run = parse(&item)?;
        if run.requested_at < from {
            break;
        }
        requested.push(run.requested_at);
    }
    Ok(requested)
}
