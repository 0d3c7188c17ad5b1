//! What was read as which generation: what a write must find unchanged.

use std::sync::Arc;

use crate::ports::{Expect, Generation, Item, Key};

/// The generations of the few items that make up a model's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Generations(Vec<(Arc<Key>, Generation)>);

impl Generations {
    /// Those of one item, or of none.
    pub(super) fn of(item: Option<Item>) -> Generations {
        Generations(item.map(|it| (it.key, it.generation)).into_iter().collect())
    }

    /// Notes what was read last.
    pub(super) fn note(&mut self, key: Arc<Key>, generation: Generation) {
        match self.0.iter_mut().find(|it| it.0 == key) {
            Some(known) => known.1 = generation,
            None => self.0.push((key, generation)),
        }
    }

    /// The generation that was read, if there was such an item.
    pub(super) fn find(&self, key: &Key) -> Option<Generation> {
        self.0.iter().find(|it| *it.0 == *key).map(|it| it.1)
    }

    /// What a write must find.
    pub(super) fn expect(&self, key: &Key) -> Expect {
        self.find(key).map_or(Expect::Absent, Expect::Generation)
    }
}
