//! The EventBridge events that SageMaker sends about executions, for the local bus.
//!
//! Their ids follow from their content, so that a replay sends the same event again and not another one.

use jiff::Timestamp;
use refit_app::ports::{Execution, ExecutionStatus, StepState};
use refit_core::Digest;
use serde_json::{Map, Value, json};

use super::interpreter::job_arn;

/// "SageMaker Model Building Pipeline Execution Status Change".
#[must_use]
pub fn status_event(
    execution: &Execution,
    previous: Option<ExecutionStatus>,
    current: ExecutionStatus,
    time: Timestamp,
) -> Value {
    let mut detail = detail(execution);
    detail.insert("pipelineExecutionDisplayName".to_owned(), execution.display_name.clone().into());
    detail.insert("currentPipelineExecutionStatus".to_owned(), current.name().into());
    if let Some(previous) = previous {
        detail.insert("previousPipelineExecutionStatus".to_owned(), previous.name().into());
    }
    detail.insert("executionStartTime".to_owned(), seconds(execution.started_at).into());
    if current.is_terminal() {
        detail.insert("executionEndTime".to_owned(), seconds(time).into());
    }
    envelope("SageMaker Model Building Pipeline Execution Status Change", execution, detail, time)
}

/// "SageMaker Model Building Pipeline Execution Step Status Change", for a step that began at `began` and reused the
/// result of the execution `reused_from`, if of any.
#[must_use]
pub fn step_event(
    execution: &Execution,
    step: &StepState,
    reused_from: Option<&str>,
    previous_status: &str,
    began: Timestamp,
    time: Timestamp,
) -> Value {
    let mut detail = detail(execution);
    // The job of a reused result is the one that made it.
    let id = execution_id(reused_from.unwrap_or(&execution.arn));
    let metadata = match step.kind.as_str() {
        "Processing" => json!({"processingJob": {"arn": job_arn("processing-job", id, &step.name)}}),
        "Training" => json!({"trainingJob": {"arn": job_arn("training-job", id, &step.name)}}),
        "RegisterModel" => {
            step.package_arn.as_ref().map_or_else(|| json!({}), |it| json!({"registerModel": {"arn": it}}))
        }
        _ => json!({}),
    };
    detail.insert("metadata".to_owned(), metadata);
    detail.insert("stepName".to_owned(), step.name.clone().into());
    detail.insert("stepType".to_owned(), step.kind.clone().into());
    detail.insert("stepStartTime".to_owned(), seconds(began).into());
    if !["Starting", "Executing", "Stopping"].contains(&step.status.as_str()) {
        detail.insert("stepEndTime".to_owned(), seconds(time).into());
    }
    detail.insert("previousStepStatus".to_owned(), previous_status.into());
    detail.insert("currentStepStatus".to_owned(), step.status.clone().into());
    if let Some(source) = reused_from {
        detail.insert("cacheHitResult".to_owned(), json!({"sourcePipelineExecutionArn": source}));
    }
    if let Some(reason) = &step.failure_reason {
        detail.insert("failureReason".to_owned(), reason.clone().into());
    }
    envelope("SageMaker Model Building Pipeline Execution Step Status Change", execution, detail, time)
}

/// The last part of an execution's ARN.
pub(crate) fn execution_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// The ARN of the pipeline that an execution's ARN begins with.
fn pipeline_arn(arn: &str) -> &str {
    arn.split_once("/execution/").map_or(arn, |(pipeline, _)| pipeline)
}

fn detail(execution: &Execution) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("pipelineArn".to_owned(), pipeline_arn(&execution.arn).into());
    detail.insert("pipelineExecutionArn".to_owned(), execution.arn.clone().into());
    detail
}

fn envelope(detail_type: &str, execution: &Execution, detail: Map<String, Value>, time: Timestamp) -> Value {
    envelope_of(detail_type, &[pipeline_arn(&execution.arn), &execution.arn], detail.into(), time)
}

/// An event of SageMaker about these resources.
pub(crate) fn envelope_of(detail_type: &str, resources: &[&str], detail: Value, time: Timestamp) -> Value {
    let time = seconds(time);
    let digest = Digest::of_list(&[detail_type, &time, &detail.to_string()]);
    let hex = digest.hex();
    let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]);
    json!({
        "version": "0", "id": id, "detail-type": detail_type, "source": "aws.sagemaker", "account": "000000000000",
        "time": time, "region": "us-east-1", "resources": resources,
        "detail": detail,
    })
}

/// A time as EventBridge writes it, in whole seconds.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
