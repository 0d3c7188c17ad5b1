//! Making a policy the current one: an object, one transaction for the pointer and the history, and the models told.
//!
//! The transaction also marks the policy as not spread yet, in the due index: whoever dies before every model was told is
//! followed by the sweep ([`spread`]).

use std::sync::Arc;

use jiff::Timestamp;
use refit_core::Guard;
use refit_core::audit::{AuditEvent, Fact};
use refit_core::config::ConfigEntry;
use refit_core::model::{Head, Model};
use refit_core::plan::next_check;
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::{Actor, Digest, ModelId, ObjectUri};
use serde::{Deserialize, Serialize};

use super::gates::refuse_impossible_gates;
use super::{Pointer, known_models, pointer, read};
use crate::documents::{config_key, head_key, parse, policy_key, spread_key, state_uri, to_body};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{Due, Expect, Item, Table, Write};
use crate::state::{begin, make_due, transaction_token};
use crate::use_cases::Context;

/// How often a policy is stored, or a model told, anew after somebody else wrote first.
const MAX_CONFLICTS: u32 = 5;

/// How far the current policy was spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spread {
    schema: u16,
    /// The configuration that is spread, or is to be spread while this is due.
    number: u64,
    /// Windows of new models that end at or before this time are never judged.
    origin: Timestamp,
}

/// A policy that is to be the current one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// The policy, valid.
    pub policy: &'a Policy,
    /// The text that it was read from.
    pub source: Option<&'a str>,
    /// Who.
    pub actor: &'a Actor,
    /// Why, in their words; may be empty.
    pub comment: &'a str,
    /// The configuration that it brings back, for a rollback.
    pub restores: Option<u64>,
    /// The number of the current configuration as it was seen; the change is refused when another is current by then.
    pub seen: Option<u64>,
    /// Windows of new models that end at or before this time are never judged.
    pub origin: Timestamp,
}

/// What applying a policy came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The number of the configuration that is current now.
    pub number: u64,
    /// Its policy.
    pub policy: Digest,
    /// Whether it was the current one already; nothing was stored then.
    pub was_current: bool,
}

/// Makes a policy the current one, without a comment: see [`apply_change`].
///
/// # Errors
/// See [`AppError`].
pub async fn apply(context: &Context, policy: &Policy, actor: &Actor, origin: Timestamp) -> Result<(), AppError> {
    let change = Change { policy, source: None, actor, comment: "", restores: None, seen: None, origin };
    apply_change(context, &change).await.map(|_| ())
}

/// Stores a policy, makes it the current one with an entry in the history, begins the watch of models that are new in it,
/// and makes those that it changes anything for due at once.
///
/// Applying the current policy again stores nothing, and spreads it if that was not finished.
///
/// # Errors
/// [`AppError::Invalid`] when another configuration is current than the one seen, or when a gate is beyond the reach of any
/// candidate; see [`AppError`].
pub async fn apply_change(context: &Context, change: &Change<'_>) -> Result<Applied, AppError> {
    let digest = change.policy.digest();
    let uri = state_uri(&context.settings.bucket, &["policies", &format!("{}.json", digest.hex())]);
    if Guard::PolicyStoredFirst.is_kept() {
        ensure_object(&*context.ports.objects, &uri, to_body(change.policy).as_bytes()).await?;
    }
    if let Some(text) = change.source {
        let uri = source_uri(context, &Digest::of(text.as_bytes()));
        ensure_object(&*context.ports.objects, &uri, text.as_bytes()).await?;
    }
    for _ in 0..MAX_CONFLICTS {
        match store(context, change, &digest).await {
            Ok(applied) => {
                spread(context).await?;
                return Ok(applied);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Err(AppError::Contended("fleet".to_owned()))
}

/// Moves the pointer, unless it stands there already.
async fn store(context: &Context, change: &Change<'_>, digest: &Digest) -> Result<Applied, AppError> {
    let table = &*context.ports.table;
    let stored = table.get(&policy_key()).await?;
    let current = stored.as_ref().map(parse::<Pointer>).transpose()?;
    let number = current.as_ref().map_or(0, |it| it.number);
    if let Some(pointer) = current.as_ref().filter(|it| &it.policy == digest) {
        return Ok(Applied { number: pointer.number, policy: digest.clone(), was_current: true });
    }
    if let Some(seen) = change.seen.filter(|it| *it != number) {
        return Err(AppError::Invalid(format!(
            "configuration {number} is current, you saw {seen}: look again with `refit diff`"
        )));
    }
    // What was in force once may be brought back in a hurry; a gate beyond reach ends in Errored then.
    if change.restores.is_none() {
        refuse_impossible_gates(table, change.policy).await?;
    }
    let entry = ConfigEntry {
        schema: ConfigEntry::SCHEMA,
        number: number + 1,
        at: context.now(),
        actor: change.actor.clone(),
        comment: change.comment.to_owned(),
        policy: digest.clone(),
        source: change.source.map(|it| Digest::of(it.as_bytes())),
        replaced: current.as_ref().map(|it| it.policy.clone()),
        restores: change.restores,
        previous: current.map_or_else(ConfigEntry::genesis, |it| it.hash),
    };
    let pointer = Pointer {
        schema: Pointer::SCHEMA,
        policy: digest.clone(),
        number: entry.number,
        hash: entry.hash(),
        editor: change.actor.clone(),
    };
    let spread_item = table.get(&spread_key()).await?;
    let spread = Spread { schema: 1, number: entry.number, origin: change.origin };
    let writes = [
        Write::Put { key: policy_key(), expect: expect(stored.as_ref()), body: to_body(&pointer), due: None },
        Write::Put { key: config_key(entry.number), expect: Expect::Absent, body: to_body(&entry), due: None },
        spread_write(spread_item.as_ref(), &spread, Some(context.now())),
    ];
    table.transact(&transaction_token(&writes), &writes).await?;
    Ok(Applied { number: entry.number, policy: digest.clone(), was_current: false })
}

/// Where the text of a policy is kept.
pub(super) fn source_uri(context: &Context, digest: &Digest) -> ObjectUri {
    state_uri(&context.settings.bucket, &["policies", "sources", &format!("{}.yaml", digest.hex())])
}

fn expect(item: Option<&Item>) -> Expect {
    item.map_or(Expect::Absent, |it| Expect::Generation(it.generation))
}

fn spread_write(item: Option<&Item>, spread: &Spread, due: Option<Timestamp>) -> Write {
    let due = due.map(|at| Due { shard: 0, at });
    Write::Put { key: spread_key(), expect: expect(item), body: to_body(spread), due }
}

/// Tells every model that the current policy changes anything for, if that is not done yet: begins the watch of new ones
/// and makes the others due, so that they adopt it, or are released, at the next sweep. Idempotent.
///
/// # Errors
/// See [`AppError`]; it stays due then, and the sweep comes again.
pub async fn spread(context: &Context) -> Result<(), AppError> {
    let table = &*context.ports.table;
    let Some(item) = table.get(&spread_key()).await?.filter(|it| it.due.is_some()) else { return Ok(()) };
    let spread: Spread = parse(&item)?;
    let Some(pointer) = pointer(context).await? else { return Ok(()) };
    let policy = read(context, &pointer.policy).await?;
    for model in &policy.models {
        watch(context, model, &pointer, spread.origin).await?;
    }
    let mut last: Option<(Digest, Option<Arc<Policy>>)> = None;
    for model in known_models(context).await? {
        let Some(head) = table.get(&head_key(&model)).await? else { continue };
        let head: Head = parse(&head)?;
        if head.policy == pointer.policy && head.released_at.is_none() {
            continue;
        }
        if last.as_ref().is_none_or(|it| it.0 != head.policy) {
            // A policy that cannot be read any more may have said anything: the model is told.
            last = Some((head.policy.clone(), read(context, &head.policy).await.ok()));
        }
        let followed = last.as_ref().and_then(|it| it.1.as_deref());
        if is_affected(&head, followed, &policy) {
            tell(table, &model, context.now()).await?;
        }
    }
    let writes = [spread_write(Some(&item), &spread, None)];
    match table.transact(&transaction_token(&writes), &writes).await {
        Ok(()) => Ok(()),
        // A newer policy came: it is spread by whoever applied it, or by the sweep.
        Err(error) if error.failure() == crate::ports::Failure::Conflict => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the policy changes anything for a model.
fn is_affected(head: &Head, followed: Option<&Policy>, current: &Policy) -> bool {
    let (Some(followed), Some(wanted)) = (followed, current.find_model(&head.model)) else {
        return current.find_model(&head.model).is_some() || head.released_at.is_none();
    };
    head.released_at.is_some() || followed.fleet != current.fleet || followed.find_model(&head.model) != Some(wanted)
}

async fn tell(table: &dyn Table, model: &ModelId, now: Timestamp) -> Result<(), AppError> {
    for _ in 0..MAX_CONFLICTS {
        match make_due(table, model, now).await {
            Err(error) if error.is_conflict() => {}
            result => return result,
        }
    }
    Err(AppError::Contended(model.to_string()))
}

async fn watch(context: &Context, policy: &ModelPolicy, pointer: &Pointer, origin: Timestamp) -> Result<(), AppError> {
    let table = &*context.ports.table;
    if table.get(&head_key(&policy.id)).await?.is_some() {
        return Ok(());
    }
    let event = AuditEvent {
        schema: AuditEvent::SCHEMA,
        model: policy.id.clone(),
        seq: 1,
        at: context.now(),
        actor: pointer.editor.clone(),
        cause: "apply".to_owned(),
        snapshot: None,
        fact: Fact::ModelWatched {
            policy: pointer.policy.clone(),
            origin,
            endpoint: policy.endpoint.clone(),
            editor: pointer.editor.clone(),
        },
        previous: AuditEvent::genesis(),
    };
    let head = Model::begin(&event)?.head;
    match begin(table, event, next_check(&head, policy, head.checked_at)).await {
        // Somebody else who spreads it was faster.
        Err(error) if error.is_conflict() => Ok(()),
        result => result.map(|_| ()),
    }
}
