//! Parquet's hybrid of run lengths and bit packing, which carries levels and dictionary indices.
//!
//! See <https://parquet.apache.org/docs/file-format/data-pages/encodings/>. Every function returns `None` where the bytes do not hold what they
//! announce. Bytes that only pad the last group may be cut off, as some writers do.

use crate::thrift::Compact;

/// Appends `n` values of `width` bits, at most 32.
pub(crate) fn read_values(bytes: &[u8], width: u8, n: usize, out: &mut Vec<u32>) -> Option<()> {
    if width == 0 {
        out.resize(out.len() + n, 0);
        return Some(());
    }
    if 32 < width {
        return None;
    }
    let mut reader = Compact::new(bytes);
    let mut left = n;
    while 0 < left {
        let header = reader.varint()?;
        let count = usize::try_from(header >> 1).ok()?;
        if header & 1 == 1 {
            let here = count.checked_mul(8)?.min(left);
            let needed = (here as u64 * u64::from(width)).div_ceil(8);
            let packed = reader.take(needed)?;
            unpack(packed, width, here, out);
            // The padding of the last group, as far as it is there.
            let padding = (count as u64 * u64::from(width)).saturating_sub(needed);
            if here < left || here == count * 8 {
                reader.take(padding)?;
            }
            left -= here;
        } else {
            let value = reader.take(u64::from(width).div_ceil(8))?;
            let value = value.iter().rev().fold(0_u32, |sum, it| sum << 8 | u32::from(*it));
            let here = count.min(left);
            out.resize(out.len() + here, value);
            left -= here;
        }
        if count == 0 {
            return None;
        }
    }
    Some(())
}

fn unpack(packed: &[u8], width: u8, n: usize, out: &mut Vec<u32>) {
    let width = usize::from(width);
    let mask = (1_u64 << width) - 1;
    out.extend((0..n).map(|index| {
        let bit = index * width;
        let at = bit / 8;
        let word = match packed.get(at..at + 8) {
            Some(word) => u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]),
            None => packed[at..].iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it)),
        };
        (word >> (bit % 8) & mask) as u32
    }));
}

/// Reads `n` levels of one bit into `present`, which stays empty when all are 1; returns how many are 1.
pub(crate) fn read_levels(bytes: &[u8], n: usize, present: &mut Vec<bool>, scratch: &mut Vec<u32>) -> Option<usize> {
    present.clear();
    let mut reader = Compact::new(bytes);
    let header = reader.varint()?;
    // The usual page has no missing value, which is one run.
    if header & 1 == 0 && n as u64 <= header >> 1 && reader.take(1)? == [1] {
        return Some(n);
    }
    scratch.clear();
    read_values(bytes, 1, n, scratch)?;
    let n_present = scratch.iter().filter(|it| **it == 1).count();
    if n_present < n {
        present.extend(scratch.iter().map(|it| *it == 1));
    }
    Some(n_present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], width: u8, n: usize, expected: Option<&[u32]>) {
        let mut out = Vec::new();
        let found = read_values(bytes, width, n, &mut out).map(|()| out);
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn runs_and_groups_decode() {
        // The example of the specification: 0 to 7 in three bits each.
        check(&[0x03, 0x88, 0xc6, 0xfa], 3, 8, Some(&[0, 1, 2, 3, 4, 5, 6, 7]));
        check(&[0x06, 0x05], 3, 3, Some(&[5, 5, 5]));
        check(&[0x04, 0x01, 0x03, 0b0000_0010], 1, 4, Some(&[1, 1, 0, 1]));
        check(&[0x04, 0x34, 0x12], 16, 2, Some(&[0x1234, 0x1234]));
        check(&[], 0, 3, Some(&[0, 0, 0]));
        check(&[0x03, 0x88, 0xc6], 3, 4, Some(&[0, 1, 2, 3]));
    }

    #[test]
    fn bytes_that_are_not_there_are_noticed() {
        check(&[], 3, 1, None);
        check(&[0x03, 0x88, 0xc6], 3, 8, None);
        check(&[0x06], 3, 3, None);
        check(&[0x00, 0x00], 1, 1, None);
        check(&[0x06, 0, 0, 0, 0, 0], 33, 3, None);
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0], 8, 3, None);
    }
}
