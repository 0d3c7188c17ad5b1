//! Sorting finite doubles by radix, which costs a few nanoseconds a value where comparing costs tens.
//!
//! Three passes of eleven bits order the values by the 33 most significant bits that differ between the smallest and the largest; what still
//! stands in the wrong order then (few pairs, since so many bits are rarely shared) is sorted run by run. So the work is linear for any input, but
//! for long runs of values that share 33 bits and differ below, which are sorted by comparison.

use crate::key::{key_of, value_of};

/// Digits of eleven bits: 2,048 places to write to at once are about what a processor's second-level cache and page table take.
const DIGIT_BITS: u32 = 11;
const N_DIGITS: usize = 1 << DIGIT_BITS;
const N_PASSES: u32 = 3;

/// Below this, sorting by comparison is as fast as counting digits.
const MIN_RADIX: usize = 1024;

/// Sorts finite values in rising order; `-0.0` comes out as `0.0`.
///
/// `spare` is working memory, as long as the values afterwards; giving it again saves asking the system for it.
pub(crate) fn sort_finite(values: &mut Vec<f64>, spare: &mut Vec<u64>) {
    if values.len() < MIN_RADIX {
        values.iter_mut().for_each(|it| *it += 0.0);
        values.sort_unstable_by(f64::total_cmp);
        return;
    }
    // In place: an integer takes the room of its double.
    let mut keys: Vec<u64> = std::mem::take(values).into_iter().map(key_of).collect();
    sort_keys(&mut keys, spare);
    *values = keys.into_iter().map(value_of).collect();
}

fn sort_keys(keys: &mut Vec<u64>, spare: &mut Vec<u64>) {
    let (low, high) = keys.iter().fold((u64::MAX, 0), |(low, high), it| (low.min(*it), high.max(*it)));
    let n_bits = u64::BITS - high.saturating_sub(low).leading_zeros();
    if n_bits == 0 {
        return;
    }
    let shift = n_bits.saturating_sub(DIGIT_BITS * N_PASSES);
    let n_passes = (n_bits - shift).div_ceil(DIGIT_BITS);
    let mut places = vec![[0_u32; N_DIGITS]; n_passes as usize];
    for key in keys.iter() {
        let digits = (key - low) >> shift;
        for (pass, counts) in places.iter_mut().enumerate() {
            counts[(digits >> (DIGIT_BITS * pass as u32)) as usize % N_DIGITS] += 1;
        }
    }
    spare.clear();
    spare.resize(keys.len(), 0);
    for (pass, counts) in places.iter_mut().enumerate() {
        let mut next = 0;
        for count in counts.iter_mut() {
            next += std::mem::replace(count, next);
        }
        let at = shift + DIGIT_BITS * pass as u32;
        for key in keys.iter() {
            let place = &mut counts[((key - low) >> at) as usize % N_DIGITS];
            spare[*place as usize] = *key;
            *place += 1;
        }
        std::mem::swap(keys, spare);
    }
    if 0 < shift {
        sort_runs(keys, low, shift);
    }
}

/// Sorts each run of keys that share all bits from `shift` up and are out of order.
fn sort_runs(keys: &mut [u64], low: u64, shift: u32) {
    let mut at = 1;
    while at < keys.len() {
        if keys[at - 1] <= keys[at] {
            at += 1;
            continue;
        }
        let prefix = (keys[at] - low) >> shift;
        let shares = |key: &u64| (key - low) >> shift == prefix;
        let start = at - keys[..at].iter().rev().take_while(|it| shares(it)).count();
        let end = at + keys[at..].iter().take_while(|it| shares(it)).count();
        keys[start..end].sort_unstable();
        at = end.max(at + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    use super::sort_finite;

    fn check(values: Vec<f64>) {
        let mut expected: Vec<f64> = values.iter().map(|it| it + 0.0).collect();
        expected.sort_by(f64::total_cmp);
        let mut sorted = values;
        sort_finite(&mut sorted, &mut Vec::new());
        let bits = |it: &[f64]| it.iter().map(|it| it.to_bits()).collect::<Vec<u64>>();
        assert!(bits(&sorted) == bits(&expected));
    }

    #[test]
    fn kinds_of_data_come_out_sorted() {
        let n = 5000_u32;
        let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 7) / 3.0;
        check((0..n).map(noise).collect());
        check((0..n).map(|at| -noise(at)).collect());
        check((0..n).map(|at| 1e9 + noise(at) * 1e-15).collect());
        check((0..n).map(|at| (noise(at) - 5e6) * 1e-300).collect());
        check((0..n).map(|at| f64::from(at % 7)).collect());
        check((0..n).rev().map(f64::from).collect());
        check(vec![-0.0; 3000]);
        // The first 33 bits say nothing about these.
        check(
            (0..n)
                .map(|at| {
                    if at == 0 {
                        -1e300
                    } else {
                        f64::from_bits(0x3ff0_0000_0000_0000 + u64::from(at.wrapping_mul(40_503) % 65_536))
                    }
                })
                .collect(),
        );
    }

    proptest! {
        #[test]
        fn any_finite_values_come_out_sorted(
            values in proptest::collection::vec(
                prop_oneof![any::<f64>().prop_filter("finite", |it| it.is_finite()), (-4_i8..4).prop_map(f64::from)],
                0..3000,
            )
        ) {
            check(values);
        }
    }
}
