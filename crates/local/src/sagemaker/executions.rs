//! Executions as callers see them: started once by token, shown with a lag, stopped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_app::ports::{Execution, ExecutionStatus, Pipelines as _, StartRequest, StepState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SageMaker;
use super::protocol::{Fields, Paging, Refusal, compact, epoch};
use crate::pipeline::{StoredExecution, execution_id, job_arn, pipeline_arn, status_event, step_event, wait};

const KIND: &str = "sagemaker-execution";

/// When a step began and ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct StepTimes {
    pub(super) began_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
}

/// What is kept of an execution beside the interpreter's own document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    schema: u16,
    arn: String,
    description: Option<String>,
    parallelism: Option<Value>,
    /// Every status that the events tell of, with its time; grows only.
    told: Vec<(Timestamp, ExecutionStatus)>,
    steps: BTreeMap<String, StepTimes>,
}

impl Record {
    fn new(arn: &str) -> Record {
        Record {
            schema: 1,
            arn: arn.to_owned(),
            description: None,
            parallelism: None,
            told: Vec::new(),
            steps: BTreeMap::new(),
        }
    }

    /// The status that callers see at `now`, with the time of its change; the first is seen at once.
    fn visible(&self, now: Timestamp, lag: refit_core::policy::Span) -> Option<(Timestamp, ExecutionStatus)> {
        let seen = self.told.iter().rev().find(|(at, _)| lag.after(*at) <= now);
        seen.or(self.told.first()).copied()
    }
}

impl SageMaker {
    fn find_record(&self, arn: &str) -> Result<Option<Record>, Refusal> {
        let body = self.database.get_document(KIND, execution_id(arn))?;
        body.map(|body| serde_json::from_str(&body).map_err(|error| Refusal::internal(error.to_string()))).transpose()
    }

    /// Changes the record, made if need be, and tells the hook what `change` answers with; one transaction.
    fn change_record<T>(&self, arn: &str, change: impl FnOnce(&mut Record) -> (T, Vec<Value>)) -> Result<T, Refusal> {
        let (id, now) = (execution_id(arn), self.now());
        self.database.update(|transaction| {
            let mut record = match transaction.get_document(KIND, id)?.map(|body| serde_json::from_str(&body)) {
                Some(Err(error)) => return Ok(Err(Refusal::internal(error.to_string()))),
                Some(Ok(record)) => record,
                None => Record::new(arn),
            };
            let (answer, events) = change(&mut record);
            let body = serde_json::to_string(&record).expect("invariant: own documents serialize");
            transaction.put_document(KIND, id, &body)?;
            self.enqueue_events(transaction, now, &events)?;
            Ok(Ok(answer))
        })?
    }

    /// Notes an execution's status, and tells the hook if it is a new one: once, whatever is repeated.
    pub(super) fn tell_status(&self, arn: &str, change: impl FnOnce(&mut Record)) -> Result<(), Refusal> {
        let execution = self.pipelines.get_execution(arn)?.execution;
        let now = self.now();
        self.change_record(arn, |record| {
            change(record);
            let before = record.told.len();
            if before == 0 {
                record.told.push((execution.started_at, ExecutionStatus::Executing));
            }
            // Somebody else may have told a later one meanwhile.
            if record.told.last().is_some_and(|(_, it)| !it.is_terminal() && *it < execution.status) {
                record.told.push((now, execution.status));
            }
            let event = |index: usize| {
                let (at, status) = record.told[index];
                status_event(&execution, index.checked_sub(1).map(|it| record.told[it].1), status, at)
            };
            ((), (before..record.told.len()).map(event).collect())
        })
    }

    /// Notes that a step began or ended, and tells the hook.
    pub(super) fn tell_step(
        &self,
        execution: &Execution,
        step: &StepState,
        reused_from: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        self.change_record(&execution.arn, |record| {
            let is_over = !["Starting", "Executing", "Stopping"].contains(&step.status.as_str());
            let times = match record.steps.get(&step.name) {
                Some(times) if is_over => StepTimes { began_at: times.began_at, ended_at: Some(now) },
                // A step that begins again, since the process died while it ran, begins anew.
                Some(_) | None => StepTimes { began_at: now, ended_at: is_over.then_some(now) },
            };
            record.steps.insert(step.name.clone(), times);
            let previous = if is_over { "Executing" } else { "Starting" };
            ((), vec![step_event(execution, step, reused_from, previous, times.began_at, now)])
        })
    }

    /// Executions whose end was not told yet, though they have ended.
    pub(super) fn list_untold(&self) -> Result<Vec<String>, Refusal> {
        let mut untold = Vec::new();
        for stored in self.pipelines.list_executions()? {
            let told = self.find_record(&stored.execution.arn)?.and_then(|it| it.told.last().map(|it| it.1));
            if told != Some(stored.execution.status) {
                untold.push(stored.execution.arn);
            }
        }
        Ok(untold)
    }

    pub(super) fn start_execution(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let token = request.text("ClientRequestToken")?;
        if !(32..=128).contains(&token.chars().count()) {
            return Err(Refusal::validation("ClientRequestToken must have 32 to 128 characters"));
        }
        let name = self.get_pipeline_name(request)?;
        if request.find("SelectiveExecutionConfig").is_some() {
            return Err(Refusal::validation("SelectiveExecutionConfig is not interpreted here yet; leave it out"));
        }
        let known = self.pipelines.find_by_key(token)?;
        let version = match (request.find_number("PipelineVersionId")?, &known) {
            (Some(version), _) => version,
            // Whoever names no version means the newest at the first call.
            (None, Some(known)) => known.request.version,
            (None, None) => self.newest_version(&name)?.version,
        };
        let display_name = match request.find_text("PipelineExecutionDisplayName")? {
            Some(display_name) if is_display_name(display_name) => display_name.to_owned(),
            Some(other) => {
                return Err(Refusal::validation(format!(
                    "PipelineExecutionDisplayName `{other}` must satisfy [a-zA-Z0-9](-*[a-zA-Z0-9]){{0,81}}"
                )));
            }
            None => match &known {
                Some(known) => known.request.display_name.clone(),
                None => format!("execution-{}", self.now().as_millisecond()),
            },
        };
        let wanted = StartRequest {
            pipeline: name,
            version,
            display_name,
            parameters: parameters(request)?,
            resources: refit_core::policy::Resources::default(),
        };
        // A token that is known is answered before any quota: the execution is there.
        let open = self.pipelines.list_open()?.len();
        if known.is_none() && self.behavior.quotas.concurrent_executions <= open {
            return Err(Refusal::limit(format!(
                "The account-level service limit 'Number of concurrent pipeline executions' is {}.",
                self.behavior.quotas.concurrent_executions
            )));
        }
        let arn = wait(self.pipelines.ensure_started(token, &wanted))?;
        let description = request.find_text("PipelineExecutionDescription")?.map(str::to_owned);
        let parallelism = request.find("ParallelismConfiguration").cloned();
        self.tell_status(&arn, |record| {
            record.description = record.description.take().or(description);
            record.parallelism = record.parallelism.take().or(parallelism);
        })?;
        Ok(json!({ "PipelineExecutionArn": arn }))
    }

    /// The execution that a request names.
    fn get_execution(&self, request: &Fields<'_>) -> Result<(StoredExecution, Record), Refusal> {
        let arn = request.text("PipelineExecutionArn")?;
        let missing = || Refusal::not_found(format!("Pipeline execution '{arn}' does not exist."));
        let stored = self.pipelines.get_execution(arn).map_err(|error| match error {
            refit_app::ports::PipelineError::NotFound(_) => missing(),
            other => other.into(),
        })?;
        let record = self.find_record(arn)?.unwrap_or_else(|| Record::new(arn));
        Ok((stored, record))
    }

    /// What callers see of an execution's status now: the status, since when, and why it failed.
    fn seen(&self, stored: &StoredExecution, record: &Record) -> (ExecutionStatus, Timestamp, Option<String>) {
        let unseen = (stored.execution.started_at, ExecutionStatus::Executing);
        let (at, status) = record.visible(self.now(), self.behavior.status_lag).unwrap_or(unseen);
        let reason = stored.execution.failure_reason.clone().filter(|_| status == ExecutionStatus::Failed);
        (status, at, reason)
    }

    pub(super) fn describe_execution(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let (stored, record) = self.get_execution(request)?;
        let (status, changed_at, reason) = self.seen(&stored, &record);
        let execution = stored.execution;
        Ok(compact(json!({
            "PipelineArn": pipeline_arn(&execution.pipeline), "PipelineExecutionArn": execution.arn,
            "PipelineExecutionDisplayName": execution.display_name, "PipelineExecutionStatus": status.name(),
            "PipelineExecutionDescription": record.description, "FailureReason": reason,
            "CreationTime": epoch(execution.started_at), "LastModifiedTime": epoch(changed_at),
            "ParallelismConfiguration": record.parallelism, "PipelineVersionId": stored.request.version,
        })))
    }

    pub(super) fn describe_execution_definition(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let (stored, _) = self.get_execution(request)?;
        let versions = self.pipelines.list_versions(&stored.request.pipeline)?;
        let version = versions.into_iter().find(|it| it.version == stored.request.version);
        Ok(json!({
            "PipelineDefinition": version.map(|it| it.definition), "CreationTime": epoch(stored.execution.started_at),
        }))
    }

    pub(super) fn list_executions(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = self.get_pipeline_name(request)?;
        let after = request.find_time("CreatedAfter")?.unwrap_or(Timestamp::MIN);
        let before = request.find_time("CreatedBefore")?.unwrap_or(Timestamp::MAX);
        let mut found: Vec<StoredExecution> = self.pipelines.list_executions()?;
        found.retain(|it| {
            let started_at = it.execution.started_at;
            let is_listed = self.behavior.list_lag.after(started_at) <= self.now();
            it.execution.pipeline == name && is_listed && after < started_at && started_at < before
        });
        found.sort_by(|a, b| {
            (a.execution.started_at, &a.execution.arn).cmp(&(b.execution.started_at, &b.execution.arn))
        });
        if request.find_text("SortBy")? == Some("PipelineExecutionArn") {
            found.sort_by(|a, b| a.execution.arn.cmp(&b.execution.arn));
        }
        let mut summaries = Vec::new();
        for stored in found {
            let record = self.find_record(&stored.execution.arn)?.unwrap_or_else(|| Record::new(&stored.execution.arn));
            let (status, _, reason) = self.seen(&stored, &record);
            let execution = stored.execution;
            let summary = compact(json!({
                "PipelineExecutionArn": execution.arn, "StartTime": epoch(execution.started_at),
                "PipelineExecutionStatus": status.name(), "PipelineExecutionDescription": record.description,
                "PipelineExecutionDisplayName": execution.display_name, "PipelineExecutionFailureReason": reason,
            }));
            summaries.push((execution.arn, summary));
        }
        Paging::read(request)?.page("PipelineExecutionSummaries", summaries)
    }

    pub(super) fn list_execution_steps(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let (stored, record) = self.get_execution(request)?;
        let id = execution_id(&stored.execution.arn);
        let steps = stored.execution.steps.iter().map(|step| {
            let times = record.steps.get(&step.name);
            let source = stored.reused_from.get(&step.name);
            let summary = compact(json!({
                "StepName": step.name, "StepStatus": step.status, "FailureReason": step.failure_reason,
                "StartTime": times.map(|it| epoch(it.began_at)),
                "EndTime": times.and_then(|it| it.ended_at).map(epoch), "AttemptCount": 1,
                "Metadata": metadata(step, id, source.map(String::as_str)),
                "CacheHitResult": source.map(|it| json!({ "SourcePipelineExecutionArn": it })),
            }));
            (step.name.clone(), summary)
        });
        Paging::read(request)?.page("PipelineExecutionSteps", steps.collect())
    }

    pub(super) fn list_execution_parameters(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let (stored, _) = self.get_execution(request)?;
        let pairs = stored.request.parameters.into_iter();
        let parameters = pairs.map(|(name, value)| (name.clone(), json!({ "Name": name, "Value": value })));
        Paging::read(request)?.page("PipelineParameters", parameters.collect())
    }

    pub(super) fn stop_execution(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let token = request.text("ClientRequestToken")?;
        if !(32..=128).contains(&token.chars().count()) {
            return Err(Refusal::validation("ClientRequestToken must have 32 to 128 characters"));
        }
        let (stored, _) = self.get_execution(request)?;
        let arn = stored.execution.arn;
        if stored.execution.status.is_terminal() {
            return Err(Refusal::validation(format!(
                "Only executions in Executing status can be stopped; '{arn}' is {}.",
                stored.execution.status.name()
            )));
        }
        wait(self.pipelines.stop(&arn))?;
        self.tell_status(&arn, |_| {})?;
        Ok(json!({ "PipelineExecutionArn": arn }))
    }
}

/// The parameters of a request; AWS sends them as a list.
fn parameters(request: &Fields<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut parameters = BTreeMap::new();
    for pair in request.list("PipelineParameters")? {
        let pair = Fields::new(pair)?;
        let (name, value) = (pair.text("Name")?, pair.text("Value")?);
        if parameters.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Refusal::validation(format!("parameter `{name}` is given twice")));
        }
    }
    Ok(parameters)
}

/// Whether a text follows `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}`.
fn is_display_name(text: &str) -> bool {
    let is_letter = |it: u8| it.is_ascii_alphanumeric();
    text.len() <= 82
        && text.bytes().all(|it| is_letter(it) || it == b'-')
        && text.bytes().next().is_some_and(is_letter)
        && text.bytes().last().is_some_and(is_letter)
}

/// What a step made; the job of a reused result is the one that made it.
fn metadata(step: &StepState, id: &str, source: Option<&str>) -> Value {
    let id = source.map_or(id, execution_id);
    match step.kind.as_str() {
        "Processing" => json!({ "ProcessingJob": { "Arn": job_arn("processing-job", id, &step.name) } }),
        "Training" => json!({ "TrainingJob": { "Arn": job_arn("training-job", id, &step.name) } }),
        "RegisterModel" => match &step.package_arn {
            Some(arn) => json!({ "RegisterModel": { "Arn": arn } }),
            None => json!({ "RegisterModel": {} }),
        },
        "Condition" => json!({ "Condition": {} }),
        "Fail" => json!({ "Fail": { "ErrorMessage": step.failure_reason } }),
        _ => json!({}),
    }
}
