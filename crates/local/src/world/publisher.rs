//! The local event bus and alerts: events go to the queue that the world delivers from, alerts to the log and a file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{Alert, AlertKind, Clock, OutboundEvent, PublishError, Publisher};
use refit_core::policy::{Notification, Subject};
use serde_json::{Value, json};

use super::ACCOUNT;
use crate::routing::targets;
use crate::store::Database;

const ALERT: &str = "alert";
/// Whom the local world shows requests for approval, when somebody sits at the desk.
pub(crate) const OPERATOR: &str = "operator";

/// Publishes into the queue of the world.
#[derive(Clone)]
pub struct LocalPublisher {
    database: Database,
    clock: Arc<dyn Clock>,
    alerts_file: PathBuf,
    notifications: Vec<Notification>,
}

impl LocalPublisher {
    /// A publisher that writes alerts to `alerts_file`, each with the receivers that `notifications` name.
    #[must_use]
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        alerts_file: &Path,
        notifications: Vec<Notification>,
    ) -> Self {
        LocalPublisher { database, clock, alerts_file: alerts_file.to_owned(), notifications }
    }

    /// The alerts sent so far, oldest first.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] when the database fails.
    pub fn list_alerts(&self) -> Result<Vec<Alert>, PublishError> {
        let stored = self.database.list_documents(ALERT).map_err(|error| PublishError::Unavailable(error.into()))?;
        let mut alerts: Vec<Alert> = stored.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect();
        alerts.sort_by(|a, b| (a.time, &a.dedupe_id).cmp(&(b.time, &b.dedupe_id)));
        Ok(alerts)
    }

    fn receivers(&self, kind: AlertKind) -> Vec<&str> {
        let subject = match kind {
            AlertKind::Failure => Subject::Failure,
            AlertKind::Drift => Subject::Drift,
            AlertKind::Approval => Subject::Approval,
            AlertKind::BeforePromotion => Subject::BeforePromotion,
            AlertKind::Promotion => Subject::Promotion,
            AlertKind::Rollback => Subject::Rollback,
        };
        self.notifications.iter().filter(|it| it.on.contains(&subject)).map(|it| it.email.as_str()).collect()
    }

    fn append(&self, alert: &Alert) -> std::io::Result<()> {
        let line = json!({ "alert": alert, "to": self.receivers(alert.kind) });
        let mut file = OpenOptions::new().create(true).append(true).open(&self.alerts_file)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

/// An EventBridge envelope of true shape around one of Refit's facts.
#[must_use]
pub fn envelope(event: &OutboundEvent) -> Value {
    json!({
        "version": "0",
        "id": event.dedupe_id,
        "detail-type": event.detail_type,
        "source": "refit",
        "account": ACCOUNT,
        "time": event.time,
        "region": "us-east-1",
        "resources": [],
        "detail": event.detail,
    })
}

/// Puts an event into the queue of every function whose rule it matches.
pub(super) fn enqueue(database: &Database, at: Timestamp, event: &Value) -> Result<(), refit_app::ports::TableError> {
    let body = event.to_string();
    database.update(|transaction| {
        for target in targets(event) {
            transaction.enqueue(at, target.name(), &body)?;
        }
        if event["source"] == "refit" && event["detail-type"] == "Approval Requested" {
            transaction.enqueue(at, OPERATOR, &body)?;
        }
        Ok(())
    })
}

#[async_trait]
impl Publisher for LocalPublisher {
    async fn publish(&self, events: &[OutboundEvent]) -> Vec<Result<(), PublishError>> {
        let now = self.clock.now();
        let publish = |event: &OutboundEvent| {
            enqueue(&self.database, now, &envelope(event)).map_err(|error| PublishError::Unavailable(error.into()))
        };
        events.iter().map(publish).collect()
    }

    async fn alert(&self, alert: &Alert) -> Result<(), PublishError> {
        let body = serde_json::to_string(alert).map_err(|error| PublishError::Unavailable(error.into()))?;
        let is_new = self.database.insert_document(ALERT, &alert.dedupe_id, &body);
        if is_new.map_err(|error| PublishError::Unavailable(error.into()))? {
            tracing::info!(model.id = alert.model, alert.id = alert.dedupe_id, "alert: {}", alert.subject);
            self.append(alert).map_err(|error| PublishError::Unavailable(error.into()))?;
        }
        Ok(())
    }
}
