//! Protocols that are worse than the real one: each must be found out.

/// What is left out of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// Nothing: the protocol as it is.
    None,
    /// HEAD is written whatever its generation is.
    NoFence,
    /// The slots are written whatever their generation is.
    BlindSlots,
    /// Slots are counted by a write of its own instead of being held in the run's transaction.
    Counter,
    /// The end of a run frees a slot, whether it holds one or not.
    ReleaseAnyone,
    /// A slot is freed when stopping is decided, not when the execution has ended.
    FreeEarly,
    /// The execution is started under a key that is not the run's alone.
    FreshKey,
    /// A candidate is promoted whatever the champion is.
    PromoteOverAnyone,
    /// A request to roll back is not bound to what it was about: repeated, it counts again.
    RollbackUnbound,
}

impl Weakness {
    /// Every weakness.
    pub(crate) const ALL: [Weakness; 8] = [
        Weakness::NoFence,
        Weakness::BlindSlots,
        Weakness::Counter,
        Weakness::ReleaseAnyone,
        Weakness::FreeEarly,
        Weakness::FreshKey,
        Weakness::PromoteOverAnyone,
        Weakness::RollbackUnbound,
    ];
}
