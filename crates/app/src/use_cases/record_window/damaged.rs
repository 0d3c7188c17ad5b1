//! People are told of damaged files.

use refit_core::Digest;
use refit_core::policy::ModelPolicy;

use super::put;
use crate::documents::{to_body, told_key};
use crate::error::AppError;
use crate::ports::{Alert, AlertKind, Failure, PublishError};
use crate::state::transaction_token;
use crate::use_cases::Context;

/// Tells people about a damaged file that is no capture or label file, once for each content.
pub(crate) async fn tell_damaged(
    context: &Context,
    model: &ModelPolicy,
    uri: &str,
    etag: &str,
    reason: &str,
) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let key = told_key(&model.id, uri, etag);
    if table.get(&key).await?.is_some() {
        return Ok(());
    }
    alert_damaged(context, model, uri, etag, reason).await?;
    let writes = [put(key, None, to_body(&serde_json::json!({ "schema": 1, "uri": uri, "etag": etag })))];
    match table.transact(&transaction_token(&writes), &writes).await {
        Err(error) if error.failure() != Failure::Conflict => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells people that a file is left out, and why.
pub(super) async fn alert_damaged(
    context: &Context,
    model: &ModelPolicy,
    uri: &str,
    etag: &str,
    reason: &str,
) -> Result<(), AppError> {
    tracing::warn!(model.id = %model.id, object.uri = uri, "left out a data file: {reason}");
    let alert = Alert {
        dedupe_id: format!("file-{}", Digest::of_list(&[uri, etag]).short()),
        time: context.now(),
        kind: AlertKind::Failure,
        model: model.id.to_string(),
        subject: format!("Refit: a data file of {} is damaged", model.id),
        body: format!("{uri} is left out: {reason}\nRepair it and upload it again; nothing else is needed."),
    };
    match context.ports.publisher.alert(&alert).await {
        // What cannot be told for good must not stop the check of all other files.
        Ok(()) | Err(PublishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
