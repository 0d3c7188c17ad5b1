//! The local event bus and alerts: events go to the queue that the world delivers from, alerts to the log and a file.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
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
/// How much of the end of the alerts' file is searched for an alert; far more than a process can have left unnoted.
const TAIL_BYTES: u64 = 64 * 1024;
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
        // Alerts of one moment stand in the order of the log, whose number ends the id.
        let number = |it: &Alert| it.dedupe_id.rsplit('-').next().and_then(|it| it.parse::<u64>().ok());
        alerts.sort_by(|a, b| (a.time, number(a), &a.dedupe_id).cmp(&(b.time, number(b), &b.dedupe_id)));
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

    /// Appends the alert to the file, unless a process did so that died before it noted that in the database.
    fn append(&self, alert: &Alert) -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.alerts_file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let cut_off = tail.iter().rev().take_while(|it| **it != b'\n').count();
        file.set_len(length - cut_off as u64)?;
        let is_this = |line: &[u8]| {
            serde_json::from_slice::<Value>(line).is_ok_and(|it| it["alert"]["dedupe_id"] == alert.dedupe_id.as_str())
        };
        if tail.split(|it| *it == b'\n').any(is_this) {
            return Ok(());
        }
        let line = json!({ "alert": alert, "to": self.receivers(alert.kind) });
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
        let stored = self.database.get_document(ALERT, &alert.dedupe_id);
        if stored.map_err(|error| PublishError::Unavailable(error.into()))?.is_none() {
            tracing::info!(model.id = alert.model, alert.id = alert.dedupe_id, "alert: {}", alert.subject);
            // The file comes first: whoever dies in between does it again, and an alert that was noted was told.
            self.append(alert).map_err(|error| PublishError::Unavailable(error.into()))?;
            let noted = self.database.insert_document(ALERT, &alert.dedupe_id, &body);
            noted.map_err(|error| PublishError::Unavailable(error.into()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use refit_app::ports::Alert;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::ManualClock;

    fn publisher(folder: &Path, database: &str) -> LocalPublisher {
        let database = Database::open(&folder.join(database)).expect("a database");
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        LocalPublisher::new(database, clock, &folder.join("told/alerts.jsonl"), Vec::new())
    }

    fn tell(publisher: &LocalPublisher, id: &str) -> Result<(), PublishError> {
        let alert = Alert {
            dedupe_id: id.to_owned(),
            kind: AlertKind::Failure,
            model: "toy".to_owned(),
            subject: format!("toy: {id}"),
            body: "Why".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(publisher.alert(&alert))
    }

    fn told(folder: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(folder.join("told/alerts.jsonl")).expect("the file");
        let id = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["alert"]["dedupe_id"].to_string();
        text.lines().map(id).collect()
    }

    #[test]
    fn each_alert_is_told_once_whenever_the_process_dies() {
        let folder = TempDir::new().expect("a folder");
        let first = publisher(folder.path(), "first.sqlite");
        tell(&first, "a").expect_err("there is no folder to write to");
        std::fs::create_dir(folder.path().join("told")).expect("a folder");
        for id in ["a", "b", "a"] {
            tell(&first, id).expect("told");
        }
        // Died after the file was written and before that was noted, and in the middle of a line.
        let second = publisher(folder.path(), "second.sqlite");
        let path = folder.path().join("told/alerts.jsonl");
        let text = std::fs::read_to_string(&path).expect("the file");
        std::fs::write(&path, format!("{text}{{\"alert\"")).expect("written");
        for id in ["b", "c"] {
            tell(&second, id).expect("told");
        }
        assert_eq!(told(folder.path()), ["\"a\"", "\"b\"", "\"c\""]);
    }
}
