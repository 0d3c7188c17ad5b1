//! The drift detection method for errors that are 0 or 1.

use serde::{Deserialize, Serialize};

/// The drift detection method (Gama et al. 2004, <https://doi.org/10.1007/978-3-540-28645-5_29>) for errors that are 0 or 1,
/// as NUMERICS P defines it.
///
/// ```
/// use refit_stats::sequential::Ddm;
///
/// let mut detector = Ddm::new(30, 3.0);
/// assert!((0..200).all(|row| !detector.add(row % 10 == 0)));
/// assert!((0..50).any(|_| detector.add(true)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ddm {
    warm: u64,
    level: f64,
    count: u64,
    rate: f64,
    /// The rate and its deviation where their sum was least; `None` before the first after the warm-up.
    least: Option<(f64, f64)>,
}

impl Ddm {
    /// A detector that says nothing in the first `warm` values, and alarms when the error rate is `level` standard
    /// deviations above its best.
    #[must_use]
    pub fn new(warm: u64, level: f64) -> Ddm {
        Ddm { warm, level, count: 0, rate: 1.0, least: None }
    }

    /// Takes the next row: whether it was predicted wrongly. `true` is an alarm.
    pub fn add(&mut self, is_error: bool) -> bool {
        self.count += 1;
        let n = self.count as f64;
        self.rate += (f64::from(u8::from(is_error)) - self.rate) / n;
        let deviation = (self.rate * (1.0 - self.rate) / n).max(0.0).sqrt();
        if self.count < self.warm {
            return false;
        }
        let (rate, least_deviation) = match self.least {
            Some(least) if least.0 + least.1 < self.rate + deviation => least,
            Some(_) | None => *self.least.insert((self.rate, deviation)),
        };
        let is_alarm = rate + self.level * least_deviation < self.rate + deviation;
        if is_alarm {
            *self = Ddm::new(self.warm, self.level);
        }
        is_alarm
    }
}
