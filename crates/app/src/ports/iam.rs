//! The IAM actions that each port method's cloud adapter calls; the template's policies are checked against them.

/// `(port, method, actions)` for every method that calls a service.
pub const ACTIONS: &[(&str, &str, &[&str])] = &[
    ("table", "get", &["dynamodb:GetItem"]),
    ("table", "query", &["dynamodb:Query"]),
    ("table", "transact", &["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"]),
    ("table", "list_due", &["dynamodb:Query"]),
    ("objects", "head", &["s3:GetObject"]),
    ("objects", "get", &["s3:GetObject"]),
    ("objects", "get_range", &["s3:GetObject"]),
    ("objects", "put_new", &["s3:PutObject"]),
    ("objects", "replace", &["s3:PutObject"]),
    ("objects", "remove", &["s3:DeleteObject"]),
    ("objects", "list", &["s3:ListBucket"]),
    ("pipelines", "describe", &["sagemaker:DescribePipeline"]),
    ("pipelines", "ensure_started", &["sagemaker:StartPipelineExecution"]),
    ("pipelines", "find_by_display_name", &["sagemaker:ListPipelineExecutions"]),
    ("pipelines", "observe", &["sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutionSteps"]),
    ("pipelines", "stop", &["sagemaker:StopPipelineExecution"]),
    ("packages", "describe", &["sagemaker:DescribeModelPackage"]),
    ("packages", "set_approval", &["sagemaker:UpdateModelPackage"]),
    ("endpoints", "describe", &["sagemaker:DescribeEndpoint"]),
    (
        "endpoints",
        "ensure_variants",
        &[
            "sagemaker:CreateModel",
            "sagemaker:CreateEndpointConfig",
            "sagemaker:CreateEndpoint",
            "sagemaker:UpdateEndpoint",
        ],
    ),
    ("publisher", "publish", &["events:PutEvents"]),
    ("publisher", "alert", &["sns:Publish"]),
];
