//! Facts for the event bus and alerts for people.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BoxError, Failure};

/// One fact for the bus (FORMATS 2.9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboundEvent {
    /// Names the fact; the same fact published twice has the same id, so that receivers can tell.
    pub dedupe_id: String,
    /// When it happened.
    pub time: Timestamp,
    /// The kind of fact, for example `Model Promoted`.
    pub detail_type: String,
    /// The fact.
    pub detail: Arc<serde_json::Value>,
}

/// What an alert is about; subscribers choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Something broke.
    Failure,
    /// The data or the model's quality moved.
    Drift,
    /// A person is asked to decide.
    Approval,
    /// A change of the champion is about to happen.
    BeforePromotion,
    /// The champion changed.
    Promotion,
    /// The champion was taken back.
    Rollback,
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Names the alert; a repeated one has the same id, and the text shows it.
    pub dedupe_id: String,
    /// When the fact happened.
    pub time: Timestamp,
    /// What it is about.
    pub kind: AlertKind,
    /// The model it concerns.
    pub model: String,
    /// One line, below 100 characters, no control characters.
    pub subject: String,
    /// The text.
    pub body: String,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The receiver refuses this entry for good; park it and go on.
    #[error("event `{dedupe_id}` was refused: {why}")]
    Refused {
        /// Which entry.
        dedupe_id: String,
        /// The service's words.
        why: String,
    },
    /// The service could not be reached. Entries may have been published.
    #[error("event bus or alert topic could not be reached")]
    Unavailable(#[source] BoxError),
    /// The caller may not do this.
    #[error("access to the event bus or alert topic was denied")]
    Denied(#[source] BoxError),
}

impl PublishError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            PublishError::Refused { .. } => Failure::Invalid,
            PublishError::Unavailable(_) => Failure::Unavailable,
            PublishError::Denied(_) => Failure::Denied,
        }
    }
}

/// Publishes facts and alerts, at least once.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes events in order; the answer has one entry for each event.
    ///
    /// # IAM
    /// `events:PutEvents`
    async fn publish(&self, events: &[OutboundEvent]) -> Vec<Result<(), PublishError>>;

    /// Sends one alert.
    ///
    /// # IAM
    /// `sns:Publish`
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn alert(&self, alert: &Alert) -> Result<(), PublishError>;
}
