//! What a profile says about ranks: between which numbers of rows, and between which keys.

use super::cell::{Cell, Range};

/// Rows by key, summed up.
#[derive(Debug, Clone)]
struct Steps {
    keys: Vec<u64>,
    /// Rows up to and with the key of the same index.
    sums: Vec<u64>,
}

impl Steps {
    /// Of keys that do not fall.
    fn new(rows: impl Iterator<Item = (u64, u64)>) -> Steps {
        let mut sum = 0;
        let (keys, sums) = rows
            .map(|(key, count)| {
                sum += count;
                (key, sum)
            })
            .unzip();
        Steps { keys, sums }
    }

    fn at_most(&self, key: u64) -> u64 {
        let index = self.keys.partition_point(|it| *it <= key);
        if index == 0 { 0 } else { self.sums[index - 1] }
    }

    /// The key at which the sum passes `rank`.
    fn of_rank(&self, rank: u64) -> u64 {
        let index = self.sums.partition_point(|it| *it <= rank);
        self.keys.get(index).or(self.keys.last()).copied().unwrap_or(0)
    }

    fn key(&self, index: usize) -> u64 {
        self.keys.get(index).copied().unwrap_or(u64::MAX)
    }
}

/// Bounds of ranks. A row is counted as early as it can be in `lows`, and as late in `highs`.
#[derive(Debug, Clone)]
pub(super) struct Ranks {
    lows: Steps,
    highs: Steps,
    pub(super) rows: u64,
}

impl Ranks {
    pub(super) fn new(cells: &[Cell], range: Range) -> Ranks {
        let lows = Steps::new(cells.iter().map(|it| (it.low.max(range.low), it.count)));
        // Cells are nested or apart, so a cell ends when one begins that is not within it: no sorting.
        let mut ends = Vec::with_capacity(cells.len());
        let mut open: Vec<(u64, u64)> = Vec::new();
        for cell in cells {
            while let Some(inner) = open.pop_if(|it| it.0 < cell.low) {
                ends.push(inner);
            }
            open.push((cell.high(), cell.count));
        }
        ends.extend(open.into_iter().rev());
        let highs = Steps::new(ends.into_iter().map(|(high, count)| (high.min(range.high), count)));
        Ranks { rows: lows.sums.last().copied().unwrap_or(0), lows, highs }
    }

    /// Fewest and most rows whose key is at most this.
    pub(super) fn at_most(&self, key: u64) -> (u64, u64) {
        (self.highs.at_most(key), self.lows.at_most(key))
    }

    /// Least and greatest key that the row of this rank, counted from 0, can have.
    pub(super) fn of_rank(&self, rank: u64) -> (u64, u64) {
        (self.lows.of_rank(rank), self.highs.of_rank(rank))
    }
}

/// The largest difference of two distribution functions: at least, likely, at most.
///
/// All four bounding functions are steps that change at known keys only, so their suprema are found by visiting each of these.
pub(super) fn largest_gap(reference: &Ranks, current: &Ranks) -> (f64, f64, f64) {
    let (n, m) = (reference.rows as f64, current.rows as f64);
    let (n, m) = (1.0 / n, 1.0 / m);
    let (mut ours, mut theirs) = (Walk::new(reference), Walk::new(current));
    let (mut least, mut likely, mut most) = (0.0_f64, 0.0_f64, 0.0_f64);
    loop {
        let next = ours.next().min(theirs.next());
        // No key of a finite value is the greatest.
        if next == u64::MAX {
            return (least, likely, most.max(least));
        }
        let ends = ours.pass(next) | theirs.pass(next);
        let (low, high) = (ours.low as f64 * n, ours.high as f64 * n);
        let (other_low, other_high) = (theirs.low as f64 * m, theirs.high as f64 * m);
        least = least.max(low - other_high).max(other_low - high);
        most = most.max(high - other_low).max(other_high - low);
        // Where a cell ends, its own function is known, and half of a cell of the other side is the best guess.
        let middle = ((high + low) - (other_high + other_low)).abs() / 2.0;
        likely = likely.max(if ends { middle } else { 0.0 });
    }
}

/// The largest difference of two distribution functions of which each step is known, as all rows give it.
pub(super) fn exact_gap(reference: &Ranks, current: &Ranks) -> f64 {
    let (n, m) = (u128::from(reference.rows), u128::from(current.rows));
    let (mut ours, mut theirs) = (Walk::new(reference), Walk::new(current));
    let mut most = 0;
    loop {
        let next = ours.next().min(theirs.next());
        if next == u64::MAX {
            return most as f64 / (n as f64 * m as f64);
        }
        ours.pass(next);
        theirs.pass(next);
        most = most.max((u128::from(ours.high) * m).abs_diff(u128::from(theirs.high) * n));
    }
}

/// Where a walk over the bounds of one side is.
struct Walk<'a> {
    ranks: &'a Ranks,
    at_low: usize,
    at_high: usize,
    next_low: u64,
    next_high: u64,
    /// Fewest and most rows up to here.
    low: u64,
    high: u64,
}

impl<'a> Walk<'a> {
    fn new(ranks: &'a Ranks) -> Walk<'a> {
        let (next_low, next_high) = (ranks.lows.key(0), ranks.highs.key(0));
        Walk { ranks, at_low: 0, at_high: 0, next_low, next_high, low: 0, high: 0 }
    }

    fn next(&self) -> u64 {
        self.next_low.min(self.next_high)
    }

    /// Passes all steps up to a key; tells whether a cell ended there.
    fn pass(&mut self, key: u64) -> bool {
        while self.next_low <= key {
            self.high = self.ranks.lows.sums[self.at_low];
            self.at_low += 1;
            self.next_low = self.ranks.lows.key(self.at_low);
        }
        let ends = self.next_high <= key;
        while self.next_high <= key {
            self.low = self.ranks.highs.sums[self.at_high];
            self.at_high += 1;
            self.next_high = self.ranks.highs.key(self.at_high);
        }
        ends
    }
}
