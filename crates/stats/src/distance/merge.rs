//! The Kolmogorov-Smirnov statistic and the Wasserstein distance in one pass over two sorted samples.

use super::Sample;
use super::ks::wasserstein1;
use crate::sum::pairwise;

/// Steps whose areas are added one after another before the sums are added pairwise.
const BLOCK: usize = 256;

/// Returns [`super::ks_statistic`] and [`super::wasserstein1`], the latter to within rounding, at the cost of one of them.
///
/// ```
/// use refit_stats::distance::{Sample, ks_and_wasserstein1};
/// let of = |values: &[f64]| Sample::from_finite(values.to_vec()).expect("finite");
/// assert_eq!(ks_and_wasserstein1(&of(&[1.0, 2.0]), &of(&[2.0, 2.0, 3.0, 3.0])), (0.5, 1.0));
/// ```
pub fn ks_and_wasserstein1(reference: &Sample, current: &Sample) -> (f64, f64) {
    let mut walk = Walk::new(reference, current);
    while walk.block() {}
    let span = reference.max().max(current.max()) - reference.min().min(current.min());
    let area = if span.is_finite() { pairwise(&walk.areas) } else { wasserstein1(reference, current) };
    (walk.most as f64 / (walk.n as f64 * walk.m as f64), area)
}

/// Where the walk over both samples is. Each step passes one value of either side, or of both where they tie.
///
/// There is no branch on which side is smaller: on mixed samples a processor would guess wrong half of the time.
struct Walk<'a> {
    reference: &'a [f64],
    current: &'a [f64],
    i: usize,
    j: usize,
    n: i64,
    m: i64,
    /// `i m - j n`: the gap of the distribution functions times both sizes, so that it is exact.
    gap: i64,
    /// The largest gap before a step to a larger value.
    most: i64,
    /// The value passed last.
    at: f64,
    /// By block of steps.
    areas: Vec<f64>,
}

impl<'a> Walk<'a> {
    fn new(reference: &'a Sample, current: &'a Sample) -> Walk<'a> {
        let (reference, current) = (reference.values(), current.values());
        // Products of lengths fit: memory ends before 2^31 doubles a side.
        let (n, m) = (reference.len() as i64, current.len() as i64);
        let at = if reference[0] < current[0] { reference[0] } else { current[0] };
        let areas = Vec::with_capacity((reference.len() + current.len()) / BLOCK + 2);
        Walk { reference, current, i: 0, j: 0, n, m, gap: 0, most: 0, at, areas }
    }

    /// Takes some steps; `false` when there are none left.
    fn block(&mut self) -> bool {
        let (mut i, mut j, mut gap, mut most, mut at) = (self.i, self.j, self.gap, self.most, self.at);
        let unit = 1.0 / (self.n as f64 * self.m as f64);
        let mut area = 0.0;
        let mut left = BLOCK;
        while let (Some(&a), Some(&b)) = (self.reference.get(i), self.current.get(j)) {
            let next = if a < b { a } else { b };
            let size = gap.abs();
            area += size as f64 * unit * (next - at);
            let counted = if at < next { size } else { 0 };
            most = most.max(counted);
            at = next;
            let (from_reference, from_current) = (i64::from(a <= b), i64::from(b <= a));
            i += from_reference as usize;
            j += from_current as usize;
            gap += from_reference * self.m - from_current * self.n;
            left -= 1;
            if left == 0 {
                break;
            }
        }
        let is_within = i < self.reference.len() && j < self.current.len();
        if !is_within && 0 < left {
            // One side is used up: its distribution function is 1, and the gap only falls.
            let (rest, step) =
                if i < self.reference.len() { (&self.reference[i..], self.m) } else { (&self.current[j..], -self.n) };
            for &next in rest {
                area += gap.abs() as f64 * unit * (next - at);
                most = most.max(if at < next { gap.abs() } else { 0 });
                at = next;
                gap += step;
            }
        }
        self.areas.push(area);
        (self.i, self.j, self.gap, self.most, self.at) = (i, j, gap, most, at);
        is_within || left == 0
    }
}
