//! Gates that no candidate could pass: refused when the policy is applied, while somebody is there to hear it.

use refit_core::Guard;
use refit_core::evaluation::impossible_gates;
use refit_core::policy::Policy;

use crate::error::AppError;
use crate::ports::Table;
use crate::state::{Scope, load};

/// Refuses a policy with a gate that no candidate could pass beside the champion that there is.
///
/// # Errors
/// [`AppError::Invalid`] names each condition with the numbers; see [`AppError`].
pub(super) async fn refuse_impossible_gates(table: &dyn Table, policy: &Policy) -> Result<(), AppError> {
    let mut problems = Vec::new();
    for model in &policy.models {
        let Some(loaded) = load(table, &model.id, Scope::Rollback).await? else { continue };
        let Some(champion) = loaded.model.champion() else { continue };
        let found = impossible_gates(model, &champion.quality);
        problems.extend(found.iter().map(|it| format!("model {}: {it}", model.id)));
    }
    if Guard::ImpossibleRefused.holds(problems.is_empty()) {
        Ok(())
    } else {
        Err(AppError::Invalid(problems.join("; ")))
    }
}
