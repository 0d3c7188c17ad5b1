//! Turns data into numbers that can be judged: distances of windows, quality of predictions, comparisons of models.
//!
//! The arithmetic is `refit-stats`', the reading `refit-data`'s; what is here is which rows count.

mod baseline;
mod classes;
mod custom;
mod estimates;
pub(crate) mod extracts;
mod joined;
mod late;
mod outputs;
mod predictions;
mod profiles;
mod quality;
pub(crate) mod reader;
mod segments;
mod streams;
pub(crate) mod verdicts;
mod windows;

pub use classes::{ClassRow, classes_of, score_classes};
pub use outputs::{CLASSES, measure_outputs, read_outputs};
pub use predictions::{Predictions, Wanted};
pub use quality::{compare, compare_returns, measure};
pub use windows::{Collected, collect_windows};

use refit_core::policy::{DataPolicy, FeatureKind, Task};
use refit_data::{Answers, Kind};

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

/// What the endpoint's answers say for a task.
#[must_use]
pub fn answers(task: Task) -> Answers {
    match task {
        Task::Regression | Task::Binary => Answers::Numbers,
        Task::Multiclass => Answers::Classes,
    }
}
