//! The promises of the ports on the local stores, and what only these promise: durability and races.

mod durability;
mod files;
mod random;

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use refit_app::contract::{ObjectsFixture, TableFixture, block_on_ready, check_objects, check_table};
use refit_app::ports::{Clock, Objects, Table};
use refit_core::ObjectUri;

use super::{Database, FileObjects, MemoryObjects, MemoryTable, SqliteTable};

/// A clock that stands still until it is moved.
struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    fn new() -> Arc<ManualClock> {
        Arc::new(ManualClock(Mutex::new(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(480_000))))
    }

    fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn uri(text: &str) -> ObjectUri {
    text.parse().unwrap()
}

fn database(folder: &Path) -> Database {
    Database::open(&folder.join("state.db")).unwrap()
}

#[track_caller]
fn check_table_contract(table: Arc<dyn Table>, clock: Arc<ManualClock>) {
    let fixture = TableFixture { table, advance: Box::new(move |by| clock.advance(by)) };
    let broken = block_on_ready(check_table(&fixture));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[track_caller]
fn check_objects_contract(objects: Arc<dyn Objects>) {
    for root in ["s3://first", "s3://second/some/folder"] {
        let fixture = ObjectsFixture { objects: Arc::clone(&objects), root: uri(root) };
        let broken = block_on_ready(check_objects(&fixture));
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

#[test]
fn the_memory_table_keeps_its_promises() {
    let clock = ManualClock::new();
    check_table_contract(Arc::new(MemoryTable::new(clock.clone())), clock);
}

#[test]
fn the_sqlite_table_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    check_table_contract(Arc::new(SqliteTable::new(database(folder.path()), clock.clone())), clock);
}

#[test]
fn memory_objects_keep_their_promises() {
    check_objects_contract(Arc::new(MemoryObjects::new(ManualClock::new())));
}

#[test]
fn file_objects_keep_their_promises() {
    let folder = tempfile::tempdir().unwrap();
    check_objects_contract(Arc::new(FileObjects::open(folder.path(), ManualClock::new()).unwrap()));
}

#[test]
fn case_names_are_unique() {
    let mut names: Vec<&str> = refit_app::contract::table_cases().iter().map(|case| case.name).collect();
    names.extend(refit_app::contract::objects_cases().iter().map(|case| case.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
