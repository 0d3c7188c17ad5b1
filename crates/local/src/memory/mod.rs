//! The test world: every service in memory, a clock that is set by hand, faults on demand.
//!
//! Deterministic: ordered maps, no randomness, futures that are ready at once. So a use case is polled by hand, without a
//! runtime, and a killed process is a future that is dropped ([`faults`]). Every part has a snapshot that costs little,
//! which lets a harness go back to any moment of a history.
//!
//! What is not here: anything that checks; the invariants stand in the workspace's `tests`.

mod endpoints;
pub mod faults;
mod outputs;
mod packages;
mod pipelines;
mod poll;
mod publisher;
#[cfg(test)]
mod tests;
mod world;

pub use endpoints::{EndpointsSnapshot, MemoryEndpoints};
pub use outputs::Outputs;
pub use packages::{MemoryPackages, PackagesSnapshot};
pub use pipelines::{Ending, MemoryPipelines, PipelinesSnapshot};
pub use poll::{Ran, poll};
pub use publisher::{MemoryPublisher, PublisherSnapshot};
pub(crate) use world::PARAMETERS;
pub use world::{Delivered, Delivery, MODEL, MemoryWorld, Promotion, WorldSnapshot, policy, s3_event, scheduled_event};

use std::fmt;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hashes what `Debug` shows of a value: all of it, for types that cannot be hashed themselves because of their numbers.
pub(crate) fn hash_words(value: &impl fmt::Debug, hasher: &mut impl Hasher) {
    struct Words<'a, H>(&'a mut H);
    impl<H: Hasher> fmt::Write for Words<'_, H> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    // Hashing cannot fail, and no `Debug` of ours does.
    let _ = fmt::Write::write_fmt(&mut Words(hasher), format_args!("{value:?}"));
}

/// State that handles share and that a snapshot copies only when it changes.
#[derive(Debug, Default)]
struct Shared<T>(Arc<Mutex<Arc<T>>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<T: Clone> Shared<T> {
    fn new(state: T) -> Shared<T> {
        Shared(Arc::new(Mutex::new(Arc::new(state))))
    }

    fn snapshot(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    fn restore(&self, snapshot: &Arc<T>) {
        *self.lock() = Arc::clone(snapshot);
    }

    fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.lock())
    }

    fn write<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
        write(Arc::make_mut(&mut *self.lock()))
    }

    /// A panic of another holder is no reason to stop: no change of the state can end half-way.
    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
