//! [`Publisher`] on EventBridge and SNS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_sdk_sns::types::MessageAttributeValue;
use refit_app::ports::{Alert, AlertKind, OutboundEvent, PublishError, Publisher};
use serde_json::Value;
use tokio::time::Instant;

use crate::call::{Failed, Kind, Limits, Repeat, call};

/// The source of Refit's own events.
const SOURCE: &str = "refit";
/// Most entries of one call.
const MAX_ENTRIES: usize = 10;
/// Most bytes of the entries of one call, unless it has one only.
const MAX_CALL_BYTES: usize = 256 * 1024;
/// Most bytes of one entry.
const MAX_ENTRY_BYTES: usize = 1_000_000;
/// Most bytes of an alert's text; SNS takes 256 KiB with everything else.
const MAX_TEXT_BYTES: usize = 200 * 1024;
/// The longest subject that SNS takes is below 100 characters.
const MAX_SUBJECT: usize = 99;
/// What EventBridge counts for an entry's time.
const TIME_BYTES: usize = 14;

/// The field of an event's detail that counts the functions that woke each other without anything being recorded.
pub const HOP: &str = "hop";

tokio::task_local! {
    static CURRENT_HOP: u32;
}

/// Runs a function that was woken by an event of this hop: the events that it publishes are one further.
pub async fn with_hop<F: Future>(hop: u32, work: F) -> F::Output {
    CURRENT_HOP.scope(hop, work).await
}

/// Events to an event bus, alerts to a topic.
#[derive(Debug, Clone)]
pub struct AwsPublisher {
    events: aws_sdk_eventbridge::Client,
    topics: aws_sdk_sns::Client,
    bus: String,
    topic: String,
    limits: Limits,
}

impl AwsPublisher {
    /// A publisher on the event bus of this name and the topic with this ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, bus: &str, topic_arn: &str, limits: Limits) -> AwsPublisher {
        let events = aws_sdk_eventbridge::Client::new(config);
        let topics = aws_sdk_sns::Client::new(config);
        AwsPublisher { events, topics, bus: bus.to_owned(), topic: topic_arn.to_owned(), limits }
    }

    fn entry(&self, event: &OutboundEvent, hop: u32) -> PutEventsRequestEntry {
        let mut detail = Value::clone(&event.detail);
        if let Some(fields) = detail.as_object_mut() {
            // EventBridge gives an event an id of its own each time: this one stays.
            fields.insert("eventId".to_owned(), Value::from(event.dedupe_id.as_str()));
            fields.insert(HOP.to_owned(), Value::from(hop));
        }
        let time = DateTime::from_nanos(event.time.as_nanosecond()).unwrap_or_else(|_| DateTime::from_secs(0));
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(&event.detail_type)
            .time(time)
            .detail(detail.to_string())
            .build()
    }

    /// Sends one call's entries; those that fail for now are sent again, alone.
    async fn send(&self, entries: &[Entry<'_>]) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<Option<Result<(), PublishError>>> = entries.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..entries.len()).collect();
        let mut attempts = self.limits.attempts;
        let begun = Instant::now();
        while !open.is_empty() {
            let sent: Vec<_> = open.iter().map(|it| entries[*it].entry.clone()).collect();
            let request = self.events.put_events().set_entries(Some(sent));
            let attempt = || async { request.clone().send().await.map_err(Failed::of) };
            let answered = match call(self.limits, Repeat::Freely, attempt).await {
                Ok(answered) => answered,
                Err(failed) => {
                    let why = failed.words();
                    let mut failed = Some(failed);
                    for at in open {
                        let error = match failed.take() {
                            Some(failed) => event_error(entries[at].id, failed),
                            None => PublishError::Unavailable(why.clone().into()),
                        };
                        results[at] = Some(Err(error));
                    }
                    break;
                }
            };
            attempts = attempts.saturating_sub(1);
            let mut again = Vec::new();
            let answers = answered.entries();
            for (number, at) in open.into_iter().enumerate() {
                let answer = answers.get(number);
                match judge(entries[at].id, answer) {
                    Err(PublishError::Unavailable(_))
                        if 0 < attempts && answer.is_some() && begun.elapsed() < self.limits.total =>
                    {
                        again.push(at)
                    }
                    result => results[at] = Some(result),
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(self.limits.pause).await;
            }
            open = again;
        }
        let lost = || Err(PublishError::Unavailable("the call ended early".into()));
        results.into_iter().map(|it| it.unwrap_or_else(lost)).collect()
    }
}

/// An entry with the id of its event.
struct Entry<'a> {
    id: &'a str,
    entry: PutEventsRequestEntry,
    bytes: usize,
}

impl<'a> Entry<'a> {
    /// The entry with its size as EventBridge counts it.
    fn new(id: &'a str, entry: PutEventsRequestEntry) -> Entry<'a> {
        let lengths = [entry.source(), entry.detail_type(), entry.detail()].map(|it| it.map_or(0, str::len));
        Entry { id, bytes: TIME_BYTES + lengths.iter().sum::<usize>(), entry }
    }
}

/// What became of one entry of a call that was answered.
fn judge(id: &str, answer: Option<&PutEventsResultEntry>) -> Result<(), PublishError> {
    let Some(answer) = answer else { return Err(PublishError::Unavailable("the answer has no such entry".into())) };
    let Some(code) = answer.error_code() else { return Ok(()) };
    let why = format!("{code}: {}", answer.error_message().unwrap_or_default());
    match code {
        "ThrottlingException" | "InternalFailure" | "InternalException" | "ServiceUnavailable" | "LimitExceeded" => {
            Err(PublishError::Unavailable(why.into()))
        }
        "NotAuthorized" | "NotAuthorizedForSource" | "AccessDeniedException" | "KMSAccessDenied" => {
            Err(PublishError::Denied(why.into()))
        }
        _ => Err(PublishError::Refused { dedupe_id: id.to_owned(), why }),
    }
}

fn event_error(id: &str, failed: Failed) -> PublishError {
    match failed.kind {
        Kind::Throttled | Kind::Unknown => PublishError::Unavailable(failed.into()),
        Kind::Denied => PublishError::Denied(failed.into()),
        // The bus or the topic is gone: that is not the entry's fault, and it must not be lost because of it.
        Kind::Refused if is_gone(&failed) => PublishError::Unavailable(failed.into()),
        Kind::Refused => PublishError::Refused { dedupe_id: id.to_owned(), why: failed.words() },
    }
}

fn is_gone(failed: &Failed) -> bool {
    failed.status == 404
        || [
            "NotFound",
            "NotFoundException",
            "ResourceNotFoundException",
            "EndpointDisabled",
            "EndpointDisabledException",
        ]
        .contains(&failed.code.as_str())
        || failed.code.starts_with("KMS")
}

/// A subject that SNS takes, whatever a name holds: one line of printable ASCII below 100 characters.
fn subject(text: &str) -> String {
    let plain = |it: char| match it {
        ' '..='~' => it,
        it if it.is_whitespace() || it.is_control() => ' ',
        _ => '?',
    };
    let line: String = text.trim().chars().map(plain).take(MAX_SUBJECT).collect();
    let line = line.trim();
    if line.is_empty() { "Refit".to_owned() } else { line.to_owned() }
}

/// The text with the alert's id, so that a repeated one can be told.
fn text(alert: &Alert) -> String {
    let body = &alert.body;
    let cut = body.floor_char_boundary(MAX_TEXT_BYTES);
    let note = if cut < body.len() { "\n(cut: the audit log has the rest)" } else { "" };
    format!(
        "{}\n\n{}{note}\n\nModel: {}\nTime: {}\nAlert: {}\n",
        alert.subject,
        &body[..cut],
        alert.model,
        alert.time,
        alert.dedupe_id
    )
}

/// The word that subscribers filter by.
fn kind_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Failure => "failure",
        AlertKind::Drift => "drift",
        AlertKind::Approval => "approval",
        AlertKind::BeforePromotion => "before_promotion",
        AlertKind::Promotion => "promotion",
        AlertKind::Rollback => "rollback",
    }
}

#[async_trait]
impl Publisher for AwsPublisher {
    async fn publish(&self, events: &[OutboundEvent]) -> Vec<Result<(), PublishError>> {
        let hop = CURRENT_HOP.try_with(|it| it.saturating_add(1)).unwrap_or(0);
        let mut results = Vec::with_capacity(events.len());
        let mut batch: Vec<Entry<'_>> = Vec::new();
        let mut bytes = 0;
        for event in events {
            let entry = Entry::new(&event.dedupe_id, self.entry(event, hop));
            let is_too_large = MAX_ENTRY_BYTES < entry.bytes;
            if !batch.is_empty() && (is_too_large || batch.len() == MAX_ENTRIES || MAX_CALL_BYTES < bytes + entry.bytes)
            {
                results.extend(self.send(&std::mem::take(&mut batch)).await);
                bytes = 0;
            }
            if is_too_large {
                let why = format!("it has {} bytes, more than {MAX_ENTRY_BYTES}", entry.bytes);
                results.push(Err(PublishError::Refused { dedupe_id: event.dedupe_id.clone(), why }));
            } else {
                bytes += entry.bytes;
                batch.push(entry);
            }
        }
        if !batch.is_empty() {
            results.extend(self.send(&batch).await);
        }
        results
    }

    async fn alert(&self, alert: &Alert) -> Result<(), PublishError> {
        let mut request = self.topics.publish().topic_arn(&self.topic);
        request = request.subject(subject(&alert.subject)).message(text(alert));
        for (name, value) in [("kind", kind_name(alert.kind)), ("model", &alert.model), ("alert_id", &alert.dedupe_id)]
        {
            // SNS takes no empty attribute, and an alert must not fail for one.
            if value.is_empty() {
                continue;
            }
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value = value.map_err(|error| PublishError::Refused {
                dedupe_id: alert.dedupe_id.clone(),
                why: error.to_string(),
            })?;
            request = request.message_attributes(name, value);
        }
        let attempt = || async { request.clone().send().await.map_err(Failed::of) };
        // Told twice is better than not told: the text says which alert it is.
        let told = call(self.limits, Repeat::Freely, attempt).await.map_err(|it| event_error(&alert.dedupe_id, it))?;
        match told.message_id() {
            Some(_) => Ok(()),
            None => Err(PublishError::Unavailable("the answer names no message".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_makes_a_subject() {
        let long = "ä".repeat(300);
        for text in ["m: retraining", "m\r\nBcc: all", "\u{202e}m", "", " \n", "日本", &long, "a\u{0}b"] {
            let subject = subject(text);
            assert!(!subject.is_empty() && subject.len() <= MAX_SUBJECT, "{text:?}: {subject}");
            assert!(subject.bytes().all(|it| (b' '..=b'~').contains(&it)), "{text:?}: {subject}");
        }
        assert_eq!(subject("m: retraining"), "m: retraining");
    }

    #[test]
    fn each_code_of_an_entry_has_its_class() {
        let judged = |code: Option<&str>| {
            let entry = PutEventsResultEntry::builder().set_error_code(code.map(str::to_owned)).build();
            judge("e", Some(&entry))
        };
        assert!(judged(None).is_ok());
        assert!(matches!(judged(Some("ThrottlingException")), Err(PublishError::Unavailable(_))));
        assert!(matches!(judged(Some("InternalFailure")), Err(PublishError::Unavailable(_))));
        assert!(matches!(judged(Some("NotAuthorized")), Err(PublishError::Denied(_))));
        assert!(
            matches!(judged(Some("MalformedDetail")), Err(PublishError::Refused { dedupe_id, .. }) if dedupe_id == "e")
        );
        assert!(matches!(judge("e", None), Err(PublishError::Unavailable(_))));
    }
}
