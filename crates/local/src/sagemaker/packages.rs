//! The model registry as callers see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use refit_app::ports::{ApprovalStatus, PackageDescription};
use serde_json::{Map, Value, json};

use super::SageMaker;
use super::protocol::{Fields, Paging, Refusal, compact, epoch};
use crate::pipeline::{PACKAGE_ARN, PackageGroup, Registration};

/// What a package keeps under names of its own; everything else is passed on as it came.
const INTERPRETED: &[&str] =
    &["ModelPackageGroupName", "ModelApprovalStatus", "CustomerMetadataProperties", "ClientToken", "Tags"];

/// Tells packages apart that are made in one moment without a token.
static NONCE: AtomicU64 = AtomicU64::new(0);

fn group_arn(name: &str) -> String {
    format!("arn:aws:sagemaker:us-east-1:000000000000:model-package-group/{}", name.to_lowercase())
}

/// The group's name in a name or ARN.
fn group_name(text: &str) -> &str {
    text.rsplit_once("model-package-group/").map_or(text, |(_, name)| name)
}

/// The ARN in an ARN or `<group>/<version>`.
fn package_arn(text: &str) -> String {
    if text.starts_with("arn:") { text.to_owned() } else { format!("{PACKAGE_ARN}{}", text.to_lowercase()) }
}

impl SageMaker {
    fn find_group(&self, name: &str) -> Result<Option<PackageGroup>, Refusal> {
        Ok(self.packages.list_groups()?.into_iter().find(|it| it.name.eq_ignore_ascii_case(name)))
    }

    fn get_group(&self, request: &Fields<'_>) -> Result<PackageGroup, Refusal> {
        let name = group_name(request.text("ModelPackageGroupName")?);
        self.find_group(name)?
            .ok_or_else(|| Refusal::validation(format!("ModelPackageGroup {} does not exist.", group_arn(name))))
    }

    pub(super) fn create_group(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("ModelPackageGroupName")?;
        let description = request.find_text("ModelPackageGroupDescription")?.map(str::to_owned);
        if !self.packages.create_group(name, description, self.now())? {
            return Err(Refusal::validation(format!("Model Package Group already exists: {}", group_arn(name))));
        }
        Ok(json!({ "ModelPackageGroupArn": group_arn(name) }))
    }

    pub(super) fn describe_group(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        Ok(describe_group(&self.get_group(request)?))
    }

    pub(super) fn list_groups(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let contained = request.find_text("NameContains")?.unwrap_or_default();
        let mut groups = self.packages.list_groups()?;
        groups.retain(|it| it.name.contains(contained));
        groups.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        let items = groups.iter().map(|it| (it.name.clone(), describe_group(it))).collect();
        Paging::read(request)?.page("ModelPackageGroupSummaryList", items)
    }

    pub(super) fn create_package(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let group = self.get_group(request)?;
        let specification = request.find("InferenceSpecification").map(Fields::new).transpose()?;
        let containers = specification.map(|it| it.objects("Containers")).transpose()?.unwrap_or_default();
        let model_data_url = containers.first().map(|it| it.find_text("ModelDataUrl")).transpose()?.flatten();
        let nonce = || format!("{}-{}", self.now().as_nanosecond(), NONCE.fetch_add(1, Ordering::Relaxed));
        let registration = Registration {
            execution_arn: "CreateModelPackage".to_owned(),
            step: request.find_text("ClientToken")?.map_or_else(nonce, str::to_owned),
            group: group.name,
            model_data_url: model_data_url.unwrap_or_default().to_owned(),
            approval: request.find_text("ModelApprovalStatus")?.unwrap_or("PendingManualApproval").to_owned(),
            metadata: metadata(request)?,
            details: request.except(INTERPRETED),
        };
        let package = self.packages.register(&registration, self.now())?;
        self.tell_package(&package.arn)?;
        Ok(json!({ "ModelPackageArn": package.arn }))
    }

    fn get_package(&self, arn: &str) -> Result<(PackageDescription, Value, Timestamp), Refusal> {
        let found = self.packages.find(arn)?;
        found.ok_or_else(|| Refusal::validation(format!("ModelPackage {arn} does not exist.")))
    }

    pub(super) fn describe_package(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let (package, details, changed_at) = self.get_package(&package_arn(request.text("ModelPackageName")?))?;
        Ok(describe_package(&package, &details, changed_at))
    }

    pub(super) fn update_package(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let arn = package_arn(request.text("ModelPackageArn")?);
        let (before, _, _) = self.get_package(&arn)?;
        let status = request.find("ModelApprovalStatus").cloned().map(serde_json::from_value::<ApprovalStatus>);
        let status = status
            .transpose()
            .map_err(|error| Refusal::validation(format!("ModelApprovalStatus is not known: {error}")))?;
        let metadata = metadata(request)?;
        let removed: Vec<&str> =
            request.list("CustomerMetadataPropertiesToRemove")?.iter().filter_map(Value::as_str).collect();
        let description = request.find("ApprovalDescription").cloned();
        self.packages.change(&arn, self.now(), |package, details| {
            package.approval = status.unwrap_or(package.approval);
            package.metadata.extend(metadata);
            package.metadata.retain(|name, _| !removed.contains(&name.as_str()));
            if let (Some(description), Value::Object(details)) = (description, details) {
                details.insert("ApprovalDescription".to_owned(), description);
            }
        })?;
        if status.is_some_and(|it| it != before.approval) {
            self.tell_package(&arn)?;
        }
        Ok(json!({ "ModelPackageArn": arn }))
    }

    pub(super) fn list_packages(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let mut packages = match request.find_text("ModelPackageGroupName")? {
            Some(_) => self.packages.list(&self.get_group(request)?.name)?,
            None => return Err(Refusal::validation("ModelPackageGroupName must be given: all packages have a group")),
        };
        let wanted = request.find_text("ModelApprovalStatus")?;
        packages.retain(|it| wanted.is_none_or(|wanted| wanted == word(it.approval)));
        let summaries = packages.into_iter().map(|it| {
            let summary = json!({
                "ModelPackageGroupName": it.group, "ModelPackageVersion": it.version, "ModelPackageArn": it.arn,
                "CreationTime": epoch(it.created_at), "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": it.approval, "ModelPackageRegistrationType": "Registered",
            });
            (it.arn.clone(), summary)
        });
        Paging::read(request)?.page("ModelPackageSummaryList", summaries.collect())
    }

    /// Tells the hook what a package is now.
    pub(super) fn tell_package(&self, arn: &str) -> Result<(), Refusal> {
        let (package, details, changed_at) = self.get_package(arn)?;
        let event = super::events::package_event(&package, &details, changed_at);
        let now = self.now();
        Ok(self.database.update(|transaction| self.enqueue_events(transaction, now, &[event]))?)
    }
}

fn word(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::PendingManualApproval => "PendingManualApproval",
        ApprovalStatus::Approved => "Approved",
        ApprovalStatus::Rejected => "Rejected",
    }
}

fn metadata(request: &Fields<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(properties) = request.find("CustomerMetadataProperties") else { return Ok(BTreeMap::new()) };
    serde_json::from_value(properties.clone())
        .map_err(|_| Refusal::validation("CustomerMetadataProperties must be an object of texts"))
}

fn describe_group(group: &PackageGroup) -> Value {
    compact(json!({
        "ModelPackageGroupName": group.name, "ModelPackageGroupArn": group_arn(&group.name),
        "ModelPackageGroupDescription": group.description, "CreationTime": epoch(group.created_at),
        "CreatedBy": {}, "ModelPackageGroupStatus": "Completed",
    }))
}

fn describe_package(package: &PackageDescription, details: &Value, changed_at: Timestamp) -> Value {
    let mut members: Map<String, Value> = details.as_object().cloned().unwrap_or_default();
    let own = compact(json!({
        "ModelPackageName": package.arn.strip_prefix(PACKAGE_ARN), "ModelPackageGroupName": package.group,
        "ModelPackageVersion": package.version, "ModelPackageArn": package.arn,
        "ModelPackageRegistrationType": "Registered", "CreationTime": epoch(package.created_at),
        "LastModifiedTime": epoch(changed_at), "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": { "ValidationStatuses": [], "ImageScanStatuses": [] },
        "CertifyForMarketplace": false, "ModelApprovalStatus": package.approval,
        "CustomerMetadataProperties": Some(&package.metadata).filter(|it| !it.is_empty()),
    }));
    if let Value::Object(own) = own {
        members.extend(own);
    }
    Value::Object(members)
}
