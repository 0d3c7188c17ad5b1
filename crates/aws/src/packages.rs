//! [`Packages`] on SageMaker's model registry.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::describe_model_package::DescribeModelPackageOutput;
use aws_sdk_sagemaker::types::ModelApprovalStatus;
use refit_app::ports::{ApprovalStatus, PackageDescription, PackageError, Packages};

use crate::call::{Failed, Kind, Limits, Repeat, call};
use crate::sagemaker::{client, is_missing, name_of_arn, time};

/// Packages in SageMaker's model registry.
#[derive(Debug, Clone)]
pub struct SageMakerPackages {
    client: Client,
    limits: Limits,
}

impl SageMakerPackages {
    /// The registry of the caller's account and region.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: Limits) -> SageMakerPackages {
        SageMakerPackages { client: client(config), limits }
    }
}

fn package_error(arn: &str, failed: Failed) -> PackageError {
    match failed.kind {
        Kind::Throttled | Kind::Unknown => PackageError::Unavailable(failed.into()),
        Kind::Denied => PackageError::Denied(failed.into()),
        Kind::Refused if is_missing(&failed) => PackageError::NotFound(arn.to_owned()),
        // Somebody else is changing it.
        Kind::Refused if failed.code == "ConflictException" => PackageError::Unavailable(failed.into()),
        Kind::Refused => PackageError::Invalid(failed.words()),
    }
}

fn description(arn: &str, found: &DescribeModelPackageOutput) -> Result<PackageDescription, PackageError> {
    let lacks = |what: &str| PackageError::Invalid(format!("model package `{arn}` has no {what}"));
    let container = found.inference_specification().and_then(|it| it.containers().first());
    let source = |it: &aws_sdk_sagemaker::types::ModelPackageContainerDefinition| {
        let stated = it.model_data_url().map(str::to_owned);
        stated.or_else(|| it.model_data_source()?.s3_data_source()?.s3_uri().map(str::to_owned))
    };
    let approval = match found.model_approval_status() {
        Some(ModelApprovalStatus::Approved) => ApprovalStatus::Approved,
        Some(ModelApprovalStatus::Rejected) => ApprovalStatus::Rejected,
        // What is not decided may not serve.
        Some(_) | None => ApprovalStatus::PendingManualApproval,
    };
    let metadata = found.customer_metadata_properties().cloned().unwrap_or_default();
    Ok(PackageDescription {
        arn: found.model_package_arn().unwrap_or(arn).to_owned(),
        group: found.model_package_group_name().unwrap_or_else(|| name_of_arn(arn, "model-package")).to_owned(),
        version: found.model_package_version().and_then(|it| u64::try_from(it).ok()).ok_or_else(|| lacks("version"))?,
        model_data_url: container.and_then(source).ok_or_else(|| lacks("model archive"))?,
        approval,
        created_at: time(found.creation_time()),
        metadata: metadata.into_iter().collect(),
    })
}

#[async_trait]
impl Packages for SageMakerPackages {
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError> {
        let request = self.client.describe_model_package().model_package_name(arn);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| package_error(arn, it))?;
        description(arn, &found)
    }

    async fn set_approval(&self, arn: &str, status: ApprovalStatus) -> Result<(), PackageError> {
        let status = match status {
            ApprovalStatus::PendingManualApproval => ModelApprovalStatus::PendingManualApproval,
            ApprovalStatus::Approved => ModelApprovalStatus::Approved,
            ApprovalStatus::Rejected => ModelApprovalStatus::Rejected,
        };
        let request = self.client.update_model_package().model_package_arn(arn).model_approval_status(status);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        // It sets the status absolutely.
        call(self.limits, Repeat::Freely, attempt).await.map(drop).map_err(|it| package_error(arn, it))
    }
}
