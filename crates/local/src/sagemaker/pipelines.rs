//! Pipelines and their versions.

use refit_app::ports::Pipelines as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SageMaker;
use super::protocol::{Fields, Paging, Refusal, compact, epoch};
use crate::pipeline::{DefineError, StoredVersion, pipeline_arn, wait};

const KIND: &str = "sagemaker-pipeline";

/// What the interpreter has no use for.
#[derive(Serialize, Deserialize)]
struct Attributes {
    schema: u16,
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    role_arn: Option<String>,
    parallelism: Option<Value>,
    created_at: jiff::Timestamp,
    changed_at: jiff::Timestamp,
}

/// The name in a name or ARN.
pub(super) fn name_of(text: &str) -> &str {
    text.split_once(":pipeline/").map_or(text, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

impl SageMaker {
    fn find_pipeline(&self, name: &str) -> Result<Option<Attributes>, Refusal> {
        let body = self.database.get_document(KIND, &name.to_lowercase())?;
        body.map(|body| serde_json::from_str(&body).map_err(|error| Refusal::internal(error.to_string()))).transpose()
    }

    /// The pipeline that a request names.
    fn get_pipeline(&self, request: &Fields<'_>) -> Result<Attributes, Refusal> {
        let name = name_of(request.text("PipelineName")?);
        self.find_pipeline(name)?
            .ok_or_else(|| Refusal::not_found(format!("Pipeline '{}' does not exist.", pipeline_arn(name))))
    }

    /// The name of the pipeline that a request names, as it was created.
    pub(super) fn get_pipeline_name(&self, request: &Fields<'_>) -> Result<String, Refusal> {
        self.get_pipeline(request).map(|it| it.name)
    }

    fn save_pipeline(&self, attributes: &Attributes) -> Result<(), Refusal> {
        let body = serde_json::to_string(attributes).expect("invariant: own documents serialize");
        Ok(self.database.put_document(KIND, &attributes.name.to_lowercase(), &body)?)
    }

    /// Stores a definition and returns its version.
    fn define(&self, name: &str, definition: &str) -> Result<u64, Refusal> {
        match self.pipelines.define(name, definition) {
            Ok(pipeline) => Ok(pipeline.version),
            Err(DefineError::Problems(problems)) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Err(Refusal::validation(format!("Unable to parse pipeline definition: {}", problems.join("; "))))
            }
            Err(DefineError::Pipeline(error)) => Err(error.into()),
        }
    }

    pub(super) fn create_pipeline(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = request.text("PipelineName")?;
        let definition = inline_definition(request)?;
        let definition = definition.ok_or_else(|| Refusal::validation("PipelineDefinition must be given"))?;
        if self.find_pipeline(name)?.is_some() {
            return Err(Refusal::validation(format!(
                "Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) already \
                 exists."
            )));
        }
        if self.behavior.quotas.pipelines <= self.database.list_documents(KIND)?.len() {
            return Err(Refusal::limit("The account-level service limit 'Pipelines' is used up."));
        }
        self.define(name, definition)?;
        let now = self.now();
        self.save_pipeline(&Attributes {
            schema: 1,
            name: name.to_owned(),
            display_name: owned(request, "PipelineDisplayName")?,
            description: owned(request, "PipelineDescription")?,
            role_arn: Some(request.text("RoleArn")?.to_owned()),
            parallelism: request.find("ParallelismConfiguration").cloned(),
            created_at: now,
            changed_at: now,
        })?;
        Ok(json!({ "PipelineArn": pipeline_arn(name) }))
    }

    pub(super) fn update_pipeline(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let mut attributes = self.get_pipeline(request)?;
        let version = match inline_definition(request)? {
            Some(definition) => self.define(&attributes.name, definition)?,
            None => self.newest_version(&attributes.name)?.version,
        };
        attributes.display_name = owned(request, "PipelineDisplayName")?.or(attributes.display_name);
        attributes.description = owned(request, "PipelineDescription")?.or(attributes.description);
        attributes.role_arn = owned(request, "RoleArn")?.or(attributes.role_arn);
        attributes.parallelism = request.find("ParallelismConfiguration").cloned().or(attributes.parallelism);
        attributes.changed_at = self.now();
        self.save_pipeline(&attributes)?;
        Ok(json!({ "PipelineArn": pipeline_arn(&attributes.name), "PipelineVersionId": version }))
    }

    /// The newest version of a pipeline.
    pub(super) fn newest_version(&self, name: &str) -> Result<StoredVersion, Refusal> {
        self.pipelines.list_versions(name)?.pop().ok_or_else(|| Refusal::internal(format!("`{name}` has no version")))
    }

    pub(super) fn describe_pipeline(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let attributes = self.get_pipeline(request)?;
        let version = match request.find_number("PipelineVersionId")? {
            None => self.newest_version(&attributes.name)?,
            Some(number) => {
                let versions = self.pipelines.list_versions(&attributes.name)?;
                let found = versions.into_iter().find(|it| it.version == number);
                found.ok_or_else(|| {
                    Refusal::not_found(format!(
                        "Pipeline version '{number}' of '{}' does not exist.",
                        pipeline_arn(&attributes.name)
                    ))
                })?
            }
        };
        let arn = pipeline_arn(&attributes.name);
        let runs = self.pipelines.list_executions()?.into_iter().map(|it| it.execution);
        let last_run = runs.filter(|it| it.pipeline == attributes.name).map(|it| it.started_at).max();
        Ok(compact(json!({
            "PipelineArn": arn, "PipelineName": attributes.name, "PipelineDisplayName": attributes.display_name,
            "PipelineDefinition": version.definition, "PipelineDescription": attributes.description,
            "RoleArn": attributes.role_arn, "PipelineStatus": "Active",
            "CreationTime": epoch(attributes.created_at), "LastModifiedTime": epoch(attributes.changed_at),
            "LastRunTime": last_run.map(epoch), "ParallelismConfiguration": attributes.parallelism,
        })))
    }

    pub(super) fn delete_pipeline(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let attributes = self.get_pipeline(request)?;
        for (arn, _) in self.pipelines.list_open()? {
            if self.pipelines.get_execution(&arn)?.request.pipeline == attributes.name {
                wait(self.pipelines.stop(&arn))?;
            }
        }
        self.database.remove_document(KIND, &attributes.name.to_lowercase())?;
        Ok(json!({ "PipelineArn": pipeline_arn(&attributes.name) }))
    }

    pub(super) fn list_pipelines(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let prefix = request.find_text("PipelineNamePrefix")?.unwrap_or_default();
        let mut found = Vec::new();
        for (id, body) in self.database.list_documents(KIND)? {
            let it: Attributes =
                serde_json::from_str(&body).map_err(|error| Refusal::internal(format!("pipeline `{id}`: {error}")))?;
            if !it.name.starts_with(prefix) {
                continue;
            }
            let summary = compact(json!({
                "PipelineArn": pipeline_arn(&it.name), "PipelineName": it.name, "PipelineDisplayName": it.display_name,
                "PipelineDescription": it.description, "RoleArn": it.role_arn, "CreationTime": epoch(it.created_at),
                "LastModifiedTime": epoch(it.changed_at),
            }));
            found.push((it.created_at, id, summary));
        }
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Paging::read(request)?.page("PipelineSummaries", found.into_iter().map(|it| (it.1, it.2)).collect())
    }

    pub(super) fn list_pipeline_versions(&self, request: &Fields<'_>) -> Result<Value, Refusal> {
        let name = self.get_pipeline_name(request)?;
        let arn = pipeline_arn(&name);
        let versions = self.pipelines.list_versions(&name)?.into_iter().map(|it| {
            let summary = json!({
                "PipelineArn": arn, "PipelineVersionId": it.version, "CreationTime": epoch(it.created_at),
            });
            (it.version.to_string(), summary)
        });
        Paging::read(request)?.page("PipelineVersionSummaries", versions.collect())
    }
}

/// The definition in a request; one that lies in S3 is refused by name.
fn inline_definition<'a>(request: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    if request.find("PipelineDefinitionS3Location").is_some() {
        return Err(Refusal::validation("PipelineDefinitionS3Location is not read here; send PipelineDefinition"));
    }
    request.find_text("PipelineDefinition")
}

fn owned(request: &Fields<'_>, name: &str) -> Result<Option<String>, Refusal> {
    Ok(request.find_text(name)?.map(str::to_owned))
}
