//! Refit on one machine: the same use cases and handlers over SQLite, files and child processes.

pub mod pipeline;
pub mod replay;
pub mod store;
