//! One invocation: the event or batch goes to the handler, and an error's class says who gets it next.
//!
//! | class | a single event | a record of a batch |
//! |---|---|---|
//! | rejected | answered, not sent again | done with |
//! | conflict | handled once more at once, then as retryable | as retryable |
//! | retryable | an error: Lambda sends it again, then it is a dead letter | named as failed: it comes again, the others do not |
//! | bug | an error: a dead letter, after Lambda's own attempts | named as failed: a dead letter after some receipts |

use lambda_runtime::Diagnostic;
use refit_app::{AppError, Context, ErrorClass, chain};
use refit_aws::{HOP, with_hop};
use refit_handlers::{Function, Response, handle};
use serde_json::{Value, json};

/// How often functions may wake each other without anything being recorded; far more than any chain that is meant.
pub const MAX_HOPS: u32 = 8;

/// What became of an invocation.
#[derive(Debug, Default)]
pub struct Answer {
    /// What the handler answered, one response an event or record.
    pub responses: Vec<Response>,
    /// What failed: the class and why.
    pub failures: Vec<(ErrorClass, String)>,
    /// The records to be sent again, where a part of a batch failed.
    pub failed_records: Vec<String>,
    /// How many records a batch had; `None` for a single event.
    pub records: Option<usize>,
    /// Whether the event went round too often and was dropped.
    pub is_looped: bool,
}

impl Answer {
    /// What Lambda is told.
    ///
    /// # Errors
    /// A failure that concerns the whole event: its class is the type.
    pub fn into_result(mut self) -> Result<Value, Diagnostic> {
        if self.records.is_some() && self.failed_records.len() == self.failures.len() {
            let failed = self.failed_records.iter().map(|it| json!({ "itemIdentifier": it }));
            return Ok(json!({ "batchItemFailures": failed.collect::<Vec<_>>() }));
        }
        match self.failures.pop() {
            Some((class, error_message)) => Err(Diagnostic { error_type: class_name(class).to_owned(), error_message }),
            None => Ok(self.responses.pop().and_then(|it| serde_json::to_value(it).ok()).unwrap_or_default()),
        }
    }

    fn note(&mut self, result: Result<Response, AppError>) -> bool {
        match result {
            Ok(response) => self.responses.push(response),
            Err(error) => {
                let (class, why) = (error.class(), chain(&error));
                match class {
                    ErrorClass::Rejected | ErrorClass::Conflict | ErrorClass::Retryable => {
                        tracing::warn!(error.class = class_name(class), "invocation failed: {why}");
                    }
                    ErrorClass::Bug => tracing::error!(error.class = class_name(class), "invocation failed: {why}"),
                }
                self.failures.push((class, why));
                return false;
            }
        }
        true
    }
}

/// The word for a class in answers and logs; a conflict that stays is for a later try.
pub(crate) fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Rejected => "Rejected",
        ErrorClass::Conflict | ErrorClass::Retryable => "Retryable",
        ErrorClass::Bug => "Bug",
    }
}

/// Where an event comes from.
enum Source<'a> {
    Single,
    Queue(&'a [Value]),
    Stream(&'a [Value]),
}

fn source(event: &Value) -> Source<'_> {
    let Some(records) = event.get("Records").and_then(Value::as_array) else { return Source::Single };
    match records.first().and_then(|it| it.get("eventSource")).and_then(Value::as_str) {
        Some("aws:sqs") => Source::Queue(records),
        Some("aws:dynamodb") => Source::Stream(records),
        Some(_) | None => Source::Single,
    }
}

/// Hands an event to its handler.
pub async fn invoke(function: Function, context: &Context, event: &Value) -> Answer {
    let hop = hop(event);
    if MAX_HOPS <= hop {
        tracing::error!(hop, "event is dropped: functions wake each other without an end");
        return Answer { is_looped: true, ..Answer::default() };
    }
    with_hop(hop, async {
        match source(event) {
            Source::Single => single(function, context, event).await,
            Source::Queue(records) => queue(function, context, records).await,
            Source::Stream(records) => stream(function, context, records).await,
        }
    })
    .await
}

fn hop(event: &Value) -> u32 {
    let hop = event.get("detail").and_then(|it| it.get(HOP)).and_then(Value::as_u64).unwrap_or(0);
    u32::try_from(hop).unwrap_or(u32::MAX)
}

async fn single(function: Function, context: &Context, event: &Value) -> Answer {
    let mut answer = Answer::default();
    let mut result = handle(function, context, event).await;
    if result.as_ref().is_err_and(|it| it.class() == ErrorClass::Conflict) {
        result = handle(function, context, event).await;
    }
    answer.note(result);
    answer
}

async fn queue(function: Function, context: &Context, records: &[Value]) -> Answer {
    let mut answer = Answer { records: Some(records.len()), ..Answer::default() };
    for record in records {
        let result = handle(function, context, &json!({ "Records": [record] })).await;
        // Without an id the record cannot be named, and the whole batch has to come again.
        if !answer.note(result)
            && let Some(id) = record.get("messageId").and_then(Value::as_str).filter(|it| !it.is_empty())
        {
            answer.failed_records.push(id.to_owned());
        }
    }
    answer
}

/// A batch of the table's stream: a model is looked at once, however many of its records there are.
async fn stream(function: Function, context: &Context, records: &[Value]) -> Answer {
    let mut answer = Answer { records: Some(records.len()), ..Answer::default() };
    let partition = |record: &Value| record.pointer("/dynamodb/Keys/pk/S").and_then(Value::as_str).map(str::to_owned);
    let mut seen: Vec<Option<String>> = Vec::new();
    for record in records {
        let partition = partition(record);
        if seen.contains(&partition) {
            continue;
        }
        let result = handle(function, context, &json!({ "Records": [record] })).await;
        seen.push(partition);
        // Everything from the first failed record on comes again; what is done by then is found done.
        if !answer.note(result)
            && let Some(id) = record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str)
        {
            answer.failed_records.push(id.to_owned());
        }
    }
    answer
}
