//! Objects behind a client that needs a runtime, for steps that wait on plain threads.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use refit_app::ports::{Object, ObjectError, ObjectInfo, ObjectPage, Objects};
use refit_core::ObjectUri;
use tokio::runtime::Handle;
use tokio::task::JoinError;

/// Calls a store of objects, such as S3's client, on a runtime, so that any thread may wait for it.
///
/// The interpreter runs each step on a thread of its own, which has no runtime, while a client of a service needs one
/// for its sockets and timers. Each call becomes a task of the runtime; its answer wakes the thread.
pub struct OnRuntime {
    inner: Arc<dyn Objects>,
    runtime: Handle,
}

impl OnRuntime {
    /// The objects of `inner`, called on `runtime`, which must have threads of its own.
    #[must_use]
    pub fn new(inner: Arc<dyn Objects>, runtime: Handle) -> OnRuntime {
        OnRuntime { inner, runtime }
    }

    async fn call<T, F>(&self, uri: &ObjectUri, call: impl FnOnce(Arc<dyn Objects>) -> F) -> Result<T, ObjectError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ObjectError>> + Send + 'static,
    {
        let lost = |error: JoinError| ObjectError::Unavailable { uri: uri.clone(), source: Box::new(error) };
        self.runtime.spawn(call(Arc::clone(&self.inner))).await.map_err(lost)?
    }
}

#[async_trait]
impl Objects for OnRuntime {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        let at = uri.clone();
        self.call(uri, |objects| async move { objects.head(&at).await }).await
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        let at = uri.clone();
        self.call(uri, move |objects| async move { objects.get(&at, limit).await }).await
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let (at, etag) = (uri.clone(), etag.to_owned());
        self.call(uri, |objects| async move { objects.get_range(&at, &etag, range).await }).await
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        let (at, bytes) = (uri.clone(), bytes.to_vec());
        self.call(uri, |objects| async move { objects.put_new(&at, &bytes).await }).await
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        let (at, bytes, etag) = (uri.clone(), bytes.to_vec(), etag.to_owned());
        self.call(uri, |objects| async move { objects.replace(&at, &bytes, &etag).await }).await
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        let at = uri.clone();
        self.call(uri, |objects| async move { objects.remove(&at).await }).await
    }

    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let (at, after) = (prefix.clone(), after.map(str::to_owned));
        self.call(prefix, |objects| async move { objects.list(&at, after.as_deref()).await }).await
    }
}
