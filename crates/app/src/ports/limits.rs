//! The limits of [`super::table`], checked in one place so that every table refuses the same requests.
//!
//! A request that passes here is accepted by DynamoDB too: sizes count what DynamoDB adds to keys and body. What is
//! asked here of `after` is what DynamoDB asks of a starting key, namely that it lies within the range that is read.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::table::{
    DUE_SHARDS, Due, DueItem, Key, MAX_ITEM_BYTES, MAX_PARTITION_BYTES, MAX_SORT_BYTES, MAX_TRANSACTION_BYTES,
    MAX_WRITES, Query, TableError, Token, Write,
};

/// Bytes that are counted for an item besides its keys and body.
///
/// DynamoDB counts the names of attributes and the numbers in them: five short names, a generation and a due time
/// need fewer than 100 bytes.
pub const ITEM_OVERHEAD_BYTES: usize = 128;
/// Most characters of a transaction's token.
pub const MAX_TOKEN_CHARS: usize = 36;

/// The size of an item as the limits count it.
#[must_use]
pub fn item_bytes(key: &Key, body: &str) -> usize {
    ITEM_OVERHEAD_BYTES + key.partition.len() + key.sort.len() + body.len()
}

/// Checks the lengths of a key.
///
/// # Errors
/// [`TableError::Invalid`] when a part is empty or too long.
pub fn validate_key(key: &Key) -> Result<(), TableError> {
    validate_partition(&key.partition)?;
    if key.sort.is_empty() {
        return refuse("a sort name is empty");
    }
    validate_sort(&key.sort)
}

/// Checks a transaction: its token, its number of actions, every key, size and due time, and that no item is touched
/// twice.
///
/// # Errors
/// [`TableError::Invalid`] with the limit that is broken.
pub fn validate_writes(token: &Token, writes: &[Write]) -> Result<(), TableError> {
    let chars = token.0.chars().count();
    if chars == 0 || MAX_TOKEN_CHARS < chars {
        return refuse(format!("a token has {chars} characters, it needs 1 to {MAX_TOKEN_CHARS}"));
    }
    if writes.is_empty() || MAX_WRITES < writes.len() {
        return refuse(format!("a transaction has {} actions, it needs 1 to {MAX_WRITES}", writes.len()));
    }
    let mut touched = BTreeSet::new();
    let mut total = 0;
    for write in writes {
        let key = write.key();
        validate_key(key)?;
        if !touched.insert(key) {
            return refuse(format!("a transaction touches item `{key}` twice"));
        }
        total += validate_write(write)?;
    }
    if MAX_TRANSACTION_BYTES < total {
        return refuse(format!("a transaction has {total} bytes, more than {MAX_TRANSACTION_BYTES}"));
    }
    Ok(())
}

/// Checks a query: partition, prefix, page size, and that it continues within what it reads.
///
/// # Errors
/// [`TableError::Invalid`] with the limit that is broken.
pub fn validate_query(query: &Query) -> Result<(), TableError> {
    validate_partition(&query.partition)?;
    validate_sort(&query.prefix)?;
    if query.limit == 0 {
        return refuse("a query asks for no items");
    }
    let Some(after) = &query.after else { return Ok(()) };
    if after.is_empty() {
        return refuse("a query continues after an empty sort name");
    }
    validate_sort(after)?;
    if !after.starts_with(&query.prefix) {
        return refuse(format!(
            "a query continues after `{after}`, which does not begin with its prefix `{}`",
            query.prefix
        ));
    }
    Ok(())
}

/// Checks a request for due items: shard, page size, and that it continues within what it reads.
///
/// # Errors
/// [`TableError::Invalid`] with the limit that is broken.
pub fn validate_due_query(
    shard: u8,
    until: Timestamp,
    limit: usize,
    after: Option<&DueItem>,
) -> Result<(), TableError> {
    validate_shard(shard)?;
    if limit == 0 {
        return refuse("a query of the due index asks for no items");
    }
    let Some(after) = after else { return Ok(()) };
    validate_key(&after.key)?;
    if until < after.at {
        return refuse(format!("a query of the due index continues after {}, which is later than {until}", after.at));
    }
    Ok(())
}

fn validate_partition(partition: &str) -> Result<(), TableError> {
    if partition.is_empty() {
        return refuse("a partition name is empty");
    }
    if MAX_PARTITION_BYTES < partition.len() {
        return refuse(format!("a partition name has {} bytes, more than {MAX_PARTITION_BYTES}", partition.len()));
    }
    Ok(())
}

fn validate_sort(sort: &str) -> Result<(), TableError> {
    if MAX_SORT_BYTES < sort.len() {
        return refuse(format!("a sort name has {} bytes, more than {MAX_SORT_BYTES}", sort.len()));
    }
    Ok(())
}

fn validate_shard(shard: u8) -> Result<(), TableError> {
    if shard < DUE_SHARDS {
        Ok(())
    } else {
        refuse(format!("shard {shard} of the due index does not exist, there are {DUE_SHARDS}"))
    }
}

/// The bytes this action adds to its transaction.
fn validate_write(write: &Write) -> Result<usize, TableError> {
    match write {
        Write::Put { key, body, due, .. } => {
            let bytes = item_bytes(key, body);
            if MAX_ITEM_BYTES < bytes {
                return refuse(format!("item `{key}` has {bytes} bytes, more than {MAX_ITEM_BYTES}"));
            }
            due.as_ref().map_or(Ok(()), validate_due)?;
            Ok(bytes)
        }
        Write::Delete { key, .. } | Write::Check { key, .. } => Ok(item_bytes(key, "")),
    }
}

/// Times are kept as nanoseconds in 64 bits, which reach from 1677 to 2262.
fn validate_due(due: &Due) -> Result<(), TableError> {
    validate_shard(due.shard)?;
    if i64::try_from(due.at.as_nanosecond()).is_err() {
        return refuse(format!("due time {} is not between 1678 and 2262", due.at));
    }
    Ok(())
}

fn refuse<T>(why: impl Into<String>) -> Result<T, TableError> {
    Err(TableError::Invalid(why.into()))
}
