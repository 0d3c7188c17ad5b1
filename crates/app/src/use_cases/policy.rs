//! The fleet's policy: one content-addressed object and one pointer, adopted by models when they wake.

mod apply;
mod gates;
mod history;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use refit_core::audit::Fact;
use refit_core::model::{Head, Model};
use refit_core::plan::{Plan, Record, Step, plan_release};
use refit_core::policy::Policy;
use refit_core::{Actor, Digest, ModelId};
use serde::{Deserialize, Serialize};

use super::{Context, InForce, ModelInForce};
use crate::documents::{FLEET, WATCHED_PREFIX, parse, policy_key, state_uri};
use crate::error::AppError;
use crate::memo::{Memo, Written};
use crate::ports::ObjectError;
use crate::queries::list_items;

pub use apply::{Applied, Change, apply, apply_change, spread};
pub use history::{ConfigReport, find_config, find_source, history, roll_back_config};

/// Most bytes of a stored policy.
const MAX_POLICY_BYTES: u64 = 16 * 1024 * 1024;

/// The pointer to the current policy, and to the end of the configuration's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Document version.
    pub schema: u16,
    /// The policy.
    pub policy: Digest,
    /// The number of the configuration.
    pub number: u64,
    /// The hash of its entry in the history.
    pub hash: Digest,
    /// Who made it the current one.
    pub editor: Actor,
}

impl Pointer {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;
}

/// Policies that were read lately: they are content-addressed, so that what was read once never changes, and a fleet's is
/// large. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct KnownPolicies {
    lately: Arc<Mutex<VecDeque<Known>>>,
    memo: Memo,
}

type Known = (Digest, Arc<Policy>);

/// A fleet changes its policy rarely: the current one, and some that models follow which have not woken since.
const MAX_KNOWN: usize = 4;

impl KnownPolicies {
    /// What a new process knows: no policy, so that each is read anew. What pure functions give is shared with others.
    #[must_use]
    pub fn of_new_process(memo: &Memo) -> KnownPolicies {
        KnownPolicies { lately: Arc::default(), memo: memo.clone() }
    }

    /// What pure functions gave lately.
    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }

    fn find(&self, digest: &Digest) -> Option<Arc<Policy>> {
        self.lock().iter().find(|it| it.0 == *digest).map(|it| Arc::clone(&it.1))
    }

    fn add(&self, digest: &Digest, policy: &Arc<Policy>) {
        let mut known = self.lock();
        if known.iter().all(|it| it.0 != *digest) {
            known.push_front((digest.clone(), Arc::clone(policy)));
            known.truncate(MAX_KNOWN);
        }
    }

    /// A panic of another holder is no reason to stop: no change of it can end half-way.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The policy with this digest.
///
/// # Errors
/// See [`AppError`].
pub async fn read(context: &Context, digest: &Digest) -> Result<Arc<Policy>, AppError> {
    if let Some(policy) = context.policies.find(digest) {
        return Ok(policy);
    }
    let uri = state_uri(&context.settings.bucket, &["policies", &format!("{}.json", digest.hex())]);
    let object = context.ports.objects.get(&uri, MAX_POLICY_BYTES).await?;
    let corrupt = |source: crate::ports::BoxError| AppError::CorruptObject { uri: uri.to_string(), source };
    let known = context.policies.memo().policies();
    // The same bytes have the same digest, and are the document that has it.
    if let Some(written) = known.find(digest).filter(|it| is_same(&it.bytes, &object.bytes)) {
        context.policies.add(digest, &written.policy);
        return Ok(Arc::clone(&written.policy));
    }
    let policy: Policy = serde_json::from_slice(&object.bytes).map_err(|error| corrupt(error.into()))?;
    if &policy.digest() != digest {
        return Err(corrupt("its content does not match its digest".into()));
    }
    let policy = Arc::new(policy);
    context.policies.add(digest, &policy);
    if Digest::of(&object.bytes) == *digest {
        let written = Written { policy: Arc::clone(&policy), bytes: object.bytes };
        known.add(digest.clone(), &Arc::new(written));
    }
    Ok(policy)
}

/// Whether two texts are the same; at once where they are one.
fn is_same(a: &Bytes, b: &Bytes) -> bool {
    std::ptr::eq(&raw const **a, &raw const **b) || a == b
}

/// The pointer to the current policy; `None` before the first was applied.
///
/// # Errors
/// See [`AppError`].
pub async fn pointer(context: &Context) -> Result<Option<Pointer>, AppError> {
    context.ports.table.get(&policy_key()).await?.as_ref().map(parse).transpose()
}

/// The digest of the fleet's current policy.
///
/// # Errors
/// See [`AppError`].
pub async fn current(context: &Context) -> Result<Option<Digest>, AppError> {
    Ok(pointer(context).await?.map(|it| it.policy))
}

/// The models of the current policy; `None` when none is current.
///
/// # Errors
/// See [`AppError`].
pub async fn models(context: &Context) -> Result<Option<Vec<ModelId>>, AppError> {
    let Some(digest) = current(context).await? else { return Ok(None) };
    Ok(Some(read(context, &digest).await?.models.iter().map(|it| it.id.clone()).collect()))
}

/// Every model that is or was under watch, by name.
///
/// # Errors
/// See [`AppError`].
pub async fn known_models(context: &Context) -> Result<Vec<ModelId>, AppError> {
    let markers = list_items(&*context.ports.table, FLEET, WATCHED_PREFIX).await?;
    Ok(markers.iter().filter_map(|it| it.key.sort.strip_prefix(WATCHED_PREFIX)?.parse().ok()).collect())
}

/// The policy that a model follows.
///
/// # Errors
/// See [`AppError`].
pub async fn in_force(context: &Context, head: &Head) -> Result<InForce, AppError> {
    of_model(context, &head.policy, &head.model).await
}

/// A policy as it applies to a model.
pub(super) async fn of_model(context: &Context, digest: &Digest, id: &ModelId) -> Result<InForce, AppError> {
    let policy = read(context, digest).await?;
    let index = policy.models.iter().position(|it| &it.id == id);
    let index = index.ok_or_else(|| AppError::UnknownModel(id.to_string()))?;
    let model = ModelInForce { policy: Arc::clone(&policy), index };
    Ok(InForce { digest: digest.clone(), policy, model })
}

/// What a model does first when it follows another policy than the current one: it adopts it, or is released if it left it.
///
/// # Errors
/// See [`AppError`].
pub async fn plan_adoption(
    context: &Context,
    model: &Model,
    performed: &[Step],
    now: Timestamp,
) -> Result<Option<Plan>, AppError> {
    let head = &model.head;
    let is_news = |it: &Pointer| it.policy != head.policy || head.released_at.is_some();
    let Some(current) = pointer(context).await?.filter(is_news) else { return Ok(None) };
    let policy = match read(context, &current.policy).await {
        Ok(policy) => policy,
        // The pointer is written after the object; an object that is not there yet is adopted at the next look.
        Err(AppError::Object(ObjectError::NotFound(_))) => return Ok(None),
        Err(error) => return Err(error),
    };
    // A model that left the policy keeps the one it has: its champion goes on serving and can be rolled back.
    let Some(wanted) = policy.find_model(&head.model) else {
        return Ok(plan_release(model, &current.policy, performed, now));
    };
    let fact =
        Fact::PolicyAdopted { policy: current.policy, endpoint: wanted.endpoint.clone(), editor: current.editor };
    Ok(Some(Plan::Record(Box::new(Record { fact, actor: Actor::refit(), decision: None }))))
}
