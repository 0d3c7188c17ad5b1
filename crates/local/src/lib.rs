//! Refit on one machine: the same use cases and handlers over SQLite, files and child processes.

pub mod api;
pub mod clock;
pub mod memory;
pub mod pipeline;
pub mod replay;
pub mod report;
pub mod routing;
pub mod sagemaker;
pub mod sim;
pub mod store;
pub mod world;
