//! What was said to the world: the names of published events and of alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::memory::MemoryPublisher;

/// What was said to the world so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) published: Names,
    pub(super) published_count: usize,
    pub(super) alerted: Names,
    pub(super) alerted_count: usize,
}

/// Names: those when the checker was frozen, and those since.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    frozen: Arc<BTreeSet<String>>,
    since: BTreeSet<String>,
}

impl Names {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.since.contains(name) || self.frozen.contains(name)
    }

    fn freeze(&mut self) {
        let since = std::mem::take(&mut self.since);
        Arc::make_mut(&mut self.frozen).extend(since);
    }
}

impl Heard {
    /// Makes clones cheap: what was heard so far is shared by them.
    pub(super) fn freeze(&mut self) {
        self.published.freeze();
        self.alerted.freeze();
    }

    /// Remembers the first so many events and alerts.
    pub(super) fn hear(&mut self, publisher: &MemoryPublisher, (published, alerted): (usize, usize)) {
        if self.published_count < published {
            let said = publisher.published_from(self.published_count);
            let new = published.saturating_sub(self.published_count);
            self.published.since.extend(said.iter().take(new).map(|it| it.dedupe_id.clone()));
            self.published_count = published;
        }
        if self.alerted_count < alerted {
            let told = publisher.alerts_from(self.alerted_count);
            let new = alerted.saturating_sub(self.alerted_count);
            self.alerted.since.extend(told.iter().take(new).map(|it| it.dedupe_id.clone()));
            self.alerted_count = alerted;
        }
    }
}
