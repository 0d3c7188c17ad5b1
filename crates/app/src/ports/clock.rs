//! Time as a capability.

use jiff::Timestamp;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// The current time. May jump either way: safety never rests on it.
    fn now(&self) -> Timestamp;
}
