//! One SQLite file that holds the table, the documents of the emulated services and the queue of the bus.
//!
//! All in one file, so that one transaction can touch several of them. Writers take their lock at the beginning of a
//! transaction (`BEGIN IMMEDIATE`) and wait for one another, also across processes; readers never wait (WAL). A
//! committed transaction survives the death of the process. A power failure may take the last ones back, in whole,
//! since a commit is not synced one by one (`synchronous=NORMAL`).
//!
//! Not here: what the rows mean. See `sqlite_table`, `documents` and `queue`.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use refit_app::ports::TableError;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use super::OpenError;

/// The newest schema this program reads and writes.
const SCHEMA: i64 = 1;
/// How long a writer waits for another one; transactions take milliseconds, so whoever waits longer is stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between tries to switch to WAL, for which SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(5);

const TABLES: &str = "
CREATE TABLE schema (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), version INTEGER NOT NULL) STRICT;
CREATE TABLE items (
    partition TEXT NOT NULL, sort TEXT NOT NULL, generation INTEGER NOT NULL, body TEXT NOT NULL,
    due_shard INTEGER, due_at INTEGER, PRIMARY KEY (partition, sort), CHECK ((due_shard IS NULL) = (due_at IS NULL))
) STRICT;
CREATE INDEX items_by_due ON items (due_shard, due_at, partition, sort) WHERE due_shard IS NOT NULL;
CREATE TABLE tokens (token TEXT PRIMARY KEY, digest TEXT NOT NULL, used_at INTEGER NOT NULL) STRICT;
CREATE INDEX tokens_by_age ON tokens (used_at);
CREATE TABLE stream (seq INTEGER PRIMARY KEY AUTOINCREMENT, partition TEXT NOT NULL, sort TEXT NOT NULL) STRICT;
CREATE TABLE documents (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT;
CREATE TABLE queue (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, target TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_by_time ON queue (at, seq);
";

/// A handle on the state file. Clones share one connection and take turns.
#[derive(Clone)]
pub struct Database {
    connection: Arc<Mutex<Connection>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Several reads and writes of which all happen or none; see [`Database::update`].
pub struct Transaction<'a> {
    pub(super) connection: &'a Connection,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the state file, creating it and its folder if need be.
    ///
    /// # Errors
    /// Refuses files of a newer Refit and of other programs, without changing them.
    pub fn open(path: &Path) -> Result<Database, OpenError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| unusable(path, source))?;
        }
        let connection = Connection::open(path).map_err(|source| unusable(path, source))?;
        Database::prepare(connection, path)
    }

    /// A database that is gone with its last handle.
    ///
    /// # Errors
    /// When SQLite cannot make one.
    pub fn open_in_memory() -> Result<Database, OpenError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|source| unusable(path, source))?;
        Database::prepare(connection, path)
    }

    /// Runs `work` in a transaction of its own: an error takes back everything it did.
    ///
    /// `work` must use the transaction it is given; calling the database itself would wait forever.
    ///
    /// # Errors
    /// What `work` answers, or why the transaction could not begin or end.
    pub fn update<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TableError>) -> Result<T, TableError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(table_error)?;
        let answer = work(&Transaction { connection: &transaction })?;
        transaction.commit().map_err(table_error)?;
        Ok(answer)
    }

    /// Runs a single statement, which needs no transaction around it.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TableError>) -> Result<T, TableError> {
        work(&Transaction { connection: &self.lock() })
    }

    /// A panic of another holder is no reason to stop: its transaction was rolled back while it unwound.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Database, OpenError> {
        connection.busy_timeout(PATIENCE).map_err(|source| unusable(path, source))?;
        // Before anything is written: a file that is refused stays as it is.
        check_schema(&connection, path)?;
        use_wal(&connection).map_err(|source| unusable(path, source))?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(|source| unusable(path, source))?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| unusable(path, source))?;
        // Again, as another process may have been faster.
        if check_schema(&transaction, path)?.is_none() {
            transaction
                .execute_batch(TABLES)
                .and_then(|()| transaction.execute("INSERT INTO schema VALUES (1, ?1)", [SCHEMA]))
                .map_err(|source| unusable(path, source))?;
        }
        transaction.commit().map_err(|source| unusable(path, source))?;
        Ok(Database { connection: Arc::new(Mutex::new(connection)) })
    }
}

/// The schema of the file, `None` if it is empty.
fn check_schema(connection: &Connection, path: &Path) -> Result<Option<i64>, OpenError> {
    let count = "SELECT count(*), count(*) FILTER (WHERE type = 'table' AND name = 'schema') FROM sqlite_schema";
    let (all, ours): (i64, i64) = connection
        .query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|source| unusable(path, source))?;
    if all == 0 {
        return Ok(None);
    }
    if ours == 0 {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let version = connection.query_row("SELECT version FROM schema", [], |row| row.get(0)).optional();
    let found: i64 = match version {
        Ok(Some(found)) => found,
        Ok(None) | Err(rusqlite::Error::SqliteFailure(_, Some(_))) => {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
        Err(source) => return Err(unusable(path, source)),
    };
    if SCHEMA < found {
        return Err(OpenError::Newer { path: path.to_owned(), found, supported: SCHEMA });
    }
    Ok(Some(found))
}

/// Switches to WAL, waiting for others who do the same at this moment.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                    && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn unusable(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), source: Box::new(source) }
}

/// What an error of SQLite means for whoever uses the table.
pub(super) fn table_error(error: rusqlite::Error) -> TableError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => TableError::Throttled,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => {
            TableError::Denied(Box::new(error))
        }
        Some(ErrorCode::TooBig) => TableError::Invalid("a text is too long for the database".to_owned()),
        Some(_) | None => TableError::Unavailable(Box::new(error)),
    }
}
