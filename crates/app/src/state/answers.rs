//! What requests were answered: each counts once, and its late duplicates get the same answer.

use refit_core::ModelId;
use serde::{Deserialize, Serialize};

use super::{Loaded, transaction_token};
use crate::documents::{head_key, parse, request_key, to_body};
use crate::error::AppError;
use crate::ports::{Expect, Table, Write};

/// What a request was answered: the marker by which it counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Document version.
    pub schema: u16,
    /// The audit event that it led to, if it did.
    pub seq: Option<u64>,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

impl Answer {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;
}

/// What a request was answered before, if it was.
///
/// # Errors
/// See [`AppError`].
pub async fn find_answer(table: &dyn Table, model: &ModelId, request_id: &str) -> Result<Option<Answer>, AppError> {
    table.get(&request_key(model, request_id)).await?.as_ref().map(parse).transpose()
}

/// Marks a request as refused, on the state that it was refused in: a late duplicate gets the same answer, whatever the
/// state is by then.
///
/// # Errors
/// [`AppError::is_conflict`] when the state changed meanwhile or the request was answered; nothing was written then.
pub async fn record_refusal(
    table: &dyn Table,
    loaded: &Loaded,
    request_id: &str,
    refused: &str,
) -> Result<(), AppError> {
    let id = &loaded.model.head.model;
    let answer = Answer { schema: Answer::SCHEMA, seq: None, refused: Some(refused.to_owned()) };
    let (head, marker) = (head_key(id), request_key(id, request_id));
    let writes = [
        Write::Check { expect: loaded.generations.expect(&head), key: head },
        Write::Put { key: marker, expect: Expect::Absent, body: to_body(&answer), due: None },
    ];
    Ok(table.transact(&transaction_token(&writes), &writes).await?)
}
