//! The registry of model packages.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BoxError, Failure};

/// SageMaker's approval status; Refit sets it when it promotes or rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalStatus {
    /// Not decided.
    PendingManualApproval,
    /// May serve.
    Approved,
    /// May not.
    Rejected,
}

/// A registered package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageDescription {
    /// Its ARN, which ends in `<group>/<version>`.
    pub arn: String,
    /// Its model package group.
    pub group: String,
    /// Its number within the group, from 1.
    pub version: u64,
    /// Where the model archive is.
    pub model_data_url: String,
    /// Its approval status.
    pub approval: ApprovalStatus,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Customer metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Why a registry call failed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// There is no such package.
    #[error("model package `{0}` does not exist")]
    NotFound(String),
    /// The service asks to slow down or could not be reached. A write may have been applied.
    #[error("model registry could not be reached")]
    Unavailable(#[source] BoxError),
    /// The caller may not do this.
    #[error("access to the model registry was denied")]
    Denied(#[source] BoxError),
    /// The request cannot work.
    #[error("request to the model registry is invalid: {0}")]
    Invalid(String),
}

impl PackageError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            PackageError::NotFound(_) => Failure::NotFound,
            PackageError::Unavailable(_) => Failure::Unavailable,
            PackageError::Denied(_) => Failure::Denied,
            PackageError::Invalid(_) => Failure::Invalid,
        }
    }
}

/// Describes registered packages and records their approval.
#[async_trait]
pub trait Packages: Send + Sync {
    /// Describes a package.
    ///
    /// # IAM
    /// `sagemaker:DescribeModelPackage`
    ///
    /// # Errors
    /// See [`PackageError`].
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError>;

    /// Sets the approval status. Setting it to what it is has no effect.
    ///
    /// # IAM
    /// `sagemaker:UpdateModelPackage`
    ///
    /// # Errors
    /// See [`PackageError`].
    async fn set_approval(&self, arn: &str, status: ApprovalStatus) -> Result<(), PackageError>;
}
