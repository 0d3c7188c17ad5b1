//! State: items under (partition, sort), changed only by conditional transactions.
//!
//! The limits are DynamoDB's, and every implementation enforces them: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html>.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Body, BoxError, Failure};

/// Most actions in one transaction.
pub const MAX_WRITES: usize = 100;
/// Most bytes of one item, keys included.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Most bytes of one transaction.
pub const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of a partition name.
pub const MAX_PARTITION_BYTES: usize = 2048;
/// Most bytes of a sort name.
pub const MAX_SORT_BYTES: usize = 1024;
/// Most bytes that one page of a query returns.
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// How many partitions the due index has.
pub const DUE_SHARDS: u8 = 16;
/// How long a transaction's token is remembered after its first use. A help against retries, never the guarantee.
pub const TOKEN_LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// The address of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition; one partition's items are ordered by `sort`.
    pub partition: String,
    /// The place within the partition, compared byte by byte.
    pub sort: String,
}

impl Key {
    /// The key (`partition`, `sort`).
    #[must_use]
    pub fn new(partition: &str, sort: &str) -> Key {
        Key { partition: partition.to_owned(), sort: sort.to_owned() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.partition, self.sort)
    }
}

/// A number that grows by one with each write of an item; the first write makes it 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Generation(pub u64);

/// When a model is to be looked at next; puts its item into the sparse due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The index partition, below [`DUE_SHARDS`].
    pub shard: u8,
    /// The time.
    pub at: Timestamp,
}

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is stored.
    pub key: Arc<Key>,
    /// How often it was written.
    pub generation: Generation,
    /// A JSON document.
    pub body: Body,
    /// Its place in the due index, if any.
    pub due: Option<Due>,
}

/// What a write believes about the item it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no such item.
    Absent,
    /// The item was last written as this generation.
    Generation(Generation),
}

/// One action of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces an item.
    Put {
        /// Which item.
        key: Key,
        /// What must be true of it now.
        expect: Expect,
        /// The new document.
        body: Body,
        /// The new place in the due index.
        due: Option<Due>,
    },
    /// Removes an item.
    Delete {
        /// Which item.
        key: Key,
        /// The generation it must have.
        expect: Generation,
    },
    /// Changes nothing, but fails the transaction if the belief is wrong.
    Check {
        /// Which item.
        key: Key,
        /// What must be true of it now.
        expect: Expect,
    },
}

impl Write {
    /// The item this action touches.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Write::Put { key, .. } | Write::Delete { key, .. } | Write::Check { key, .. } => key,
        }
    }
}

/// Names one transaction, 1 to 36 characters: repeated within [`TOKEN_LIFETIME`] it succeeds without effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub String);

/// Which way a query walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By rising sort name.
    Ascending,
    /// By falling sort name.
    Descending,
}

/// A walk through one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The partition.
    pub partition: String,
    /// Only sort names that begin with this.
    pub prefix: String,
    /// Continue after this sort name (in the direction of `order`), exclusive.
    pub after: Option<String>,
    /// The direction.
    pub order: Order,
    /// Most items in the page, at least 1.
    pub limit: usize,
}

/// Part of a query's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items, in order.
    pub items: Vec<Item>,
    /// Where to continue; `None` at the end.
    pub next: Option<String>,
}

/// An entry of the due index; it may lag behind the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItem {
    /// The item that is due.
    pub key: Key,
    /// Since when.
    pub at: Timestamp,
}

/// Part of the due index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// Entries by rising time, then key.
    pub items: Vec<DueItem>,
    /// Where to continue; `None` at the end.
    pub next: Option<DueItem>,
}

/// Why the table did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A belief of a transaction was wrong; nothing was written.
    #[error("item `{key}` is not as expected: it changed since it was read")]
    Conflict {
        /// The first item that was not as expected.
        key: Key,
    },
    /// A token was used before with other writes.
    #[error("transaction token was used before with other writes")]
    TokenReused,
    /// The table asks to slow down, or another transaction is under way on an item.
    #[error("registry table is throttled")]
    Throttled,
    /// The table could not be reached. **The transaction may have been applied.**
    #[error("registry table could not be reached")]
    Unavailable(#[source] BoxError),
    /// The caller may not do this.
    #[error("access to the registry table was denied")]
    Denied(#[source] BoxError),
    /// A stored item does not parse.
    #[error("stored item `{key}` does not parse")]
    Corrupt {
        /// Which item.
        key: Key,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The request breaks a limit.
    #[error("request to the registry table is invalid: {0}")]
    Invalid(String),
}

impl TableError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            TableError::Conflict { .. } => Failure::Conflict,
            TableError::Throttled | TableError::Unavailable(_) => Failure::Unavailable,
            TableError::Denied(_) => Failure::Denied,
            TableError::Corrupt { .. } => Failure::Corrupt,
            TableError::TokenReused | TableError::Invalid(_) => Failure::Invalid,
        }
    }
}

/// Keeps items and changes them only by conditional transactions.
#[async_trait]
pub trait Table: Send + Sync {
    /// The item at `key`, read consistently.
    ///
    /// # IAM
    /// `dynamodb:GetItem`
    ///
    /// # Errors
    /// See [`TableError`].
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError>;

    /// One page of a partition, read consistently. A page ends at `limit` items or [`MAX_PAGE_BYTES`].
    ///
    /// # IAM
    /// `dynamodb:Query`
    ///
    /// # Errors
    /// See [`TableError`].
    async fn query(&self, query: &Query) -> Result<Page, TableError>;

    /// Performs all `writes` or none. Every put and delete is conditional; no two actions may touch one item.
    ///
    /// # IAM
    /// `dynamodb:PutItem`, `dynamodb:DeleteItem`, `dynamodb:ConditionCheckItem`
    ///
    /// # Errors
    /// [`TableError::Conflict`] when a belief is wrong. After [`TableError::Unavailable`] the writes may have been
    /// applied: read again.
    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError>;

    /// Items of one index partition whose time is at or before `until`. May lag behind the items.
    ///
    /// # IAM
    /// `dynamodb:Query`
    ///
    /// # Errors
    /// See [`TableError`].
    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError>;
}
