//! Runs SageMaker pipeline definitions on this machine.
pub mod definition;
