//! Turns data into numbers that can be judged: distances of windows, quality of predictions, comparisons of models.
//!
//! The arithmetic is `refit-stats`', the reading `refit-data`'s; what is here is which rows count.

mod baseline;
mod outputs;
mod quality;
mod windows;

pub use baseline::{Baseline, FeatureBaseline};
pub use outputs::read_outputs;
pub use quality::{compare, measure};
pub use windows::{Collected, collect_windows};

use refit_core::policy::{DataPolicy, FeatureKind};
use refit_data::Kind;

/// Most bytes of one data file that is read into memory.
pub const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// The model's inputs as columns to read.
#[must_use]
pub fn feature_columns(data: &DataPolicy) -> Vec<(String, Kind)> {
    let kind = |it: &FeatureKind| match it {
        FeatureKind::Numeric => Kind::Numeric,
        FeatureKind::Categorical => Kind::Categorical,
    };
    data.features.iter().map(|(name, it)| (name.clone(), kind(it))).collect()
}
