//! What every implementation of a port promises, as cases that an adapter's tests run.
//!
//! A case is a plain asynchronous function that answers with what went wrong, so that the same promises are checked on
//! memory, on SQLite and over the wire, by whatever runs futures there. Each case keeps to partitions, due shards or
//! keys of its own; a whole suite can run on one store, provided that the store was empty before.
//!
//! Not here: faults, races and durability. What those look like depends on the adapter.

mod due;
mod limits;
mod listing;
mod objects;
mod query;
mod tokens;
mod transact;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use refit_core::{Digest, ObjectUri};

use crate::ports::{Due, Expect, Generation, Item, Key, Objects, Table, TableError, Token, Write};

/// The answer of a case: what went wrong, if anything did.
pub type Check = Result<(), String>;

/// A case under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Check> + Send + 'a>>;

/// A table to check, with its clock.
pub struct TableFixture {
    /// The table, empty before the first case.
    pub table: Arc<dyn Table>,
    /// Moves the clock forward that ages the table's tokens.
    pub advance: Box<dyn Fn(SignedDuration) + Send + Sync>,
}

/// An object store to check.
pub struct ObjectsFixture {
    /// The store.
    pub objects: Arc<dyn Objects>,
    /// Where cases may write; nothing lies below it before the first case.
    pub root: ObjectUri,
}

/// One promise of a table.
pub struct TableCase {
    /// The promise, as a sentence.
    pub name: &'static str,
    run: for<'a> fn(TableScene<'a>) -> Running<'a>,
}

impl TableCase {
    /// Checks the promise.
    ///
    /// # Errors
    /// What was not as promised, with the case's name.
    pub async fn run(&self, fixture: &TableFixture) -> Check {
        let scene = TableScene { fixture, name: self.name, used_tokens: AtomicU32::new(0) };
        (self.run)(scene).await.map_err(|why| format!("{}: {why}", self.name))
    }
}

/// One promise of an object store.
pub struct ObjectsCase {
    /// The promise, as a sentence.
    pub name: &'static str,
    run: for<'a> fn(ObjectsScene<'a>) -> Running<'a>,
}

impl ObjectsCase {
    /// Checks the promise.
    ///
    /// # Errors
    /// What was not as promised, with the case's name.
    pub async fn run(&self, fixture: &ObjectsFixture) -> Check {
        let scene = ObjectsScene { objects: fixture.objects.as_ref(), root: &fixture.root, name: self.name };
        (self.run)(scene).await.map_err(|why| format!("{}: {why}", self.name))
    }
}

/// Every promise of [`Table`].
#[must_use]
pub fn table_cases() -> Vec<TableCase> {
    [transact::CASES, tokens::CASES, limits::CASES, query::CASES, due::CASES]
        .into_iter()
        .flatten()
        .map(|(name, run)| TableCase { name, run: *run })
        .collect()
}

/// Every promise of [`Objects`].
#[must_use]
pub fn objects_cases() -> Vec<ObjectsCase> {
    [objects::CASES, listing::CASES].into_iter().flatten().map(|(name, run)| ObjectsCase { name, run: *run }).collect()
}

/// Runs every promise of [`Table`] and answers with the broken ones.
pub async fn check_table(fixture: &TableFixture) -> Vec<String> {
    let mut broken = Vec::new();
    for case in table_cases() {
        broken.extend(case.run(fixture).await.err());
    }
    broken
}

/// Runs every promise of [`Objects`] and answers with the broken ones.
pub async fn check_objects(fixture: &ObjectsFixture) -> Vec<String> {
    let mut broken = Vec::new();
    for case in objects_cases() {
        broken.extend(case.run(fixture).await.err());
    }
    broken
}

/// Runs a future that never waits, as those of the local stores do; needs no runtime.
///
/// # Panics
/// When the future waits for something.
pub fn block_on_ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
    .expect("invariant: only futures that never wait are run this way")
}

type TableRun = for<'a> fn(TableScene<'a>) -> Running<'a>;
type ObjectsRun = for<'a> fn(ObjectsScene<'a>) -> Running<'a>;

/// What a case on a table works with.
struct TableScene<'a> {
    fixture: &'a TableFixture,
    name: &'static str,
    used_tokens: AtomicU32,
}

impl TableScene<'_> {
    fn table(&self) -> &dyn Table {
        self.fixture.table.as_ref()
    }

    /// The case's own partition.
    fn partition(&self) -> String {
        format!("CASE#{}", self.name)
    }

    fn key(&self, sort: &str) -> Key {
        Key::new(&self.partition(), sort)
    }

    /// A token that no case used before.
    fn token(&self) -> Token {
        let number = self.used_tokens.fetch_add(1, Ordering::Relaxed);
        Token(format!("{}-{number}", Digest::of(self.name.as_bytes()).short()))
    }

    /// A transaction under a new token.
    async fn transact(&self, writes: &[Write]) -> Result<(), TableError> {
        self.table().transact(&self.token(), writes).await
    }

    /// A transaction under a new token that has to succeed.
    async fn commit(&self, what: &str, writes: &[Write]) -> Check {
        succeeds(what, self.transact(writes).await)
    }

    async fn get(&self, sort: &str) -> Result<Option<Item>, String> {
        let key = self.key(sort);
        self.table().get(&key).await.map_err(|error| format!("reading `{key}` failed: {error:?}"))
    }

    /// Checks what is stored under `sort`: generation and body, or nothing.
    async fn holds(&self, sort: &str, want: Option<(u64, &str)>) -> Check {
        let got = self.get(sort).await?;
        let got = got.as_ref().map(|item| (item.generation.0, item.body.as_str()));
        equal(&format!("generation and body of `{sort}`"), &got, &want)
    }

    /// Creates an item.
    fn create(&self, sort: &str, body: &str) -> Write {
        self.put(sort, Expect::Absent, body, None)
    }

    /// Replaces an item of this generation.
    fn replace(&self, sort: &str, generation: u64, body: &str) -> Write {
        self.put(sort, Expect::Generation(Generation(generation)), body, None)
    }

    fn put(&self, sort: &str, expect: Expect, body: &str, due: Option<Due>) -> Write {
        Write::Put { key: self.key(sort), expect, body: body.into(), due }
    }

    fn delete(&self, sort: &str, generation: u64) -> Write {
        Write::Delete { key: self.key(sort), expect: Generation(generation) }
    }

    fn check(&self, sort: &str, expect: Expect) -> Write {
        Write::Check { key: self.key(sort), expect }
    }

    /// Creates items of these sort names with their name as body, in as many transactions as it takes.
    async fn fill(&self, sorts: &[&str]) -> Check {
        for part in sorts.chunks(crate::ports::table::MAX_WRITES) {
            let writes: Vec<Write> = part.iter().map(|sort| self.create(sort, sort)).collect();
            self.commit("creating items", &writes).await?;
        }
        Ok(())
    }
}

/// What a case on an object store works with.
struct ObjectsScene<'a> {
    objects: &'a dyn Objects,
    root: &'a ObjectUri,
    name: &'static str,
}

impl ObjectsScene<'_> {
    /// The address of `name` below the case's own folder.
    fn uri(&self, name: &str) -> Result<ObjectUri, String> {
        let folder = Digest::of(self.name.as_bytes());
        self.root.join(&format!("{}/{name}", folder.short())).map_err(|error| error.to_string())
    }

    /// Writes an object that has to be new.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<ObjectUri, String> {
        let uri = self.uri(name)?;
        self.objects.put_new(&uri, bytes).await.map_err(|error| format!("writing `{uri}` failed: {error:?}"))?;
        Ok(uri)
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(why()) }
}

fn equal<T: PartialEq + fmt::Debug>(what: &str, got: &T, want: &T) -> Check {
    ensure(got == want, || format!("{what} is {got:?}, not {want:?}"))
}

fn succeeds<T, E: fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what} failed: {error:?}"))
}

/// Checks that the table refused because of `key`.
fn conflicts(what: &str, result: Result<(), TableError>, key: &Key) -> Check {
    match result {
        Err(TableError::Conflict { key: found }) => equal(&format!("the key in the conflict of {what}"), &found, key),
        other => Err(format!("{what} gave {other:?}, not a conflict")),
    }
}

/// Checks that the table refused a request that can never work.
fn invalid<T: fmt::Debug>(what: &str, result: Result<T, TableError>) -> Check {
    match result {
        Err(TableError::Invalid(_)) => Ok(()),
        other => {
            let shown: String = format!("{other:?}").chars().take(200).collect();
            Err(format!("{what} gave {shown}, not a refusal as invalid"))
        }
    }
}
