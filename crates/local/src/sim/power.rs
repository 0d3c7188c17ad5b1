//! Whether the simulator would notice: takes each guard of the code away in turn and plays until something breaks.
//!
//! A seed counts only when it breaks nothing with all guards in their places, and histories begin with fleets that were
//! made with all of them.

use std::time::Instant;

use refit_core::{Guard, plant};

use super::base::{FLEETS, base};
use super::checks::Violation;
use super::dice::Mask;
use super::report::Ended;
use super::run::{Seeds, play, play_any_state_one, play_each};
use super::schedule::Simulation;

/// Between the seeds that searches for the same guard begin with.
const APART: u64 = 1_000_003;

/// How one search went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The seed it began with.
    pub first: u64,
    /// How many histories it took, the seed of the last and what was broken in it; `None` when nobody noticed.
    pub by: Option<(u64, u64, Violation)>,
    /// Seeds that break something with all guards in place: bugs of the code, which say nothing about the guard.
    pub unguarded: Vec<(u64, Violation)>,
}

/// What came of taking a guard away.
#[derive(Debug, Clone)]
pub struct Found {
    /// The guard.
    pub guard: Guard,
    /// One search from each of several seeds.
    pub searches: Vec<Search>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Found {
    /// The histories that half of the searches needed at most; `None` when fewer than half noticed.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        middle(self.searches.iter().map(|it| it.by.as_ref().map(|it| it.0)).collect())
    }

    /// The most that a search needed; `None` when one did not notice.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        let needed: Option<Vec<u64>> = self.searches.iter().map(|it| it.by.as_ref().map(|it| it.0)).collect();
        needed?.into_iter().max()
    }

    /// The first seed that noticed, and what it noticed.
    #[must_use]
    pub fn example(&self) -> Option<(u64, &Violation)> {
        self.searches.iter().find_map(|it| it.by.as_ref().map(|it| (it.1, &it.2)))
    }
}

/// The middle of the numbers of schedules; those that found nothing are the greatest.
fn middle(needed: Vec<Option<u64>>) -> Option<u64> {
    let mut needed: Vec<u64> = needed.into_iter().map(|it| it.unwrap_or(u64::MAX)).collect();
    needed.sort_unstable();
    needed.get(needed.len().saturating_sub(1) / 2).copied().filter(|it| *it != u64::MAX)
}

/// The schedules that half of the guards needed at most; `None` when fewer than half were found.
#[must_use]
pub fn median(found: &[Found]) -> Option<u64> {
    middle(found.iter().map(Found::median).collect())
}

/// Whether a guard is there for tables that Refit did not write: then histories are sweeps over damaged tables.
#[must_use]
pub fn is_about_damage(guard: Guard) -> bool {
    matches!(
        guard,
        Guard::DamageFound | Guard::DamageTold | Guard::TriesBounded | Guard::SlotsReclaimed | Guard::ReclaimAsks
    )
}

/// Makes the fleets that histories begin with, while all guards are in place.
pub fn prepare() {
    (0..FLEETS).for_each(|it| _ = base(it));
}

/// One history without a guard, which is back afterwards.
#[must_use]
pub fn play_without(guard: Guard, seed: u64) -> Ended {
    // The fleet that it begins with.
    drop(Simulation::new(seed, &Mask::default()));
    plant(Some(guard));
    let ended = play_one(guard, seed);
    plant(None);
    ended
}

fn play_one(guard: Guard, seed: u64) -> Ended {
    if is_about_damage(guard) { play_any_state_one(seed) } else { play(seed, &Mask::default()) }
}

/// Takes a guard away and plays at most `seeds.count` histories, from each of `starts` seeds on.
#[must_use]
pub fn try_guard(guard: Guard, seeds: Seeds, starts: u64) -> Found {
    let begun = Instant::now();
    let searches = (0..starts.max(1))
        .map(|it| search(guard, Seeds { first: seeds.first.wrapping_add(it.wrapping_mul(APART)), enough: 1, ..seeds }));
    let searches = searches.collect();
    Found { guard, searches, seconds: begun.elapsed().as_secs_f64() }
}

/// Takes a guard away and plays all histories: how many of those that break nothing with it notice.
#[must_use]
pub fn count_guard(guard: Guard, seeds: Seeds, sound: &(dyn Fn(u64) -> bool + Sync)) -> u64 {
    let seeds = Seeds { enough: usize::MAX, ..seeds };
    let tally = play_each(seeds, &|_| {}, |seed| {
        let mut ended = play_without(guard, seed);
        if !sound(seed) || is_own_history(guard, &ended) {
            ended.violation = None;
        }
        ended
    });
    tally.violations.len() as u64
}

/// The fleet's own history, which was made with all guards, adds up to something else without one that is part of
/// how facts change the state: that is no news.
fn is_own_history(guard: Guard, ended: &Ended) -> bool {
    let is_history = ended.violation.as_ref().is_some_and(|it| it.id == "U3" && it.text.ends_with("as stored"));
    is_history && guard.invariant() != "U3"
}

fn search(guard: Guard, seeds: Seeds) -> Search {
    let unguarded = std::sync::Mutex::new(Vec::new());
    let tally = play_each(seeds, &|_| {}, |seed| {
        let mut ended = play_without(guard, seed);
        if is_own_history(guard, &ended) {
            ended.violation = None;
        }
        if ended.violation.is_some()
            && let Some(violation) = play_one(guard, seed).violation
        {
            ended.violation = None;
            unguarded.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((seed, violation));
        }
        ended
    });
    let by = tally.violations.into_iter().next();
    let by = by.map(|(seed, violation)| (seed.wrapping_sub(seeds.first) + 1, seed, violation));
    let unguarded = unguarded.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Search { first: seeds.first, by, unguarded }
}
