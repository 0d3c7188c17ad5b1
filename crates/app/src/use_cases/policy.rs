//! The fleet's policy: one content-addressed object and one pointer, adopted by models when they wake.

use jiff::Timestamp;
use refit_core::audit::{AuditEvent, Fact};
use refit_core::model::Head;
use refit_core::plan::{Record, next_check};
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::{Actor, Digest, ModelId};
use serde::{Deserialize, Serialize};

use super::{Context, InForce};
use crate::documents::{parse, policy_key, state_uri, to_body};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{Expect, ObjectError, Write};
use crate::state::{Scope, begin, load, transaction_token};

/// Most bytes of a stored policy.
const MAX_POLICY_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    schema: u16,
    policy: Digest,
}

/// Stores a policy, makes it the current one, and begins the watch of models that are new in it.
///
/// Applying the same policy again changes nothing.
///
/// # Errors
/// See [`AppError`].
pub async fn apply(context: &Context, policy: &Policy, actor: &Actor, origin: Timestamp) -> Result<(), AppError> {
    let digest = policy.digest();
    let uri = state_uri(&context.settings.bucket, &["policies", &format!("{}.json", digest.hex())]);
    ensure_object(&*context.ports.objects, &uri, to_body(policy).as_bytes()).await?;
    let table = &*context.ports.table;
    let stored = table.get(&policy_key()).await?;
    let current = stored.as_ref().map(parse::<Pointer>).transpose()?;
    if current.is_none_or(|it| it.policy != digest) {
        let expect = stored.map_or(Expect::Absent, |it| Expect::Generation(it.generation));
        let body = to_body(&Pointer { schema: 1, policy: digest.clone() });
        let writes = [Write::Put { key: policy_key(), expect, body, due: None }];
        table.transact(&transaction_token(&writes), &writes).await?;
    }
    for model in &policy.models {
        watch(context, model, &digest, actor, origin).await?;
    }
    Ok(())
}

async fn watch(
    context: &Context,
    policy: &ModelPolicy,
    digest: &Digest,
    actor: &Actor,
    origin: Timestamp,
) -> Result<(), AppError> {
    let table = &*context.ports.table;
    if load(table, &policy.id, Scope::Rollback).await?.is_some() {
        return Ok(());
    }
    let event = AuditEvent {
        schema: AuditEvent::SCHEMA,
        model: policy.id.clone(),
        seq: 1,
        at: context.now(),
        actor: actor.clone(),
        cause: "apply".to_owned(),
        snapshot: None,
        fact: Fact::ModelWatched { policy: digest.clone(), origin, endpoint: policy.endpoint.clone() },
        previous: AuditEvent::genesis(),
    };
    let head = refit_core::model::Model::begin(&event)?.head;
    begin(table, event, next_check(&head, policy, head.checked_at)).await.map(|_| ())
}

/// The policy with this digest.
///
/// # Errors
/// See [`AppError`].
pub async fn read(context: &Context, digest: &Digest) -> Result<Policy, AppError> {
    let uri = state_uri(&context.settings.bucket, &["policies", &format!("{}.json", digest.hex())]);
    let object = context.ports.objects.get(&uri, MAX_POLICY_BYTES).await?;
    let corrupt = |source: crate::ports::BoxError| AppError::CorruptObject { uri: uri.to_string(), source };
    let policy: Policy = serde_json::from_slice(&object.bytes).map_err(|error| corrupt(error.into()))?;
    if &policy.digest() != digest {
        return Err(corrupt("its content does not match its digest".into()));
    }
    Ok(policy)
}

/// The digest of the fleet's current policy.
///
/// # Errors
/// See [`AppError`].
pub async fn current(context: &Context) -> Result<Option<Digest>, AppError> {
    let item = context.ports.table.get(&policy_key()).await?;
    Ok(item.as_ref().map(parse::<Pointer>).transpose()?.map(|it| it.policy))
}

/// The models of the current policy.
///
/// # Errors
/// See [`AppError`].
pub async fn models(context: &Context) -> Result<Vec<ModelId>, AppError> {
    let Some(digest) = current(context).await? else { return Ok(Vec::new()) };
    Ok(read(context, &digest).await?.models.into_iter().map(|it| it.id).collect())
}

/// The policy that a model follows.
///
/// # Errors
/// See [`AppError`].
pub async fn in_force(context: &Context, head: &Head) -> Result<InForce, AppError> {
    let policy = read(context, &head.policy).await?;
    let model =
        policy.find_model(&head.model).cloned().ok_or_else(|| AppError::UnknownModel(head.model.to_string()))?;
    Ok(InForce { digest: head.policy.clone(), policy, model })
}

/// The record by which a model adopts the current policy, when it follows another one.
///
/// # Errors
/// See [`AppError`].
pub async fn plan_adoption(context: &Context, head: &Head) -> Result<Option<Record>, AppError> {
    let Some(current) = current(context).await?.filter(|it| it != &head.policy) else { return Ok(None) };
    let policy = match read(context, &current).await {
        Ok(policy) => policy,
        // The pointer is written after the object; an object that is not there yet is adopted at the next look.
        Err(AppError::Object(ObjectError::NotFound(_))) => return Ok(None),
        Err(error) => return Err(error),
    };
    // A model that left the policy keeps the one it has: its champion goes on serving and can be rolled back.
    let Some(model) = policy.find_model(&head.model) else { return Ok(None) };
    let fact = Fact::PolicyAdopted { policy: current, endpoint: model.endpoint.clone() };
    Ok(Some(Record { fact, actor: Actor::refit(), decision: None }))
}
