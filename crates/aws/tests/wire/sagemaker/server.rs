//! A small SageMaker: it answers as the documentation says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::ARN;

/// What a server remembers.
#[derive(Default)]
pub(super) struct State {
    /// Every request: operation and body.
    pub(super) requests: Vec<(String, Value)>,
    pub(super) executions: BTreeMap<String, Value>,
    approval: String,
    models: BTreeMap<String, Value>,
    pub(super) configs: BTreeMap<String, Value>,
    endpoint: Option<Value>,
    /// The next change is taken back with this reason.
    pub(super) failure: Option<String>,
}

pub(super) type Shared = Arc<Mutex<State>>;

/// A small SageMaker.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) state: Shared,
}

impl Server {
    pub(super) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Shared::default();
        state.lock().expect("no panic").approval = "PendingManualApproval".to_owned();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &shared);
            }
        });
        Server { address, state }
    }

    /// The requests of an operation.
    pub(super) fn requests(&self, operation: &str) -> Vec<Value> {
        let state = self.state.lock().expect("no panic");
        state.requests.iter().filter(|it| it.0 == operation).map(|it| it.1.clone()).collect()
    }

    /// Lets the endpoint's change that is under way end.
    pub(super) fn settle(&self) {
        let mut state = self.state.lock().expect("no panic");
        let failure = state.failure.take();
        let Some(endpoint) = &mut state.endpoint else { return };
        endpoint["EndpointStatus"] = "InService".into();
        let wanted = endpoint["Wanted"].take();
        match failure {
            Some(reason) => endpoint["FailureReason"] = reason.into(),
            None if wanted.is_string() => endpoint["EndpointConfigName"] = wanted,
            None => {}
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let find = |name: &str| {
                head.lines()
                    .find_map(|it| it.split_once(": ").filter(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1))
            };
            if find("content-length").and_then(|it| it.parse().ok()).unwrap_or(0) <= body.len() {
                let operation = find("x-amz-target").unwrap_or_default().trim_start_matches("SageMaker.").to_owned();
                let body = serde_json::from_str(body).unwrap_or(Value::Null);
                let mut state = state.lock().expect("no panic");
                state.requests.push((operation.clone(), body.clone()));
                let (status, answer) = match state.answer(&operation, &body) {
                    Ok(answer) => (200, answer),
                    Err((code, message)) => (400, json!({ "__type": code, "message": message })),
                };
                let answer = answer.to_string();
                return write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        }
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..length]);
    }
}

type Answered = Result<Value, (&'static str, String)>;

fn refused(message: &str) -> Answered {
    Err(("ValidationException", message.to_owned()))
}

impl State {
    fn answer(&mut self, operation: &str, body: &Value) -> Answered {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match operation {
            "ListPipelineVersions" | "DescribePipeline" | "ListPipelineExecutions" | "StartPipelineExecution"
                if text("PipelineName") != "retrain" =>
            {
                Err(("ResourceNotFound", "Pipeline does not exist".to_owned()))
            }
            "ListPipelineVersions" => Ok(json!({ "PipelineVersionSummaries": [{ "PipelineVersionId": 7 }] })),
            "DescribePipeline" => {
                let parameters = json!([
                    { "Name": "RefitRunId", "Type": "String" },
                    { "Name": "Rounds", "Type": "Integer", "DefaultValue": 300 },
                    { "Name": "Strategy", "Type": "String", "DefaultValue": "full" },
                ]);
                let definition = json!({ "Version": "2020-12-01", "Parameters": parameters, "Steps": [] });
                Ok(json!({ "PipelineName": "retrain", "PipelineDefinition": definition.to_string() }))
            }
            "StartPipelineExecution" => self.start(body),
            "ListPipelineExecutions" => Ok(self.list(body)),
            "DescribePipelineExecution" => match self.executions.get(&text("PipelineExecutionArn")) {
                Some(execution) => Ok(execution.clone()),
                None => Err(("ResourceNotFound", "no such execution".to_owned())),
            },
            "ListPipelineExecutionSteps" => Ok(steps(body["NextToken"].is_string())),
            "StopPipelineExecution" => match self.executions.get_mut(&text("PipelineExecutionArn")) {
                Some(it) if it["PipelineExecutionStatus"] == "Executing" => {
                    it["PipelineExecutionStatus"] = "Stopping".into();
                    Ok(json!({}))
                }
                Some(_) => refused("Only pipelines with Executing status can be stopped"),
                None => Err(("ResourceNotFound", "no such execution".to_owned())),
            },
            "DescribeModelPackage" => self.package(&text("ModelPackageName")),
            "UpdateModelPackage" => {
                self.approval = text("ModelApprovalStatus");
                Ok(json!({ "ModelPackageArn": text("ModelPackageArn") }))
            }
            "CreateModel" => make(&mut self.models, text("ModelName"), body, "model"),
            "DescribeModel" => match self.models.get(&text("ModelName")) {
                Some(model) => Ok(model.clone()),
                None => refused(&format!("Could not find model \"{}\"", text("ModelName"))),
            },
            "CreateEndpointConfig" => {
                make(&mut self.configs, text("EndpointConfigName"), body, "endpoint configuration")
            }
            "DescribeEndpointConfig" => match self.configs.get(&text("EndpointConfigName")) {
                Some(config) => Ok(config.clone()),
                None => refused("Could not find endpoint configuration"),
            },
            _ => self.answer_about_endpoint(operation, body),
        }
    }

    fn start(&mut self, body: &Value) -> Answered {
        let token = body["ClientRequestToken"].as_str().unwrap_or_default();
        if let Some(known) = self.executions.values().find(|it| it["Token"] == token) {
            return match known["Request"] == *body {
                true => Ok(json!({ "PipelineExecutionArn": known["PipelineExecutionArn"] })),
                false => Err(("ConflictException", "the token was used with another request".to_owned())),
            };
        }
        if 500 <= self.executions.len() {
            return Err(("ResourceLimitExceeded", "too many".to_owned()));
        }
        let arn = format!("{ARN}pipeline/retrain/execution/{:012}", self.executions.len());
        let execution = json!({
            "PipelineArn": format!("{ARN}pipeline/retrain"), "PipelineExecutionArn": arn, "Token": token, "Request": body,
            "PipelineExecutionDisplayName": body["PipelineExecutionDisplayName"],
            "PipelineExecutionStatus": "Executing", "CreationTime": 1_767_571_200.5, "LastModifiedTime": 1_767_571_260,
        });
        self.executions.insert(arn.clone(), execution);
        Ok(json!({ "PipelineExecutionArn": arn }))
    }

    /// One execution a page, the newest first.
    fn list(&self, body: &Value) -> Value {
        let skip: usize = body["NextToken"].as_str().and_then(|it| it.parse().ok()).unwrap_or(0);
        let page: Vec<&Value> = self.executions.values().rev().skip(skip).take(1).collect();
        let next = Some((skip + 1).to_string()).filter(|_| skip + 1 < self.executions.len());
        json!({ "PipelineExecutionSummaries": page, "NextToken": next })
    }

    fn package(&self, arn: &str) -> Answered {
        if !arn.ends_with("/flights/3") {
            return refused(&format!("ModelPackage {arn} does not exist."));
        }
        Ok(json!({
            "ModelPackageArn": arn, "ModelPackageGroupName": "flights", "ModelPackageVersion": 3,
            "ModelApprovalStatus": self.approval, "CreationTime": 1_767_571_200,
            "InferenceSpecification": { "Containers": [{ "Image": "i", "ModelDataUrl": "s3://b/model.tar.gz" }] },
            "CustomerMetadataProperties": { "RefitRunId": "m-r0001" },
        }))
    }

    fn answer_about_endpoint(&mut self, operation: &str, body: &Value) -> Answered {
        let status = self.endpoint.as_ref().map(|it| it["EndpointStatus"].as_str().unwrap_or_default().to_owned());
        match (operation, status.as_deref()) {
            ("CreateEndpoint", None) => {
                let mut endpoint = body.clone();
                endpoint["EndpointStatus"] = "Creating".into();
                endpoint["ProductionVariants"] = json!([]);
                self.endpoint = Some(endpoint);
                Ok(json!({ "EndpointArn": "arn" }))
            }
            ("CreateEndpoint", Some(_)) => refused("Cannot create already existing endpoint"),
            (_, None) => refused("Could not find endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/e\"."),
            ("DescribeEndpoint", Some(_)) => Ok(self.endpoint.clone().unwrap_or_default()),
            ("UpdateEndpoint" | "UpdateEndpointWeightsAndCapacities", Some("InService")) => {
                let endpoint = self.endpoint.as_mut().expect("it is there");
                endpoint["EndpointStatus"] = "Updating".into();
                endpoint["FailureReason"] = Value::Null;
                if operation == "UpdateEndpoint" {
                    endpoint["Wanted"] = body["EndpointConfigName"].clone();
                    endpoint["ProductionVariants"] = json!([]);
                } else {
                    let weights = body["DesiredWeightsAndCapacities"].as_array().cloned().unwrap_or_default();
                    let variants = weights
                        .iter()
                        .map(|it| json!({ "VariantName": it["VariantName"], "CurrentWeight": it["DesiredWeight"] }));
                    endpoint["ProductionVariants"] = variants.collect();
                }
                Ok(json!({ "EndpointArn": "arn" }))
            }
            (_, Some(_)) => refused("Cannot update in-progress endpoint \"arn\"."),
        }
    }
}

fn make(kept: &mut BTreeMap<String, Value>, name: String, body: &Value, what: &str) -> Answered {
    if kept.contains_key(&name) {
        return refused(&format!("Cannot create already existing {what} \"{name}\"."));
    }
    kept.insert(name, body.clone());
    Ok(json!({}))
}

fn steps(is_second_page: bool) -> Value {
    if is_second_page {
        let arn = format!("{ARN}model-package/flights/3");
        return json!({ "PipelineExecutionSteps": [
            { "StepName": "Register", "StepStatus": "Succeeded", "Metadata": { "RegisterModel": { "Arn": arn } } },
        ] });
    }
    json!({ "NextToken": "2", "PipelineExecutionSteps": [
        { "StepName": "Train", "StepStatus": "Failed", "FailureReason": "AlgorithmError",
          "Metadata": { "TrainingJob": { "Arn": format!("{ARN}training-job/t") } } },
    ] })
}
