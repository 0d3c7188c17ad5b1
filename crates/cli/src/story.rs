//! What happened, in sentences.

use refit_core::approval::Choice;
use refit_core::audit::{AfterEvaluation, AuditEntry, CausesEffect, Fact};
use refit_core::policy::Direction;
use refit_core::run::{RunStatus, StopReason};
use refit_core::trigger::{Cause, Judgment};
use refit_local::replay::Document;
use refit_local::world::Moment;

use crate::output::{count, escaped, word};

/// As wide as a time and the gap after it: what belongs to the line above.
const UNDER_TIME: &str = "                  ";

/// A line about a moment that people care about.
pub(crate) fn tell(moment: &Moment<'_>) -> Option<String> {
    match moment {
        Moment::Fact(entry) => tell_fact(entry),
        Moment::Step { run, step, status } if *status == "Succeeded" => {
            Some(format!("{UNDER_TIME}{run} {} done", escaped(step)))
        }
        Moment::Trouble { function, why } => Some(format!("{UNDER_TIME}{function}: {}", escaped(why))),
        Moment::Step { .. } | Moment::Time(_) => None,
    }
}

/// A line about a fact; `None` for the steps between the ones that people care about.
pub(crate) fn tell_fact(entry: &AuditEntry) -> Option<String> {
    match &entry.event.fact {
        Fact::TriggersChecked { .. }
        | Fact::RunQueued { .. }
        | Fact::RunStarting { .. }
        | Fact::RunTrained { .. }
        | Fact::PromotionAnnounced { .. }
        | Fact::RolloutStarted { .. }
        | Fact::OutputsRemoved { .. } => None,
        Fact::ModelWatched { .. }
        | Fact::PolicyAdopted { .. }
        | Fact::SignalReceived { .. }
        | Fact::ModelSuspended { .. }
        | Fact::ModelResumed { .. }
        | Fact::RunRequested { .. }
        | Fact::RunTraining { .. }
        | Fact::RunStopping { .. }
        | Fact::RunCausesAdded { .. }
        | Fact::RunRetrying { .. }
        | Fact::RunSuperseded { .. }
        | Fact::CandidateEvaluated { .. }
        | Fact::ApprovalVoted { .. }
        | Fact::ModelPromoted { .. }
        | Fact::RunEnded { .. }
        | Fact::RollbackStarted { .. }
        | Fact::ModelRolledBack { .. }
        | Fact::ModelReleased { .. }
        | Fact::ModelAdopted { .. }
        | Fact::PromotionRequested { .. }
        | Fact::OutputsExpired { .. } => Some(sentence(entry)),
    }
}

/// A fact as a line with its time.
pub(crate) fn sentence(entry: &AuditEntry) -> String {
    let event = &entry.event;
    let text = match &event.fact {
        Fact::ModelWatched { .. } => format!("{} is under watch", event.model),
        Fact::PolicyAdopted { policy, .. } => format!("{} follows policy {}", event.model, policy.short()),
        Fact::SignalReceived { signal } => format!("{} {}: {}", signal.kind, signal.source, signal.reason),
        Fact::ModelSuspended { reason } => format!("{} is suspended by {}: {reason}", event.model, event.actor),
        Fact::ModelResumed { reason } if reason.is_empty() => format!("{} is resumed by {}", event.model, event.actor),
        Fact::ModelResumed { reason } => format!("{} is resumed by {}: {reason}", event.model, event.actor),
        Fact::ModelReleased { .. } => format!("{} left the policy and is no longer under watch", event.model),
        Fact::ModelAdopted { package, reason } => {
            format!("{} adopts version {} as champion: {reason}", event.actor, package.version)
        }
        Fact::PromotionRequested { run, version, reason, .. } => {
            format!("{} asks for {run} to promote version {version}: {reason}", event.actor)
        }
        Fact::OutputsExpired { runs, .. } => {
            format!("the keep time of {} is over: what they wrote is removed", count(runs.len(), "run"))
        }
        Fact::OutputsRemoved { runs } => format!("what {} wrote is removed", count(runs.len(), "run")),
        Fact::TriggersChecked { judgments, .. } => checked(judgments),
        Fact::RunRequested { run, causes, .. } => format!("{run} requested: {}", list(causes)),
        Fact::RunQueued { run, .. } => format!("{run} is queued"),
        Fact::RunStarting { run } => format!("{run} starts"),
        Fact::RunTraining { run, .. } => format!("{run} trains"),
        Fact::RunStopping { run, because } => match because {
            StopReason::Timeout => format!("{run} takes too long and is being stopped"),
            StopReason::Canceled { by, reason } => format!("{by} cancels {run}, which is being stopped: {reason}"),
            StopReason::Released => format!("{run} is being stopped: its model left the policy"),
            StopReason::Superseded => format!("{run} is being stopped for a newer run"),
            StopReason::NotStartable { reason } => format!("{run} cannot be started and is being stopped: {reason}"),
        },
        Fact::RunCausesAdded { run, causes, effect, .. } => match effect {
            CausesEffect::Coalesced => format!("{run}, which waits, retrains for these, too: {}", list(causes)),
            CausesEffect::Superseding => format!("{run} is being stopped for a newer run: {}", list(causes)),
        },
        Fact::RunRetrying { run, attempt, failure, ready_at } => {
            let when = ready_at.strftime("%H:%M");
            format!("{run} is tried again from {when} on, attempt {attempt} failed: {}", failure.reason)
        }
        Fact::RunSuperseded { run, by, causes, .. } => {
            format!("{by} requested in the place of {run}: {}", list(causes))
        }
        Fact::RunTrained { run } => format!("{run} is trained"),
        Fact::CandidateEvaluated { run, package, evaluation, next } => {
            let version = package.version;
            let why = &evaluation.auto_promotion.reason;
            match next {
                AfterEvaluation::AskApproval { .. } => {
                    format!("{run} made version {version}, which waits for approval: {why}")
                }
                AfterEvaluation::Announce { .. } => {
                    format!("{run} made version {version}, promoted without a person: {why}")
                }
                AfterEvaluation::Reject { outcome } => {
                    format!("{run} made version {version}, REJECTED: {}", outcome.reason)
                }
            }
        }
        Fact::ApprovalVoted { run, vote } => {
            let verb = match vote.choice {
                Choice::Approve => "approves",
                Choice::Decline => "declines",
            };
            let why = if vote.comment.is_empty() { String::new() } else { format!(": \"{}\"", vote.comment) };
            format!("{} {verb} {run}{why}", vote.by)
        }
        Fact::PromotionAnnounced { version, .. } => format!("the promotion of version {version} is announced"),
        Fact::RolloutStarted { version, .. } => format!("version {version} takes the traffic"),
        Fact::ModelPromoted { version, replaced, .. } => match replaced {
            Some(replaced) => format!("version {version} is champion, after version {replaced}"),
            None => format!("version {version} is the first champion"),
        },
        Fact::RunEnded { run, status, outcome } => {
            let word = if *status == RunStatus::Failed { "FAILED" } else { status.name() };
            format!("{run} {word}: {}", outcome.reason)
        }
        Fact::RollbackStarted { from, to, reason } => {
            format!("{} takes version {from} back to version {to}: {reason}", event.actor)
        }
        Fact::ModelRolledBack { from, to, .. } => {
            format!("version {to} is champion again, version {from} is rolled back; promotion needs a person now")
        }
    };
    format!("{}  {}", event.at.strftime("%Y-%m-%d %H:%M"), escaped(&text))
}

/// What a check found that led to no run.
fn checked(judgments: &[Judgment]) -> String {
    let found: Vec<String> = judgments
        .iter()
        .map(|it| format!("{} {}: {} {}", it.kind.name(), word(it.verdict), it.window, it.reason))
        .collect();
    if found.is_empty() { "checked: nothing new to judge".to_owned() } else { format!("checked: {}", found.join("; ")) }
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
            "{}: {} promoted, {} rejected, {} failed; {} rolled back; {} found nothing to do",
            count(document.runs.len(), "run"),
            document.promotions.len(),
            document.rejections.len(),
            document.failures.len(),
            document.rollbacks.len(),
            count(usize::try_from(document.quiet_checks).unwrap_or(usize::MAX), "check")
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
