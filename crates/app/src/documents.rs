//! Where everything is stored (DESIGN section 4), and how items become documents.

use std::sync::Arc;

use jiff::Timestamp;
use refit_core::{Digest, ModelId, ObjectUri, RunId, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::AppError;
use crate::ports::{Body, DUE_SHARDS, Item, Key};

/// The partition of what concerns all models.
pub const FLEET: &str = "FLEET";

fn key(partition: String, sort: String) -> Key {
    Key { partition, sort }
}

/// The partition of a model's state.
#[must_use]
pub fn model_partition(model: &ModelId) -> String {
    ["MODEL#", model.as_ref()].concat()
}

/// The partition of a model's audit log: its own, so that IAM can deny updates and deletes.
#[must_use]
pub fn audit_partition(model: &ModelId) -> String {
    ["AUDIT#", model.as_ref()].concat()
}

/// The model whose audit log a partition is.
#[must_use]
pub fn model_of_audit_partition(partition: &str) -> Option<ModelId> {
    partition.strip_prefix("AUDIT#")?.parse().ok()
}

/// A model's head.
#[must_use]
pub fn head_key(model: &ModelId) -> Key {
    key(model_partition(model), "HEAD".to_owned())
}

/// A run.
#[must_use]
pub fn run_key(run: &RunId) -> Key {
    key(model_partition(&run.model()), ["RUN#", run.as_ref()].concat())
}

/// A package.
#[must_use]
pub fn package_key(model: &ModelId, version: u64) -> Key {
    key(model_partition(model), format!("PACKAGE#{version:08}"))
}

/// A request for approval.
#[must_use]
pub fn approval_key(run: &RunId) -> Key {
    key(model_partition(&run.model()), ["APPROVAL#", run.as_ref()].concat())
}

/// The marker of a request that was handled.
#[must_use]
pub fn request_key(model: &ModelId, request_id: &str) -> Key {
    Key::new(&model_partition(model), &format!("REQUEST#{}", Digest::of(request_id.as_bytes()).hex()))
}

/// A model's alarm clock. Not part of HEAD, so that looking again later is no change of state.
#[must_use]
pub fn look_key(model: &ModelId) -> Key {
    key(["LOOK#", model.as_ref()].concat(), "LOOK".to_owned())
}

/// The model whose alarm clock a key is.
#[must_use]
pub fn model_of_look(key: &Key) -> Option<ModelId> {
    key.partition.strip_prefix("LOOK#")?.parse().ok()
}

/// How far a model's log is published.
#[must_use]
pub fn cursor_key(model: &ModelId) -> Key {
    key(["CURSOR#", model.as_ref()].concat(), "CURSOR".to_owned())
}

/// The partition of what is known about data of the day of `time`.
#[must_use]
pub fn window_partition(model: &ModelId, time: Timestamp) -> String {
    format!("WIN#{model}#{}", time.strftime("%Y-%m-%d"))
}

/// The partition of files whose address names no day.
#[must_use]
pub fn undated_partition(model: &ModelId) -> String {
    format!("WIN#{model}#undated")
}

/// The partition of what was taken in, in the order of taking in.
#[must_use]
pub fn arrivals_partition(model: &ModelId) -> String {
    format!("WIN#{model}#arrivals")
}

/// Where an arrival is stored in its partition: times that sort as text.
#[must_use]
pub fn arrival_sort(at: Timestamp) -> String {
    format!("{:020}", at.as_microsecond().max(0))
}

/// The list of a day's extracts of one kind (`capture` or `labels`).
#[must_use]
pub fn extracts_key(model: &ModelId, kind: &str, day: Timestamp) -> Key {
    Key::new(&window_partition(model, day), &format!("EXTRACTS#{kind}"))
}

/// The marker that a damaged file which is no capture or label file was told about.
#[must_use]
pub fn told_key(model: &ModelId, uri: &str, etag: &str) -> Key {
    Key::new(&undated_partition(model), &format!("TOLD#{}", Digest::of_list(&[uri, etag]).hex()))
}

/// The fleet's slots.
#[must_use]
pub fn slots_key() -> Key {
    Key::new(FLEET, "SLOTS")
}

/// The fleet's queue.
#[must_use]
pub fn queue_key() -> Key {
    Key::new(FLEET, "QUEUE")
}

/// When every model was looked at, whether it was due or not.
#[must_use]
pub fn pass_key() -> Key {
    Key::new(FLEET, "PASS")
}

/// The pointer to the current policy.
#[must_use]
pub fn policy_key() -> Key {
    Key::new(FLEET, "POLICY")
}

/// An entry of the configuration's history.
#[must_use]
pub fn config_key(number: u64) -> Key {
    Key::new(FLEET, &format!("{CONFIG_PREFIX}{number:012}"))
}

/// What the sort names of the configuration's history begin with.
pub const CONFIG_PREFIX: &str = "CONFIG#";

/// How far the current policy was spread to the models; due while it was not.
#[must_use]
pub fn spread_key() -> Key {
    Key::new(FLEET, "SPREAD")
}

/// The marker of a model that is or was under watch.
#[must_use]
pub fn watched_key(model: &ModelId) -> Key {
    Key::new(FLEET, &format!("{WATCHED_PREFIX}{model}"))
}

/// What the sort names of markers of models begin with.
pub const WATCHED_PREFIX: &str = "MODEL#";

/// The due-index partition of a model.
#[must_use]
pub fn due_shard(model: &ModelId) -> u8 {
    u8::try_from(Digest::of(model.as_ref().as_bytes()).seed() % u64::from(DUE_SHARDS)).unwrap_or(0)
}

/// An address in the state bucket.
///
/// # Panics
/// Never: the parts are made of names and digests.
#[must_use]
pub fn state_uri(bucket: &str, parts: &[&str]) -> ObjectUri {
    ObjectUri::of(bucket, parts.join("/")).expect("invariant: names and digests make a valid address")
}

/// A document that is read from an item.
pub trait Document: DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> Document for T {}

/// Reads an item's document.
///
/// # Errors
/// [`AppError::Corrupt`].
pub fn parse<T: Document>(item: &Item) -> Result<T, AppError> {
    parse_shared(item).map(Arc::unwrap_or_clone)
}

/// Reads an item's document, which others may hold, too.
///
/// # Errors
/// [`AppError::Corrupt`].
pub fn parse_shared<T: Document>(item: &Item) -> Result<Arc<T>, AppError> {
    item.body.read().map_err(|error| AppError::Corrupt { key: Key::clone(&item.key), source: error.into() })
}

/// Writes a document.
#[must_use]
pub fn to_body<T: Serialize>(document: &T) -> Body {
    to_json(document).into()
}

/// Writes a document that whoever reads it from memory may share.
#[must_use]
pub fn to_shared_body<T: Serialize + Document>(document: &Arc<T>) -> Body {
    Body::of(to_json(&**document), Arc::clone(document))
}
