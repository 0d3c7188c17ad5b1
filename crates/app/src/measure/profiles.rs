//! Profiles of captured rows: what drift, prediction drift and the check of inputs are measured from, without reading rows again.
//!
//! Beside each object of captured rows lies one of profiles, made when the rows are taken in and made anew when a day is rolled up. It has a slice for
//! the day, or one for each hour where the policy's windows cut days. A window is the sum of the slices of its days; so a check costs as much as the
//! features and days, however many rows there were.
//!
//! The object of profiles is a function of the rows' object and the size of slices, which are its name. It holds nothing that the rows do not say: where it is
//! missing or cannot be read, where files of an open day may hold the same row, and where a window cuts a slice, the rows are read instead. Either way the
//! window is the same [`WindowProfile`], with the same name of its data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, WindowPolicy};
use refit_core::trigger::Source;
use refit_core::{Digest, RowsDigest};
use refit_data::drift::{FeatureProfile, Profile, ProfileSum, Profiler};
use refit_data::{Answers, Frame, Kind, Values};
use serde::{Deserialize, Serialize};

use super::extracts::{FILE, ROW, VARIANT, hour_of, hours};
use super::{answers, feature_columns};

/// The column of the answers, and what evidence calls them.
pub(super) const PREDICTION: &str = "prediction";

const MAGIC: &[u8; 4] = b"RFWS";
const MICROS_OF_HOUR: i64 = 3_600_000_000;

/// How finely a day is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// Windows are whole days.
    Day,
    /// Windows are whole hours.
    Hour,
}

impl Grain {
    /// `None` for windows that cut hours, which are measured from rows.
    pub(super) fn of(window: &WindowPolicy) -> Option<Grain> {
        let are_whole = |unit: i64| window.size.as_seconds() % unit == 0 && window.hop.as_seconds() % unit == 0;
        if are_whole(86_400) {
            Some(Grain::Day)
        } else if are_whole(3_600) {
            Some(Grain::Hour)
        } else {
            None
        }
    }

    /// The word in the names of objects.
    pub(super) fn name(self) -> &'static str {
        match self {
            Grain::Day => "day",
            Grain::Hour => "hour",
        }
    }
}

/// What is summed up: the model's inputs, and its answers where they are numbers.
pub(super) fn profiled_columns(policy: &ModelPolicy) -> Vec<(String, Kind)> {
    let mut columns = feature_columns(&policy.data);
    match answers(policy.task) {
        Answers::Numbers => columns.push((PREDICTION.to_owned(), Kind::Numeric)),
        Answers::Classes => {}
    }
    columns
}

/// The profile of some rows of a day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slice {
    /// The hours that it has rows of, as bits.
    pub(super) hours: u32,
    pub(super) rows: u64,
    content: RowsDigest,
    profile: Profile,
}

/// A slice as the head of its object lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SliceHead {
    hours: u32,
    rows: u64,
    content: RowsDigest,
    /// The length of its profile.
    bytes: usize,
}

impl Slice {
    fn of(rows: &Frame, columns: &[(String, Kind)]) -> Slice {
        let mut profiler = Profiler::new(columns);
        profiler.add(rows);
        let profile = profiler.finish();
        Slice { hours: hours(rows), rows: rows.rows() as u64, content: rows_digest(rows), profile }
    }
}

/// The slices of rows of one day, each row once.
pub(super) fn slices(rows: &Frame, columns: &[(String, Kind)], grain: Grain) -> Vec<Slice> {
    match grain {
        Grain::Day => vec![Slice::of(rows, columns)],
        Grain::Hour => {
            let mut by_hour: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            let times = rows.find_column("ts").and_then(|it| it.values.as_time()).unwrap_or_default();
            for (row, time) in times.iter().enumerate() {
                if let Some(time) = time {
                    by_hour.entry(hour_of(*time)).or_default().push(row);
                }
            }
            by_hour.values().map(|it| Slice::of(&rows.take(it), columns)).collect()
        }
    }
}

/// The object of slices: the magic, the length of the head, the head as JSON, then the profiles.
pub(super) fn slices_to_bytes(slices: &[Slice]) -> Vec<u8> {
    let profiles: Vec<Vec<u8>> = slices.iter().map(|it| it.profile.to_bytes()).collect();
    let head = slices.iter().zip(&profiles).map(|(it, profile)| SliceHead {
        hours: it.hours,
        rows: it.rows,
        content: it.content,
        bytes: profile.len(),
    });
    let head = serde_json::to_vec(&head.collect::<Vec<_>>()).expect("invariant: own documents serialize");
    let mut bytes = MAGIC.to_vec();
    bytes.extend((head.len() as u32).to_le_bytes());
    bytes.extend(head);
    profiles.iter().for_each(|it| bytes.extend(it));
    bytes
}

/// Reads what [`slices_to_bytes`] gave; `None` for anything else.
pub(super) fn slices_from_bytes(bytes: &[u8]) -> Option<Vec<Slice>> {
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let (head, mut rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let heads: Vec<SliceHead> = serde_json::from_slice(head).ok()?;
    let mut slices = Vec::new();
    for SliceHead { hours, rows, content, bytes } in heads {
        let (profile, behind) = rest.split_at_checked(bytes)?;
        rest = behind;
        slices.push(Slice { hours, rows, content, profile: Profile::from_bytes(profile).ok()? });
    }
    rest.is_empty().then_some(slices)
}

/// What is known of the captured rows of a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WindowProfile {
    /// Rows, each id once a day.
    pub(super) rows: u64,
    /// Hours with rows.
    hours: u32,
    content: RowsDigest,
    /// By feature; the prediction is among them.
    pub(super) features: BTreeMap<String, FeatureProfile>,
}

impl WindowProfile {
    /// From slices, with the day that each is of.
    pub(super) fn sum<'a>(
        slices: impl Iterator<Item = (Timestamp, &'a Slice)>,
        columns: &[(String, Kind)],
    ) -> WindowProfile {
        let mut sum = ProfileSum::new(columns);
        let mut by_day: BTreeMap<Timestamp, u32> = BTreeMap::new();
        let (mut rows, mut content) = (0, RowsDigest::default());
        for (day, it) in slices {
            sum.add(&it.profile, it.rows);
            rows += it.rows;
            content = content.and(it.content);
            *by_day.entry(day).or_default() |= it.hours;
        }
        let hours = by_day.values().map(|it| it.count_ones()).sum();
        WindowProfile { rows, hours, content, features: sum.finish().features }
    }

    /// From rows.
    pub(super) fn of(rows: Option<&Frame>, columns: &[(String, Kind)]) -> WindowProfile {
        let mut profiler = Profiler::new(columns);
        if let Some(rows) = rows {
            profiler.add(rows);
        }
        let Named { content, hours } = rows.map(named).unwrap_or_default();
        WindowProfile {
            rows: rows.map_or(0, |it| it.rows() as u64),
            hours,
            content,
            features: profiler.finish().features,
        }
    }

    /// Names the rows as judged for the first time.
    pub(super) fn source(&self) -> Source {
        Named { content: self.content, hours: self.hours }.source()
    }
}

/// What names rows.
#[derive(Debug, Clone, Copy, Default)]
struct Named {
    content: RowsDigest,
    hours: u32,
}

impl Named {
    fn source(self) -> Source {
        let data: Digest = self.content.named();
        Source { revision: 1, data, hours: self.hours, replaces: None }
    }
}

/// Names captured rows as judged for the first time: the same as their profile does.
pub(super) fn source_of(captured: Option<&Frame>) -> Source {
    captured.map(named).unwrap_or_default().source()
}

fn named(rows: &Frame) -> Named {
    let times = rows.find_column("ts").and_then(|it| it.values.as_time()).unwrap_or_default();
    let mut hours: Vec<i64> = times.iter().flatten().map(|it| it.div_euclid(MICROS_OF_HOUR)).collect();
    hours.sort_unstable();
    hours.dedup();
    Named { content: rows_digest(rows), hours: u32::try_from(hours.len()).unwrap_or(u32::MAX) }
}

/// Names rows by what was asked and answered, and not by where that was read. A value that is missing is not named, so a feature that came into the policy
/// later changes nothing.
fn rows_digest(rows: &Frame) -> RowsDigest {
    let mut columns: Vec<(u64, &Values)> = rows
        .columns()
        .iter()
        .filter(|it| ![FILE, ROW, VARIANT].contains(&it.name.as_str()))
        .map(|it| (Digest::of(it.name.as_bytes()).seed(), &it.values))
        .collect();
    columns.sort_by_key(|it| it.0);
    let mut bytes = Vec::new();
    (0..rows.rows()).fold(RowsDigest::default(), |sum, row| {
        bytes.clear();
        for (name, values) in &columns {
            let mut push = |value: &[u8]| {
                bytes.extend(name.to_be_bytes());
                bytes.extend((value.len() as u64).to_be_bytes());
                bytes.extend(value);
            };
            match values {
                Values::Numeric(values) => values[row].iter().for_each(|it| push(&it.to_be_bytes())),
                Values::Time(values) => values[row].iter().for_each(|it| push(&it.to_be_bytes())),
                Values::Categorical(values) => values.get(row).iter().for_each(|it| push(it.as_bytes())),
            }
        }
        sum.and(RowsDigest::of_row(&bytes))
    })
}

#[cfg(test)]
mod tests {
    use refit_data::{Categories, Column};

    use super::*;

    fn columns() -> Vec<(String, Kind)> {
        vec![("x".to_owned(), Kind::Numeric), ("c".to_owned(), Kind::Categorical)]
    }

    /// Rows at these minutes of the day.
    fn rows(minutes: &[i64]) -> Frame {
        let column = |name: &str, values| Column { name: name.to_owned(), values };
        let texts: Categories = minutes.iter().map(|it| (it % 3 != 0).then_some("a")).collect();
        let columns = vec![
            column("ts", Values::Time(minutes.iter().map(|it| Some(it * 60_000_000)).collect())),
            column("x", Values::Numeric(minutes.iter().map(|it| (it % 5 != 0).then_some(*it as f64)).collect())),
            column("c", Values::Categorical(texts)),
        ];
        Frame::new(columns).unwrap_or_else(|error| panic!("{error}"))
    }

    fn sum(slices: &[Slice]) -> WindowProfile {
        WindowProfile::sum(slices.iter().map(|it| (Timestamp::UNIX_EPOCH, it)), &columns())
    }

    #[test]
    fn slices_read_back_and_add_up_to_what_the_rows_give() {
        let minutes: Vec<i64> = (0..600).collect();
        let frame = rows(&minutes);
        let expected = WindowProfile::of(Some(&frame), &columns());
        assert_eq!((expected.rows, expected.hours), (600, 10));
        for (grain, n_slices) in [(Grain::Day, 1), (Grain::Hour, 10)] {
            let slices = slices(&frame, &columns(), grain);
            assert_eq!(slices.len(), n_slices);
            let read = slices_from_bytes(&slices_to_bytes(&slices)).unwrap_or_else(|| panic!("unreadable"));
            let found = sum(&read);
            assert_eq!(found.source(), expected.source());
            assert_eq!((found.rows, found.hours), (expected.rows, expected.hours));
            let counts = |it: &WindowProfile| it.features.values().map(FeatureProfile::counts).collect::<Vec<_>>();
            assert_eq!(counts(&found), counts(&expected));
        }
    }

    #[test]
    fn damaged_slices_are_no_slices() {
        let bytes = slices_to_bytes(&slices(&rows(&[1, 2, 3]), &columns(), Grain::Day));
        for length in 0..bytes.len() {
            assert_eq!(slices_from_bytes(&bytes[..length]), None, "{length}");
        }
        assert_eq!(slices_from_bytes(b"RFWS\xff\xff\xff\xff"), None);
    }

    #[test]
    fn rows_have_one_name_in_any_order_and_with_any_features_without_values() {
        let (there, back) = (rows(&[1, 2, 3]), rows(&[3, 2, 1]));
        assert_eq!(source_of(Some(&there)), source_of(Some(&back)));
        assert_ne!(source_of(Some(&there)), source_of(Some(&rows(&[1, 2, 4]))));
        let mut more = there.clone().into_columns();
        more.push(Column { name: "new".to_owned(), values: Values::Numeric(vec![None; 3]) });
        let more = Frame::new(more).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source_of(Some(&there)), source_of(Some(&more)));
        assert_eq!(source_of(None), WindowProfile::of(None, &columns()).source());
    }
}
