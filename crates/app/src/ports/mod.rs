//! What Refit needs from the world, as capabilities with a real implementation on both sides.
//!
//! Every method says in its `# IAM` section which actions its cloud adapter needs; [`iam`] lists them for the check of
//! the template. Errors tell apart what callers branch on, see [`Failure`].

pub mod body;
pub mod clock;
pub mod endpoints;
pub mod iam;
pub mod limits;
pub mod objects;
pub mod packages;
pub mod pipelines;
pub mod publisher;
pub mod table;

pub use body::Body;
pub use clock::Clock;
pub use endpoints::{EndpointError, EndpointState, EndpointStatus, Endpoints, Variant};
pub use objects::{Object, ObjectError, ObjectInfo, ObjectPage, Objects};
pub use packages::{ApprovalStatus, PackageDescription, PackageError, Packages};
pub use pipelines::{
    Execution, ExecutionStatus, PipelineDescription, PipelineError, Pipelines, StartRequest, StepState,
};
pub use publisher::{Alert, AlertKind, OutboundEvent, PublishError, Publisher};
pub use table::{
    DUE_SHARDS, Due, DueItem, DuePage, Expect, Generation, Item, Key, Order, Page, Query, Table, TableError, Token,
    Write,
};

/// An error of a foreign library, kept as the cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What kind of failure a port error is; the only thing that callers branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// What was asked for does not exist.
    NotFound,
    /// Somebody else wrote first; read again and decide again.
    Conflict,
    /// The service asks to slow down, or could not be reached: the same call may work later.
    Unavailable,
    /// The caller has no right to do this.
    Denied,
    /// Stored data does not parse.
    Corrupt,
    /// The request itself is wrong and can never work.
    Invalid,
}

/// The ports of one world, shared by every handler.
#[derive(Clone)]
pub struct Ports {
    /// State.
    pub table: std::sync::Arc<dyn Table>,
    /// Documents and data.
    pub objects: std::sync::Arc<dyn Objects>,
    /// Training.
    pub pipelines: std::sync::Arc<dyn Pipelines>,
    /// The model registry.
    pub packages: std::sync::Arc<dyn Packages>,
    /// Serving.
    pub endpoints: std::sync::Arc<dyn Endpoints>,
    /// Events and alerts.
    pub publisher: std::sync::Arc<dyn Publisher>,
    /// Time.
    pub clock: std::sync::Arc<dyn Clock>,
}
