//! refit.yaml to [`Policy`].
//!
//! Reading never stops at the first problem: each section is read as far as it goes, and a section that could not be read
//! has left its reasons in the log. Nothing is ignored: a key is read, refused as unknown, or refused as not built yet.

mod comparison;
mod data;
mod describe;
mod field;
mod gates;
mod model;
mod preset;
mod report;
mod runs;
mod triggers;
mod words;

use std::collections::HashMap;

pub use comparison::read_comparison;
pub use report::{Problem, Problems};

use self::field::{Field, Keys, Log};
use super::yaml::{self, At, shown};
use super::{DataPolicy, Fleet, ModelPolicy, Notification, Policy, SCHEMA, Span, Subject, Zone};
use crate::names::ObjectUri;

/// The most models that one fleet has.
const MAX_MODELS: usize = 1_000;

/// The most receivers of alerts.
const MAX_NOTIFICATIONS: usize = 100;

/// The longest e-mail address that can be delivered to (RFC 5321, erratum 1690).
const MAX_EMAIL: usize = 254;

/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_EMAIL_LOCAL: usize = 64;

const DOCUMENT: Keys = Keys { built: &["schema", "fleet", "notifications", "models"], not_built: &[] };
const FLEET: Keys = Keys { built: &["concurrent_runs", "priority_aging", "timezone"], not_built: &[] };
const NOTIFICATION: Keys = Keys { built: &["email", "on"], not_built: &[] };

const DEFAULT_CONCURRENT_RUNS: u32 = 3;
/// A run takes minutes to hours: an hour of waiting is worth a level, so that nothing waits much more than four of them
/// behind newcomers.
const DEFAULT_PRIORITY_AGING: Span = Span::from_const_seconds(3_600);
/// The longest step of aging: beyond it priorities would hardly ever age.
const MAX_PRIORITY_AGING_DAYS: i64 = 30;

/// Keys that have an effect and that a text does not give in any of its sections of their kind.
#[cfg(test)]
pub(super) fn keys_not_given(text: &str) -> Vec<String> {
    let root = yaml::parse(text, &mut Vec::new());
    let mut log = Log::new(Vec::new());
    root.as_ref().and_then(|root| read_policy(Field::root(root), &mut log));
    let mut sections: std::collections::BTreeMap<Vec<&'static str>, std::collections::BTreeSet<String>> =
        std::collections::BTreeMap::new();
    for (built, given) in log.visited {
        sections.entry(built).or_default().extend(given);
    }
    let missing = |(built, given): (Vec<&'static str>, std::collections::BTreeSet<String>)| {
        let missing: Vec<&str> = built.iter().copied().filter(|it| !given.contains(*it)).collect();
        (!missing.is_empty()).then(|| format!("{missing:?} of {built:?}"))
    };
    sections.into_iter().filter_map(missing).collect()
}

/// Reads and validates a policy as a whole.
///
/// # Errors
/// All problems at once, in the order of the text.
pub fn read(text: &str) -> Result<Policy, Problems> {
    let mut problems = Vec::new();
    let root = yaml::parse(text, &mut problems);
    let mut log = Log::new(problems);
    let policy = root.as_ref().and_then(|root| read_policy(Field::root(root), &mut log));
    let problems = log.finish();
    match policy {
        Some(policy) if problems.is_empty() => Ok(policy),
        Some(_) | None => Err(Problems(problems)),
    }
}

/// The JSON Schema (draft 2020-12) of refit.yaml, told by the reader: for editors and for generators of policies.
///
/// It never refuses what [`read`] takes, and is wider where values depend on each other.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut notes = describe::Notes::default();
    for takes_maps in [false, true] {
        notes.takes_maps = takes_maps;
        let mut log = Log::describing(notes);
        // What it reads is nothing; what it notes is all.
        let _: Option<Policy> = read_policy(Field::void(), &mut log);
        notes = log.into_notes();
    }
    notes.to_schema()
}

fn read_policy(root: Field<'_>, log: &mut Log) -> Option<Policy> {
    let section = root.section(&DOCUMENT, log)?;
    let schema = section.required("schema", log, read_schema);
    let default = Fleet {
        concurrent_runs: DEFAULT_CONCURRENT_RUNS,
        priority_aging: DEFAULT_PRIORITY_AGING,
        timezone: Zone::utc(),
    };
    let fleet = section.or("fleet", default, log, read_fleet);
    let notifications = section.or("notifications", Vec::new(), log, read_notifications);
    let timezone = fleet.as_ref().map_or_else(Zone::utc, |it| it.timezone.clone());
    let models = section.required("models", log, |it, log| read_models(it, &timezone, log));
    Some(Policy { schema: schema?, fleet: fleet?, notifications: notifications?, models: models? })
}

fn read_schema(field: Field<'_>, log: &mut Log) -> Option<u16> {
    let schema = field.whole(0..=u64::from(u16::MAX), log)?;
    if schema != u64::from(SCHEMA) {
        field.report(log, format!("schema {schema} is not known; this version reads schema {SCHEMA}"));
        return None;
    }
    Some(SCHEMA)
}

fn read_fleet(field: Field<'_>, log: &mut Log) -> Option<Fleet> {
    let section = field.section(&FLEET, log)?;
    let concurrent_runs =
        section.or("concurrent_runs", DEFAULT_CONCURRENT_RUNS, log, |it, log| it.count(1..=1_000, log));
    let priority_aging = section.or("priority_aging", DEFAULT_PRIORITY_AGING, log, |it, log| {
        it.span(Span::minutes(1)..=Span::days(MAX_PRIORITY_AGING_DAYS), log)
    });
    let timezone = section.or("timezone", Zone::utc(), log, |it, log| it.parse::<Zone>("the name of a time zone", log));
    Some(Fleet { concurrent_runs: concurrent_runs?, priority_aging: priority_aging?, timezone: timezone? })
}

fn read_notifications(field: Field<'_>, log: &mut Log) -> Option<Vec<Notification>> {
    let items = field.list(0..=MAX_NOTIFICATIONS, "receivers", log)?;
    let mut emails = Unique::new("e-mail address");
    let read: Vec<_> = items.into_iter().map(|it| read_notification(it, &mut emails, log)).collect();
    read.into_iter().collect()
}

fn read_notification(field: Field<'_>, emails: &mut Unique, log: &mut Log) -> Option<Notification> {
    let section = field.section(&NOTIFICATION, log)?;
    let email = section.required("email", log, |it, log| {
        let email = it.text(log)?;
        if let Some(why) = email_problem(email) {
            it.report(log, format!("`{}` is not an e-mail address: {why}", shown(email)));
            return None;
        }
        emails.take(email, &it, log)?;
        Some(email.to_owned())
    });
    let on = section.or("on", words::SUBJECTS.iter().map(|(_, it)| *it).collect(), log, read_subjects);
    Some(Notification { email: email?, on: on? })
}

fn read_subjects(field: Field<'_>, log: &mut Log) -> Option<Vec<Subject>> {
    let items = field.list(0..=usize::MAX, "subjects", log)?;
    if items.is_empty() {
        field.report(
            log,
            "an empty list is never told anything; list subjects, or remove `on` to be told everything".to_owned(),
        );
        return None;
    }
    let mut unique = Unique::new("subject");
    let read: Vec<_> = items
        .into_iter()
        .map(|it| {
            let subject = it.word(&words::SUBJECTS, &[], log)?;
            unique.take(words::name_of(&words::SUBJECTS, subject), &it, log)?;
            Some(subject)
        })
        .collect();
    read.into_iter().collect()
}

/// Why a text is not an address that mail can be sent to; stricter than the RFC, so that none can carry a header.
fn email_problem(text: &str) -> Option<&'static str> {
    let Some((local, domain)) = text.split_once('@') else { return Some("it needs one `@`") };
    if text.chars().any(|it| it.is_control() || it.is_whitespace()) {
        return Some("it holds a space, a line break or a control character");
    }
    if domain.contains('@') {
        return Some("it has more than one `@`");
    }
    if text.contains(['<', '>', '(', ')', '[', ']', ',', ';', ':', '"', '\\']) {
        return Some("it holds one of `<>()[],;:\"\\`");
    }
    if local.is_empty() || domain.split('.').any(str::is_empty) {
        return Some("it needs a name before the `@` and a domain after it");
    }
    if MAX_EMAIL < text.len() || MAX_EMAIL_LOCAL < local.len() {
        return Some("it is longer than 254 bytes, or 64 before the `@`");
    }
    None
}

fn read_models(field: Field<'_>, timezone: &Zone, log: &mut Log) -> Option<Vec<ModelPolicy>> {
    let items = field.list(1..=MAX_MODELS, "models", log)?;
    let mut names = Names {
        ids: Unique::new("model id"),
        endpoints: Unique::new("endpoint"),
        package_groups: Unique::new("package group"),
        pipelines: Unique::new("pipeline name"),
        taken_in: Vec::new(),
    };
    let read: Vec<_> = items.into_iter().map(|it| model::read_model(it, timezone, &mut names, log)).collect();
    read.into_iter().collect()
}

/// What no two models may share.
struct Names {
    ids: Unique,
    endpoints: Unique,
    package_groups: Unique,
    pipelines: Unique,
    /// Prefixes whose files are taken in for a model.
    taken_in: Vec<ObjectUri>,
}

impl Names {
    /// Claims the prefixes whose files are taken in: a file that lay in two models' would be given to the first only.
    fn take_data(&mut self, data: &DataPolicy, field: &Field<'_>, log: &mut Log) {
        let wanted = [&data.capture, &data.labels];
        for uri in wanted {
            if let Some(other) = self.taken_in.iter().find(|it| it.contains(uri) || uri.contains(it)) {
                field.report(
                    log,
                    format!("`{uri}` overlaps `{other}` of another model; each model has its own captures and labels"),
                );
            }
        }
        self.taken_in.extend(wanted.into_iter().cloned());
    }
}

/// Texts of one kind that may be used once, with the place of their first use.
struct Unique {
    what: &'static str,
    seen: HashMap<String, At>,
}

impl Unique {
    fn new(what: &'static str) -> Unique {
        Unique { what, seen: HashMap::new() }
    }

    /// Reports a second use of `text`.
    fn take(&mut self, text: &str, field: &Field<'_>, log: &mut Log) -> Option<()> {
        if let Some(first) = self.seen.get(text) {
            let At { line, column } = *first;
            field.report(
                log,
                format!("{} `{}` is already used at line {line}, column {column}", self.what, shown(text)),
            );
            return None;
        }
        self.seen.insert(text.to_owned(), field.at());
        Some(())
    }
}
