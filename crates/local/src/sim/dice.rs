//! Faults by chance: at each call the seed says what goes wrong.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::Clock;

use super::rng::{Rng, TraceHash};
use crate::clock::ManualClock;
use crate::memory::faults::{Call, Fault, FaultPlan};

/// What of a schedule is left out, to find what a failure really needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// Steps that are not made.
    pub steps: BTreeSet<u64>,
    /// Faults that do not happen: by step and call in it.
    pub faults: BTreeSet<(u64, u64)>,
}

/// How often what goes wrong, in thousandths of calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// Anything but a pause.
    pub fault: u32,
    /// A worker is frozen, so that others go on meanwhile.
    pub pause: u32,
}

/// A fault that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    /// At which step.
    pub step: u64,
    /// At which call of it.
    pub ordinal: u64,
    /// The call.
    pub call: Call,
    /// What went wrong.
    pub fault: Fault,
}

/// How many kinds of faults there are.
pub const KINDS: usize = Fault::ALL.len();

/// Draws faults. Clones share their state, so that all workers draw from one schedule.
#[derive(Debug, Clone)]
pub struct Dice(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    seed: u64,
    mask: Arc<Mask>,
    rates: Rates,
    step: u64,
    ordinal: u64,
    calls: u64,
    counts: [u64; KINDS],
    injected: Vec<Injected>,
    hash: TraceHash,
}

impl Dice {
    /// The dice of a schedule.
    #[must_use]
    pub fn new(seed: u64, mask: Arc<Mask>, rates: Rates) -> Dice {
        Dice(Arc::new(Mutex::new(State {
            seed,
            mask,
            rates,
            step: 0,
            ordinal: 0,
            calls: 0,
            counts: [0; KINDS],
            injected: Vec::new(),
            hash: TraceHash::default(),
        })))
    }

    /// Begins a step.
    pub fn begin(&self, step: u64) {
        let mut state = self.lock();
        state.step = step;
        state.ordinal = 0;
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.lock().rates = Rates::default();
    }

    /// How many calls there were since the step began.
    #[must_use]
    pub fn calls_of_step(&self) -> u64 {
        self.lock().ordinal
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// How often each fault happened, in the order of [`Fault::ALL`].
    #[must_use]
    pub fn counts(&self) -> [u64; KINDS] {
        self.lock().counts
    }

    /// The faults that happened.
    #[must_use]
    pub fn injected(&self) -> Vec<Injected> {
        self.lock().injected.clone()
    }

    /// The faults after the first `count`.
    #[must_use]
    pub fn injected_from(&self, count: usize) -> Vec<Injected> {
        self.lock().injected.iter().skip(count).copied().collect()
    }

    /// A hash of every call and fault.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.lock().hash.value()
    }

    /// A panic of another holder is no reason to stop: no change of the state can end half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultPlan for Dice {
    fn decide(&self, call: &Call) -> Option<Fault> {
        let mut state = self.lock();
        state.calls += 1;
        state.ordinal += 1;
        let (step, ordinal) = (state.step, state.ordinal);
        state.hash.add(call.port as u64);
        state.hash.add_bytes(call.method.as_bytes());
        let Rates { fault, pause } = state.rates;
        if fault + pause == 0 {
            return None;
        }
        let mut rng = Rng::at(state.seed, step, ordinal);
        let drawn = rng.below(1000);
        let limit = |rate: u32| usize::try_from(rate).unwrap_or(0);
        // Reads are many and their faults are alike; what goes wrong at a write is what counts.
        let fault = if call.is_write { fault * 3 } else { fault.div_ceil(2) };
        let found = if drawn < limit(pause) {
            Fault::Pause
        } else if drawn < limit(pause + fault) {
            let fit: Vec<Fault> =
                Fault::ALL.into_iter().filter(|it| *it != Fault::Pause && it.applies_to(call)).collect();
            *rng.pick(&fit)?
        } else {
            return None;
        };
        if state.mask.faults.contains(&(step, ordinal)) {
            return None;
        }
        state.hash.add(found as u64);
        state.counts[found as usize] += 1;
        state.injected.push(Injected { step, ordinal, call: *call, fault: found });
        Some(found)
    }
}

/// A worker's clock: off by some time, and faster or slower than the true one.
#[derive(Debug, Clone)]
pub struct SkewedClock {
    truth: ManualClock,
    since: Timestamp,
    skew: Arc<Mutex<Skew>>,
    /// The latest time that it showed before it jumped back.
    shown: Arc<Mutex<Timestamp>>,
}

/// How wrong a clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skew {
    /// How far it is ahead, in seconds.
    pub offset: i64,
    /// How much it gains, in seconds an hour.
    pub rate: i64,
}

impl SkewedClock {
    /// A clock that is wrong by `skew`; it was set at `since`.
    #[must_use]
    pub fn new(truth: &ManualClock, since: Timestamp, skew: Skew) -> SkewedClock {
        let (skew, shown) = (Arc::new(Mutex::new(skew)), Arc::new(Mutex::new(since)));
        SkewedClock { truth: truth.clone(), since, skew, shown }
    }

    /// Sets the clock right.
    pub fn correct(&self) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Skew::default();
    }

    /// Makes the clock jump.
    pub fn jump(&self, seconds: i64) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = self.now().max(*shown);
        self.skew.lock().unwrap_or_else(PoisonError::into_inner).offset += seconds;
    }

    /// How far it is ahead of the true clock.
    #[must_use]
    pub fn ahead(&self) -> SignedDuration {
        let skew = *self.skew.lock().unwrap_or_else(PoisonError::into_inner);
        let hours = self.truth.now().duration_since(self.since).as_secs() / 3600;
        SignedDuration::from_secs(skew.offset.saturating_add(skew.rate.saturating_mul(hours)))
    }
}

impl SkewedClock {
    /// How far the latest time that it ever showed is ahead of the true clock.
    #[must_use]
    pub fn has_shown(&self) -> SignedDuration {
        let shown = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.now().max(shown).duration_since(self.truth.now())
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead();
        self.truth.now().checked_add(ahead).unwrap_or_else(|_| self.truth.now())
    }
}
