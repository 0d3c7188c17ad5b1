//! [`Endpoints`] on SageMaker's real-time endpoints.
//!
//! A variant serves a model, which is made of a package; both models and endpoint configurations are named by their content,
//! so that making them twice is making them once. SageMaker changes an endpoint for minutes and does not say how long;
//! until it serves what was asked for, the answer is [`EndpointError::Updating`], so that nobody takes a change that was
//! accepted for one that is done. An endpoint that exists keeps its instances, its data capture and everything else.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::operation::describe_endpoint_config::DescribeEndpointConfigOutput;
use aws_sdk_sagemaker::types::{
    ContainerDefinition, DesiredWeightAndCapacity, EndpointStatus as Status, ProductionVariant,
    ProductionVariantInstanceType, VariantProperty, VariantPropertyType,
};
use refit_app::ports::{EndpointError, EndpointState, EndpointStatus, Endpoints, Variant};
use refit_core::Digest;

use crate::call::{Failed, Kind, Limits, Repeat, call};
use crate::sagemaker::{client, is_existing, is_missing};

/// Hexadecimal digits of a digest in a name: SageMaker takes 63 characters.
const DIGITS: usize = 40;

/// SageMaker's endpoints.
#[derive(Debug, Clone)]
pub struct SageMakerEndpoints {
    client: Client,
    limits: Limits,
    role: String,
    instance: String,
}

/// An endpoint as it is, with what its configuration says.
struct Found {
    endpoint: DescribeEndpointOutput,
    config: DescribeEndpointConfigOutput,
    variants: Vec<Variant>,
}

/// How far what is served is from what is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Distance {
    Same,
    Weights,
    Packages,
}

impl SageMakerEndpoints {
    /// The endpoints of the caller's account and region. Models run under `role`; an endpoint that does not exist yet gets
    /// one instance of type `instance` a variant.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: Limits, role: &str, instance: &str) -> SageMakerEndpoints {
        SageMakerEndpoints { client: client(config), limits, role: role.to_owned(), instance: instance.to_owned() }
    }

    async fn find(&self, endpoint: &str) -> Result<Option<Found>, EndpointError> {
        let request = self.client.describe_endpoint().endpoint_name(endpoint);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = match call(self.limits, Repeat::Freely, attempt).await {
            Ok(found) => found,
            Err(failed) if is_missing(&failed) => return Ok(None),
            Err(failed) => return Err(endpoint_error(endpoint, failed)),
        };
        let name = found.endpoint_config_name().unwrap_or_default();
        let request = self.client.describe_endpoint_config().endpoint_config_name(name);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let config = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| endpoint_error(endpoint, it))?;
        let mut variants = Vec::new();
        for variant in config.production_variants() {
            let name = variant.variant_name().unwrap_or_default();
            let package_arn = self.package(endpoint, variant.model_name().unwrap_or_default()).await?;
            let now = found.production_variants().iter().find(|it| it.variant_name() == Some(name));
            let weight = now.and_then(|it| it.current_weight()).or(variant.initial_variant_weight()).unwrap_or(1.0);
            variants.push(Variant { name: name.to_owned(), package_arn, weight: f64::from(weight) });
        }
        Ok(Some(Found { endpoint: found, config, variants }))
    }

    /// The package that a model was made of; the model's own ARN when it was made of something else.
    async fn package(&self, endpoint: &str, model: &str) -> Result<String, EndpointError> {
        let request = self.client.describe_model().model_name(model);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = match call(self.limits, Repeat::Freely, attempt).await {
            Ok(found) => found,
            // Somebody removed it; the endpoint serves it all the same.
            Err(failed) if is_missing(&failed) => return Ok(format!("model/{model}")),
            Err(failed) => return Err(endpoint_error(endpoint, failed)),
        };
        let container = found.primary_container().or(found.containers().first());
        let package = container.and_then(|it| it.model_package_name()).or(found.model_arn());
        Ok(package.unwrap_or_default().to_owned())
    }

    /// The name of the model of a package; makes it if need be.
    async fn ensure_model(&self, endpoint: &str, package_arn: &str) -> Result<String, EndpointError> {
        let name = format!("refit-{:.DIGITS$}", Digest::of_list(&[package_arn, &self.role]).hex());
        let container = ContainerDefinition::builder().model_package_name(package_arn).build();
        let request = self.client.create_model().model_name(&name).execution_role_arn(&self.role).containers(container);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        match call(self.limits, Repeat::Freely, attempt).await {
            Ok(_) => Ok(name),
            Err(failed) if is_existing(&failed) => Ok(name),
            Err(failed) => Err(endpoint_error(endpoint, failed)),
        }
    }

    /// The variants as SageMaker is told them: like those that serve now, with other models and weights.
    async fn wanted(
        &self,
        endpoint: &str,
        variants: &[Variant],
        found: Option<&Found>,
    ) -> Result<Vec<ProductionVariant>, EndpointError> {
        let mut wanted = Vec::new();
        for variant in variants {
            let model = self.ensure_model(endpoint, &variant.package_arn).await?;
            let serving = found.map_or(&[][..], |it| it.config.production_variants());
            let like = serving.iter().find(|it| it.variant_name() == Some(&*variant.name)).or(serving.first());
            let mut wants = like.cloned().unwrap_or_else(|| {
                let instance = ProductionVariantInstanceType::from(self.instance.as_str());
                ProductionVariant::builder().instance_type(instance).initial_instance_count(1).build()
            });
            wants.variant_name = Some(variant.name.clone());
            wants.model_name = Some(model);
            wants.initial_variant_weight = Some(weight(variant));
            wanted.push(wants);
        }
        Ok(wanted)
    }

    /// The name of the configuration that serves `variants`, and whether it existed; makes it if need be.
    async fn ensure_config(
        &self,
        endpoint: &str,
        variants: &[Variant],
        found: Option<&Found>,
    ) -> Result<(String, bool), EndpointError> {
        let base = found.and_then(|it| it.endpoint.endpoint_config_name()).unwrap_or_default();
        let mut parts = vec![endpoint.to_owned(), base.to_owned(), self.role.clone(), self.instance.clone()];
        for variant in variants {
            parts.extend([variant.name.clone(), variant.package_arn.clone(), variant.weight.to_string()]);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = format!("refit-{:.DIGITS$}", Digest::of_list(&parts).hex());
        let wanted = self.wanted(endpoint, variants, found).await?;
        let mut request = self.client.create_endpoint_config().endpoint_config_name(&name);
        request = request.set_production_variants(Some(wanted));
        if let Some(Found { config, .. }) = found {
            request = request
                .set_data_capture_config(config.data_capture_config.clone())
                .set_kms_key_id(config.kms_key_id.clone())
                .set_async_inference_config(config.async_inference_config.clone())
                .set_explainer_config(config.explainer_config.clone())
                .set_execution_role_arn(config.execution_role_arn.clone())
                .set_vpc_config(config.vpc_config.clone())
                .set_enable_network_isolation(config.enable_network_isolation)
                .set_metrics_config(config.metrics_config.clone());
        }
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        match call(self.limits, Repeat::Freely, attempt).await {
            Ok(_) => Ok((name, false)),
            Err(failed) if is_existing(&failed) => Ok((name, true)),
            Err(failed) => Err(endpoint_error(endpoint, failed)),
        }
    }

    async fn create(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        let (config, _) = self.ensure_config(endpoint, variants, None).await?;
        let request = self.client.create_endpoint().endpoint_name(endpoint).endpoint_config_name(config);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        changed(endpoint, call(self.limits, Repeat::Freely, attempt).await.map(drop))
    }

    async fn set_weights(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        let mut weights = Vec::new();
        for variant in variants {
            let wants = DesiredWeightAndCapacity::builder().variant_name(&variant.name).desired_weight(weight(variant));
            weights.push(wants.build());
        }
        let request = self.client.update_endpoint_weights_and_capacities().endpoint_name(endpoint);
        let request = request.set_desired_weights_and_capacities(Some(weights));
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        changed(endpoint, call(self.limits, Repeat::Freely, attempt).await.map(drop))
    }

    async fn update(&self, endpoint: &str, variants: &[Variant], found: &Found) -> Result<(), EndpointError> {
        let (config, was_tried) = self.ensure_config(endpoint, variants, Some(found)).await?;
        // Instances that were scaled stay as many as they are; weights are those that are asked for.
        let weights = VariantProperty::builder().variant_property_type(VariantPropertyType::DesiredWeight).build();
        let request = self.client.update_endpoint().endpoint_name(endpoint).endpoint_config_name(config);
        let request = request.retain_all_variant_properties(true).exclude_retained_variant_properties(weights);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let result = changed(endpoint, call(self.limits, Repeat::Freely, attempt).await.map(drop));
        match found.endpoint.failure_reason() {
            // This change was tried before and taken back: people are told, and it is under way once more.
            Some(reason) if was_tried => {
                Err(EndpointError::Invalid(format!("endpoint `{endpoint}` took back this change: {reason}")))
            }
            Some(_) | None => result,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "SageMaker's weights have this precision")]
fn weight(variant: &Variant) -> f32 {
    variant.weight as f32
}

/// A change that was accepted is under way; so is one that is refused because of another.
fn changed(endpoint: &str, result: Result<(), Failed>) -> Result<(), EndpointError> {
    match result {
        Ok(()) => Err(EndpointError::Updating(endpoint.to_owned())),
        Err(failed) if is_existing(&failed) => Err(EndpointError::Updating(endpoint.to_owned())),
        Err(failed) => Err(endpoint_error(endpoint, failed)),
    }
}

fn endpoint_error(endpoint: &str, failed: Failed) -> EndpointError {
    match failed.kind {
        Kind::Throttled | Kind::Unknown => EndpointError::Unavailable(failed.into()),
        Kind::Denied => EndpointError::Denied(failed.into()),
        Kind::Refused if failed.says(&["in-progress", "in progress", "status is updating", "is being updated"]) => {
            EndpointError::Updating(endpoint.to_owned())
        }
        // A quota: it may be free again.
        Kind::Refused if failed.code == "ResourceLimitExceeded" => EndpointError::Unavailable(failed.into()),
        Kind::Refused => EndpointError::Invalid(failed.words()),
    }
}

fn status(found: &DescribeEndpointOutput) -> EndpointStatus {
    match found.endpoint_status() {
        Some(Status::InService) => EndpointStatus::InService,
        Some(Status::Failed | Status::OutOfService | Status::UpdateRollbackFailed) => EndpointStatus::Failed,
        // Creating, updating, rolling back, deleting, or something new: not now.
        Some(_) | None => EndpointStatus::Updating,
    }
}

fn distance(served: &[Variant], wanted: &[Variant]) -> Distance {
    let find =
        |variant: &Variant| served.iter().find(|it| it.name == variant.name && it.package_arn == variant.package_arn);
    if served.len() != wanted.len() || wanted.iter().any(|it| find(it).is_none()) {
        return Distance::Packages;
    }
    let is_equal = |it: &Variant| find(it).is_some_and(|found| weight(found) == weight(it));
    if wanted.iter().all(is_equal) { Distance::Same } else { Distance::Weights }
}

#[async_trait]
impl Endpoints for SageMakerEndpoints {
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError> {
        let found = self.find(endpoint).await?.ok_or_else(|| EndpointError::NotFound(endpoint.to_owned()))?;
        Ok(EndpointState { name: endpoint.to_owned(), status: status(&found.endpoint), variants: found.variants })
    }

    async fn ensure_variants(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        if variants.is_empty() || variants.iter().map(|it| it.weight).sum::<f64>() <= 0.0 {
            return Err(EndpointError::Invalid("an endpoint serves at least one variant with a weight".to_owned()));
        }
        let Some(found) = self.find(endpoint).await? else { return self.create(endpoint, variants).await };
        match (status(&found.endpoint), distance(&found.variants, variants)) {
            (EndpointStatus::InService, Distance::Same) => Ok(()),
            (EndpointStatus::InService, Distance::Weights) => self.set_weights(endpoint, variants).await,
            (EndpointStatus::InService, Distance::Packages) => self.update(endpoint, variants, &found).await,
            (EndpointStatus::Updating, _) => Err(EndpointError::Updating(endpoint.to_owned())),
            (EndpointStatus::Failed, _) => {
                let (status, why) = (found.endpoint.endpoint_status(), found.endpoint.failure_reason());
                let status = status.map_or("unknown", |it| it.as_str());
                let why = why.unwrap_or("SageMaker does not say why");
                Err(EndpointError::Invalid(format!("endpoint `{endpoint}` is {status} ({why}): repair or delete it")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, package: &str, weight: f64) -> Variant {
        Variant { name: name.to_owned(), package_arn: package.to_owned(), weight }
    }

    #[test]
    fn what_is_served_is_compared_whatever_its_order() {
        let served = [variant("a", "p1", 0.1), variant("b", "p2", 0.9)];
        let turned = [variant("b", "p2", 0.9), variant("a", "p1", 0.1)];
        assert_eq!(distance(&served, &turned), Distance::Same);
        assert_eq!(distance(&served, &[variant("a", "p1", 0.2), variant("b", "p2", 0.9)]), Distance::Weights);
        for other in [&served[..1], &[variant("a", "p2", 0.1), variant("b", "p2", 0.9)], &[]] {
            assert_eq!(distance(&served, other), Distance::Packages);
        }
    }
}
