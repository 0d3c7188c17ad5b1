//! The endpoint over real sockets, with pipelines of tiny shell steps.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use refit_app::ports::{Clock as _, Objects};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Behavior, HookUrl, OnRuntime, Parts, SageMaker, Server};
use crate::clock::SystemClock;
use crate::pipeline::wait;
use crate::store::MemoryObjects;

const BEGIN: &str = "2013-02-01T00:00:00Z";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An endpoint that listens, on a virtual clock.
struct Wire {
    folder: TempDir,
    sagemaker: Arc<SageMaker>,
    address: SocketAddr,
    objects: MemoryObjects,
    _runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn new(behavior: Value) -> Wire {
        Wire::open(TempDir::new().expect("a folder"), MemoryObjects::new(Arc::new(SystemClock)), behavior, None)
    }

    fn open(folder: TempDir, objects: MemoryObjects, behavior: Value, hook: Option<HookUrl>) -> Wire {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        // As with a client of a service: the interpreter's threads wait for the runtime's tasks.
        let remote: Arc<dyn Objects> = Arc::new(OnRuntime::new(Arc::new(objects.clone()), runtime.handle().clone()));
        let sagemaker = SageMaker::open(Parts {
            state: folder.path().to_owned(),
            objects: remote,
            programs: std::collections::BTreeMap::new(),
            begin: Some(BEGIN.parse().expect("a time")),
            hook,
            behavior: Behavior::parse(&behavior.to_string()).expect("a behavior"),
        })
        .expect("opens");
        let server = runtime.block_on(Server::bind(Arc::clone(&sagemaker), 0)).expect("listens");
        let address = server.address();
        runtime.spawn(server.serve(std::future::pending()));
        Wire { folder, sagemaker, address, objects, _runtime: runtime }
    }

    fn send(&self, method: &str, path: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).expect("connects");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {target}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("writes");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("reads");
        let (head, body) = text.split_once("\r\n\r\n").expect("a response");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn try_call(&self, operation: &str, request: &Value) -> (u16, Value) {
        self.send("POST", "/", &format!("SageMaker.{operation}"), request)
    }

    #[track_caller]
    fn call(&self, operation: &str, request: &Value) -> Value {
        let (status, body) = self.try_call(operation, request);
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    #[track_caller]
    fn refused(&self, operation: &str, request: &Value) -> String {
        let (status, body) = self.try_call(operation, request);
        assert!(400 <= status, "{operation}: {body}");
        let message = body.get("Message").or_else(|| body.get("message")).and_then(Value::as_str).unwrap_or_default();
        format!("{status} {}: {message}", body["__type"].as_str().unwrap_or_default())
    }

    /// Waits until nothing happens any more at this time of the virtual clock.
    fn rest(&self) -> Value {
        loop {
            let seen = self.sagemaker.bell.count();
            let (_, status) = self.send("GET", "/status", "", &Value::Null);
            if status["idle"] == true {
                return status;
            }
            self.sagemaker.bell.wait(seen, Some(std::time::Duration::from_millis(100)));
        }
    }

    fn set_clock(&self, to: &str) {
        assert_eq!(self.send("PUT", "/clock", "", &json!(to)).0, 200);
    }

    fn define(&self, script: &str) {
        wait(self.objects.put_new(&"s3://bucket/in/a.txt".parse().expect("an address"), b"hello")).expect("put");
        let request = json!({ "PipelineName": "Retrain", "RoleArn": "arn:role", "ClientRequestToken": TOKEN,
            "PipelineDefinition": definition(script).to_string() });
        self.call("CreatePipeline", &request);
    }

    fn start(&self, token: &str, name: &str) -> Value {
        json!({ "PipelineName": "Retrain", "ClientRequestToken": token, "PipelineExecutionDisplayName": name,
            "PipelineParameters": [{ "Name": "Who", "Value": "x" }] })
    }

    fn started(&self, token: &str, name: &str) -> String {
        let answer = self.call("StartPipelineExecution", &self.start(token, name));
        answer["PipelineExecutionArn"].as_str().expect("an ARN").to_owned()
    }

    fn status_of(&self, arn: &str) -> String {
        let answer = self.call("DescribePipelineExecution", &json!({ "PipelineExecutionArn": arn }));
        answer["PipelineExecutionStatus"].as_str().expect("a status").to_owned()
    }
}

/// A training step with a script, whose model is registered.
fn definition(script: &str) -> Value {
    json!({ "Version": "2020-12-01", "Parameters": [{ "Name": "Who", "Type": "String" }], "Steps": [
        { "Name": "Train", "Type": "Training", "Arguments": {
            "AlgorithmSpecification": { "TrainingImage": "image", "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": [script] },
            "OutputDataConfig": { "S3OutputPath": "s3://bucket/out" },
            "InputDataConfig": [{ "ChannelName": "train", "DataSource": { "S3DataSource":
                { "S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in" } } }] } },
        { "Name": "Register", "Type": "RegisterModel", "Arguments": { "ModelPackageGroupName": "group",
            "InferenceSpecification": { "Containers": [{ "Image": "image",
                "ModelDataUrl": { "Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts" } }],
                "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"] } } }] })
}

const GOOD: &str = "cp /opt/ml/input/data/train/a.txt /opt/ml/model/model.json";

/// A hook that keeps what it takes; it refuses the first `failures` posts.
fn hook(failures: u32) -> (HookUrl, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let url = format!("http://{}/events", listener.local_addr().expect("an address")).parse().expect("a hook");
    let taken = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&taken);
    std::thread::spawn(move || {
        let mut left = failures;
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let count = stream.read(&mut buffer).expect("reads");
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|it| it.strip_prefix("Content-Length: ")).expect("a length");
                if body.len() == length.parse::<usize>().expect("a number") {
                    break body.to_owned();
                }
            };
            let status = if left == 0 { "200 OK" } else { "503 Later" };
            if left == 0 {
                let event = serde_json::from_str(&body).expect("an event");
                into.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
            left = left.saturating_sub(1);
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").expect("answers");
        }
    });
    (url, taken)
}

#[test]
fn a_token_is_one_execution() {
    let wire = Wire::new(json!({}));
    wire.define(GOOD);
    let arn = wire.started(TOKEN, "m-r0001");
    assert_eq!(wire.started(TOKEN, "m-r0001"), arn);
    let other = wire.start(TOKEN, "m-r0002");
    assert_eq!(
        wire.refused("StartPipelineExecution", &other),
        "400 ConflictException: The ClientRequestToken was used before with other parameters."
    );
    wire.rest();
    // A newer version does not make another execution of it.
    let update = json!({ "PipelineName": "retrain", "PipelineDefinition": definition("exit 1").to_string() });
    assert_eq!(wire.call("UpdatePipeline", &update)["PipelineVersionId"], 2);
    assert_eq!(wire.started(TOKEN, "m-r0001"), arn);
    let list = wire.call("ListPipelineExecutions", &json!({ "PipelineName": "Retrain" }));
    let summaries = list["PipelineExecutionSummaries"].as_array().expect("a list");
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0]["PipelineExecutionDisplayName"], "m-r0001");
    let described = wire.call("DescribePipelineExecution", &json!({ "PipelineExecutionArn": arn }));
    assert_eq!(described["PipelineVersionId"], 1);
    assert_eq!(described["CreationTime"], 1_359_676_800.0);
}

#[test]
fn steps_run_register_and_are_told_of() {
    let (url, taken) = hook(2);
    let objects = MemoryObjects::new(Arc::new(SystemClock));
    let wire = Wire::open(TempDir::new().expect("a folder"), objects, json!({}), Some(url));
    wire.define(GOOD);
    let arn = wire.started(TOKEN, "m-r0001");
    wire.rest();
    assert_eq!(wire.status_of(&arn), "Succeeded");
    let steps = wire.call(
        "ListPipelineExecutionSteps",
        &json!({ "PipelineExecutionArn": arn, "SortOrder": "Ascending", "MaxResults": 1 }),
    );
    assert_eq!(steps["PipelineExecutionSteps"][0]["StepName"], "Train");
    let next = json!({ "PipelineExecutionArn": arn, "SortOrder": "Ascending", "NextToken": steps["NextToken"] });
    let steps = wire.call("ListPipelineExecutionSteps", &next);
    let package = steps["PipelineExecutionSteps"][0]["Metadata"]["RegisterModel"]["Arn"].clone();
    let described = wire.call("DescribeModelPackage", &json!({ "ModelPackageName": package }));
    assert_eq!(described["InferenceSpecification"]["Containers"][0]["Image"], "image");
    assert_eq!(described["ModelApprovalStatus"], "PendingManualApproval");
    let approval = json!({ "ModelPackageArn": package, "ModelApprovalStatus": "Approved" });
    wire.call("UpdateModelPackage", &approval);
    wire.call("UpdateModelPackage", &approval);
    wire.rest();
    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let told: Vec<String> = taken
        .iter()
        .map(|it| {
            let detail = &it["detail"];
            let names = ["currentPipelineExecutionStatus", "currentStepStatus", "ModelApprovalStatus"];
            let status = names.iter().find_map(|name| detail[name].as_str()).expect("a status");
            format!("{} {status}", detail["stepName"].as_str().unwrap_or_default()).trim().to_owned()
        })
        .collect();
    let expected = [
        "Executing",
        "Train Executing",
        "Train Succeeded",
        "Register Executing",
        "Register Succeeded",
        "PendingManualApproval",
        "Succeeded",
        "Approved",
    ];
    assert_eq!(told, expected);
    let ended = taken.iter().rev().find(|it| it["detail"]["currentPipelineExecutionStatus"] == "Succeeded");
    let ended = ended.expect("told");
    assert_eq!(ended["source"], "aws.sagemaker");
    assert_eq!(ended["detail"]["previousPipelineExecutionStatus"], "Executing");
    assert_eq!(ended["resources"][1], arn.as_str());
}

#[test]
fn executions_last_on_the_virtual_clock_and_their_status_lags() {
    let wire = Wire::new(json!({ "execution_takes": "12m", "status_lag": "1m", "list_lag": "30s" }));
    wire.define(GOOD);
    let arn = wire.started(TOKEN, "m-r0001");
    let status = wire.rest();
    assert_eq!(status["next"], "2013-02-01T00:12:00Z");
    let list = |wire: &Wire| {
        let list = wire.call("ListPipelineExecutions", &json!({ "PipelineName": "Retrain" }));
        list["PipelineExecutionSummaries"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(list(&wire), 0);
    wire.set_clock("2013-02-01T00:11:59Z");
    assert_eq!(wire.send("GET", "/clock", "", &Value::Null), (200, json!("2013-02-01T00:11:59Z")));
    wire.rest();
    assert_eq!(list(&wire), 1);
    assert!(
        wire.call("ListPipelineExecutionSteps", &json!({ "PipelineExecutionArn": arn }))["PipelineExecutionSteps"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    wire.set_clock("2013-02-01T00:12:00Z");
    wire.rest();
    assert_eq!(wire.status_of(&arn), "Executing");
    wire.set_clock("2013-02-01T00:13:00Z");
    assert_eq!(wire.status_of(&arn), "Succeeded");
    assert_eq!(wire.send("PUT", "/clock", "", &json!(BEGIN)).0, 409);
}

#[test]
fn a_killed_endpoint_goes_on() {
    let wire = Wire::new(json!({ "execution_takes": "12m" }));
    wire.define(GOOD);
    let arn = wire.started(TOKEN, "m-r0001");
    wire.set_clock("2013-02-01T00:05:00Z");
    let Wire { folder, objects, sagemaker, _runtime: runtime, .. } = wire;
    drop((sagemaker, runtime));
    let (url, taken) = hook(0);
    let wire = Wire::open(folder, objects, json!({ "execution_takes": "12m", "event_copies": 2 }), Some(url));
    assert_eq!(wire.sagemaker.clock().now().to_string(), "2013-02-01T00:05:00Z");
    wire.set_clock("2013-02-01T00:12:00Z");
    wire.rest();
    assert_eq!(wire.status_of(&arn), "Succeeded");
    assert_eq!(wire.started(TOKEN, "m-r0001"), arn);
    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let ends: Vec<&Value> =
        taken.iter().filter(|it| it["detail"]["currentPipelineExecutionStatus"] == "Succeeded").collect();
    assert_eq!(ends.len(), 2);
    assert_ne!(ends[0]["id"], ends[1]["id"], "the service's own duplicates");
    assert_eq!(ends[0]["detail"], ends[1]["detail"]);
}

#[test]
fn what_waits_can_be_stopped_and_failures_say_why() {
    let wire = Wire::new(json!({ "execution_takes": "12m", "quotas": { "concurrent_executions": 2 },
        "faults": { "executions": [{ "pipeline": "retrain", "step": "Train", "reason": "no capacity", "skip": 1 }] } }));
    wire.define("echo broken > /opt/ml/output/failure; exit 3");
    let first = wire.started(TOKEN, "m-r0001");
    let second = wire.started(&TOKEN.replace('0', "1"), "m-r0002");
    let third = wire.start(&TOKEN.replace('0', "2"), "m-r0003");
    let why = wire.refused("StartPipelineExecution", &third);
    assert!(why.starts_with("400 ResourceLimitExceeded: "), "{why}");
    // A known token is answered whatever the quota says.
    assert_eq!(wire.started(TOKEN, "m-r0001"), first);
    wire.set_clock("2013-02-01T00:12:00Z");
    wire.rest();
    let reason = |arn: &str| {
        let answer = wire.call("DescribePipelineExecution", &json!({ "PipelineExecutionArn": arn }));
        assert_eq!(answer["PipelineExecutionStatus"], "Failed");
        answer["FailureReason"].as_str().expect("a reason").to_owned()
    };
    let mut reasons = [reason(&first), reason(&second)];
    reasons.sort();
    assert_eq!(reasons, ["step `Train` failed: broken", "step `Train` failed: no capacity"]);
    let fourth = wire.started(&TOKEN.replace('0', "3"), "m-r0004");
    let stop = json!({ "PipelineExecutionArn": fourth, "ClientRequestToken": TOKEN });
    wire.call("StopPipelineExecution", &stop);
    wire.rest();
    assert_eq!(wire.status_of(&fourth), "Stopped");
    let why = wire.refused("StopPipelineExecution", &stop);
    assert!(why.starts_with("400 ValidationException: Only executions in Executing status"), "{why}");
}

#[test]
fn an_endpoint_refuses_changes_while_it_updates() {
    let wire = Wire::new(json!({ "endpoint_takes": "5m",
        "faults": { "endpoints": [{ "endpoint": "e", "reason": "no instances", "skip": 1 }] } }));
    for name in ["a", "b"] {
        wire.call("CreateModel", &json!({ "ModelName": name, "PrimaryContainer": { "Image": "image" } }));
        let config = json!({ "EndpointConfigName": name, "ProductionVariants": [
            { "VariantName": "champion", "ModelName": name, "InitialInstanceCount": 1, "InitialVariantWeight": 0.5 }] });
        wire.call("CreateEndpointConfig", &config);
    }
    let create = json!({ "EndpointName": "e", "EndpointConfigName": "a" });
    wire.call("CreateEndpoint", &create);
    let already = wire.refused("CreateEndpoint", &create);
    assert!(already.contains("Cannot create already existing endpoint"), "{already}");
    let describe = || wire.call("DescribeEndpoint", &json!({ "EndpointName": "e" }));
    assert_eq!(describe()["EndpointStatus"], "Creating");
    let update = json!({ "EndpointName": "e", "EndpointConfigName": "b" });
    let busy = "400 ValidationException: Cannot update in-progress endpoint \
                \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/e\".";
    assert_eq!(wire.refused("UpdateEndpoint", &update), busy);
    wire.set_clock("2013-02-01T00:05:00Z");
    assert_eq!(describe()["EndpointStatus"], "InService");
    wire.call("UpdateEndpoint", &update);
    assert_eq!(describe()["EndpointConfigName"], "a", "until it is over");
    wire.set_clock("2013-02-01T00:10:00Z");
    let failed = describe();
    let shown = (&failed["EndpointStatus"], &failed["FailureReason"], &failed["EndpointConfigName"]);
    assert_eq!(shown, (&json!("InService"), &json!("no instances"), &json!("a")));
    let weights = json!({ "EndpointName": "e", "DesiredWeightsAndCapacities": [
        { "VariantName": "champion", "DesiredWeight": 2.0 }] });
    wire.call("UpdateEndpointWeightsAndCapacities", &weights);
    assert_eq!(wire.refused("UpdateEndpointWeightsAndCapacities", &weights), busy);
    let changing = describe();
    assert_eq!(changing.get("FailureReason"), None, "it disappears with the next change");
    let arm = &changing["ProductionVariants"][0];
    assert_eq!((&arm["CurrentWeight"], &arm["DesiredWeight"]), (&json!(0.5), &json!(2.0)));
    wire.set_clock("2013-02-01T00:15:00Z");
    assert_eq!(describe()["ProductionVariants"][0]["CurrentWeight"], 2.0);
    // A new configuration brings its own weights, unless they are to be kept.
    wire.call(
        "UpdateEndpoint",
        &json!({ "EndpointName": "e", "EndpointConfigName": "b", "RetainAllVariantProperties": true }),
    );
    wire.set_clock("2013-02-01T00:20:00Z");
    assert_eq!(describe()["ProductionVariants"][0]["CurrentWeight"], 2.0);
    wire.call("UpdateEndpoint", &update);
    wire.set_clock("2013-02-01T00:25:00Z");
    assert_eq!(describe()["ProductionVariants"][0]["CurrentWeight"], 0.5);
}

#[test]
fn calls_fail_before_or_after_their_effect() {
    let wire = Wire::new(json!({ "execution_takes": "1h" }));
    wire.define(GOOD);
    let faults = json!({ "calls": [
        { "operation": "StartPipelineExecution", "error": "ThrottlingException", "message": "Rate exceeded" },
        { "operation": "StartPipelineExecution", "error": "InternalFailure", "effect": "applied" }] });
    assert_eq!(wire.send("PUT", "/faults", "", &faults).0, 200);
    let start = wire.start(TOKEN, "m-r0001");
    let list = || wire.call("ListPipelineExecutions", &json!({ "PipelineName": "Retrain" }));
    assert_eq!(wire.refused("StartPipelineExecution", &start), "400 ThrottlingException: Rate exceeded");
    assert_eq!(list()["PipelineExecutionSummaries"].as_array().map(Vec::len), Some(0));
    assert!(wire.refused("StartPipelineExecution", &start).starts_with("500 InternalFailure"));
    assert_eq!(list()["PipelineExecutionSummaries"].as_array().map(Vec::len), Some(1));
    wire.started(TOKEN, "m-r0001");
    assert_eq!(wire.send("PUT", "/faults", "", &json!({ "call": [] })).0, 400);
}

#[test]
fn what_is_wrong_is_said_in_the_services_words() {
    let wire = Wire::new(json!({}));
    wire.define(GOOD);
    let arn = "arn:aws:sagemaker:us-east-1:000000000000";
    let token = json!({ "ClientRequestToken": TOKEN });
    let cases = [
        ("DescribePipeline", json!({ "PipelineName": "none" }), format!("400 ResourceNotFound: Pipeline '{arn}:pipeline/none' does not exist.")),
        ("DescribePipelineExecution", json!({ "PipelineExecutionArn": "none" }), "400 ResourceNotFound: Pipeline execution 'none' does not exist.".to_owned()),
        ("DescribeEndpoint", json!({ "EndpointName": "none" }), format!("400 ValidationException: Could not find endpoint \"{arn}:endpoint/none\".")),
        ("DescribeModelPackage", json!({ "ModelPackageName": "g/7" }), format!("400 ValidationException: ModelPackage {arn}:model-package/g/7 does not exist.")),
        ("StartPipelineExecution", token, "400 ValidationException: 1 validation error detected: Value at 'pipelineName' failed to satisfy constraint: Member must not be null".to_owned()),
        ("StartPipelineExecution", json!({ "PipelineName": "Retrain", "ClientRequestToken": "short" }), "400 ValidationException: ClientRequestToken must have 32 to 128 characters".to_owned()),
        ("CreatePipeline", json!({ "PipelineName": 7, "PipelineDefinition": "{}" }), "400 SerializationException: `PipelineName` is not a String".to_owned()),
        ("ListPipelines", json!({ "MaxResults": 0 }), "400 ValidationException: MaxResults is 0; it must be 1 to 100".to_owned()),
        ("ListPipelines", json!({ "NextToken": "forged" }), "400 ValidationException: NextToken is not one that was given".to_owned()),
        ("MakeCoffee", json!({}), "400 UnknownOperationException: Operation `MakeCoffee` is not one that Refit's SageMaker knows".to_owned()),
    ];
    for (operation, request, expected) in cases {
        assert_eq!(wire.refused(operation, &request), expected, "{operation}");
    }
    let twice =
        json!({ "PipelineName": "Retrain", "RoleArn": "r", "PipelineDefinition": definition(GOOD).to_string() });
    assert!(wire.refused("CreatePipeline", &twice).contains("Pipeline names must be unique"));
    let broken = json!({ "PipelineName": "other", "RoleArn": "r", "PipelineDefinition": "{" });
    assert!(wire.refused("CreatePipeline", &broken).contains("Unable to parse pipeline definition"));
    assert_eq!(wire.send("POST", "/", "S3.GetObject", &json!({})).0, 400);
    assert_eq!(wire.send("POST", "/", "SageMaker.ListPipelines", &json!([])).0, 400);
}
