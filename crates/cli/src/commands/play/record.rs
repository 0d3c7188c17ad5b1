//! What was decided in the cloud, in the form in which `refit replay` tells it.

use refit_app::ports::Table;
use refit_app::queries::verify_audit;
use refit_core::run::RunStatus;
use refit_local::replay::{History, ReplayPlan, Times};
use serde_json::{Value, json};

/// The document of a replay without the quality of what was served, which nobody measures in the cloud.
pub(super) async fn document(table: &dyn Table, plan: &ReplayPlan, times: Times) -> anyhow::Result<Value> {
    let model = plan.model()?;
    let history = History::read(table, &model.id).await?;
    let audit = verify_audit(table, &model.id).await?;
    let (decisions, quiet_checks) = history.decision_summaries();
    Ok(json!({
        "schema": 1,
        "world": "cloud",
        "data": {
            "source": plan.rows.source, "digest": plan.rows.digest, "rows": plan.rows.count(), "start": times.start,
            "end": plan.rows.time(plan.rows.count() - 1), "warmup_end": times.warmup_end,
        },
        "runs": history.run_summaries(),
        "promotions": history.promotions(),
        "rejections": history.endings(&[RunStatus::Rejected]),
        "failures": history.endings(&[RunStatus::Failed, RunStatus::Canceled, RunStatus::TimedOut]),
        "rollbacks": history.rollbacks(),
        "approvals": history.approval_summaries(),
        "decisions": decisions,
        "quiet_checks": quiet_checks,
        "audit": { "entries": audit.entries, "verified": audit.verified, "head": audit.head },
    }))
}
