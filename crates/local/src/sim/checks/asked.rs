//! What people asked for, as the simulator sent it: what a fact says alone does not tell whether it was asked for.
//!
//! Each request has words of its own, which end in its name in brackets; they come back in the reason or the comment of the
//! fact that it led to.

use refit_core::Digest;
use refit_core::audit::Fact;
use refit_core::run::StopReason;
use refit_core::trigger::CauseKind;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Whether the cooldown is to be skipped.
    pub is_forced: bool,
    /// The champion that is to be taken back.
    pub from: Option<u64>,
    /// What the person saw when they voted.
    pub basis: Option<Digest>,
}

/// The words of a request.
#[must_use]
pub fn words(text: &str, id: &str) -> String {
    format!("{text} [{id}]")
}

/// The request that a fact answers, by its words; `None` where nobody asked or nobody said anything.
pub(super) fn request_of(fact: &Fact) -> Option<&str> {
    let text = match fact {
        Fact::RunRequested { causes, .. } | Fact::RunCausesAdded { causes, .. } => {
            // A run that is tried again has the causes of the one before.
            let is_again = causes.iter().any(|it| it.reason.contains(": again after "));
            &causes.iter().rfind(|it| it.kind == CauseKind::Manual && !is_again)?.reason
        }
        Fact::RunStopping { because: StopReason::Canceled { reason, .. }, .. }
        | Fact::RollbackStarted { reason, .. }
        | Fact::ModelSuspended { reason }
        | Fact::ModelResumed { reason }
        | Fact::PromotionRequested { reason, .. }
        | Fact::ModelAdopted { reason, .. } => reason,
        Fact::ApprovalVoted { vote, .. } => &vote.comment,
        _ => return None,
    };
    text.rsplit_once('[')?.1.strip_suffix(']')
}
