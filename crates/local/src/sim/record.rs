//! A table that remembers every transaction, and what the world had heard and served at that moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{Clock, DueItem, DuePage, Item, Key, Page, Query, Table, TableError, Token, Write};

use crate::clock::ManualClock;
use crate::memory::{EndpointsSnapshot, MemoryEndpoints, MemoryPublisher, MemoryWorld};
use crate::store::MemoryTable;

/// One transaction that the table accepted.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// What tells it apart: made of all that it wrote.
    pub token: Token,
    /// What it wrote.
    pub writes: Arc<[Write]>,
    /// When, by the true clock.
    pub at: Timestamp,
    /// How many events were published before it, and how many alerts sent.
    pub published: (usize, usize),
    /// What the endpoints served.
    pub serving: EndpointsSnapshot,
}

/// Watches a world's table.
#[derive(Debug)]
pub struct Recorder {
    table: MemoryTable,
    publisher: MemoryPublisher,
    endpoints: MemoryEndpoints,
    clock: ManualClock,
    log: Mutex<Vec<Transaction>>,
}

impl Recorder {
    /// Lets `world` work with a recorder around its table.
    pub fn watch(world: &mut MemoryWorld) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder {
            table: world.table.clone(),
            publisher: world.publisher.clone(),
            endpoints: world.endpoints.clone(),
            clock: world.clock.clone(),
            log: Mutex::default(),
        });
        world.watch_table(recorder.clone());
        recorder
    }

    /// The transactions since this was asked last.
    #[must_use]
    pub fn take(&self) -> Vec<Transaction> {
        std::mem::take(&mut *self.lock())
    }

    /// A panic of another holder is no reason to stop: no change of the log can end half-way.
    fn lock(&self) -> MutexGuard<'_, Vec<Transaction>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Table for Recorder {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        self.table.read(key)
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.table.page(query)
    }

    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError> {
        let Some(first) = writes.iter().find(|it| matches!(it, Write::Put { .. })).map(Write::key) else {
            return self.table.transact(token, writes).await;
        };
        let before = self.table.generation(first);
        self.table.transact(token, writes).await?;
        // A transaction that comes again under its token succeeds without effect.
        if self.table.generation(first) == before {
            return Ok(());
        }
        let transaction = Transaction {
            token: token.clone(),
            writes: self.table.sent_under(token).unwrap_or_else(|| writes.into()),
            at: self.clock.now(),
            published: self.publisher.counts(),
            serving: self.endpoints.snapshot(),
        };
        self.lock().push(transaction);
        Ok(())
    }

    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        self.table.due_page(shard, until, limit, after)
    }
}
