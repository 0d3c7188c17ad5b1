//! Versions of a monitored model: what each learned from, how good it was, where it stands.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{Digest, ObjectUri, RunId};
use crate::policy::Metric;
use crate::window::Window;

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageStatus {
    /// Judged, not yet exposed.
    Candidate,
    /// Serves. HEAD names it.
    Champion,
    /// Served until another replaced it.
    Retired,
    /// Was refused.
    Rejected,
    /// Served and was taken back.
    RolledBack,
}

/// A measured value and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The value; finite.
    pub value: f64,
    /// Its standard error, by resampling days; `None` where it is undefined.
    pub standard_error: Option<f64>,
    /// How many rows it was measured on.
    pub rows: u64,
    /// How many independent blocks the error rests on: days, or rows where there is only one day.
    pub blocks: u64,
}

/// One version of a monitored model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Document version.
    pub schema: u16,
    /// Its number in the package group, given by the registry.
    pub version: u64,
    /// Its ARN.
    pub arn: String,
    /// The run that made it; `None` for one that was made elsewhere.
    pub run: Option<RunId>,
    /// Where its archive is.
    pub model: ObjectUri,
    /// The digest of the archive that was judged.
    pub artifact: Digest,
    /// What it was trained on. Empty, and ending when it was registered, where that is not known: nothing before that time
    /// is fresh to it.
    pub train: Window,
    /// What it was judged on.
    pub holdout: Window,
    /// How good it was there.
    pub quality: BTreeMap<Metric, Measured>,
    /// When the registry made it.
    pub registered_at: Timestamp,
    /// What the pipeline said about it: engine, hyperparameters, definition.
    pub metadata: BTreeMap<String, String>,
    /// Where it stands.
    pub status: PackageStatus,
    /// When it became champion last.
    pub promoted_at: Option<Timestamp>,
    /// The champion it replaced then; what a rollback restores.
    pub replaced: Option<u64>,
    /// What it replaced at its earlier promotions that a rollback can still come back to, oldest first; mostly none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_before: Vec<Option<u64>>,
    /// When what its run wrote was removed, its archive among it: it can no longer be promoted.
    pub removed_at: Option<Timestamp>,
}

impl Package {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;
}
