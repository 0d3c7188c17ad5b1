//! Models and endpoint configurations: documents that endpoints refer to.

use serde_json::{Value, json};

use super::SageMaker;
use super::protocol::{Fields, Refusal, epoch};

pub(super) const MODEL: &str = "sagemaker-model";
pub(super) const CONFIG: &str = "sagemaker-endpoint-config";

/// The ARN of a thing of SageMaker's.
pub(super) fn arn_of(kind: &str, name: &str) -> String {
    format!("arn:aws:sagemaker:us-east-1:000000000000:{kind}/{}", name.to_lowercase())
}

/// A name of at most 63 letters, digits and hyphens.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if refit_core::is_name(name) {
        return Ok(());
    }
    Err(Refusal::validation(format!("name `{name}` must satisfy [a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}")))
}

impl SageMaker {
    /// A document, as its describing operation shows it.
    pub(super) fn find_described(&self, kind: &str, name: &str) -> Result<Option<Value>, Refusal> {
        let body = self.database.get_document(kind, name)?;
        body.map(|body| serde_json::from_str(&body).map_err(|error| Refusal::internal(error.to_string()))).transpose()
    }

    pub(super) fn create_model(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("ModelName")?;
        check_name(name)?;
        let containers = match request.find("PrimaryContainer") {
            Some(container) => vec![Fields::new(container)?],
            None => request.objects("Containers")?,
        };
        for container in &containers {
            if let Some(package) = container.find_text("ModelPackageName")?
                && self.packages.find(package)?.is_none()
            {
                return Err(Refusal::validation(format!("Could not find model package {package}.")));
            }
        }
        let arn = arn_of("model", name);
        let mut model = request.except(&["Tags"]);
        model["ModelArn"] = arn.clone().into();
        model["CreationTime"] = epoch(self.now());
        if !self.database.insert_document(MODEL, name, &model.to_string())? {
            return Err(Refusal::validation(format!("Cannot create already existing model \"{arn}\".")));
        }
        Ok(json!({ "ModelArn": arn }))
    }

    pub(super) fn describe_model(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("ModelName")?;
        let missing = || Refusal::validation(format!("Could not find model \"{}\".", arn_of("model", name)));
        self.find_described(MODEL, name)?.ok_or_else(missing)
    }

    pub(super) fn delete_model(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        self.describe_model(request)?;
        self.database.remove_document(MODEL, request.text("ModelName")?)?;
        Ok(Value::Null)
    }

    pub(super) fn create_endpoint_config(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointConfigName")?;
        check_name(name)?;
        let mut variants: Vec<&str> = Vec::new();
        for variant in request.objects("ProductionVariants")? {
            let variant_name = variant.text("VariantName")?;
            check_name(variant_name)?;
            if variants.contains(&variant_name) {
                return Err(Refusal::validation(format!("variant `{variant_name}` is named twice")));
            }
            variants.push(variant_name);
            let model = variant.text("ModelName")?;
            if self.find_described(MODEL, model)?.is_none() {
                return Err(Refusal::validation(format!("Could not find model \"{}\".", arn_of("model", model))));
            }
            if variant.find("InitialVariantWeight").is_some_and(|it| it.as_f64().is_none_or(|it| it < 0.0)) {
                return Err(Refusal::validation("InitialVariantWeight must be a number of at least 0"));
            }
        }
        let arn = arn_of("endpoint-config", name);
        let mut config = request.except(&["Tags"]);
        config["EndpointConfigArn"] = arn.clone().into();
        config["CreationTime"] = epoch(self.now());
        if !self.database.insert_document(CONFIG, name, &config.to_string())? {
            return Err(Refusal::validation(format!(
                "Cannot create already existing endpoint configuration \"{arn}\"."
            )));
        }
        Ok(json!({ "EndpointConfigArn": arn }))
    }

    /// An endpoint configuration, by name.
    pub(super) fn get_config(&self, name: &str) -> Result<Value, Refusal> {
        let missing = || {
            let arn = arn_of("endpoint-config", name);
            Refusal::validation(format!("Could not find endpoint configuration \"{arn}\"."))
        };
        self.find_described(CONFIG, name)?.ok_or_else(missing)
    }

    pub(super) fn describe_endpoint_config(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        self.get_config(request.text("EndpointConfigName")?)
    }

    pub(super) fn delete_endpoint_config(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointConfigName")?;
        self.get_config(name)?;
        // SageMaker only warns against deleting one that is in use, and the endpoint cannot be updated any more.
        self.database.remove_document(CONFIG, name)?;
        Ok(Value::Null)
    }
}
