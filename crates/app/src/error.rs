//! What can go wrong in a use case, and what kind of wrong it is.

use refit_core::model::Inconsistent;

use crate::ports::{
    BoxError, EndpointError, Failure, Key, ObjectError, PackageError, PipelineError, PublishError, TableError,
};

/// What to do about an error; the only thing that handlers, the API and the CLI branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request is wrong; repeating it is useless.
    Rejected,
    /// Somebody else wrote first; the same request may work when repeated.
    Conflict,
    /// A service failed for now.
    Retryable,
    /// Refit or its stored data is wrong; a person has to look.
    Bug,
}

/// Why a use case did not end.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The registry table failed.
    #[error("reading or writing the registry")]
    Table(#[from] TableError),
    /// The object store failed.
    #[error("reading or writing an object")]
    Object(#[from] ObjectError),
    /// The pipeline service failed.
    #[error("calling the pipeline service")]
    Pipeline(#[from] PipelineError),
    /// The model registry failed.
    #[error("calling the model registry")]
    Package(#[from] PackageError),
    /// The endpoint service failed.
    #[error("calling the endpoint service")]
    Endpoint(#[from] EndpointError),
    /// Publishing failed.
    #[error("publishing events")]
    Publish(#[from] PublishError),
    /// A stored document does not parse.
    #[error("stored document `{key}` does not parse")]
    Corrupt {
        /// Where it is stored.
        key: Key,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A stored object does not parse.
    #[error("stored object `{uri}` does not parse")]
    CorruptObject {
        /// Where it is stored.
        uri: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A planned fact does not fit the state it was planned from.
    #[error("planned fact does not fit the state")]
    Inconsistent(#[from] Inconsistent),
    /// A model's stored state is one that Refit does not write.
    #[error("state of model `{model}` is damaged: {why}")]
    Damaged {
        /// Which model.
        model: String,
        /// What is wrong.
        why: String,
    },
    /// The model is not under watch.
    #[error("model `{0}` is not known: `refit models` lists the models")]
    UnknownModel(String),
    /// Something that was asked for is not known.
    #[error("{0}")]
    NotFound(String),
    /// The state kept changing under the planner.
    #[error("state of model `{0}` kept changing; try again")]
    Contended(String),
    /// A use case went on without coming to an end.
    #[error("planning for model `{0}` did not come to rest")]
    Restless(String),
    /// A request is wrong.
    #[error("{0}")]
    Invalid(String),
}

impl AppError {
    /// What kind of error this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            AppError::Table(error) => class_of(error.failure()),
            AppError::Object(error) => class_of(error.failure()),
            AppError::Pipeline(error) => class_of(error.failure()),
            AppError::Package(error) => class_of(error.failure()),
            AppError::Endpoint(error) => class_of(error.failure()),
            AppError::Publish(error) => class_of(error.failure()),
            AppError::UnknownModel(_) | AppError::NotFound(_) | AppError::Invalid(_) => ErrorClass::Rejected,
            AppError::Contended(_) => ErrorClass::Conflict,
            AppError::Corrupt { .. }
            | AppError::CorruptObject { .. }
            | AppError::Damaged { .. }
            | AppError::Inconsistent(_)
            | AppError::Restless(_) => ErrorClass::Bug,
        }
    }

    /// Whether the state changed between reading and writing.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, AppError::Table(TableError::Conflict { .. }))
    }
}

fn class_of(failure: Failure) -> ErrorClass {
    match failure {
        Failure::Conflict => ErrorClass::Conflict,
        Failure::Unavailable => ErrorClass::Retryable,
        // What a use case asks for was stored by Refit itself: its absence is no caller's mistake.
        Failure::NotFound | Failure::Denied | Failure::Corrupt | Failure::Invalid => ErrorClass::Bug,
    }
}

/// An error with its causes, as one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
