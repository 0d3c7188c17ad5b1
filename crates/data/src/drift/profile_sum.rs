//! Sums of many profiles, one feature at a time.

use refit_stats::profile::{CategorySum, NumericSum, ProfileError};

use super::profile::{FeatureProfile, Profile, ProfileFileError};
use crate::frame::Kind;

/// The sum of profiles of rows that need not have been read with the same columns: where one lacks a column, its rows have no value of it.
///
/// ```
/// use refit_data::Kind;
/// use refit_data::drift::{Profile, ProfileSum};
/// let mut sum = ProfileSum::new(&[("x".to_owned(), Kind::Numeric)]);
/// sum.add(&Profile::default(), 3);
/// assert_eq!(sum.finish().features["x"].counts().missing, 3);
/// ```
pub struct ProfileSum {
    features: Vec<(String, FeatureSum)>,
}

impl ProfileSum {
    /// The sum of nothing, over these columns. Times are left out: they have no profile.
    #[must_use]
    pub fn new(columns: &[(String, Kind)]) -> ProfileSum {
        let sum = |(name, kind): &(String, Kind)| match kind {
            Kind::Numeric => Some((name.clone(), FeatureSum::Numeric(Box::default()))),
            Kind::Categorical => Some((name.clone(), FeatureSum::Categorical(CategorySum::default()))),
            Kind::Time => None,
        };
        ProfileSum { features: columns.iter().filter_map(sum).collect() }
    }

    /// Adds the profile of so many rows.
    pub fn add(&mut self, profile: &Profile, rows: u64) {
        for (name, sum) in &mut self.features {
            if profile.features.get(name.as_str()).and_then(|it| sum.add(it)).is_none() {
                sum.add_missing(rows);
            }
        }
    }

    /// The sum.
    #[must_use]
    pub fn finish(self) -> Profile {
        Profile { features: self.features.into_iter().map(|(name, it)| (name, it.finish())).collect() }
    }
}

/// The sum of many profiles of one feature.
enum FeatureSum {
    Numeric(Box<NumericSum>),
    Categorical(CategorySum),
}

impl FeatureSum {
    /// `None` for a profile of another kind.
    fn add(&mut self, profile: &FeatureProfile) -> Option<()> {
        match (self, profile) {
            (FeatureSum::Numeric(sum), FeatureProfile::Numeric(it)) => sum.add(it),
            (FeatureSum::Categorical(sum), FeatureProfile::Categorical(it)) => sum.add(it),
            (FeatureSum::Numeric(_), FeatureProfile::Categorical(_))
            | (FeatureSum::Categorical(_), FeatureProfile::Numeric(_)) => return None,
        }
        Some(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), ProfileError> {
        match self {
            FeatureSum::Numeric(sum) => sum.add_bytes(bytes),
            FeatureSum::Categorical(sum) => sum.add_bytes(bytes),
        }
    }

    fn add_missing(&mut self, rows: u64) {
        match self {
            FeatureSum::Numeric(sum) => sum.add_missing(rows),
            FeatureSum::Categorical(sum) => sum.add_missing(rows),
        }
    }

    fn finish(self) -> FeatureProfile {
        match self {
            FeatureSum::Numeric(mut sum) => FeatureProfile::Numeric(sum.take()),
            FeatureSum::Categorical(sum) => FeatureProfile::Categorical(sum.finish()),
        }
    }
}

/// The sum of a feature's profiles as bytes, all of the kind of the first. Numbers are added up in a room that is used again for the next feature.
pub(super) fn sum_bytes<'a>(
    name: &str,
    profiles: impl Iterator<Item = &'a [u8]>,
    room: &mut Box<NumericSum>,
) -> Result<FeatureProfile, ProfileFileError> {
    let mut sum = FeatureSum::Numeric(std::mem::take(room));
    for (at, bytes) in profiles.enumerate() {
        let mut added = sum.add_bytes(bytes);
        if at == 0 && added == Err(ProfileError::Kind) {
            sum = FeatureSum::Categorical(CategorySum::default());
            added = sum.add_bytes(bytes);
        }
        added.map_err(|source| match source {
            ProfileError::Kind => ProfileFileError::OtherFeatures { name: name.to_owned() },
            ProfileError::Version(_) | ProfileError::Damaged { .. } => {
                ProfileFileError::Feature { name: name.to_owned(), source }
            }
        })?;
    }
    Ok(match sum {
        FeatureSum::Numeric(mut it) => {
            let sum = it.take();
            *room = it;
            FeatureProfile::Numeric(sum)
        }
        FeatureSum::Categorical(it) => FeatureProfile::Categorical(it.finish()),
    })
}
