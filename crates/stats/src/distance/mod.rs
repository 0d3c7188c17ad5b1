//! How far a current window is from a baseline.
//!
//! A baseline is fitted once ([`Bins`] from a reference [`Sample`]) and kept; each window is then only counted into it, and
//! the two rows of counts ([`CountPair`]) give every binned distance. Where both samples are at hand, the
//! Kolmogorov-Smirnov and Wasserstein distances need no bins.
//!
//! Small windows look far away by chance alone: [`psi_null_quantile`] says how far, and the p-values say how often.
//!
//! Definitions are those of numpy and scipy, field by field, as tested in `tests/oracle/`. Not here: thresholds, and
//! sketches that stand in for samples too large to keep.

mod bins;
mod categorical;
mod counts;
mod homogeneity;
mod kolmogorov;
mod ks;
mod linf;
mod merge;
mod null;
mod sample;

pub use bins::{Bins, BinsError};
pub use categorical::{CategoryCounts, CategoryTable};
pub use counts::{CountPair, CountsError, PROPORTION_FLOOR};
pub(crate) use homogeneity::chi_square_tail;
pub use homogeneity::{Homogeneity, TwoByTwo, homogeneity, two_by_two};
pub use ks::{EXACT_UP_TO, ks_p_asymptotic, ks_p_exact, ks_p_kolmogorov_limit, ks_statistic, wasserstein1};
pub use linf::{LINF_ROBUST_C, linf_robust};
pub use merge::ks_and_wasserstein1;
pub use null::{psi_null, psi_null_quantile};
pub use sample::{NumericColumn, Sample};
