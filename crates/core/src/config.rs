//! The history of the fleet's configuration: numbered entries, each bound to the one before by a hash.
//!
//! The pointer to the current policy names the last entry and its hash, so that an entry that was changed, removed or cut
//! off at the end is found ([`check_history`]). An entry is written in the transaction that moves the pointer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::names::Digest;

/// One change of the fleet's configuration: who, when, why, and what replaced what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigEntry {
    /// Document version.
    pub schema: u16,
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Why, in their words; may be empty.
    pub comment: String,
    /// The policy that is current from then on.
    pub policy: Digest,
    /// The digest of the text that it was read from, which is kept as it was typed.
    pub source: Option<Digest>,
    /// The policy before; `None` for the first.
    pub replaced: Option<Digest>,
    /// The entry whose policy it brings back, if it is a rollback.
    pub restores: Option<u64>,
    /// The hash of the entry before; of nothing for the first.
    pub previous: Digest,
}

impl ConfigEntry {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// What the first entry names as the one before.
    #[must_use]
    pub fn genesis() -> Digest {
        Digest::of(b"")
    }

    /// The hash that the next entry and the pointer name.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// Where a history of configurations is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenHistory {
    /// A number is missing or repeated.
    #[error("configuration {found} stands where {expected} belongs")]
    Gap {
        /// The number that should be there.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// An entry does not follow the one before: it, or the one before, was changed.
    #[error("configuration {0} does not follow the one before: one of them was changed")]
    Unlinked(u64),
    /// The last entry is not the one that the pointer names.
    #[error(
        "the history ends at configuration {found}, the pointer says {expected}: the end was cut, changed or added"
    )]
    Tail {
        /// The pointer's number.
        expected: u64,
        /// The last entry's number.
        found: u64,
    },
}

/// Checks a history against the number and the hash that the pointer names.
///
/// # Errors
/// Says where the history is broken.
pub fn check_history(entries: &[ConfigEntry], number: u64, hash: &Digest) -> Result<(), BrokenHistory> {
    let mut last = (0, ConfigEntry::genesis());
    for entry in entries {
        if entry.number != last.0 + 1 {
            return Err(BrokenHistory::Gap { expected: last.0 + 1, found: entry.number });
        }
        if entry.previous != last.1 {
            return Err(BrokenHistory::Unlinked(entry.number));
        }
        last = (entry.number, entry.hash());
    }
    if last.0 == number && &last.1 == hash {
        Ok(())
    } else {
        Err(BrokenHistory::Tail { expected: number, found: last.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(count: u64) -> Vec<ConfigEntry> {
        let mut entries: Vec<ConfigEntry> = Vec::new();
        for number in 1..=count {
            entries.push(ConfigEntry {
                schema: ConfigEntry::SCHEMA,
                number,
                at: Timestamp::UNIX_EPOCH,
                actor: Actor::person("ann"),
                comment: String::new(),
                source: None,
                policy: Digest::of(number.to_string().as_bytes()),
                replaced: entries.last().map(|it| it.policy.clone()),
                restores: None,
                previous: entries.last().map_or_else(ConfigEntry::genesis, ConfigEntry::hash),
            });
        }
        entries
    }

    #[track_caller]
    fn check(edit: impl FnOnce(&mut Vec<ConfigEntry>), expected: Result<(), BrokenHistory>) {
        let mut entries = history(3);
        let hash = entries[2].hash();
        edit(&mut entries);
        assert_eq!(check_history(&entries, 3, &hash), expected);
    }

    #[test]
    fn every_change_of_a_history_is_found() {
        check(|_| {}, Ok(()));
        check(|it| it[0].actor = Actor::person("eve"), Err(BrokenHistory::Unlinked(2)));
        check(|it| it[2].actor = Actor::person("eve"), Err(BrokenHistory::Tail { expected: 3, found: 3 }));
        check(|it| _ = it.remove(1), Err(BrokenHistory::Gap { expected: 2, found: 3 }));
        check(|it| _ = it.pop(), Err(BrokenHistory::Tail { expected: 3, found: 2 }));
        check(Vec::clear, Err(BrokenHistory::Tail { expected: 3, found: 0 }));
    }

    #[test]
    fn an_empty_history_is_whole() {
        assert_eq!(check_history(&[], 0, &ConfigEntry::genesis()), Ok(()));
    }
}
