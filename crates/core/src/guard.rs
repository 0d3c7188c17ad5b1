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
    /// A slot is taken only while fewer than `concurrent_runs` are.
    SlotLimit = "L1";
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
