//! What people and reports ask: reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::approval::Approval;
use refit_core::audit::{AuditEntry, BrokenChain, ChainCheck};
use refit_core::decision::DecisionRecord;
use refit_core::model::{Head, Model};
use refit_core::package::Package;
use refit_core::run::Run;
use refit_core::trigger::Judgment;
use refit_core::{Digest, ModelId, RunId};
use serde::Serialize;

use crate::documents::{Document, approval_key, audit_partition, head_key, model_partition, parse, parse_shared};
use crate::error::{AppError, chain};
use crate::ports::{Item, Key, Order, Query, Table};

/// Items of one page; the pages are joined.
const PAGE: usize = 500;

async fn list<T: Document>(table: &dyn Table, partition: &str, prefix: &str) -> Result<Vec<T>, AppError> {
    list_items(table, partition, prefix).await?.iter().map(parse).collect()
}

/// Like [`list`], of documents that others may hold, too.
async fn list_shared<T: Document>(table: &dyn Table, partition: &str, prefix: &str) -> Result<Vec<Arc<T>>, AppError> {
    list_items(table, partition, prefix).await?.iter().map(parse_shared).collect()
}

pub(crate) async fn list_items(table: &dyn Table, partition: &str, prefix: &str) -> Result<Vec<Item>, AppError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let query = Query {
            partition: partition.to_owned(),
            prefix: prefix.to_owned(),
            after: after.take(),
            order: Order::Ascending,
            limit: PAGE,
        };
        let page = table.query(&query).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(items),
        }
    }
}

/// A model's head.
///
/// # Errors
/// [`AppError::UnknownModel`] when it is not under watch.
pub async fn get_head(table: &dyn Table, model: &ModelId) -> Result<Arc<Head>, AppError> {
    let item = table.get(&head_key(model)).await?.ok_or_else(|| AppError::UnknownModel(model.to_string()))?;
    parse_shared(&item)
}

/// A model's runs, oldest first.
///
/// # Errors
/// See [`AppError`].
pub async fn list_runs(table: &dyn Table, model: &ModelId) -> Result<Vec<Run>, AppError> {
    list(table, &model_partition(model), "RUN#").await
}

/// A model's packages, oldest first.
///
/// # Errors
/// See [`AppError`].
pub async fn list_packages(table: &dyn Table, model: &ModelId) -> Result<Vec<Package>, AppError> {
    list(table, &model_partition(model), "PACKAGE#").await
}

/// A model's requests for approval, oldest first.
///
/// # Errors
/// See [`AppError`].
pub async fn list_approvals(table: &dyn Table, model: &ModelId) -> Result<Vec<Approval>, AppError> {
    list(table, &model_partition(model), "APPROVAL#").await
}

/// The request for approval of a run.
///
/// # Errors
/// See [`AppError`].
pub async fn find_approval(table: &dyn Table, run: &RunId) -> Result<Option<Approval>, AppError> {
    table.get(&approval_key(run)).await?.as_ref().map(parse).transpose()
}

/// A model's judgments: drift by time, then performance by time.
///
/// # Errors
/// See [`AppError`].
pub async fn list_judgments(table: &dyn Table, model: &ModelId) -> Result<Vec<Judgment>, AppError> {
    list(table, &model_partition(model), "JUDGMENT#").await
}

/// A model's decision records, oldest first.
///
/// # Errors
/// See [`AppError`].
pub async fn list_decisions(table: &dyn Table, model: &ModelId) -> Result<Vec<DecisionRecord>, AppError> {
    list(table, &model_partition(model), "DECISION#").await
}

/// The decision record with this id.
///
/// # Errors
/// [`AppError::NotFound`] when there is none.
pub async fn get_decision(table: &dyn Table, id: &str) -> Result<DecisionRecord, AppError> {
    let unknown = || AppError::NotFound(format!("there is no decision `{id}`: `refit history MODEL` lists them"));
    let (model, seq) = DecisionRecord::parse_id(id).ok_or_else(unknown)?;
    let key = Key::new(&model_partition(&model), &DecisionRecord::sort(seq));
    parse(&table.get(&key).await?.ok_or_else(unknown)?)
}

/// A model's audit log, oldest first.
///
/// # Errors
/// See [`AppError`].
pub async fn list_audit(table: &dyn Table, model: &ModelId) -> Result<Vec<AuditEntry>, AppError> {
    list(table, &audit_partition(model), "").await
}

/// A checked audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// How many entries.
    pub entries: u64,
    /// Whether the chain holds and the log adds up to the stored state.
    pub verified: bool,
    /// The hash of the last entry.
    pub head: Digest,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Checks a model's log: the chain of hashes, its end, and that it adds up to what is stored.
///
/// # Errors
/// A service's failure; a broken log is a report, not an error.
pub async fn verify_audit(table: &dyn Table, model: &ModelId) -> Result<AuditReport, AppError> {
    let head = get_head(table, model).await?;
    let mut entries: Vec<Arc<AuditEntry>> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    for item in &list_items(table, &audit_partition(model), "").await? {
        match parse_shared(item) {
            Ok(entry) => entries.push(entry),
            // What is no entry any more was changed like any other.
            Err(error) => {
                problems.push(chain(&error));
                break;
            }
        }
    }
    let mut check = ChainCheck::default();
    let mut chained = entries.iter().try_for_each(|it| check.next(it));
    if problems.is_empty() {
        chained = chained.and_then(|()| check.finish(head.audit_seq, &head.audit_hash));
        // Where the chain holds every hash was checked, and is not made again.
        let folded = match &chained {
            Ok(()) => Model::fold_entries(entries.iter().map(|it| &**it)),
            Err(_) => Model::fold(entries.iter().map(|it| &it.event)),
        };
        match folded {
            Ok(Some(folded)) => match differences(table, model, &folded, &head).await {
                Ok(found) => problems.extend(found),
                Err(error @ AppError::Corrupt { .. }) => problems.push(chain(&error)),
                Err(error) => return Err(error),
            },
            Ok(None) => problems.push("the log is empty".to_owned()),
            Err(error) => problems.push(chain(&error)),
        }
    }
    problems.splice(0..0, chained.err().iter().map(BrokenChain::to_string));
    Ok(AuditReport { entries: check.entries(), verified: problems.is_empty(), head: check.head().clone(), problems })
}

/// Where the stored state is not what the log adds up to.
async fn differences(table: &dyn Table, id: &ModelId, folded: &Model, head: &Head) -> Result<Vec<String>, AppError> {
    let partition = model_partition(id);
    let runs = list_shared::<Run>(table, &partition, "RUN#").await?;
    let packages = list_shared::<Package>(table, &partition, "PACKAGE#").await?;
    let approvals = list_shared::<Approval>(table, &partition, "APPROVAL#").await?;
    let judgments = list_shared::<Judgment>(table, &partition, "JUDGMENT#").await?;
    let checks = [
        ("HEAD", *folded.head == *head),
        ("the runs", is_same(&folded.runs, &runs, |it| it.id.clone())),
        ("the packages", is_same(&folded.packages, &packages, |it| it.version)),
        ("the approvals", is_same(&folded.approvals, &approvals, |it| it.run.clone())),
        ("the judgments", is_same(&folded.judgments, &judgments, Judgment::sort)),
    ];
    let wrong = checks.into_iter().filter(|(_, is_equal)| !is_equal);
    Ok(wrong.map(|(what, _)| format!("the log does not add up to {what} as stored")).collect())
}

/// Whether the stored documents are those that the log adds up to, each once.
fn is_same<K: Ord, V: PartialEq>(folded: &BTreeMap<K, Arc<V>>, stored: &[Arc<V>], key: impl Fn(&V) -> K) -> bool {
    let stored: BTreeMap<K, &V> = stored.iter().map(|it| (key(it), &**it)).collect();
    folded.len() == stored.len() && folded.iter().zip(&stored).all(|(a, b)| a.0 == b.0 && **a.1 == **b.1)
}
