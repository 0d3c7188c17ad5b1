//! Publishes a model's audit log: as events for machines, as alerts for people.
//!
//! The log is walked by a stored cursor, so nothing is lost and the order per model holds; what was published but not yet
//! marked is published again, under the same id. An entry that is refused for good, or damaged, is parked: people are told,
//! and the cursor goes on.

mod translate;

use std::num::ParseIntError;
use std::sync::Arc;

use refit_core::Guard;
use refit_core::ModelId;
use refit_core::audit::AuditEntry;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::documents::{audit_partition, cursor_key, parse, parse_shared, to_body};
use crate::error::{AppError, chain};
use crate::ports::{
    Alert, AlertKind, Expect, Failure, Generation, Item, Order, PublishError, Query, TableError, Write,
};
use crate::state::transaction_token;

pub use translate::{alert_of, event_of};

/// Most entries published before the cursor moves: an EventBridge call takes ten.
const BATCH: usize = 10;

/// How far a model's log was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Document version.
    pub schema: u16,
    /// The number of the last entry that was published.
    pub published: u64,
    /// How far people were told, where that is further: while the bus is down they are not told again at each attempt.
    #[serde(default)]
    pub told: u64,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Published {
    /// How many entries.
    pub entries: u64,
    /// How far the log is published now.
    pub up_to: u64,
    /// Entries that were refused for good.
    pub parked: Vec<u64>,
}

async fn read_cursor(context: &Context, model: &ModelId) -> Result<(Cursor, Option<Generation>), AppError> {
    match context.ports.table.get(&cursor_key(model)).await? {
        Some(item) => Ok((parse(&item)?, Some(item.generation))),
        None => Ok((Cursor { schema: 1, published: 0, told: 0 }, None)),
    }
}

async fn move_cursor(
    context: &Context,
    model: &ModelId,
    cursor: &Cursor,
    generation: Option<Generation>,
) -> Result<(), TableError> {
    let expect = generation.map_or(Expect::Absent, Expect::Generation);
    let writes = [Write::Put { key: cursor_key(model), expect, body: to_body(cursor), due: None }];
    context.ports.table.transact(&transaction_token(&writes), &writes).await
}

/// How far a model's log is published.
///
/// # Errors
/// See [`AppError`].
pub async fn published_up_to(context: &Context, model: &ModelId) -> Result<u64, AppError> {
    Ok(read_cursor(context, model).await?.0.published)
}

/// Publishes what is new in a model's log.
///
/// # Errors
/// See [`AppError`]; whatever was marked as published stays so.
#[tracing::instrument(name = "publish_events", skip_all, fields(model.id = %model))]
pub async fn publish_events(context: &Context, model: &ModelId) -> Result<Published, AppError> {
    let table = &*context.ports.table;
    let mut published = Published::default();
    loop {
        let (cursor, generation) = read_cursor(context, model).await?;
        let up_to = cursor.published;
        published.up_to = up_to;
        let after = (0 < up_to).then(|| refit_core::audit::AuditEvent::sort(up_to));
        let query = Query {
            partition: audit_partition(model),
            prefix: String::new(),
            after,
            order: Order::Ascending,
            limit: BATCH,
        };
        let page = table.query(&query).await?;
        let Some(last) = page.items.last() else { return Ok(published) };
        let seq = seq_of(last)?;
        let mut entries: Vec<Arc<AuditEntry>> = Vec::new();
        for item in &page.items {
            match parse_shared(item) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    let damaged = seq_of(item)?;
                    if cursor.told < damaged {
                        park(context, model, damaged, &chain(&error), &mut published).await?;
                    }
                }
            }
        }
        // People first: a person who reads "about to change" must not come after the machine that acts on the event.
        tell_people(context, &entries, cursor.told, &mut published).await?;
        if let Err(error) = publish_batch(context, &entries, &mut published).await
            && Guard::CursorAfterPublish.is_kept()
        {
            let told = Cursor { told: seq, ..cursor };
            if told != cursor
                && let Err(error) = move_cursor(context, model, &told, generation).await
            {
                tracing::warn!(model.id = %model, "people may be told again: {}", chain(&error));
            }
            return Err(error);
        }
        match move_cursor(context, model, &Cursor { published: seq, told: seq, ..cursor }, generation).await {
            Ok(()) => {
                published.entries += page.items.len() as u64;
                published.up_to = seq;
            }
            // Another publisher was faster: go on from its cursor.
            Err(error) if error.failure() == Failure::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The number of an entry: its place, which can be read even if the entry cannot.
fn seq_of(item: &Item) -> Result<u64, AppError> {
    item.key.sort.parse().map_err(|error: ParseIntError| AppError::Corrupt {
        key: crate::ports::Key::clone(&item.key),
        source: error.into(),
    })
}

async fn tell_people(
    context: &Context,
    entries: &[Arc<AuditEntry>],
    told: u64,
    published: &mut Published,
) -> Result<(), AppError> {
    for entry in entries.iter().filter(|it| !Guard::ToldOnce.is_kept() || told < it.event.seq) {
        let Some(alert) = alert_of(&entry.event) else { continue };
        match context.ports.publisher.alert(&alert).await {
            Ok(()) => {}
            Err(PublishError::Refused { why, .. }) => park_refused(context, entry, &why, published).await?,
            Err(error) if Guard::PeopleToldFirst.is_kept() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

async fn publish_batch(
    context: &Context,
    entries: &[Arc<AuditEntry>],
    published: &mut Published,
) -> Result<(), AppError> {
    let events: Vec<_> = entries.iter().map(|it| event_of(it)).collect();
    for (entry, result) in entries.iter().zip(context.ports.publisher.publish(&events).await) {
        match result {
            Ok(()) => {}
            Err(PublishError::Refused { why, .. }) => park_refused(context, entry, &why, published).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn park_refused(
    context: &Context,
    entry: &AuditEntry,
    why: &str,
    published: &mut Published,
) -> Result<(), AppError> {
    let why = format!("the receiver refused it: {why}");
    park(context, &entry.event.model, entry.event.seq, &why, published).await
}

/// Tells people that an entry could not be published; the entry itself stays in the log.
async fn park(
    context: &Context,
    model: &ModelId,
    seq: u64,
    why: &str,
    published: &mut Published,
) -> Result<(), AppError> {
    tracing::error!(model.id = %model, audit.seq = seq, "event is parked: {why}");
    published.parked.push(seq);
    let alert = Alert {
        dedupe_id: format!("{model}-parked-{seq}"),
        time: context.now(),
        kind: AlertKind::Failure,
        model: model.to_string(),
        subject: format!("{model}: event {seq} was not published"),
        body: format!("Why: {why}\nWhat the audit log says about it: refit audit verify {model}"),
    };
    match context.ports.publisher.alert(&alert).await {
        Ok(()) | Err(PublishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
