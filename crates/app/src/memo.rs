//! What pure functions gave lately, by the digest of all that they were given.
//!
//! The same bytes mean the same policy, and the same rows with the same seed the same comparison: a function that is called
//! again with what it was given before, as after a conflict, need not compute it again. Nothing is left out that asks the
//! world: whoever calls has read the inputs anew.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use refit_core::Digest;
use refit_core::evaluation::{Comparison, Evidence};
use refit_core::policy::{Metric, Policy};

/// A policy and the bytes that it is written as, which have its digest.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) policy: Arc<Policy>,
    pub(crate) bytes: Bytes,
}

/// Most results of a kind that a function keeps.
const MOST: usize = 8;

/// What was computed lately. Clones share it.
#[derive(Debug, Clone)]
pub struct Memo(Arc<Known>);

#[derive(Debug)]
struct Known {
    policies: Lately<Written>,
    evidence: Lately<Result<Evidence, String>>,
    comparisons: Lately<BTreeMap<Metric, Comparison>>,
}

impl Default for Memo {
    fn default() -> Self {
        Memo::of(MOST)
    }
}

impl Memo {
    /// Keeps at most so many results of a kind.
    #[must_use]
    pub fn of(most: usize) -> Memo {
        Memo(Arc::new(Known { policies: Lately::of(most), evidence: Lately::of(most), comparisons: Lately::of(most) }))
    }

    /// The policies whose bytes have this digest.
    pub(crate) fn policies(&self) -> &Lately<Written> {
        &self.0.policies
    }

    /// What files say by the digest of the files and of what was asked.
    pub(crate) fn evidence(&self) -> &Lately<Result<Evidence, String>> {
        &self.0.evidence
    }

    /// Comparisons by the digest of their rows and their seed.
    pub(crate) fn comparisons(&self) -> &Lately<BTreeMap<Metric, Comparison>> {
        &self.0.comparisons
    }
}

/// Results by their inputs.
pub(crate) struct Lately<T> {
    most: usize,
    known: Mutex<BTreeMap<Digest, Arc<T>>>,
}

impl<T> fmt::Debug for Lately<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lately({})", self.lock().len())
    }
}

impl<T> Lately<T> {
    fn of(most: usize) -> Lately<T> {
        Lately { most, known: Mutex::default() }
    }

    /// The result for these inputs, if it is known.
    pub(crate) fn find(&self, inputs: &Digest) -> Option<Arc<T>> {
        self.lock().get(inputs).map(Arc::clone)
    }

    /// Remembers a result; begins anew when there are too many.
    pub(crate) fn add(&self, inputs: Digest, result: &Arc<T>) {
        let mut known = self.lock();
        if self.most <= known.len() {
            known.clear();
        }
        known.insert(inputs, Arc::clone(result));
    }

    /// A panic of another holder is no reason to stop: no change of it can end half-way.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_allowed() {
        let lately: Lately<u8> = Lately::of(2);
        let digest = |it: u8| Digest::of(&[it]);
        for number in 0..3 {
            lately.add(digest(number), &Arc::new(number));
            assert_eq!(lately.find(&digest(number)).as_deref(), Some(&number));
        }
        assert_eq!(lately.find(&digest(0)), None);
    }
}
