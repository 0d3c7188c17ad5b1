//! [`Pipelines`] on SageMaker Pipelines.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::types::{Parameter, PipelineExecutionStep, SortOrder, SortPipelineExecutionsBy};
use refit_app::ports::{
    Execution, ExecutionStatus, PipelineDescription, PipelineError, Pipelines, StartRequest, StepState,
};
use refit_core::Digest;
use serde_json::Value;

use crate::call::{Failed, Kind, Limits, Repeat, call};
use crate::sagemaker::{client, is_missing, name_of_arn, time};

/// Most executions that a search by name looks at, newest first.
const MAX_LISTED: usize = 10_000;
const PAGE: i32 = 100;
/// Lengths of a start's key that SageMaker takes.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 32..=128;

/// Executions of SageMaker's pipelines.
#[derive(Debug, Clone)]
pub struct SageMakerPipelines {
    client: Client,
    limits: Limits,
}

impl SageMakerPipelines {
    /// The pipelines of the caller's account and region.
    #[must_use]
    pub fn new(config: &SdkConfig, limits: Limits) -> SageMakerPipelines {
        SageMakerPipelines { client: client(config), limits }
    }

    /// The number of a pipeline's newest version; 0 for one that SageMaker keeps no versions of.
    async fn newest_version(&self, pipeline: &str) -> Result<u64, PipelineError> {
        let request = self.client.list_pipeline_versions().pipeline_name(pipeline);
        let request = request.sort_order(SortOrder::Descending).max_results(1);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(pipeline, it))?;
        let newest = found.pipeline_version_summaries().first().and_then(|it| it.pipeline_version_id());
        Ok(newest.and_then(|it| u64::try_from(it).ok()).unwrap_or(0))
    }

    async fn steps(&self, arn: &str) -> Result<Vec<StepState>, PipelineError> {
        let request = self.client.list_pipeline_execution_steps().pipeline_execution_arn(arn);
        let request = request.sort_order(SortOrder::Ascending).max_results(PAGE);
        let mut steps = Vec::new();
        let mut token = None;
        loop {
            let page = request.clone().set_next_token(token);
            let attempt = || async { page.clone().send().await.map_err(Failed::of) };
            let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(arn, it))?;
            steps.extend(found.pipeline_execution_steps.unwrap_or_default().iter().map(step));
            token = found.next_token;
            // A definition has far fewer steps.
            if token.is_none() || MAX_LISTED <= steps.len() {
                return Ok(steps);
            }
        }
    }

    async fn status(&self, arn: &str) -> Result<ExecutionStatus, PipelineError> {
        let request = self.client.describe_pipeline_execution().pipeline_execution_arn(arn);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(arn, it))?;
        read_status(found.pipeline_execution_status().map(|it| it.as_str()))
    }
}

fn pipeline_error(name: &str, failed: Failed) -> PipelineError {
    match failed.kind {
        Kind::Throttled | Kind::Unknown => PipelineError::Unavailable(failed.into()),
        Kind::Denied => PipelineError::Denied(failed.into()),
        Kind::Refused if is_missing(&failed) => PipelineError::NotFound(name.to_owned()),
        Kind::Refused if failed.code == "ResourceLimitExceeded" => PipelineError::Quota,
        Kind::Refused => PipelineError::Invalid(failed.words()),
    }
}

fn read_status(word: Option<&str>) -> Result<ExecutionStatus, PipelineError> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|error: refit_core::run::UnknownStatus| PipelineError::Unavailable(error.into()))
}

/// The kind of a step: SageMaker says it by what it knows about the step.
fn step_kind(step: &PipelineExecutionStep) -> &'static str {
    let Some(metadata) = step.metadata() else { return "" };
    let kinds = [
        (metadata.training_job.is_some(), "Training"),
        (metadata.processing_job.is_some(), "Processing"),
        (metadata.register_model.is_some(), "RegisterModel"),
        (metadata.condition.is_some(), "Condition"),
        (metadata.fail.is_some(), "Fail"),
        (metadata.transform_job.is_some(), "Transform"),
        (metadata.tuning_job.is_some(), "Tuning"),
        (metadata.model.is_some(), "Model"),
        (metadata.lambda.is_some(), "Lambda"),
        (metadata.callback.is_some(), "Callback"),
        (metadata.quality_check.is_some(), "QualityCheck"),
        (metadata.clarify_check.is_some(), "ClarifyCheck"),
        (metadata.emr.is_some(), "EMR"),
        (metadata.auto_ml_job.is_some(), "AutoML"),
    ];
    kinds.into_iter().find(|it| it.0).map_or("", |it| it.1)
}

fn step(step: &PipelineExecutionStep) -> StepState {
    let registered = step.metadata().and_then(|it| it.register_model()).and_then(|it| it.arn());
    StepState {
        name: step.step_name().unwrap_or_default().to_owned(),
        kind: step_kind(step).to_owned(),
        status: step.step_status().map_or("", |it| it.as_str()).to_owned(),
        failure_reason: step.failure_reason().map(str::to_owned),
        package_arn: registered.map(str::to_owned),
    }
}

/// The parameters that a definition declares, with their defaults as they would be sent.
fn read_definition(pipeline: &str, text: &str) -> Result<(Digest, BTreeMap<String, Option<String>>), PipelineError> {
    let wrong = |why: String| PipelineError::Invalid(format!("the definition of `{pipeline}` {why}"));
    let definition: Value = serde_json::from_str(text).map_err(|error| wrong(format!("does not parse: {error}")))?;
    let mut parameters = BTreeMap::new();
    for declared in definition.get("Parameters").and_then(Value::as_array).into_iter().flatten() {
        let name =
            declared.get("Name").and_then(Value::as_str).ok_or_else(|| wrong("has a nameless parameter".into()))?;
        let default = declared.get("DefaultValue").map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
        parameters.insert(name.to_owned(), default);
    }
    // Written anew, so that white space and the order of keys do not matter.
    Ok((Digest::of(definition.to_string().as_bytes()), parameters))
}

#[async_trait]
impl Pipelines for SageMakerPipelines {
    async fn describe(&self, pipeline: &str) -> Result<PipelineDescription, PipelineError> {
        let version = self.newest_version(pipeline).await?;
        let number = i64::try_from(version).ok().filter(|it| *it != 0);
        let request = self.client.describe_pipeline().pipeline_name(pipeline).set_pipeline_version_id(number);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(pipeline, it))?;
        let (digest, parameters) = read_definition(pipeline, found.pipeline_definition().unwrap_or_default())?;
        let name = found.pipeline_name().unwrap_or(pipeline).to_owned();
        Ok(PipelineDescription { name, version, digest, parameters })
    }

    async fn ensure_started(&self, key: &str, start: &StartRequest) -> Result<String, PipelineError> {
        if !KEY_CHARS.contains(&key.chars().count()) {
            return Err(PipelineError::Invalid("a start key has 32 to 128 characters".to_owned()));
        }
        let parameters =
            start.parameters.iter().map(|(name, value)| Parameter::builder().name(name).value(value).build());
        let request = self.client.start_pipeline_execution().pipeline_name(&start.pipeline).client_request_token(key);
        let request = request.pipeline_execution_display_name(&start.display_name);
        let request = request.set_pipeline_parameters(Some(parameters.collect()));
        let version = i64::try_from(start.version).ok().filter(|it| *it != 0);
        let request = request.set_pipeline_version_id(version);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        // The key makes a repetition within seconds the same start.
        match call(self.limits, Repeat::Freely, attempt).await {
            Ok(started) => started
                .pipeline_execution_arn
                .ok_or_else(|| PipelineError::Unavailable("the answer names no execution".into())),
            Err(failed) if failed.kind == Kind::Refused && failed.code == "ConflictException" => {
                Err(PipelineError::KeyReused)
            }
            Err(failed) if failed.kind == Kind::Refused && failed.says(&["idempotent", "clientrequesttoken"]) => {
                Err(PipelineError::KeyReused)
            }
            Err(failed) => Err(pipeline_error(&start.pipeline, failed)),
        }
    }

    async fn find_by_display_name(&self, pipeline: &str, display_name: &str) -> Result<Option<String>, PipelineError> {
        let request = self.client.list_pipeline_executions().pipeline_name(pipeline).max_results(PAGE);
        let request = request.sort_by(SortPipelineExecutionsBy::CreationTime).sort_order(SortOrder::Descending);
        let mut token = None;
        let mut listed = 0;
        loop {
            let page = request.clone().set_next_token(token);
            let attempt = || async { page.clone().send().await.map_err(Failed::of) };
            let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(pipeline, it))?;
            let mut summaries = found.pipeline_execution_summaries.unwrap_or_default().into_iter();
            listed += summaries.len();
            let named = summaries.find(|it| it.pipeline_execution_display_name() == Some(display_name));
            if let Some(arn) = named.and_then(|it| it.pipeline_execution_arn) {
                return Ok(Some(arn));
            }
            token = found.next_token;
            // Whoever searches started it lately.
            if token.is_none() || MAX_LISTED <= listed {
                return Ok(None);
            }
        }
    }

    async fn observe(&self, arn: &str) -> Result<Execution, PipelineError> {
        let request = self.client.describe_pipeline_execution().pipeline_execution_arn(arn);
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let found = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| pipeline_error(arn, it))?;
        // Steps are read after the status: those of an ended execution are all there.
        let steps = self.steps(arn).await?;
        Ok(Execution {
            arn: found.pipeline_execution_arn().unwrap_or(arn).to_owned(),
            pipeline: name_of_arn(found.pipeline_arn().unwrap_or_default(), "pipeline").to_owned(),
            display_name: found.pipeline_execution_display_name().unwrap_or_default().to_owned(),
            status: read_status(found.pipeline_execution_status().map(|it| it.as_str()))?,
            failure_reason: found.failure_reason().map(str::to_owned),
            started_at: time(found.creation_time()),
            changed_at: time(found.last_modified_time()),
            steps,
        })
    }

    async fn stop(&self, arn: &str) -> Result<(), PipelineError> {
        let token = Digest::of_list(&["stop", arn]);
        let request =
            self.client.stop_pipeline_execution().pipeline_execution_arn(arn).client_request_token(token.hex());
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        let Err(failed) = call(self.limits, Repeat::Freely, attempt).await else { return Ok(()) };
        if failed.kind == Kind::Refused && !is_missing(&failed) {
            // One that is stopping or has ended refuses to be stopped.
            return match self.status(arn).await? {
                ExecutionStatus::Executing => Err(pipeline_error(arn, failed)),
                ExecutionStatus::Stopping
                | ExecutionStatus::Stopped
                | ExecutionStatus::Failed
                | ExecutionStatus::Succeeded => Ok(()),
            };
        }
        Err(pipeline_error(arn, failed))
    }
}
