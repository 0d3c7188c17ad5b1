//! Extracts: the rows of capture and label files, cut by day of event time, so that a raw file is read once.
//!
//! An extract is an immutable, content-addressed Parquet object; one item a day and kind lists the extracts that count.
//! `record-window` appends to the list; when a day is over, or has many, its extracts are rolled up into one object and the
//! list is swapped by a conditional transaction. Whoever dies in between leaves an object that nobody lists. Which object a
//! row stands in makes no difference: rows are ordered by time, then file, then place in the file, and an id counts once.
//!
//! Memory: at most [`MAX_WINDOW_ROWS`] rows of a window, as many in the cache of a check, and one object, which is one file's
//! day or at most [`MAX_OBJECT_ROWS`] rows. A window with more rows is judged on a sample, chosen by the ids' digests, so that
//! predictions and labels are sampled alike.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::trigger::Source;
use refit_core::{Digest, ModelId, ObjectUri, Window};
use refit_data::{Answers, Categories, Column, Frame, Kind, MISSING, ReadOptions, Values, write_parquet};
use serde::{Deserialize, Serialize};

use super::profiles::{Grain, profiled_columns, slices, slices_to_bytes};
use super::{MAX_FILE_BYTES, answers, feature_columns};
use crate::documents::{extracts_key, parse, state_uri, to_body};
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{Expect, Failure, Item, Write};
use crate::state::transaction_token;
use crate::use_cases::Context;
use crate::use_cases::record_window::FileKind;

/// Most rows of a window that are judged; a larger one is sampled.
pub(crate) const MAX_WINDOW_ROWS: u64 = 1_000_000;
/// Extracts are merged as long as the result has at most this many rows.
const MAX_OBJECT_ROWS: u64 = 1_000_000;
/// From this many extracts on a day's list is rolled up before another is appended: so that 90 lists fit into a transaction.
pub(crate) const MAX_EXTRACTS: usize = 240;
/// From this many extracts on a day is rolled up although it is not over.
pub(super) const OPEN_EXTRACTS: usize = 24;
const MICROS_OF_HOUR: i64 = 3_600_000_000;

/// The version of its file that a row is from: the address and a digest of its content.
pub(crate) const FILE: &str = "refit:file";
/// The number of a row in its file.
pub(crate) const ROW: &str = "refit:row";
/// The variant that answered, where the file's address names it.
pub(crate) const VARIANT: &str = "refit:variant";
/// The number of a label.
pub(crate) const LABEL: &str = "refit:label";
/// The class that a label names.
pub(crate) const CLASS: &str = "refit:class";

/// Rows of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    /// The content of the object.
    pub(crate) object: Digest,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// Bit `h` is set when it has rows of hour `h`.
    pub(crate) hours: u32,
}

/// The extracts of one day and kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extracts {
    /// Document version.
    pub(crate) schema: u16,
    /// How often a file changed the day.
    pub(crate) revision: u64,
    /// The objects that hold the day's rows.
    pub(crate) list: Vec<Extract>,
    /// Versions of files that were overwritten: their rows do not count.
    pub(crate) dropped: BTreeSet<String>,
}

impl Extracts {
    /// The document of an item; an empty one where there is none.
    pub(crate) fn of(item: Option<&Item>) -> Result<Extracts, AppError> {
        item.map_or_else(|| Ok(Extracts { schema: 1, ..Extracts::default() }), parse)
    }
}

/// The day of a time.
pub(crate) fn day_of(time: Timestamp) -> Timestamp {
    Span::days(1).floor(time)
}

/// The days from that of `from` to that of the last moment before `until`, oldest first.
pub(crate) fn days(from: Timestamp, until: Timestamp) -> impl DoubleEndedIterator<Item = Timestamp> {
    let first = day_of(from).as_second();
    let count = (until.as_second().saturating_sub(first).saturating_add(86_399) / 86_400).max(0);
    (0..count).filter_map(move |index| Timestamp::from_second(first + index * 86_400).ok())
}

/// The rows of each day, by the column `ts`; rows without a time stand on none.
pub(crate) fn by_day(frame: &Frame) -> BTreeMap<Timestamp, Frame> {
    let mut rows: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
    for (row, time) in times(frame).iter().enumerate() {
        if let Some(time) = time.and_then(|it| Timestamp::from_microsecond(it).ok()) {
            rows.entry(day_of(time)).or_default().push(row);
        }
    }
    rows.into_iter().map(|(day, rows)| (day, frame.take(&rows))).collect()
}

pub(super) fn times(frame: &Frame) -> &[Option<i64>] {
    frame.find_column("ts").and_then(|it| it.values.as_time()).unwrap_or_default()
}

pub(super) fn texts<'a>(frame: &'a Frame, name: &str) -> Option<&'a Categories> {
    frame.find_column(name).and_then(|it| it.values.as_categorical())
}

pub(super) fn numbers<'a>(frame: &'a Frame, name: &str) -> &'a [Option<f64>] {
    frame.find_column(name).and_then(|it| it.values.as_numeric()).unwrap_or_default()
}

/// The hours that rows of one day stand in, as bits.
pub(super) fn hours(frame: &Frame) -> u32 {
    times(frame).iter().flatten().fold(0, |mask, time| mask | 1 << hour_of(*time))
}

/// The hour of its day that a time in microseconds is in.
pub(super) fn hour_of(time: i64) -> u32 {
    u32::try_from(time.div_euclid(MICROS_OF_HOUR).rem_euclid(24)).unwrap_or(0)
}

/// The hours of a day that a window reaches into.
pub(crate) fn hours_within(day: Timestamp, window: &Window) -> u32 {
    let hour = |index: i64| Span::hours(index).after(day);
    (0..24).filter(|it| window.start < hour(it + 1) && hour(*it) < window.end).fold(0, |mask, it| mask | 1 << it)
}

fn object_uri(context: &Context, model: &ModelId, kind: FileKind, day: Timestamp, object: &Digest) -> ObjectUri {
    let day = day.strftime("%Y-%m-%d").to_string();
    let name = format!("{}.parquet", object.hex());
    state_uri(&context.settings.bucket, &["windows", model.as_ref(), &day, kind.name(), &name])
}

/// Where the profiles of an object of captured rows are.
pub(super) fn slices_uri(
    context: &Context,
    model: &ModelId,
    day: Timestamp,
    object: &Digest,
    grain: Grain,
) -> ObjectUri {
    let day = day.strftime("%Y-%m-%d").to_string();
    let name = format!("{}.{}.profiles", object.hex(), grain.name());
    state_uri(&context.settings.bucket, &["windows", model.as_ref(), &day, FileKind::Capture.name(), &name])
}

/// Writes rows of one day as an object, and of captured ones their profiles beside it; nothing lists it yet.
pub(crate) async fn write_extract(
    context: &Context,
    policy: &ModelPolicy,
    kind: FileKind,
    day: Timestamp,
    rows: &Frame,
) -> Result<Extract, AppError> {
    let (objects, model) = (&*context.ports.objects, &policy.id);
    let bytes = write_parquet(rows);
    let object = Digest::of(&bytes);
    if let (FileKind::Capture, Some(grain)) = (kind, Grain::of(&policy.window)) {
        let rows = first_of_each(&in_order(&conform(rows, &columns(policy, kind))));
        let bytes = slices_to_bytes(&slices(&rows, &profiled_columns(policy), grain));
        ensure_object(objects, &slices_uri(context, model, day, &object, grain), &bytes).await?;
    }
    ensure_object(objects, &object_uri(context, model, kind, day, &object), &bytes).await?;
    Ok(Extract { object, rows: rows.rows() as u64, hours: hours(rows) })
}

pub(super) async fn read_extract(
    context: &Context,
    model: &ModelId,
    kind: FileKind,
    day: Timestamp,
    object: &Digest,
) -> Result<Frame, AppError> {
    let uri = object_uri(context, model, kind, day, object);
    let stored = context.ports.objects.get(&uri, MAX_FILE_BYTES).await?;
    refit_data::read(&stored.bytes, &ReadOptions::all())
        .map_err(|error| AppError::CorruptObject { uri: uri.to_string(), source: error.into() })
}

/// Merges a day's extracts into as few objects as may be, without rows that do not count. Run twice, late or by two workers
/// it leads to the same list: the objects' names are their content, and the swap is conditional.
pub(crate) async fn roll_up(
    context: &Context,
    policy: &ModelPolicy,
    kind: FileKind,
    day: Timestamp,
) -> Result<(), AppError> {
    let key = extracts_key(&policy.id, kind.name(), day);
    let Some(item) = context.ports.table.get(&key).await? else { return Ok(()) };
    let mut extracts: Extracts = parse(&item)?;
    let groups = groups(extracts.list.drain(..));
    if extracts.dropped.is_empty() && groups.iter().all(|it| it.len() == 1) {
        return Ok(());
    }
    let columns = columns(policy, kind);
    for group in groups {
        if extracts.dropped.is_empty() && group.len() == 1 {
            extracts.list.extend(group);
            continue;
        }
        let mut frames = Vec::new();
        for extract in &group {
            let frame = read_extract(context, &policy.id, kind, day, &extract.object).await?;
            frames.push(filter(&conform(&frame, &columns), &extracts.dropped, |_| true));
        }
        let rows = in_order(&concat(&frames)?);
        if 0 < rows.rows() {
            extracts.list.push(write_extract(context, policy, kind, day, &rows).await?);
        }
    }
    extracts.dropped.clear();
    let body = to_body(&extracts);
    let writes = [Write::Put { key, expect: Expect::Generation(item.generation), body, due: None }];
    match context.ports.table.transact(&transaction_token(&writes), &writes).await {
        // Somebody appended or rolled up meanwhile: what was read still stands, the next check tries again.
        Err(error) if error.failure() != Failure::Conflict => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Extracts that go into one object.
pub(super) fn groups(extracts: impl Iterator<Item = Extract>) -> Vec<Vec<Extract>> {
    let mut groups: Vec<Vec<Extract>> = Vec::new();
    for extract in extracts {
        match groups.last_mut() {
            Some(group) if group.iter().map(|it| it.rows).sum::<u64>() + extract.rows <= MAX_OBJECT_ROWS => {
                group.push(extract);
            }
            _ => groups.push(vec![extract]),
        }
    }
    groups
}

/// The columns of an extract.
pub(super) fn columns(policy: &ModelPolicy, kind: FileKind) -> Vec<(String, Kind)> {
    let named =
        |names: &[(&str, Kind)]| names.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect::<Vec<_>>();
    let mut columns =
        named(&[("id", Kind::Categorical), ("ts", Kind::Time), (FILE, Kind::Categorical), (ROW, Kind::Numeric)]);
    match kind {
        FileKind::Capture => {
            let prediction = match answers(policy.task) {
                Answers::Numbers => Kind::Numeric,
                Answers::Classes => Kind::Categorical,
            };
            columns.extend(named(&[(VARIANT, Kind::Categorical), ("prediction", prediction)]));
            columns.extend(feature_columns(&policy.data));
        }
        FileKind::Labels => columns.extend(named(&[(LABEL, Kind::Numeric), (CLASS, Kind::Categorical)])),
    }
    columns
}

/// The frame with exactly these columns. What was taken in before a feature came into the policy, or changed its kind, has
/// no values of it.
pub(super) fn conform(frame: &Frame, columns: &[(String, Kind)]) -> Frame {
    let missing = |kind: Kind| match kind {
        Kind::Numeric => Values::Numeric(vec![None; frame.rows()]),
        Kind::Time => Values::Time(vec![None; frame.rows()]),
        Kind::Categorical => Values::Categorical(std::iter::repeat_n(None, frame.rows()).collect()),
    };
    let columns = columns.iter().map(|(name, kind)| {
        let stored = frame.find_column(name).filter(|it| it.values.kind() == *kind);
        Column { name: name.clone(), values: stored.map_or_else(|| missing(*kind), |it| it.values.clone()) }
    });
    Frame::new(columns.collect()).unwrap_or_default()
}

pub(super) fn concat(frames: &[Frame]) -> Result<Frame, AppError> {
    Frame::concat(frames).map_err(|error| AppError::Invalid(format!("extracts of a day: {error}")))
}

/// The rows of files that still count, for which `is_wanted`.
pub(super) fn filter(frame: &Frame, dropped: &BTreeSet<String>, is_wanted: impl Fn(usize) -> bool) -> Frame {
    let files = texts(frame, FILE);
    let counts = |row: usize| files.and_then(|it| it.get(row)).is_none_or(|it| !dropped.contains(it));
    let kept: Vec<usize> = (0..frame.rows()).filter(|&row| is_wanted(row) && counts(row)).collect();
    frame.take(&kept)
}

/// The rows by time, then file, then place in the file; each of them once.
pub(super) fn in_order(frame: &Frame) -> Frame {
    let (times, rows, files) = (times(frame), numbers(frame, ROW), texts(frame, FILE));
    let key = |row: usize| (times[row], files.and_then(|it| it.get(row)), rows[row].unwrap_or(0.0) as u64);
    let mut order: Vec<usize> = (0..frame.rows()).collect();
    order.sort_by_key(|&row| key(row));
    order.dedup_by_key(|row| key(*row));
    frame.take(&order)
}

/// The first row of each id.
pub(super) fn first_of_each(frame: &Frame) -> Frame {
    let Some(ids) = texts(frame, "id") else { return frame.clone() };
    let mut seen = HashSet::new();
    let kept: Vec<usize> =
        (0..frame.rows()).filter(|&row| ids.codes[row] == MISSING || seen.insert(ids.codes[row])).collect();
    if kept.len() == frame.rows() { frame.clone() } else { frame.take(&kept) }
}

/// Names predictions with their labels: other values, another name.
fn fingerprint(columns: &[&Values]) -> Digest {
    let digests: Vec<Digest> = columns
        .iter()
        .map(|values| {
            let mut bytes = Vec::new();
            let mut push = |part: Option<&[u8]>| {
                bytes.extend(part.map_or(u64::MAX, |it| it.len() as u64).to_be_bytes());
                bytes.extend(part.unwrap_or_default());
            };
            match values {
                Values::Numeric(values) => {
                    values.iter().for_each(|it| push(it.map(f64::to_be_bytes).as_ref().map(|it| &it[..])))
                }
                Values::Time(values) => {
                    values.iter().for_each(|it| push(it.map(i64::to_be_bytes).as_ref().map(|it| &it[..])))
                }
                Values::Categorical(values) => {
                    (0..values.codes.len()).for_each(|row| push(values.get(row).map(str::as_bytes)));
                }
            }
            Digest::of(&bytes)
        })
        .collect();
    Digest::of_list(&digests.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

/// Names these rows as judged for the first time.
pub(crate) fn source(columns: &[&Values]) -> Source {
    let times = columns.iter().find_map(|it| it.as_time()).unwrap_or_default();
    let hours: BTreeSet<i64> = times.iter().flatten().map(|it| it.div_euclid(MICROS_OF_HOUR)).collect();
    let hours = u32::try_from(hours.len()).unwrap_or(u32::MAX);
    Source { revision: 1, data: fingerprint(columns), hours, replaces: None }
}
