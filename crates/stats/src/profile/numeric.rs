//! The profile of a numeric feature, and how it is built in one pass.

use super::cell::{Cell, Range, compact, merge};
use super::cell_sum::CellSum;
use super::codec::{MAX_FEATURE_BYTES, OpenedProfile, ProfileError, numeric_bytes};
use super::moments::Moments;
use super::trie::Trie;
use crate::key::{key_of, value_of};

/// Cells that a profile starts out with; fewer are kept when their bytes do not fit.
const MOST_CELLS: usize = 1350;

/// Different values that are counted exactly before the trie takes over: ages, counts, grades and hours stay exact.
const MOST_DISTINCT: usize = 4096;
/// Slots that the table of different values begins with: a profile of few rows costs little. A power of two, at most half of them in use.
const FIRST_SLOTS: usize = 64;

/// A share of the rows that makes a value frequent when the table overflows.
const FREQUENT: u64 = 8;

/// Mergeable summary of a numeric column.
///
/// Counts and cells are exact sums, so merging is associative and commutative to a bit in them; mean and standard deviation are so to within
/// rounding.
///
/// ```
/// use refit_stats::profile::{NumericProfile, compare_numeric};
/// let of = |range: std::ops::Range<i32>| {
///     NumericProfile::of(&range.map(f64::from).map(Some).collect::<Vec<_>>())
/// };
/// let (monday, tuesday) = (of(0..5000), of(5000..10_000));
/// let baseline = monday.merged(&tuesday);
/// assert_eq!((baseline.rows(), baseline.mean()), (10_000, Some(4999.5)));
/// let scores = compare_numeric(&baseline, &tuesday).expect("values");
/// assert!((scores.ks.value - 0.5).abs() <= scores.ks.error_bound);
/// assert!(baseline.to_bytes().len() <= 8192);
/// assert_eq!(NumericProfile::from_bytes(&baseline.to_bytes())?.rows(), 10_000);
/// # Ok::<(), refit_stats::profile::ProfileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumericProfile {
    /// Rows without a value.
    pub n_null: u64,
    /// Rows holding NaN.
    pub n_nan: u64,
    /// Rows holding an infinity of either sign.
    pub n_infinite: u64,
    pub(super) moments: Moments,
    /// In order of `(low, level)` without repetition; their counts sum up to those of the moments.
    pub(super) cells: Vec<Cell>,
}

impl NumericProfile {
    /// The profile of these rows.
    pub fn of(rows: &[Option<f64>]) -> NumericProfile {
        let mut builder = NumericBuilder::new();
        let values: Vec<f64> = rows.iter().flatten().copied().collect();
        builder.add_missing((rows.len() - values.len()) as u64);
        builder.add(&values);
        builder.finish()
    }

    /// How many rows were seen.
    pub fn rows(&self) -> u64 {
        self.moments.n + self.n_null + self.n_nan + self.n_infinite
    }

    /// How many finite values were seen.
    pub fn finite(&self) -> u64 {
        self.moments.n
    }

    /// The smallest finite value.
    pub fn min(&self) -> Option<f64> {
        (0 < self.moments.n).then_some(self.moments.min)
    }

    /// The largest finite value.
    pub fn max(&self) -> Option<f64> {
        (0 < self.moments.n).then_some(self.moments.max)
    }

    /// The mean of the finite values.
    pub fn mean(&self) -> Option<f64> {
        (0 < self.moments.n).then_some(self.moments.mean)
    }

    /// The population standard deviation of the finite values; `None` without any, or where squares pass the range of doubles.
    pub fn std(&self) -> Option<f64> {
        self.moments.std()
    }

    /// The most that a rank of this profile can be wrong by, as a share of the finite values: the most rows in cells that share a place.
    pub fn rank_error(&self) -> f64 {
        let (mut most, mut open, mut rows) = (0, Vec::<Cell>::new(), 0);
        for cell in self.cells.iter().filter(|it| it.level < 64) {
            while let Some(outer) = open.pop_if(|it| it.high() < cell.low) {
                rows -= outer.count;
            }
            open.push(*cell);
            rows += cell.count;
            most = most.max(rows);
        }
        most as f64 / self.moments.n.max(1) as f64
    }

    /// Whether each finite value is kept: then scores are those of all rows.
    pub fn is_exact(&self) -> bool {
        self.cells.iter().all(|it| it.level == 64)
    }

    /// How many cells it has.
    pub fn n_cells(&self) -> usize {
        self.cells.len()
    }

    /// Both together. Nothing is rounded, and the cells of both are kept.
    #[must_use]
    pub fn merged(&self, other: &NumericProfile) -> NumericProfile {
        NumericProfile {
            n_null: self.n_null + other.n_null,
            n_nan: self.n_nan + other.n_nan,
            n_infinite: self.n_infinite + other.n_infinite,
            moments: self.moments.merged(&other.moments),
            cells: merge(&self.cells, &other.cells),
        }
    }

    /// The same with so few cells that its bytes fit into `bytes`; what that loses is in the bounds of scores.
    #[must_use]
    pub fn compact(&self, bytes: usize) -> NumericProfile {
        let mut n_cells = MOST_CELLS;
        loop {
            let cells = match self.range() {
                Some(range) => compact(&self.cells, range, n_cells),
                None => Vec::new(),
            };
            let compacted = NumericProfile { cells: cells.iter().map(Cell::rounded).collect(), ..self.clone() };
            let length = numeric_bytes(&compacted).len();
            if length <= bytes || cells.len() <= 1 {
                return compacted;
            }
            // From what a cell took; a few less, since those that are left take more.
            n_cells = (cells.len() * bytes / length * 31 / 32).clamp(1, cells.len() - 1);
        }
    }

    /// The profile as at most 8,192 bytes, the same for the same profile; [`NumericProfile::compact`] is applied first.
    pub fn to_bytes(&self) -> Vec<u8> {
        numeric_bytes(&self.compact(MAX_FEATURE_BYTES))
    }

    pub(super) fn range(&self) -> Option<Range> {
        (0 < self.moments.n).then(|| Range { low: key_of(self.moments.min), high: key_of(self.moments.max) })
    }
}

/// The sum of many profiles: the same as merging them one after another, in time that does not grow with the sum.
#[derive(Debug, Clone, Default)]
pub struct NumericSum {
    /// All but the cells.
    sum: NumericProfile,
    cells: CellSum,
}

impl NumericSum {
    /// Adds one more.
    pub fn add(&mut self, profile: &NumericProfile) {
        profile.cells.iter().for_each(|it| self.cells.add(*it));
        self.add_counts(profile);
    }

    /// Adds one more as [`NumericProfile::to_bytes`] gave it, and builds none on the way.
    ///
    /// # Errors
    /// When the bytes are of another version or kind, or contradict themselves. Then, but for another kind, the sum has a part of them and is of no use.
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), ProfileError> {
        let counts = OpenedProfile::open(bytes)?.read(|it| self.cells.add(it))?;
        self.add_counts(&counts);
        Ok(())
    }

    /// Adds rows without a value.
    pub fn add_missing(&mut self, rows: u64) {
        self.sum.n_null += rows;
    }

    /// Adds all but the cells.
    fn add_counts(&mut self, profile: &NumericProfile) {
        self.sum.n_null += profile.n_null;
        self.sum.n_nan += profile.n_nan;
        self.sum.n_infinite += profile.n_infinite;
        self.sum.moments = self.sum.moments.merged(&profile.moments);
    }

    /// The sum, not compacted; this one is empty then, and keeps its room for the next.
    pub fn take(&mut self) -> NumericProfile {
        NumericProfile { cells: self.cells.take(), ..std::mem::take(&mut self.sum) }
    }
}

/// Builds a [`NumericProfile`] in one pass, with memory that does not grow with the rows.
#[derive(Default)]
pub struct NumericBuilder {
    profile_counts: [u64; 3],
    moments: Moments,
    distinct: Distinct,
    /// Once there are too many different values; the table keeps what it has.
    trie: Option<Trie>,
}

impl NumericBuilder {
    /// A builder that has seen nothing.
    pub fn new() -> NumericBuilder {
        NumericBuilder::default()
    }

    /// Counts rows without a value.
    pub fn add_missing(&mut self, n: u64) {
        self.profile_counts[0] += n;
    }

    /// Takes the values of rows, non-finite ones among them.
    pub fn add(&mut self, values: &[f64]) {
        if values.iter().fold(true, |all, it| all & it.is_finite()) {
            return self.add_finite(values);
        }
        let finite: Vec<f64> = values.iter().copied().filter(|it| it.is_finite()).collect();
        let n_nan = values.iter().filter(|it| it.is_nan()).count();
        self.profile_counts[1] += n_nan as u64;
        self.profile_counts[2] += (values.len() - n_nan - finite.len()) as u64;
        self.add_finite(&finite);
    }

    fn add_finite(&mut self, values: &[f64]) {
        // Few enough that they are still in the cache when they are looked at again.
        const BLOCK: usize = 4096;
        for block in values.chunks(BLOCK) {
            self.moments.add(block);
            let mut rest = block;
            if self.trie.is_none() {
                rest = self.distinct.add(block);
                if !rest.is_empty() {
                    self.trie = Some(Trie::new(self.distinct.frequent(), self.moments.n - rest.len() as u64));
                }
            }
            if let Some(trie) = &mut self.trie {
                trie.add(rest);
            }
        }
    }

    /// The profile, compacted to [`super::MAX_FEATURE_BYTES`].
    pub fn finish(self) -> NumericProfile {
        let mut points = self.distinct.rows();
        let mut cells = Vec::new();
        if let Some(trie) = &self.trie {
            let (found, more) = trie.finish();
            cells = found;
            points.extend(more);
        }
        points.sort_unstable();
        let mut merged: Vec<Cell> = Vec::with_capacity(points.len());
        for (key, count) in points {
            match merged.last_mut() {
                Some(last) if last.low == key => last.count += count,
                Some(_) | None => merged.push(Cell::somewhere(key, 64, count)),
            }
        }
        let [n_null, n_nan, n_infinite] = self.profile_counts;
        let cells = merge(&cells, &merged);
        NumericProfile { n_null, n_nan, n_infinite, moments: self.moments, cells }.compact(MAX_FEATURE_BYTES)
    }
}

/// Rows by value while the values are few: a table of keys with open addressing.
struct Distinct {
    /// A key and its rows; no finite value has key 0.
    slots: Vec<(u64, u64)>,
    n_used: usize,
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct { slots: vec![(0, 0); FIRST_SLOTS], n_used: 0 }
    }
}

impl Distinct {
    /// Counts values; returns those from the first one on for which there is no room.
    fn add<'a>(&mut self, values: &'a [f64]) -> &'a [f64] {
        for (at, value) in values.iter().enumerate() {
            let key = key_of(*value);
            let mut slot = self.find(key);
            if self.slots[slot].0 == 0 {
                if self.n_used == MOST_DISTINCT {
                    return &values[at..];
                }
                if self.slots.len() < 2 * (self.n_used + 1) {
                    self.grow();
                    slot = self.find(key);
                }
                self.n_used += 1;
                self.slots[slot].0 = key;
            }
            self.slots[slot].1 += 1;
        }
        &[]
    }

    /// The slot of a key, or the empty one where it belongs.
    #[inline]
    fn find(&self, key: u64) -> usize {
        // Knuth's multiplier: the golden ratio in 64 bits, which spreads keys that differ in few bits.
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let mask = self.slots.len() - 1;
        let mut slot = (key.wrapping_mul(MULTIPLIER) >> (u64::BITS - self.slots.len().trailing_zeros())) as usize;
        while self.slots[slot].0 != key && self.slots[slot].0 != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![(0, 0); self.slots.len() * 4];
        for (key, rows) in std::mem::replace(&mut self.slots, larger) {
            if key != 0 {
                let slot = self.find(key);
                self.slots[slot] = (key, rows);
            }
        }
    }

    fn rows(&self) -> Vec<(u64, u64)> {
        self.slots.iter().copied().filter(|it| 0 < it.1).collect()
    }

    /// The most frequent value, if a good part of the rows has it.
    fn frequent(&self) -> Option<u64> {
        let total: u64 = self.slots.iter().map(|it| it.1).sum();
        let most = self.slots.iter().max_by_key(|it| (it.1, it.0));
        most.filter(|it| total / FREQUENT < it.1).map(|it| it.0)
    }
}

/// A value near the middle of a cell's rows, for drawing.
pub(super) fn center_value(cell: &Cell, range: Range) -> f64 {
    value_of(cell.center().clamp(range.low, range.high))
}
