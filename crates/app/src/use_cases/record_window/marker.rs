//! What is known of each file, and where that stands: below the day that the file's address names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::{Digest, ModelId, ObjectUri};
use serde::{Deserialize, Serialize};

use super::Recorded;
use crate::documents::{parse, undated_partition, window_partition};
use crate::error::AppError;
use crate::measure::extracts::days;
use crate::ports::{Generation, Key, Order, Query, Table};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What is known about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMarker {
    /// Document version.
    pub schema: u16,
    /// What it holds.
    pub kind: FileKind,
    /// Where it is.
    pub uri: ObjectUri,
    /// Which content was looked at last.
    pub etag: String,
    /// What is wrong with that content; people were told.
    pub refused: Option<String>,
    /// Which content counts: the address and a digest; `None` when none ever did.
    pub version: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// When its first row happened, or its labels arrived.
    pub from: Timestamp,
    /// The days that it has rows on, with the hours as bits.
    pub days: BTreeMap<Timestamp, u32>,
}

/// The marker of a file: below the day that its address names.
pub(super) fn file_key(model: &ModelId, kind: FileKind, uri: &ObjectUri) -> Key {
    let partition = time_of_path(uri.key()).map_or_else(|| undated_partition(model), |it| window_partition(model, it));
    Key::new(&partition, &format!("{}{}", file_prefix(kind), Digest::of(uri.to_string().as_bytes()).hex()))
}

/// What the keys of markers of a kind begin with.
pub(super) fn file_prefix(kind: FileKind) -> String {
    format!("FILE#{}#", kind.name())
}

/// How many rows the files of a kind have that begin in `[from, until)`, by their markers.
///
/// # Errors
/// See [`AppError`].
pub(crate) async fn count_rows(
    table: &dyn Table,
    policy: &ModelPolicy,
    from: Timestamp,
    until: Timestamp,
    kind: FileKind,
) -> Result<u64, AppError> {
    // A file may lie in the folder of the day before or after its first row.
    let day = Span::days(1);
    let mut partitions: Vec<String> =
        days(day.before(from), day.after(until)).map(|it| window_partition(&policy.id, it)).collect();
    partitions.push(undated_partition(&policy.id));
    let mut count = 0;
    for partition in partitions {
        let markers = list_markers(table, &partition, kind).await?;
        let counts = |it: &&FileMarker| it.version.is_some() && from <= it.from && it.from < until;
        count += markers.iter().filter(counts).map(|it| it.rows).sum::<u64>();
    }
    Ok(count)
}

/// The markers of one kind in a partition.
async fn list_markers(table: &dyn Table, partition: &str, kind: FileKind) -> Result<Vec<FileMarker>, AppError> {
    let mut markers = Vec::new();
    let mut after = None;
    loop {
        let query = Query {
            partition: partition.to_owned(),
            prefix: file_prefix(kind),
            after: after.take(),
            order: Order::Ascending,
            limit: 1_000,
        };
        let page = table.query(&query).await?;
        for item in &page.items {
            markers.push(parse(item)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(markers),
        }
    }
}

/// A marker as it was read.
pub(super) struct StoredMarker {
    pub(super) marker: FileMarker,
    pub(super) generation: Generation,
}

/// The marker at a key.
pub(super) async fn find_marker(table: &dyn Table, key: &Key) -> Result<Option<StoredMarker>, AppError> {
    let Some(item) = table.get(key).await? else { return Ok(None) };
    Ok(Some(StoredMarker { marker: parse(&item)?, generation: item.generation }))
}

impl FileMarker {
    /// What is to be said about content that was looked at before.
    pub(super) fn answer(&self, model: &ModelId, etag: &str) -> Option<Recorded> {
        let model = model.clone();
        (self.etag == etag).then(|| match &self.refused {
            Some(reason) => Recorded::Refused { model, reason: reason.clone() },
            None => Recorded::Known { model },
        })
    }
}

/// The hour that a key's folders `yyyy/mm/dd/hh` name.
pub(super) fn time_of_path(key: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = key.split('/').collect();
    parts.windows(4).rev().find_map(|part| {
        let [year, month, day, hour] = part else { return None };
        let is_time = year.len() == 4 && [month, day, hour].iter().all(|it| it.len() == 2);
        if is_time { format!("{year}-{month}-{day}T{hour}:00:00Z").parse().ok() } else { None }
    })
}

/// The folder before the date: SageMaker captures to `<endpoint>/<variant>/yyyy/mm/dd/hh/`.
pub(super) fn variant_of_path(key: &str) -> Option<&str> {
    let parts: Vec<&str> = key.split('/').collect();
    let date = (0..parts.len()).rev().find(|&at| time_of_path(&parts[at..].join("/")).is_some())?;
    (1 < date).then(|| parts[date - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_folders_name_their_variant() {
        for (key, expected) in [
            ("capture/m/champion/2013/01/02/03/part.jsonl", Some("champion")),
            ("2013/01/02/03/part.jsonl", None),
            ("capture/part.jsonl", None),
        ] {
            assert_eq!(variant_of_path(key), expected, "{key}");
        }
    }

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
