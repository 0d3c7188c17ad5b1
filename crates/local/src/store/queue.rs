//! The durable queue of the bus: what is to be delivered to whom, by time and then by order of arrival.
//!
//! An entry stays until it is removed, so that a crash in between delivers twice and never loses. It is not claimed
//! while it is worked on: one process at a time works through the queue, many may add to it. Times are kept to the
//! nanosecond.

use jiff::Timestamp;
use refit_app::ports::TableError;
use rusqlite::{OptionalExtension as _, Row};

use super::database::{Database, Transaction, table_error};
use super::{nanoseconds, time};

/// An entry of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number; grows with each entry and is never given twice.
    pub seq: u64,
    /// When it is to be delivered.
    pub at: Timestamp,
    /// To whom.
    pub target: String,
    /// What.
    pub body: String,
    /// How often that was tried in vain.
    pub attempts: u32,
}

impl Transaction<'_> {
    /// Adds an entry and answers with its number.
    ///
    /// # Errors
    /// [`TableError::Invalid`] for a time before 1678 or after 2262; when the database cannot be written.
    pub fn enqueue(&self, at: Timestamp, target: &str, body: &str) -> Result<u64, TableError> {
        let at = stored_time(at)?;
        self.connection
            .prepare_cached("INSERT INTO queue (at, target, body, attempts) VALUES (?1, ?2, ?3, 0)")
            .and_then(|mut statement| statement.insert((at, target, body)))
            .map(i64::cast_unsigned)
            .map_err(table_error)
    }

    /// The first entry, by time and then number, whose time is at or before `until`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(&self, until: Timestamp) -> Result<Option<Queued>, TableError> {
        let sql = "SELECT seq, at, target, body, attempts FROM queue WHERE at <= ?1 ORDER BY at, seq LIMIT 1";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([nanoseconds(until)], queued).optional())
            .map_err(table_error)
    }

    /// The time of the first entry.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn peek_next_at(&self) -> Result<Option<Timestamp>, TableError> {
        self.connection
            .prepare_cached("SELECT min(at) FROM queue")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<i64>>(0)))
            .map(|at| at.map(time))
            .map_err(table_error)
    }

    /// Removes an entry; answers `false` when it is gone already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&self, seq: u64) -> Result<bool, TableError> {
        self.connection
            .prepare_cached("DELETE FROM queue WHERE seq = ?1")
            .and_then(|mut statement| statement.execute([seq.cast_signed()]))
            .map(|count| count == 1)
            .map_err(table_error)
    }

    /// Moves an entry to another time and says how often it was tried; answers `false` when it is gone.
    ///
    /// # Errors
    /// [`TableError::Invalid`] for a time before 1678 or after 2262; when the database cannot be written.
    pub fn postpone(&self, seq: u64, at: Timestamp, attempts: u32) -> Result<bool, TableError> {
        let at = stored_time(at)?;
        self.connection
            .prepare_cached("UPDATE queue SET at = ?2, attempts = ?3 WHERE seq = ?1")
            .and_then(|mut statement| statement.execute((seq.cast_signed(), at, attempts)))
            .map(|count| count == 1)
            .map_err(table_error)
    }
}

impl Database {
    /// See [`Transaction::enqueue`].
    ///
    /// # Errors
    /// When the time is out of range or the database cannot be written.
    pub fn enqueue(&self, at: Timestamp, target: &str, body: &str) -> Result<u64, TableError> {
        self.run(|database| database.enqueue(at, target, body))
    }

    /// See [`Transaction::next_due`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(&self, until: Timestamp) -> Result<Option<Queued>, TableError> {
        self.run(|database| database.next_due(until))
    }

    /// See [`Transaction::peek_next_at`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn peek_next_at(&self) -> Result<Option<Timestamp>, TableError> {
        self.run(|database| database.peek_next_at())
    }

    /// See [`Transaction::remove`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&self, seq: u64) -> Result<bool, TableError> {
        self.run(|database| database.remove(seq))
    }

    /// See [`Transaction::postpone`].
    ///
    /// # Errors
    /// When the time is out of range or the database cannot be written.
    pub fn postpone(&self, seq: u64, at: Timestamp, attempts: u32) -> Result<bool, TableError> {
        self.run(|database| database.postpone(seq, at, attempts))
    }
}

fn stored_time(at: Timestamp) -> Result<i64, TableError> {
    i64::try_from(at.as_nanosecond())
        .map_err(|_| TableError::Invalid(format!("time {at} is not between 1678 and 2262")))
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    Ok(Queued {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        at: time(row.get(1)?),
        target: row.get(2)?,
        body: row.get(3)?,
        attempts: row.get(4)?,
    })
}
