//! The table on SQLite.
//!
//! Texts compare by bytes (SQLite's `BINARY` collation on UTF-8). A transaction first checks every belief and then
//! writes, all in one transaction of the database, with its token and the records of the change stream. Due times are
//! kept to the nanosecond.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::limits::{item_bytes, validate_due_query, validate_key, validate_query, validate_writes};
use refit_app::ports::table::MAX_PAGE_BYTES;
use refit_app::ports::{
    Clock, Due, DueItem, DuePage, Generation, Item, Key, Order, Page, Query, Table, TableError, Token, Write,
};
use rusqlite::{OptionalExtension as _, Row, params_from_iter, types::Value};

use super::database::{Database, Transaction, table_error};
use super::{
    StreamRecord, belief, fingerprint, forgotten_until, is_expected, is_streamed, nanoseconds, successor, time,
};

/// A [`Table`] in the state file.
#[derive(Clone)]
pub struct SqliteTable {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SqliteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTable").finish_non_exhaustive()
    }
}

impl SqliteTable {
    /// The table in `database`, whose tokens age by `clock`.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> SqliteTable {
        SqliteTable { database, clock }
    }

    /// The oldest records of the change stream that were not acknowledged, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn read_stream(&self, limit: usize) -> Result<Vec<StreamRecord>, TableError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT partition, sort, seq FROM stream ORDER BY seq LIMIT ?1";
        self.database.run(|database| {
            let mut statement = database.connection.prepare_cached(sql).map_err(table_error)?;
            let records = statement.query_map([limit], |row| {
                Ok(StreamRecord { seq: row.get::<_, i64>(2)?.cast_unsigned(), key: key_of(row)? })
            });
            records.and_then(Iterator::collect).map_err(table_error)
        })
    }

    /// Removes the records of the change stream up to and with `seq`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn acknowledge_stream(&self, seq: u64) -> Result<(), TableError> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        self.database.run(|database| database.execute("DELETE FROM stream WHERE seq <= ?1", [seq]))
    }
}

#[async_trait]
impl Table for SqliteTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        validate_key(key)?;
        let sql =
            "SELECT partition, sort, generation, body, due_shard, due_at FROM items WHERE partition = ?1 AND sort = ?2";
        self.database.run(|database| {
            let mut statement = database.connection.prepare_cached(sql).map_err(table_error)?;
            let item = statement.query_row((&key.partition, &key.sort), |row| Ok(item_of(row)));
            item.optional().map_err(table_error)?.transpose()
        })
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        validate_query(query)?;
        self.database.run(|database| database.page(query))
    }

    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError> {
        validate_writes(token, writes)?;
        let digest = fingerprint(writes).to_string();
        let now = self.clock.now();
        self.database.update(|transaction| {
            if transaction.was_done(token, &digest, now)? {
                return Ok(());
            }
            let mut generations = Vec::new();
            for write in writes {
                let generation = transaction.generation(write.key())?;
                if !is_expected(belief(write), generation) {
                    return Err(TableError::Conflict { key: write.key().clone() });
                }
                generations.push(generation);
            }
            for (write, generation) in writes.iter().zip(generations) {
                transaction.write(write, generation)?;
            }
            let values = (&token.0, &digest, nanoseconds(now));
            transaction.execute("INSERT INTO tokens VALUES (?1, ?2, ?3)", values)
        })
    }

    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        validate_due_query(shard, until, limit, after)?;
        self.database.run(|database| database.due_page(shard, until, limit, after))
    }
}

impl Transaction<'_> {
    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), TableError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|_| ())
            .map_err(table_error)
    }

    /// Whether a transaction with this token has been done, after forgetting old tokens.
    fn was_done(&self, token: &Token, digest: &str, now: Timestamp) -> Result<bool, TableError> {
        self.execute("DELETE FROM tokens WHERE used_at <= ?1", [nanoseconds(forgotten_until(now))])?;
        let known: Option<String> = self
            .connection
            .prepare_cached("SELECT digest FROM tokens WHERE token = ?1")
            .and_then(|mut statement| statement.query_row([&token.0], |row| row.get(0)).optional())
            .map_err(table_error)?;
        match known {
            None => Ok(false),
            Some(known) if known == digest => Ok(true),
            Some(_) => Err(TableError::TokenReused),
        }
    }

    fn generation(&self, key: &Key) -> Result<Option<Generation>, TableError> {
        self.connection
            .prepare_cached("SELECT generation FROM items WHERE partition = ?1 AND sort = ?2")
            .and_then(|mut statement| {
                statement.query_row((&key.partition, &key.sort), |row| row.get::<_, i64>(0)).optional()
            })
            .map(|generation| generation.map(|number| Generation(number.cast_unsigned())))
            .map_err(table_error)
    }

    /// Performs an action whose belief is true; the item has `generation` now.
    fn write(&self, write: &Write, generation: Option<Generation>) -> Result<(), TableError> {
        let Key { partition, sort } = write.key();
        match write {
            Write::Put { body, due, .. } => {
                let next = generation.map_or(0, |generation| generation.0).cast_signed().saturating_add(1);
                let (shard, at) = (due.map(|due| due.shard), due.map(|due| nanoseconds(due.at)));
                let sql = "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                    generation = excluded.generation, body = excluded.body, due_shard = excluded.due_shard, due_at = excluded.due_at";
                self.execute(sql, (partition, sort, next, body.as_str(), shard, at))?;
            }
            Write::Delete { .. } => {
                self.execute("DELETE FROM items WHERE partition = ?1 AND sort = ?2", (partition, sort))?;
            }
            Write::Check { .. } => return Ok(()),
        }
        if is_streamed(write.key()) {
            self.execute("INSERT INTO stream (partition, sort) VALUES (?1, ?2)", (partition, sort))?;
        }
        Ok(())
    }

    fn page(&self, query: &Query) -> Result<Page, TableError> {
        let (sql, values) = page_sql(query);
        let mut statement = self.connection.prepare_cached(&sql).map_err(table_error)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(table_error)?;
        let mut items: Vec<Item> = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(table_error)? {
            let item = item_of(row)?;
            bytes += item_bytes(&item.key, &item.body);
            if query.limit <= items.len() || MAX_PAGE_BYTES < bytes {
                let next = items.last().map(|last| last.key.sort.clone());
                return Ok(Page { items, next });
            }
            items.push(item);
        }
        Ok(Page { items, next: None })
    }

    fn due_page(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        let mut sql = "SELECT partition, sort, due_at FROM items WHERE due_shard = ?1 AND due_at <= ?2".to_owned();
        let mut values = vec![Value::from(shard), nanoseconds(until).into(), one_more(limit).into()];
        if let Some(after) = after {
            sql.push_str(" AND (due_at, partition, sort) > (?4, ?5, ?6)");
            values.extend([
                nanoseconds(after.at).into(),
                after.key.partition.clone().into(),
                after.key.sort.clone().into(),
            ]);
        }
        sql.push_str(" ORDER BY due_at, partition, sort LIMIT ?3");
        let mut items: Vec<DueItem> = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                let found = statement.query_map(params_from_iter(values), |row| {
                    Ok(DueItem { key: key_of(row)?, at: time(row.get(2)?) })
                });
                found?.collect()
            })
            .map_err(table_error)?;
        let has_more = limit < items.len();
        items.truncate(limit);
        let next = if has_more { items.last().cloned() } else { None };
        Ok(DuePage { items, next })
    }
}

/// One more than the page, to see whether there is more.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn page_sql(query: &Query) -> (String, Vec<Value>) {
    let mut sql =
        "SELECT partition, sort, generation, body, due_shard, due_at FROM items WHERE partition = ?1".to_owned();
    let mut values = vec![Value::from(query.partition.clone()), one_more(query.limit).into()];
    let mut bound = |comparison: &str, value: String| {
        values.push(value.into());
        sql.push_str(&format!(" AND sort {comparison} ?{}", values.len()));
    };
    let end = successor(&query.prefix);
    match (query.order, query.after.clone()) {
        (Order::Ascending, Some(after)) => bound(">", after),
        (Order::Ascending, None) | (Order::Descending, _) => bound(">=", query.prefix.clone()),
    }
    match (query.order, query.after.clone(), end) {
        (Order::Descending, Some(after), _) => bound("<", after),
        (Order::Ascending, _, Some(end)) | (Order::Descending, None, Some(end)) => bound("<", end),
        (Order::Ascending, _, None) | (Order::Descending, None, None) => {}
    }
    sql.push_str(match query.order {
        Order::Ascending => " ORDER BY sort LIMIT ?2",
        Order::Descending => " ORDER BY sort DESC LIMIT ?2",
    });
    (sql, values)
}

fn key_of(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { partition: row.get(0)?, sort: row.get(1)? })
}

/// Tells a row that does not parse from a database that cannot be read.
fn item_of(row: &Row<'_>) -> Result<Item, TableError> {
    let key = key_of(row).map_err(table_error)?;
    let parse = || -> rusqlite::Result<(u64, String, Option<Due>)> {
        let shard: Option<u8> = row.get(4)?;
        let at: Option<i64> = row.get(5)?;
        let due = shard.zip(at).map(|(shard, at)| Due { shard, at: time(at) });
        Ok((row.get::<_, i64>(2)?.cast_unsigned(), row.get(3)?, due))
    };
    match parse() {
        Ok((generation, body, due)) => {
            Ok(Item { key: Arc::new(key), generation: Generation(generation), body: body.into(), due })
        }
        Err(source) => Err(TableError::Corrupt { key, source: Box::new(source) }),
    }
}
