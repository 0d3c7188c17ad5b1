//! Takes in capture and label files: their rows are cut by day into extracts (see `measure/extracts.rs`), and a marker says
//! that the file was taken in.
//!
//! One transaction lists the extracts, sets the marker and notes the arrival, by which the next check finds windows that were
//! judged without these rows. It touches neither HEAD nor the alarm clock: taking in data does not contend with control. The
//! same file (address and content) again changes nothing; other content at the same address replaces what was there.

mod damaged;
pub(crate) mod lost;
mod marker;

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, Policy};
use refit_core::{Digest, Guard, ModelId, ObjectUri};
use refit_data::{CaptureOptions, Categories, Column, Frame, Label, Values, read_capture_with, read_ground_truth};
use serde::{Deserialize, Serialize};

use self::damaged::alert_damaged;
pub(crate) use self::damaged::tell_damaged;
pub(crate) use self::marker::count_rows;
pub use self::marker::{FileKind, FileMarker};
use self::marker::{StoredMarker, file_key, find_marker, time_of_path, variant_of_path};
use super::{Context, policy};
use crate::documents::{arrival_sort, arrivals_partition, extracts_key, to_body};
use crate::error::{AppError, chain};
use crate::measure::extracts::{
    CLASS, Extract, Extracts, FILE, LABEL, MAX_EXTRACTS, ROW, VARIANT, by_day, roll_up, write_extract,
};
use crate::measure::{MAX_FILE_BYTES, answers, feature_columns};
use crate::ports::{Body, Expect, Failure, Generation, Key, ObjectError, Write};
use crate::state::transaction_token;

/// Most days that one file may have events on, with those of the content that it replaces: so that one transaction suffices.
const MAX_DAYS: usize = 90;
/// How often the lists are read anew after somebody else appended first.
const MAX_CONFLICTS: u32 = 8;

/// A file that was taken in: what the next check looks at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arrival {
    /// Document version.
    pub(crate) schema: u16,
    /// What it holds.
    pub(crate) kind: FileKind,
    /// The days whose rows changed, with the hours as bits.
    pub(crate) days: BTreeMap<Timestamp, u32>,
    /// The objects with its rows.
    pub(crate) objects: Vec<(Timestamp, Digest)>,
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
    let known = find_marker(&*context.ports.table, &file_key(&model.id, kind, uri)).await?;
    if let Some(answer) = known.as_ref().and_then(|it| it.marker.answer(&model.id, &info.etag)) {
        return Ok(answer);
    }
    let mut file = File { model, kind, uri, etag: info.etag, modified: info.modified };
    let object = match objects.get(uri, MAX_FILE_BYTES).await {
        Ok(object) => object,
        Err(ObjectError::NotFound(_)) => return Ok(Recorded::Gone),
        Err(error @ ObjectError::TooLarge { .. }) => return file.refuse(context, error.to_string()).await,
        Err(error) => return Err(error.into()),
    };
    file.etag = object.etag;
    let rows = match kind {
        FileKind::Capture => file.read_capture(&object.bytes),
        FileKind::Labels => file.read_labels(&object.bytes),
    };
    match rows {
        Ok(rows) => file.take_in(context, &rows).await,
        Err(reason) if Guard::PlaceNamed.is_kept() => file.refuse(context, reason).await,
        Err(_) => file.refuse(context, "it is damaged".to_owned()).await,
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

/// A file that is being taken in.
struct File<'a> {
    model: &'a ModelPolicy,
    kind: FileKind,
    uri: &'a ObjectUri,
    etag: String,
    modified: Timestamp,
}

impl File<'_> {
    /// Names the content: rows of another version do not count any more.
    fn version(&self) -> String {
        format!("{}#{}", self.uri, Digest::of(self.etag.as_bytes()).short())
    }

    fn key(&self) -> Key {
        file_key(&self.model.id, self.kind, self.uri)
    }

    /// The rows with the columns of an extract, or why the file is damaged.
    fn read_capture(&self, bytes: &[u8]) -> Result<Frame, String> {
        let features = feature_columns(&self.model.data);
        let data = &self.model.data;
        let answers = answers(self.model.task);
        let options = CaptureOptions { features: &features, score_key: &data.prediction, answers };
        let frame = read_capture_with(bytes, options).map_err(|error| chain(&error))?.frame;
        let variant = variant_of_path(self.uri.key());
        let mut columns = self.origin(frame.rows());
        columns.push(text_column(VARIANT, std::iter::repeat_n(variant, frame.rows())));
        columns.extend(frame.into_columns());
        let frame = Frame::new(columns).map_err(|error| error.to_string())?;
        let times = frame.find_column("ts").and_then(|it| it.values.as_time()).unwrap_or_default();
        if times.iter().all(Option::is_none) {
            return Err("it has no rows with an event time".to_owned());
        }
        Ok(frame)
    }

    /// Labels say nothing about when they became known but where they lie: `…/yyyy/mm/dd/hh/`.
    fn read_labels(&self, bytes: &[u8]) -> Result<Frame, String> {
        let pairs = read_ground_truth(bytes).map_err(|error| chain(&error))?;
        let collected = time_of_path(self.uri.key()).unwrap_or(self.modified).as_microsecond();
        let number = |label: &Label| match label {
            Label::Number(value) => Some(*value),
            Label::Text(_) => None,
        };
        let class = |label: &Label| match label {
            Label::Number(_) => None,
            Label::Text(text) => Some(text.clone()),
        };
        let classes: Vec<Option<String>> = pairs.iter().map(|it| class(&it.1)).collect();
        let numbers = pairs.iter().map(|it| number(&it.1)).collect();
        let mut columns = self.origin(pairs.len());
        columns.push(text_column("id", pairs.iter().map(|it| Some(it.0.as_str()))));
        columns.push(Column { name: "ts".to_owned(), values: Values::Time(vec![Some(collected); pairs.len()]) });
        columns.push(Column { name: LABEL.to_owned(), values: Values::Numeric(numbers) });
        columns.push(text_column(CLASS, classes.iter().map(Option::as_deref)));
        Frame::new(columns).map_err(|error| error.to_string())
    }

    /// Which file, and which row in it.
    fn origin(&self, rows: usize) -> Vec<Column> {
        let version = self.version();
        let numbers = Values::Numeric((0..rows).map(|it| Some(it as f64)).collect());
        vec![
            text_column(FILE, std::iter::repeat_n(Some(version.as_str()), rows)),
            Column { name: ROW.to_owned(), values: numbers },
        ]
    }

    /// Lists the rows' extracts, sets the marker and notes the arrival. Dying before the transaction leaves objects that nobody
    /// lists; dying after it leaves nothing to do.
    async fn take_in(&self, context: &Context, rows: &Frame) -> Result<Recorded, AppError> {
        let parts = by_day(rows);
        if MAX_DAYS < parts.len() {
            let days = parts.len();
            let reason = format!("it has events on {days} days; split it into files of at most {MAX_DAYS}");
            return self.refuse(context, reason).await;
        }
        let mut extracts = BTreeMap::new();
        for (day, part) in &parts {
            extracts.insert(*day, write_extract(context, self.model, self.kind, *day, part).await?);
        }
        let table = &*context.ports.table;
        let model = self.model.id.clone();
        for _ in 0..MAX_CONFLICTS {
            let before = find_marker(table, &self.key()).await?;
            if let Some(answer) = before.as_ref().and_then(|it| it.marker.answer(&model, &self.etag)) {
                return Ok(answer);
            }
            let count = rows.rows() as u64;
            let Some(writes) = self.writes(context, before, &extracts, rows).await? else {
                let reason = format!("it and what it replaces have events on more than {MAX_DAYS} days");
                return self.refuse(context, reason).await;
            };
            match table.transact(&transaction_token(&writes), &writes).await {
                Ok(()) => return Ok(Recorded::Taken { model, rows: count }),
                Err(error) if error.failure() == Failure::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended(model.to_string()))
    }

    /// The transaction that takes the file in; `None` when it would be too large.
    async fn writes(
        &self,
        context: &Context,
        before: Option<StoredMarker>,
        extracts: &BTreeMap<Timestamp, Extract>,
        rows: &Frame,
    ) -> Result<Option<Vec<Write>>, AppError> {
        let id = &self.model.id;
        let times = rows.find_column("ts").and_then(|it| it.values.as_time()).unwrap_or_default();
        let first = times.iter().flatten().min().copied().unwrap_or_default();
        let from = Timestamp::from_microsecond(first).unwrap_or_default();
        let rows = rows.rows() as u64;
        let replaced = before.as_ref().and_then(|it| it.marker.version.clone());
        let mut days: BTreeMap<Timestamp, u32> = before.as_ref().map(|it| it.marker.days.clone()).unwrap_or_default();
        for (day, extract) in extracts {
            *days.entry(*day).or_default() |= extract.hours;
        }
        if MAX_DAYS < days.len() {
            return Ok(None);
        }
        let marker = FileMarker {
            schema: 1,
            kind: self.kind,
            uri: self.uri.clone(),
            etag: self.etag.clone(),
            refused: None,
            version: Some(self.version()),
            rows,
            from,
            days: extracts.iter().map(|(day, it)| (*day, it.hours)).collect(),
        };
        let objects = extracts.iter().map(|(day, it)| (*day, it.object.clone())).collect();
        let arrival = Arrival { schema: 1, kind: self.kind, days: days.clone(), objects };
        let name = format!("{}#{}", arrival_sort(context.now()), Digest::of(self.version().as_bytes()).hex());
        let arrival_key = Key::new(&arrivals_partition(id), &name);
        let mut writes = vec![
            put(self.key(), before.map(|it| it.generation), to_body(&marker)),
            put(arrival_key, None, to_body(&arrival)),
        ];
        for day in days.keys() {
            let (generation, mut list) = self.list(context, *day).await?;
            list.revision += 1;
            list.dropped.extend(replaced.clone());
            list.dropped.remove(&self.version());
            list.list.extend(extracts.get(day).cloned());
            writes.push(put(extracts_key(id, self.kind.name(), *day), generation, to_body(&list)));
        }
        Ok(Some(writes))
    }

    /// A day's list with room for another extract.
    async fn list(&self, context: &Context, day: Timestamp) -> Result<(Option<Generation>, Extracts), AppError> {
        let key = extracts_key(&self.model.id, self.kind.name(), day);
        let mut item = context.ports.table.get(&key).await?;
        let mut list = Extracts::of(item.as_ref())?;
        if MAX_EXTRACTS <= list.list.len() {
            roll_up(context, self.model, self.kind, day).await?;
            item = context.ports.table.get(&key).await?;
            list = Extracts::of(item.as_ref())?;
        }
        Ok((item.map(|it| it.generation), list))
    }

    /// Refuses damaged content: people are told once, and what was taken in from this address before stays as it is.
    async fn refuse(&self, context: &Context, reason: String) -> Result<Recorded, AppError> {
        let table = &*context.ports.table;
        let before = find_marker(table, &self.key()).await?;
        let refused = Recorded::Refused { model: self.model.id.clone(), reason: reason.clone() };
        if before.as_ref().is_some_and(|it| it.marker.etag == self.etag) {
            return Ok(refused);
        }
        // Told first: dying in between tells twice, the other way round never.
        alert_damaged(context, self.model, &self.uri.to_string(), &self.etag, &reason).await?;
        let generation = before.as_ref().map(|it| it.generation);
        let blank = FileMarker {
            schema: 1,
            kind: self.kind,
            uri: self.uri.clone(),
            etag: String::new(),
            refused: None,
            version: None,
            rows: 0,
            from: Timestamp::UNIX_EPOCH,
            days: BTreeMap::new(),
        };
        let marker = before.filter(|_| Guard::DamagedLeftOut.is_kept()).map_or(blank, |it| it.marker);
        let marker = FileMarker { etag: self.etag.clone(), refused: Some(reason), ..marker };
        let writes = [put(self.key(), generation, to_body(&marker))];
        match table.transact(&transaction_token(&writes), &writes).await {
            // Whoever wrote meanwhile has looked at the file, too.
            Err(error) if error.failure() != Failure::Conflict => Err(error.into()),
            Ok(()) | Err(_) => Ok(refused),
        }
    }
}

fn put(key: Key, generation: Option<Generation>, body: Body) -> Write {
    Write::Put { key, expect: generation.map_or(Expect::Absent, Expect::Generation), body, due: None }
}

fn text_column<'a>(name: &str, texts: impl Iterator<Item = Option<&'a str>>) -> Column {
    Column { name: name.to_owned(), values: Values::Categorical(texts.collect::<Categories>()) }
}
