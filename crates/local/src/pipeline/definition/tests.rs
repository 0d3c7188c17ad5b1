//! One table of everything that can be wrong with a definition.

use serde_json::{Value, json};

use super::{Definition, lint};

/// A correct definition of all step types, which the tests break.
fn good() -> Value {
    json!({
        "Version": "2020-12-01",
        "Metadata": {},
        "PipelineExperimentConfig": null,
        "Parameters": [
            {"Name": "Data", "Type": "String", "DefaultValue": "s3://bucket/data"},
            {"Name": "Limit", "Type": "Float", "DefaultValue": 7.5},
        ],
        "Steps": [
            {"Name": "Train", "Type": "Training", "Arguments": {
                "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File", "ContainerEntrypoint": ["/refit-step"]},
                "RoleArn": "role", "ResourceConfig": {"InstanceCount": 1},
                "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": {"Get": "Parameters.Data"}}}}],
                "OutputDataConfig": {"S3OutputPath": "s3://bucket/model"}}},
            {"Name": "Evaluate", "Type": "Processing", "Arguments": {
                "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1}},
                "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["/refit-step"]},
                "ProcessingInputs": [{"InputName": "model", "S3Input": {"S3Uri": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "LocalPath": "/opt/ml/processing/model"}}],
                "ProcessingOutputConfig": {"Outputs": [{"OutputName": "evaluation", "S3Output": {"S3Uri": "s3://bucket/e", "LocalPath": "/opt/ml/processing/evaluation"}}]}},
             "PropertyFiles": [{"PropertyFileName": "Evaluation", "OutputName": "evaluation", "FilePath": "evaluation.json"}]},
            {"Name": "Gate", "Type": "Condition", "Arguments": {
                "Conditions": [{"Type": "LessThanOrEqualTo", "RightValue": {"Get": "Parameters.Limit"}, "LeftValue":
                    {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"}, "Path": "mae.value"}}}],
                "IfSteps": [{"Name": "Register", "Type": "RegisterModel", "Arguments": {
                    "ModelPackageGroupName": "g",
                    "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}]}}}],
                "ElseSteps": [{"Name": "Bad", "Type": "Fail", "Arguments": {"ErrorMessage": "too bad"}}]}},
        ],
    })
}

/// Sets the value at a pointer, adding the last key when it is missing.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("pointer");
    match document.pointer_mut(parent).expect("place") {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => items[key.parse::<usize>().expect("index")] = value,
        other => other[key] = value,
    }
}

/// Breaks the good definition at `pointer` and checks that this and nothing else is reported.
#[track_caller]
fn check(pointer: &str, value: Value, place: &str, expected: &str) {
    let mut document = good();
    set(&mut document, pointer, value);
    let report = lint(&document.to_string());
    let texts: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|it| it.starts_with(&format!("{place}: ")) && it.contains(expected)), "{texts:#?}");
    assert_eq!(Definition::parse(&document.to_string()).err(), Some(report.problems));
}

/// Checks a warning, and that it does not keep the definition from running.
#[track_caller]
fn check_warns(parameter: Value, expected: &str) {
    let mut document = good();
    set(&mut document, "/Parameters/-", parameter);
    let report = lint(&document.to_string());
    assert_eq!(report.problems, []);
    assert!(report.warnings.iter().any(|it| it.message.contains(expected)), "{:#?}", report.warnings);
}

#[test]
fn a_good_definition_is_clean() {
    let report = lint(&good().to_string());
    assert_eq!((report.problems, report.warnings), (Vec::new(), Vec::new()));
    let definition = Definition::parse(&good().to_string()).expect("parses");
    let names: Vec<&str> = definition.steps().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Train", "Evaluate", "Gate", "Register", "Bad"]);
    assert_eq!(definition.parameters()["Limit"].as_deref(), Some("7.5"));
    let pretty = serde_json::to_string_pretty(&good()).expect("text");
    assert_eq!(Definition::parse(&pretty).expect("parses").digest(), definition.digest());
    let moved = good().to_string().replacen('{', "{\"PipelineExperimentConfig\":null,", 1);
    assert_eq!(Definition::parse(&moved).expect("parses").digest(), definition.digest());
}

#[test]
fn the_reference_pipeline_is_clean() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/pipelines/retrain.json");
    let report = lint(&std::fs::read_to_string(path).expect("definition"));
    assert_eq!(report.problems, []);
    // Refit starts it with values for all; nothing else may surprise.
    assert!(report.warnings.iter().all(|it| it.message.contains("has no default")), "{:#?}", report.warnings);
}

#[test]
fn what_is_not_interpreted_is_refused_by_name() {
    let gone = "not interpreted locally yet";
    check("/Version", json!("2019-01-01"), "/Version", gone);
    check(
        "/ParallelismConfiguration",
        json!({"MaxParallelExecutionSteps": 2}),
        "/ParallelismConfiguration",
        "`ParallelismConfiguration` is not interpreted",
    );
    for kind in ["Tuning", "Lambda", "Callback", "QualityCheck", "ClarifyCheck", "Transform", "Model", "EMR", "AutoML"]
    {
        check(
            "/Steps/-",
            json!({"Name": "Other", "Type": kind, "Arguments": {}}),
            "/Steps/3",
            &format!("step type `{kind}` is not interpreted"),
        );
    }
    check(
        "/Steps/2/Arguments/Conditions/-",
        json!({"Type": "And", "Conditions": []}),
        "/Steps/2/Arguments/Conditions/1",
        "condition `And` does not exist",
    );
    check(
        "/Steps/0/RetryPolicies",
        json!([{"ExceptionType": ["Mine"]}]),
        "/Steps/0/RetryPolicies/0/ExceptionType/0",
        "exception `Mine` does not exist; use Step.SERVICE_FAULT,",
    );
    check(
        "/Steps/0/Arguments/CheckpointConfig",
        json!({}),
        "/Steps/0/Arguments/CheckpointConfig",
        "`CheckpointConfig` is not interpreted",
    );
    check(
        "/Steps/0/Arguments/AlgorithmSpecification/TrainingInputMode",
        json!("Pipe"),
        "/Steps/0/Arguments/AlgorithmSpecification/TrainingInputMode",
        gone,
    );
    check(
        "/Steps/0/Arguments/AlgorithmSpecification/ContainerEntrypoint",
        json!([]),
        "/Steps/0/Arguments/AlgorithmSpecification",
        gone,
    );
    check(
        "/Steps/1/Arguments/ProcessingInputs/0/S3Input/S3CompressionType",
        json!("Gzip"),
        "/Steps/1/Arguments/ProcessingInputs/0/S3Input/S3CompressionType",
        gone,
    );
    check(
        "/Steps/1/Arguments/ProcessingOutputConfig/Outputs/0/S3Output/S3UploadMode",
        json!("Continuous"),
        "/Steps/1/Arguments/ProcessingOutputConfig/Outputs/0/S3Output/S3UploadMode",
        gone,
    );
    check(
        "/Steps/0/Arguments/OutputDataConfig/S3OutputPath",
        json!({"Std:Upper": "x"}),
        "/Steps/0/Arguments/OutputDataConfig/S3OutputPath",
        "function `Std:Upper` is not interpreted",
    );
}

#[test]
fn references_must_lead_somewhere() {
    let uri = "/Steps/1/Arguments/ProcessingInputs/0/S3Input/S3Uri";
    let cases = [
        ("Parameters.Nope", "parameter `Nope` is not declared"),
        ("Steps.Nope.ModelArtifacts.S3ModelArtifacts", "step `Nope` does not exist"),
        ("Steps.Train.ModelArtifacts", "has no property `ModelArtifacts`; it has"),
        ("Steps.Train.Nope", "ModelArtifacts.S3ModelArtifacts"),
    ];
    for (get, expected) in cases {
        check(uri, json!({"Get": get}), uri, expected);
    }
    let cases = [
        ("Steps.Train", "reference `Steps.Train` is not known"),
        ("Execution.Nope", "reference `Execution.Nope` is not known"),
        ("Nope", "reference `Nope` is not known"),
        ("Steps.Evaluate.PropertyFiles.Evaluation", "can only be read with `Std:JsonGet`"),
    ];
    for (get, expected) in cases {
        check(uri, json!({"Get": get}), &format!("{uri}/Get"), expected);
    }
    let left = "/Steps/2/Arguments/Conditions/0/LeftValue";
    let file = |get: &str| json!({"Std:JsonGet": {"PropertyFile": {"Get": get}, "Path": "a"}});
    check(left, file("Steps.Evaluate.PropertyFiles.Nope"), left, "has no property file `Nope`");
    check(left, file("Steps.Train.PropertyFiles.Evaluation"), left, "is not a Processing step");
    check(left, file("Parameters.Data"), &format!("{left}/Std:JsonGet/PropertyFile"), "is not a property file");
    check(left, json!({"Std:JsonGet": {"Path": "a"}}), &format!("{left}/Std:JsonGet"), "`PropertyFile` or `S3Uri`");
    check("/Steps/1/PropertyFiles/0/OutputName", json!("nope"), "/Steps/1/PropertyFiles/0", "is in output `nope`");
    check("/Steps/0/DependsOn", json!(["Nope"]), "/Steps/0/DependsOn/0", "step `Nope` does not exist");
}

#[test]
fn steps_have_one_place_and_one_order() {
    let fail = |name: &str| json!({"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "x"}});
    check("/Steps/-", fail("Train"), "/Steps/3", "step name `Train` is used twice");
    check("/Steps/-", fail("Bad"), "/Steps/3", "both at the top level and inside condition `Gate`");
    check("/Steps/0/Name", json!("a/b"), "/Steps/0", "step name `a/b` is not valid");
    check("/Steps/0/DependsOn", json!(["Evaluate"]), "/Steps/0", "wait for each other: Evaluate, Train;");
    check("/Steps/0/DependsOn", json!(["Train"]), "/Steps/0", "wait for each other");
    check(
        "/Steps/2/Arguments/ElseSteps/0/DependsOn",
        json!(["Register"]),
        "/Steps/2/Arguments/ElseSteps/0",
        "can never run",
    );
    check("/Steps/2/DependsOn", json!(["Register"]), "/Steps/2", "wait for each other: Gate, Register;");
}

#[test]
fn operands_have_types() {
    let condition = "/Steps/2/Arguments/Conditions/0";
    check(&format!("{condition}/RightValue"), json!("7"), condition, "a String has no order");
    check(&format!("{condition}/RightValue"), json!({"Get": "Parameters.Data"}), condition, "a String has no order");
    let equals = json!({"Type": "Equals", "LeftValue": {"Get": "Parameters.Limit"}, "RightValue": "7"});
    check(condition, equals, condition, "a Float never equals a String");
    check("/Steps/2/Arguments/Conditions", json!([]), "/Steps/2/Arguments/Conditions", "has no condition");
}

#[test]
fn conditions_inside_conditions_are_checked() {
    let place = "/Steps/2/Arguments/Conditions/0";
    let not = |inner: Value| json!({"Type": "Not", "Condition": {"Type": "Or", "Conditions": [inner]}});
    let inner = format!("{place}/Condition/Conditions/0");
    let limit = json!({"Get": "Parameters.Limit"});
    check(
        place,
        not(json!({"Type": "In", "QueryValue": limit, "Values": [7.5, "7"]})),
        &inner,
        "never equals a String",
    );
    check(
        place,
        not(json!({"Type": "In", "QueryValue": limit, "Values": []})),
        &format!("{inner}/Values"),
        "nothing is ever in it",
    );
    check(place, not(json!({"Type": "LessThan", "LeftValue": limit, "RightValue": "7"})), &inner, "has no order");
    check(place, not(json!({"Type": "In", "Values": [1]})), &inner, "`QueryValue` is missing");
    check(place, json!({"Type": "Not"}), place, "`Condition` is missing");
    check(place, json!({"Type": "Or", "Conditions": []}), &format!("{place}/Conditions"), "has no condition");
    let unknown = json!({"Type": "In", "QueryValue": {"Get": "Parameters.Nope"}, "Values": [1]});
    check(place, not(unknown), &format!("{inner}/QueryValue"), "parameter `Nope` is not declared");
}

#[test]
fn shapes_are_checked() {
    check("/Parameters/0/Type", json!("Text"), "/Parameters/0", "parameter type `Text` does not exist");
    check("/Parameters/1/DefaultValue", json!("7"), "/Parameters/1/DefaultValue", "is not a value of type Float");
    check("/Parameters/0/EnumValues", json!(["a"]), "/Parameters/0/DefaultValue", "is not among `EnumValues`");
    check("/Parameters/-", json!({"Name": "Data", "Type": "String"}), "/Parameters/2", "declared twice");
    check(
        "/Steps/1/Arguments/ProcessingInputs/0/S3Input/LocalPath",
        json!("/opt/ml/../x"),
        "/Steps/1/Arguments/ProcessingInputs",
        "not a folder below `/opt/ml/`",
    );
    check(
        "/Steps/1/Arguments/ProcessingInputs/0/S3Input",
        json!({"S3Uri": "s3://bucket/x"}),
        "/Steps/1/Arguments/ProcessingInputs/0/S3Input",
        "`LocalPath` is missing",
    );
    check("/Steps/0/Arguments/OutputDataConfig", Value::Null, "/Steps/0/Arguments", "`OutputDataConfig` is missing");
    check(
        "/Steps/0/RetryPolicies",
        json!([{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}]),
        "/Steps/0/RetryPolicies/0/MaxAttempts",
        "from 1 to 20",
    );
    check(
        "/Steps/0/RetryPolicies",
        json!([{"MaxAttempts": 2, "ExpireAfterMin": 5}]),
        "/Steps/0/RetryPolicies/0",
        "exclude each other",
    );
    let place = "/Steps/0/CacheConfig";
    check(place, json!({"Enabled": true}), place, "`ExpireAfter` is missing");
    check(place, json!({"Enabled": "yes"}), place, "must be true or false");
    let weeks = json!({"Enabled": true, "ExpireAfter": "two weeks"});
    check(place, weeks, &format!("{place}/ExpireAfter"), "`two weeks` is not a duration");
    let day = json!({"Enabled": true, "ExpireAfter": "P1D"});
    check("/Steps/2/CacheConfig", day, "/Steps/2/CacheConfig", "a Condition step is never reused");
    let of = |key: &str, value: Value| json!([{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], key: value}]);
    for (key, value, expected) in [
        ("IntervalSeconds", json!(0), "from 1 to 43200"),
        ("ExpireAfterMin", json!(14_401), "from 1 to 14400"),
        ("MaxAttempts", json!(0), "from 1 to 20"),
        ("BackoffRate", json!(-1), "not below 0"),
    ] {
        let place = format!("/Steps/0/RetryPolicies/0/{key}");
        check("/Steps/0/RetryPolicies", of(key, value), &place, expected);
    }
    let place = "/Steps/0/RetryPolicies/0/ExceptionType";
    check("/Steps/0/RetryPolicies", of("ExceptionType", json!([])), place, "names no exception");
    check("/Steps/2/RetryPolicies", json!([]), "/Steps/2/RetryPolicies", "a Condition step is never retried");
    check("/Steps", json!([]), "/Steps", "there is no step");
    check("/Steps", json!({}), "/Steps", "must be a list");
    check(
        "/Steps/2/Arguments/IfSteps/0/Arguments/InferenceSpecification/Containers",
        json!([]),
        "/Steps/2/Arguments/IfSteps/0/Arguments/InferenceSpecification/Containers",
        "use one",
    );
    assert!(lint("{").problems[0].message.contains("is not JSON"));
    assert!(!lint("[]").problems.is_empty());
}

#[test]
fn all_problems_come_at_once() {
    let mut document = good();
    set(&mut document, "/Version", json!("1"));
    set(&mut document, "/Steps/0/DependsOn", json!(["Nope"]));
    set(&mut document, "/Steps/2/Arguments/ElseSteps/0/Arguments/ErrorMessage", json!({"Get": "Parameters.Nope"}));
    assert_eq!(lint(&document.to_string()).problems.len(), 3);
}

#[test]
fn surprises_are_warnings() {
    check_warns(json!({"Name": "Extra", "Type": "String", "DefaultValue": ""}), "parameter `Extra` is not used");
    check_warns(json!({"Name": "Extra", "Type": "String"}), "parameter `Extra` has no default");
}
