//! The events about packages and endpoints, and the queue of all events for the hook.

use jiff::Timestamp;
use refit_app::ports::{PackageDescription, TableError};
use serde_json::{Value, json};

use super::SageMaker;
use super::endpoints::StoredEndpoint;
use crate::pipeline::envelope_of;
use crate::store::Transaction;

/// Whom events in the queue are for.
const TARGET: &str = "hook";

/// "SageMaker Model Package State Change".
pub(super) fn package_event(package: &PackageDescription, details: &Value, time: Timestamp) -> Value {
    let mut detail = json!({
        "ModelPackageGroupName": package.group, "ModelPackageVersion": package.version,
        "ModelPackageArn": package.arn, "CreationTime": package.created_at.as_millisecond(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": { "ValidationStatuses": [], "ImageScanStatuses": [] },
        "CertifyForMarketplace": false, "ModelApprovalStatus": package.approval,
        "LastModifiedTime": time.as_millisecond(),
    });
    for name in ["InferenceSpecification", "ModelMetrics", "MetadataProperties"] {
        if let Some(value) = details.get(name) {
            detail[name] = value.clone();
        }
    }
    envelope_of("SageMaker Model Package State Change", &[&package.arn], detail, time)
}

/// "SageMaker Endpoint State Change"; events write the status in capitals, the API does not.
pub(super) fn endpoint_event(endpoint: &StoredEndpoint, time: Timestamp) -> Value {
    let status = match endpoint.status() {
        "InService" => "IN_SERVICE",
        "Updating" => "UPDATING",
        "Creating" => "CREATING",
        _ => "FAILED",
    };
    let detail = json!({
        "EndpointName": endpoint.name, "EndpointArn": endpoint.arn(), "EndpointConfigName": endpoint.config,
        "ProductionVariants": endpoint.variants(), "EndpointStatus": status,
        "CreationTime": endpoint.created_at.as_millisecond(), "LastModifiedTime": time.as_millisecond(), "Tags": {},
    });
    envelope_of("SageMaker Endpoint State Change", &[&endpoint.arn()], detail, time)
}

impl SageMaker {
    /// Puts events into the queue, as often as the behavior says; none when nobody listens.
    pub(super) fn enqueue_events(
        &self,
        transaction: &Transaction<'_>,
        now: Timestamp,
        events: &[Value],
    ) -> Result<(), TableError> {
        if self.hook.is_none() {
            return Ok(());
        }
        for event in events {
            for copy in 0..self.behavior.event_copies {
                let mut event = event.clone();
                if 0 < copy {
                    // The service's own duplicates differ in their ids.
                    event["id"] = format!("{}-{copy}", event["id"].as_str().unwrap_or_default()).into();
                }
                transaction.enqueue(now, TARGET, &event.to_string())?;
            }
        }
        Ok(())
    }
}
