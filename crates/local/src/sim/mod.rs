//! The simulator: the real core, use cases and handlers over the memory world, under every fault, by seed.

pub mod checks;
pub mod record;

pub use checks::{CHECKS, Check, Checked, Checker, Violation};
pub use record::{Recorder, Transaction};
