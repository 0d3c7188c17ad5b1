//! Many schedules, one schedule, and what of it a failure really needs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::any_state;
use super::checks::Violation;
use super::dice::Mask;
use super::report::{Ended, Stats};
use super::schedule::{Simulation, fleet_of};

/// Plays one schedule; a panic is a violation.
#[must_use]
pub fn play(seed: u64, mask: &Mask) -> Ended {
    guard(seed, || Simulation::new(seed, mask).play())
}

/// Plays one schedule and writes down what happens.
#[must_use]
pub fn play_traced(seed: u64, mask: &Mask) -> Ended {
    guard(seed, || Simulation::new(seed, mask).traced().play())
}

fn guard(seed: u64, play: impl FnOnce() -> Ended) -> Ended {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = words_of_panic(&*panic);
        Ended {
            seed,
            violation: Some(Violation::new("I1", format!("panic: {text}"))),
            stats: Stats { schedules: 1, ..Stats::default() },
            hash: 0,
            steps: 0,
            injected: Vec::new(),
            trace: Vec::new(),
        }
    })
}

/// What a panic said.
pub(super) fn words_of_panic(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Hears how many schedules are done.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Most seeds that a thread takes at a time. It plays those of one fleet after another: what they begin with is then still in
/// the processor's caches.
const MOST_OF_BLOCK: u64 = 960;

/// Which schedules to play.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// On how many threads.
    pub threads: usize,
    /// After so many violations it is enough.
    pub enough: usize,
}

/// What came of many schedules.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Figures.
    pub stats: Stats,
    /// The first violations, by seed.
    pub violations: Vec<(u64, Violation)>,
}

/// Plays the schedules of many seeds; `progress` hears how many are done.
pub fn play_many(seeds: Seeds, progress: Progress<'_>) -> Tally {
    play_each(seeds, progress, |seed| play(seed, &Mask::default()))
}

/// Damages the tables of many histories: each comes to rest, or people are told.
pub fn play_any_state(seeds: Seeds, progress: Progress<'_>) -> Tally {
    play_each(seeds, progress, play_any_state_one)
}

/// Damages the table of one history.
pub(super) fn play_any_state_one(seed: u64) -> Ended {
    guard(seed, || any_state::play(seed, false))
}

/// Damages the table of one history and writes down what happens.
#[must_use]
pub fn play_any_state_traced(seed: u64) -> Ended {
    guard(seed, || any_state::play(seed, true))
}

/// Plays every schedule twice: it has to be the same.
pub fn play_twice(seeds: Seeds, progress: Progress<'_>) -> Tally {
    play_each(seeds, progress, |seed| {
        let mut first = play(seed, &Mask::default());
        let second = play(seed, &Mask::default());
        if first != second && first.violation.is_none() {
            let text = format!("two runs differ: {:016x} and {:016x}", first.hash, second.hash);
            first.violation = Some(Violation::new("I1", text));
        }
        first
    })
}

pub(super) fn play_each(seeds: Seeds, progress: Progress<'_>, one: impl Fn(u64) -> Ended + Sync) -> Tally {
    let threads = seeds.threads.max(1);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    // Whoever looks for the first plays them in their order.
    let block = if seeds.enough == 1 { 1 } else { (seeds.count / (4 * threads as u64)).clamp(1, MOST_OF_BLOCK) };
    let is_enough = AtomicBool::new(false);
    let tally = Mutex::new(Tally::default());
    let work = || {
        let mut stats = Stats::default();
        'blocks: loop {
            let first = next.fetch_add(block, Ordering::Relaxed);
            let end = seeds.count.min(first.saturating_add(block));
            let mut seeds_of_block: Vec<u64> = (first..end).map(|it| seeds.first.wrapping_add(it)).collect();
            seeds_of_block.sort_by_key(|it| fleet_of(*it));
            if seeds_of_block.is_empty() {
                break;
            }
            for seed in seeds_of_block {
                if is_enough.load(Ordering::Relaxed) {
                    break 'blocks;
                }
                let ended = one(seed);
                stats.add(&ended.stats);
                if let Some(violation) = ended.violation {
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.violations.push((ended.seed, violation));
                    is_enough.store(seeds.enough <= tally.violations.len(), Ordering::Relaxed);
                }
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        }
        tally.lock().unwrap_or_else(PoisonError::into_inner).stats.add(&stats);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.violations.sort_by_key(|it| it.0);
    tally
}

/// What a failing schedule needs to fail in the same way: leaves out steps and faults, as many as it can.
#[must_use]
pub fn shrink(failed: &Ended) -> Mask {
    let Some(violation) = &failed.violation else { return Mask::default() };
    let fails = |mask: &Mask| play(failed.seed, mask).violation.is_some_and(|it| it.id == violation.id);
    let mut mask = Mask::default();
    for round in 0..3 {
        let before = mask.clone();
        let faults: Vec<(u64, u64)> = failed.injected.iter().map(|it| (it.step, it.ordinal)).collect();
        leave_out(&faults, &mut mask, |mask, one| mask.faults.insert(*one), &fails);
        let steps: Vec<u64> = (1..=failed.steps).collect();
        leave_out(&steps, &mut mask, |mask, one| mask.steps.insert(*one), &fails);
        if round > 0 && mask == before {
            break;
        }
    }
    mask
}

/// Leaves out pieces by halves, then quarters, down to single ones, while it still fails.
fn leave_out<T>(all: &[T], mask: &mut Mask, add: impl Fn(&mut Mask, &T) -> bool, fails: &impl Fn(&Mask) -> bool) {
    let mut size = all.len();
    while 0 < size {
        for part in all.chunks(size) {
            let mut tried = mask.clone();
            let is_new = part.iter().filter(|one| add(&mut tried, one)).count();
            if 0 < is_new && fails(&tried) {
                *mask = tried;
            }
        }
        size /= 2;
    }
}
