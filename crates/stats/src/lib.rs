//! Statistics that Refit's decisions rest on: model quality, resampling and drift.
//!
//! A retraining is started, and a model is promoted, because of numbers made here, so each one follows an exact written
//! definition and is tested against numpy, scipy, scikit-learn and statsmodels (see `tests/oracles`).
//!
//! - [`quality`] measures predictions against labels, for any row weights.
//! - [`estimate`] says how good predictions are before their labels are known.
//! - [`resample`] puts an interval around such a measure, resampling whole days.
//! - [`returns`] measures what decisions earned.
//! - [`distance`] compares a current window with a baseline.
//! - [`compare`] tests one model against another on the same rows, and rates against rates.
//! - [`sequential`] watches a stream of errors for a change, and keeps tests and intervals valid at every look.
//! - [`multiple`] corrects p-values when many features are tested at once.
//! - [`profile`] summarizes a column in 8 KB, to be added up and compared.
//! - [`scores`] gives every distance of a feature at once.
//! - [`verdict`] says what a distance means, given what chance alone produces.
//!
//! The crate is pure: no input or output, no clock, no environment, and no randomness except a generator argument.
//! Sums are pairwise, in the order and blocks numpy uses, so that means agree to the last bit; non-finite values are
//! refused or split off at the boundary and never propagated.
//!
//! What is not here: what a verdict leads to. That is policy and lives in `refit-core`.

pub mod compare;
pub mod distance;
pub mod estimate;
pub mod multiple;
pub mod profile;
pub mod quality;
pub mod resample;
pub mod returns;
pub mod scores;
pub mod sequential;
pub mod verdict;

mod binomial;
mod key;
mod laws;
mod sort;
mod sum;

pub use rand_core::Rng;
