//! What is written is there after the file is opened again, and of two writers one wins.

use std::sync::{Arc, Barrier};
use std::thread;

use jiff::{SignedDuration, Timestamp};
use refit_app::contract::block_on_ready;
use refit_app::ports::{Due, Expect, Generation, Item, Key, Table as _, TableError, Token, Write};
use rusqlite::Connection;

use super::{Database, ManualClock, SqliteTable, database};
use crate::store::{OpenError, StreamRecord};

fn put(partition: &str, sort: &str, expect: Expect, body: &str) -> Write {
    Write::Put { key: Key::new(partition, sort), expect, body: body.into(), due: None }
}

fn token(text: &str) -> Token {
    Token(text.to_owned())
}

#[test]
fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let at = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
    let due = Due { shard: 3, at };
    let write = Write::Put { key: Key::new("AUDIT#m", "1"), expect: Expect::Absent, body: "{}".into(), due: Some(due) };
    {
        let database = database(folder.path());
        let table = SqliteTable::new(database.clone(), clock.clone());
        block_on_ready(table.transact(&token("t"), std::slice::from_ref(&write))).unwrap();
        database.put_document("package", "m/1", "one").unwrap();
        assert_eq!(database.enqueue(at, "sweep", "body").unwrap(), 1);
        assert!(database.postpone(1, at + SignedDuration::from_nanos(1), 2).unwrap());
    }
    let database = database(folder.path());
    let table = SqliteTable::new(database.clone(), clock.clone());
    let item = block_on_ready(table.get(write.key())).unwrap();
    assert_eq!(
        item,
        Some(Item { key: Arc::new(write.key().clone()), generation: Generation(1), body: "{}".into(), due: Some(due) })
    );
    block_on_ready(table.transact(&token("t"), std::slice::from_ref(&write))).expect("the token is remembered");
    let listed = block_on_ready(table.list_due(3, at, 1, None)).unwrap();
    assert_eq!((listed.items[0].at, listed.next), (at, None));
    assert_eq!(table.read_stream(9).unwrap(), [StreamRecord { seq: 1, key: write.key().clone() }]);
    assert_eq!(database.get_document("package", "m/1").unwrap().as_deref(), Some("one"));
    let queued = database.next_due(Timestamp::MAX).unwrap().unwrap();
    assert_eq!((queued.seq, queued.at, queued.attempts), (1, at + SignedDuration::from_nanos(1), 2));
}

#[test]
fn of_writers_of_one_generation_exactly_one_wins() {
    const WRITERS: usize = 4;
    const ROUNDS: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let first = SqliteTable::new(database(folder.path()), clock.clone());
    block_on_ready(first.transact(&token("0"), &[put("P", "s", Expect::Absent, "")])).unwrap();
    let barrier = Barrier::new(WRITERS);
    let wins: Vec<Vec<u64>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WRITERS)
            .map(|worker| {
                let (folder, clock, barrier) = (folder.path(), clock.clone(), &barrier);
                scope.spawn(move || {
                    let table = SqliteTable::new(database(folder), clock);
                    let race = |generation: u64| {
                        barrier.wait();
                        let writes = [put("P", "s", Expect::Generation(Generation(generation)), &worker.to_string())];
                        match block_on_ready(table.transact(&token(&format!("{worker}-{generation}")), &writes)) {
                            Ok(()) => true,
                            Err(TableError::Conflict { .. }) => false,
                            Err(error) => panic!("{error:?}"),
                        }
                    };
                    (1..=ROUNDS).filter(|generation| race(*generation)).collect()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut all: Vec<u64> = wins.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (1..=ROUNDS).collect::<Vec<_>>());
}

#[test]
fn a_new_file_may_be_opened_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let path = folder.path().join(format!("{round}/state.db"));
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for worker in 0..8 {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let database = Database::open(path).unwrap();
                    assert!(database.insert_document("worker", &worker.to_string(), "").unwrap());
                });
            }
        });
        assert_eq!(Database::open(&path).unwrap().list_documents("worker").unwrap().len(), 8);
    }
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.db");
    drop(Database::open(&newer).unwrap());
    Connection::open(&newer).unwrap().execute("UPDATE schema SET version = 2", []).unwrap();
    let error = Database::open(&newer).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, supported: 1, .. }), "{error:?}");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert!(matches!(Database::open(&foreign).unwrap_err(), OpenError::Foreign { .. }));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database ".repeat(100)).unwrap();
    assert!(matches!(Database::open(&text).unwrap_err(), OpenError::Unusable { .. }));
    assert!(matches!(Database::open(folder.path()).unwrap_err(), OpenError::Unusable { .. }));
}

#[test]
fn an_update_happens_as_a_whole() {
    let database = Database::open_in_memory().unwrap();
    let register = |fail: bool| {
        database.update(|transaction| {
            let count: u64 = transaction.get_document("counter", "m")?.map_or(0, |text| text.parse().unwrap()) + 1;
            transaction.put_document("counter", "m", &count.to_string())?;
            assert!(transaction.insert_document("package", &format!("m/{count}"), "body")?);
            transaction.enqueue(Timestamp::UNIX_EPOCH, "registered", &count.to_string())?;
            if fail { Err(TableError::Throttled) } else { Ok(count) }
        })
    };
    assert_eq!(register(false).unwrap(), 1);
    assert!(register(true).is_err());
    assert_eq!(register(false).unwrap(), 2);
    let listed = database.list_documents("package").unwrap();
    assert_eq!(listed.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["m/1", "m/2"]);
    assert!(!database.insert_document("package", "m/1", "other").unwrap());
    assert_eq!(database.get_document("package", "m/1").unwrap().as_deref(), Some("body"));
    assert_eq!(database.get_document("other kind", "m/1").unwrap(), None);
}

#[test]
fn the_queue_goes_by_time_and_then_arrival() {
    let database = Database::open_in_memory().unwrap();
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    for (seconds, body) in [(5, "a"), (3, "b"), (5, "c"), (-7, "d")] {
        database.enqueue(at(seconds), "target", body).unwrap();
    }
    assert_eq!(database.peek_next_at().unwrap(), Some(at(-7)));
    assert_eq!(database.next_due(at(-8)).unwrap(), None);
    assert!(database.postpone(4, at(4), 1).unwrap());
    let mut order = Vec::new();
    while let Some(entry) = database.next_due(at(5)).unwrap() {
        order.push((entry.body, entry.attempts));
        assert!(database.remove(entry.seq).unwrap());
        assert!(!database.remove(entry.seq).unwrap());
    }
    assert_eq!(order, [("b", 0), ("d", 1), ("a", 0), ("c", 0)].map(|(body, attempts)| (body.to_owned(), attempts)));
    assert_eq!(database.peek_next_at().unwrap(), None);
    assert!(!database.postpone(4, at(4), 1).unwrap());
    assert_eq!(database.enqueue(at(0), "target", "e").unwrap(), 5, "numbers are never given twice");
    assert!(matches!(database.enqueue(Timestamp::MAX, "target", ""), Err(TableError::Invalid(_))));
}

#[test]
fn the_stream_has_every_change_of_audit_partitions() {
    let table = SqliteTable::new(Database::open_in_memory().unwrap(), ManualClock::new());
    let first = Expect::Generation(Generation(1));
    let writes = [
        put("AUDIT#m", "1", Expect::Absent, ""),
        put("MODEL#m", "1", Expect::Absent, ""),
        put("AUDIT", "1", Expect::Absent, ""),
    ];
    block_on_ready(table.transact(&token("1"), &writes)).unwrap();
    let writes = [
        Write::Check { key: Key::new("AUDIT#m", "1"), expect: first },
        put("AUDIT#n", "1", Expect::Absent, ""),
        put("AUDIT#n", "0", Expect::Absent, ""),
    ];
    block_on_ready(table.transact(&token("2"), &writes)).unwrap();
    block_on_ready(table.transact(&token("2"), &writes)).unwrap();
    let failing = [put("AUDIT#m", "2", Expect::Absent, ""), put("AUDIT#m", "1", Expect::Absent, "")];
    block_on_ready(table.transact(&token("3"), &failing)).unwrap_err();
    let delete = [Write::Delete { key: Key::new("AUDIT#m", "1"), expect: Generation(1) }];
    block_on_ready(table.transact(&token("4"), &delete)).unwrap();
    let keys = |limit: usize| -> Vec<(u64, String)> {
        table.read_stream(limit).unwrap().into_iter().map(|record| (record.seq, record.key.to_string())).collect()
    };
    let all = [(1, "AUDIT#m / 1"), (2, "AUDIT#n / 1"), (3, "AUDIT#n / 0"), (4, "AUDIT#m / 1")]
        .map(|(seq, key)| (seq, key.to_owned()));
    assert_eq!(keys(9), all);
    assert_eq!(keys(2), all[..2]);
    table.acknowledge_stream(3).unwrap();
    assert_eq!(keys(9), all[3..]);
    table.acknowledge_stream(9).unwrap();
    assert_eq!(keys(9), []);
}
