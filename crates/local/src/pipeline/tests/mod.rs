//! Executions with tiny shell steps, from the port down to the processes.

mod cache;
mod failures;
mod parallel;
mod service;
mod steps;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use refit_app::ports::{Clock, Execution, Objects, Pipelines, StartRequest};
use refit_core::ObjectUri;
use serde_json::{Value, json};

use super::interpreter::wait;
use super::{LocalPackages, LocalPipelines, Programs};
use crate::store::{Database, MemoryObjects};

/// When all tests begin.
const START: &str = "2013-02-01T00:00:00Z";

/// A clock that stands still.
struct Still;

/// A clock that is moved by hand.
struct Manual(Mutex<Timestamp>);

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("clock")
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        START.parse().expect("time")
    }
}

/// A registry, objects and a folder of its own.
struct World {
    clock: Arc<Manual>,
    folder: tempfile::TempDir,
    objects: Arc<dyn Objects>,
    packages: LocalPackages,
    pipelines: LocalPipelines,
}

impl World {
    fn new() -> World {
        World::with_programs(Programs::new())
    }

    fn with_programs(programs: Programs) -> World {
        let folder = tempfile::tempdir().expect("folder");
        let database = Database::open_in_memory().expect("database");
        let objects: Arc<dyn Objects> = Arc::new(new_objects());
        let packages = LocalPackages::new(database.clone());
        let executions = folder.path().join("executions");
        let clock = Arc::new(Manual(Mutex::new(Still.now())));
        let pipelines = LocalPipelines::new(
            database,
            Arc::clone(&objects),
            packages.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            executions,
            programs,
        );
        World { clock, folder, objects, packages, pipelines }
    }

    fn put(&self, uri: &str, text: &str) {
        wait(self.objects.put_new(&uri.parse().expect("address"), text.as_bytes())).expect("put");
    }

    fn get(&self, uri: &str) -> String {
        let uri: ObjectUri = uri.parse().expect("address");
        let object = wait(self.objects.get(&uri, 1 << 20)).expect("object");
        String::from_utf8(object.bytes.into()).expect("text")
    }

    /// Defines the pipeline `test` and starts it.
    fn start(&self, definition: &Value, parameters: &[(&str, &str)]) -> String {
        let version = self.pipelines.define("test", &definition.to_string()).expect("definition").version;
        wait(self.pipelines.ensure_started(&"k".repeat(32), &request(version, parameters))).expect("started")
    }

    fn run(&self, definition: &Value, parameters: &[(&str, &str)]) -> Execution {
        let arn = self.start(definition, parameters);
        self.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran")
    }

    /// Runs the pipeline `test` as the execution number `number`.
    fn run_as(&self, number: u32, definition: &Value, parameters: &[(&str, &str)]) -> Execution {
        let version = self.pipelines.define("test", &definition.to_string()).expect("definition").version;
        let key = format!("{number:032}");
        let arn = wait(self.pipelines.ensure_started(&key, &request(version, parameters))).expect("started");
        self.pipelines.run_to_end(&arn, &mut |_| {}).expect("ran")
    }

    fn log(&self, execution: &Execution, step: &str) -> String {
        let id = super::events::execution_id(&execution.arn);
        let path = self.folder.path().join("executions").join(id).join(format!("{step}.log"));
        std::fs::read_to_string(path).expect("log")
    }
}

fn new_objects() -> MemoryObjects {
    MemoryObjects::new(Arc::new(Still))
}

fn request(version: u64, parameters: &[(&str, &str)]) -> StartRequest {
    StartRequest {
        resources: refit_core::policy::Resources::default(),
        pipeline: "test".to_owned(),
        version,
        display_name: "run-r0001".to_owned(),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn definition(parameters: &Value, steps: &[Value]) -> Value {
    json!({"Version": "2020-12-01", "Parameters": parameters, "Steps": steps})
}

/// A processing step that runs a shell script; each pair of `inputs` and `outputs` is a name and an address.
fn shell(name: &str, script: &str, inputs: &[(&str, Value)], outputs: &[(&str, Value)]) -> Value {
    let inputs: Vec<Value> = inputs
        .iter()
        .map(|(name, uri)| {
            json!({"InputName": name, "S3Input": {"S3Uri": uri, "LocalPath": format!("/opt/ml/processing/{name}")}})
        })
        .collect();
    let outputs: Vec<Value> = outputs
        .iter()
        .map(|(name, uri)| {
            json!({"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": format!("/opt/ml/processing/{name}")}})
        })
        .collect();
    json!({"Name": name, "Type": "Processing", "Arguments": {
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": [script]},
        "ProcessingInputs": inputs, "ProcessingOutputConfig": {"Outputs": outputs}}})
}

/// A training step with the channel `train`, whose archive goes below `s3://bucket/model`.
fn training(script: &str, train: &Value) -> Value {
    json!({"Name": "Train", "Type": "Training", "Arguments": {
        "AlgorithmSpecification": {"TrainingImage": "image", "ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": [script]},
        "HyperParameters": {"rounds": 7},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": train}}}],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/model"}}})
}

/// A step that registers `url` into the group `flights`.
fn register(name: &str, url: &Value) -> Value {
    json!({"Name": name, "Type": "RegisterModel", "Arguments": {
        "ModelPackageGroupName": "flights", "CustomerMetadataProperties": {"refit:run-id": "r1"},
        "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": url}]}}})
}

fn statuses(execution: &Execution) -> BTreeMap<&str, &str> {
    execution.steps.iter().map(|it| (it.name.as_str(), it.status.as_str())).collect()
}

/// How many files a folder holds, for checks that nothing is left.
fn count_entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
