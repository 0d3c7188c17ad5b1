//! Takes in capture and label files: one pointer for each day that a file has events on.
//!
//! The pointer is also the marker that the file was taken in: the same file (key and content) again changes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, Policy, Span};
use refit_core::{Digest, ModelId, ObjectUri};
use refit_data::{CaptureOptions, Values, read_capture_with, read_ground_truth};
use serde::{Deserialize, Serialize};

use super::{Context, policy};
use crate::documents::{to_body, window_partition};
use crate::error::{AppError, chain};
use crate::measure::{MAX_FILE_BYTES, answers, feature_columns};
use crate::ports::{Alert, AlertKind, Expect, Failure, Key, ObjectError, PublishError, Write};
use crate::state::transaction_token;

/// Most days that one file may have events on: so that its pointers fit into one transaction.
const MAX_DAYS: usize = 90;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Captured predictions.
    Capture,
    /// Labels.
    Labels,
}

impl FileKind {
    /// The word in keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Capture => "capture",
            FileKind::Labels => "labels",
        }
    }
}

/// A file that has events on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPointer {
    /// Document version.
    pub schema: u16,
    /// What it holds.
    pub kind: FileKind,
    /// Where it is.
    pub uri: ObjectUri,
    /// Which content was taken in.
    pub etag: String,
    /// How many rows it has.
    pub rows: u64,
    /// The first event (capture) or when it was written (labels).
    pub from: Timestamp,
    /// The last event (capture) or when it was written (labels).
    pub to: Timestamp,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Recorded {
    /// Taken in now.
    Taken {
        /// For which model.
        model: ModelId,
        /// How many rows.
        rows: u64,
    },
    /// Taken in before.
    Known {
        /// For which model.
        model: ModelId,
    },
    /// No model's data.
    Foreign,
    /// Gone again before it was read.
    Gone,
    /// Damaged; people were told.
    Refused {
        /// For which model.
        model: ModelId,
        /// What is wrong.
        reason: String,
    },
}

/// Takes in the file at `uri`.
///
/// # Errors
/// A service's failure; a damaged file is an outcome, not an error.
#[tracing::instrument(name = "record_window", skip_all, fields(object.uri = %uri))]
pub async fn record_window(context: &Context, uri: &ObjectUri) -> Result<Recorded, AppError> {
    let Some(digest) = policy::current(context).await? else { return Ok(Recorded::Foreign) };
    let fleet = policy::read(context, &digest).await?;
    let Some((model, kind)) = owner(&fleet, uri) else { return Ok(Recorded::Foreign) };
    let objects = &*context.ports.objects;
    let info = match objects.head(uri).await {
        Ok(info) => info,
        Err(ObjectError::NotFound(_)) => return Ok(Recorded::Gone),
        Err(error) => return Err(error.into()),
    };
    let object = match objects.get(uri, MAX_FILE_BYTES).await {
        Ok(object) => object,
        Err(ObjectError::NotFound(_)) => return Ok(Recorded::Gone),
        Err(error @ ObjectError::TooLarge { .. }) => {
            return refuse(context, model, uri, &info.etag, error.to_string()).await;
        }
        Err(error) => return Err(error.into()),
    };
    let pointer = WindowPointer {
        schema: 1,
        kind,
        uri: uri.clone(),
        etag: object.etag.clone(),
        rows: 0,
        from: info.modified,
        to: info.modified,
    };
    let described = match kind {
        FileKind::Capture => describe_capture(model, &object.bytes, pointer),
        FileKind::Labels => describe_labels(&object.bytes, pointer),
    };
    let (pointer, days) = match described {
        Ok(described) => described,
        Err(reason) => return refuse(context, model, uri, &object.etag, reason).await,
    };
    let sort = format!("{}#{}", kind.name(), Digest::of_list(&[&uri.to_string(), &object.etag]).hex());
    let writes: Vec<Write> = days
        .iter()
        .map(|day| Write::Put {
            key: Key::new(&window_partition(&model.id, *day), &sort),
            expect: Expect::Absent,
            body: to_body(&pointer),
            due: None,
        })
        .collect();
    match context.ports.table.transact(&transaction_token(&writes), &writes).await {
        Ok(()) => Ok(Recorded::Taken { model: model.id.clone(), rows: pointer.rows }),
        Err(error) if error.failure() == Failure::Conflict => Ok(Recorded::Known { model: model.id.clone() }),
        Err(error) => Err(error.into()),
    }
}

/// The model whose data an address is, and what it holds.
fn owner<'a>(fleet: &'a Policy, uri: &ObjectUri) -> Option<(&'a ModelPolicy, FileKind)> {
    fleet.models.iter().find_map(|model| {
        if model.data.capture.contains(uri) {
            Some((model, FileKind::Capture))
        } else if model.data.labels.contains(uri) {
            Some((model, FileKind::Labels))
        } else {
            None
        }
    })
}

type Described = Result<(WindowPointer, BTreeSet<Timestamp>), String>;

fn describe_capture(model: &ModelPolicy, bytes: &[u8], mut pointer: WindowPointer) -> Described {
    let features = feature_columns(&model.data);
    let options =
        CaptureOptions { features: &features, score_key: &model.data.prediction, answers: answers(model.task) };
    let frame = read_capture_with(bytes, options).map_err(|error| chain(&error))?.frame;
    let Some(Values::Time(times)) = frame.find_column("ts").map(|it| &it.values) else {
        return Err("it has no event times".to_owned());
    };
    let moments: Vec<Timestamp> =
        times.iter().flatten().filter_map(|it| Timestamp::from_microsecond(*it).ok()).collect();
    let (Some(first), Some(last)) = (moments.iter().min(), moments.iter().max()) else {
        return Err("it has no rows with an event time".to_owned());
    };
    pointer.from = *first;
    pointer.to = *last;
    pointer.rows = frame.rows() as u64;
    let days: BTreeSet<Timestamp> = moments.iter().map(|it| Span::days(1).floor(*it)).collect();
    if MAX_DAYS < days.len() {
        return Err(format!("it has events on {} days; split it into files of at most {MAX_DAYS}", days.len()));
    }
    Ok((pointer, days))
}

/// Labels say nothing about when they became known but where they lie: `…/yyyy/mm/dd/hh/`.
fn describe_labels(bytes: &[u8], mut pointer: WindowPointer) -> Described {
    let pairs = read_ground_truth(bytes).map_err(|error| chain(&error))?;
    pointer.rows = pairs.len() as u64;
    let collected = time_of_path(pointer.uri.key()).unwrap_or(pointer.from);
    pointer.from = collected;
    pointer.to = collected;
    Ok((pointer, BTreeSet::from([Span::days(1).floor(collected)])))
}

/// The hour that a key's folders `yyyy/mm/dd/hh` name.
fn time_of_path(key: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = key.split('/').collect();
    parts.windows(4).rev().find_map(|part| {
        let [year, month, day, hour] = part else { return None };
        let is_time = year.len() == 4 && [month, day, hour].iter().all(|it| it.len() == 2);
        if is_time { format!("{year}-{month}-{day}T{hour}:00:00Z").parse().ok() } else { None }
    })
}

/// Refuses a damaged file: people are told, nothing is taken in.
async fn refuse(
    context: &Context,
    model: &ModelPolicy,
    uri: &ObjectUri,
    etag: &str,
    reason: String,
) -> Result<Recorded, AppError> {
    tell_damaged(context, model, &uri.to_string(), etag, &reason).await?;
    Ok(Recorded::Refused { model: model.id.clone(), reason })
}

/// Tells people about a damaged file, once for each content.
pub(crate) async fn tell_damaged(
    context: &Context,
    model: &ModelPolicy,
    uri: &str,
    etag: &str,
    reason: &str,
) -> Result<(), AppError> {
    tracing::warn!(model.id = %model.id, object.uri = uri, "left out a data file: {reason}");
    let alert = Alert {
        dedupe_id: format!("file-{}", Digest::of_list(&[uri, etag]).short()),
        time: context.now(),
        kind: AlertKind::Failure,
        model: model.id.to_string(),
        subject: format!("Refit: a data file of {} is damaged", model.id),
        body: format!("{uri} is left out: {reason}\nRepair it and upload it again; nothing else is needed."),
    };
    match context.ports.publisher.alert(&alert).await {
        // What cannot be told for good must not stop the check of all other files.
        Ok(()) | Err(PublishError::Refused { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_folders_name_their_hour() {
        for (key, expected) in [
            ("labels/2013/01/02/03/part.jsonl", Some("2013-01-02T03:00:00Z")),
            ("labels/part.jsonl", None),
            ("labels/2013/13/02/03/part.jsonl", None),
        ] {
            assert_eq!(time_of_path(key).map(|it| it.to_string()).as_deref(), expected);
        }
    }
}
