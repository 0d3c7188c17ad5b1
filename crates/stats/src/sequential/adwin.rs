//! ADWIN: a window over a stream that shrinks when its parts differ.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Most buckets of one size before two of them become one of twice the size (the paper's M).
const MAX_BUCKETS: usize = 5;
/// The window is looked at after so many values: a cut is found at most this much later, at a fraction of the work.
const CLOCK: u64 = 32;
/// Parts shorter than this are not compared.
const MIN_PART: u64 = 5;

/// Adaptive windowing (Bifet and Gavaldà 2007, ADWIN2, <https://doi.org/10.1137/1.9781611972771.42>) over values in [0, 1].
///
/// The window is cut wherever the means of its older and newer part differ by more than chance explains at confidence
/// `delta`. Only an increase of the mean is an alarm; a decrease cuts the window silently. Values outside [0, 1] are clamped.
///
/// ```
/// use refit_stats::sequential::Adwin;
///
/// let mut detector = Adwin::new(0.002);
/// assert!((0..500).all(|_| !detector.add(0.2)));
/// assert!((0..500).any(|_| detector.add(0.8)));
/// assert!(detector.mean().is_some_and(|it| 0.5 < it));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adwin {
    delta: f64,
    /// How many values were ever added.
    added: u64,
    /// Buckets by size, newest row of size 1 first; each row oldest bucket first.
    rows: Vec<VecDeque<Bucket>>,
}

/// Some neighbors of the stream: as many as the row says, with their sum and the sum of squared deviations from their mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    sum: f64,
    deviation: f64,
}

/// A stretch of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    count: u64,
    sum: f64,
    deviation: f64,
}

impl Part {
    fn mean(self) -> f64 {
        self.sum / (self.count.max(1) as f64)
    }

    /// Both parts as one (Chan, Golub and LeVeque 1983).
    fn join(self, other: Part) -> Part {
        let count = self.count + other.count;
        let between = if self.count == 0 || other.count == 0 {
            0.0
        } else {
            let difference = self.mean() - other.mean();
            difference * difference * (self.count as f64) * (other.count as f64) / (count as f64)
        };
        Part { count, sum: self.sum + other.sum, deviation: self.deviation + other.deviation + between }
    }
}

impl Adwin {
    /// A detector that cuts a window without change with probability at most `delta`; the paper's example is 0.002.
    #[must_use]
    pub fn new(delta: f64) -> Adwin {
        Adwin { delta, added: 0, rows: Vec::new() }
    }

    /// How many values the window holds.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.total().count
    }

    /// The window's mean; `None` when it is empty.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let total = self.total();
        (0 < total.count).then(|| total.mean())
    }

    /// Takes the next value; `true` is an alarm: the newer values are larger.
    pub fn add(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.insert(Bucket { sum: value.clamp(0.0, 1.0), deviation: 0.0 });
        self.added += 1;
        self.added.is_multiple_of(CLOCK) && self.shrink()
    }

    fn part(row: usize, bucket: Bucket) -> Part {
        Part { count: 1 << row.min(62), sum: bucket.sum, deviation: bucket.deviation }
    }

    /// The buckets, oldest first.
    fn parts(&self) -> impl Iterator<Item = Part> {
        self.rows.iter().enumerate().rev().flat_map(|(row, it)| it.iter().map(move |bucket| Self::part(row, *bucket)))
    }

    fn total(&self) -> Part {
        self.parts().fold(Part::default(), Part::join)
    }

    fn insert(&mut self, bucket: Bucket) {
        let mut carry = Some(bucket);
        let mut row = 0;
        while let Some(bucket) = carry {
            if self.rows.len() <= row {
                self.rows.push(VecDeque::new());
            }
            let buckets = &mut self.rows[row];
            buckets.push_back(bucket);
            carry = None;
            if MAX_BUCKETS < buckets.len() {
                let oldest = buckets.pop_front().zip(buckets.pop_front());
                carry = oldest.map(|(a, b)| {
                    let joined = Self::part(row, a).join(Self::part(row, b));
                    Bucket { sum: joined.sum, deviation: joined.deviation }
                });
            }
            row += 1;
        }
    }

    /// Drops the oldest bucket as long as some cut separates two means; whether one of the cuts was an increase.
    fn shrink(&mut self) -> bool {
        let mut is_increase = false;
        while let Some(increases) = self.find_cut() {
            is_increase |= increases;
            self.drop_oldest();
        }
        is_increase
    }

    /// The first cut, from the oldest on, whose parts differ; whether the newer mean is larger.
    fn find_cut(&self) -> Option<bool> {
        let total = self.total();
        let width = total.count as f64;
        let variance = total.deviation / width.max(1.0);
        let mut older = Part::default();
        for part in self.parts() {
            older = older.join(part);
            let newer = Part { count: total.count - older.count, sum: total.sum - older.sum, deviation: 0.0 };
            if older.count < MIN_PART || newer.count < MIN_PART {
                continue;
            }
            let harmonic = 1.0 / (1.0 / older.count as f64 + 1.0 / newer.count as f64);
            // Each of the window's cuts has its share of delta (theorem 3.1 of the paper, with its normal approximation).
            let confidence = (2.0 * width.ln().max(f64::MIN_POSITIVE) / self.delta).ln();
            let bound = (2.0 * variance * confidence / harmonic).sqrt() + 2.0 * confidence / (3.0 * harmonic);
            let difference = newer.mean() - older.mean();
            if bound < difference.abs() {
                return Some(0.0 < difference);
            }
        }
        None
    }

    fn drop_oldest(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.pop_front();
        }
        while self.rows.last().is_some_and(VecDeque::is_empty) {
            self.rows.pop();
        }
    }
}
