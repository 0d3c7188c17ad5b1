//! The answer of a replay: what was served against the first champion left alone, on the same rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_app::measure::{ClassRow, classes_of, score_classes};
use refit_app::ports::Objects as _;
use refit_core::policy::{Metric, ModelPolicy, Task};
use refit_data::{CaptureOptions, ClassAnswer, Kind, Label, Values, read_capture_with};
use refit_stats::quality::Scored;
use refit_steps::Scores;

use super::document::{History, Quality, QualityMean, QualityWindow};
use super::input::Rows;
use super::traffic::load_model;
use crate::world::{World, WorldError};

/// Most bytes of a capture file.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// The metric that quality is told in: the one the policy watches, else the task's plainest.
fn metric_of(policy: &ModelPolicy) -> Metric {
    match (&policy.triggers.performance, policy.task) {
        (Some(performance), _) => performance.metric,
        (None, Task::Regression) => Metric::Mae,
        (None, Task::Binary | Task::Multiclass) => Metric::LogLoss,
    }
}

/// Computes the quality of what was served and of the first champion, by window, over rows from `begin` on.
pub(super) fn compute(
    world: &World,
    rows: &Rows,
    policy: &ModelPolicy,
    history: &History,
    begin: usize,
) -> Result<Quality, WorldError> {
    let metric = metric_of(policy);
    let served = read_served(world, rows, policy)?;
    let first = history
        .promotions()
        .first()
        .and_then(|it| history.packages.iter().find(|package| package.version == it.version).cloned());
    let Some(first) = first else {
        return Ok(Quality { metric, windows: Vec::new(), mean: QualityMean { frozen: None, refit: None } });
    };
    let frozen_model = load_model(world, &first.arn)?;
    let indices: Vec<usize> = (begin..rows.count()).collect();
    let frozen = frozen_model
        .score(&rows.features.take(&indices))
        .map_err(|source| WorldError::Scoring { package: first.arn.clone(), source })?;
    let frozen_classes = classes_of(&first);
    let serving = Serving::of(history);
    // A row between two windows counts, too: with the window before it.
    let mut by_window: BTreeMap<Timestamp, Side<'_>> = BTreeMap::new();
    for (place, row) in indices.into_iter().enumerate() {
        let (Some(refit), Some(label)) = (&served[row], &rows.labels[row]) else { continue };
        let side = by_window.entry(policy.window.hop.floor(rows.time(row))).or_default();
        side.labels.push(label);
        side.refit.push((serving.classes_at(rows.time(row)), refit.clone()));
        side.frozen.push((&frozen_classes, answer_at(&frozen, place)));
    }
    let windows: Vec<QualityWindow> = by_window
        .into_iter()
        .map(|(start, side)| QualityWindow {
            start,
            end: policy.window.hop.after(start),
            rows: side.labels.len() as u64,
            frozen: value(policy.task, metric, &side.labels, &side.frozen),
            refit: value(policy.task, metric, &side.labels, &side.refit),
        })
        .collect();
    let mean = QualityMean { frozen: mean(&windows, |it| it.frozen), refit: mean(&windows, |it| it.refit) };
    Ok(Quality { metric, windows, mean })
}

/// What a row was answered.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Number(f64),
    Class(ClassAnswer),
}

fn answer_at(scores: &Scores, row: usize) -> Answer {
    match scores {
        Scores::Numbers(numbers) => Answer::Number(numbers[row]),
        Scores::Classes(rows) => Answer::Class(ClassAnswer::Probabilities(rows[row].clone())),
    }
}

/// The classes of what served, by the time from which it did.
struct Serving {
    since: Vec<(Timestamp, Vec<String>)>,
}

impl Serving {
    fn of(history: &History) -> Serving {
        let promoted = history.promotions().into_iter().map(|it| (it.at, it.version));
        let restored = history.rollbacks().into_iter().map(|it| (it.at, it.to));
        let mut changes: Vec<(Timestamp, u64)> = promoted.chain(restored).collect();
        changes.sort_by_key(|it| it.0);
        let classes = |version| {
            let package = history.packages.iter().find(|it| it.version == version);
            package.map(classes_of).unwrap_or_default()
        };
        Serving { since: changes.into_iter().map(|(at, version)| (at, classes(version))).collect() }
    }

    fn classes_at(&self, time: Timestamp) -> &[String] {
        let before = self.since.partition_point(|(at, _)| *at <= time);
        before.checked_sub(1).map_or(&[], |it| &self.since[it].1)
    }
}

/// One window's rows: labels, and each answer with the classes that it is in the order of.
#[derive(Default)]
struct Side<'a> {
    labels: Vec<&'a Label>,
    refit: Vec<(&'a [String], Answer)>,
    frozen: Vec<(&'a [String], Answer)>,
}

fn value(task: Task, metric: Metric, labels: &[&Label], answers: &[(&[String], Answer)]) -> Option<f64> {
    let scored = match task {
        Task::Regression => {
            let (labels, scores) = numbers(labels, answers)?;
            Scored::regression(&labels, &scores).ok()?
        }
        Task::Binary => {
            let (labels, scores) = numbers(labels, answers)?;
            Scored::binary(&labels, &scores).ok()?
        }
        Task::Multiclass => {
            let names: Vec<String> = labels.iter().map(|it| it.class()).collect();
            let rows = names.iter().zip(answers).map(|(label, (classes, answer))| match answer {
                Answer::Class(answer) => Some(ClassRow { classes, answer, label }),
                Answer::Number(_) => None,
            });
            score_classes(&rows.collect::<Option<Vec<_>>>()?)?
        }
    };
    scored.value(metric.name().parse().ok()?)
}

fn numbers(labels: &[&Label], answers: &[(&[String], Answer)]) -> Option<(Vec<f64>, Vec<f64>)> {
    let number = |(label, (_, answer)): (&&Label, &(&[String], Answer))| match (label, answer) {
        (Label::Number(label), Answer::Number(answer)) => Some((*label, *answer)),
        (Label::Text(_), _) | (_, Answer::Class(_)) => None,
    };
    labels.iter().zip(answers).map(number).collect()
}

/// The mean over windows, each weighed by its rows; `None` when a window has no value.
fn mean(windows: &[QualityWindow], side: impl Fn(&QualityWindow) -> Option<f64>) -> Option<f64> {
    let defined: Vec<(f64, f64)> = windows.iter().filter_map(|it| Some((side(it)?, it.rows as f64))).collect();
    let rows: f64 = defined.iter().map(|it| it.1).sum();
    (0.0 < rows).then(|| defined.iter().map(|(value, weight)| value * weight).sum::<f64>() / rows)
}

/// What each row was answered, by row number; read back from the capture files.
fn read_served(world: &World, rows: &Rows, policy: &ModelPolicy) -> Result<Vec<Option<Answer>>, WorldError> {
    let row_of: BTreeMap<&str, usize> = rows.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let features: Vec<(String, Kind)> = Vec::new();
    let options = CaptureOptions {
        features: &features,
        score_key: &policy.data.prediction,
        answers: refit_app::measure::answers(policy.task),
    };
    let mut served = vec![None; rows.count()];
    let mut after: Option<String> = None;
    loop {
        let page = world.block_on(world.objects.list(&policy.data.capture, after.as_deref()))?;
        for info in &page.items {
            // Not traffic: what was uploaded by hand repeats a row with another answer, and placeholders are empty.
            if info.uri.key().ends_with("/upload.jsonl") || info.size == 0 {
                continue;
            }
            let object = world.block_on(world.objects.get(&info.uri, MAX_FILE_BYTES))?;
            let capture = read_capture_with(&object.bytes, options)
                .map_err(|error| WorldError::Data(format!("{}: {}", info.uri, refit_app::chain(&error))))?;
            let column = |name| capture.frame.find_column(name).map(|it| &it.values);
            let (Some(Values::Categorical(ids)), Some(answers)) = (column("id"), column("prediction")) else {
                continue;
            };
            for captured in 0..capture.frame.rows() {
                let answer = match answers {
                    Values::Numeric(numbers) => numbers[captured].map(Answer::Number),
                    Values::Categorical(texts) => {
                        texts.get(captured).map(|it| Answer::Class(ClassAnswer::from_text(it)))
                    }
                    Values::Time(_) => None,
                };
                if let Some(&row) = ids.get(captured).and_then(|id| row_of.get(id)) {
                    served[row] = answer;
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(served),
        }
    }
}
