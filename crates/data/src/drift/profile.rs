//! Profiles of tables: made in one pass, kept as a file, added up, compared.

use std::collections::BTreeMap;

use refit_stats::profile::{
    CategoryProfile, MAX_FEATURE_BYTES, NumericProfile, ProfileError, compare_categories, compare_numeric,
};

use super::profile_sum::sum_bytes;
use super::profiler::Builder;
use super::workers::{Workers, collect};
use super::{DriftError, FeatureComparison, FeatureScores, Side, SideColumns, SideCounts, groups, kinds};
use crate::frame::Kind;
use crate::table::Table;

/// Most bytes of a file of profiles that is read: ten thousand features.
pub const MAX_PROFILE_BYTES: u64 = 10_000 * (MAX_FEATURE_BYTES as u64 + 1024);

const MAGIC: &[u8; 4] = b"RFPR";
const VERSION: u8 = 1;

/// The profile of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureProfile {
    /// Of a number.
    Numeric(NumericProfile),
    /// Of a category.
    Categorical(CategoryProfile),
}

impl FeatureProfile {
    /// What the feature is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            FeatureProfile::Numeric(_) => Kind::Numeric,
            FeatureProfile::Categorical(_) => Kind::Categorical,
        }
    }

    /// The profile of a number.
    #[must_use]
    pub fn as_numeric(&self) -> Option<&NumericProfile> {
        match self {
            FeatureProfile::Numeric(it) => Some(it),
            FeatureProfile::Categorical(_) => None,
        }
    }

    /// The profile of a category.
    #[must_use]
    pub fn as_categorical(&self) -> Option<&CategoryProfile> {
        match self {
            FeatureProfile::Categorical(it) => Some(it),
            FeatureProfile::Numeric(_) => None,
        }
    }

    /// Its rows.
    #[must_use]
    pub fn counts(&self) -> SideCounts {
        match self {
            FeatureProfile::Numeric(it) => {
                SideCounts { count: it.rows(), missing: it.n_null, non_finite: it.n_nan + it.n_infinite }
            }
            FeatureProfile::Categorical(it) => SideCounts { count: it.rows(), missing: it.n_null, non_finite: 0 },
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            FeatureProfile::Numeric(it) => it.to_bytes(),
            FeatureProfile::Categorical(it) => it.to_bytes(),
        }
    }

    /// Both together; `None` if they are of different kinds.
    fn merged(&self, other: &FeatureProfile) -> Option<FeatureProfile> {
        match (self, other) {
            (FeatureProfile::Numeric(a), FeatureProfile::Numeric(b)) => Some(FeatureProfile::Numeric(a.merged(b))),
            (FeatureProfile::Categorical(a), FeatureProfile::Categorical(b)) => {
                Some(FeatureProfile::Categorical(a.merged(b)))
            }
            (FeatureProfile::Numeric(_), FeatureProfile::Categorical(_))
            | (FeatureProfile::Categorical(_), FeatureProfile::Numeric(_)) => None,
        }
    }
}

/// Why a file of profiles cannot be read or profiles cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFileError {
    /// The bytes are something else.
    #[error("this is not a profile: it does not begin with `RFPR`")]
    NotAProfile,
    /// Written by a version that this one does not know.
    #[error("profile file of format {0} where 1 is known")]
    Version(u8),
    /// The bytes contradict themselves.
    #[error("profile file is damaged at byte {at}")]
    Damaged {
        /// How far they could be read.
        at: usize,
    },
    /// One feature of it cannot be read.
    #[error("the profile of feature `{name}` cannot be read")]
    Feature {
        /// The feature.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ProfileError,
    },
    /// Only one of two profiles has a feature, or they have it as different kinds.
    #[error("profiles of different features cannot be added: `{name}`")]
    OtherFeatures {
        /// The first such feature.
        name: String,
    },
}

/// The profiles of a table's features.
///
/// ```
/// use refit_data::drift::{FeatureScores, OneWorker, Profile, compare_profiles, profile_tables};
/// use refit_data::{ReadOptions, Table};
/// let (monday, tuesday) = (b"x\n1\n2\n3\n".to_vec(), b"x\n2\n3\n4\n".to_vec());
/// let profile = |bytes: &Vec<u8>| {
///     let tables = [Table::open(bytes, &ReadOptions::all())?];
///     Ok::<_, Box<dyn std::error::Error>>(profile_tables(&tables, &["x"], &OneWorker)?)
/// };
/// let both = profile(&monday)?.merged(&profile(&tuesday)?)?;
/// assert_eq!(Profile::from_bytes(&both.to_bytes())?, both);
/// assert_eq!(Profile::sum(&[&profile(&monday)?.to_bytes(), &profile(&tuesday)?.to_bytes()])?, both);
/// let compared = compare_profiles(&both, &profile(&tuesday)?, &["x"])?;
/// let FeatureScores::Numeric(scores) = &compared[0].scores else { panic!("a number") };
/// assert!((scores.ks.value - 1.0 / 6.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// By feature.
    pub features: BTreeMap<String, FeatureProfile>,
}

impl Profile {
    /// How many rows it sums up.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.features.values().map(|it| it.counts().count).max().unwrap_or(0)
    }

    /// Both together; a profile without features adds nothing. The order of adding makes no difference, but for the last bits of means.
    ///
    /// # Errors
    /// When they are of different features.
    pub fn merged(&self, other: &Profile) -> Result<Profile, ProfileFileError> {
        if self.features.is_empty() {
            return Ok(other.clone());
        }
        if other.features.is_empty() {
            return Ok(self.clone());
        }
        let differs = |name: &str| ProfileFileError::OtherFeatures { name: name.to_owned() };
        if let Some(name) = other.features.keys().find(|it| !self.features.contains_key(*it)) {
            return Err(differs(name));
        }
        let merge = |(name, mine): (&String, &FeatureProfile)| {
            let both = other.features.get(name).and_then(|it| mine.merged(it));
            Ok((name.clone(), both.ok_or_else(|| differs(name))?))
        };
        Ok(Profile { features: self.features.iter().map(merge).collect::<Result<_, _>>()? })
    }

    /// The sum of files: the same as reading them and adding one to the next. Feature by feature, so that memory holds one at a time.
    ///
    /// # Errors
    /// When a file cannot be read, or they are of different features.
    pub fn sum(files: &[&[u8]]) -> Result<Profile, ProfileFileError> {
        let mut indices = files.iter().map(|it| index(it)).collect::<Result<Vec<_>, _>>()?;
        indices.retain(|it| !it.is_empty());
        let Some(first) = indices.first() else { return Ok(Profile::default()) };
        for it in &indices {
            // Both are in order, so the first that differs is one that only one of both has, if it is not behind the end of one.
            let is_other = it.iter().zip(first).find(|(a, b)| a.0 != b.0).map(|(a, b)| a.0.min(b.0));
            let behind = it.get(first.len()).or(first.get(it.len())).map(|it| it.0);
            if let Some(name) = is_other.or(behind) {
                return Err(ProfileFileError::OtherFeatures { name: name.to_owned() });
            }
        }
        let mut room = Box::default();
        let mut sum = |(at, (name, _)): (usize, &(&str, &[u8]))| {
            let profiles = indices.iter().map(|it| it[at].1);
            Ok(((*name).to_owned(), sum_bytes(name, profiles, &mut room)?))
        };
        Ok(Profile { features: first.iter().enumerate().map(&mut sum).collect::<Result<_, _>>()? })
    }

    /// The profile as a file, the same for the same profile: at most 8 KB and the name a feature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        let length = |n: usize| (n as u32).to_le_bytes();
        bytes.extend(length(self.features.len()));
        for (name, feature) in &self.features {
            let content = feature.to_bytes();
            bytes.extend(length(name.len()));
            bytes.extend(name.as_bytes());
            bytes.extend(length(content.len()));
            bytes.extend(content);
        }
        bytes
    }

    /// Reads what [`Profile::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are something else, of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Profile, ProfileFileError> {
        let read = |(name, content): (&str, &[u8])| Ok((name.to_owned(), read_feature(name, content)?));
        Ok(Profile { features: index(bytes)?.into_iter().map(read).collect::<Result<_, _>>()? })
    }
}

/// The bytes of each feature, in order of their names.
fn index(bytes: &[u8]) -> Result<Vec<(&str, &[u8])>, ProfileFileError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ProfileFileError::NotAProfile)?;
    let mut rest = match rest.split_first() {
        Some((&VERSION, rest)) => rest,
        Some((version, _)) => return Err(ProfileFileError::Version(*version)),
        None => return Err(ProfileFileError::Damaged { at: bytes.len() }),
    };
    let damaged = |rest: &[u8]| ProfileFileError::Damaged { at: bytes.len() - rest.len() };
    let n_features = take_length(&mut rest).ok_or_else(|| damaged(rest))?;
    let mut features: Vec<(&str, &[u8])> = Vec::new();
    for _ in 0..n_features {
        let at = rest;
        let name = take_part(&mut rest).and_then(|it| std::str::from_utf8(it).ok()).ok_or_else(|| damaged(at))?;
        let content = take_part(&mut rest).ok_or_else(|| damaged(rest))?;
        if features.last().is_some_and(|it| name <= it.0) {
            return Err(damaged(at));
        }
        features.push((name, content));
    }
    if rest.is_empty() { Ok(features) } else { Err(damaged(rest)) }
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(u32::from_le_bytes(*length) as usize)
}

/// Bytes with their number in front.
fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (part, behind) = take_length(rest).and_then(|it| rest.split_at_checked(it))?;
    *rest = behind;
    Some(part)
}

fn read_feature(name: &str, content: &[u8]) -> Result<FeatureProfile, ProfileFileError> {
    let read = match NumericProfile::from_bytes(content) {
        Err(ProfileError::Kind) => CategoryProfile::from_bytes(content).map(FeatureProfile::Categorical),
        it => it.map(FeatureProfile::Numeric),
    };
    read.map_err(|source| ProfileFileError::Feature { name: name.to_owned(), source })
}

/// Makes the profile of these features in one pass; every table has them. Memory does not grow with the rows: some 4 MB for each feature that is
/// worked on at once, up to 15 MB for one of unique texts.
///
/// # Errors
/// When a table cannot be read or lacks a feature.
pub fn profile_tables(tables: &[Table<'_>], features: &[&str], workers: &dyn Workers) -> Result<Profile, DriftError> {
    let features = kinds(tables, features)?;
    let groups = groups(tables.iter(), features.len());
    let profiles = collect(workers, (groups.len(), usize::MAX), &|at| {
        let group = &features[groups[at].clone()];
        let columns = SideColumns::find(Side::Current, tables, group)?;
        let mut builders: Vec<Builder> = group.iter().map(|it| Builder::new(it.1)).collect();
        columns.scan(&columns.parts(), &mut |at, block| {
            builders[at].add(block);
            Ok(())
        })?;
        let named = group.iter().zip(builders).map(|((name, _), it)| ((*name).to_owned(), it.finish()));
        Ok(named.collect::<Vec<_>>())
    })?;
    Ok(Profile { features: profiles.into_iter().flatten().collect() })
}

/// Compares one feature of two profiles; `None` when it is of different kinds.
#[must_use]
pub fn compare_feature(name: &str, reference: &FeatureProfile, current: &FeatureProfile) -> Option<FeatureComparison> {
    let scores = match (reference, current) {
        (FeatureProfile::Numeric(a), FeatureProfile::Numeric(b)) => {
            compare_numeric(a, b).map(|it| FeatureScores::Numeric(Box::new(it)))
        }
        (FeatureProfile::Categorical(a), FeatureProfile::Categorical(b)) => {
            compare_categories(a, b).map(|it| FeatureScores::Categorical(Box::new(it)))
        }
        (FeatureProfile::Numeric(_), FeatureProfile::Categorical(_))
        | (FeatureProfile::Categorical(_), FeatureProfile::Numeric(_)) => return None,
    };
    Some(FeatureComparison {
        name: name.to_owned(),
        kind: reference.kind(),
        reference: reference.counts(),
        current: current.counts(),
        scores: scores.unwrap_or(FeatureScores::Undefined),
    })
}

/// Compares these features of two profiles.
///
/// # Errors
/// When a profile lacks a feature or has it as another kind.
pub fn compare_profiles(
    reference: &Profile,
    current: &Profile,
    features: &[&str],
) -> Result<Vec<FeatureComparison>, DriftError> {
    let compare = |name: &&str| {
        let missing = |side: Side, kind: Kind| DriftError::NoFeature { side, name: (*name).to_owned(), kind };
        let baseline = reference.features.get(*name).ok_or_else(|| missing(Side::Reference, Kind::Numeric))?;
        let kind = baseline.kind();
        let found = current.features.get(*name).ok_or_else(|| missing(Side::Current, kind))?;
        compare_feature(name, baseline, found).ok_or_else(|| missing(Side::Current, kind))
    };
    features.iter().map(compare).collect()
}
