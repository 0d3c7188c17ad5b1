//! The table in memory, for the simulator and for tests.
//!
//! Equal histories give equal answers: whatever is listed is in order. The state is shared until it changes: taking a
//! snapshot costs nothing, and what is written after it copies the partitions that it touches.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hashbrown::HashMap;
use jiff::Timestamp;
use refit_app::ports::limits::{item_bytes, validate_due_query, validate_key, validate_query, validate_writes};
use refit_app::ports::table::MAX_PAGE_BYTES;
use refit_app::ports::{
    Clock, Due, DueItem, DuePage, Generation, Item, Key, Order, Page, Query, Table, TableError, Token, Write,
};

use super::{StreamRecord, belief, is_expected, is_forgotten, is_streamed, successor};

/// A [`Table`] in memory. Clones are handles on the same items.
#[derive(Clone)]
pub struct MemoryTable {
    state: Arc<Mutex<Arc<State>>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").finish_non_exhaustive()
    }
}

/// Everything a [`MemoryTable`] held at one moment: items, index, tokens and stream.
#[derive(Debug, Clone)]
pub struct TableSnapshot(Arc<State>);

impl Hash for TableSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // The index adds nothing to the items, nor what came with a token to the token, which is made of it.
        let State { partitions: _, due: _, tokens: _, ages, stream, last_seq } = &*self.0;
        for item in self.0.items() {
            (&item.key, item.generation, &item.body, item.due.map(|it| (it.shard, it.at))).hash(hasher);
        }
        (ages, stream, last_seq).hash(hasher);
    }
}

/// The items of a partition, by their sort names.
type Partition = BTreeMap<Sort, Item>;

/// An item's key, of which the sort name counts: in its partition.
#[derive(Debug, Clone)]
struct Sort(Arc<Key>);

impl Borrow<str> for Sort {
    fn borrow(&self) -> &str {
        &self.0.sort
    }
}

impl Ord for Sort {
    fn cmp(&self, other: &Sort) -> Ordering {
        self.0.sort.cmp(&other.0.sort)
    }
}

impl PartialOrd for Sort {
    fn partial_cmp(&self, other: &Sort) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sort {
    fn eq(&self, other: &Sort) -> bool {
        self.0.sort == other.0.sort
    }
}

impl Eq for Sort {}

#[derive(Debug, Clone, Default)]
struct State {
    partitions: HashMap<Arc<str>, Arc<Partition>>,
    /// Exactly the items that have a due time.
    due: BTreeSet<(u8, Timestamp, Key)>,
    /// What came with each token.
    tokens: BTreeMap<Token, Arc<[Write]>>,
    /// Exactly the tokens, by their first use.
    ages: BTreeSet<(Timestamp, Token)>,
    stream: BTreeMap<u64, Key>,
    last_seq: u64,
}

impl MemoryTable {
    /// An empty table, whose tokens age by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> MemoryTable {
        MemoryTable { state: Arc::default(), clock }
    }

    /// What the table holds now.
    #[must_use]
    pub fn snapshot(&self) -> TableSnapshot {
        TableSnapshot(Arc::clone(&self.lock()))
    }

    /// Sets the table back to what it held then.
    pub fn restore(&self, snapshot: &TableSnapshot) {
        *self.lock() = Arc::clone(&snapshot.0);
    }

    /// Every item, in the order of their keys.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        self.lock().items().cloned().collect()
    }

    /// The generation of an item, if there is one.
    #[must_use]
    pub fn generation(&self, key: &Key) -> Option<Generation> {
        self.lock().find(key).map(|it| it.generation)
    }

    /// What came with a token that is not forgotten.
    #[must_use]
    pub fn sent_under(&self, token: &Token) -> Option<Arc<[Write]>> {
        self.lock().tokens.get(token).map(Arc::clone)
    }

    /// The oldest records of the change stream that were not acknowledged, at most `limit`.
    #[must_use]
    pub fn read_stream(&self, limit: usize) -> Vec<StreamRecord> {
        self.lock().stream.iter().take(limit).map(|(seq, key)| StreamRecord { seq: *seq, key: key.clone() }).collect()
    }

    /// Removes the records of the change stream up to and with `seq`.
    pub fn acknowledge_stream(&self, seq: u64) {
        let mut guard = self.lock();
        Arc::make_mut(&mut guard).stream.retain(|number, _| seq < *number);
    }

    /// [`Table::get`], which memory answers at once.
    pub(crate) fn read(&self, key: &Key) -> Result<Option<Item>, TableError> {
        validate_key(key)?;
        Ok(self.lock().find(key).cloned())
    }

    /// [`Table::query`], which memory answers at once.
    pub(crate) fn page(&self, query: &Query) -> Result<Page, TableError> {
        validate_query(query)?;
        Ok(self.lock().page(query))
    }

    /// [`Table::list_due`], which memory answers at once.
    pub(crate) fn due_page(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        validate_due_query(shard, until, limit, after)?;
        Ok(self.lock().due_page(shard, until, limit, after))
    }

    /// A panic of another holder is no reason to stop: no change of the state can end half-way.
    fn lock(&self) -> MutexGuard<'_, Arc<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        self.read(key)
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.page(query)
    }

    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError> {
        validate_writes(token, writes)?;
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = Arc::make_mut(&mut guard);
        state.forget_tokens(now);
        match state.tokens.get(token) {
            Some(known) if **known == *writes => return Ok(()),
            Some(_) => return Err(TableError::TokenReused),
            None => {}
        }
        let wrong = writes.iter().find(|write| {
            let stored = state.find(write.key()).map(|item| item.generation);
            !is_expected(belief(write), stored)
        });
        if let Some(write) = wrong {
            return Err(TableError::Conflict { key: write.key().clone() });
        }
        for write in writes {
            state.write(write);
        }
        state.tokens.insert(token.clone(), writes.into());
        state.ages.insert((now, token.clone()));
        Ok(())
    }

    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        self.due_page(shard, until, limit, after)
    }
}

impl State {
    fn find(&self, key: &Key) -> Option<&Item> {
        self.partitions.get(&*key.partition)?.get(&*key.sort)
    }

    /// Every item, in the order of their keys.
    fn items(&self) -> impl Iterator<Item = &Item> {
        let mut partitions: Vec<_> = self.partitions.iter().collect();
        partitions.sort_unstable_by_key(|it| it.0);
        partitions.into_iter().flat_map(|it| it.1.values())
    }

    /// A partition to write to.
    fn partition_mut(&mut self, name: &str) -> &mut Partition {
        if !self.partitions.contains_key(name) {
            self.partitions.insert(name.into(), Arc::default());
        }
        self.partitions.get_mut(name).map(Arc::make_mut).expect("invariant: it was inserted")
    }

    fn forget_tokens(&mut self, now: Timestamp) {
        while self.ages.first().is_some_and(|it| is_forgotten(it.0, now)) {
            if let Some((_, token)) = self.ages.pop_first() {
                self.tokens.remove(&token);
            }
        }
    }

    /// Performs an action whose belief is true.
    fn write(&mut self, write: &Write) {
        let key = write.key();
        match write {
            Write::Put { body, due, .. } => {
                if let Some(Due { shard, at }) = due {
                    self.due.insert((*shard, *at, key.clone()));
                }
                let partition = self.partition_mut(&key.partition);
                let mut replaced = None;
                if let Some(item) = partition.get_mut(&*key.sort) {
                    replaced = item.due.filter(|it| Some(*it) != *due);
                    item.generation = Generation(item.generation.0.saturating_add(1));
                    item.body = body.clone();
                    item.due = *due;
                } else {
                    let key = Arc::new(key.clone());
                    let (generation, body) = (Generation(1), body.clone());
                    let item = Item { key: Arc::clone(&key), generation, body, due: *due };
                    partition.insert(Sort(key), item);
                }
                if let Some(Due { shard, at }) = replaced {
                    self.due.remove(&(shard, at, key.clone()));
                }
            }
            Write::Delete { .. } => {
                self.remove(key);
            }
            Write::Check { .. } => return,
        }
        if is_streamed(key) {
            self.last_seq += 1;
            self.stream.insert(self.last_seq, key.clone());
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        let item = self.partition_mut(&key.partition).remove(&*key.sort)?;
        if let Some(Due { shard, at }) = item.due {
            self.due.remove(&(shard, at, key.clone()));
        }
        Some(item)
    }

    fn page(&self, query: &Query) -> Page {
        let Query { partition, prefix, after, order, limit } = query;
        let Some(partition) = self.partitions.get(&**partition) else { return Page { items: Vec::new(), next: None } };
        let end = successor(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let (start, end): (Bound<&str>, Bound<&str>) = match (order, after) {
            (Order::Ascending, Some(after)) => (Bound::Excluded(after), end),
            (Order::Descending, Some(after)) => (Bound::Included(prefix), Bound::Excluded(after)),
            (Order::Ascending | Order::Descending, None) => (Bound::Included(prefix), end),
        };
        let range = partition.range::<str, _>((start, end)).map(|(_, item)| item);
        match order {
            Order::Ascending => take_page(range, *limit),
            Order::Descending => take_page(range.rev(), *limit),
        }
    }

    fn due_page(&self, shard: u8, until: Timestamp, limit: usize, after: Option<&DueItem>) -> DuePage {
        let start = match after {
            Some(after) => Bound::Excluded((shard, after.at, after.key.clone())),
            None => Bound::Included((shard, Timestamp::MIN, Key::new("", ""))),
        };
        let mut found = self
            .due
            .range((start, Bound::Unbounded))
            .take_while(|(place, at, _)| *place == shard && *at <= until)
            .map(|(_, at, key)| DueItem { key: key.clone(), at: *at });
        let items: Vec<DueItem> = found.by_ref().take(limit).collect();
        let next = if found.next().is_some() { items.last().cloned() } else { None };
        DuePage { items, next }
    }
}

fn take_page<'a>(range: impl Iterator<Item = &'a Item>, limit: usize) -> Page {
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    for item in range {
        bytes += item_bytes(&item.key, &item.body);
        if limit <= items.len() || MAX_PAGE_BYTES < bytes {
            let next = items.last().map(|last| last.key.sort.clone());
            return Page { items, next };
        }
        items.push(item.clone());
    }
    Page { items, next: None }
}
