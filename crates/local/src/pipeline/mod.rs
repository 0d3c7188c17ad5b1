//! Runs SageMaker pipeline definitions on this machine, with SageMaker's rules for inputs, outputs and failure.
//!
//! The definition that runs here is the one that is sent to AWS, so what is tried at a desk is what runs in the cloud:
//! [`definition`] parses and lints it, [`Parts`] compares two, [`interpreter`] runs it with steps as child processes, [`LocalPipelines`] and
//! [`LocalPackages`] put both behind the ports that the rest of Refit uses.
//!
//! Not here: containers. A step's program runs on the host, in a sandbox folder that stands for `/opt/ml`, with the
//! rights of whoever started Refit: run only definitions that you trust.

pub mod definition;
pub mod interpreter;

mod diff;
mod events;
mod packages;
mod service;
mod standalone;
#[cfg(test)]
mod tests;

pub use definition::{Definition, LintReport, Problem, lint};
pub use diff::{Change, ChangeKind, DefinitionDiff, Parts, Subject};
pub(crate) use events::{envelope_of, execution_id};
pub use events::{status_event, step_event};
pub use interpreter::Programs;
pub(crate) use interpreter::{chain, job_arn, wait};
pub(crate) use packages::ARN as PACKAGE_ARN;
pub use packages::{LocalPackages, PackageGroup, Registration};
pub use service::{DefineError, LocalPipelines};
pub(crate) use service::{StoredExecution, StoredVersion, pipeline_arn};
pub use standalone::run_definition;
