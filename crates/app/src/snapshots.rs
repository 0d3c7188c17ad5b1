//! Keeps what decisions were made on, and reads it back.

use std::sync::Arc;

use refit_core::snapshot::{Snapshot, StoredSnapshot};
use refit_core::{Digest, ObjectUri};

use crate::documents::{state_uri, to_body};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::use_cases::Context;

/// Most bytes of a snapshot that its decision's item holds: an item must stay far below DynamoDB's 400 KB, and most
/// decisions then cost no object.
const MAX_INLINE: usize = 16 * 1024;
/// Most bytes of a stored snapshot that are read back.
const MAX_SNAPSHOT_BYTES: u64 = 64 * 1024 * 1024;

/// Where a snapshot lies that is too large for an item.
#[must_use]
pub fn snapshot_uri(bucket: &str, digest: &Digest) -> ObjectUri {
    state_uri(bucket, &["decisions", &format!("{}.json", digest.hex())])
}

/// Keeps a snapshot: a large one is written before the transaction that names it, so that no decision is without.
///
/// # Errors
/// See [`AppError`].
pub async fn keep(context: &Context, snapshot: Snapshot) -> Result<StoredSnapshot, AppError> {
    let text = to_body(&snapshot);
    let digest = Digest::of(text.as_bytes());
    if text.len() <= MAX_INLINE {
        return Ok(StoredSnapshot { digest, inline: Some(Arc::new(snapshot)) });
    }
    let uri = snapshot_uri(&context.settings.bucket, &digest);
    ensure_object(&*context.ports.objects, &uri, text.as_bytes()).await?;
    Ok(StoredSnapshot { digest, inline: None })
}

/// The snapshot of a decision.
///
/// # Errors
/// [`AppError::CorruptObject`] when it is not what its digest says; see [`AppError`].
pub async fn read(context: &Context, stored: &StoredSnapshot) -> Result<Arc<Snapshot>, AppError> {
    let uri = snapshot_uri(&context.settings.bucket, &stored.digest);
    let corrupt = |source: crate::ports::BoxError| AppError::CorruptObject { uri: uri.to_string(), source };
    let snapshot = match &stored.inline {
        Some(snapshot) => Arc::clone(snapshot),
        None => {
            let object = context.ports.objects.get(&uri, MAX_SNAPSHOT_BYTES).await?;
            Arc::new(serde_json::from_slice::<Snapshot>(&object.bytes).map_err(|error| corrupt(error.into()))?)
        }
    };
    if snapshot.digest() == stored.digest {
        Ok(snapshot)
    } else {
        Err(corrupt("the inputs do not match their digest: they were changed".into()))
    }
}
