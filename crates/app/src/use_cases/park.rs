//! What becomes of a model whose stored state is wrong: people are told, and it is left alone for a while.

use refit_core::audit::AuditEvent;
use refit_core::model::Model;
use refit_core::policy::Span;
use refit_core::{Digest, Guard, ModelId};

use super::Context;
use crate::documents::audit_partition;
use crate::error::{AppError, ErrorClass, chain};
use crate::ports::{Alert, AlertKind, Key, PublishError};
use crate::queries::get_head;
use crate::state::postpone;

/// How long a model that cannot be looked at is left alone: people are told each time.
const RETRY: Span = Span::from_const_seconds(6 * 3_600);

/// Whether a model's state fits together as it was read; `false` when it changed meanwhile and has to be read again.
///
/// Documents are read one after another, HEAD first. So what does not fit together is damage only when HEAD is still what it
/// was; else somebody recorded something in between.
///
/// # Errors
/// [`AppError::Damaged`].
pub(super) async fn is_whole(context: &Context, model: &Model) -> Result<bool, AppError> {
    let Some(why) = model.find_damage().filter(|_| Guard::DamageFound.is_kept()) else { return Ok(true) };
    let id = &model.head.model;
    let now = get_head(&*context.ports.table, id).await?;
    if now.audit_seq == model.head.audit_seq { refuse_damaged(id, Some(why)).map(|()| false) } else { Ok(false) }
}

/// What is wrong when the last entry of the log is not there: it would be waited for without an end.
pub(super) async fn find_lost_entry(context: &Context, model: &Model) -> Result<Option<String>, AppError> {
    let seq = model.head.audit_seq;
    let key = Key::new(&audit_partition(&model.head.model), &AuditEvent::sort(seq));
    let entry = context.ports.table.get(&key).await?;
    Ok(entry.is_none().then(|| format!("HEAD names event {seq} as the last of the log, which is not there")))
}

/// An error when a model's state is damaged.
pub(super) fn refuse_damaged(id: &ModelId, damage: Option<String>) -> Result<(), AppError> {
    damage.map_or(Ok(()), |why| Err(AppError::Damaged { model: id.to_string(), why }))
}

/// The same result; parks the model when it says that its state is wrong.
pub(super) async fn or_park<T>(context: &Context, id: &ModelId, result: Result<T, AppError>) -> Result<T, AppError> {
    if let Err(error) = &result
        && error.class() == ErrorClass::Bug
        && let Err(other) = park(context, id, error).await
    {
        tracing::warn!(model.id = %id, "people could not be told: {}", chain(&other));
    }
    result
}

/// What is stored of a model is damaged: people are told, and it is tried again later.
pub(super) async fn park(context: &Context, id: &ModelId, error: &AppError) -> Result<(), AppError> {
    let why = chain(error);
    let alert = Alert {
        dedupe_id: format!("look-{}", Digest::of_list(&[id.as_ref(), &why]).short()),
        time: context.now(),
        kind: AlertKind::Failure,
        model: id.to_string(),
        subject: format!("Refit: {id} cannot be looked at"),
        body: format!("{why}\nUntil that is repaired nothing happens to it. The next try is in {RETRY}."),
    };
    if Guard::DamageTold.is_kept() {
        match context.ports.publisher.alert(&alert).await {
            Ok(()) | Err(PublishError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    postpone(&*context.ports.table, id, RETRY.after(context.now())).await
}
