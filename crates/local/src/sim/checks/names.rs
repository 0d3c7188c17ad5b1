//! The names of the invariants.

/// An invariant that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its id in RELIABILITY 1.2.
    pub id: &'static str,
    /// What holds.
    pub sentence: &'static str,
}

const fn check(id: &'static str, sentence: &'static str) -> Check {
    Check { id, sentence }
}

/// Every invariant that is checked: all of RELIABILITY 1.2 that do not concern traffic.
pub const CHECKS: &[Check] = &[
    check("P1", "a model has at most one champion, HEAD names it, and a promotion is recorded while it is served"),
    check("P2", "a champion passed its gates, or was approved by name, as the artifact, evaluation and policy stood"),
    check("P3", "a vote is one person's, in time, not the requester's, and a promotion by vote has its quorum"),
    check("P4", "a promotion without a person needs a stored policy that allows it, a champion, and no freeze"),
    check("P5", "HEAD's generation grows by one with each change and is never set back"),
    check("P6", "nothing that HEAD, a run or an approval refers to is removed"),
    check("R1", "a rollback restores the champion before exactly: version, package, what is served"),
    check("R3", "a rollback works whatever else is broken"),
    check(
        "L1",
        "one active run per model; slots are held by at most as many runs as there are slots, at every instant",
    ),
    check("L2", "a slot is held only by a run whose status holds one"),
    check("L3", "every slot is freed once faults have stopped"),
    check("L4", "a slot is freed only when the service says that the execution has ended or is not known"),
    check("L5", "safety holds under any skew of the workers' clocks"),
    check("E1", "a request or event that is delivered again has no second effect"),
    check("E2", "a run moves on only as the service says, whatever order events come in"),
    check("E3", "a run that has ended stays as it is"),
    check("E4", "a lost event is healed by the sweep"),
    check("E5", "an event that concerns nobody changes nothing and is not retried"),
    check("T1", "one decision starts at most one execution"),
    check("T2", "what starts an execution is what was stored before, byte for byte"),
    check("T3", "no run is requested before the cooldown after the one before is over, unless forced"),
    check("U1", "every change of a model's state has exactly one audit entry in the same transaction"),
    check("U2", "the log is contiguous, chained by hashes, and never changed"),
    check("U3", "the log adds up to the stored state"),
    check("A1", "what the publisher's cursor has passed was published and people were told; in the end all of it"),
    check("A2", "the notice of a promotion is published, or its time is over, before traffic moves"),
    check("A3", "people are told each thing once, and again only after a fault"),
    check("C1", "the policy in force is whole, and a refused one changes nothing"),
    check("I1", "nothing panics, and nothing waits without a plan"),
    check("I2", "a function ends after a bounded number of calls, and the bus comes to rest"),
    check("I3", "people who are told of a damaged file are told where it is damaged"),
    check("I4", "what is refused changes nothing, and a state that Refit itself wrote is never called damaged"),
    check("X1", "from any state the sweep leads to rest, or to an alert"),
];

/// The sentence of an invariant.
#[must_use]
pub fn sentence(id: &str) -> &'static str {
    CHECKS.iter().find(|it| it.id == id).map_or("", |it| it.sentence)
}
