//! `refit history` and `refit explain`: what happened, what was live, and why.

use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use refit_app::decisions::{ReplayedDecision, replay_model};
use refit_app::explanations::{LiveAt, RunExplanation, VersionExplanation, explain_run, explain_version, live_at};
use refit_app::queries;
use refit_core::approval::Choice;
use refit_core::audit::{AuditEntry, Fact};
use refit_core::decision::DecisionRecord;
use refit_core::tenure::{Change, Origin, Tenure};
use refit_core::{ModelId, RunId};
use refit_local::world::{Access, World};
use serde_json::json;

use crate::arguments::Format;
use crate::output::{Exit, answer, escaped, word};
use crate::state;
use crate::story::sentence;

/// `refit history`.
pub(crate) fn history(model: Option<&str>, all: bool, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut entries: Vec<AuditEntry> = Vec::new();
    for model in state::models(&world, model)? {
        entries.extend(world.block_on(queries::list_audit(&*world.context.ports.table, &model))?);
    }
    let is_quiet = |it: &AuditEntry| matches!(&it.event.fact, Fact::TriggersChecked { .. });
    let shown: Vec<&AuditEntry> = entries.iter().filter(|it| all || !is_quiet(it)).collect();
    answer(format, &shown, |shown| {
        let line = |entry: &&AuditEntry| {
            let event = &entry.event;
            let by = escaped(&format!("{}; {}", event.actor, event.cause));
            format!("{:>5}  {}  [{by}]\n", event.seq, sentence(entry))
        };
        shown.iter().map(line).collect()
    })?;
    Ok(Exit::Yes)
}

/// `refit history --at`: nothing live is a negative answer.
pub(crate) fn history_at(model: Option<&str>, at: &str, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let at = moment(at)?;
    let world = state::open(state, Access::Read)?;
    if world.now() < at {
        bail!("{at} has not come yet, it is {}: `refit status` shows what is live now", world.now());
    }
    let mut found = Vec::new();
    for model in state::models(&world, model)? {
        found.push(world.block_on(live_at(&*world.context.ports.table, &model, at))?);
    }
    answer(format, &json!({ "schema": 1, "at": at, "models": found }), |_| found.iter().map(show_live).collect())?;
    Ok(if found.iter().any(|it| it.live.is_some()) { Exit::Yes } else { Exit::No })
}

/// A time as people type it: RFC 3339, or a date, which is its beginning in UTC.
fn moment(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wanted = || format!("`{}` is not a time: write it like `2013-07-01T12:00:00Z` or `2013-07-01`", escaped(text));
    // A time without its zone would be read as its date alone.
    if !text.bytes().all(|it| it.is_ascii_digit() || it == b'-') {
        bail!(wanted());
    }
    let date: Date = text.parse().ok().with_context(wanted)?;
    Ok(date.to_zoned(TimeZone::UTC).ok().with_context(wanted)?.timestamp())
}

fn show_live(found: &LiveAt) -> String {
    let (model, at) = (&found.model, found.at);
    match &found.live {
        Some(tenure) => format!("{model} at {at}: version {} was live\n{}", tenure.version, show_tenure(tenure)),
        None if at < found.watched_since => {
            format!("{model} at {at}: nothing was live, it is under watch since {}\n", found.watched_since)
        }
        None => match found.first_champion_at {
            Some(first) => format!("{model} at {at}: nothing was live, the first champion came at {first}\n"),
            None => format!("{model} at {at}: nothing was live, there was no champion yet\n"),
        },
    }
}

fn show_tenure(tenure: &Tenure) -> String {
    let mut lines = vec![
        ("package", tenure.package_arn.clone()),
        ("artifact", tenure.artifact.to_string()),
        ("since", show_change(&tenure.began)),
    ];
    for origin in tenure.origin.iter().chain(&tenure.promotion) {
        lines.extend(show_origin(origin));
    }
    let until = match (&tenure.ended, tenure.followed_by) {
        (Some(ended), Some(next)) => format!("{}, version {next} followed", show_change(ended)),
        (Some(ended), None) => show_change(ended),
        (None, _) => "now".to_owned(),
    };
    lines.push(("until", until));
    lines.iter().map(|(name, text)| format!("  {name:<9} {}\n", escaped(text))).collect()
}

fn show_change(change: &Change) -> String {
    let why = change.reason.as_ref().map_or_else(String::new, |it| format!(": {it}"));
    format!("{} (event {}, {} by {}{why})", change.at, change.seq, change.event, change.by)
}

fn show_origin(origin: &Origin) -> Vec<(&'static str, String)> {
    let mut lines = vec![(
        "run",
        format!(
            "{}, asked for by {} at {} ({})",
            origin.run, origin.requested_by, origin.requested_at, origin.decision
        ),
    )];
    lines.extend(origin.causes.iter().map(|it| ("because", format!("{}: {}", it.kind, it.reason))));
    for gate in &origin.gates {
        lines.push(("gate", format!("{}: {}", word(gate.verdict), gate.reasons.join("; "))));
    }
    match &origin.approval {
        Some(approval) => {
            for vote in &approval.votes {
                let verb = match vote.choice {
                    Choice::Approve => "approved",
                    Choice::Decline => "declined",
                };
                let comment = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
                lines.push(("vote", format!("{} {verb} at {}{comment}", vote.by, vote.at)));
            }
        }
        None => {
            let granted = origin.rule.iter().filter(|it| it.is_granted);
            lines.extend(granted.map(|it| ("rule", format!("promoted without a person: {}", it.reason))));
        }
    }
    lines
}

/// What can be explained.
enum Subject {
    Decision(String),
    Run(RunId),
    Version(ModelId, u64),
}

/// Tells a decision's id, a run's id and a version apart by their form.
fn subject(text: &str) -> Subject {
    if let Some((model, version)) = text.rsplit_once("-v")
        && let (Ok(model), Ok(version)) = (model.parse(), version.parse())
    {
        return Subject::Version(model, version);
    }
    match text.parse() {
        Ok(run) if DecisionRecord::parse_id(text).is_none() => Subject::Run(run),
        Ok(_) | Err(_) => Subject::Decision(text.to_owned()),
    }
}

/// `refit explain`.
pub(crate) fn explain(what: &str, replay: bool, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let table = &*world.context.ports.table;
    match subject(what) {
        Subject::Decision(id) => return explain_decision(&world, &id, replay, state, format),
        Subject::Run(_) | Subject::Version(..) if replay => {
            bail!("only a decision can be asked again: `refit audit replay` asks all of them");
        }
        Subject::Run(run) => {
            let explained = world.block_on(explain_run(table, &run))?;
            answer(format, &explained, show_run)?;
        }
        Subject::Version(model, version) => {
            let explained = world.block_on(explain_version(table, &model, version))?;
            answer(format, &explained, show_version)?;
        }
    }
    Ok(Exit::Yes)
}

fn show_run(explained: &RunExplanation) -> String {
    let run = &explained.run;
    let outcome = run.outcome.as_ref().map_or_else(String::new, |it| format!(": {}", escaped(&it.reason)));
    let mut text = format!("{} {}{outcome}\n", run.id, word(run.status));
    for link in &explained.chain {
        text.push_str(&format!("{:>5}  {}\n", link.entry.event.seq, sentence(&link.entry)));
        if let Some(decision) = &link.decision {
            text.push_str(&format!("       {}: {}\n", decision.id, escaped(&decision.outcome)));
            text.extend(decision.reasons.iter().map(|it| format!("         - {}\n", escaped(it))));
        }
    }
    text.extend(explained.tenures.iter().map(show_span));
    text
}

fn show_span(tenure: &Tenure) -> String {
    let until = tenure.ended.as_ref().map_or_else(|| "now".to_owned(), |it| it.at.to_string());
    format!("version {} was champion from {} until {until}\n", tenure.version, tenure.began.at)
}

fn show_version(explained: &VersionExplanation) -> String {
    let package = &explained.package;
    let quality: Vec<String> =
        package.quality.iter().map(|(metric, it)| format!("{} {:.3}", metric.name(), it.value)).collect();
    let mut text = format!("version {} of {}, {}\n", package.version, explained.model, word(package.status));
    for (name, value) in [
        ("package", package.arn.clone()),
        ("artifact", package.artifact.to_string()),
        ("learned", package.train.to_string()),
        ("held out", format!("{}: {}", package.holdout, quality.join(", "))),
    ] {
        text.push_str(&format!("  {name:<9} {}\n", escaped(&value)));
    }
    match &explained.made_by {
        Some(run) => text.push_str(&show_run(run)),
        None => text.extend(explained.tenures.iter().map(show_span)),
    }
    text
}

fn explain_decision(world: &World, id: &str, replay: bool, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let record = world.block_on(queries::get_decision(&*world.context.ports.table, id))?;
    let replayed = if replay {
        let all = world.block_on(replay_model(&world.context, &record.model))?;
        all.into_iter().find(|it| it.decision == record.id)
    } else {
        None
    };
    let mut document = serde_json::to_value(&record)?;
    if let Some(replayed) = &replayed {
        document["replay"] = serde_json::to_value(replayed)?;
    }
    answer(format, &document, |_| show_decision(&record, replayed.as_ref(), &state::flag(state)))?;
    Ok(if replayed.is_none_or(|it| it.is_equal) { Exit::Yes } else { Exit::No })
}

fn show_decision(record: &DecisionRecord, replayed: Option<&ReplayedDecision>, flag: &str) -> String {
    let reasons: String = record.reasons.iter().map(|it| format!("  - {}\n", escaped(it))).collect();
    format!(
        "{}  {}  {}\n{}\nasked by {}, policy {}, champion {}\n{reasons}{}all numbers: refit explain {}{flag} --output-format json\n",
        record.id,
        record.at,
        record.model,
        escaped(&record.outcome),
        escaped(&record.actor.to_string()),
        record.policy.short(),
        record.champion.map_or_else(|| "-".to_owned(), |it| format!("version {it}")),
        replayed.map(show_replay).unwrap_or_default(),
        record.id,
    )
}

fn show_replay(replayed: &ReplayedDecision) -> String {
    if replayed.is_equal {
        return format!("asked again on inputs {}: the same answer, byte for byte\n", replayed.snapshot.short());
    }
    let problems: String = replayed.problems.iter().map(|it| format!("  ! {}\n", escaped(it))).collect();
    format!("asked again on inputs {}: NOT AS RECORDED\n{problems}", replayed.snapshot.short())
}
