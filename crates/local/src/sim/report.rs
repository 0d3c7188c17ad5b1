//! What came of schedules.

use super::checks::Violation;
use super::dice::{Injected, KINDS};
use super::settle::Bounds;
use crate::memory::faults::Fault;

/// Figures of schedules; those of several add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many schedules.
    pub schedules: u64,
    /// Calls of ports.
    pub calls: u64,
    /// Those of them before faults stopped.
    pub calls_with_faults: u64,
    /// Transactions that the table accepted.
    pub transactions: u64,
    /// Faults at calls, in the order of [`Fault::ALL`].
    pub faults: [u64; KINDS],
    /// Events that the bus delivered twice.
    pub duplicated: u64,
    /// Events that were lost.
    pub lost: u64,
    /// Events that were not delivered in order.
    pub reordered: u64,
    /// How long it took to come to rest, at most.
    pub bounds: Bounds,
    /// The most calls that one function made at once.
    pub most_calls: u64,
    /// From a damaged table: after how many sweeps everything was at rest or parked, at most.
    pub sweeps_to_rest: u32,
    /// In how many of them people were told of a model that cannot be looked at.
    pub parked: u64,
}

impl Stats {
    /// Adds those of other schedules.
    pub fn add(&mut self, other: &Stats) {
        self.schedules += other.schedules;
        self.calls += other.calls;
        self.calls_with_faults += other.calls_with_faults;
        self.transactions += other.transactions;
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
        self.duplicated += other.duplicated;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.bounds = self.bounds.max(other.bounds);
        self.most_calls = self.most_calls.max(other.most_calls);
        self.sweeps_to_rest = self.sweeps_to_rest.max(other.sweeps_to_rest);
        self.parked += other.parked;
    }

    /// All faults, those of the bus included.
    #[must_use]
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().sum::<u64>() + self.duplicated + self.lost + self.reordered
    }

    /// Each kind of fault with its count.
    #[must_use]
    pub fn by_kind(&self) -> Vec<(String, u64)> {
        let at_calls = Fault::ALL.iter().zip(self.faults).map(|(fault, count)| (format!("{fault:?}"), count));
        let of_bus = [("Dup", self.duplicated), ("Drop", self.lost), ("Reorder", self.reordered)];
        at_calls.chain(of_bus.map(|(name, count)| (name.to_owned(), count))).collect()
    }
}

/// How a schedule ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its seed.
    pub seed: u64,
    /// The invariant that was broken, if one was.
    pub violation: Option<Violation>,
    /// Figures.
    pub stats: Stats,
    /// A hash of all that happened.
    pub hash: u64,
    /// How many steps there were.
    pub steps: u64,
    /// The faults that happened.
    pub injected: Vec<Injected>,
    /// What happened, when it was to be written down.
    pub trace: Vec<String>,
}
