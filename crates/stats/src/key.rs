//! Doubles as integers in the same order.

/// Turns a finite double into an integer; the integers are in the order of the doubles, and `-0.0` is `0.0`.
///
/// The bits of a positive double already rise with it; those of a negative one fall (IEEE 754).
pub(crate) fn key_of(value: f64) -> u64 {
    // Adding zero makes the negative zero positive.
    let bits = (value + 0.0).to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | 1 << 63)
}

/// The double of a key.
pub(crate) fn value_of(key: u64) -> f64 {
    f64::from_bits(key ^ ((!key as i64 >> 63) as u64 | 1 << 63))
}

#[cfg(test)]
mod tests {
    use super::{key_of, value_of};

    #[test]
    fn keys_keep_the_order_and_come_back() {
        let rising = [f64::MIN, -1e300, -1.5, -1.0, -f64::MIN_POSITIVE, -5e-324, 0.0, 5e-324, 1.0, 1.5, f64::MAX];
        for pair in rising.windows(2) {
            assert!(key_of(pair[0]) < key_of(pair[1]), "{pair:?}");
        }
        for value in rising {
            assert_eq!(value_of(key_of(value)).to_bits(), value.to_bits());
        }
        assert_eq!(key_of(-0.0), key_of(0.0));
    }
}
