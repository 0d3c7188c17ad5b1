//! How steps are read from the document.
//!
//! A field is interpreted, or known to matter on AWS alone (and then accepted), or refused by name: a definition that
//! runs here means the same thing there.

use std::collections::{BTreeMap, BTreeSet};

use super::cache;
use super::expression::{self, Expression};
use super::node::Node;
use super::retry;
use super::step::{
    Comparator, Comparison, Condition, Detail, Folder, Parsed, Processing, Program, PropertyFile, RegisterModel,
    StepKind, Training,
};
use super::{Branch, Problem};

const AWS_PROCESSING: [&str; 6] =
    ["ProcessingResources", "RoleArn", "NetworkConfig", "Tags", "ExperimentConfig", "ProcessingJobName"];
const AWS_TRAINING: [&str; 18] = [
    "ResourceConfig",
    "RoleArn",
    "VpcConfig",
    "Tags",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "DebugRuleEvaluationStatuses",
    "TensorBoardOutputConfig",
    "TrainingJobName",
    "EnableNetworkIsolation",
    "EnableManagedSpotTraining",
    "EnableInterContainerTrafficEncryption",
    "RetryStrategy",
    "InfraCheckConfig",
    "RemoteDebugConfig",
];
const AWS_PACKAGE: [&str; 8] = [
    "ModelPackageDescription",
    "ModelMetrics",
    "DriftCheckBaselines",
    "SkipModelValidation",
    "Tags",
    "Domain",
    "Task",
    "MetadataProperties",
];

/// Reads a list of steps and, depth first, the steps inside its conditions.
pub(super) fn read_steps(list: &Node<'_>, branch: Option<&Branch>, into: &mut Vec<Parsed>, found: &mut Vec<Problem>) {
    for node in list.elements(found) {
        let name = node.required_text("Name", found).unwrap_or_default();
        let type_name = node.required_text("Type", found).unwrap_or_default();
        let is_valid =
            name.len() <= 64 && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
        if !is_valid {
            node.report(found, format!("step name `{name}` is not valid; use 1 to 64 of `A-Z a-z 0-9 - _`"));
        }
        read_envelope(&node, found);
        let cache = cache::read(&node, &type_name, found);
        let retry = retry::read(&node, &type_name, found);
        let mut depends_on = Vec::new();
        for it in node.list("DependsOn", found) {
            depends_on.extend(it.text(found).map(|step| (it.pointer.clone(), step)));
        }
        let arguments = node.required("Arguments", found);
        let mut uses = Vec::new();
        if let Some(arguments) = &arguments {
            collect_uses(arguments, &mut uses, found);
        }
        let kind = arguments.as_ref().and_then(|it| read_kind(&node, &type_name, it, found));
        let pointer = node.pointer.clone();
        into.push(Parsed {
            name: name.clone(),
            type_name: type_name.clone(),
            pointer,
            kind,
            depends_on,
            uses,
            branch: branch.cloned(),
            retry,
            cache,
        });
        if type_name == "Condition" {
            for (key, taken) in [("IfSteps", true), ("ElseSteps", false)] {
                if let Some(nested) = arguments.as_ref().and_then(|it| it.child(key)) {
                    read_steps(&nested, Some(&Branch { condition: name.clone(), taken }), into, found);
                }
            }
        }
    }
}

/// Checks what stands around `Arguments`.
fn read_envelope(node: &Node<'_>, found: &mut Vec<Problem>) {
    let interpreted = ["Name", "Type", "Arguments", "DependsOn", "CacheConfig", "RetryPolicies", "PropertyFiles"];
    node.only(&interpreted, &["DisplayName", "Description"], found);
}

/// Collects every expression below a node, except in nested steps, and reports those that do not parse.
fn collect_uses(node: &Node<'_>, uses: &mut Vec<(String, Expression)>, found: &mut Vec<Problem>) {
    if expression::is_expression(node.value) {
        uses.extend(expression::read(node, found).map(|it| (node.pointer.clone(), it)));
    } else if node.value.is_array() {
        node.elements(found).iter().for_each(|it| collect_uses(it, uses, found));
    } else if node.value.is_object() {
        for (key, member) in node.members(found) {
            if key != "IfSteps" && key != "ElseSteps" {
                collect_uses(&member, uses, found);
            }
        }
    }
}

/// Reads a value whose own problems [`collect_uses`] reports.
fn value(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Expression> {
    if expression::is_expression(node.value) {
        expression::read(node, &mut Vec::new())
    } else {
        expression::read(node, found)
    }
}

fn required(node: &Node<'_>, key: &str, found: &mut Vec<Problem>) -> Option<Expression> {
    value(&node.required(key, found)?, found)
}

fn values(node: &Node<'_>, key: &str, found: &mut Vec<Problem>) -> Vec<Expression> {
    node.list(key, found).iter().filter_map(|it| value(it, found)).collect()
}

fn map(node: &Node<'_>, key: &str, found: &mut Vec<Problem>) -> BTreeMap<String, Expression> {
    let members = node.child(key).map(|it| it.members(found)).unwrap_or_default();
    members.into_iter().filter_map(|(key, it)| Some((key.to_owned(), value(&it, found)?))).collect()
}

fn read_kind(step: &Node<'_>, type_name: &str, arguments: &Node<'_>, found: &mut Vec<Problem>) -> Option<StepKind> {
    if type_name != "Processing"
        && let Some(files) = step.child("PropertyFiles")
    {
        files.report(found, "only a Processing step has property files".to_owned());
    }
    match type_name {
        "Processing" => read_processing(step, arguments, found).map(StepKind::Processing),
        "Training" => read_training(arguments, found).map(StepKind::Training),
        "RegisterModel" => read_register(arguments, found).map(StepKind::RegisterModel),
        "Condition" => read_condition(arguments, found).map(StepKind::Condition),
        "Fail" => {
            arguments.only(&["ErrorMessage"], &[], found);
            required(arguments, "ErrorMessage", found).map(StepKind::Fail)
        }
        "" => None,
        other => {
            step.report(
                found,
                format!(
                    "step type `{other}` is not interpreted locally yet; \
                 use Processing, Training, RegisterModel, Condition or Fail"
                ),
            );
            None
        }
    }
}

fn read_program(arguments: &Node<'_>, image: &Node<'_>, found: &mut Vec<Problem>) -> Option<Program> {
    let entrypoint = values(image, "ContainerEntrypoint", found);
    if entrypoint.is_empty() {
        image.report(
            found,
            "the image's own entrypoint is not interpreted locally yet; \
             name the program in `ContainerEntrypoint`"
                .to_owned(),
        );
    }
    let stopping = arguments.child("StoppingCondition");
    if let Some(it) = &stopping {
        it.only(&["MaxRuntimeInSeconds"], &["MaxWaitTimeInSeconds", "MaxPendingTimeInSeconds"], found);
    }
    let max_runtime = stopping.and_then(|it| it.child("MaxRuntimeInSeconds"));
    let name = image.child("ImageUri").or_else(|| image.child("TrainingImage"));
    Some(Program {
        image: name.and_then(|it| value(&it, found)),
        entrypoint,
        arguments: values(image, "ContainerArguments", found),
        environment: map(arguments, "Environment", found),
        // A day: what SageMaker takes when the definition does not say.
        max_runtime_s: max_runtime.map_or(Some(Expression::Literal(86_400.into())), |it| value(&it, found))?,
    })
}

/// Reports names and places used twice, and places outside `/opt/ml/`.
fn check_folders(parent: &Node<'_>, folders: &[Folder], found: &mut Vec<Problem>) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for Folder { name, local_path, .. } in folders {
        if !names.insert(name) || name.is_empty() {
            parent.report(found, format!("name `{name}` is empty or used twice; give each a name of its own"));
        }
        if !paths.insert(local_path) {
            parent.report(found, format!("`{local_path}` is used twice; give each a folder of its own"));
        }
        let is_inside = local_path
            .strip_prefix("/opt/ml/")
            .is_some_and(|rest| rest.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
        if !is_inside {
            parent.report(
                found,
                format!("`{local_path}` is not a folder below `/opt/ml/`; put it under `/opt/ml/processing/`"),
            );
        }
    }
}

fn read_processing(step: &Node<'_>, arguments: &Node<'_>, found: &mut Vec<Problem>) -> Option<Processing> {
    let interpreted =
        ["AppSpecification", "Environment", "StoppingCondition", "ProcessingInputs", "ProcessingOutputConfig"];
    arguments.only(&interpreted, &AWS_PROCESSING, found);
    let image = arguments.required("AppSpecification", found)?;
    image.only(&["ContainerEntrypoint", "ContainerArguments"], &["ImageUri"], found);
    let program = read_program(arguments, &image, found);
    let mut inputs = Vec::new();
    for input in arguments.list("ProcessingInputs", found) {
        input.only(&["InputName", "S3Input"], &["AppManaged"], found);
        let name = input.required_text("InputName", found);
        let Some(s3) = input.required("S3Input", found) else { continue };
        let known = ["S3Uri", "LocalPath", "S3DataType", "S3InputMode", "S3CompressionType"];
        s3.only(&known, &["S3DataDistributionType"], found);
        s3.literal_among("S3DataType", &["S3Prefix"], found);
        s3.literal_among("S3InputMode", &["File"], found);
        s3.literal_among("S3CompressionType", &["None"], found);
        inputs.extend(read_folder(name, &s3, found));
    }
    if let Some(node) = arguments.child("ProcessingInputs") {
        check_folders(&node, &inputs, found);
    }
    let mut outputs = Vec::new();
    if let Some(config) = arguments.child("ProcessingOutputConfig") {
        config.only(&["Outputs"], &["KmsKeyId"], found);
        for output in config.list("Outputs", found) {
            output.only(&["OutputName", "S3Output"], &["AppManaged"], found);
            let name = output.required_text("OutputName", found);
            let Some(s3) = output.required("S3Output", found) else { continue };
            s3.only(&["S3Uri", "LocalPath", "S3UploadMode"], &[], found);
            s3.literal_among("S3UploadMode", &["EndOfJob"], found);
            outputs.extend(read_folder(name, &s3, found));
        }
        check_folders(&config, &outputs, found);
    }
    let property_files = read_property_files(step, &outputs, found);
    Some(Processing { program: program?, inputs, outputs, property_files })
}

fn read_folder(name: Option<String>, s3: &Node<'_>, found: &mut Vec<Problem>) -> Option<Folder> {
    let uri = required(s3, "S3Uri", found);
    let path = s3.required_text("LocalPath", found);
    let local_path = path?.trim_end_matches('/').to_owned();
    Some(Folder { name: name?, uri: uri?, local_path })
}

fn read_property_files(step: &Node<'_>, outputs: &[Folder], found: &mut Vec<Problem>) -> Vec<PropertyFile> {
    let mut files: Vec<PropertyFile> = Vec::new();
    for node in step.list("PropertyFiles", found) {
        node.only(&["PropertyFileName", "OutputName", "FilePath"], &[], found);
        let name = node.required_text("PropertyFileName", found);
        let output = node.required_text("OutputName", found);
        let path = node.required_text("FilePath", found);
        let (Some(name), Some(output), Some(path)) = (name, output, path) else { continue };
        if !outputs.iter().any(|it| it.name == output) {
            node.report(
                found,
                format!(
                    "property file `{name}` is in output `{output}`, which this step does not have; \
                 declare the output"
                ),
            );
        }
        if files.iter().any(|it| it.name == name) {
            node.report(found, format!("property file `{name}` is declared twice; rename one"));
        }
        files.push(PropertyFile { name, output, path });
    }
    files
}

fn read_training(arguments: &Node<'_>, found: &mut Vec<Problem>) -> Option<Training> {
    let interpreted = [
        "AlgorithmSpecification",
        "Environment",
        "StoppingCondition",
        "InputDataConfig",
        "OutputDataConfig",
        "HyperParameters",
    ];
    arguments.only(&interpreted, &AWS_TRAINING, found);
    let image = arguments.required("AlgorithmSpecification", found)?;
    let on_aws = ["TrainingImage", "MetricDefinitions", "EnableSageMakerMetricsTimeSeries", "TrainingImageConfig"];
    image.only(&["ContainerEntrypoint", "ContainerArguments", "TrainingInputMode"], &on_aws, found);
    image.literal_among("TrainingInputMode", &["File"], found);
    let program = read_program(arguments, &image, found);
    let mut channels = Vec::new();
    for channel in arguments.list("InputDataConfig", found) {
        let known = ["ChannelName", "DataSource", "CompressionType", "RecordWrapperType", "InputMode"];
        channel.only(&known, &["ContentType", "ShuffleConfig"], found);
        channel.literal_among("CompressionType", &["None"], found);
        channel.literal_among("RecordWrapperType", &["None"], found);
        channel.literal_among("InputMode", &["File"], found);
        let name = channel.required_text("ChannelName", found);
        let Some(source) = channel.required("DataSource", found) else { continue };
        source.only(&["S3DataSource"], &[], found);
        let Some(s3) = source.required("S3DataSource", found) else { continue };
        s3.only(&["S3Uri", "S3DataType"], &["S3DataDistributionType"], found);
        s3.literal_among("S3DataType", &["S3Prefix"], found);
        let (Some(uri), Some(name)) = (required(&s3, "S3Uri", found), name) else { continue };
        let local_path = format!("/opt/ml/input/data/{name}");
        channels.push(Folder { name, uri, local_path });
    }
    if let Some(node) = arguments.child("InputDataConfig") {
        check_folders(&node, &channels, found);
    }
    let hyperparameters = map(arguments, "HyperParameters", found);
    let output = arguments.required("OutputDataConfig", found)?;
    output.only(&["S3OutputPath"], &["KmsKeyId", "CompressionType"], found);
    output.literal_among("CompressionType", &["GZIP"], found);
    let output_path = required(&output, "S3OutputPath", found)?;
    Some(Training { program: program?, channels, hyperparameters, output_path })
}

fn read_register(arguments: &Node<'_>, found: &mut Vec<Problem>) -> Option<RegisterModel> {
    let interpreted =
        ["ModelPackageGroupName", "ModelApprovalStatus", "InferenceSpecification", "CustomerMetadataProperties"];
    arguments.only(&interpreted, &AWS_PACKAGE, found);
    let group = required(arguments, "ModelPackageGroupName", found);
    let pending = Expression::Literal("PendingManualApproval".into());
    arguments.literal_among("ModelApprovalStatus", &["PendingManualApproval", "Approved", "Rejected"], found);
    let approval = arguments.child("ModelApprovalStatus").map_or(Some(pending), |it| value(&it, found));
    let metadata = map(arguments, "CustomerMetadataProperties", found);
    let containers = arguments.required("InferenceSpecification", found)?.required("Containers", found)?;
    let containers = match &containers.elements(found)[..] {
        [only] => required(only, "ModelDataUrl", found),
        other => {
            containers.report(found, format!("{} containers are not interpreted locally yet; use one", other.len()));
            None
        }
    };
    let details = details(arguments, found);
    Some(RegisterModel { group: group?, approval: approval?, model_data_url: containers?, metadata, details })
}

/// What the package keeps as it is written.
fn details(arguments: &Node<'_>, found: &mut Vec<Problem>) -> BTreeMap<String, Detail> {
    let interpreted = ["ModelPackageGroupName", "ModelApprovalStatus", "CustomerMetadataProperties", "Tags"];
    let members = arguments.members(found).into_iter().filter(|(key, _)| !interpreted.contains(key));
    members.filter_map(|(key, it)| Some((key.to_owned(), detail(&it, found)?))).collect()
}

fn detail(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Detail> {
    if expression::is_expression(node.value) || !(node.value.is_array() || node.value.is_object()) {
        return value(node, found).map(Detail::Value);
    }
    if node.value.is_array() {
        return Some(Detail::List(node.elements(found).iter().filter_map(|it| detail(it, found)).collect()));
    }
    let members = node.members(found).into_iter();
    Some(Detail::Object(members.filter_map(|(key, it)| Some((key.to_owned(), detail(&it, found)?))).collect()))
}

fn read_condition(arguments: &Node<'_>, found: &mut Vec<Problem>) -> Option<Vec<Condition>> {
    arguments.only(&["Conditions", "IfSteps", "ElseSteps"], &[], found);
    read_conditions(arguments, found)
}

/// Reads the list `Conditions`, which must not be empty.
fn read_conditions(parent: &Node<'_>, found: &mut Vec<Problem>) -> Option<Vec<Condition>> {
    let list = parent.required("Conditions", found)?;
    let nodes = list.elements(found);
    if nodes.is_empty() {
        list.report(found, "has no condition; add one".to_owned());
    }
    let conditions: Vec<Option<Condition>> = nodes.iter().map(|it| read_one_condition(it, found)).collect();
    conditions.into_iter().collect()
}

fn read_one_condition(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Condition> {
    let comparator = match node.required_text("Type", found)?.as_str() {
        "Equals" => Comparator::Equals,
        "GreaterThan" => Comparator::GreaterThan,
        "GreaterThanOrEqualTo" => Comparator::GreaterThanOrEqualTo,
        "LessThan" => Comparator::LessThan,
        "LessThanOrEqualTo" => Comparator::LessThanOrEqualTo,
        "In" => return read_membership(node, found),
        "Not" => {
            node.only(&["Type", "Condition"], &[], found);
            let inner = node.required("Condition", found)?;
            return read_one_condition(&inner, found).map(|it| Condition::Not(Box::new(it)));
        }
        "Or" => {
            node.only(&["Type", "Conditions"], &[], found);
            return read_conditions(node, found).map(Condition::Or);
        }
        other => {
            node.report(
                found,
                format!(
                    "condition `{other}` does not exist; use Equals, GreaterThan, GreaterThanOrEqualTo, LessThan, \
                     LessThanOrEqualTo, In, Not or Or"
                ),
            );
            return None;
        }
    };
    node.only(&["Type", "LeftValue", "RightValue"], &[], found);
    let left = required(node, "LeftValue", found);
    let right = required(node, "RightValue", found);
    let pointer = node.pointer.clone();
    Some(Condition::Compare(Comparison { comparator, left: left?, right: right?, pointer }))
}

fn read_membership(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Condition> {
    node.only(&["Type", "QueryValue", "Values"], &[], found);
    let query = required(node, "QueryValue", found);
    let list = node.required("Values", found)?;
    let nodes = list.elements(found);
    if nodes.is_empty() {
        list.report(found, "has no value, so nothing is ever in it; add one".to_owned());
    }
    let values: Vec<Option<Expression>> = nodes.iter().map(|it| value(it, found)).collect();
    Some(Condition::In {
        query: query?,
        values: values.into_iter().collect::<Option<_>>()?,
        pointer: node.pointer.clone(),
    })
}
