//! The adapters over the wire: the real SDK against an emulator (MiniStack), with faults between the two.

mod alerts;
mod contract;
mod emulator;
mod faults;
mod own;
mod proxy;
mod race;
mod range;
mod sagemaker;
