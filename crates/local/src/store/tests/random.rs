//! The same random history on memory and on SQLite gives the same answers, step by step.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::contract::block_on_ready;
use refit_app::ports::{Clock as _, Due, DueItem, Expect, Generation, Key, Order, Query, Table, Token, Write};

use super::{Database, ManualClock, MemoryTable, SqliteTable};

const SEEDS: u64 = 150;
const STEPS: u32 = 150;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn text(&mut self) -> &'static str {
        self.pick(&["", "a", "b", "ab", "a#", "a#1", "a#2", "B", "ä", "😀", "z"])
    }

    fn key(&mut self) -> Key {
        let partition = self.pick(&["AUDIT#m", "AUDIT#n", "MODEL#m", "MODEL#m2", ""]);
        Key::new(partition, self.text())
    }

    fn time(&mut self, now: Timestamp) -> Timestamp {
        now + SignedDuration::from_nanos(self.below(20) as i64)
    }

    fn due_item(&mut self, now: Timestamp) -> Option<DueItem> {
        (self.below(2) == 0).then(|| DueItem { key: self.key(), at: self.time(now) })
    }

    /// Mostly what is stored, sometimes not.
    fn expect(&mut self, memory: &MemoryTable, key: &Key) -> Expect {
        let stored = block_on_ready(memory.get(key)).ok().flatten();
        match (self.below(8), stored) {
            (0, _) => Expect::Generation(Generation(self.below(4))),
            (_, Some(item)) => Expect::Generation(item.generation),
            (_, None) => Expect::Absent,
        }
    }

    fn write(&mut self, memory: &MemoryTable, now: Timestamp) -> Write {
        let key = self.key();
        let expect = self.expect(memory, &key);
        match (self.below(6), expect) {
            (0 | 1, Expect::Generation(expect)) => Write::Delete { key, expect },
            (2, _) => Write::Check { key, expect },
            _ => {
                let due = (self.below(2) == 0).then(|| Due { shard: self.below(3) as u8, at: self.time(now) });
                Write::Put { key, expect, body: self.below(3).to_string().into(), due }
            }
        }
    }

    fn query(&mut self) -> Query {
        Query {
            partition: self.key().partition,
            prefix: self.text().to_owned(),
            after: (self.below(2) == 0).then(|| self.text().to_owned()),
            order: if self.below(2) == 0 { Order::Ascending } else { Order::Descending },
            limit: self.below(5) as usize,
        }
    }
}

/// Performs one random step on both and compares the answers.
fn step(dice: &mut Dice, memory: &MemoryTable, sqlite: &SqliteTable, clock: &ManualClock) -> (String, String) {
    let now = Timestamp::UNIX_EPOCH;
    let both: [&dyn Table; 2] = [memory, sqlite];
    let pair = |answers: [String; 2]| answers.into();
    match dice.below(12) {
        0 => {
            clock.advance(SignedDuration::from_mins(dice.below(6) as i64));
            (String::new(), String::new())
        }
        1 => {
            let key = dice.key();
            pair(both.map(|table| format!("{key}: {:?}", block_on_ready(table.get(&key)))))
        }
        2 | 3 => {
            let query = dice.query();
            pair(both.map(|table| format!("{query:?}: {:?}", block_on_ready(table.query(&query)))))
        }
        4 | 5 => {
            let (shard, limit, after, until) =
                (dice.below(3) as u8, dice.below(5) as usize, dice.due_item(now), dice.time(now));
            pair(both.map(|table| format!("{:?}", block_on_ready(table.list_due(shard, until, limit, after.as_ref())))))
        }
        6 => {
            let limit = dice.below(9) as usize;
            (format!("{:?}", memory.read_stream(limit)), format!("{:?}", sqlite.read_stream(limit).unwrap()))
        }
        7 => {
            let seq = memory.read_stream(2).last().map_or(0, |record| record.seq);
            memory.acknowledge_stream(seq);
            (String::new(), sqlite.acknowledge_stream(seq).map(|()| String::new()).unwrap())
        }
        _ => {
            let token = Token(dice.below(30).to_string());
            let writes: Vec<Write> = (0..=dice.below(3)).map(|_| dice.write(memory, now)).collect();
            pair(
                both.map(|table| {
                    format!("{token:?} {writes:?}: {:?}", block_on_ready(table.transact(&token, &writes)))
                }),
            )
        }
    }
}

#[test]
fn memory_and_sqlite_give_the_same_answers() {
    let mut done = 0;
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let clock = ManualClock::new();
        let memory = MemoryTable::new(clock.clone());
        let sqlite = SqliteTable::new(Database::open_in_memory().unwrap(), clock.clone());
        for number in 0..STEPS {
            let (one, other) = step(&mut dice, &memory, &sqlite, &clock);
            assert_eq!(one, other, "seed {seed}, step {number}");
            done += usize::from(one.ends_with(": Ok(())"));
        }
    }
    // A history of refusals alone would compare nothing.
    assert!(1_000 < done, "only {done} transactions succeeded");
}

#[test]
fn a_restored_table_goes_on_as_if_nothing_had_happened() {
    for seed in 0..20 {
        let clock = ManualClock::new();
        let table = MemoryTable::new(clock.clone());
        let mut dice = Dice(seed);
        let mut play = |table: &MemoryTable| {
            let writes = [dice.write(table, clock.now())];
            let token = Token(dice.below(1_000).to_string());
            format!("{:?}", block_on_ready(table.transact(&token, &writes)))
        };
        (0..30).for_each(|_| drop(play(&table)));
        let snapshot = table.snapshot();
        let before = format!("{snapshot:?}");
        (0..30).for_each(|_| drop(play(&table)));
        assert_ne!(format!("{:?}", table.snapshot()), before);
        table.restore(&snapshot);
        assert_eq!(format!("{:?}", table.snapshot()), before);
        let shared: Arc<dyn Table> = Arc::new(table.clone());
        let writes = [Write::Put { key: Key::new("P", "new"), expect: Expect::Absent, body: "".into(), due: None }];
        block_on_ready(shared.transact(&Token("new".to_owned()), &writes)).unwrap();
        assert!(block_on_ready(table.get(&Key::new("P", "new"))).unwrap().is_some());
        assert_eq!(format!("{snapshot:?}"), before, "a snapshot never changes");
    }
}
