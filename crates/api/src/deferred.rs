//! Training and serving as the API sees them: not at all.
//!
//! A request records what is asked for. Whatever has to be done about it, training, stopping or serving, is done by the
//! function that the record wakes, with its own rights. So these ports answer that they cannot be reached now; by then the
//! request is recorded. The model registry stays: the candidate of a run that is canceled is rejected there first.

use std::sync::Arc;

use async_trait::async_trait;
use refit_app::Context;
use refit_app::ports::{
    EndpointError, EndpointState, Endpoints, Execution, PipelineDescription, PipelineError, Pipelines, Ports,
    StartRequest, Variant,
};

/// Left to the function that the record wakes.
#[derive(Debug, thiserror::Error)]
#[error("this is left to the function that the record wakes")]
struct Deferred;

struct NoService;

/// The context of an API that records and leaves the rest to others.
#[must_use]
pub fn recording(context: &Context) -> Context {
    let service = Arc::new(NoService);
    let ports = Ports { pipelines: service.clone(), endpoints: service, ..context.ports.clone() };
    Context { ports, ..context.clone() }
}

fn pipeline<T>() -> Result<T, PipelineError> {
    Err(PipelineError::Unavailable(Box::new(Deferred)))
}

#[async_trait]
impl Pipelines for NoService {
    async fn describe(&self, _pipeline: &str) -> Result<PipelineDescription, PipelineError> {
        pipeline()
    }

    async fn ensure_started(&self, _key: &str, _request: &StartRequest) -> Result<String, PipelineError> {
        pipeline()
    }

    async fn find_by_display_name(&self, _pipeline: &str, _name: &str) -> Result<Option<String>, PipelineError> {
        pipeline()
    }

    async fn observe(&self, _arn: &str) -> Result<Execution, PipelineError> {
        pipeline()
    }

    async fn stop(&self, _arn: &str) -> Result<(), PipelineError> {
        pipeline()
    }
}

#[async_trait]
impl Endpoints for NoService {
    /// What is served only matters to a repair, which is left to others: a vote must not wait for it.
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError> {
        Err(EndpointError::NotFound(endpoint.to_owned()))
    }

    async fn ensure_variants(&self, _endpoint: &str, _variants: &[Variant]) -> Result<(), EndpointError> {
        Err(EndpointError::Unavailable(Box::new(Deferred)))
    }
}
