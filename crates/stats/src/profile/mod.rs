//! Summaries of fixed size that can be added up: of a file, a day, a reference.
//!
//! The idea: a profile has no edges chosen from its data, so profiles of any two sets of rows can be added and compared. Numbers are counted in
//! cells, which are nodes of the binary trie over all doubles in their order; texts by category, the frequent ones each by itself. From two
//! profiles come the same scores as from all rows ([`crate::scores`]), each with a bound: the exact score lies within `value ± error_bound`.
//!
//! Invariants:
//! - merging adds whole numbers: associative and commutative to a bit, but for mean and standard deviation, which are so to within rounding;
//! - only [`NumericProfile::compact`] and [`CategoryProfile::compact`] lose anything, and what they lose is in the bounds;
//! - a feature is at most [`MAX_FEATURE_BYTES`] as bytes, and the same rows in the same order give the same bytes.
//!
//! The rank error of a compacted profile of continuous data is some 0.15 % of its rows, whatever its scale, offset and order
//! ([`NumericProfile::rank_error`] says it); values that are few, or few and frequent, are kept exactly. It is stated for a profile and not assumed for
//! all: no summary of fixed size has a good bound for all data.
//!
//! What is not here: reading, and files of profiles (`refit-data`); verdicts ([`crate::verdict`]).

mod bracket;
mod category;
mod cell;
mod cell_sum;
mod codec;
mod compare;
mod moments;
mod numeric;
mod ranks;
mod trie;

pub use category::{CategoryProfile, CategorySum};
pub use codec::{MAX_FEATURE_BYTES, ProfileError};
pub use compare::{PreparedProfile, compare_categories, compare_numeric, compare_prepared};
pub use numeric::{NumericBuilder, NumericProfile, NumericSum};
