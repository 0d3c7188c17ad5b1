//! Pairwise summation, in exactly the blocks that numpy uses.
//!
//! The error grows with the logarithm of the length rather than the length, and figures that depend on the last bit of a
//! mean (the spread of nearly equal doubles) agree with `numpy.mean` and `numpy.std`.

/// Length up to which eight running sums are used; numpy's `PW_BLOCKSIZE`.
const BLOCK: usize = 128;

/// Returns the pairwise sum of `term(0) + ... + term(len - 1)`.
pub(crate) fn pairwise_by(len: usize, term: &impl Fn(usize) -> f64) -> f64 {
    range(0, len, term)
}

/// Returns the pairwise sum of the values.
pub(crate) fn pairwise(values: &[f64]) -> f64 {
    pairwise_by(values.len(), &|at| values[at])
}

fn range(start: usize, len: usize, term: &impl Fn(usize) -> f64) -> f64 {
    if len < 8 {
        return (start..start + len).fold(0.0, |sum, at| sum + term(at));
    }
    if BLOCK < len {
        let half = len / 2;
        let half = half - half % 8;
        return range(start, half, term) + range(start + half, len - half, term);
    }
    let mut lanes = [0.0; 8];
    for (offset, lane) in lanes.iter_mut().enumerate() {
        *lane = term(start + offset);
    }
    let whole = len - len % 8;
    for block in (8..whole).step_by(8) {
        for (offset, lane) in lanes.iter_mut().enumerate() {
            *lane += term(start + block + offset);
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    (whole..len).fold(sum, |sum, at| sum + term(start + at))
}

#[cfg(test)]
mod tests {
    use super::pairwise;

    #[test]
    fn sums_are_exact_where_every_partial_sum_is() {
        for len in [0, 1, 7, 8, 9, 127, 128, 129, 1000, 4097] {
            let values: Vec<f64> = (0..len).map(f64::from).collect();
            assert_eq!(pairwise(&values), f64::from(len) * (f64::from(len) - 1.0) / 2.0);
        }
    }
}
