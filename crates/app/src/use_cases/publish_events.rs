//! Publishes a model's audit log: as events for machines, as alerts for people.
//!
//! The log is walked by a stored cursor, so nothing is lost and the order per model holds; what was published but not yet
//! marked is published again, under the same id. An entry that is refused for good is parked: people are told, and the
//! cursor goes on.

mod translate;

use refit_core::ModelId;
use refit_core::audit::AuditEntry;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::documents::{audit_partition, cursor_key, parse, to_body};
use crate::error::AppError;
use crate::ports::{Alert, AlertKind, Expect, Failure, Generation, Order, PublishError, Query, Write};
use crate::state::transaction_token;

pub use translate::{alert_of, event_of};

/// Most entries published before the cursor moves: an EventBridge call takes ten.
const BATCH: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    schema: u16,
    published: u64,
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

async fn cursor(context: &Context, model: &ModelId) -> Result<(u64, Option<Generation>), AppError> {
    let Some(item) = context.ports.table.get(&cursor_key(model)).await? else { return Ok((0, None)) };
    Ok((parse::<Cursor>(&item)?.published, Some(item.generation)))
}

/// How far a model's log is published.
///
/// # Errors
/// See [`AppError`].
pub async fn published_up_to(context: &Context, model: &ModelId) -> Result<u64, AppError> {
    Ok(cursor(context, model).await?.0)
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
        let (up_to, generation) = cursor(context, model).await?;
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
        let entries = page.items.iter().map(parse).collect::<Result<Vec<AuditEntry>, AppError>>()?;
        let Some(last) = entries.last() else { return Ok(published) };
        publish_batch(context, &entries, &mut published).await?;
        let seq = last.event.seq;
        let writes = [Write::Put {
            key: cursor_key(model),
            expect: generation.map_or(Expect::Absent, Expect::Generation),
            body: to_body(&Cursor { schema: 1, published: seq }),
            due: None,
        }];
        match table.transact(&transaction_token(&writes), &writes).await {
            Ok(()) => {
                published.entries += entries.len() as u64;
                published.up_to = seq;
            }
            // Another publisher was faster: go on from its cursor.
            Err(error) if error.failure() == Failure::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn publish_batch(context: &Context, entries: &[AuditEntry], published: &mut Published) -> Result<(), AppError> {
    let publisher = &*context.ports.publisher;
    // Alerts first: a person who reads "about to change" must not come after the machine that acts on the event.
    for entry in entries {
        let Some(alert) = alert_of(&entry.event) else { continue };
        match publisher.alert(&alert).await {
            Ok(()) => {}
            Err(PublishError::Refused { why, .. }) => park(context, entry, &why, published).await?,
            Err(error) => return Err(error.into()),
        }
    }
    let events: Vec<_> = entries.iter().map(event_of).collect();
    for (entry, result) in entries.iter().zip(publisher.publish(&events).await) {
        match result {
            Ok(()) => {}
            Err(PublishError::Refused { why, .. }) => park(context, entry, &why, published).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tells people that an entry could not be published; the entry itself stays in the log.
async fn park(context: &Context, entry: &AuditEntry, why: &str, published: &mut Published) -> Result<(), AppError> {
    let event = &entry.event;
    tracing::error!(model.id = %event.model, audit.seq = event.seq, "event was refused and is parked: {why}");
    published.parked.push(event.seq);
    let alert = Alert {
        dedupe_id: format!("{}-parked-{}", event.model, event.seq),
        time: context.now(),
        kind: AlertKind::Failure,
        model: event.model.to_string(),
        subject: format!("Refit: event {} of {} was not published", event.seq, event.model),
        body: format!("The receiver refused it: {why}\nIt is in the audit log: refit audit verify {}", event.model),
    };
    match context.ports.publisher.alert(&alert).await {
        Ok(()) | Err(PublishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
