//! A definition run by itself, for whoever writes one: no fleet, no policy, just steps and their results.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use refit_app::ports::{BoxError, Clock, Execution, Objects, PipelineError, Pipelines as _, StartRequest, StepState};
use refit_core::Digest;

use super::interpreter::{self, Programs};
use super::packages::LocalPackages;
use super::service::{DefineError, LocalPipelines};
use crate::store::Database;

/// Runs a definition that belongs to no stored pipeline, for `refit pipeline run`: executions and the registry live in
/// `work_dir`, and each call is an execution of its own.
///
/// # Errors
/// [`DefineError`] for problems of the definition, the parameters or the folder. A step that fails is not an error.
pub fn run_definition(
    json: &str,
    parameters: &BTreeMap<String, String>,
    objects: Arc<dyn Objects>,
    work_dir: &Path,
    programs: &Programs,
    clock: Arc<dyn Clock>,
    on_step: &mut dyn FnMut(&StepState),
) -> Result<Execution, DefineError> {
    let opening = |error: BoxError| DefineError::Pipeline(PipelineError::Unavailable(error));
    let work_dir = std::path::absolute(work_dir).map_err(|error| opening(Box::new(error)))?;
    let database = Database::open(&work_dir.join("pipeline.sqlite")).map_err(|error| opening(Box::new(error)))?;
    let packages = LocalPackages::new(database.clone());
    let started = clock.now();
    let executions = work_dir.join("executions");
    let pipelines = LocalPipelines::new(database, objects, packages, clock, executions, programs.clone());
    let pipeline = pipelines.define("local", json)?;
    let request = StartRequest {
        resources: refit_core::policy::Resources::default(),
        pipeline: pipeline.name,
        version: pipeline.version,
        display_name: format!("local-{started}"),
        parameters: parameters.clone(),
    };
    let key = Digest::of_list(&["run", &started.to_string(), &std::process::id().to_string()]);
    let arn = interpreter::wait(pipelines.ensure_started(key.hex(), &request))?;
    Ok(pipelines.run_to_end(&arn, on_step)?)
}
