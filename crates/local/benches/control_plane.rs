//! How long the control plane works for one wake-up, on the table in memory and on SQLite, beside its floor: the
//! transactions alone.
//!
//! Plays a model's life (daily checks, runs, approvals, promotions) and times each call of each function from the event to
//! the answer. Exits with 1 when a median is above its bound: 0.5 ms in memory, 5 ms on SQLite.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{Expect, Key, Table, Token, Write};
use refit_handlers::Function;
use refit_local::memory::{
    Delivered, Delivery, Ending, MODEL, MemoryWorld, Outputs, Promotion, policy, poll, scheduled_event,
};
use refit_local::store::{Database, SqliteTable};
use serde_json::{Value, json};

/// Simulated days; every tenth brings a run.
const DAYS: u32 = 400;
const RUN_EVERY: u32 = 10;
/// Transactions of one item that the floor is measured by.
const FLOOR_WRITES: u32 = 2_000;

/// The times of each function's calls.
#[derive(Debug, Default)]
struct Times(BTreeMap<Function, Vec<Duration>>);

impl Times {
    fn add(&mut self, function: Function, took: Duration) {
        self.0.entry(function).or_default().push(took);
    }

    fn all(&self) -> Vec<Duration> {
        self.0.values().flatten().copied().collect()
    }
}

fn quantile(mut times: Vec<Duration>, share: f64) -> Duration {
    times.sort_unstable();
    let index = (share * (times.len() as f64 - 1.0)).round() as usize;
    times.get(index).copied().unwrap_or_default()
}

/// A world with a table of its own choice, whose calls are timed.
struct Bench {
    world: MemoryWorld,
    sqlite: Option<SqliteTable>,
    times: Times,
}

impl Bench {
    /// A world on the table in memory, or on the one in `database`.
    fn new(database: Option<Database>) -> Bench {
        let mut world = MemoryWorld::new(beginning());
        let sqlite = database.map(|it| SqliteTable::new(it, Arc::new(world.clock.clone())));
        if let Some(table) = &sqlite {
            world.watch_table(Arc::new(table.clone()));
        }
        let day = "2026-01-05T00:00:00Z".parse().expect("a constant time");
        world.apply_policy(&policy(Promotion::Manual), day).unwrap_done().expect("nothing fails");
        Bench { world, sqlite, times: Times::default() }
    }

    fn call(&mut self, function: Function, event: &Value) {
        let begun = Instant::now();
        let delivered = self.world.call(function, event);
        self.times.add(function, begun.elapsed());
        assert!(matches!(delivered, Delivered::Answered(_)), "{function}: {delivered:?}");
    }

    fn drain(&mut self) {
        loop {
            self.world.pump();
            if let Some(table) = &self.sqlite {
                let records = table.read_stream(100).expect("the stream is readable");
                if let Some(last) = records.last() {
                    table.acknowledge_stream(last.seq).expect("the stream is writable");
                    let keys = records.iter().map(|it| {
                        json!({ "dynamodb": { "Keys": { "pk": { "S": it.key.partition }, "sk": { "S": it.key.sort } } } })
                    });
                    let event = json!({ "Records": keys.collect::<Vec<_>>() });
                    self.world.queue.push_back(Delivery::new(Function::PublishEvents, event, 0));
                }
            }
            let Some(next) = self.world.queue.pop_front() else { return };
            self.call(next.function, &next.event);
        }
    }

    fn ask(&mut self, function: Function, request: &Value) {
        self.call(function, request);
        self.drain();
    }

    fn play(&mut self) {
        let mut run = 0;
        for day in 0..DAYS {
            self.world.clock.advance(SignedDuration::from_hours(24));
            self.world.send(scheduled_event());
            self.drain();
            if day % RUN_EVERY == 0 {
                run += 1;
                self.ask(
                    Function::CheckTriggers,
                    &json!({ "kind": "trigger", "id": format!("t{run}"), "model": MODEL, "actor": "ann", "reason": "fresh data" }),
                );
                for arn in self.world.pipelines.open() {
                    let ending = Ending::Succeeded(Outputs::of_errors(9.0, 9.2));
                    self.world.pipelines.finish(&arn, &ending).expect("it has not ended");
                }
                self.drain();
                self.ask(
                    Function::PromoteModel,
                    &json!({ "kind": "vote", "id": format!("v{run}"), "run": format!("{MODEL}-r{run:04}"), "actor": "bob", "choice": "approve" }),
                );
            }
        }
    }
}

fn beginning() -> Timestamp {
    "2026-01-05T03:00:00Z".parse().expect("a constant time")
}

/// The median of a transaction of one small item.
fn floor(table: &dyn Table) -> Duration {
    let mut times = Vec::new();
    for index in 0..FLOOR_WRITES {
        let key = Key::new("FLOOR", &format!("{index:06}"));
        let writes = [Write::Put { key, expect: Expect::Absent, body: "{\"schema\":1}".into(), due: None }];
        let token = Token(format!("floor-{index}"));
        let begun = Instant::now();
        poll(async { table.transact(&token, &writes).await }).unwrap_done().expect("nothing fails");
        times.push(begun.elapsed());
    }
    quantile(times, 0.5)
}

/// Prints one world's figures; whether its median is within `bound`.
fn report(name: &str, bench: &Bench, floor: Duration, bound: Duration) -> bool {
    let micros = |it: Duration| it.as_secs_f64() * 1e6;
    println!("\n{name}: one transaction of one item takes {:.0} µs (median)", micros(floor));
    println!("{:<20} {:>8} {:>12} {:>12} {:>10}", "function", "calls", "median µs", "p99 µs", "x floor");
    let row = |name: &str, times: Vec<Duration>| {
        let (median, p99) = (quantile(times.clone(), 0.5), quantile(times.clone(), 0.99));
        let ratio = micros(median) / micros(floor).max(f64::MIN_POSITIVE);
        println!("{name:<20} {:>8} {:>12.0} {:>12.0} {ratio:>10.1}", times.len(), micros(median), micros(p99));
        median
    };
    for (function, times) in &bench.times.0 {
        row(function.name(), times.clone());
    }
    let median = row("every wake-up", bench.times.all());
    let is_within = median <= bound;
    println!(
        "median {:.0} µs, bound {:.0} µs: {}",
        micros(median),
        micros(bound),
        if is_within { "ok" } else { "TOO SLOW" }
    );
    is_within
}

fn main() -> ExitCode {
    let mut memory = Bench::new(None);
    memory.play();
    let memory_floor = floor(&*memory.world.ports().table);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database::open(&folder.path().join("state.sqlite")).expect("a database");
    let mut sqlite = Bench::new(Some(database));
    sqlite.play();
    let sqlite_floor = floor(&*sqlite.world.ports().table);

    println!("{DAYS} days of one model, a run every {RUN_EVERY} days");
    let within = [
        report("memory", &memory, memory_floor, Duration::from_micros(500)),
        report("SQLite", &sqlite, sqlite_floor, Duration::from_millis(5)),
    ];
    if within.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
