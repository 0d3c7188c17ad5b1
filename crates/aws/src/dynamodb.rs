//! [`Table`] on one DynamoDB table.
//!
//! An item has the attributes of [`names`]. The due index is sparse: only items that are due carry its keys. Its sort key is
//! the time and, so that entries of one time have an order, the beginning of the item's key.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;
use refit_app::ports::limits::{MAX_TOKEN_CHARS, validate_due_query, validate_key, validate_query, validate_writes};
use refit_app::ports::{
    BoxError, Due, DueItem, DuePage, Expect, Generation, Item, Key, Order, Page, Query, Table, TableError, Token, Write,
};
use refit_core::Digest;

use crate::call::{Failed, Kind, Limits, Repeat, call};

/// The name of the due index.
pub const INDEX: &str = "due";

/// The names of an item's attributes.
pub mod names {
    /// The partition: partition key of the table, a string.
    pub const PARTITION: &str = "pk";
    /// The place within the partition: sort key of the table, a string.
    pub const SORT: &str = "sk";
    /// The document, a string.
    pub const BODY: &str = "body";
    /// The generation, a number.
    pub const GENERATION: &str = "gen";
    /// The shard: partition key of the due index, a number.
    pub const SHARD: &str = "ds";
    /// The due time: sort key of the due index, a string.
    pub const DUE: &str = "due";
}

/// Digits of a due time in the index.
const TIME_DIGITS: usize = 20;
/// Bytes of an item's key that stand behind the time: with them an item stays within
/// [`ITEM_OVERHEAD_BYTES`](refit_app::ports::limits::ITEM_OVERHEAD_BYTES), and the keys of models fit whole.
const KEY_BYTES: usize = 74;
/// Hexadecimal digits of a digest that keep longer keys apart.
const DIGEST_DIGITS: usize = 16;
/// Above every digit: behind it comes no time.
const AFTER_ALL_TIMES: &str = ":";

type Attributes = HashMap<String, AttributeValue>;

/// Items in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    client: Client,
    table: String,
    limits: Limits,
}

impl DynamoTable {
    /// Items in the table of this name.
    #[must_use]
    pub fn new(config: &SdkConfig, table: &str, limits: Limits) -> DynamoTable {
        DynamoTable { client: Client::new(config), table: table.to_owned(), limits }
    }

    fn action(&self, write: &Write) -> Result<TransactWriteItem, TableError> {
        let (condition, generation) = match write {
            Write::Put { expect, .. } | Write::Check { expect, .. } => condition(*expect),
            Write::Delete { expect, .. } => condition(Expect::Generation(*expect)),
        };
        let values = generation.map(|it| HashMap::from([(":g".to_owned(), number(it))]));
        let (table, item) = (self.table.clone(), TransactWriteItem::builder());
        let invalid = |error: aws_sdk_dynamodb::error::BuildError| TableError::Invalid(error.to_string());
        Ok(match write {
            Write::Put { key, expect, body, due } => {
                let put = Put::builder().table_name(table).set_item(Some(attributes(key, *expect, body, *due)));
                let put = put.condition_expression(condition).set_expression_attribute_values(values);
                item.put(put.build().map_err(invalid)?)
            }
            Write::Delete { key, .. } => {
                let delete = Delete::builder().table_name(table).set_key(Some(key_attributes(key)));
                let delete = delete.condition_expression(condition).set_expression_attribute_values(values);
                item.delete(delete.build().map_err(invalid)?)
            }
            Write::Check { key, .. } => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key_attributes(key)));
                let check = check.condition_expression(condition).set_expression_attribute_values(values);
                item.condition_check(check.build().map_err(invalid)?)
            }
        }
        .build())
    }
}

/// The condition of a belief, and the generation that it names as `:g`.
fn condition(expect: Expect) -> (&'static str, Option<u64>) {
    match expect {
        Expect::Absent => ("attribute_not_exists(pk)", None),
        Expect::Generation(generation) => ("gen = :g", Some(generation.0)),
    }
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key_attributes(key: &Key) -> Attributes {
    HashMap::from([(names::PARTITION.to_owned(), string(&key.partition)), (names::SORT.to_owned(), string(&key.sort))])
}

fn attributes(key: &Key, expect: Expect, body: &str, due: Option<Due>) -> Attributes {
    let generation = match expect {
        Expect::Absent => 1,
        // No item has the last one: the condition fails before this is written.
        Expect::Generation(generation) => generation.0.saturating_add(1),
    };
    let mut attributes = key_attributes(key);
    attributes.insert(names::BODY.to_owned(), string(body));
    attributes.insert(names::GENERATION.to_owned(), number(generation));
    if let Some(due) = due {
        attributes.insert(names::SHARD.to_owned(), number(due.shard.into()));
        attributes.insert(names::DUE.to_owned(), string(&due_sort(due.at, key)));
    }
    attributes
}

/// A time as digits that sort; `None` for one that no item can be due at.
fn digits(at: Timestamp) -> Option<String> {
    let nanoseconds = i64::try_from(at.as_nanosecond()).ok()?;
    let above_first = i128::from(nanoseconds) - i128::from(i64::MIN);
    Some(format!("{above_first:0TIME_DIGITS$}"))
}

/// Where an item stands in its shard of the due index.
fn due_sort(at: Timestamp, key: &Key) -> String {
    // Nothing sorts before the separator: keys come in their own order.
    let mut place = format!("{}\u{0}{}", key.partition, key.sort);
    if KEY_BYTES < place.len() {
        let digest = Digest::of_list(&[&key.partition, &key.sort]);
        place.truncate(place.floor_char_boundary(KEY_BYTES - DIGEST_DIGITS));
        place.extend(digest.hex().chars().take(DIGEST_DIGITS));
    }
    digits(at).unwrap_or_else(|| AFTER_ALL_TIMES.to_owned()) + &place
}

/// The end of what is due at or before a time: every such entry sorts below it, and no other.
fn due_end(until: Timestamp) -> String {
    let next = until.as_nanosecond().saturating_add(1);
    match Timestamp::from_nanosecond(next).ok().and_then(digits) {
        Some(digits) => digits,
        None if next < 0 => "0".repeat(TIME_DIGITS),
        None => AFTER_ALL_TIMES.to_owned(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("attribute `{0}` is missing or of another type")]
struct Attribute(&'static str);

fn text<'a>(item: &'a Attributes, name: &'static str) -> Result<&'a str, Attribute> {
    item.get(name).and_then(|it| it.as_s().ok()).map(String::as_str).ok_or(Attribute(name))
}

fn read_number<N: std::str::FromStr>(item: &Attributes, name: &'static str) -> Result<N, Attribute> {
    item.get(name).and_then(|it| it.as_n().ok()?.parse().ok()).ok_or(Attribute(name))
}

fn read_key(item: &Attributes) -> Result<Key, TableError> {
    let key = || Ok(Key::new(text(item, names::PARTITION)?, text(item, names::SORT)?));
    key().map_err(|error: Attribute| corrupt(&Key::new("?", "?"), error))
}

fn read_due_time(item: &Attributes) -> Result<Timestamp, Attribute> {
    let wrong = || Attribute(names::DUE);
    let digits: i128 = text(item, names::DUE)?.get(..TIME_DIGITS).and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
    Timestamp::from_nanosecond(digits + i128::from(i64::MIN)).map_err(|_| wrong())
}

fn read_item(item: &Attributes) -> Result<Item, TableError> {
    let key = read_key(item)?;
    let rest = || {
        let due = match item.contains_key(names::DUE) {
            true => Some(Due { shard: read_number(item, names::SHARD)?, at: read_due_time(item)? }),
            false => None,
        };
        let generation = Generation(read_number(item, names::GENERATION)?);
        Ok(Item { key: Arc::new(key.clone()), generation, body: text(item, names::BODY)?.into(), due })
    };
    rest().map_err(|error: Attribute| corrupt(&key, error))
}

fn corrupt(key: &Key, source: impl Into<BoxError>) -> TableError {
    TableError::Corrupt { key: key.clone(), source: source.into() }
}

fn table_error(failed: Failed) -> TableError {
    match failed.kind {
        Kind::Throttled => TableError::Throttled,
        Kind::Unknown => TableError::Unavailable(failed.into()),
        Kind::Denied => TableError::Denied(failed.into()),
        Kind::Refused => match failed.code.as_str() {
            "IdempotentParameterMismatchException" => TableError::TokenReused,
            _ => TableError::Invalid(failed.words()),
        },
    }
}

/// What became of a transaction that was answered.
enum Transacted {
    Done,
    /// The action in this place was not as expected.
    Conflict(usize),
}

/// Looks into a canceled transaction: what can never work wins over what was not as expected, and that over what may work
/// when it is sent again.
fn judge(error: SdkError<TransactWriteItemsError, HttpResponse>) -> Result<Transacted, Failed> {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons().to_vec()
        }
        _ => return Err(Failed::of(error)),
    };
    let has = |codes: &[&str]| reasons.iter().position(|it| it.code().is_some_and(|it| codes.contains(&it)));
    let failed = Failed::of(error);
    if let Some(at) = has(&["ValidationError", "ItemCollectionSizeLimitExceeded"]) {
        let message = reasons[at].message().unwrap_or_default().to_owned();
        return Err(failed.with_words(message).of_kind(Kind::Refused));
    }
    if has(&["AccessDenied"]).is_some() {
        return Err(failed.of_kind(Kind::Denied));
    }
    match has(&["ConditionalCheckFailed"]) {
        Some(at) => Ok(Transacted::Conflict(at)),
        None => Err(failed.of_kind(Kind::Throttled)),
    }
}

#[async_trait]
impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        validate_key(key)?;
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.set_key(Some(key_attributes(key)));
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(table_error)?;
        found.item().map(read_item).transpose()
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        validate_query(query)?;
        let mut start = query.after.as_ref().map(|it| key_attributes(&Key::new(&query.partition, it)));
        let mut request = self.client.query().table_name(&self.table).consistent_read(true);
        request = request.expression_attribute_values(":p", string(&query.partition));
        request = if query.prefix.is_empty() {
            request.key_condition_expression("pk = :p")
        } else {
            let request = request.key_condition_expression("pk = :p AND begins_with(sk, :s)");
            request.expression_attribute_values(":s", string(&query.prefix))
        };
        request = request.scan_index_forward(query.order == Order::Ascending);
        request = request.limit(i32::try_from(query.limit).unwrap_or(i32::MAX));
        loop {
            let page = request.clone().set_exclusive_start_key(start.take());
            let attempt = || async { page.clone().send().await.map_err(Failed::of) };
            let found = call(self.limits, Repeat::Freely, attempt).await.map_err(table_error)?;
            let next = found.last_evaluated_key;
            let items = found.items.unwrap_or_default().iter().map(read_item).collect::<Result<Vec<_>, _>>()?;
            match next {
                // A page may be empty although there is more.
                Some(next) if items.is_empty() => start = Some(next),
                Some(next) => return Ok(Page { items, next: Some(read_key(&next)?.sort) }),
                None => return Ok(Page { items, next: None }),
            }
        }
    }

    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError> {
        validate_writes(token, writes)?;
        let actions = writes.iter().map(|it| self.action(it)).collect::<Result<Vec<_>, _>>()?;
        // DynamoDB remembers tokens for an account, and two deployments in one may well write the same.
        let token = Digest::of_list(&[&self.table, &token.0]);
        let token = format!("{:.MAX_TOKEN_CHARS$}", token.hex());
        let request = self.client.transact_write_items().client_request_token(token);
        let request = request.set_transact_items(Some(actions));
        let attempt = || async {
            match request.clone().send().await {
                Ok(_) => Ok(Transacted::Done),
                Err(error) => judge(error),
            }
        };
        // The token is remembered for minutes, the call ends within seconds.
        match call(self.limits, Repeat::Freely, attempt).await.map_err(table_error)? {
            Transacted::Done => Ok(()),
            Transacted::Conflict(at) => {
                let key = writes.get(at).unwrap_or(&writes[0]).key().clone();
                Err(TableError::Conflict { key })
            }
        }
    }

    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        validate_due_query(shard, until, limit, after)?;
        let mut start = after.map(|it| {
            let mut start = key_attributes(&it.key);
            start.insert(names::SHARD.to_owned(), number(shard.into()));
            start.insert(names::DUE.to_owned(), string(&due_sort(it.at, &it.key)));
            start
        });
        let request = self.client.query().table_name(&self.table).index_name(INDEX);
        let request = request.key_condition_expression("ds = :s AND due < :e");
        let request = request.expression_attribute_values(":s", number(shard.into()));
        let request = request.expression_attribute_values(":e", string(&due_end(until)));
        let request = request.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        loop {
            let page = request.clone().set_exclusive_start_key(start.take());
            let attempt = || async { page.clone().send().await.map_err(Failed::of) };
            let found = call(self.limits, Repeat::Freely, attempt).await.map_err(table_error)?;
            let next = found.last_evaluated_key;
            let items = found.items.unwrap_or_default().iter().map(read_due).collect::<Result<Vec<_>, _>>()?;
            match next {
                Some(next) if items.is_empty() => start = Some(next),
                next => return Ok(DuePage { next: next.as_ref().map(read_due).transpose()?, items }),
            }
        }
    }
}

fn read_due(item: &Attributes) -> Result<DueItem, TableError> {
    let key = read_key(item)?;
    let at = read_due_time(item).map_err(|error| corrupt(&key, error))?;
    Ok(DueItem { key, at })
}

#[cfg(test)]
mod tests {
    use refit_app::ports::limits::ITEM_OVERHEAD_BYTES;
    use refit_app::ports::table::{MAX_PARTITION_BYTES, MAX_SORT_BYTES};

    use super::*;

    /// Times around both ends of what an item can be due at.
    fn times() -> Vec<Timestamp> {
        let edges = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1_767_571_200_000_000_000, i64::MAX - 1, i64::MAX];
        edges.iter().map(|it| Timestamp::from_nanosecond(i128::from(*it)).expect("a time")).collect()
    }

    #[test]
    fn due_entries_sort_by_time_and_come_back() {
        let key = Key::new("LOOK#m", "LOOK");
        let sorts: Vec<String> = times().iter().map(|it| due_sort(*it, &key)).collect();
        assert!(sorts.is_sorted());
        for (time, sort) in times().iter().zip(&sorts) {
            let mut item = key_attributes(&key);
            item.insert(names::DUE.to_owned(), string(sort));
            assert_eq!(read_due(&item).expect("it parses"), DueItem { key: key.clone(), at: *time });
        }
        for (number, until) in times().into_iter().enumerate() {
            let below = sorts.iter().filter(|it| **it < due_end(until)).count();
            assert_eq!(below, number + 1, "{until}");
        }
        assert!(sorts.iter().all(|it| *it < due_end(Timestamp::MAX)));
        assert!(sorts.iter().all(|it| due_end(Timestamp::MIN) <= *it));
    }

    #[test]
    fn entries_of_one_time_sort_by_key_and_stay_small() {
        let at = times()[5];
        let keys = [("A", "z"), ("A", "\u{10ffff}"), ("A\u{1}", "a"), ("B", "a")];
        let sorts: Vec<String> =
            keys.iter().map(|(partition, sort)| due_sort(at, &Key::new(partition, sort))).collect();
        assert!(sorts.is_sorted());
        let model = format!("LOOK#{}", "m".repeat(63));
        assert!(due_sort(at, &Key::new(&model, "LOOK")).ends_with("m\u{0}LOOK"), "models' keys fit whole");
        let long = |end: &str| Key::new(&"ä".repeat(MAX_PARTITION_BYTES / 2), &("s".repeat(MAX_SORT_BYTES - 1) + end));
        assert_ne!(due_sort(at, &long("a")), due_sort(at, &long("b")));
        let item = attributes(&long("a"), Expect::Generation(Generation(u64::MAX)), "", Some(Due { shard: 15, at }));
        let size = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len() / 2 + 2,
            _ => usize::MAX,
        };
        let bytes: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
        assert!(bytes <= ITEM_OVERHEAD_BYTES + MAX_PARTITION_BYTES + MAX_SORT_BYTES, "{bytes}");
    }

    #[test]
    fn damaged_items_are_corrupt() {
        let key = Key::new("MODEL#m", "HEAD");
        let whole = attributes(&key, Expect::Absent, "{}", Some(Due { shard: 1, at: times()[5] }));
        assert_eq!(read_item(&whole).expect("it parses").generation, Generation(1));
        for name in [names::BODY, names::GENERATION, names::SHARD] {
            let mut item = whole.clone();
            item.remove(name);
            assert!(matches!(read_item(&item), Err(TableError::Corrupt { key: found, .. }) if found == key), "{name}");
            item.insert(name.to_owned(), AttributeValue::Bool(true));
            assert!(matches!(read_item(&item), Err(TableError::Corrupt { .. })), "{name}");
        }
        let mut item = whole.clone();
        item.insert(names::DUE.to_owned(), string("soon"));
        assert!(matches!(read_item(&item), Err(TableError::Corrupt { .. })));
    }
}
