//! The Page-Hinkley test for an increase of the mean.

use serde::{Deserialize, Serialize};

/// The Page-Hinkley test for an increase of the mean (Page 1954, <https://doi.org/10.2307/2333009>), as NUMERICS P defines it.
///
/// ```
/// use refit_stats::sequential::PageHinkley;
///
/// let mut detector = PageHinkley::new(0.005, 5.0, 30);
/// assert!((0..100).all(|_| !detector.add(1.0)));
/// assert!((0..10).any(|_| detector.add(3.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageHinkley {
    delta: f64,
    threshold: f64,
    min_instances: u64,
    count: u64,
    mean: f64,
    sum: f64,
    least: f64,
}

impl PageHinkley {
    /// A detector that tolerates an excess of `delta` a value over the running mean, and alarms when the excess added up
    /// since its lowest point exceeds `threshold`, from `min_instances` values on.
    #[must_use]
    pub fn new(delta: f64, threshold: f64, min_instances: u64) -> PageHinkley {
        PageHinkley { delta, threshold, min_instances, count: 0, mean: 0.0, sum: 0.0, least: 0.0 }
    }

    /// Takes the next value; `true` is an alarm.
    pub fn add(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
        self.sum += value - self.mean - self.delta;
        self.least = self.least.min(self.sum);
        let is_alarm = self.min_instances <= self.count && self.threshold < self.sum - self.least;
        if is_alarm {
            *self = PageHinkley::new(self.delta, self.threshold, self.min_instances);
        }
        is_alarm
    }
}
