//! Names a set of rows, whatever their order and however they are put together.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The sum of the digests of rows, modulo 2^128: the same for the same rows in any order, and that of two sets together is the sum of both.
///
/// It tells data that changed by accident from data that did not. It does not withstand somebody who makes rows for a collision.
///
/// ```
/// use refit_core::RowsDigest;
/// let of = |rows: &[&str]| rows.iter().fold(RowsDigest::default(), |sum, it| sum.and(RowsDigest::of_row(it.as_bytes())));
/// assert_eq!(of(&["a", "b"]), of(&["b", "a"]));
/// assert_eq!(of(&["a"]).and(of(&["b", "b"])), of(&["b", "a", "b"]));
/// assert_ne!(of(&["a", "b"]), of(&["a", "b", "b"]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowsDigest(u64, u64);

impl RowsDigest {
    /// That of a single row, given as bytes.
    #[must_use]
    pub fn of_row(row: &[u8]) -> RowsDigest {
        let (high, low) = Digest::of(row).seeds();
        RowsDigest(high, low)
    }

    /// That of both sets of rows together.
    #[must_use]
    pub fn and(self, other: RowsDigest) -> RowsDigest {
        let (low, carry) = self.1.overflowing_add(other.1);
        RowsDigest(self.0.wrapping_add(other.0).wrapping_add(u64::from(carry)), low)
    }

    /// The digest as one of a document.
    #[must_use]
    pub fn named(self) -> Digest {
        Digest::of_parts(&[&self.0.to_be_bytes(), &self.1.to_be_bytes()])
    }
}
