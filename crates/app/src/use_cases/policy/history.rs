//! The history of configurations, and the way back to an older one.

use std::sync::Arc;

use refit_core::Digest;
use refit_core::config::{ConfigEntry, check_history};
use refit_core::policy::Policy;
use serde::Serialize;

use super::apply::source_uri;
use super::{Applied, Change, MAX_POLICY_BYTES, apply_change, pointer, read};
use crate::documents::{CONFIG_PREFIX, FLEET, config_key, parse};
use crate::error::{AppError, chain};
use crate::queries::list_items;
use crate::use_cases::Context;

/// The history of configurations, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigReport {
    /// The entries, oldest first.
    pub entries: Vec<ConfigEntry>,
    /// Whether it is whole: every entry follows the one before, and the last is the one that the pointer names.
    pub verified: bool,
    /// What is wrong.
    pub problem: Option<String>,
}

/// Every configuration that ever was current, oldest first.
///
/// # Errors
/// A service's failure; a broken history is a report, not an error.
pub async fn history(context: &Context) -> Result<ConfigReport, AppError> {
    let mut entries = Vec::new();
    let mut problem = None;
    for item in list_items(&*context.ports.table, FLEET, CONFIG_PREFIX).await? {
        match parse::<ConfigEntry>(&item) {
            Ok(entry) => entries.push(entry),
            Err(error) => problem = problem.or_else(|| Some(chain(&error))),
        }
    }
    let (number, hash) = match pointer(context).await? {
        Some(pointer) => (pointer.number, pointer.hash),
        None => (0, ConfigEntry::genesis()),
    };
    let problem = problem.or_else(|| check_history(&entries, number, &hash).err().map(|it| it.to_string()));
    Ok(ConfigReport { entries, verified: problem.is_none(), problem })
}

/// A configuration by its number, or the current one, with its policy.
///
/// # Errors
/// [`AppError::NotFound`] when there is none.
pub async fn find_config(context: &Context, number: Option<u64>) -> Result<(ConfigEntry, Arc<Policy>), AppError> {
    let number = match number {
        Some(number) => number,
        None => pointer(context).await?.map_or(0, |it| it.number),
    };
    let item = context.ports.table.get(&config_key(number)).await?.ok_or_else(|| {
        AppError::NotFound(match number {
            0 => "there is no configuration yet: `refit apply` stores one".to_owned(),
            number => format!("there is no configuration {number}: `refit config history` lists them"),
        })
    })?;
    let entry: ConfigEntry = parse(&item)?;
    let policy = read(context, &entry.policy).await?;
    Ok((entry, policy))
}

/// The text that a configuration was read from, as it was typed; `None` when it was not applied from a text.
///
/// # Errors
/// See [`AppError`].
pub async fn find_source(context: &Context, entry: &ConfigEntry) -> Result<Option<String>, AppError> {
    let Some(digest) = &entry.source else { return Ok(None) };
    let uri = source_uri(context, digest);
    let object = context.ports.objects.get(&uri, MAX_POLICY_BYTES).await?;
    let corrupt = |source: crate::ports::BoxError| AppError::CorruptObject { uri: uri.to_string(), source };
    if &Digest::of(&object.bytes) != digest {
        return Err(corrupt("its content does not match its digest".into()));
    }
    String::from_utf8(object.bytes.into()).map(Some).map_err(|error| corrupt(error.into()))
}

/// Makes the policy of an older configuration the current one, as a new entry; the one before the current by default.
///
/// Its text is read as strictly as a file's: one that this version does not take any more is refused.
///
/// # Errors
/// [`AppError::Invalid`] with the reason when it is refused.
pub async fn roll_back_config(
    context: &Context,
    number: Option<u64>,
    actor: &refit_core::Actor,
    comment: &str,
) -> Result<Applied, AppError> {
    let current = pointer(context).await?.map_or(0, |it| it.number);
    let number = number.unwrap_or(current.saturating_sub(1));
    if number == 0 {
        return Err(AppError::Invalid(format!("there is no configuration before {current} to go back to")));
    }
    let (entry, policy) = find_config(context, Some(number)).await.map_err(|error| match error {
        AppError::CorruptObject { .. } => {
            AppError::Invalid(format!("configuration {number} is not valid any more: {}", chain(&error)))
        }
        error => error,
    })?;
    let source = find_source(context, &entry).await?;
    if let Some(text) = &source {
        let invalid = |why: String| AppError::Invalid(format!("configuration {number} is not valid any more: {why}"));
        let read = refit_core::policy::read(text).map_err(|problems| invalid(problems.to_string()))?;
        if read.digest() != entry.policy {
            return Err(invalid("its text means something else to this version: apply it as a file".to_owned()));
        }
    }
    let change = Change {
        policy: &policy,
        source: source.as_deref(),
        actor,
        comment,
        restores: Some(entry.number),
        seen: Some(current),
        origin: context.now(),
    };
    apply_change(context, &change).await
}
