//! SageMaker's calls, against a server that answers as SageMaker's documentation says: MiniStack has none.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use refit_app::ports::{
    ApprovalStatus, EndpointError, EndpointStatus, Endpoints, ExecutionStatus, Packages, PipelineError, Pipelines,
    StartRequest, Variant,
};
use refit_aws::{SageMakerEndpoints, SageMakerPackages, SageMakerPipelines};
use refit_core::policy::Resources;
use serde_json::{Value, json};

use crate::emulator::{LIMITS, config};
use crate::faults::{Case, Class, HASTY, check};
use crate::proxy::{Fault, Proxy};

const ROLE: &str = "arn:aws:iam::000000000000:role/serve";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const ARN: &str = "arn:aws:sagemaker:us-east-1:000000000000:";

/// What a server remembers.
#[derive(Default)]
struct State {
    /// Every request: operation and body.
    requests: Vec<(String, Value)>,
    executions: BTreeMap<String, Value>,
    approval: String,
    models: BTreeMap<String, Value>,
    configs: BTreeMap<String, Value>,
    endpoint: Option<Value>,
    /// The next change is taken back with this reason.
    failure: Option<String>,
}

type Shared = Arc<Mutex<State>>;

/// A small SageMaker.
struct Server {
    address: SocketAddr,
    state: Shared,
}

impl Server {
    fn start() -> Server {
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
    fn requests(&self, operation: &str) -> Vec<Value> {
        let state = self.state.lock().expect("no panic");
        state.requests.iter().filter(|it| it.0 == operation).map(|it| it.1.clone()).collect()
    }

    /// Lets the endpoint's change that is under way end.
    fn settle(&self) {
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

fn request(name: &str) -> StartRequest {
    StartRequest {
        pipeline: "retrain".to_owned(),
        version: 7,
        display_name: name.to_owned(),
        parameters: BTreeMap::from([("RefitRunId".to_owned(), name.to_owned())]),
        resources: Resources::default(),
    }
}

fn variant(package: &str, weight: f64) -> Variant {
    Variant { name: "champion".to_owned(), package_arn: format!("{ARN}model-package/flights/{package}"), weight }
}

#[tokio::test]
async fn a_pipeline_is_described_by_its_newest_version() {
    let server = Server::start();
    let pipelines = SageMakerPipelines::new(&config(server.address), LIMITS);
    let described = pipelines.describe("retrain").await.expect("it exists");
    assert_eq!(described.version, 7);
    let defaults: Vec<_> = described.parameters.values().map(Option::as_deref).collect();
    assert_eq!(defaults, [None, Some("300"), Some("full")]);
    assert_eq!(server.requests("DescribePipeline")[0]["PipelineVersionId"], 7);
    assert!(matches!(pipelines.describe("other").await, Err(PipelineError::NotFound(name)) if name == "other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_is_one_start() {
    let server = Server::start();
    let proxy = Proxy::start(server.address);
    let pipelines = SageMakerPipelines::new(&config(proxy.address), LIMITS);
    proxy.plan(|_, number| [Fault::DropReply, Fault::BrokenAfter, Fault::Reset].get(number as usize).copied());
    let arn = pipelines.ensure_started(KEY, &request("m-r0001")).await.expect("it starts");
    let sent = server.requests("StartPipelineExecution");
    assert_eq!(sent.len(), 3, "two without a good answer, and one");
    assert!(sent.iter().all(|it| *it == sent[0]), "byte for byte the same");
    assert_eq!(sent[0]["ClientRequestToken"], KEY);
    assert_eq!(sent[0]["PipelineVersionId"], 7);
    assert_eq!(sent[0]["PipelineParameters"], json!([{ "Name": "RefitRunId", "Value": "m-r0001" }]));
    assert_eq!(server.state.lock().expect("no panic").executions.len(), 1);
    // A caller that never heard of it finds it by its name.
    proxy.plan(|operation, _| Some(Fault::DropReply).filter(|_| operation == "StartPipelineExecution"));
    let other = "f".repeat(32);
    let lost = pipelines.ensure_started(&other, &request("m-r0002")).await;
    assert!(matches!(lost, Err(PipelineError::Unavailable(_))), "{lost:?}");
    let found = pipelines.find_by_display_name("retrain", "m-r0002").await.expect("it answers");
    assert!(found.is_some_and(|it| it != arn));
    assert_eq!(pipelines.find_by_display_name("retrain", "m-r0001").await.expect("it answers"), Some(arn));
    assert_eq!(pipelines.find_by_display_name("retrain", "m-r0003").await.expect("it answers"), None);
    assert_eq!(server.state.lock().expect("no panic").executions.len(), 2);
    let reused = pipelines.ensure_started(KEY, &request("m-r0009")).await;
    proxy.plan(|_, _| None);
    assert!(matches!(reused, Err(PipelineError::KeyReused | PipelineError::Unavailable(_))), "{reused:?}");
    let reused = pipelines.ensure_started(KEY, &request("m-r0009")).await;
    assert!(matches!(reused, Err(PipelineError::KeyReused)), "{reused:?}");
    assert!(matches!(pipelines.ensure_started("short", &request("m-r0009")).await, Err(PipelineError::Invalid(_))));
}

#[tokio::test]
async fn an_execution_is_observed_with_all_its_steps_and_stopped_once() {
    let server = Server::start();
    let pipelines = SageMakerPipelines::new(&config(server.address), LIMITS);
    let arn = pipelines.ensure_started(KEY, &request("m-r0001")).await.expect("it starts");
    let execution = pipelines.observe(&arn).await.expect("it is there");
    assert_eq!((execution.pipeline.as_str(), execution.display_name.as_str()), ("retrain", "m-r0001"));
    assert_eq!(execution.status, ExecutionStatus::Executing);
    assert_eq!(execution.started_at.to_string(), "2026-01-05T00:00:00.5Z");
    let steps: Vec<_> = execution.steps.iter().map(|it| (it.name.as_str(), it.kind.as_str())).collect();
    assert_eq!(steps, [("Train", "Training"), ("Register", "RegisterModel")]);
    assert_eq!(execution.steps[0].failure_reason.as_deref(), Some("AlgorithmError"));
    assert_eq!(execution.steps[1].package_arn, Some(format!("{ARN}model-package/flights/3")));
    for _ in 0..2 {
        pipelines.stop(&arn).await.expect("stopping, or stopping already");
    }
    assert_eq!(pipelines.observe(&arn).await.expect("it is there").status, ExecutionStatus::Stopping);
    assert!(matches!(pipelines.stop("arn:none").await, Err(PipelineError::NotFound(_))));
    assert!(matches!(pipelines.observe("arn:none").await, Err(PipelineError::NotFound(_))));
}

#[tokio::test]
async fn a_package_is_described_and_approved() {
    let server = Server::start();
    let packages = SageMakerPackages::new(&config(server.address), LIMITS);
    let arn = format!("{ARN}model-package/flights/3");
    let package = packages.describe(&arn).await.expect("it is there");
    assert_eq!((package.group.as_str(), package.version), ("flights", 3));
    assert_eq!(package.approval, ApprovalStatus::PendingManualApproval);
    assert_eq!(package.model_data_url, "s3://b/model.tar.gz");
    assert_eq!(package.metadata["RefitRunId"], "m-r0001");
    for _ in 0..2 {
        packages.set_approval(&arn, ApprovalStatus::Approved).await.expect("it is there");
    }
    assert_eq!(packages.describe(&arn).await.expect("it is there").approval, ApprovalStatus::Approved);
    let missing = packages.describe(&format!("{ARN}model-package/flights/4")).await;
    assert_eq!(missing.map_err(|it| it.failure()), Err(refit_app::ports::Failure::NotFound));
}

fn is_updating(result: Result<(), EndpointError>) -> bool {
    matches!(result, Err(EndpointError::Updating(name)) if name == "e")
}

#[tokio::test]
async fn an_endpoint_serves_what_was_asked_for_when_it_says_so() {
    let server = Server::start();
    let endpoints = SageMakerEndpoints::new(&config(server.address), LIMITS, ROLE, "ml.m5.large");
    assert!(matches!(endpoints.describe("e").await, Err(EndpointError::NotFound(_))));
    let first = [variant("1", 1.0)];
    assert!(is_updating(endpoints.ensure_variants("e", &first).await), "it is created");
    assert!(is_updating(endpoints.ensure_variants("e", &first).await), "it is being created");
    server.settle();
    endpoints.ensure_variants("e", &first).await.expect("it serves");
    assert_eq!(server.requests("CreateEndpoint").len(), 1);
    let state = endpoints.describe("e").await.expect("it is there");
    assert_eq!((state.status, state.variants), (EndpointStatus::InService, first.to_vec()));

    // Somebody scaled it and captures its data: another package changes neither.
    {
        let mut state = server.state.lock().expect("no panic");
        let config = state.configs.values_mut().next().expect("a configuration");
        config["ProductionVariants"][0]["InitialInstanceCount"] = 4.into();
        config["ProductionVariants"][0]["InstanceType"] = "ml.c5.xlarge".into();
        config["DataCaptureConfig"] = json!({
            "InitialSamplingPercentage": 100, "DestinationS3Uri": "s3://b/capture", "CaptureOptions": [{ "CaptureMode": "Input" }],
        });
    }
    let second = [variant("2", 1.0)];
    assert!(is_updating(endpoints.ensure_variants("e", &second).await), "it is updated");
    assert_eq!(endpoints.describe("e").await.expect("it is there").status, EndpointStatus::Updating);
    server.settle();
    endpoints.ensure_variants("e", &second).await.expect("it serves");
    let made = server.requests("CreateEndpointConfig");
    let made = made.last().expect("a configuration");
    assert_eq!(made["ProductionVariants"][0]["InitialInstanceCount"], 4);
    assert_eq!(made["ProductionVariants"][0]["InstanceType"], "ml.c5.xlarge");
    assert_eq!(made["DataCaptureConfig"]["DestinationS3Uri"], "s3://b/capture");
    let updated = server.requests("UpdateEndpoint");
    assert_eq!(updated[0]["RetainAllVariantProperties"], true);
    assert_eq!(updated[0]["ExcludeRetainedVariantProperties"], json!([{ "VariantPropertyType": "DesiredWeight" }]));

    // Other weights need no other configuration.
    let half = [variant("2", 0.5)];
    assert!(is_updating(endpoints.ensure_variants("e", &half).await), "weights are set");
    server.settle();
    endpoints.ensure_variants("e", &half).await.expect("it serves");
    assert_eq!(server.requests("UpdateEndpoint").len(), 1);
    let none = [variant("2", 0.0)];
    assert!(matches!(endpoints.ensure_variants("e", &none).await, Err(EndpointError::Invalid(_))));
}

#[tokio::test]
async fn a_change_that_is_taken_back_is_told_and_tried_again() {
    let server = Server::start();
    let endpoints = SageMakerEndpoints::new(&config(server.address), LIMITS, ROLE, "ml.m5.large");
    assert!(is_updating(endpoints.ensure_variants("e", &[variant("1", 1.0)]).await));
    server.settle();
    let second = [variant("2", 1.0)];
    assert!(is_updating(endpoints.ensure_variants("e", &second).await));
    server.state.lock().expect("no panic").failure = Some("the container did not pass its health check".to_owned());
    server.settle();
    let state = endpoints.describe("e").await.expect("it is there");
    assert_eq!(state.variants, [variant("1", 1.0)], "it serves what it served");
    match endpoints.ensure_variants("e", &second).await {
        Err(EndpointError::Invalid(why)) => assert!(why.contains("health check"), "{why}"),
        other => panic!("{other:?}"),
    }
    server.settle();
    endpoints.ensure_variants("e", &second).await.expect("the second try worked");
}

struct Rig {
    pipelines: SageMakerPipelines,
    packages: SageMakerPackages,
    endpoints: SageMakerEndpoints,
    arn: String,
    server: Server,
}

const CASES: &[Case<Rig>] = &[
    Case {
        name: "pipelines.describe",
        class: Class::Freely,
        make: |rig, _| Box::pin(async { rig.pipelines.describe("retrain").await.map(drop).map_err(|it| it.failure()) }),
    },
    Case {
        name: "pipelines.ensure_started",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move {
                let (key, request) = (format!("{number:032}"), request(&format!("m-r{number:04}")));
                rig.pipelines.ensure_started(&key, &request).await.map(drop).map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "pipelines.find_by_display_name",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async {
                rig.pipelines.find_by_display_name("retrain", "m-r9999").await.map(drop).map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "pipelines.observe",
        class: Class::Freely,
        make: |rig, _| Box::pin(async { rig.pipelines.observe(&rig.arn).await.map(drop).map_err(|it| it.failure()) }),
    },
    Case {
        name: "pipelines.stop",
        class: Class::Freely,
        make: |rig, _| Box::pin(async { rig.pipelines.stop(&rig.arn).await.map_err(|it| it.failure()) }),
    },
    Case {
        name: "packages.describe",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async {
                let arn = format!("{ARN}model-package/flights/3");
                rig.packages.describe(&arn).await.map(drop).map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "packages.set_approval",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async {
                let arn = format!("{ARN}model-package/flights/3");
                rig.packages.set_approval(&arn, ApprovalStatus::Approved).await.map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "endpoints.describe",
        class: Class::Freely,
        make: |rig, _| Box::pin(async { rig.endpoints.describe("e").await.map(drop).map_err(|it| it.failure()) }),
    },
    Case {
        name: "endpoints.ensure_variants",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move {
                // Asked until it serves; a change that failed half-way is gone on with.
                for _ in 0..4 {
                    match rig.endpoints.ensure_variants("e", &[variant(&number.to_string(), 1.0)]).await {
                        Err(EndpointError::Updating(_)) => rig.server.settle(),
                        result => return result.map_err(|it| it.failure()),
                    }
                }
                panic!("it never serves");
            })
        },
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_sagemaker_ends_as_its_class_says() {
    let server = Server::start();
    let direct = config(server.address);
    let arn = SageMakerPipelines::new(&direct, LIMITS).ensure_started(KEY, &request("m-r0001")).await.expect("started");
    let endpoints = SageMakerEndpoints::new(&direct, LIMITS, ROLE, "ml.m5.large");
    assert!(is_updating(endpoints.ensure_variants("e", &[variant("0", 1.0)]).await));
    server.settle();
    let proxy = Proxy::start(server.address);
    let disturbed = config(proxy.address);
    let rig = Rig {
        pipelines: SageMakerPipelines::new(&disturbed, HASTY),
        packages: SageMakerPackages::new(&disturbed, HASTY),
        endpoints: SageMakerEndpoints::new(&disturbed, HASTY, ROLE, "ml.m5.large"),
        arn,
        server,
    };
    check(&proxy, &rig, CASES, |_| Vec::new()).await;
    let state = rig.server.state.lock().expect("no panic");
    let names: Vec<_> = state.executions.values().map(|it| it["PipelineExecutionDisplayName"].to_string()).collect();
    let once: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), once.len(), "nothing was started twice");
}
