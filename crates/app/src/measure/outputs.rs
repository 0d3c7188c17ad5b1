//! What a run left behind (DESIGN section 5, training contract): read, checked against its manifest, measured.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use refit_core::Guard;
use refit_core::evaluation::Evidence;
use refit_core::package::{Package, PackageStatus};
use refit_core::plan::{CandidateOutputs, OutputsProblem};
use refit_core::policy::{ModelPolicy, Task};
use refit_core::run::Run;
use refit_core::{Digest, ObjectUri};
use serde::Deserialize;

use super::MAX_FILE_BYTES;
use super::custom::custom_metrics;
use super::predictions::{Predictions, Wanted};
use super::quality::{Rows, compare_known, compare_returns};
use super::segments::{asked_segments, compare_segments};
use crate::error::AppError;
use crate::memo::Memo;
use crate::ports::{ObjectError, Objects, PackageDescription, PackageError};
use crate::use_cases::Context;

/// The key of a package's metadata under which the names of its classes are kept, as a JSON list.
pub const CLASSES: &str = "classes";

#[derive(Deserialize)]
struct Manifest {
    run_id: String,
    files: BTreeMap<String, FileEntry>,
    model: FileEntry,
    /// Names of the classes in the order of their scores; of a multiclass model only.
    #[serde(default)]
    classes: Vec<String>,
}

#[derive(Deserialize)]
struct FileEntry {
    sha256: String,
}

/// A service failed, or the outputs are bad.
enum Trouble {
    App(AppError),
    Outputs(OutputsProblem),
}

impl From<AppError> for Trouble {
    fn from(error: AppError) -> Self {
        Trouble::App(error)
    }
}

fn bad(problem: impl Into<String>) -> Trouble {
    Trouble::Outputs(OutputsProblem(problem.into()))
}

/// Reads and measures a run's outputs. The inner error is the pipeline's fault and ends the run.
///
/// # Errors
/// A service's failure: the same call may work later.
pub async fn read_outputs(
    context: &Context,
    policy: &ModelPolicy,
    run: &Run,
    package_arn: Option<&str>,
    has_champion: bool,
) -> Result<Result<CandidateOutputs, OutputsProblem>, AppError> {
    match read(context, policy, run, package_arn, has_champion).await {
        Ok(outputs) => Ok(Ok(outputs)),
        Err(Trouble::Outputs(problem)) => Ok(Err(problem)),
        Err(Trouble::App(error)) => Err(error),
    }
}

async fn read(
    context: &Context,
    policy: &ModelPolicy,
    run: &Run,
    package_arn: Option<&str>,
    has_champion: bool,
) -> Result<CandidateOutputs, Trouble> {
    let ports = &context.ports;
    let request = run.attempt_request().ok_or_else(|| bad("the run has no frozen request"))?;
    let arn = package_arn.ok_or_else(|| bad("the execution succeeded but registered no model package"))?;
    let description = match ports.packages.describe(arn).await {
        Ok(description) => description,
        Err(error @ PackageError::NotFound(_)) => return Err(bad(error.to_string())),
        Err(error) => return Err(AppError::from(error).into()),
    };
    let objects = &*ports.objects;
    let manifest_bytes = fetch(objects, &request.output, "manifest.json").await?;
    let manifest: Manifest = serde_json::from_slice(&manifest_bytes)
        .map_err(|error| bad(format!("manifest.json does not parse: {error}")))?;
    if manifest.run_id != run.id.to_string() {
        return Err(bad(format!("manifest.json belongs to run {}, not {}", manifest.run_id, run.id)));
    }
    let evaluation = fetch(objects, &request.output, "evaluation.json").await?;
    let predictions = fetch(objects, &request.output, "predictions.parquet").await?;
    let digests = [Digest::of(&evaluation), Digest::of(&predictions)];
    for (name, found) in ["evaluation.json", "predictions.parquet"].into_iter().zip(&digests) {
        let expected =
            &manifest.files.get(name).ok_or_else(|| bad(format!("manifest.json does not list {name}")))?.sha256;
        if found.hex() != expected.trim_start_matches("sha256:") {
            return Err(bad(format!("{name} has digest {}, manifest.json says {expected}", found.hex())));
        }
    }
    let model: ObjectUri =
        description.model_data_url.parse().map_err(|error| bad(format!("the package's model: {error}")))?;
    let artifact = Digest::of(&fetch_uri(objects, &model).await?);
    if !Guard::ArchiveAsEvaluated.holds(artifact.hex() == manifest.model.sha256.trim_start_matches("sha256:")) {
        return Err(bad(format!(
            "model archive {model} is not the one that was evaluated: its digest is {}",
            artifact.hex()
        )));
    }
    let seed = run.id.as_ref();
    let files = Files { evaluation: &evaluation, predictions: &predictions, classes: &manifest.classes };
    let evidence =
        measure_known(context.policies.memo(), policy, (files, &digests), has_champion, seed).map_err(bad)?;
    let mut package = package(run, &description, model, artifact, &evidence)?;
    if policy.task == Task::Multiclass {
        package.metadata.insert(CLASSES.to_owned(), serde_json::json!(manifest.classes).to_string());
    }
    Ok(CandidateOutputs { package, evidence })
}

async fn fetch(objects: &dyn Objects, output: &ObjectUri, name: &str) -> Result<Bytes, Trouble> {
    let uri = output.join(name).map_err(|error| bad(error.to_string()))?;
    fetch_uri(objects, &uri).await
}

async fn fetch_uri(objects: &dyn Objects, uri: &ObjectUri) -> Result<Bytes, Trouble> {
    match objects.get(uri, MAX_FILE_BYTES).await {
        Ok(object) => Ok(object.bytes),
        Err(ObjectError::NotFound(uri)) => Err(bad(format!("{uri} is missing: the pipeline must write it"))),
        Err(ObjectError::TooLarge { uri, size, limit }) => {
            Err(bad(format!("{uri} has {size} bytes, more than {limit}")))
        }
        Err(error) => Err(AppError::from(error).into()),
    }
}

/// Measures what a pipeline left behind. `seed` decides what is drawn: the run.
///
/// # Errors
/// A sentence that says what is wrong with the files.
pub fn measure_outputs(
    policy: &ModelPolicy,
    evaluation: &[u8],
    predictions: &[u8],
    classes: &[String],
    has_champion: bool,
    seed: &str,
) -> Result<Evidence, String> {
    measure_files(&Memo::default(), policy, Files { evaluation, predictions, classes }, has_champion, seed)
}

/// What a pipeline left behind.
#[derive(Debug, Clone, Copy)]
struct Files<'a> {
    evaluation: &'a [u8],
    predictions: &'a [u8],
    classes: &'a [String],
}

/// As [`measure_files`]; what was measured lately is not measured again.
fn measure_known(
    memo: &Memo,
    policy: &ModelPolicy,
    (files, digests): (Files<'_>, &[Digest; 2]),
    has_champion: bool,
    seed: &str,
) -> Result<Evidence, String> {
    let inputs = Digest::of_json(&(digests, files.classes, policy.task, &policy.gates, has_champion, seed));
    if let Some(known) = memo.evidence().find(&inputs) {
        return (*known).clone();
    }
    let measured = Arc::new(measure_files(memo, policy, files, has_champion, seed));
    memo.evidence().add(inputs, &measured);
    Arc::unwrap_or_clone(measured)
}

fn measure_files(
    memo: &Memo,
    policy: &ModelPolicy,
    files: Files<'_>,
    has_champion: bool,
    seed: &str,
) -> Result<Evidence, String> {
    let Files { evaluation, predictions, classes } = files;
    let document: serde_json::Value =
        serde_json::from_slice(evaluation).map_err(|error| format!("evaluation.json does not parse: {error}"))?;
    match document.get("valid") {
        Some(serde_json::Value::Bool(true)) => {}
        Some(serde_json::Value::Bool(false)) => {
            return Err(format!("evaluation.json says it is not valid: {}", document["problems"]));
        }
        Some(_) | None => return Err("evaluation.json does not say whether it is `valid`".to_owned()),
    }
    let segments: Vec<String> = asked_segments(&policy.gates).into_iter().collect();
    let it = Predictions::read(predictions, Wanted { task: policy.task, classes, has_champion, segments: &segments })?;
    let rows =
        Rows { times: &it.times, labels: &it.labels, candidate: &it.candidate, champion: it.champion.as_deref() };
    let mut metrics = compare_known(memo, policy.task, rows, seed);
    if let Some(returns) = &it.candidate_returns {
        metrics.extend(compare_returns(&it.times, returns, it.champion_returns.as_deref(), seed));
    }
    let (segments, segments_left_out) = compare_segments(policy.task, &policy.gates, &it, seed);
    Ok(Evidence {
        rows: it.rows() as u64,
        metrics,
        custom: custom_metrics(&document),
        segments,
        segments_left_out,
        predictions: Digest::of(predictions),
    })
}

fn package(
    run: &Run,
    description: &PackageDescription,
    model: ObjectUri,
    artifact: Digest,
    evidence: &Evidence,
) -> Result<Package, Trouble> {
    let request = run.request.as_ref().ok_or_else(|| bad("the run has no frozen request"))?;
    let mut metadata = description.metadata.clone();
    metadata.insert("definition".to_owned(), request.definition_digest.to_string());
    metadata.insert("definition_version".to_owned(), request.definition_version.to_string());
    Ok(Package {
        schema: Package::SCHEMA,
        version: description.version,
        arn: description.arn.clone(),
        run: Some(run.id.clone()),
        model,
        artifact,
        train: request.train,
        holdout: request.holdout,
        quality: evidence.metrics.iter().filter_map(|(metric, it)| Some((*metric, it.candidate?))).collect(),
        registered_at: description.created_at,
        metadata,
        status: PackageStatus::Candidate,
        promoted_at: None,
        replaced: None,
        replaced_before: Vec::new(),
        removed_at: None,
    })
}
