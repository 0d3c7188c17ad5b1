//! `ingest`: joins the labeled history with captured traffic and the ground truth that came for it.
//!
//! History files carry features and label in one row. Captured requests carry features and an id, label files carry ids
//! and labels; when an id is labeled again, the file visited last wins, which is the one collected last. Files are
//! visited in the order of their names, so the same folders always give the same rows.
//!
//! A folder may hold a year. Capture files are in folders by hour or day of the request, so those well outside the
//! needed span are not opened. Label folders are by the time of labeling, which may be any time later: all are read.
//!
//! Invariants of what is written: every row has an id of its own, a time in `[train.start, holdout.end)` and a finite
//! label, 0 or 1 for a binary task, a text for a multiclass one; rows are in order of time, then id.

use std::collections::HashMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use refit_data::{
    Answers, CaptureOptions, Frame, Kind, Label, ReadError, Values, read_capture_with, read_ground_truth,
};
use serde::Serialize;

use crate::files::Listed;
use crate::join::{Added, DerivedIds, Rows};
use crate::preprocess::label_kind;
use crate::request::{Interval, Request, Task};
use crate::table::{ID, times};
use crate::{Paths, StepError, files, table};

/// How far a capture folder's name may lie from its rows' times: a time zone, or a request over midnight.
const SLACK: SignedDuration = SignedDuration::from_hours(24);

/// What was found, told on stdout as one line; a run whose rows are few can be understood from it.
#[derive(Debug, Default, Serialize)]
struct Counts {
    reference_files: usize,
    reference_rows: usize,
    capture_files: usize,
    capture_files_skipped: usize,
    capture_rows: usize,
    label_files: usize,
    labels: usize,
    outside_span: usize,
    without_features: usize,
    unlabeled: usize,
    duplicates: usize,
    kept: usize,
}

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.processing("request").join("request.json"))?;
    let mut counts = Counts::default();
    let mut rows = Rows::new(request.task, &request.features);
    add_reference(&paths.processing("reference"), &request, &mut rows, &mut counts)?;
    add_captured(paths, &request, &mut rows, &mut counts)?;
    counts.kept = rows.len();

    let path = paths.processing("output").join("ingested.parquet");
    table::write(&path, rows.into_sorted_columns()?)?;
    let candidates = counts.kept + counts.unlabeled;
    let share = if candidates == 0 { 0.0 } else { counts.unlabeled as f64 / candidates as f64 };
    let report = serde_json::json!({
        "step": "ingest", "run_id": request.run_id, "counts": counts, "unlabeled_share": share,
    });
    println!("{report}");
    Ok(())
}

fn add_reference(folder: &Path, request: &Request, rows: &mut Rows, counts: &mut Counts) -> Result<(), StepError> {
    let span = request.span();
    for file in files::list_data(folder)? {
        let frame = read_history(&file, request)?;
        counts.reference_files += 1;
        counts.reference_rows += frame.rows();
        let labels = labels(&frame, &request.label);
        let mut derived = DerivedIds::default();
        for (row, time) in times(&frame, &request.time).iter().enumerate() {
            let refused = |column: &str, problem: String| StepError::Value {
                path: file.name.clone(),
                row: row + 1,
                column: column.to_owned(),
                problem,
            };
            let Some(time) = *time else { return Err(refused(&request.time, "there is no time".to_owned())) };
            if !span.contains_micros(time) {
                counts.outside_span += 1;
                continue;
            }
            let Some(label) = &labels[row] else {
                counts.unlabeled += 1;
                continue;
            };
            check_label(request.task, label).map_err(|problem| refused(&request.label, problem))?;
            let id = match id_of(&frame, row) {
                Some(id) => id.to_owned(),
                None => derived.derive(time, label, &frame, &request.features, row),
            };
            if rows.add(&id, time, label, &frame, row) == Added::Duplicate {
                counts.duplicates += 1;
            }
        }
    }
    Ok(())
}

/// A history file's columns, with `id` where it has one.
fn read_history(file: &Listed, request: &Request) -> Result<Frame, StepError> {
    let mut columns = vec![(request.time.clone(), Kind::Time), (request.label.clone(), label_kind(request.task))];
    columns.extend(request.features.iter().map(|it| (it.name.clone(), it.kind)));
    let without_id = columns.clone();
    columns.push((ID.to_owned(), Kind::Categorical));
    let frame = match table::read_as(&file.path, &columns) {
        Err(ReadError::MissingColumn { name, .. }) if name == ID => table::read_as(&file.path, &without_id),
        other => other,
    };
    frame.map_err(|source| StepError::Data { path: file.name.clone(), source })
}

fn id_of(frame: &Frame, row: usize) -> Option<&str> {
    match frame.find_column(ID).map(|it| &it.values) {
        Some(Values::Categorical(ids)) => ids.get(row).filter(|it| !it.is_empty()),
        Some(Values::Numeric(_) | Values::Time(_)) | None => None,
    }
}

/// The labels of a history file, `None` where there is none.
fn labels(frame: &Frame, name: &str) -> Vec<Option<Label>> {
    match frame.find_column(name).map(|it| &it.values) {
        Some(Values::Numeric(values)) => {
            values.iter().map(|it| it.filter(|it| !it.is_nan()).map(Label::Number)).collect()
        }
        Some(Values::Categorical(values)) => {
            (0..values.codes.len()).map(|row| values.get(row).map(|it| Label::Text(it.to_owned()))).collect()
        }
        Some(Values::Time(_)) | None => vec![None; frame.rows()],
    }
}

fn check_label(task: Task, label: &Label) -> Result<(), String> {
    let shown = |text: &str| text.chars().take(40).collect::<String>();
    match (task, label) {
        (Task::Multiclass, Label::Text(text)) if text.trim().is_empty() => Err("label is an empty text".to_owned()),
        // A prediction column that begins so is a list of probabilities.
        (Task::Multiclass, Label::Text(text)) if text.starts_with('[') => {
            Err(format!("label `{}` begins with `[`, as no class does", shown(text)))
        }
        (Task::Multiclass, Label::Text(_)) => Ok(()),
        (Task::Regression | Task::Binary, Label::Text(text)) => Err(format!("label `{}` is not a number", shown(text))),
        (Task::Regression | Task::Multiclass, Label::Number(label)) if label.is_finite() => Ok(()),
        (Task::Regression | Task::Multiclass, Label::Number(label)) => {
            Err(format!("label {label} is not a finite number"))
        }
        (Task::Binary, Label::Number(label)) if *label == 0.0 || *label == 1.0 => Ok(()),
        (Task::Binary, Label::Number(label)) => Err(format!("label {label} is neither 0 nor 1")),
    }
}

fn add_captured(paths: &Paths, request: &Request, rows: &mut Rows, counts: &mut Counts) -> Result<(), StepError> {
    let labels = read_labels(&paths.processing("labels"), counts)?;
    let features: Vec<(String, Kind)> = request.features.iter().map(|it| (it.name.clone(), it.kind)).collect();
    let answers = match request.task {
        Task::Regression | Task::Binary => Answers::Numbers,
        Task::Multiclass => Answers::Classes,
    };
    // Answers are not learned from, but a file whose answers cannot be read is damaged.
    let options = CaptureOptions { features: &features, score_key: &request.prediction, answers };
    let span = request.span();
    for file in files::list_data(&paths.processing("capture"))? {
        if is_outside(&file.name, &span) {
            counts.capture_files_skipped += 1;
            continue;
        }
        let bytes = files::read(&file.path)?;
        let capture =
            read_capture_with(&bytes, options).map_err(|source| StepError::Data { path: file.name.clone(), source })?;
        counts.capture_files += 1;
        counts.capture_rows += capture.frame.rows();
        for (row, time) in times(&capture.frame, "ts").iter().enumerate() {
            let (Some(time), Some(id)) = (*time, id_of(&capture.frame, row)) else { continue };
            if !span.contains_micros(time) {
                counts.outside_span += 1;
                continue;
            }
            if request.features.iter().all(|it| is_missing(&capture.frame, &it.name, row)) {
                counts.without_features += 1;
                continue;
            }
            let Some(label) = labels.get(id) else {
                counts.unlabeled += 1;
                continue;
            };
            let label = label.checked(request.task)?;
            if rows.add(id, time, label, &capture.frame, row) == Added::Duplicate {
                counts.duplicates += 1;
            }
        }
    }
    Ok(())
}

fn is_missing(frame: &Frame, name: &str, row: usize) -> bool {
    match frame.find_column(name).map(|it| &it.values) {
        Some(Values::Numeric(values)) => values[row].is_none(),
        Some(Values::Categorical(values)) => values.get(row).is_none(),
        Some(Values::Time(values)) => values[row].is_none(),
        None => true,
    }
}

/// The label that counts for an id, and where it stands.
struct LastLabel {
    label: Label,
    file: String,
    number: usize,
}

impl LastLabel {
    fn checked(&self, task: Task) -> Result<&Label, StepError> {
        check_label(task, &self.label).map(|()| &self.label).map_err(|problem| {
            let (path, row, column) = (self.file.clone(), self.number, "groundTruthData".to_owned());
            StepError::Value { path, row, column, problem }
        })
    }
}

fn read_labels(folder: &Path, counts: &mut Counts) -> Result<HashMap<String, LastLabel>, StepError> {
    let mut labels = HashMap::new();
    for file in files::list_data(folder)? {
        let pairs = read_ground_truth(&files::read(&file.path)?)
            .map_err(|source| StepError::Data { path: file.name.clone(), source })?;
        counts.label_files += 1;
        counts.labels += pairs.len();
        for (index, (id, label)) in pairs.into_iter().enumerate() {
            labels.insert(id, LastLabel { label, file: file.name.clone(), number: index + 1 });
        }
    }
    Ok(labels)
}

/// Whether a file's folders, `…/yyyy/mm/dd` or `…/yyyy/mm/dd/hh`, put it wholly outside the span.
///
/// `false` where they do not say: such a file is read.
fn is_outside(name: &str, span: &Interval) -> bool {
    let mut folders: Vec<&str> = name.split('/').collect();
    folders.pop();
    let Some((start, length)) = hour_of(&folders).or_else(|| day_of(&folders)) else { return false };
    let (Ok(from), Ok(to)) = (start.checked_sub(SLACK), start.checked_add(length + SLACK)) else { return false };
    to <= span.start || span.end <= from
}

fn hour_of(folders: &[&str]) -> Option<(Timestamp, SignedDuration)> {
    let (hour, day) = folders.split_last()?;
    let (midnight, _) = day_of(day)?;
    let hour = digits(hour, 2).filter(|it| *it < 24)?;
    Some((midnight.checked_add(SignedDuration::from_hours(i64::from(hour))).ok()?, SignedDuration::from_hours(1)))
}

fn day_of(folders: &[&str]) -> Option<(Timestamp, SignedDuration)> {
    let [.., year, month, day] = folders else { return None };
    let (month, day) = (i8::try_from(digits(month, 2)?).ok()?, i8::try_from(digits(day, 2)?).ok()?);
    let date = Date::new(digits(year, 4)?, month, day).ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some((midnight, SignedDuration::from_hours(24)))
}

fn digits(text: &str, length: usize) -> Option<i16> {
    if text.len() == length && text.bytes().all(|it| it.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> Interval {
        Interval {
            start: "2013-02-01T00:00:00Z".parse().expect("time"),
            end: "2013-03-01T00:00:00Z".parse().expect("time"),
        }
    }

    #[track_caller]
    fn check_outside(name: &str, expected: bool) {
        assert_eq!(is_outside(name, &span()), expected, "{name}");
    }

    #[test]
    fn folders_well_outside_the_span_are_skipped() {
        check_outside("flight-time/champion/2013/01/30/x.jsonl", true);
        check_outside("flight-time/champion/2013/01/31/x.jsonl", false);
        check_outside("flight-time/champion/2013/02/14/07/x.jsonl", false);
        check_outside("flight-time/champion/2013/01/30/22/x.jsonl", true);
        check_outside("flight-time/champion/2013/01/31/00/x.jsonl", false);
        check_outside("2013/03/01/23/x.jsonl", false);
        check_outside("2013/03/02/00/x.jsonl", true);
        check_outside("2013/03/02/x.jsonl", true);
    }

    #[test]
    fn folders_that_do_not_say_are_read() {
        check_outside("x.jsonl", false);
        check_outside("2012/x.jsonl", false);
        check_outside("2012/13/40/x.jsonl", false);
        check_outside("2012/01/02/99/x.jsonl", false);
        check_outside("12/01/02/x.jsonl", false);
        check_outside("2012/01/02", false);
    }

    #[test]
    fn labels_are_finite_and_of_their_task() {
        let text = |it: &str| Label::Text(it.to_owned());
        assert!(check_label(Task::Regression, &Label::Number(-3.5)).is_ok());
        assert!(check_label(Task::Regression, &Label::Number(f64::INFINITY)).is_err());
        assert!(check_label(Task::Binary, &Label::Number(1.0)).is_ok());
        assert!(check_label(Task::Multiclass, &Label::Number(7.0)).is_ok());
        assert!(check_label(Task::Multiclass, &text("late")).is_ok());
        let refused = |task, label: &Label| check_label(task, label).expect_err("refused");
        assert_eq!(refused(Task::Binary, &Label::Number(2.0)), "label 2 is neither 0 nor 1");
        assert_eq!(refused(Task::Binary, &text("late")), "label `late` is not a number");
        assert_eq!(refused(Task::Multiclass, &text(" ")), "label is an empty text");
        assert_eq!(refused(Task::Multiclass, &Label::Number(f64::NAN)), "label NaN is not a finite number");
    }
}
