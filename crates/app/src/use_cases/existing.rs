//! Versions that exist already: adopting one that was made elsewhere, promoting one of Refit's own again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_core::package::{Measured, Package, PackageStatus};
use refit_core::plan::{AdoptionRequest, PromotionRequest, Question};
use refit_core::policy::{Metric, ModelPolicy};
use refit_core::{Digest, ModelId, ObjectUri, Window};
use serde_json::Value;

use super::promote_model::serving;
use super::{Context, Outcome, Planner, Situation, drive};
use crate::documents::{package_key, parse};
use crate::error::{AppError, chain};
use crate::measure::MAX_FILE_BYTES;
use crate::ports::{ObjectError, PackageDescription, PackageError};

/// A request to promote a version, with the id that makes it count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionOrder {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub request: PromotionRequest,
}

/// A request to adopt a model, with the id that makes it count once.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptionOrder {
    /// Names the request.
    pub id: String,
    /// What is asked.
    pub request: AdoptionRequest,
    /// The package; what the endpoint serves alone when absent.
    pub package_arn: Option<String>,
    /// An evaluation.json, for its quality on data that it has not seen; unknown when absent.
    pub evaluation: Option<Value>,
}

struct PromoteVersion<'a>(&'a PromotionOrder);

#[async_trait]
impl Planner for PromoteVersion<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        if !situation.is_request_open {
            return Ok(Question::Nothing);
        }
        let request = self.0.request.clone();
        // Packages change with HEAD only: a record that is planned on an older one is refused.
        let key = package_key(&situation.loaded.model.head.model, request.version);
        let package = context.ports.table.get(&key).await?.as_ref().map(parse::<Package>).transpose()?;
        Ok(Question::PromoteVersion { request, package: package.map(Box::new) })
    }

    fn request_id(&self) -> Option<&str> {
        Some(&self.0.id)
    }
}

struct Adopt<'a>(&'a AdoptionOrder);

#[async_trait]
impl Planner for Adopt<'_> {
    async fn ask(&self, context: &Context, situation: &Situation<'_>) -> Result<Question, AppError> {
        if !situation.is_request_open {
            return Ok(Question::Nothing);
        }
        let serving = serving(context, &situation.loaded.model.head.endpoint.name).await?;
        let arn = self.0.package_arn.as_ref().or(serving.as_ref());
        let package = match arn {
            Some(arn) => describe(context, &situation.in_force.model, self.0, arn, situation.now).await?,
            None => Err("the endpoint serves no single package: name one by its ARN".to_owned()),
        };
        Ok(Question::Adopt { request: self.0.request.clone(), package: package.map(Box::new), serving })
    }

    fn request_id(&self) -> Option<&str> {
        Some(&self.0.id)
    }
}

/// The package as champion, or why it cannot be.
async fn describe(
    context: &Context,
    policy: &ModelPolicy,
    order: &AdoptionOrder,
    arn: &str,
    now: Timestamp,
) -> Result<Result<Package, String>, AppError> {
    let description = match context.ports.packages.describe(arn).await {
        Ok(description) => description,
        Err(error @ (PackageError::NotFound(_) | PackageError::Invalid(_))) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if description.group != policy.package_group {
        let (group, wanted) = (&description.group, &policy.package_group);
        return Ok(Err(format!("it belongs to package group `{group}`, the policy says `{wanted}`")));
    }
    let quality = match order.evaluation.as_ref().map(|it| read_quality(it, policy)).transpose() {
        Ok(quality) => quality.unwrap_or_default(),
        Err(why) => return Ok(Err(why)),
    };
    let model: ObjectUri = match description.model_data_url.parse() {
        Ok(model) => model,
        Err(error) => return Ok(Err(format!("its archive: {error}"))),
    };
    match context.ports.objects.get(&model, MAX_FILE_BYTES).await {
        Ok(object) => Ok(Ok(champion(description, model, Digest::of(&object.bytes), quality, now))),
        Err(error @ (ObjectError::NotFound(_) | ObjectError::TooLarge { .. } | ObjectError::Invalid { .. })) => {
            Ok(Err(format!("its archive: {}", chain(&error))))
        }
        Err(error) => Err(error.into()),
    }
}

fn champion(
    description: PackageDescription,
    model: ObjectUri,
    artifact: Digest,
    quality: BTreeMap<Metric, Measured>,
    now: Timestamp,
) -> Package {
    // What it learned from is not known: nothing before it was registered is fresh to it.
    let registered = description.created_at;
    let unknown = Window { start: registered, end: registered };
    Package {
        schema: Package::SCHEMA,
        version: description.version,
        arn: description.arn,
        run: None,
        model,
        artifact,
        train: unknown,
        holdout: unknown,
        quality,
        registered_at: registered,
        metadata: description.metadata,
        status: PackageStatus::Champion,
        promoted_at: Some(now),
        replaced: None,
        replaced_before: Vec::new(),
        removed_at: None,
    }
}

/// The sections of an evaluation.json that hold metrics (FORMATS 2.6); without one they stand at the top.
const SECTIONS: [&str; 4] =
    ["regression_metrics", "binary_classification_metrics", "multiclass_classification_metrics", "metrics"];

/// The metrics of an evaluation.json that apply to the model: numbers, or objects with a `value` and perhaps a
/// `standard_deviation`, which is taken as the value's standard error.
fn read_quality(evaluation: &Value, policy: &ModelPolicy) -> Result<BTreeMap<Metric, Measured>, String> {
    let section = SECTIONS.iter().find_map(|it| evaluation.get(it)).unwrap_or(evaluation);
    let mut quality = BTreeMap::new();
    for metric in Metric::ALL.into_iter().filter(|it| it.applies_to(policy.task)) {
        let Some(stated) = section.get(metric.name()) else { continue };
        let value = stated.as_f64().or_else(|| stated.get("value")?.as_f64());
        let (low, high) = metric.range();
        let Some(value) = value.filter(|it| low <= *it && *it <= high && it.is_finite()) else {
            return Err(format!("its evaluation gives {stated} as {}, which is not a value of it", metric.name()));
        };
        let standard_error = stated.get("standard_deviation").and_then(Value::as_f64).filter(|it| 0.0 <= *it);
        let count = |key: &str| stated.get(key).and_then(Value::as_u64).unwrap_or(0);
        quality.insert(metric, Measured { value, standard_error, rows: count("rows"), blocks: count("blocks") });
    }
    if quality.is_empty() {
        return Err("its evaluation has no metric of the model's task".to_owned());
    }
    Ok(quality)
}

/// Asks people whether a version that exists is to be champion.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "promote_version", skip_all, fields(model.id = %model))]
pub async fn promote_version(context: &Context, model: &ModelId, order: &PromotionOrder) -> Result<Outcome, AppError> {
    drive(context, model, &PromoteVersion(order)).await
}

/// Brings a model under watch that was made elsewhere, as champion.
///
/// # Errors
/// See [`AppError`].
#[tracing::instrument(name = "adopt_model", skip_all, fields(model.id = %model))]
pub async fn adopt_model(context: &Context, model: &ModelId, order: &AdoptionOrder) -> Result<Outcome, AppError> {
    drive(context, model, &Adopt(order)).await
}
