//! Predictions with the labels that came for them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use refit_core::package::{Measured, Package};
use refit_core::policy::{Metric, Task};
use refit_core::trigger::Source;
use refit_data::{ClassAnswer, Frame, Label, Values};

use super::classes::{ClassRow, classes_of, predicted};
use super::extracts::source;
use super::quality::{measure, measure_classes};

/// Predictions with their labels, each as it was captured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    /// Names them.
    pub(super) source: Source,
    pub(super) times: Vec<i64>,
    labels: Vec<Label>,
    answers: Vec<Answer>,
}

/// What was predicted for a row.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Number(f64),
    Class(ClassAnswer),
}

/// Joins captured rows since a time to their labels, each id once.
pub(super) fn join(capture: &Frame, labels: &BTreeMap<String, Label>, since: Timestamp) -> Joined {
    let mut joined = Joined { source: source(&[]), times: Vec::new(), labels: Vec::new(), answers: Vec::new() };
    let column = |name| capture.find_column(name).map(|it| &it.values);
    let (Some(Values::Categorical(ids)), Some(Values::Time(times)), Some(predictions)) =
        (column("id"), column("ts"), column("prediction"))
    else {
        return joined;
    };
    let answer = |row: usize| match predictions {
        Values::Numeric(numbers) => numbers[row].map(Answer::Number),
        Values::Categorical(texts) => texts.get(row).map(|it| Answer::Class(ClassAnswer::from_text(it))),
        Values::Time(_) => None,
    };
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for (row, time) in times.iter().enumerate() {
        let (Some(id), Some(time), Some(answer)) = (ids.get(row), *time, answer(row)) else { continue };
        let Some(label) = labels.get(id).filter(|it| fits(it, &answer)) else { continue };
        if since.as_microsecond() <= time && seen.insert(id) {
            joined.times.push(time);
            joined.labels.push(label.clone());
            joined.answers.push(answer);
            rows.push(row);
        }
    }
    let told: Vec<String> = joined.labels.iter().map(Label::class).collect();
    let told = Values::Categorical(told.iter().map(|it| Some(it.as_str())).collect());
    let rows = capture.take(&rows);
    let values = ["id", "ts", "prediction"].map(|name| rows.find_column(name).map(|it| &it.values));
    joined.source = source(&values.into_iter().flatten().chain([&told]).collect::<Vec<_>>());
    joined
}

/// Whether a label can be compared with an answer: a number takes a number, a class anything.
fn fits(label: &Label, answer: &Answer) -> bool {
    match (label, answer) {
        (Label::Number(_), Answer::Number(_)) | (_, Answer::Class(_)) => true,
        (Label::Text(_), Answer::Number(_)) => false,
    }
}

impl Joined {
    /// The errors of the rows with their times, in the order of their events: 0 or 1 for classes, the absolute error in
    /// `unit`s for numbers. An answer that names no class of the champion has none.
    pub(super) fn errors(&self, task: Task, unit: f64, champion: &Package) -> Vec<(i64, f64)> {
        let classes = classes_of(champion);
        let of_class = |label: &Label, answer: &Answer| match answer {
            Answer::Class(answer) => Some(predicted(&classes, answer)? != label.class()),
            Answer::Number(_) => None,
        };
        let of_number = |label: &Label, answer: &Answer| Some((number_of_label(label)?, number_of_answer(answer)?));
        let error = |label: &Label, answer: &Answer| match task {
            Task::Regression => of_number(label, answer).map(|(label, score)| (label - score).abs() / unit),
            Task::Binary => of_number(label, answer).map(|(label, score)| share((0.5 <= score) != (0.5 <= label))),
            Task::Multiclass => of_class(label, answer).map(share),
        };
        let rows = self.times.iter().zip(&self.labels).zip(&self.answers);
        let mut errors: Vec<(i64, f64)> =
            rows.filter_map(|((time, label), answer)| Some((*time, error(label, answer)?))).collect();
        // Rows of one moment keep the order of their files.
        errors.sort_by_key(|it| it.0);
        errors
    }

    /// The value of a metric of the champion that made these predictions; see [`measure`].
    pub(super) fn measure(&self, task: Task, metric: Metric, champion: &Package, seed: &str) -> Option<Measured> {
        match task {
            Task::Regression | Task::Binary => {
                let labels: Vec<f64> = self.labels.iter().filter_map(number_of_label).collect();
                let scores: Vec<f64> = self.answers.iter().filter_map(number_of_answer).collect();
                measure(task, metric, &self.times, &labels, &scores, seed)
            }
            Task::Multiclass => {
                let classes = classes_of(champion);
                let labels: Vec<String> = self.labels.iter().map(Label::class).collect();
                let rows: Option<Vec<ClassRow<'_>>> = labels
                    .iter()
                    .zip(&self.answers)
                    .map(|(label, answer)| match answer {
                        Answer::Class(answer) => Some(ClassRow { classes: &classes, answer, label }),
                        Answer::Number(_) => None,
                    })
                    .collect();
                measure_classes(metric, &self.times, &rows?, seed)
            }
        }
    }
}

/// A wrong answer as a number.
fn share(is_wrong: bool) -> f64 {
    f64::from(u8::from(is_wrong))
}

fn number_of_label(label: &Label) -> Option<f64> {
    match label {
        Label::Number(value) => Some(*value),
        Label::Text(_) => None,
    }
}

fn number_of_answer(answer: &Answer) -> Option<f64> {
    match answer {
        Answer::Number(value) => Some(*value),
        Answer::Class(_) => None,
    }
}
