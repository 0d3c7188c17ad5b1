//! Use cases and the ports they stand on.

pub mod contract;
pub mod ports;
