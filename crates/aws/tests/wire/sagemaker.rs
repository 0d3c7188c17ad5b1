//! SageMaker's calls, against a server that answers as SageMaker's documentation says: MiniStack has none.

mod server;

use std::collections::BTreeMap;

use refit_app::ports::{
    ApprovalStatus, EndpointError, EndpointStatus, Endpoints, ExecutionStatus, Packages, PipelineError, Pipelines,
    StartRequest, Variant,
};
use refit_aws::{SageMakerEndpoints, SageMakerPackages, SageMakerPipelines};
use refit_core::policy::Resources;
use serde_json::json;

use self::server::Server;
use crate::emulator::{LIMITS, config};
use crate::faults::{Case, Class, HASTY, check};
use crate::proxy::{Fault, Proxy};

const ROLE: &str = "arn:aws:iam::000000000000:role/serve";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const ARN: &str = "arn:aws:sagemaker:us-east-1:000000000000:";

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
