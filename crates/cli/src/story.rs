//! What happened, in sentences.

use refit_core::audit::{AfterEvaluation, AuditEntry, Fact};
use refit_core::policy::Direction;
use refit_core::run::RunStatus;
use refit_core::trigger::Cause;
use refit_local::replay::Document;
use refit_local::world::Moment;

/// A line about a moment that people care about.
pub(crate) fn tell(moment: &Moment<'_>) -> Option<String> {
    match moment {
        Moment::Fact(entry) => tell_fact(entry),
        Moment::Step { run, step, status } if *status == "Succeeded" => {
            Some(format!("                    {run} {step} done"))
        }
        Moment::Trouble { function, why } => Some(format!("                    {function}: {why}")),
        Moment::Step { .. } | Moment::Time(_) => None,
    }
}

/// A line about a fact, with its time; `None` for checks at which nothing was held back.
pub(crate) fn tell_fact(entry: &AuditEntry) -> Option<String> {
    let event = &entry.event;
    let text = match &event.fact {
        Fact::RunRequested { run, causes, .. } => format!("{run} requested: {}", list(causes)),
        Fact::RunTraining { run, .. } => format!("{run} trains"),
        Fact::CandidateEvaluated { run, package, evaluation, next } => {
            let version = package.version;
            match next {
                AfterEvaluation::AskApproval { .. } => {
                    format!(
                        "{run} made version {version}, which waits for approval: {}",
                        evaluation.auto_promotion.reason
                    )
                }
                AfterEvaluation::Announce { .. } => {
                    format!(
                        "{run} made version {version}, promoted without a person: {}",
                        evaluation.auto_promotion.reason
                    )
                }
                AfterEvaluation::Reject { outcome } => {
                    format!("{run} made version {version}, REJECTED: {}", outcome.reason)
                }
            }
        }
        Fact::ApprovalVoted { run, vote } => {
            format!("{} votes on {run}: {:?}, \"{}\"", vote.by, vote.choice, vote.comment)
        }
        Fact::ModelPromoted { version, replaced, .. } => match replaced {
            Some(replaced) => format!("version {version} is champion, after version {replaced}"),
            None => format!("version {version} is the first champion"),
        },
        Fact::RunEnded { run, status, outcome } => {
            let word = if *status == RunStatus::Failed { "FAILED" } else { status.name() };
            format!("{run} {word}: {}", outcome.reason)
        }
        Fact::RollbackStarted { from, to, reason } => {
            format!("{} takes version {from} back to {to}: {reason}", event.actor)
        }
        Fact::ModelRolledBack { from, to, .. } => {
            format!("version {to} is champion again, {from} is rolled back; promotion needs a person now")
        }
        Fact::ModelWatched { .. } => format!("{} is under watch", event.model),
        Fact::PolicyAdopted { policy, .. } => format!("{} follows policy {}", event.model, policy.short()),
        Fact::RunStopping { run, .. } => format!("{run} is being stopped"),
        Fact::TriggersChecked { .. }
        | Fact::RunQueued { .. }
        | Fact::RunStarting { .. }
        | Fact::RunTrained { .. }
        | Fact::PromotionAnnounced { .. }
        | Fact::RolloutStarted { .. } => return None,
    };
    Some(format!("{}  {text}", event.at.strftime("%Y-%m-%d %H:%M")))
}

fn list(causes: &[Cause]) -> String {
    let all: Vec<String> = causes.iter().map(|it| format!("{} ({})", it.kind, it.reason)).collect();
    all.join("; ")
}

/// The end of a replay, in a few lines.
pub(crate) fn summarize(document: &Document) -> String {
    let quality = &document.quality;
    let name = quality.metric.name();
    let show = |value: Option<f64>| value.map_or_else(|| "undefined".to_owned(), |it| format!("{it:.3}"));
    let gain = quality.mean.frozen.zip(quality.mean.refit).map(|(frozen, refit)| {
        let better = match quality.metric.direction() {
            Direction::HigherIsBetter => refit - frozen,
            Direction::LowerIsBetter => frozen - refit,
        };
        let share = 100.0 * better / frozen.abs().max(f64::MIN_POSITIVE);
        if 0.0 <= share { format!("{share:.0} % better") } else { format!("{:.0} % worse", -share) }
    });
    let rows: u64 = quality.windows.iter().map(|it| it.rows).sum();
    let data = &document.data;
    let lines = [
        format!(
            "{name} over {rows} rows, {} to {}:",
            data.warmup_end.strftime("%Y-%m-%d"),
            data.end.strftime("%Y-%m-%d")
        ),
        format!("  never retrained  {}", show(quality.mean.frozen)),
        format!("  kept fresh       {}  {}", show(quality.mean.refit), gain.unwrap_or_default()),
        format!(
            "{} runs: {} promoted, {} rejected, {} failed; {} rolled back; {} checks found nothing to do",
            document.runs.len(),
            document.promotions.len(),
            document.rejections.len(),
            document.failures.len(),
            document.rollbacks.len(),
            document.quiet_checks
        ),
        format!(
            "audit log: {} entries, {}, head {}",
            document.audit.entries,
            if document.audit.verified { "verified" } else { "NOT VERIFIED" },
            document.audit.head.short()
        ),
        format!("report: {}", document.report),
    ];
    lines.join("\n") + "\n"
}
