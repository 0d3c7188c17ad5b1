//! The guards that the invariants stand on, by name, so that each can be taken away to see that its loss is noticed.
//!
//! In a build with the feature `planted-bugs`, [`plant`] takes one guard away; the simulator must then find a violation. In
//! every other build a guard is what it guards: [`Guard::holds`] gives its argument back, and nothing is left of it.
//!
//! What is not here: the conditions themselves; they stand where they belong, wrapped in `Guard::X.holds(…)`.

#[cfg(feature = "planted-bugs")]
use std::cell::Cell;

macro_rules! guards {
    ($($(#[doc = $doc:literal])+ $name:ident = $invariant:literal;)+) => {
        /// A condition that an invariant needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Guard {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Guard {
            /// Every guard.
            pub const ALL: &'static [Guard] = &[$(Guard::$name,)+];

            /// The name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Guard::$name => stringify!($name),)+
                }
            }

            /// The id of the invariant that it serves (RELIABILITY section 1.2).
            #[must_use]
            pub fn invariant(self) -> &'static str {
                match self {
                    $(Guard::$name => $invariant,)+
                }
            }
        }
    };
}

guards! {
    /// A promotion retires the champion before.
    OldChampionRetires = "P1";
    /// A promotion is recorded only once the endpoint was told to serve the candidate.
    ServeBeforePromotion = "P1";
    /// An endpoint that is changing did not take the change.
    ServeAwaited = "P1";
    /// The archive that is served is the one that was judged.
    ArchiveUnchanged = "P2";
    /// The archive that is judged is the one that the pipeline evaluated.
    ArchiveAsEvaluated = "P2";
    /// A candidate is judged only against the champion that it was compared with.
    ComparedChampion = "P2";
    /// A candidate whose gate did not pass is refused.
    GatesDecide = "P2";
    /// Votes count only while the champion is the one that the candidate was compared with.
    BasisChampion = "P2";
    /// Votes count only while gates and promotion policy are those that were voted on.
    BasisPolicy = "P2";
    /// A candidate is promoted only over the champion that it was compared with.
    ChampionUnchanged = "P2";
    /// One "decline" outweighs every "approve".
    DeclineOutweighs = "P3";
    /// As many people must approve as the policy asks.
    QuorumCounts = "P3";
    /// Nobody approves after the request has expired.
    VoteExpires = "P3";
    /// Votes count only while they are asked for.
    VoteWhilePending = "P3";
    /// A vote about something else than is stored does not count.
    VoteBasis = "P3";
    /// Each person votes once.
    VoteOnce = "P3";
    /// Whoever asked for a run does not approve it.
    OwnRunRefused = "P3";
    /// Promotion without a person is what the policy asks for.
    AutoAsked = "P4";
    /// A candidate is promoted without a person only when its gates passed.
    AutoAfterGates = "P4";
    /// A candidate is promoted without a person only when it is better by as much as the policy asks.
    AutoBarMet = "P4";
    /// A freeze is heeded.
    FreezeHeeded = "P4";
    /// Promotion without a person is frozen after a rollback.
    RollbackFreezes = "P4";
    /// Whoever has read an older state writes nothing.
    StaleRefused = "P5";
    /// What a rollback could still restore is not removed.
    KeepsReferenced = "P6";
    /// Nothing is removed while the champion may change.
    CleansWhenIdle = "P6";
    /// A version whose archive was removed is not promoted again.
    RemovedNotPromoted = "P6";
    /// A rollback goes back to the champion before.
    PreviousChampionKept = "R1";
    /// A rollback is recorded only once the endpoint was told to serve the champion before.
    RollbackServes = "R1";
    /// A rollback names the champion that it takes back.
    RollbackFromChampion = "R1";
    /// What a paused worker set back is set right again.
    EndpointRepaired = "R1";
    /// A rollback reads HEAD and two packages, and nothing that may be broken.
    RollbackReadsLittle = "R3";
    /// The sweep carries a rollback on before it looks at anything else.
    SweepRollsBackFirst = "R3";
    /// A repeated request to go back does not go back twice.
    RollbackOnce = "E1";
    /// One active run a model.
    OneActiveRun = "L1";
    /// A slot is taken only while fewer than `concurrent_runs` are.
    SlotLimit = "L1";
    /// Whoever starts an execution is among the holders.
    SlotTaken = "L1";
    /// The slots are written only as they were read.
    SlotsConditional = "L1";
    /// A run that has ended is no holder any more.
    SlotFreed = "L2";
    /// A run that was started leaves the queue.
    QueueLeft = "L3";
    /// The sweep wakes what a run waits for.
    SweepWakesRuns = "L3";
    /// A slot whose run is over or gone is freed.
    SlotsReclaimed = "L3";
    /// An execution that takes too long is stopped.
    TimeoutStops = "L3";
    /// A run that is being stopped holds its slot until the service says that its execution has ended.
    SlotThroughStopping = "L4";
    /// A run that is being stopped ends when the service says that its execution has ended.
    StopAwaited = "L4";
    /// An execution that the service does not know yet is waited for.
    UnknownAwaited = "L4";
    /// Of a slot whose run is over the service is asked before it is freed.
    ReclaimAsks = "L4";
    /// A slot does not run out by any clock.
    SlotHeldToTheEnd = "L5";
    /// A request that was answered is marked as such.
    RequestMarked = "E1";
    /// A run moves on as the service says, not as an event says.
    ServiceDecides = "E2";
    /// To try a run again is another run: what has ended stays as it is.
    RetryIsAnotherRun = "E3";
    /// A run that has to go on is looked at.
    LookAtRuns = "E4";
    /// Each change sets the alarm clock.
    LookSet = "E4";
    /// Only Refit's own events are taken as such.
    OwnSource = "E5";
    /// An execution concerns a run only when it is the one that the run recorded.
    ExecutionOfRun = "E5";
    /// What is refused is answered, and not retried.
    RefusedNotRetried = "E5";
    /// The key of a start is a pure function of the run and the attempt.
    StartKeyOfRun = "T1";
    /// An execution that was started already is looked for first.
    StartLooksFirst = "T1";
    /// An execution is started with the request as it was frozen.
    RequestFrozen = "T2";
    /// A request of the same name with other content is not trained.
    RequestUnchanged = "T2";
    /// The time between two runs is kept.
    Cooldown = "T3";
    /// A change and its audit entry are one transaction.
    AuditedInOneTransaction = "U1";
    /// Each entry of the log names the hash of the one before.
    EntriesChained = "U2";
    /// Whatever a fact changes is stored with it.
    ChangesStored = "U3";
    /// The cursor passes what was published.
    CursorAfterPublish = "A1";
    /// The cursor passes what people were told.
    PeopleToldFirst = "A1";
    /// The sweep wakes the publisher.
    SweepPublishes = "A1";
    /// Traffic moves after the notice.
    NoticeFirst = "A2";
    /// People are told each thing once.
    ToldOnce = "A3";
    /// The pointer to a policy is written after the policy.
    PolicyStoredFirst = "C1";
    /// A policy with a gate beyond the reach of any candidate is refused.
    ImpossibleRefused = "C1";
    /// A state that does not fit together is not planned on.
    DamageFound = "I1";
    /// A run that cannot be started is tried so often and no oftener.
    TriesBounded = "I2";
    /// What people are told about a damaged file names the place in it.
    PlaceNamed = "I3";
    /// A damaged file changes nothing of what was taken in before from its address.
    DamagedLeftOut = "I4";
    /// People are told of a model that cannot be looked at.
    DamageTold = "X1";
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    /// Which guard is away, as its place in [`Guard::ALL`] plus one; 0 when none is.
    static PLANTED: Cell<usize> = const { Cell::new(0) };
}

/// Takes a guard away, for the calling thread, or with `None` puts it back.
#[cfg(feature = "planted-bugs")]
pub fn plant(guard: Option<Guard>) {
    let place = guard.and_then(|it| Guard::ALL.iter().position(|other| *other == it));
    PLANTED.set(place.map_or(0, |it| it + 1));
}

impl Guard {
    /// Whether the guard is in its place; always, without the feature.
    #[must_use]
    #[inline]
    pub fn is_kept(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        {
            let place = PLANTED.get();
            place == 0 || Guard::ALL.get(place - 1) != Some(&self)
        }
        #[cfg(not(feature = "planted-bugs"))]
        {
            let _ = self;
            true
        }
    }

    /// Whether what the guard asks for is met; without the guard it always is.
    #[must_use]
    #[inline]
    pub fn holds(self, is_met: bool) -> bool {
        is_met || !self.is_kept()
    }
}
