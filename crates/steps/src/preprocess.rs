//! `preprocess`: splits by time, decides where training begins, fits the encoder on the training rows, encodes them.
//!
//! The hold-out stays raw: champion and candidate have encoders of their own, and both are to see the same rows.
//! With a champion to go on from, the rows carry the margins that it gives them, and its document goes along.

use refit_data::{Column, Frame, Kind};

use crate::continuation::{Plan, Rows, Start, find_start};
use crate::encode::Encoder;
use crate::engine::{Loss, Margins};
use crate::request::{Interval, Request, Task};
use crate::table::{ID, LABEL, TS, numeric_column, texts, times};
use crate::{Paths, StepError, files, table};

/// Below this an ensemble only memorizes.
const MIN_TRAIN_ROWS: usize = 50;
/// Below this no comparison with the champion can come out either way.
const MIN_HOLDOUT_ROWS: usize = 20;
/// More classes than this are numbers or ids that were taken for classes: each costs a tree a round.
const MAX_CLASSES: usize = 100;

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.processing("request").join("request.json"))?;
    let rows = table::read(&paths.processing("data").join("ingested.parquet"), &raw_columns(&request))?;
    let train = rows.take(&rows_in(&rows, &request.train));
    let holdout = rows.take(&rows_in(&rows, &request.holdout));
    for (part, setting, interval, needed, found) in [
        ("training", "window", request.train, MIN_TRAIN_ROWS, train.rows()),
        ("hold-out", "holdout", request.holdout, MIN_HOLDOUT_ROWS, holdout.rows()),
    ] {
        if found < needed {
            return Err(StepError::TooFewRows { part, setting, found, needed, interval });
        }
    }

    let timed: Vec<(i64, String)> =
        times(&train, TS).iter().map(|it| it.unwrap_or(i64::MIN)).zip(texts(&train, LABEL)).collect();
    let start = find_start(&request, &paths.processing("champion"), &Rows { labels: &timed })?;
    let (classes, train) = match &start {
        Start::Nothing { .. } => (classes_of(&request, &train)?, train),
        Start::Champion { model, train: newer } => (model.classes.clone(), train.take(&rows_in(&train, newer))),
    };
    let labels = labels_of(request.task, &train, &classes);
    let margins = match &start {
        Start::Nothing { .. } => None,
        Start::Champion { model, .. } => {
            Some(model.margins(&train).map_err(|source| StepError::Model { role: "champion", source })?)
        }
    };

    let targets = targets(request.task, &labels, classes.len(), margins.as_ref());
    let encoder = Encoder::fit(&request.features, &train, &targets).map_err(StepError::Encode)?;
    let matrix = encoder.encode(&train).map_err(StepError::Encode)?;
    let mut encoded: Vec<Column> =
        matrix.names.iter().enumerate().map(|(index, name)| numeric_column(name, matrix.column(index))).collect();
    encoded.push(numeric_column(LABEL, &labels));
    let given = margins.iter().flatten().enumerate();
    encoded.extend(given.map(|(output, margin)| numeric_column(&margin_name(output), margin)));

    let plan = Plan::new(&request, &start, classes);
    let counts = serde_json::json!({
        "step": "preprocess", "run_id": request.run_id, "train_rows": train.rows(), "holdout_rows": holdout.rows(),
        "columns": matrix.names, "training": plan.training, "classes": plan.classes,
    });
    table::write(&paths.processing("train").join("train.parquet"), encoded)?;
    table::write(&paths.processing("holdout").join("holdout.parquet"), holdout.into_columns())?;
    let features = paths.processing("features");
    let path = features.join("features.json");
    files::write(&path, &files::to_json(&encoder, &path)?)?;
    let path = features.join("training.json");
    files::write(&path, &files::to_json(&plan, &path)?)?;
    if let Start::Champion { model, .. } = &start {
        let path = features.join("champion.json");
        files::write(&path, &files::to_json(model, &path)?)?;
    }
    println!("{counts}");
    Ok(())
}

/// The column that carries the margins of an output; no encoded feature has such a name.
pub(crate) fn margin_name(output: usize) -> String {
    format!("margin:{output}")
}

/// The columns of `ingested.parquet` and `holdout.parquet`.
pub(crate) fn raw_columns(request: &Request) -> Vec<(String, Kind)> {
    let own = [(ID, Kind::Categorical), (TS, Kind::Time), (LABEL, label_kind(request.task))];
    let own = own.into_iter().map(|(name, kind)| (name.to_owned(), kind));
    own.chain(request.features.iter().map(|it| (it.name.clone(), it.kind))).collect()
}

/// Classes are texts, whatever a file spells them with.
pub(crate) fn label_kind(task: Task) -> Kind {
    match task {
        Task::Regression | Task::Binary => Kind::Numeric,
        Task::Multiclass => Kind::Categorical,
    }
}

/// The classes among training rows, sorted as texts; none unless the task is multiclass.
fn classes_of(request: &Request, train: &Frame) -> Result<Vec<String>, StepError> {
    match request.task {
        Task::Regression | Task::Binary => return Ok(Vec::new()),
        Task::Multiclass => {}
    }
    let mut classes = texts(train, LABEL);
    classes.sort_unstable();
    classes.dedup();
    if MAX_CLASSES < classes.len() {
        return Err(StepError::TooManyClasses { found: classes.len(), limit: MAX_CLASSES });
    }
    Ok(classes)
}

/// Labels as the engine takes them: the numbers, or each row's place among the classes.
fn labels_of(task: Task, rows: &Frame, classes: &[String]) -> Vec<f64> {
    match task {
        Task::Regression | Task::Binary => table::numbers(rows, LABEL),
        Task::Multiclass => {
            let place = |it: &String| classes.binary_search(it).map_or(f64::NAN, |it| it as f64);
            texts(rows, LABEL).iter().map(place).collect()
        }
    }
}

/// What categories are ranked by: the label, or whether a row is of the class; of a model that is continued, what is left
/// of that when its answer is taken off.
fn targets(task: Task, labels: &[f64], n_classes: usize, margins: Option<&Margins>) -> Margins {
    let mut targets: Margins = match task {
        Task::Regression | Task::Binary => vec![labels.to_vec()],
        Task::Multiclass => (0..n_classes)
            .map(|class| labels.iter().map(|it| if *it == class as f64 { 1.0 } else { 0.0 }).collect())
            .collect(),
    };
    if let Some(margins) = margins {
        let scores = Loss::of(task).to_scores(margins.clone());
        for (target, score) in targets.iter_mut().flatten().zip(scores.iter().flatten()) {
            *target -= score;
        }
    }
    targets
}

fn rows_in(rows: &Frame, interval: &Interval) -> Vec<usize> {
    let is_inside = |time: &Option<i64>| time.is_some_and(|it| interval.contains_micros(it));
    times(rows, TS).iter().enumerate().filter(|(_, time)| is_inside(time)).map(|(row, _)| row).collect()
}
