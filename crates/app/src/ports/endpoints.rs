//! Serving endpoints: which packages take which share of the traffic.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{BoxError, Failure};

/// One arm of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name, unique within the endpoint.
    pub name: String,
    /// The package it serves.
    pub package_arn: String,
    /// Its share of the traffic relative to the sum of weights.
    pub weight: f64,
}

/// What an endpoint is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    /// Serving as described.
    InService,
    /// Changing; refuses further changes.
    Updating,
    /// Not able to serve.
    Failed,
}

/// What the service says about an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointState {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub status: EndpointStatus,
    /// Its arms.
    pub variants: Vec<Variant>,
}

/// Why an endpoint call failed.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// There is no such endpoint.
    #[error("endpoint `{0}` does not exist")]
    NotFound(String),
    /// The endpoint is changing and refuses further changes for now.
    #[error("endpoint `{0}` is updating")]
    Updating(String),
    /// The service asks to slow down or could not be reached. A change may have been applied.
    #[error("endpoint service could not be reached")]
    Unavailable(#[source] BoxError),
    /// The caller may not do this.
    #[error("access to the endpoint service was denied")]
    Denied(#[source] BoxError),
    /// The request cannot work.
    #[error("request to the endpoint service is invalid: {0}")]
    Invalid(String),
}

impl EndpointError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            EndpointError::NotFound(_) => Failure::NotFound,
            EndpointError::Updating(_) | EndpointError::Unavailable(_) => Failure::Unavailable,
            EndpointError::Denied(_) => Failure::Denied,
            EndpointError::Invalid(_) => Failure::Invalid,
        }
    }
}

/// Reads and sets what an endpoint serves.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Describes an endpoint.
    ///
    /// # IAM
    /// `sagemaker:DescribeEndpoint`
    ///
    /// # Errors
    /// See [`EndpointError`].
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError>;

    /// Makes the endpoint serve exactly `variants` with these weights, creating it if need be; without effect when it
    /// does so already. Absolute, so that doing it twice is doing it once.
    ///
    /// # IAM
    /// `sagemaker:CreateModel`, `sagemaker:CreateEndpointConfig`, `sagemaker:CreateEndpoint`, `sagemaker:UpdateEndpoint`
    ///
    /// # Errors
    /// [`EndpointError::Updating`] while an earlier change is under way.
    async fn ensure_variants(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError>;
}
