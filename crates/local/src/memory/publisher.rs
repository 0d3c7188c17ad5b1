//! A publisher that remembers: what it was given, and what the bus has not delivered yet.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use refit_app::ports::{Alert, OutboundEvent, PublishError, Publisher};

use super::{Shared, hash_words};

/// A [`Publisher`] in memory. Clones are handles on the same bus and mailbox.
#[derive(Debug, Clone, Default)]
pub struct MemoryPublisher {
    state: Shared<State>,
}

/// Everything a [`MemoryPublisher`] held at one moment.
#[derive(Debug, Clone)]
pub struct PublisherSnapshot(Arc<State>);

impl Hash for PublisherSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_words(&self.0, hasher);
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    published: Vec<Arc<OutboundEvent>>,
    /// How many of them the bus has taken.
    delivered: usize,
    alerts: Vec<Arc<Alert>>,
    refused: BTreeSet<String>,
    is_down: bool,
    is_bus_down: bool,
}

impl State {
    fn accept(&self, dedupe_id: &str) -> Result<(), PublishError> {
        if self.is_down {
            return Err(PublishError::Unavailable("the publisher is down".into()));
        }
        if self.refused.contains(dedupe_id) {
            return Err(PublishError::Refused { dedupe_id: dedupe_id.to_owned(), why: "refused on demand".to_owned() });
        }
        Ok(())
    }
}

impl MemoryPublisher {
    /// What the publisher holds now.
    #[must_use]
    pub fn snapshot(&self) -> PublisherSnapshot {
        PublisherSnapshot(self.state.snapshot())
    }

    /// Sets the publisher back.
    pub fn restore(&self, snapshot: &PublisherSnapshot) {
        self.state.restore(&snapshot.0);
    }

    /// Refuses entries of this id for good.
    pub fn refuse(&self, dedupe_id: &str) {
        self.state.write(|it| it.refused.insert(dedupe_id.to_owned()));
    }

    /// From now on nothing can be published.
    pub fn take_down(&self) {
        self.state.write(|it| it.is_down = true);
    }

    /// From now on everything can be published again.
    pub fn bring_up(&self) {
        self.state.write(|it| {
            it.is_down = false;
            it.is_bus_down = false;
        });
    }

    /// From now on events cannot be published; people can be told.
    pub fn take_bus_down(&self) {
        self.state.write(|it| it.is_bus_down = true);
    }

    /// Events that were not taken for delivery yet; they are then.
    #[must_use]
    pub fn take_events(&self) -> Vec<Arc<OutboundEvent>> {
        if self.state.read(|it| it.delivered == it.published.len()) {
            return Vec::new();
        }
        self.state.write(|it| {
            let from = it.delivered;
            it.delivered = it.published.len();
            it.published[from..].to_vec()
        })
    }

    /// How many events were published and how many alerts sent, repetitions included.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.state.read(|it| (it.published.len(), it.alerts.len()))
    }

    /// Every event that was ever published, in order, repetitions included.
    #[must_use]
    pub fn published(&self) -> Vec<Arc<OutboundEvent>> {
        self.state.read(|it| it.published.clone())
    }

    /// The first `count` events that were published.
    #[must_use]
    pub fn published_up_to(&self, count: usize) -> Vec<Arc<OutboundEvent>> {
        self.state.read(|it| it.published.iter().take(count).cloned().collect())
    }

    /// The events that were published after the first `count`.
    #[must_use]
    pub fn published_from(&self, count: usize) -> Vec<Arc<OutboundEvent>> {
        self.state.read(|it| it.published.iter().skip(count).cloned().collect())
    }

    /// The alerts that were sent after the first `count`.
    #[must_use]
    pub fn alerts_from(&self, count: usize) -> Vec<Arc<Alert>> {
        self.state.read(|it| it.alerts.iter().skip(count).cloned().collect())
    }

    /// Whether an alert of this id was ever sent.
    #[must_use]
    pub fn was_told(&self, dedupe_id: &str) -> bool {
        self.state.read(|it| it.alerts.iter().any(|it| it.dedupe_id == dedupe_id))
    }

    /// Every alert that was ever sent, in order, repetitions included.
    #[must_use]
    pub fn alerts(&self) -> Vec<Arc<Alert>> {
        self.state.read(|it| it.alerts.clone())
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, events: &[OutboundEvent]) -> Vec<Result<(), PublishError>> {
        self.state.write(|state| {
            let mut results = Vec::new();
            for event in events {
                let result = if state.is_bus_down {
                    Err(PublishError::Unavailable("the bus is down".into()))
                } else {
                    state.accept(&event.dedupe_id)
                };
                if result.is_ok() {
                    state.published.push(Arc::new(event.clone()));
                }
                results.push(result);
            }
            results
        })
    }

    async fn alert(&self, alert: &Alert) -> Result<(), PublishError> {
        self.state.write(|state| {
            state.accept(&alert.dedupe_id)?;
            state.alerts.push(Arc::new(alert.clone()));
            Ok(())
        })
    }
}
