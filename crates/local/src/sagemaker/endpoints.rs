//! Endpoints: what each serves, and the change that is under way.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SageMaker;
use super::models::{arn_of, check_name};
use super::protocol::{Fields, Paging, Refusal, compact, epoch};

const KIND: &str = "sagemaker-endpoint";

/// One arm of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) weight: f64,
    pub(super) instances: u64,
}

/// A change that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Change {
    until: Timestamp,
    config: String,
    arms: Vec<Arm>,
    /// Why it is going to fail, if it is.
    fails: Option<String>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredEndpoint {
    schema: u16,
    pub(super) name: String,
    pub(super) config: String,
    pub(super) created_at: Timestamp,
    pub(super) changed_at: Timestamp,
    /// What it serves; empty until it served anything.
    pub(super) arms: Vec<Arm>,
    change: Option<Change>,
    /// Why the last change failed; gone with the next one.
    failure_reason: Option<String>,
}

impl StoredEndpoint {
    /// The status, as the describing operation writes it.
    pub(super) fn status(&self) -> &'static str {
        match (&self.change, self.arms.is_empty()) {
            (Some(_), true) => "Creating",
            (Some(_), false) => "Updating",
            (None, true) => "Failed",
            (None, false) => "InService",
        }
    }

    pub(super) fn arn(&self) -> String {
        arn_of("endpoint", &self.name)
    }

    /// What each arm has and is to have.
    pub(super) fn variants(&self) -> Vec<Value> {
        let arms = if self.arms.is_empty() { self.change.as_ref().map(|it| &it.arms) } else { Some(&self.arms) };
        let wanted = self.change.as_ref().filter(|it| it.config == self.config).map(|it| &it.arms);
        let arms = arms.into_iter().flatten();
        arms.map(|arm| {
            let desired = wanted.and_then(|it| it.iter().find(|it| it.name == arm.name)).unwrap_or(arm);
            json!({
                "VariantName": arm.name, "DeployedImages": [], "CurrentWeight": arm.weight,
                "DesiredWeight": desired.weight, "CurrentInstanceCount": arm.instances,
                "DesiredInstanceCount": desired.instances,
            })
        })
        .collect()
    }
}

impl SageMaker {
    fn list_stored_endpoints(&self) -> Result<Vec<StoredEndpoint>, Refusal> {
        let parse = |(id, body): (String, String)| {
            serde_json::from_str(&body).map_err(|error| Refusal::internal(format!("endpoint `{id}`: {error}")))
        };
        self.database.list_documents(KIND)?.into_iter().map(parse).collect()
    }

    /// When the changes end that are under way.
    pub(super) fn endpoint_changes(&self) -> Result<Vec<Timestamp>, Refusal> {
        let endpoints = self.list_stored_endpoints()?;
        Ok(endpoints.into_iter().filter_map(|it| it.change.map(|it| it.until)).collect())
    }

    /// Ends the changes whose time is over.
    pub(super) fn settle_endpoints(&self) -> Result<(), Refusal> {
        let now = self.now();
        for endpoint in self.list_stored_endpoints()? {
            if endpoint.change.as_ref().is_some_and(|it| it.until <= now) {
                self.change_endpoint(&endpoint.name, |_| Ok(()))?;
            }
        }
        Ok(())
    }

    /// Ends a change whose time is over, then makes another, in one transaction; tells the hook of each status.
    fn change_endpoint(
        &self,
        name: &str,
        change: impl FnOnce(&mut StoredEndpoint) -> Result<(), Refusal>,
    ) -> Result<StoredEndpoint, Refusal> {
        let now = self.now();
        self.database.update(|transaction| {
            let Some(body) = transaction.get_document(KIND, name)? else { return Ok(Err(missing(name))) };
            let mut endpoint: StoredEndpoint = match serde_json::from_str(&body) {
                Ok(endpoint) => endpoint,
                Err(error) => return Ok(Err(Refusal::internal(format!("endpoint `{name}`: {error}")))),
            };
            let before = endpoint.clone();
            let mut events = Vec::new();
            if let Some(ended) = endpoint.change.take_if(|it| it.until <= now) {
                endpoint.changed_at = ended.until;
                match ended.fails {
                    Some(reason) => endpoint.failure_reason = Some(reason),
                    None => (endpoint.config, endpoint.arms) = (ended.config, ended.arms),
                }
                events.push(super::events::endpoint_event(&endpoint, endpoint.changed_at));
            }
            let settled = endpoint.clone();
            if let Err(refusal) = change(&mut endpoint) {
                // What was over is over, whatever is refused.
                if settled != before {
                    transaction.put_document(KIND, name, &to_json(&settled))?;
                    self.enqueue_events(transaction, now, &events)?;
                }
                return Ok(Err(refusal));
            }
            if endpoint != settled {
                endpoint.changed_at = now;
                events.push(super::events::endpoint_event(&endpoint, now));
            }
            if endpoint != before {
                transaction.put_document(KIND, name, &to_json(&endpoint))?;
                self.enqueue_events(transaction, now, &events)?;
            }
            Ok(Ok(endpoint))
        })?
    }

    /// A change that begins now.
    fn begin_change(&self, endpoint: &str, config: &str, arms: Vec<Arm>) -> Change {
        Change {
            until: self.behavior.endpoint_takes.after(self.now()),
            config: config.to_owned(),
            arms,
            fails: self.planned.take_endpoint(endpoint).map(|it| it.reason),
        }
    }

    pub(super) fn create_endpoint(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointName")?;
        check_name(name)?;
        let config = request.text("EndpointConfigName")?;
        let arms = arms_of(&self.get_config(config)?);
        let taken = || {
            let arn = arn_of("endpoint", name);
            Refusal::validation(format!("Cannot create already existing endpoint \"{arn}\"."))
        };
        // Before a planned fault is used up.
        if self.database.get_document(KIND, name)?.is_some() {
            return Err(taken());
        }
        if self.behavior.quotas.endpoints <= self.list_stored_endpoints()?.len() {
            return Err(Refusal::limit("The account-level service limit 'Endpoints' is used up."));
        }
        let now = self.now();
        let endpoint = StoredEndpoint {
            schema: 1,
            name: name.to_owned(),
            config: config.to_owned(),
            created_at: now,
            changed_at: now,
            arms: Vec::new(),
            change: Some(self.begin_change(name, config, arms)),
            failure_reason: None,
        };
        let event = super::events::endpoint_event(&endpoint, now);
        let is_new = self.database.update(|transaction| {
            let is_new = transaction.insert_document(KIND, name, &to_json(&endpoint))?;
            if is_new {
                self.enqueue_events(transaction, now, &[event])?;
            }
            Ok(is_new)
        })?;
        if is_new { Ok(json!({ "EndpointArn": endpoint.arn() })) } else { Err(taken()) }
    }

    pub(super) fn update_endpoint(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointName")?;
        let config = request.text("EndpointConfigName")?;
        let wanted = arms_of(&self.get_config(config)?);
        let retains = request.flag("RetainAllVariantProperties")?;
        let endpoint = self.change_endpoint(name, |endpoint| {
            check_in_service(endpoint)?;
            let mut arms = wanted;
            if retains {
                for arm in &mut arms {
                    let served = endpoint.arms.iter().find(|it| it.name == arm.name);
                    (arm.weight, arm.instances) =
                        served.map_or((arm.weight, arm.instances), |it| (it.weight, it.instances));
                }
            }
            endpoint.failure_reason = None;
            endpoint.change = Some(self.begin_change(name, config, arms));
            Ok(())
        })?;
        Ok(json!({ "EndpointArn": endpoint.arn() }))
    }

    pub(super) fn update_weights(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointName")?;
        let wanted = request.objects("DesiredWeightsAndCapacities")?;
        let endpoint = self.change_endpoint(name, |endpoint| {
            check_in_service(endpoint)?;
            let mut arms = endpoint.arms.clone();
            for it in &wanted {
                let variant = it.text("VariantName")?;
                let arm = arms.iter_mut().find(|it| it.name == variant);
                let arm = arm.ok_or_else(|| {
                    Refusal::validation(format!("variant `{variant}` is not one of endpoint \"{}\".", endpoint.arn()))
                })?;
                if let Some(weight) = it.find("DesiredWeight") {
                    let weight = weight.as_f64().filter(|it| 0.0 <= *it && it.is_finite());
                    arm.weight =
                        weight.ok_or_else(|| Refusal::validation("DesiredWeight must be a number of at least 0"))?;
                }
                arm.instances = it.find_number("DesiredInstanceCount")?.unwrap_or(arm.instances);
            }
            let config = endpoint.config.clone();
            endpoint.failure_reason = None;
            endpoint.change = Some(self.begin_change(name, &config, arms));
            Ok(())
        })?;
        Ok(json!({ "EndpointArn": endpoint.arn() }))
    }

    pub(super) fn describe_endpoint(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let endpoint = self.change_endpoint(request.text("EndpointName")?, |_| Ok(()))?;
        Ok(compact(json!({
            "EndpointName": endpoint.name, "EndpointArn": endpoint.arn(), "EndpointConfigName": endpoint.config,
            "ProductionVariants": endpoint.variants(), "EndpointStatus": endpoint.status(),
            "FailureReason": endpoint.failure_reason, "CreationTime": epoch(endpoint.created_at),
            "LastModifiedTime": epoch(endpoint.changed_at),
        })))
    }

    pub(super) fn delete_endpoint(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("EndpointName")?;
        if self.database.get_document(KIND, name)?.is_none() {
            return Err(missing(name));
        }
        self.database.remove_document(KIND, name)?;
        Ok(Value::Null)
    }

    pub(super) fn list_endpoints(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        self.settle_endpoints()?;
        let mut endpoints = self.list_stored_endpoints()?;
        endpoints.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        let summaries = endpoints.iter().map(|it| {
            let summary = json!({
                "EndpointName": it.name, "EndpointArn": it.arn(), "CreationTime": epoch(it.created_at),
                "LastModifiedTime": epoch(it.changed_at), "EndpointStatus": it.status(),
            });
            (it.name.clone(), summary)
        });
        Paging::read(request)?.page("Endpoints", summaries.collect())
    }
}

/// The arms that a configuration asks for.
fn arms_of(config: &Value) -> Vec<Arm> {
    let variants = config["ProductionVariants"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    variants
        .map(|it| Arm {
            name: text(&it["VariantName"]),
            weight: it["InitialVariantWeight"].as_f64().unwrap_or(1.0),
            instances: it["InitialInstanceCount"].as_u64().unwrap_or(1),
        })
        .collect()
}

/// Only an endpoint in service takes a change.
fn check_in_service(endpoint: &StoredEndpoint) -> Result<(), Refusal> {
    match endpoint.status() {
        "InService" => Ok(()),
        "Failed" => Err(Refusal::validation(format!("Cannot update failed endpoint \"{}\".", endpoint.arn()))),
        _ => Err(Refusal::validation(format!("Cannot update in-progress endpoint \"{}\".", endpoint.arn()))),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::validation(format!("Could not find endpoint \"{}\".", arn_of("endpoint", name)))
}

fn to_json(endpoint: &StoredEndpoint) -> String {
    serde_json::to_string(endpoint).expect("invariant: own documents serialize")
}
