//! `refit sagemaker serve`: SageMaker's API over the parts of the local world.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use refit_app::ports::{Clock, Objects};
use refit_local::clock::SystemClock;
use refit_local::sagemaker::{Behavior, Parts, SageMaker, Server};
use refit_local::store::FileObjects;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::arguments::{Format, SageMakerArguments};
use crate::commands::serve::told_to_end;
use crate::output::{Exit, answer};
use crate::state::programs;

/// Serves until a signal comes.
pub(crate) fn serve(arguments: &SageMakerArguments, format: Format) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("starting the server")?;
    let behavior = arguments.behavior.as_deref().map_or_else(|| Ok(Behavior::default()), read_behavior)?;
    let sagemaker = SageMaker::open(Parts {
        state: arguments.state.clone(),
        objects: objects(arguments, &runtime)?,
        programs: programs()?,
        begin: arguments.clock,
        hook: arguments.events_to.clone(),
        behavior,
    })?;
    runtime.block_on(async {
        let server = Server::bind(sagemaker, arguments.port).await?;
        let url = format!("http://{}", server.address());
        let document = json!({ "schema": 1, "endpoint": url, "clock": format!("{url}/clock") });
        answer(format, &document, |_| {
            format!("SageMaker is at {url}: set AWS_ENDPOINT_URL_SAGEMAKER to it. Its clock is {url}/clock.")
        })?;
        server.serve(told_to_end()).await?;
        Ok(Exit::Yes)
    })
}

#[cfg(feature = "cloud")]
fn objects(arguments: &SageMakerArguments, runtime: &Runtime) -> anyhow::Result<Arc<dyn Objects>> {
    if !arguments.s3 {
        return files(arguments);
    }
    let config = runtime.block_on(refit_aws::connect());
    let objects = refit_aws::S3Objects::new(&config, refit_aws::Limits::SLOW);
    // Steps wait on plain threads; the client needs the runtime for its sockets and timers.
    Ok(Arc::new(refit_local::sagemaker::OnRuntime::new(Arc::new(objects), runtime.handle().clone())))
}

#[cfg(not(feature = "cloud"))]
fn objects(arguments: &SageMakerArguments, _runtime: &Runtime) -> anyhow::Result<Arc<dyn Objects>> {
    files(arguments)
}

/// Files below a folder.
fn files(arguments: &SageMakerArguments) -> anyhow::Result<Arc<dyn Objects>> {
    let folder = arguments.objects.clone().unwrap_or_else(|| arguments.state.join("objects"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(Arc::new(FileObjects::open(&folder, clock)?))
}

fn read_behavior(path: &Path) -> anyhow::Result<Behavior> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    Behavior::parse(&text).with_context(|| format!("`{}`", path.display()))
}
