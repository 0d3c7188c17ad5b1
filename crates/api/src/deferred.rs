//! Training, serving and data as the API sees them: not at all.
//!
//! A request records what is asked for. Whatever has to be done about it, training, stopping, serving or measuring, is done
//! by the function that the record wakes, with its own rights. So these ports answer that they cannot be reached now; by then
//! the request is recorded. The model registry stays: the candidate of a run that is canceled is rejected there first. So do
//! Refit's own documents, which are known by name: whatever begins with looking for files is about data.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use refit_app::Context;
use refit_app::ports::{
    EndpointError, EndpointState, Endpoints, Execution, Object, ObjectError, ObjectInfo, ObjectPage, Objects,
    PipelineDescription, PipelineError, Pipelines, Ports, StartRequest, Variant,
};
use refit_core::ObjectUri;

/// Left to the function that the record wakes.
#[derive(Debug, thiserror::Error)]
#[error("this is left to the function that the record wakes")]
struct Deferred;

struct NoService;

struct DocumentsOnly(Arc<dyn Objects>);

/// The context of an API that records and leaves the rest to others.
#[must_use]
pub fn recording(context: &Context) -> Context {
    let service = Arc::new(NoService);
    let objects = Arc::new(DocumentsOnly(Arc::clone(&context.ports.objects)));
    let ports = Ports { pipelines: service.clone(), endpoints: service, objects, ..context.ports.clone() };
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

fn object<T>(uri: &ObjectUri) -> Result<T, ObjectError> {
    Err(ObjectError::Unavailable { uri: uri.clone(), source: Box::new(Deferred) })
}

#[async_trait]
impl Objects for DocumentsOnly {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        object(uri)
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        self.0.get(uri, limit).await
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        self.0.get_range(uri, etag, range).await
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        self.0.put_new(uri, bytes).await
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        self.0.replace(uri, bytes, etag).await
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        object(uri)
    }

    async fn list(&self, prefix: &ObjectUri, _after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        object(prefix)
    }
}
