//! SageMaker's adapters against Refit's own SageMaker, whose executions run and whose endpoints take their time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use refit_app::ports::{
    ApprovalStatus, EndpointError, EndpointStatus, Endpoints, Execution, ExecutionStatus, Objects, Packages,
    PipelineError, Pipelines, StartRequest, Variant,
};
use refit_aws::{SageMakerEndpoints, SageMakerPackages, SageMakerPipelines};
use refit_core::policy::Resources;
use refit_local::clock::SystemClock;
use refit_local::sagemaker::{Behavior, OnRuntime, Parts, SageMaker, Server};
use refit_local::store::MemoryObjects;
use serde_json::json;

use crate::emulator::{LIMITS, config};
use crate::proxy::{Fault, Proxy};

const ROLE: &str = "arn:aws:iam::000000000000:role/serve";
/// Far more questions than an execution of two small steps needs.
const MAX_QUESTIONS: usize = 100_000;

/// One training step with a shell, whose model is registered.
fn definition() -> String {
    let train = json!({ "Name": "Train", "Type": "Training", "Arguments": {
        "AlgorithmSpecification": { "TrainingImage": "image", "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c"], "ContainerArguments": ["echo {} > /opt/ml/model/model.json"] },
        "OutputDataConfig": { "S3OutputPath": "s3://bucket/out" }, "InputDataConfig": [],
    } });
    let register = json!({ "Name": "Register", "Type": "RegisterModel", "Arguments": {
        "ModelPackageGroupName": "flights", "InferenceSpecification": {
            "Containers": [{ "Image": "image", "ModelDataUrl": { "Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts" } }],
            "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"] },
    } });
    let parameters = json!([{ "Name": "RefitRunId", "Type": "String" }]);
    json!({ "Version": "2020-12-01", "Parameters": parameters, "Steps": [train, register] }).to_string()
}

async fn serve(behavior: &str, state: &std::path::Path) -> SocketAddr {
    let objects: Arc<dyn Objects> = Arc::new(MemoryObjects::new(Arc::new(SystemClock)));
    let sagemaker = SageMaker::open(Parts {
        state: state.to_owned(),
        objects: Arc::new(OnRuntime::new(objects, tokio::runtime::Handle::current())),
        programs: BTreeMap::new(),
        begin: None,
        hook: None,
        behavior: Behavior::parse(behavior).expect("a behavior"),
    })
    .expect("it opens");
    let server = Server::bind(sagemaker, 0).await.expect("it listens");
    let address = server.address();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

async fn ended(pipelines: &SageMakerPipelines, arn: &str) -> Execution {
    for _ in 0..MAX_QUESTIONS {
        let execution = pipelines.observe(arn).await.expect("it is there");
        if execution.status.is_terminal() {
            return execution;
        }
    }
    panic!("`{arn}` does not end");
}

async fn served(endpoints: &SageMakerEndpoints, variants: &[Variant]) -> u32 {
    for asked in 0.. {
        match endpoints.ensure_variants("flights", variants).await {
            Ok(()) => return asked,
            Err(EndpointError::Updating(_)) => assert!(asked < 100_000, "it never serves"),
            Err(error) => panic!("{error:?}"),
        }
    }
    unreachable!("it returns or panics")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_registered_approved_and_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = serve("{}", folder.path()).await;
    let client = aws_sdk_sagemaker::Client::new(&config(address));
    let create = client.create_pipeline().pipeline_name("retrain").role_arn(ROLE).client_request_token("0".repeat(32));
    create.pipeline_definition(definition()).send().await.expect("a pipeline");
    // Every third request loses its answer or does not arrive.
    let proxy = Proxy::start(address);
    let faults = [Fault::DropReply, Fault::Reset, Fault::Broken, Fault::Throttled, Fault::BrokenAfter];
    proxy.plan(move |_, number| (number % 3 == 0).then(|| faults[number as usize / 3 % faults.len()]));
    let config = config(proxy.address);
    let pipelines = SageMakerPipelines::new(&config, LIMITS);
    let packages = SageMakerPackages::new(&config, LIMITS);
    let endpoints = SageMakerEndpoints::new(&config, LIMITS, ROLE, "ml.m5.large");

    let described = pipelines.describe("retrain").await.expect("it is there");
    assert_eq!((described.version, described.parameters.len()), (1, 1));
    let mut variants = Vec::new();
    for number in 1..=2 {
        let name = format!("m-r{number:04}");
        let start = StartRequest {
            pipeline: "retrain".to_owned(),
            version: described.version,
            display_name: name.clone(),
            parameters: BTreeMap::from([("RefitRunId".to_owned(), name.clone())]),
            resources: Resources::default(),
        };
        let key = format!("{number:032}");
        let arn = pipelines.ensure_started(&key, &start).await.expect("it starts");
        assert_eq!(pipelines.ensure_started(&key, &start).await.expect("it was started"), arn);
        let other = StartRequest { display_name: "other".to_owned(), ..start };
        let reused = pipelines.ensure_started(&key, &other).await;
        assert!(matches!(reused, Err(PipelineError::KeyReused)), "{reused:?}");
        assert_eq!(pipelines.find_by_display_name("retrain", &name).await.expect("it answers"), Some(arn.clone()));
        let execution = ended(&pipelines, &arn).await;
        assert_eq!(execution.status, ExecutionStatus::Succeeded, "{execution:?}");
        pipelines.stop(&arn).await.expect("it has ended");
        let steps: Vec<_> = execution.steps.iter().map(|it| (it.name.as_str(), it.kind.as_str())).collect();
        assert_eq!(steps, [("Train", "Training"), ("Register", "RegisterModel")]);
        let package_arn = execution.steps.iter().find_map(|it| it.package_arn.clone()).expect("a package");
        let package = packages.describe(&package_arn).await.expect("it is there");
        assert_eq!((package.version, package.approval), (number, ApprovalStatus::PendingManualApproval));
        packages.set_approval(&package_arn, ApprovalStatus::Approved).await.expect("it is there");
        assert_eq!(packages.describe(&package_arn).await.expect("it is there").approval, ApprovalStatus::Approved);
        variants = vec![Variant { name: "champion".to_owned(), package_arn, weight: 1.0 }];
        served(&endpoints, &variants).await;
        assert_eq!(served(&endpoints, &variants).await, 0, "it serves them already");
    }
    let state = endpoints.describe("flights").await.expect("it is there");
    assert_eq!((state.status, state.variants), (EndpointStatus::InService, variants));
}
