//! Where the local world keeps its state: one SQLite file and a folder of objects, or memory.
//!
//! Both kinds keep the promises of `refit_app::contract`, so that what works on one works on the other and in the
//! cloud. SQLite and files survive the death of the process and serve several processes at once; memory is for the
//! simulator and for tests, deterministic and cheap to set back. Nothing here waits: the futures are ready at once.

mod database;
mod documents;
mod file_listing;
mod file_objects;
mod memory_objects;
mod memory_table;
mod queue;
mod sqlite_table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::table::TOKEN_LIFETIME;
use refit_app::ports::{BoxError, Expect, Generation, Key, Write};
use refit_core::Digest;

pub use database::{Database, Transaction};
pub use file_objects::FileObjects;
pub use memory_objects::{MemoryObjects, ObjectsSnapshot};
pub use memory_table::{MemoryTable, TableSnapshot};
pub use queue::Queued;
pub use sqlite_table::SqliteTable;

/// Partitions that begin with this are streamed: every put and delete in them leaves a [`StreamRecord`].
pub const STREAMED_PREFIX: &str = "AUDIT#";

/// Most objects in a page of a listing, as in S3.
const MAX_LISTED: usize = 1_000;

/// One change in a streamed partition, in the order of the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its number; grows with each change and is never given twice.
    pub seq: u64,
    /// The item that was put or deleted.
    pub key: Key,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer Refit wrote the file.
    #[error("state file `{}` has schema {found}, written by a newer Refit: this one reads up to {supported}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this program knows.
        supported: i64,
    },
    /// The file is a database of something else.
    #[error("state file `{}` is a database, but not one of Refit", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or folder cannot be made, read or written.
    #[error("state in `{}` could not be opened", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// Whether changes of this item are streamed.
fn is_streamed(key: &Key) -> bool {
    key.partition.starts_with(STREAMED_PREFIX)
}

/// Whether what is stored, given by its generation, is as expected.
fn is_expected(expect: Expect, stored: Option<Generation>) -> bool {
    match expect {
        Expect::Absent => stored.is_none(),
        Expect::Generation(generation) => stored == Some(generation),
    }
}

/// What an action believes.
fn belief(write: &Write) -> Expect {
    match write {
        Write::Put { expect, .. } | Write::Check { expect, .. } => *expect,
        Write::Delete { expect, .. } => Expect::Generation(*expect),
    }
}

/// Whether a token first used at `used` is forgotten by `now`.
fn is_forgotten(used: Timestamp, now: Timestamp) -> bool {
    used.checked_add(TOKEN_LIFETIME).is_ok_and(|end| end <= now)
}

/// Tokens first used at or before this time are forgotten by `now`.
fn forgotten_until(now: Timestamp) -> Timestamp {
    now.checked_sub(TOKEN_LIFETIME).unwrap_or(Timestamp::MIN)
}

/// Tells transactions apart that come with the same token.
fn fingerprint(writes: &[Write]) -> Digest {
    let mut parts = Vec::new();
    for write in writes {
        let (kind, body, due) = match write {
            Write::Put { body, due, .. } => ("put", body.as_str(), *due),
            Write::Delete { .. } => ("delete", "", None),
            Write::Check { .. } => ("check", "", None),
        };
        let expect = match belief(write) {
            Expect::Absent => String::new(),
            Expect::Generation(generation) => generation.0.to_string(),
        };
        let due = due.map_or_else(String::new, |due| format!("{} {}", due.shard, due.at.as_nanosecond()));
        let key = write.key();
        parts.extend([kind.to_owned(), key.partition.clone(), key.sort.clone(), expect, body.to_owned(), due]);
    }
    Digest::of_list(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The smallest text above every text that begins with `prefix`; `None` when there is no such text.
///
/// Texts compare by bytes, which for UTF-8 is by characters, so the last character that can grow does.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The range steps over the surrogates, which are no characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The nearest time that 64 bits of nanoseconds can hold, which reach from 1677 to 2262.
fn nanoseconds(at: Timestamp) -> i64 {
    let exact = at.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// The time of this many nanoseconds; exact, as every 64-bit number of them is a time.
fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(nanoseconds)
}
