//! Who did something.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of actor it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person, by a stable id.
    Person,
    /// A schedule or a due time.
    Schedule,
    /// An alarm.
    Alarm,
    /// Refit itself, carrying out what was decided.
    Refit,
}

/// Who did something; compared by id, never by a display name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The kind.
    pub kind: ActorKind,
    /// The stable id.
    pub id: String,
}

impl Actor {
    /// Refit itself.
    #[must_use]
    pub fn refit() -> Actor {
        Actor { kind: ActorKind::Refit, id: "refit".to_owned() }
    }

    /// The schedule.
    #[must_use]
    pub fn schedule() -> Actor {
        Actor { kind: ActorKind::Schedule, id: "schedule".to_owned() }
    }

    /// A person.
    #[must_use]
    pub fn person(id: &str) -> Actor {
        Actor { kind: ActorKind::Person, id: id.to_owned() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}
