//! Documents and data files under `s3://bucket/key`.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use refit_core::ObjectUri;

use super::{BoxError, Failure};

/// What is known about an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its address.
    pub uri: ObjectUri,
    /// Its size in bytes.
    pub size: u64,
    /// Changes with its content.
    pub etag: String,
    /// When it was last written.
    pub modified: Timestamp,
}

/// A whole object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// Identifies the content that was read.
    pub etag: String,
}

/// Part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPage {
    /// Objects by rising key, byte by byte.
    pub items: Vec<ObjectInfo>,
    /// The key to continue after; `None` at the end.
    pub next: Option<String>,
}

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("object `{0}` does not exist")]
    NotFound(ObjectUri),
    /// A write-once object exists, or an object changed since it was read; nothing was written.
    #[error("object `{0}` is not as expected: it exists or changed since it was read")]
    Conflict(ObjectUri),
    /// The object is larger than the caller's limit.
    #[error("object `{uri}` has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Which object.
        uri: ObjectUri,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The store asks to slow down or could not be reached. **A write may have been applied.**
    #[error("object store could not be reached for `{uri}`")]
    Unavailable {
        /// Which object.
        uri: ObjectUri,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The caller may not do this.
    #[error("access to object `{0}` was denied")]
    Denied(ObjectUri),
    /// The request cannot work.
    #[error("request for object `{uri}` is invalid: {why}")]
    Invalid {
        /// Which object.
        uri: ObjectUri,
        /// What is wrong.
        why: String,
    },
}

impl ObjectError {
    /// What kind of failure this is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            ObjectError::NotFound(_) => Failure::NotFound,
            ObjectError::Conflict(_) => Failure::Conflict,
            ObjectError::Unavailable { .. } => Failure::Unavailable,
            ObjectError::Denied(_) => Failure::Denied,
            ObjectError::TooLarge { .. } | ObjectError::Invalid { .. } => Failure::Invalid,
        }
    }
}

/// Reads and writes objects. Writes are atomic: a reader sees the old content or the new, never a part.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Describes an object.
    ///
    /// # IAM
    /// `s3:GetObject`
    ///
    /// # Errors
    /// See [`ObjectError`].
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError>;

    /// Reads a whole object of at most `limit` bytes.
    ///
    /// # IAM
    /// `s3:GetObject`
    ///
    /// # Errors
    /// [`ObjectError::TooLarge`] before anything is read into memory.
    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError>;

    /// Reads bytes `range` of the object that has `etag`; a range beyond the end is cut.
    ///
    /// # IAM
    /// `s3:GetObject`
    ///
    /// # Errors
    /// [`ObjectError::Conflict`] when the object has changed.
    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError>;

    /// Writes an object that does not exist yet.
    ///
    /// # IAM
    /// `s3:PutObject`
    ///
    /// # Errors
    /// [`ObjectError::Conflict`] when it exists, whatever its content.
    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError>;

    /// Replaces the object that has `etag`.
    ///
    /// # IAM
    /// `s3:PutObject`
    ///
    /// # Errors
    /// [`ObjectError::Conflict`] when it is absent or has changed.
    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError>;

    /// Removes an object; one that is not there is removed already.
    ///
    /// # IAM
    /// `s3:DeleteObject`
    ///
    /// # Errors
    /// See [`ObjectError`]; never [`ObjectError::NotFound`].
    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError>;

    /// Lists objects whose key begins with the prefix's key, after key `after`, at most 1,000 in a page.
    ///
    /// # IAM
    /// `s3:ListBucket`
    ///
    /// # Errors
    /// See [`ObjectError`].
    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError>;
}

/// Writes a content-addressed object: if it exists its content is the same by construction.
///
/// # Errors
/// See [`ObjectError`].
pub async fn ensure_object(objects: &dyn Objects, uri: &ObjectUri, bytes: &[u8]) -> Result<(), ObjectError> {
    match objects.put_new(uri, bytes).await {
        Ok(_) | Err(ObjectError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
