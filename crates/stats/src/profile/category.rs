//! The profile of a categorical feature: the frequent categories with their counts, and what is known of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::codec::{MAX_FEATURE_BYTES, ProfileError, category_bytes, read_categories};

/// One byte each: the relative standard error of the number of categories is 1.04 / sqrt(1024), 3.3 %.
pub(super) const DISTINCT_REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 10;

/// Longer texts are left out of profiles: with these, hundreds fit.
const MAX_TEXT_BYTES: usize = 512;

/// Mergeable summary of a categorical column. As long as all categories fit into 8 KB, nothing is lost; then the rarest are left out, and scores say
/// what that may have changed.
///
/// ```
/// use refit_stats::profile::CategoryProfile;
/// let monday = CategoryProfile::of(&[Some("a"), None, Some("b"), Some("a")]);
/// let week = monday.merged(&CategoryProfile::of(&[Some("c")]));
/// assert_eq!((week.rows(), week.n_null, week.n_distinct(), week.count("a")), (5, 1, 3, (2, 2)));
/// assert_eq!(CategoryProfile::from_bytes(&week.to_bytes()), Ok(week));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CategoryProfile {
    /// Rows without a value.
    pub n_null: u64,
    /// The rows that were counted for each category that is kept; at least 1.
    pub(super) counts: BTreeMap<String, u64>,
    /// Rows that were left out.
    pub(super) left_out: u64,
    /// Of no category were more rows left out, be it kept or not; 0 only if no row was.
    pub(super) largest_left_out: u64,
    /// Estimates the number of categories; there once rows were left out.
    pub(super) distinct: Option<Distinct>,
}

impl CategoryProfile {
    /// The profile of these rows, whatever its size.
    pub fn of(rows: &[Option<&str>]) -> CategoryProfile {
        let mut profile = CategoryProfile::default();
        for row in rows {
            profile.add(*row, 1);
        }
        profile
    }

    /// Counts `n` more rows of one value, `None` being a missing one. The profile may grow beyond 8 KB until it is compacted.
    pub fn add(&mut self, value: Option<&str>, n: u64) {
        let Some(text) = value else {
            self.n_null += n;
            return;
        };
        if n == 0 {
            return;
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.add(text);
        }
        match self.counts.get_mut(text) {
            Some(count) => *count += n,
            None => drop(self.counts.insert(text.to_owned(), n)),
        }
    }

    /// Counts rows by text: the same as adding one text after another, and quicker for many texts.
    pub fn add_counts(&mut self, counts: HashMap<String, u64>) {
        let mut new = Vec::new();
        for (text, count) in counts.into_iter().filter(|it| 0 < it.1) {
            if let Some(distinct) = &mut self.distinct {
                distinct.add(&text);
            }
            match self.counts.get_mut(&text) {
                Some(sum) => *sum += count,
                None => new.push((text, count)),
            }
        }
        self.counts.append(&mut new.into_iter().collect());
    }

    /// How many rows were seen.
    pub fn rows(&self) -> u64 {
        self.present() + self.n_null
    }

    /// How many rows had a value.
    pub fn present(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.left_out
    }

    /// Whether every category and row is kept.
    pub fn is_exact(&self) -> bool {
        self.left_out == 0
    }

    /// How many rows were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The categories that are kept, with their counted rows, by code point.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(text, count)| (text.as_str(), *count))
    }

    /// Fewest and most rows that a category has, kept or not.
    pub fn count(&self, category: &str) -> (u64, u64) {
        let count = self.counts.get(category).copied().unwrap_or(0);
        (count, count + self.largest_left_out.min(self.left_out))
    }

    /// How many categories there were: exact as long as all are kept, then an estimate with a standard error of 3.3 %.
    pub fn n_distinct(&self) -> u64 {
        match &self.distinct {
            None => self.counts.len() as u64,
            Some(distinct) => distinct.estimate().max(self.counts.len() as u64),
        }
    }

    /// Both together. Nothing more is left out, so this is associative and commutative to a bit.
    #[must_use]
    pub fn merged(&self, other: &CategoryProfile) -> CategoryProfile {
        let mut merged = self.clone();
        merged.distinct = match (&self.distinct, &other.distinct) {
            (None, None) => None,
            (_, _) => Some(self.seen().merged(&other.seen())),
        };
        merged.n_null += other.n_null;
        merged.left_out += other.left_out;
        merged.largest_left_out += other.largest_left_out;
        for (text, count) in &other.counts {
            match merged.counts.get_mut(text) {
                Some(sum) => *sum += count,
                None => drop(merged.counts.insert(text.clone(), *count)),
            }
        }
        merged
    }

    /// The same with so few categories that its bytes fit into `bytes`: the most frequent, and of equally frequent ones the first by code point.
    #[must_use]
    pub fn compact(&self, bytes: usize) -> CategoryProfile {
        // Of the head, and what a text's length and count take besides it, at most.
        const HEAD_BYTES: usize = 48;
        const ENTRY_BYTES: usize = 9;
        // What an entry takes at least: each of a text's length and count is a byte or more.
        let least = self.counts.keys().map(|it| it.len() + 2).sum::<usize>();
        let is_short = |text: &str| text.len() <= MAX_TEXT_BYTES;
        if least <= bytes && self.counts.keys().all(|it| is_short(it)) && category_bytes(self).len() <= bytes {
            return self.clone();
        }
        let (mut by_count, mut dropped): (Vec<_>, Vec<_>) = self.counts.iter().partition(|it| is_short(it.0));
        // Stable, and they come by code point.
        by_count.sort_by_key(|it| Reverse(*it.1));
        let mut room = bytes.saturating_sub(HEAD_BYTES + DISTINCT_REGISTERS);
        let fits = |it: &(&String, &u64)| {
            let rest = room.checked_sub(it.0.len() + ENTRY_BYTES);
            room = rest.unwrap_or(0);
            rest.is_some()
        };
        let n_kept = by_count.iter().copied().take_while(fits).count();
        dropped.extend_from_slice(&by_count[n_kept..]);
        CategoryProfile {
            n_null: self.n_null,
            left_out: self.left_out + dropped.iter().map(|it| *it.1).sum::<u64>(),
            largest_left_out: self.largest_left_out + dropped.iter().map(|it| *it.1).max().unwrap_or(0),
            distinct: Some(self.seen()),
            counts: by_count[..n_kept].iter().map(|(text, count)| ((*text).clone(), **count)).collect(),
        }
    }

    /// The profile as at most 8,192 bytes, the same for the same profile; [`CategoryProfile::compact`] is applied first.
    pub fn to_bytes(&self) -> Vec<u8> {
        category_bytes(&self.compact(MAX_FEATURE_BYTES))
    }

    /// All categories that were ever seen.
    fn seen(&self) -> Distinct {
        self.distinct.clone().unwrap_or_else(|| Distinct::of(self.counts.keys()))
    }
}

/// The sum of many profiles: the same as merging them one after another, in time that grows with what is added and not with what is there.
///
/// ```
/// use refit_stats::profile::{CategoryProfile, CategorySum};
/// let (monday, tuesday) = (CategoryProfile::of(&[Some("a"), None]), CategoryProfile::of(&[Some("b")]));
/// let mut sum = CategorySum::default();
/// sum.add(&monday);
/// sum.add_bytes(&tuesday.to_bytes())?;
/// assert_eq!(sum.finish(), monday.merged(&tuesday));
/// # Ok::<(), refit_stats::profile::ProfileError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CategorySum {
    /// All but the counts.
    sum: CategoryProfile,
    /// In no order, which nothing depends on: they are put in order at the end.
    counts: HashMap<String, u64>,
}

impl CategorySum {
    /// Adds one more.
    pub fn add(&mut self, profile: &CategoryProfile) {
        profile.counts.iter().for_each(|(text, count)| self.add_count(text, *count));
        self.add_rest(profile);
    }

    /// Adds one more as [`CategoryProfile::to_bytes`] gave it, and builds none on the way.
    ///
    /// # Errors
    /// When the bytes are of another version or kind, or contradict themselves. Then, but for another kind, the sum has a part of them and is of no use.
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), ProfileError> {
        let rest = read_categories(bytes, |text, count| self.add_count(text, count))?;
        self.add_rest(&rest);
        Ok(())
    }

    /// Adds rows without a value.
    pub fn add_missing(&mut self, rows: u64) {
        self.sum.n_null += rows;
    }

    fn add_count(&mut self, text: &str, count: u64) {
        if let Some(distinct) = &mut self.sum.distinct {
            distinct.add(text);
        }
        match self.counts.get_mut(text) {
            Some(sum) => *sum += count,
            None => drop(self.counts.insert(text.to_owned(), count)),
        }
    }

    /// Adds all but the counts, after the counts.
    fn add_rest(&mut self, profile: &CategoryProfile) {
        self.sum.n_null += profile.n_null;
        self.sum.left_out += profile.left_out;
        self.sum.largest_left_out += profile.largest_left_out;
        if let Some(more) = &profile.distinct {
            let seen = self.sum.distinct.take().unwrap_or_else(|| Distinct::of(self.counts.keys()));
            self.sum.distinct = Some(seen.merged(more));
        }
    }

    /// The sum, not compacted.
    #[must_use]
    pub fn finish(self) -> CategoryProfile {
        CategoryProfile { counts: self.counts.into_iter().collect(), ..self.sum }
    }
}

/// The number of different texts, as HyperLogLog (Flajolet and others 2007). Merging takes the larger registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distinct {
    /// The longest run of leading zeros, plus one, among hashes of each first ten bits.
    registers: Vec<u8>,
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct { registers: vec![0; DISTINCT_REGISTERS] }
    }
}

impl Distinct {
    fn of<'a>(texts: impl Iterator<Item = &'a String>) -> Distinct {
        let mut seen = Distinct::default();
        texts.for_each(|it| seen.add(it));
        seen
    }

    pub(super) fn registers(&self) -> &[u8] {
        &self.registers
    }

    /// `None` unless each register can have come from a hash.
    pub(super) fn from_registers(registers: &[u8]) -> Option<Distinct> {
        let most = (u64::BITS - REGISTER_BITS + 1) as u8;
        let is_sound = registers.len() == DISTINCT_REGISTERS && registers.iter().all(|it| *it <= most);
        is_sound.then(|| Distinct { registers: registers.to_vec() })
    }

    fn add(&mut self, text: &str) {
        let hash = hash(text.as_bytes());
        let index = (hash >> (u64::BITS - REGISTER_BITS)) as usize;
        let run = (hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1)).leading_zeros() as u8 + 1;
        self.registers[index] = self.registers[index].max(run);
    }

    fn merged(&self, other: &Distinct) -> Distinct {
        Distinct { registers: self.registers.iter().zip(&other.registers).map(|(a, b)| *a.max(b)).collect() }
    }

    fn estimate(&self) -> u64 {
        let n = DISTINCT_REGISTERS as f64;
        // The published constant for 128 registers and more.
        let alpha = 0.7213 / (1.0 + 1.079 / n);
        let sum: f64 = self.registers.iter().map(|it| 0.5_f64.powi(i32::from(*it))).sum();
        let raw = alpha * n * n / sum;
        let empty = self.registers.iter().filter(|it| **it == 0).count() as f64;
        // Linear counting while registers are empty, as published; 64-bit hashes need no correction at the other end.
        let estimate = if raw <= 2.5 * n && 0.0 < empty { n * (n / empty).ln() } else { raw };
        estimate.round() as u64
    }
}

/// FNV-1a, finished like MurmurHash3 so that all bits depend on all others. Not for input that somebody chose to collide; then the estimated number of
/// categories is wrong, and nothing else.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, it| (hash ^ u64::from(*it)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
