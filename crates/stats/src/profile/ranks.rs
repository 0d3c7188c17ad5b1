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
        let mut ends: Vec<(u64, u64)> = cells.iter().map(|it| (it.high().min(range.high), it.count)).collect();
        ends.sort_unstable();
        Ranks { rows: lows.sums.last().copied().unwrap_or(0), lows, highs: Steps::new(ends.into_iter()) }
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
    let sides = [&reference.lows, &reference.highs, &current.lows, &current.highs];
    let mut at = [0_usize; 4];
    let mut sums = [0_u64; 4];
    let (mut least, mut likely, mut most) = (0.0_f64, 0.0_f64, 0.0_f64);
    loop {
        let keys = [0, 1, 2, 3].map(|it| sides[it].key(at[it]));
        let next = keys[0].min(keys[1]).min(keys[2]).min(keys[3]);
        // No key of a finite value is the greatest.
        if next == u64::MAX {
            return (least, likely, most.max(least));
        }
        for (side, steps) in sides.iter().enumerate() {
            while steps.key(at[side]) <= next {
                sums[side] = steps.sums[at[side]];
                at[side] += 1;
            }
        }
        let [high, low, other_high, other_low] =
            [sums[0] as f64 / n, sums[1] as f64 / n, sums[2] as f64 / m, sums[3] as f64 / m];
        least = least.max(low - other_high).max(other_low - high);
        most = most.max(high - other_low).max(other_high - low);
        // Where a cell ends, its own function is known, and half of a cell of the other side is the best guess.
        if next == keys[1] || next == keys[3] {
            likely = likely.max(((high + low) / 2.0 - (other_high + other_low) / 2.0).abs());
        }
    }
}
