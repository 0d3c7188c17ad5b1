//! Compares a reference with current data, column by column, from every row or from profiles.
//!
//! The idea: a side is some opened [`Table`]s with the same columns (a file, or the files of a folder). For each feature its columns are
//! streamed from both sides, part by part. [`compare_exact`] keeps the values of a feature while it sorts them, so its memory grows with the
//! rows and is bounded by an option. [`profile_tables`] makes a [`Profile`] of fixed size in one pass, profiles can be
//! added up, and [`compare_profiles`] needs nothing else to give the same scores with bounds.
//!
//! Nothing here starts a thread: features are independent tasks, given to [`Workers`], which the caller brings. Results do not depend on how many
//! there are.
//!
//! What is not here: which columns to compare and as what (the caller opens the tables), thresholds, and verdicts.

mod categories;
mod exact;
mod profile;
mod profile_sum;
mod profiler;
mod workers;

use std::fmt;
use std::ops::Range;

use refit_stats::scores::{CategoricalScores, NumericScores};
use serde::{Deserialize, Serialize};

use crate::error::ReadError;
use crate::frame::Kind;
use crate::table::Table;

pub use exact::{ExactOptions, compare_exact};
pub use profile::{
    FeatureProfile, MAX_PROFILE_BYTES, Profile, ProfileFileError, compare_feature, compare_profiles, profile_tables,
};
pub use profile_sum::ProfileSum;
pub use profiler::Profiler;
pub use workers::{OneWorker, Workers};

/// One of the two things that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What is normal.
    Reference,
    /// What is looked at.
    Current,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Reference => "reference",
            Side::Current => "current",
        })
    }
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// A table could not be read.
    #[error("file {} of the {side} could not be read", .table + 1)]
    Read {
        /// Which side it is on.
        side: Side,
        /// Its place on that side, from 0.
        table: usize,
        /// What is wrong with it.
        #[source]
        source: ReadError,
    },
    /// A table lacks a feature, or has it as another kind than the first table of the reference.
    #[error("file {} of the {side} has no {kind} column `{name}`", .table + 1)]
    NoColumn {
        /// Which side it is on.
        side: Side,
        /// Its place on that side, from 0.
        table: usize,
        /// The feature.
        name: String,
        /// What was wanted.
        kind: Kind,
    },
    /// A feature is neither a number nor a category.
    #[error("column `{0}` is a time: times are not compared")]
    Time(String),
    /// A profile lacks a feature, or has it as another kind than the reference.
    #[error("the profile of the {side} has no {kind} feature `{name}`")]
    NoFeature {
        /// Which side it is on.
        side: Side,
        /// The feature.
        name: String,
        /// What was wanted.
        kind: Kind,
    },
    /// The exact method would need more memory than it may have.
    #[error(
        "feature `{name}` needs {needed} bytes to be compared exactly, and {limit} are allowed: allow more, or compare profiles"
    )]
    Memory {
        /// The feature.
        name: String,
        /// What it would take.
        needed: u64,
        /// The option.
        limit: u64,
    },
}

/// Rows of one side of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SideCounts {
    /// Rows.
    pub count: u64,
    /// Rows without a value.
    pub missing: u64,
    /// Rows holding NaN or an infinity.
    pub non_finite: u64,
}

impl SideCounts {
    /// Rows that the scores rest on.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.count - self.missing - self.non_finite
    }
}

/// The scores of a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureScores {
    /// Of a number.
    Numeric(Box<NumericScores>),
    /// Of a category.
    Categorical(Box<CategoricalScores>),
    /// One side has no finite value: no distance can be given.
    Undefined,
}

/// One feature on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureComparison {
    /// The column.
    pub name: String,
    /// What it was compared as.
    pub kind: Kind,
    /// Rows of the reference.
    pub reference: SideCounts,
    /// Rows of the current side.
    pub current: SideCounts,
    /// How far apart they are.
    pub scores: FeatureScores,
}

/// Some features' columns in the tables of a side.
struct SideColumns<'a, 'b> {
    side: Side,
    tables: &'a [Table<'b>],
    /// Of each table, the index of each feature.
    columns: Vec<Vec<usize>>,
}

impl<'a, 'b> SideColumns<'a, 'b> {
    fn find(side: Side, tables: &'a [Table<'b>], features: &[(&str, Kind)]) -> Result<Self, DriftError> {
        let find = |(table, it): (usize, &Table<'_>)| {
            let of = |(name, kind): &(&str, Kind)| {
                let found = it.columns().iter().position(|it| it.name == *name && it.kind == *kind);
                found.ok_or_else(|| DriftError::NoColumn { side, table, name: (*name).to_owned(), kind: *kind })
            };
            features.iter().map(of).collect::<Result<Vec<usize>, _>>()
        };
        Ok(SideColumns { side, tables, columns: tables.iter().enumerate().map(find).collect::<Result<_, _>>()? })
    }

    /// What can be read apart, in the order of the rows: parts of tables.
    fn parts(&self) -> Vec<(usize, usize)> {
        self.tables
            .iter()
            .enumerate()
            .flat_map(|(table, it)| (0..it.n_parts()).map(move |part| (table, part)))
            .collect()
    }

    /// Hands every block of these parts to `sink`, with the position of its feature; those of one feature in the order of the rows.
    fn scan(
        &self,
        parts: &[(usize, usize)],
        sink: &mut dyn FnMut(usize, &crate::Block) -> Result<(), ReadError>,
    ) -> Result<(), DriftError> {
        for &(table, part) in parts {
            let scanned = self.tables[table].scan(part, &self.columns[table], sink);
            scanned.map_err(|source| DriftError::Read { side: self.side, table, source })?;
        }
        Ok(())
    }
}

/// Features that are read together: each alone where that costs nothing, or all, because a text would be read again for each.
fn groups<'t>(mut tables: impl Iterator<Item = &'t Table<'t>>, n_features: usize) -> Vec<Range<usize>> {
    let step = if tables.all(Table::is_columnar) { 1 } else { n_features.max(1) };
    (0..n_features).step_by(step).map(|it| it..it + step).collect()
}

/// Each feature with its kind: a column of the first table of the reference.
fn kinds<'f>(reference: &[Table<'_>], features: &[&'f str]) -> Result<Vec<(&'f str, Kind)>, DriftError> {
    let of = |name: &&'f str| {
        let columns = reference.first().map(Table::columns).unwrap_or_default();
        let missing =
            || DriftError::NoColumn { side: Side::Reference, table: 0, name: (*name).to_owned(), kind: Kind::Numeric };
        match columns.iter().find(|it| it.name == **name).ok_or_else(missing)?.kind {
            Kind::Time => Err(DriftError::Time((*name).to_owned())),
            kind @ (Kind::Numeric | Kind::Categorical) => Ok((*name, kind)),
        }
    };
    features.iter().map(of).collect()
}
