//! Whether the simulator would notice: takes each guard of the code away in turn and plays schedules until one fails.

use std::time::Instant;

use refit_core::{Guard, plant};

use super::checks::Violation;
use super::run::{Seeds, play_many};

/// What came of taking a guard away.
#[derive(Debug, Clone)]
pub struct Found {
    /// The guard.
    pub guard: Guard,
    /// How many schedules it took, and what was broken; `None` when nobody noticed.
    pub by: Option<(u64, Violation)>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Takes a guard away and plays at most `seeds.count` schedules. All guards are back afterwards.
#[must_use]
pub fn try_guard(guard: Guard, seeds: Seeds) -> Found {
    let begun = Instant::now();
    plant(Some(guard));
    let tally = play_many(Seeds { enough: 1, ..seeds }, &|_| {});
    plant(None);
    let by = tally.violations.into_iter().next();
    let by = by.map(|(seed, violation)| (seed.wrapping_sub(seeds.first) + 1, violation));
    Found { guard, by, seconds: begun.elapsed().as_secs_f64() }
}

/// The schedules that half of the guards needed at most; `None` when fewer than half were found.
#[must_use]
pub fn median(found: &[Found]) -> Option<u64> {
    let mut needed: Vec<u64> = found.iter().map(|it| it.by.as_ref().map_or(u64::MAX, |it| it.0)).collect();
    needed.sort_unstable();
    needed.get(needed.len().saturating_sub(1) / 2).copied().filter(|it| *it != u64::MAX)
}
