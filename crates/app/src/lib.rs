//! Use cases and the ports they stand on: collect what is, plan what comes next, record it, carry it out.
//!
//! No runtime, no service SDK, no clock of its own: time comes through [`ports::Clock`]. Futures of in-memory ports are
//! ready at once, so a simulator can poll the use cases by hand.

pub mod contract;
pub mod decisions;
pub mod doctor;
pub mod documents;
pub mod error;
pub mod explanations;
pub mod measure;
pub mod memo;
pub mod ports;
pub mod queries;
mod recent;
pub mod settings;
pub mod snapshots;
pub mod state;
pub mod use_cases;

pub use error::{AppError, ErrorClass, chain};
pub use memo::Memo;
pub use settings::Settings;
pub use use_cases::{Context, Outcome};
