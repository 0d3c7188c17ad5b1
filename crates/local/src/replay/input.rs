//! What is played: rows in time order, checked before anything is written.

use jiff::Timestamp;
use refit_core::Digest;
use refit_core::policy::{FeatureKind, ModelPolicy, Task};
use refit_data::{Frame, Kind, Label, RangeRead, ReadError, ReadOptions, Values, class_name};

use crate::world::WorldError;

/// The column that names rows, where the file has one.
const ID: &str = "id";

/// Rows in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The file's name, for the document.
    pub source: String,
    /// The digest of its content.
    pub digest: Digest,
    /// The features.
    pub features: Frame,
    /// One id a row, distinct.
    pub ids: Vec<String>,
    /// One event time a row, microseconds, not decreasing.
    pub times: Vec<i64>,
    /// One label a row: a number, or the name of a class.
    pub labels: Vec<Option<Label>>,
}

impl Rows {
    /// Reads rows for a model.
    ///
    /// # Errors
    /// [`WorldError::Data`] says what is wrong, where, and what to do.
    pub fn read(source: &str, bytes: &[u8], policy: &ModelPolicy) -> Result<Rows, WorldError> {
        let wrong = |why: String| WorldError::Data(format!("{source}: {why}"));
        check_name(source, bytes).map_err(wrong)?;
        let data = &policy.data;
        let label_kind = match policy.task {
            Task::Regression | Task::Binary => Kind::Numeric,
            Task::Multiclass => Kind::Categorical,
        };
        let mut wanted: Vec<(String, Kind)> = vec![(data.time.clone(), Kind::Time), (data.label.clone(), label_kind)];
        wanted.extend(data.features.iter().map(|(name, kind)| {
            let kind = match kind {
                FeatureKind::Numeric => Kind::Numeric,
                FeatureKind::Categorical => Kind::Categorical,
            };
            (name.clone(), kind)
        }));
        let mut with_id = wanted.clone();
        with_id.push((ID.to_owned(), Kind::Categorical));
        let has_own_id = data.features.contains_key(ID);
        let read = |columns: Vec<(String, Kind)>| read_columns(&bytes, columns);
        let frame = match read(if has_own_id { wanted.clone() } else { with_id }) {
            Err(ReadError::MissingColumn { name, .. }) if name == ID => read(wanted),
            other => other,
        }
        .map_err(|error| wrong(refit_app::chain(&error)))?;
        if frame.rows() == 0 {
            return Err(wrong("it has no rows".to_owned()));
        }
        let times = times(&frame, &data.time).map_err(wrong)?;
        let ids = ids(&frame, has_own_id).map_err(wrong)?;
        let labels: Vec<Option<Label>> = match frame.find_column(&data.label).map(|it| &it.values) {
            Some(Values::Numeric(numbers)) => numbers.iter().map(|it| it.map(Label::Number)).collect(),
            Some(Values::Categorical(texts)) => {
                (0..texts.codes.len()).map(|row| texts.get(row).map(|it| Label::Text(class_name(it)))).collect()
            }
            Some(Values::Time(_)) | None => {
                return Err(wrong(format!("it has no numeric label column `{}`", data.label)));
            }
        };
        if labels.iter().all(Option::is_none) {
            return Err(wrong(format!("no row has a label: column `{}` is empty", data.label)));
        }
        let features = frame.into_columns().into_iter().filter(|it| data.features.contains_key(&it.name)).collect();
        let features = Frame::new(features).map_err(|error| wrong(error.to_string()))?;
        Ok(Rows { source: source.to_owned(), digest: Digest::of(bytes), features, ids, times, labels })
    }

    /// The labels of some rows as a column.
    pub(super) fn label_values(&self, task: Task, rows: &[usize]) -> Values {
        match task {
            Task::Regression | Task::Binary => {
                let number = |row: &usize| match &self.labels[*row] {
                    Some(Label::Number(number)) => Some(*number),
                    Some(Label::Text(_)) | None => None,
                };
                Values::Numeric(rows.iter().map(number).collect())
            }
            Task::Multiclass => {
                let names: Vec<Option<String>> =
                    rows.iter().map(|row| self.labels[*row].as_ref().map(Label::class)).collect();
                Values::Categorical(names.iter().map(Option::as_deref).collect())
            }
        }
    }

    /// How many rows there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// The index of the first row at or after `time`.
    #[must_use]
    pub fn first_at(&self, time: Timestamp) -> usize {
        self.times.partition_point(|it| *it < time.as_microsecond())
    }

    /// The time of a row.
    #[must_use]
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_microsecond(self.times[row]).unwrap_or(Timestamp::MAX)
    }
}

/// The content tells the format; a name that says another is a mistake that is better found than guessed around.
fn check_name(source: &str, bytes: &[u8]) -> Result<(), String> {
    let is_parquet = bytes.starts_with(b"PAR1");
    let name = source.to_ascii_lowercase();
    if name.ends_with(".parquet") && !is_parquet {
        return Err("it is named like Parquet, but is none: give it its right name".to_owned());
    }
    let is_named_text = [".csv", ".tsv", ".json", ".jsonl", ".ndjson"].iter().any(|it| name.ends_with(it));
    if is_named_text && is_parquet {
        return Err("it is named like text, but is Parquet: give it its right name".to_owned());
    }
    Ok(())
}

fn read_columns(bytes: &dyn RangeRead, columns: Vec<(String, Kind)>) -> Result<Frame, ReadError> {
    refit_data::read(bytes, &ReadOptions { columns: Some(columns) })
}

fn times(frame: &Frame, name: &str) -> Result<Vec<i64>, String> {
    let Some(Values::Time(values)) = frame.find_column(name).map(|it| &it.values) else {
        return Err(format!("it has no time column `{name}`"));
    };
    let mut times = Vec::with_capacity(values.len());
    for (row, value) in values.iter().enumerate() {
        let time = value.ok_or_else(|| format!("row {} has no `{name}`", row + 1))?;
        if times.last().is_some_and(|last| time < *last) {
            return Err(format!("row {} is earlier than the row before: sort the file by `{name}`", row + 1));
        }
        times.push(time);
    }
    Ok(times)
}

fn ids(frame: &Frame, has_own_id: bool) -> Result<Vec<String>, String> {
    let column = frame.find_column(ID).filter(|_| !has_own_id);
    let Some(Values::Categorical(values)) = column.map(|it| &it.values) else {
        return Ok((1..=frame.rows()).map(|it| format!("row-{it:09}")).collect());
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut ids = Vec::with_capacity(frame.rows());
    for row in 0..frame.rows() {
        let id = values.get(row).ok_or_else(|| format!("row {} has no `{ID}`", row + 1))?;
        if !seen.insert(id) {
            return Err(format!("row {} repeats the id `{id}`", row + 1));
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}
