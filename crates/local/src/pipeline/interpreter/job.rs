//! Processing and training jobs: a sandbox with SageMaker's folders, a child process, the results as objects.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use refit_app::ports::ObjectInfo;
use refit_core::{Digest, ObjectUri};
use serde_json::{Value, json};

use super::child::{self, End, Job};
use super::scope::Scope;
use super::transfer::{self, about};
use super::{Environment, StepEnd, chain};
use crate::pipeline::definition::{Exception, Folder, Processing, Program, StepKind, Training, skeleton};

/// How much of a failure message SageMaker keeps.
const MAX_REASON_BYTES: usize = 1024;

/// What a job that succeeded leaves behind.
pub(super) struct Made {
    /// The step's properties.
    pub(super) properties: Value,
    /// The objects that it wrote.
    pub(super) written: Vec<ObjectInfo>,
}

/// One job's place.
pub(super) struct Place<'a> {
    /// The step's name.
    pub(super) step: &'a str,
    /// What the step declares.
    pub(super) kind: &'a StepKind,
    /// What its expressions mean.
    pub(super) scope: &'a Scope<'a>,
    /// The world outside.
    pub(super) environment: &'a Environment<'a>,
}

/// The name of a step's job, as SageMaker makes it: the same for the same execution and step.
pub(super) fn job_name(execution_id: &str, step: &str) -> String {
    let digest = Digest::of_list(&["job", execution_id, step]);
    // Job names have at most 63 characters and no underscore.
    let short: String = step.chars().take(28).map(|it| if it == '_' { '-' } else { it }).collect();
    format!("pipelines-{execution_id}-{}-{}", short.trim_matches('-'), &digest.hex()[..10])
}

/// The ARN of a step's job; `kind` is `processing-job` or `training-job`.
pub(crate) fn job_arn(kind: &str, execution_id: &str, step: &str) -> String {
    format!("arn:aws:sagemaker:us-east-1:000000000000:{kind}/{}", job_name(execution_id, step).to_lowercase())
}

impl Place<'_> {
    fn sandbox(&self) -> PathBuf {
        self.environment.folder.join(self.step)
    }

    /// A container's path in the sandbox.
    fn inside(&self, path: &str) -> PathBuf {
        self.sandbox().join(path.trim_start_matches('/'))
    }

    fn arn(&self, kind: &str) -> String {
        job_arn(kind, &self.scope.context.execution_id, self.step)
    }

    fn make(&self, path: &str) -> Result<PathBuf, String> {
        let folder = self.inside(path);
        std::fs::create_dir_all(&folder).map_err(|error| about(&folder, &error))?;
        Ok(folder)
    }

    fn write_json(&self, path: &str, document: &Value) -> Result<(), String> {
        let path = self.inside(path);
        std::fs::write(&path, document.to_string()).map_err(|error| about(&path, &error))
    }

    /// The address of an input.
    pub(super) fn input_uri(&self, input: &Folder) -> Result<ObjectUri, String> {
        self.scope.uri(&input.uri).map_err(|why| format!("input `{}`: {why}", input.name))
    }

    /// Brings a step's inputs in; one without any object is an error, as on SageMaker.
    fn fill(&self, inputs: &[Folder]) -> Result<Vec<String>, String> {
        let mut uris = Vec::new();
        for input in inputs {
            let uri = self.input_uri(input)?;
            let folder = self.make(&input.local_path)?;
            if transfer::download(self.environment.objects, &uri, &folder)? == 0 {
                return Err(format!("input `{}`: there is no object at `{uri}`", input.name));
            }
            uris.push(uri.to_string());
        }
        Ok(uris)
    }

    /// Runs the program; `report` is the file in which it may say why it failed.
    fn execute(&self, program: &Program, mut variables: BTreeMap<String, String>, report: &str) -> Result<(), StepEnd> {
        let sandbox = self.sandbox();
        let mut command = self.scope.texts(&program.entrypoint)?;
        if let Some(mapped) = command.first().and_then(|it| self.environment.programs.get(it)) {
            command.splice(..1, mapped.iter().cloned());
        }
        command.extend(self.scope.texts(&program.arguments)?);
        let command = command.iter().map(|it| relocate(it, &sandbox)).collect::<Vec<_>>();
        for (name, value) in self.scope.map(&program.environment)? {
            variables.insert(name, relocate(&value, &sandbox));
        }
        variables.insert("REFIT_SANDBOX".to_owned(), sandbox.display().to_string());
        let limit = self.scope.value(&program.max_runtime_s)?;
        let limit = limit.as_u64().ok_or_else(|| format!("MaxRuntimeInSeconds {limit} is not a whole number"))?;
        let log = self.environment.folder.join(format!("{}.log", self.step));
        let name = command.first().cloned().unwrap_or_default();
        let resources = &self.scope.context.resources;
        let most = resources.max_runtime.and_then(|it| u64::try_from(it.as_seconds()).ok());
        let limit = most.map_or(limit, |it| it.min(limit));
        let command = within_memory(command, resources.memory_mb);
        let job =
            Job { command, environment: variables, folder: &sandbox, log: &log, limit: Duration::from_secs(limit) };
        let (end, tail) = child::run(&job, self.environment.is_stopping)
            .map_err(|error| format!("entrypoint `{name}` could not be run: {error}"))?;
        let status = match end {
            End::Exited(status) if status.success() => return Ok(()),
            End::Stopped => return Err(StepEnd::Stopped),
            End::TimedOut => {
                return Err(with_tail(format!("stopped after {limit} s, its MaxRuntimeInSeconds"), &tail).into());
            }
            End::Exited(status) => status,
        };
        let reason = read_reason(&self.inside(report))?;
        let reason = reason.unwrap_or_else(|| with_tail(format!("program ended with {status}"), &tail));
        if let (Some(memory_mb), Some(_)) = (resources.memory_mb, status.signal()) {
            return Err(StepEnd::Failed(format!(
                "{reason}; it may use {memory_mb} MB, `pipeline.resources.memory_mb`"
            )));
        }
        // Nobody here sent that signal: the program did not fail, its machine did.
        Err(match status.signal() {
            Some(_) => StepEnd::Faulted(Exception::JobInternalError, reason),
            None => StepEnd::Failed(reason),
        })
    }

    /// Runs a processing job.
    pub(super) fn process(&self, processing: &Processing) -> Result<Made, StepEnd> {
        let inputs = self.fill(&processing.inputs)?;
        let mut outputs = Vec::new();
        for output in &processing.outputs {
            let uri = self.scope.uri(&output.uri).map_err(|why| format!("output `{}`: {why}", output.name))?;
            outputs.push((uri, self.make(&output.local_path)?));
        }
        self.make("/opt/ml/output")?;
        self.make("/opt/ml/config")?;
        let arn = self.arn("processing-job");
        let job = json!({"ProcessingJobArn": arn, "ProcessingJobName": self.scope.job_name});
        self.write_json("/opt/ml/config/processingjobconfig.json", &job)?;
        self.write_json("/opt/ml/config/resourceconfig.json", &one_host())?;
        let variables = BTreeMap::from([("PROCESSING_JOB_ARN".to_owned(), arn.clone())]);
        self.execute(&processing.program, variables, "/opt/ml/output/message")?;
        let mut written = Vec::new();
        for (uri, folder) in &outputs {
            written.extend(transfer::upload(self.environment.objects, folder, uri)?);
        }
        let mut properties = skeleton(self.kind);
        properties["ProcessingJobName"] = self.scope.job_name.clone().into();
        properties["ProcessingJobArn"] = arn.into();
        properties["ProcessingJobStatus"] = "Completed".into();
        for (index, uri) in inputs.into_iter().enumerate() {
            properties["ProcessingInputs"][index]["S3Input"]["S3Uri"] = uri.into();
        }
        for (index, (uri, _)) in outputs.iter().enumerate() {
            properties["ProcessingOutputConfig"]["Outputs"][index]["S3Output"]["S3Uri"] = uri.to_string().into();
        }
        Ok(Made { properties, written })
    }

    /// Runs a training job.
    pub(super) fn train(&self, training: &Training) -> Result<Made, StepEnd> {
        let output_path = self.scope.uri(&training.output_path)?;
        self.fill(&training.channels)?;
        let model = self.make("/opt/ml/model")?;
        let data = self.make("/opt/ml/output/data")?;
        self.make("/opt/ml/input/config")?;
        let hyperparameters = self.scope.map(&training.hyperparameters)?;
        self.write_json("/opt/ml/input/config/hyperparameters.json", &json!(hyperparameters))?;
        let channel =
            json!({"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"});
        let channels: BTreeMap<&str, &Value> =
            training.channels.iter().map(|it| (it.name.as_str(), &channel)).collect();
        self.write_json("/opt/ml/input/config/inputdataconfig.json", &json!(channels))?;
        self.write_json("/opt/ml/input/config/resourceconfig.json", &one_host())?;
        let arn = self.arn("training-job");
        let name = &self.scope.job_name;
        let variables = BTreeMap::from([
            ("TRAINING_JOB_NAME".to_owned(), name.clone()),
            ("TRAINING_JOB_ARN".to_owned(), arn.clone()),
        ]);
        self.execute(&training.program, variables, "/opt/ml/output/failure")?;
        let mut written = vec![self.pack(&model, &output_path, "model.tar.gz")?];
        let artifacts = written[0].uri.to_string();
        if transfer::has_files(&data)? {
            written.push(self.pack(&data, &output_path, "output.tar.gz")?);
        }
        let mut properties = skeleton(self.kind);
        properties["TrainingJobName"] = name.clone().into();
        properties["TrainingJobArn"] = arn.into();
        properties["TrainingJobStatus"] = "Completed".into();
        properties["ModelArtifacts"]["S3ModelArtifacts"] = artifacts.into();
        properties["OutputDataConfig"]["S3OutputPath"] = output_path.to_string().into();
        Ok(Made { properties, written })
    }

    /// Uploads a folder as one archive.
    fn pack(&self, folder: &Path, output_path: &ObjectUri, file: &str) -> Result<ObjectInfo, String> {
        let archive = refit_steps::pack_model(folder).map_err(|error| chain(&error))?;
        let uri = output_path.join(&format!("{}/output/{file}", self.scope.job_name)).map_err(|error| chain(&error))?;
        transfer::put(self.environment.objects, &uri, &archive)
    }

    /// Makes way for another attempt: its sandbox is empty, and the log of the one before it keeps its number.
    pub(super) fn begin_again(&self, attempt: u32) -> Result<(), String> {
        self.clean_up()?;
        let log = self.environment.folder.join(format!("{}.log", self.step));
        let kept = self.environment.folder.join(format!("{}.{}.log", self.step, attempt - 1));
        std::fs::rename(&log, kept).map_err(|error| about(&log, &error))
    }

    /// Removes the sandbox; what the step made is in the objects, what it said is in the log.
    pub(super) fn clean_up(&self) -> Result<(), String> {
        let sandbox = self.sandbox();
        std::fs::remove_dir_all(&sandbox).map_err(|error| about(&sandbox, &error))
    }
}

/// SageMaker's description of a cluster of one.
fn one_host() -> Value {
    json!({"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"})
}

/// What the program wrote about its failure.
fn read_reason(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim();
            let cut = text.floor_char_boundary(MAX_REASON_BYTES.min(text.len()));
            Ok(Some(text[..cut].to_owned()).filter(|it| !it.is_empty()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about(path, &error)),
    }
}

/// A reason with the last lines of the log, cut like SageMaker's.
fn with_tail(reason: String, tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    let room = MAX_REASON_BYTES.saturating_sub(reason.len() + 2);
    let start = last.ceil_char_boundary(last.len().saturating_sub(room));
    if last.is_empty() { reason } else { format!("{reason}: {}", &last[start..]) }
}

/// Moves every `/opt/ml/` that begins a path into the sandbox; one inside a longer path or an address stays.
fn relocate(text: &str, sandbox: &Path) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/opt/ml") {
        let (before, after) = rest.split_at(at);
        let after = &after["/opt/ml".len()..];
        out.push_str(before);
        let begins = !out.ends_with(|it: char| it.is_alphanumeric() || "._-/".contains(it));
        let ends = !after.starts_with(|it: char| it.is_alphanumeric() || "._-".contains(it));
        if begins && ends {
            out.push_str(&sandbox.display().to_string());
        }
        out.push_str("/opt/ml");
        rest = after;
    }
    out + rest
}

/// The command, held to so much memory by the shell that starts it: an allocation above it fails.
fn within_memory(command: Vec<String>, memory_mb: Option<u32>) -> Vec<String> {
    let Some(memory_mb) = memory_mb else { return command };
    let limit = format!("ulimit -v {} && exec \"$0\" \"$@\"", u64::from(memory_mb) * 1024);
    ["sh".to_owned(), "-c".to_owned(), limit].into_iter().chain(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_container_are_moved() {
        let cases = [
            ("cat /opt/ml/a > /opt/ml/b", "cat /x/opt/ml/a > /x/opt/ml/b"),
            ("--dir=/opt/ml/a", "--dir=/x/opt/ml/a"),
            ("/opt/ml", "/x/opt/ml"),
            ("/opt/mlflow", "/opt/mlflow"),
            ("s3://bucket/opt/ml/a", "s3://bucket/opt/ml/a"),
            ("nothing", "nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(relocate(text, Path::new("/x")), expected);
        }
    }

    #[test]
    fn job_names_fit_sagemakers_limit() {
        let name = job_name("0123456789ab", &"Step_".repeat(12));
        assert!(name.len() <= 63 && !name.contains('_'), "{name}");
    }
}
