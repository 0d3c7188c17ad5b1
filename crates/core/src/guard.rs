//! The guards that the invariants stand on, by name, so that each can be taken away to see that its loss is noticed.
//!
//! In a build with the feature `planted-bugs`, [`plant`] takes one guard away; the simulator must then find a violation. In
//! every other build a guard is what it guards: [`Guard::holds`] gives its argument back, and nothing is left of it.
//!
//! What is not here: the conditions themselves; they stand where they belong, wrapped in `Guard::X.holds(…)`.

#[cfg(feature = "planted-bugs")]
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Votes count only while the champion is the one that the candidate was compared with.
    BasisChampion = "P2";
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
    /// Promotion without a person is frozen after a rollback.
    RollbackFreezes = "P4";
    /// What a rollback could still restore is not removed.
    KeepsReferenced = "P6";
    /// A rollback goes back to the champion before.
    PreviousChampionKept = "R1";
    /// A rollback is recorded only once the endpoint was told to serve the champion before.
    RollbackServes = "R1";
    /// A rollback names the champion that it takes back.
    RollbackFromChampion = "R1";
    /// What a paused worker set back is set right again.
    EndpointRepaired = "R1";
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
    /// A run that is being stopped holds its slot until the service says that its execution has ended.
    SlotThroughStopping = "L4";
    /// A slot does not run out by any clock.
    SlotHeldToTheEnd = "L5";
    /// A request that was answered is marked as such.
    RequestMarked = "E1";
    /// A run moves on as the service says, not as an event says.
    ServiceDecides = "E2";
    /// A run that has to go on is looked at.
    LookAtRuns = "E4";
    /// Each change sets the alarm clock.
    LookSet = "E4";
    /// The time between two runs is kept.
    Cooldown = "T3";
    /// A change and its audit entry are one transaction.
    AuditedInOneTransaction = "U1";
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
}

/// Which guard is away, as its place in [`Guard::ALL`] plus one; 0 when none is.
#[cfg(feature = "planted-bugs")]
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// Takes a guard away, for the whole process, or with `None` puts it back.
#[cfg(feature = "planted-bugs")]
pub fn plant(guard: Option<Guard>) {
    let place = guard.and_then(|it| Guard::ALL.iter().position(|other| *other == it));
    PLANTED.store(place.map_or(0, |it| it + 1), Ordering::SeqCst);
}

impl Guard {
    /// Whether the guard is in its place; always, without the feature.
    #[must_use]
    #[inline]
    pub fn is_kept(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        {
            let place = PLANTED.load(Ordering::Relaxed);
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
