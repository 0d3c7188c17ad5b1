//! What a decision was made on: kept so that the planner can be asked again and must give the same answer.
//!
//! Nothing is kept twice. The state is named by the event of the log that it stands at: `fold` of the log up to there is the
//! state, and the event's hash says which log. The policy is named by its digest. What is left, the collected evidence, is
//! held as it is.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Model;
use crate::names::{Digest, RunId};
use crate::plan::{Question, Step};

/// Everything that a planner looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Document version.
    pub schema: u16,
    /// The state.
    pub state: StateName,
    /// The policy in force.
    pub policy: Digest,
    /// The time.
    pub now: Timestamp,
    /// Steps performed since the state last changed.
    pub performed: Vec<Step>,
    /// The planner and what was collected for it.
    pub question: Question,
}

impl Snapshot {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// The digest that names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// Names a loaded part of a model's state: the place in the log, and what was loaded of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateName {
    /// The number of the last event that it contains.
    pub seq: u64,
    /// The hash of that event.
    pub hash: Digest,
    /// The loaded runs.
    pub runs: Vec<RunId>,
    /// The loaded packages.
    pub packages: Vec<u64>,
    /// The runs whose requests for approval were loaded.
    pub approvals: Vec<RunId>,
    /// The loaded judgments.
    pub judgments: Vec<String>,
}

/// A state that is not the one a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherState {
    /// The log says something else.
    #[error("the log at event {seq} is not the one that was decided on: its hash differs")]
    Log {
        /// Which event.
        seq: u64,
    },
    /// Something that was loaded is not in the log.
    #[error("{0} was looked at and is not in the log")]
    Missing(String),
}

impl StateName {
    /// The name of a loaded state.
    #[must_use]
    pub fn of(model: &Model) -> StateName {
        let Model { head, runs, packages, approvals, judgments } = model;
        StateName {
            seq: head.audit_seq,
            hash: head.audit_hash.clone(),
            runs: runs.keys().cloned().collect(),
            packages: packages.keys().copied().collect(),
            approvals: approvals.keys().cloned().collect(),
            judgments: judgments.keys().cloned().collect(),
        }
    }

    /// The part of `whole` that it names, where `whole` is the fold of the log up to its event.
    ///
    /// # Errors
    /// Says what is not as it was.
    pub fn part_of(&self, whole: &Model) -> Result<Model, OtherState> {
        if whole.head.audit_seq != self.seq || whole.head.audit_hash != self.hash {
            return Err(OtherState::Log { seq: self.seq });
        }
        Ok(Model {
            head: whole.head.clone(),
            runs: pick(&whole.runs, &self.runs, "run")?,
            packages: pick(&whole.packages, &self.packages, "package version")?,
            approvals: pick(&whole.approvals, &self.approvals, "the approval of")?,
            judgments: pick(&whole.judgments, &self.judgments, "judgment")?,
        })
    }
}

fn pick<K: Ord + Clone + Display, V: Clone>(
    from: &BTreeMap<K, V>,
    keys: &[K],
    what: &str,
) -> Result<BTreeMap<K, V>, OtherState> {
    keys.iter()
        .map(|key| {
            let value = from.get(key).ok_or_else(|| OtherState::Missing(format!("{what} {key}")))?;
            Ok((key.clone(), value.clone()))
        })
        .collect()
}

/// How a decision keeps its snapshot: always by digest, and here when it is small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSnapshot {
    /// Its digest; the audit event carries it, too.
    pub digest: Digest,
    /// The snapshot; `None` when it is too large for an item and lies in an object of that name.
    pub inline: Option<Arc<Snapshot>>,
}
