//! Reuses what an earlier execution made, when a step allows it.
//!
//! The key of a result is, as on SageMaker
//! (<https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-default-keys.html>), the pipeline's and the step's name, its
//! type, the image, entrypoint and arguments, the environment, the hyperparameters, and of each input the name, folder
//! and address, all with their values when the step begins. Where outputs go and how long the job may take are not in it:
//! who reuses a result gets the addresses of the earlier outputs.
//!
//! Beyond SageMaker, the key has each input object's name and etag, so that changed data is seen, the program that the
//! entrypoint is mapped to, and the names and folders of the outputs. A result is also only reused while every object that
//! the step wrote is unchanged. Not in the key: the content of the program.
//!
//! Only a step that succeeded leaves a result, whatever became of its execution; of several the newest counts.

use jiff::Timestamp;
use refit_app::ports::{ObjectError, ObjectInfo};
use refit_core::{Digest, ObjectUri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::job::{Made, Place};
use super::{Environment, chain, transfer, wait};
use crate::pipeline::definition::{CacheExpiry, Folder, Program, StepKind};

const RESULT: &str = "pipeline-step-result";

/// What a step made.
#[derive(Serialize, Deserialize)]
struct StoredResult {
    schema: u16,
    execution_arn: String,
    made_at: Timestamp,
    properties: Value,
    written: Vec<StoredObject>,
}

#[derive(Serialize, Deserialize)]
struct StoredObject {
    uri: ObjectUri,
    etag: String,
}

/// A result that may be used again.
pub(super) struct Hit {
    /// The execution that made it.
    pub(super) execution_arn: String,
    /// The step's properties there.
    pub(super) properties: Value,
}

/// The key of the result that a step is going to make; `None` when its type makes none.
pub(super) fn key(place: &Place<'_>) -> Result<Option<Digest>, String> {
    let scope = place.scope;
    let (program, inputs, outputs) = match place.kind {
        StepKind::Processing(it) => (&it.program, &it.inputs, it.outputs.as_slice()),
        StepKind::Training(it) => (&it.program, &it.channels, &[][..]),
        StepKind::RegisterModel(_) | StepKind::Condition(_) | StepKind::Fail(_) => return Ok(None),
    };
    let hyperparameters = match place.kind {
        StepKind::Training(it) => scope.map(&it.hyperparameters)?,
        StepKind::Processing(_) | StepKind::RegisterModel(_) | StepKind::Condition(_) | StepKind::Fail(_) => {
            std::collections::BTreeMap::new()
        }
    };
    let Program { image, entrypoint, arguments, environment, max_runtime_s: _ } = program;
    let entrypoint = scope.texts(entrypoint)?;
    let mapped = entrypoint.first().and_then(|it| place.environment.programs.get(it));
    let inputs = inputs.iter().map(|it| describe(place, it)).collect::<Result<Vec<_>, _>>()?;
    let outputs: Vec<[&str; 2]> = outputs.iter().map(|it| [it.name.as_str(), it.local_path.as_str()]).collect();
    // A list, because the order of an object's keys is not the same with every build of `serde_json`.
    let parts = json!([
        1,
        scope.context.pipeline.to_lowercase(),
        place.step,
        place.kind.name(),
        image.as_ref().map(|it| scope.text(it)).transpose()?,
        entrypoint,
        mapped,
        scope.texts(arguments)?,
        scope.map(environment)?.into_iter().collect::<Vec<_>>(),
        hyperparameters.into_iter().collect::<Vec<_>>(),
        inputs,
        outputs,
    ]);
    Ok(Some(Digest::of_list(&["step-result", &parts.to_string()])))
}

/// An input with the names and etags of its objects.
fn describe(place: &Place<'_>, input: &Folder) -> Result<Value, String> {
    let uri = place.input_uri(input)?;
    let objects = transfer::find(place.environment.objects, &uri)?;
    let objects: Vec<[&str; 2]> = objects.iter().map(|(name, it)| [name.as_str(), it.etag.as_str()]).collect();
    Ok(json!([input.name, input.local_path, uri.to_string(), objects]))
}

/// The result under a key, if it is young enough and still there.
pub(super) fn find(
    environment: &Environment<'_>,
    key: &Digest,
    expiry: CacheExpiry,
    now: Timestamp,
) -> Result<Option<Hit>, String> {
    let body = environment.database.get_document(RESULT, key.hex()).map_err(|error| chain(&error))?;
    // One that does not parse is of no use, and the step can run.
    let result: Option<StoredResult> = body.and_then(|body| serde_json::from_str(&body).ok());
    let Some(result) = result.filter(|it| expiry.allows(it.made_at, now)) else { return Ok(None) };
    for written in &result.written {
        match wait(environment.objects.head(&written.uri)) {
            Ok(info) if info.etag == written.etag => {}
            Ok(_) | Err(ObjectError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(chain(&error)),
        }
    }
    Ok(Some(Hit { execution_arn: result.execution_arn, properties: result.properties }))
}

/// Keeps what a step made.
pub(super) fn save(place: &Place<'_>, key: &Digest, made: &Made) -> Result<(), String> {
    let environment = place.environment;
    let stored = |it: &ObjectInfo| StoredObject { uri: it.uri.clone(), etag: it.etag.clone() };
    let result = StoredResult {
        schema: 1,
        execution_arn: place.scope.context.execution_arn.clone(),
        made_at: environment.clock.now(),
        properties: made.properties.clone(),
        written: made.written.iter().map(stored).collect(),
    };
    let body = serde_json::to_string(&result).expect("invariant: own documents serialize");
    environment.database.put_document(RESULT, key.hex(), &body).map_err(|error| chain(&error))
}
