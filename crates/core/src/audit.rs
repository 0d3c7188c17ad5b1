//! The audit log, which is also the event log: numbered facts, each bound to the one before by a hash.
//!
//! A fact carries what is needed to rebuild the state: [`crate::model::Model::apply`] folds the log. One transaction
//! records one event.

mod fact;

use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use fact::{AfterEvaluation, CausesEffect, Fact};

use crate::actor::Actor;
use crate::json::to_json;
use crate::names::{Digest, ModelId};

/// One immutable, numbered fact: who, what, when, why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// Document version.
    pub schema: u16,
    /// The model it concerns.
    pub model: ModelId,
    /// Its number in the model's log, from 1, without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What caused it: a request's id, an event's id or the decision it carries out.
    pub cause: String,
    /// The digest of what the planner looked at, if a judgment was made: the log vouches for the inputs, too.
    pub snapshot: Option<Digest>,
    /// What happened.
    pub fact: Fact,
    /// The hash of the event before; of nothing for the first.
    pub previous: Digest,
}

impl AuditEvent {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// What the first event names as the one before.
    #[must_use]
    pub fn genesis() -> Digest {
        Digest::of(b"")
    }

    /// The hash that the next event names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Where it is stored in the log: numbers that sort as text.
    #[must_use]
    pub fn sort(seq: u64) -> String {
        format!("{seq:012}")
    }
}

/// An event as it is stored: with its own hash, so that each entry can be checked alone. What was read is shared and not
/// changed; a copy, which may be, is checked anew.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// The event.
    pub event: AuditEvent,
    /// Its hash.
    pub hash: Digest,
    /// Whether the hash is the event's, once somebody has asked.
    #[serde(skip)]
    is_whole: OnceLock<bool>,
}

impl Clone for AuditEntry {
    fn clone(&self) -> Self {
        AuditEntry { event: self.event.clone(), hash: self.hash.clone(), is_whole: OnceLock::new() }
    }
}

impl PartialEq for AuditEntry {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.event == other.event
    }
}

impl AuditEntry {
    /// The entry of `event`.
    #[must_use]
    pub fn new(event: AuditEvent) -> AuditEntry {
        let hash = event.hash();
        AuditEntry { event, hash, is_whole: OnceLock::new() }
    }

    /// Whether the hash is the event's: computed once for all who share the entry.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self.is_whole.get_or_init(|| self.event.hash() == self.hash)
    }

    /// The entry of `event`, and its text: the event is written once for both. Its hash is known to be its own.
    ///
    /// # Panics
    /// Never: own documents serialize.
    #[must_use]
    pub fn written(event: AuditEvent) -> (AuditEntry, String) {
        let text = to_json(&event);
        let hash = Digest::of(text.as_bytes());
        let text = ["{\"event\":", &text, ",\"hash\":\"", hash.as_ref(), "\"}"].concat();
        (AuditEntry { event, hash, is_whole: OnceLock::from(true) }, text)
    }
}

/// Where a log is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// A number is missing or repeated.
    #[error("entry {found} stands where {expected} belongs")]
    Gap {
        /// The number that should be there.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// An entry does not match its own hash.
    #[error("entry {seq} was changed: its hash does not match its content")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// An entry does not follow the one before.
    #[error("entry {seq} does not follow entry {}: the hash of the one before differs", seq - 1)]
    Unlinked {
        /// Which.
        seq: u64,
    },
    /// The last entry is not the one that HEAD names.
    #[error("the log ends at entry {found}, HEAD says {expected}: the tail was cut or HEAD was changed")]
    Tail {
        /// HEAD's number.
        expected: u64,
        /// The last entry's number.
        found: u64,
    },
}

/// Checks a log entry by entry.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    seq: u64,
    hash: Digest,
}

impl Default for ChainCheck {
    fn default() -> Self {
        ChainCheck { seq: 0, hash: AuditEvent::genesis() }
    }
}

impl ChainCheck {
    /// Checks the next entry.
    ///
    /// # Errors
    /// Says where the log is broken.
    pub fn next(&mut self, entry: &AuditEntry) -> Result<(), BrokenChain> {
        let seq = entry.event.seq;
        if seq != self.seq + 1 {
            return Err(BrokenChain::Gap { expected: self.seq + 1, found: seq });
        }
        if !entry.is_whole() {
            return Err(BrokenChain::Changed { seq });
        }
        if entry.event.previous != self.hash {
            return Err(BrokenChain::Unlinked { seq });
        }
        self.seq = seq;
        self.hash = entry.hash.clone();
        Ok(())
    }

    /// Checks that the log ends where HEAD says.
    ///
    /// # Errors
    /// Says that it does not.
    pub fn finish(&self, seq: u64, hash: &Digest) -> Result<(), BrokenChain> {
        if self.seq == seq && &self.hash == hash {
            Ok(())
        } else {
            Err(BrokenChain::Tail { expected: seq, found: self.seq })
        }
    }

    /// How many entries were checked.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.seq
    }

    /// The hash of the last entry.
    #[must_use]
    pub fn head(&self) -> &Digest {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_it_is_read() {
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: "m".parse().expect("a name"),
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::person("ann \"a\" ä"),
            cause: "c".to_owned(),
            snapshot: None,
            fact: Fact::ModelReleased { policy: Digest::of(b"p") },
            previous: AuditEvent::genesis(),
        };
        let (entry, text) = AuditEntry::written(event.clone());
        assert_eq!(entry, AuditEntry::new(event));
        assert_eq!(text, serde_json::to_string(&entry).expect("it serializes"));
    }
}
