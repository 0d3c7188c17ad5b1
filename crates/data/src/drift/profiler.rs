//! Builds profiles in one pass, of blocks that are streamed or of columns in memory.

use std::sync::Arc;

use refit_stats::profile::{CategoryProfile, MAX_FEATURE_BYTES, NumericBuilder};

use super::categories::CategoryCounter;
use super::profile::{FeatureProfile, Profile};
use crate::block::{Block, BlockValues};
use crate::frame::{Categories, Frame, Kind, Values};

/// Texts that are counted apart before the rare ones are left out: what keeps the memory of a column of unique texts fixed.
const MAX_COUNTED_BYTES: u64 = 4 << 20;
/// What is kept of them then; all that matters for a profile of 8 KB, many times over.
const KEPT_BYTES: usize = 1 << 19;

/// The profile of a feature while its column is streamed.
pub(super) enum Builder {
    Numeric(Box<NumericBuilder>),
    Categorical { profile: CategoryProfile, counter: CategoryCounter },
}

impl Builder {
    pub(super) fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Numeric => Builder::Numeric(Box::default()),
            // Times were refused before anything was read.
            Kind::Categorical | Kind::Time => {
                Builder::Categorical { profile: CategoryProfile::default(), counter: CategoryCounter::default() }
            }
        }
    }

    pub(super) fn add(&mut self, block: &Block) {
        self.add_missing(block.missing());
        match block.values() {
            BlockValues::Numbers(values) => self.add_numbers(values, 0),
            BlockValues::Categories { codes, dictionary } => self.add_codes(codes, dictionary),
            // Times were refused before anything was read.
            BlockValues::Times(_) => {}
        }
    }

    fn add_missing(&mut self, rows: usize) {
        match self {
            Builder::Numeric(builder) => builder.add_missing(rows as u64),
            Builder::Categorical { profile, .. } => profile.add(None, rows as u64),
        }
    }

    fn add_numbers(&mut self, values: &[f64], missing: usize) {
        self.add_missing(missing);
        if let Builder::Numeric(builder) = self {
            builder.add(values);
        }
    }

    fn add_codes(&mut self, codes: &[u32], dictionary: &Arc<Vec<String>>) {
        let Builder::Categorical { profile, counter } = self else { return };
        counter.add(codes, dictionary);
        keep_small(profile, counter);
    }

    fn add_categories(&mut self, values: &Categories) {
        let Builder::Categorical { profile, counter } = self else { return };
        let mut counts = vec![0_u64; values.dictionary.len()];
        let mut n_missing = 0;
        for code in &values.codes {
            match counts.get_mut(*code as usize) {
                Some(count) => *count += 1,
                None => n_missing += 1,
            }
        }
        profile.add(None, n_missing);
        for (text, count) in values.dictionary.iter().zip(counts).filter(|it| 0 < it.1) {
            counter.add_text(text, count);
            keep_small(profile, counter);
        }
    }

    pub(super) fn finish(self) -> FeatureProfile {
        match self {
            Builder::Numeric(builder) => FeatureProfile::Numeric(builder.finish()),
            Builder::Categorical { mut profile, counter } => {
                profile.add_counts(counter.finish());
                FeatureProfile::Categorical(profile.compact(MAX_FEATURE_BYTES))
            }
        }
    }
}

/// Leaves the rare texts out when there are too many.
fn keep_small(profile: &mut CategoryProfile, counter: &mut CategoryCounter) {
    if MAX_COUNTED_BYTES < counter.bytes() {
        profile.add_counts(std::mem::take(counter).finish());
        *profile = profile.compact(KEPT_BYTES);
    }
}

/// Builds the profile of rows that come as frames, some after others.
///
/// ```
/// use refit_data::drift::Profiler;
/// use refit_data::{Column, Frame, Kind, Values};
/// let x = Column { name: "x".to_owned(), values: Values::Numeric(vec![Some(1.0), None]) };
/// let mut profiler = Profiler::new(&[("x".to_owned(), Kind::Numeric)]);
/// profiler.add(&Frame::new(vec![x])?);
/// let profile = profiler.finish();
/// assert_eq!((profile.rows(), profile.features["x"].counts().missing), (2, 1));
/// # Ok::<(), refit_data::FrameError>(())
/// ```
pub struct Profiler {
    features: Vec<(String, Kind, Builder)>,
}

impl Profiler {
    /// A profiler of these columns that has seen no row. Times are left out: they have no profile.
    #[must_use]
    pub fn new(columns: &[(String, Kind)]) -> Profiler {
        let named = columns.iter().filter(|it| it.1 != Kind::Time);
        Profiler { features: named.map(|(name, kind)| (name.clone(), *kind, Builder::new(*kind))).collect() }
    }

    /// Takes all rows of a frame. A column that it does not have, or has as another kind, is one without values.
    pub fn add(&mut self, frame: &Frame) {
        for (name, kind, builder) in &mut self.features {
            let values = frame.find_column(name).map(|it| &it.values).filter(|it| it.kind() == *kind);
            match values {
                Some(Values::Numeric(values)) => {
                    let present: Vec<f64> = values.iter().flatten().copied().collect();
                    builder.add_numbers(&present, values.len() - present.len());
                }
                Some(Values::Categorical(values)) => builder.add_categories(values),
                Some(Values::Time(_)) | None => builder.add_missing(frame.rows()),
            }
        }
    }

    /// The profile of all rows that were taken.
    #[must_use]
    pub fn finish(self) -> Profile {
        Profile { features: self.features.into_iter().map(|(name, _, it)| (name, it.finish())).collect() }
    }
}
