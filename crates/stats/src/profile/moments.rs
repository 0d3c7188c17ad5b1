//! Count, range, mean and sum of squared deviations, in one pass and mergeable.

/// Values whose moments are taken together, in two passes: they stay in the first-level cache.
const BLOCK: usize = 2048;
/// Sums side by side, so that additions need not wait for each other.
const LANES: usize = 8;

/// Of finite values. Without values, everything is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moments {
    pub(super) n: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    /// What the mean lacks below its last bit: with large offsets, that matters for deviations.
    pub(super) mean_rest: f64,
    /// Sum of squared deviations from the mean; infinite when values are beyond some 1e150.
    pub(super) squares: f64,
}

impl Moments {
    /// Adds values, all finite.
    pub(super) fn add(&mut self, values: &[f64]) {
        for block in values.chunks(BLOCK) {
            *self = self.merged(&Moments::of(block));
        }
    }

    fn of(block: &[f64]) -> Moments {
        let n = block.len() as f64;
        let sum = sum_by(block, |it| it);
        // Only sums of values near the largest double are infinite.
        let mean = if sum.is_finite() { sum / n } else { sum_by(block, |it| it / n) };
        let rest = sum_by(block, |it| it - mean) / n;
        let squares = sum_by(block, |it| (it - mean) * (it - mean)) - rest * rest * n;
        let (min, max) = extremes(block);
        let mean_rest = if rest.is_finite() { rest } else { 0.0 };
        // Not a number where values are near the largest double; never negative but for rounding.
        let squares = if squares.is_nan() { f64::INFINITY } else { squares.max(0.0) };
        Moments { n: block.len() as u64, min, max, mean, mean_rest, squares }
    }

    /// The moments of both together (Chan, Golub and LeVeque 1979).
    pub(super) fn merged(&self, other: &Moments) -> Moments {
        if self.n == 0 {
            return *other;
        }
        if other.n == 0 {
            return *self;
        }
        let (n, m) = (self.n as f64, other.n as f64);
        let share = m / (n + m);
        let between = (other.mean - self.mean) + (other.mean_rest - self.mean_rest);
        // Both terms of the mean are finite where the difference may not be.
        let (mean, mean_rest) = if between.is_finite() {
            let step = self.mean_rest + between * share;
            let mean = self.mean + step;
            (mean, step - (mean - self.mean))
        } else {
            (self.mean * (1.0 - share) + other.mean * share, 0.0)
        };
        Moments {
            n: self.n + other.n,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean,
            mean_rest,
            squares: self.squares + other.squares + between * between * (n * share),
        }
    }

    /// The population standard deviation: 0 for a constant, `None` where it is not finite.
    pub(super) fn std(&self) -> Option<f64> {
        if self.min == self.max {
            return (0 < self.n).then_some(0.0);
        }
        Some((self.squares / self.n as f64).sqrt()).filter(|it| it.is_finite())
    }
}

fn sum_by(block: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (lanes, rest) = block.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        for (sum, value) in sums.iter_mut().zip(lane) {
            *sum += term(*value);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, it| sum + term(*it))
}

fn extremes(block: &[f64]) -> (f64, f64) {
    let (lanes, rest) = block.as_chunks::<LANES>();
    let mut low = [f64::INFINITY; LANES];
    let mut high = [f64::NEG_INFINITY; LANES];
    for lane in lanes {
        for (at, value) in lane.iter().enumerate() {
            low[at] = if *value < low[at] { *value } else { low[at] };
            high[at] = if high[at] < *value { *value } else { high[at] };
        }
    }
    let min = low.iter().chain(rest).fold(f64::INFINITY, |a, b| a.min(*b));
    // Adding zero makes a negative zero positive.
    (min + 0.0, high.iter().chain(rest).fold(f64::NEG_INFINITY, |a, b| a.max(*b)) + 0.0)
}
