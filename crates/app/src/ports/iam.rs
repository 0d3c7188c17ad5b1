//! The IAM actions that each port method's cloud adapter calls, and which methods each function calls; the template's
//! policies are checked against them.

use std::collections::BTreeSet;

/// `(port, method, actions)` for every method that calls a service.
///
/// Without `s3:ListBucket` S3 says that a missing object is forbidden, and a caller could not tell one from the other.
pub const ACTIONS: &[(&str, &str, &[&str])] = &[
    ("table", "get", &["dynamodb:GetItem"]),
    ("table", "query", &["dynamodb:Query"]),
    ("table", "transact", &["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"]),
    ("table", "list_due", &["dynamodb:Query"]),
    ("objects", "head", &["s3:GetObject", "s3:ListBucket"]),
    ("objects", "get", &["s3:GetObject", "s3:ListBucket"]),
    ("objects", "get_range", &["s3:GetObject", "s3:ListBucket"]),
    ("objects", "put_new", &["s3:PutObject", "s3:GetObject", "s3:ListBucket"]),
    ("objects", "replace", &["s3:PutObject", "s3:GetObject", "s3:ListBucket"]),
    ("objects", "remove", &["s3:DeleteObject"]),
    ("objects", "list", &["s3:ListBucket"]),
    ("pipelines", "describe", &["sagemaker:DescribePipeline", "sagemaker:ListPipelineVersions"]),
    ("pipelines", "ensure_started", &["sagemaker:StartPipelineExecution"]),
    ("pipelines", "find_by_display_name", &["sagemaker:ListPipelineExecutions"]),
    ("pipelines", "observe", &["sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutionSteps"]),
    ("pipelines", "stop", &["sagemaker:StopPipelineExecution", "sagemaker:DescribePipelineExecution"]),
    ("packages", "describe", &["sagemaker:DescribeModelPackage"]),
    ("packages", "set_approval", &["sagemaker:UpdateModelPackage"]),
    (
        "endpoints",
        "describe",
        &["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
    ),
    (
        "endpoints",
        "ensure_variants",
        &[
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:CreateModel",
            "sagemaker:CreateEndpointConfig",
            "sagemaker:CreateEndpoint",
            "sagemaker:UpdateEndpoint",
            "sagemaker:UpdateEndpointWeightsAndCapacities",
            "iam:PassRole",
        ],
    ),
    ("publisher", "publish", &["events:PutEvents"]),
    ("publisher", "alert", &["sns:Publish"]),
];

/// `(function, port, methods)`: what each function calls.
pub const FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("check-triggers", "table", &["get", "query", "transact"]),
    ("check-triggers", "objects", &["head", "get", "put_new", "remove", "list"]),
    ("check-triggers", "packages", &["set_approval"]),
    ("check-triggers", "publisher", &["alert"]),
    ("start-retraining", "table", &["get", "transact"]),
    ("start-retraining", "objects", &["get", "put_new"]),
    ("start-retraining", "pipelines", &["describe", "ensure_started", "find_by_display_name", "observe", "stop"]),
    ("start-retraining", "publisher", &["alert"]),
    ("evaluate-candidate", "table", &["get", "transact"]),
    ("evaluate-candidate", "objects", &["get", "put_new"]),
    ("evaluate-candidate", "pipelines", &["find_by_display_name", "observe", "stop"]),
    ("evaluate-candidate", "packages", &["describe", "set_approval"]),
    ("evaluate-candidate", "publisher", &["alert"]),
    ("promote-model", "table", &["get", "transact"]),
    ("promote-model", "objects", &["get", "put_new"]),
    ("promote-model", "packages", &["describe", "set_approval"]),
    ("promote-model", "endpoints", &["describe", "ensure_variants"]),
    ("promote-model", "publisher", &["alert"]),
    ("record-window", "table", &["get", "transact"]),
    ("record-window", "objects", &["head", "get", "put_new"]),
    ("record-window", "publisher", &["alert"]),
    ("publish-events", "table", &["get", "query", "transact"]),
    ("publish-events", "publisher", &["publish", "alert"]),
    ("sweep", "table", &["get", "query", "transact", "list_due"]),
    ("sweep", "objects", &["get"]),
    ("sweep", "publisher", &["publish", "alert"]),
    ("api", "table", &["get", "query", "transact"]),
    ("api", "objects", &["get", "put_new"]),
    ("api", "packages", &["set_approval"]),
    ("api", "publisher", &["alert"]),
];

/// The actions of a method's cloud adapter.
#[must_use]
pub fn actions_of_method(port: &str, method: &str) -> &'static [&'static str] {
    ACTIONS.iter().find(|it| (it.0, it.1) == (port, method)).map_or(&[], |it| it.2)
}

/// The actions that a function needs, sorted.
#[must_use]
pub fn actions_of_function(function: &str) -> BTreeSet<&'static str> {
    let methods = FUNCTIONS.iter().filter(|it| it.0 == function);
    methods.flat_map(|(_, port, methods)| methods.iter().flat_map(|it| actions_of_method(port, it))).copied().collect()
}
