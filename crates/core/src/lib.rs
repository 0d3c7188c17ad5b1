//! The domain of Refit: what is decided, never how it is carried out. Synchronous, without I/O, clock or randomness.
//!
//! Read in the order of the loop: [`policy`] says what is wanted, [`trigger`] finds reasons to retrain, a [`run`] trains a
//! candidate, [`evaluation`] judges it, an [`approval`] lets people decide, [`audit`] records every fact and [`model`] is
//! the state that the facts add up to. [`plan`] holds the planners: each looks at a state and says what comes next.

mod actor;
pub mod approval;
pub mod audit;
pub mod config;
mod damage;
pub mod decision;
pub mod evaluation;
mod guard;
mod json;
pub mod model;
mod names;
pub mod package;
pub mod plan;
pub mod policy;
pub mod proposal;
mod rows_digest;
pub mod run;
pub mod snapshot;
pub mod tenure;
pub mod trigger;
mod window;

pub use actor::{Actor, ActorKind};
pub use guard::Guard;
#[cfg(feature = "planted-bugs")]
pub use guard::plant;
pub use json::to_json;
pub use names::{Digest, ModelId, NameError, ObjectUri, RunId, is_name};
pub use rows_digest::RowsDigest;
pub use window::Window;
