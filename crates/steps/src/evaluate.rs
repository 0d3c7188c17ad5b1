//! `evaluate`: scores candidate and champion on the same held-out rows.
//!
//! It measures and does not judge: gates, intervals and segments are Refit's, made from `predictions.parquet`. What it
//! does say is whether the evaluation can be used at all. When it cannot, that is `"valid": false` with the problems
//! and a successful exit, as the pipeline's condition step decides; a champion that is there and cannot be scored is
//! such a problem, since leaving it out would quietly weaken every gate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use refit_data::{Column, Frame};
use refit_stats::quality::{self, Metric, Scored};
use serde_json::{Map, Value, json};

use crate::error::with_causes;
use crate::model::{Model, ModelError, Scores};
use crate::preprocess::raw_columns;
use crate::request::{Request, Task};
use crate::table::{ID, LABEL, TS, numbers, numeric_column, texts};
use crate::{Paths, StepError, files, table};

/// Parts that are left out in turn for a standard deviation, as Model Monitor takes five samples of 80 percent.
const PARTS: usize = 5;
/// Model Monitor gives no standard deviation below this many rows.
const MIN_ROWS_FOR_DEVIATION: usize = 200;

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.processing("request").join("request.json"))?;
    let holdout = table::read(&paths.processing("holdout").join("holdout.parquet"), &raw_columns(&request))?;

    let archive = files::read(&paths.processing("model").join("model.tar.gz"))?;
    let unusable = |source| StepError::Model { role: "candidate", source };
    let model = Model::from_tar_gz(&archive).map_err(unusable)?;
    let candidate = Answers { classes: model.classes.clone(), scores: model.score(&holdout).map_err(unusable)? };

    let mut problems = Vec::new();
    let champion = match score_champion(&paths.processing("champion"), &request, &holdout)? {
        Champion::None => None,
        Champion::Unusable(error) => {
            problems.push(format!("the champion's model cannot be used: {}", with_causes(&error)));
            None
        }
        Champion::Scored(answers) => Some(answers),
    };
    let rows = Holdout::new(&request, &holdout, &candidate, champion.as_ref());
    let metrics = measure(request.task, "candidate", &rows.labels, &rows.candidate, &mut problems);
    let mut evaluation = Map::from_iter([
        ("schema".to_owned(), json!(1)),
        ("run_id".to_owned(), json!(request.run_id)),
        ("rows".to_owned(), json!(holdout.rows())),
        ("training".to_owned(), json!(model.training)),
        (metrics_key(request.task).to_owned(), metrics),
    ]);
    if let Some(scores) = &rows.champion {
        let metrics = measure(request.task, "champion", &rows.labels, scores, &mut problems);
        evaluation.insert("champion".to_owned(), json!({ metrics_key(request.task): metrics }));
    }
    if request.task == Task::Multiclass {
        let unseen = json!({
            "candidate": rows.unseen(&candidate), "champion": champion.as_ref().map(|it| rows.unseen(it)),
        });
        evaluation.insert("classes".to_owned(), json!(rows.classes));
        evaluation.insert("unseen_classes".to_owned(), unseen);
    }
    evaluation.insert("valid".to_owned(), json!(problems.is_empty()));
    evaluation.insert("problems".to_owned(), json!(problems));

    let folder = paths.processing("evaluation");
    let columns = prediction_columns(&request, &holdout, &rows);
    let predictions = table::write(&folder.join("predictions.parquet"), columns)?;
    let path = folder.join("evaluation.json");
    let document = files::to_json(&evaluation, &path)?;
    files::write(&path, &document)?;
    let mut manifest = json!({
        "schema": 1,
        "run_id": request.run_id,
        "files": { "evaluation.json": describe(&document), "predictions.parquet": describe(&predictions) },
        "model": describe(&archive),
        "train_rows": model.rows,
        "holdout_rows": holdout.rows(),
    });
    if request.task == Task::Multiclass {
        manifest["classes"] = json!(rows.classes);
    }
    let path = folder.join("manifest.json");
    files::write(&path, &files::to_json(&manifest, &path)?)?;
    println!(
        "{}",
        json!({"step": "evaluate", "run_id": request.run_id, "rows": holdout.rows(), "problems": problems,
            "champion": champion.is_some()})
    );
    Ok(())
}

/// What a model says of the hold-out, in the order of its own classes.
struct Answers {
    classes: Vec<String>,
    scores: Scores,
}

/// What there was to compare with.
enum Champion {
    /// No `model.tar.gz`: the first candidate of its line.
    None,
    /// A model that cannot score these rows.
    Unusable(ModelError),
    /// Its answers.
    Scored(Answers),
}

fn score_champion(folder: &Path, request: &Request, holdout: &Frame) -> Result<Champion, StepError> {
    let path = folder.join("model.tar.gz");
    if !path.exists() {
        return Ok(Champion::None);
    }
    let scored = Model::from_tar_gz(&files::read(&path)?).and_then(|model| {
        if model.task != request.task {
            return Err(ModelError::Damaged { problem: "it was trained for another task".to_owned() });
        }
        Ok(Answers { scores: model.score(holdout)?, classes: model.classes })
    });
    Ok(match scored {
        Ok(answers) => Champion::Scored(answers),
        Err(error) => Champion::Unusable(error),
    })
}

/// The hold-out with both models' scores in one order of classes.
///
/// The classes are the candidate's, then those that only the champion knows or only a label has, each part sorted: so an
/// answer of the candidate is the beginning of a row. A class that a model does not know has probability 0 from it: its
/// rows are wrong, and cost the most that a row can.
struct Holdout {
    classes: Vec<String>,
    /// Numbers, or places among the classes.
    labels: Vec<f64>,
    /// Labels as classes; of a multiclass task only.
    names: Vec<String>,
    /// Row by row.
    candidate: Vec<f64>,
    /// Row by row.
    champion: Option<Vec<f64>>,
}

impl Holdout {
    fn new(request: &Request, holdout: &Frame, candidate: &Answers, champion: Option<&Answers>) -> Holdout {
        let mut names = Vec::new();
        let mut classes = candidate.classes.clone();
        if request.task == Task::Multiclass {
            names = texts(holdout, LABEL);
            let others: BTreeSet<&String> = champion.iter().flat_map(|it| &it.classes).chain(&names).collect();
            let others = others.into_iter().filter(|it| !candidate.classes.contains(it)).cloned();
            classes.extend(others.collect::<Vec<_>>());
        }
        let place = |name: &String| classes.iter().position(|it| it == name).map_or(f64::NAN, |it| it as f64);
        let labels = match request.task {
            Task::Regression | Task::Binary => numbers(holdout, LABEL),
            Task::Multiclass => names.iter().map(place).collect(),
        };
        let candidate = candidate.in_order_of(&classes);
        let champion = champion.map(|it| it.in_order_of(&classes));
        Holdout { labels, candidate, champion, names, classes }
    }

    /// How many rows have a class that a model does not know, by class.
    fn unseen(&self, answers: &Answers) -> BTreeMap<&str, usize> {
        let mut rows = BTreeMap::new();
        for name in self.names.iter().filter(|it| !answers.classes.contains(it)) {
            *rows.entry(name.as_str()).or_insert(0) += 1;
        }
        rows
    }
}

impl Answers {
    /// The scores row by row, with 0 for classes that the model does not know.
    fn in_order_of(&self, classes: &[String]) -> Vec<f64> {
        match &self.scores {
            Scores::Numbers(numbers) => numbers.clone(),
            Scores::Classes(rows) => {
                let places: Vec<Option<usize>> =
                    classes.iter().map(|name| self.classes.iter().position(|it| it == name)).collect();
                let row = |row: &Vec<f64>| places.iter().map(|it| it.map_or(0.0, |it| row[it])).collect::<Vec<f64>>();
                rows.iter().flat_map(row).collect()
            }
        }
    }
}

fn metrics_key(task: Task) -> &'static str {
    match task {
        Task::Regression => "regression_metrics",
        Task::Binary => "binary_classification_metrics",
        Task::Multiclass => "multiclass_classification_metrics",
    }
}

/// Every metric of the task; a problem instead when the predictions cannot be measured.
fn measure(task: Task, role: &str, labels: &[f64], scores: &[f64], problems: &mut Vec<String>) -> Value {
    let task = match task {
        Task::Regression => quality::Task::Regression,
        Task::Binary => quality::Task::Binary,
        Task::Multiclass => quality::Task::Multiclass,
    };
    let scored = match Scored::new(task, labels, scores) {
        Ok(scored) => scored,
        Err(error) => {
            problems.push(format!("{role}: {error}"));
            return json!({});
        }
    };
    let parts: Vec<Scored> = (0..PARTS).filter_map(|part| leave_out(task, labels, scores, part)).collect();
    let mut metrics = Map::new();
    for metric in Metric::ALL {
        if let Some(value) = scored.value(metric) {
            let resampled: Option<Vec<f64>> = parts.iter().map(|it| it.value(metric)).collect();
            if metric == Metric::Rmse {
                let squares = resampled.as_ref().map(|it| it.iter().map(|rmse| rmse * rmse).collect());
                metrics.insert("mse".to_owned(), with_deviation(value * value, squares));
            }
            metrics.insert(metric.name().to_owned(), with_deviation(value, resampled));
        }
    }
    Value::Object(metrics)
}

/// The rows without every fifth one; rows are in time order, so each part covers the whole hold-out.
fn leave_out(task: quality::Task, labels: &[f64], scores: &[f64], part: usize) -> Option<Scored> {
    if labels.len() < MIN_ROWS_FOR_DEVIATION {
        return None;
    }
    let kept = |values: &[f64]| -> Vec<f64> {
        let rows = values.chunks_exact((values.len() / labels.len()).max(1)).enumerate();
        rows.filter(|(row, _)| row % PARTS != part).flat_map(|(_, values)| values).copied().collect()
    };
    Scored::new(task, &kept(labels), &kept(scores)).ok()
}

fn with_deviation(value: f64, resampled: Option<Vec<f64>>) -> Value {
    match resampled {
        Some(values) if values.len() == PARTS => {
            let mean = values.iter().sum::<f64>() / PARTS as f64;
            let squares: f64 = values.iter().map(|it| (it - mean).powi(2)).sum();
            json!({ "value": value, "standard_deviation": (squares / (PARTS - 1) as f64).sqrt() })
        }
        Some(_) | None => json!({ "value": value }),
    }
}

/// The rows with what both models said: one column a class where there are several.
fn prediction_columns(request: &Request, holdout: &Frame, rows: &Holdout) -> Vec<Column> {
    let mut columns: Vec<Column> = [ID, TS, LABEL].iter().filter_map(|it| holdout.find_column(it)).cloned().collect();
    let none = vec![f64::NAN; rows.candidate.len()];
    let champion = rows.champion.as_ref().unwrap_or(&none);
    for (role, scores) in [("candidate", &rows.candidate), ("champion", champion)] {
        match request.task {
            Task::Regression | Task::Binary => columns.push(numeric_column(role, scores)),
            Task::Multiclass => columns.extend((0..rows.classes.len()).map(|class| {
                let of_class: Vec<f64> = scores.iter().skip(class).step_by(rows.classes.len()).copied().collect();
                numeric_column(&format!("{role}_{class}"), &of_class)
            })),
        }
    }
    for name in &request.segments {
        if let Some(column) = holdout.find_column(name) {
            columns.push(Column { name: format!("segment_{name}"), values: column.values.clone() });
        }
    }
    columns
}

fn describe(bytes: &[u8]) -> Value {
    json!({ "sha256": files::sha256(bytes), "bytes": bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_canonical_shape() {
        let labels: Vec<f64> = (0..400).map(f64::from).collect();
        let scores: Vec<f64> = labels.iter().map(|it| it + 2.0).collect();
        let mut problems = Vec::new();
        let metrics = measure(Task::Regression, "candidate", &labels, &scores, &mut problems);
        assert_eq!(metrics["mae"], json!({"value": 2.0, "standard_deviation": 0.0}));
        assert_eq!(metrics["mse"]["value"], json!(4.0));
        let few = measure(Task::Regression, "candidate", &labels[..50], &scores[..50], &mut problems);
        assert_eq!(few["mae"], json!({"value": 2.0}));
        assert!(problems.is_empty());
    }

    #[test]
    fn a_prediction_that_is_no_number_is_a_problem_and_not_a_metric() {
        let mut problems = Vec::new();
        let metrics = measure(Task::Regression, "candidate", &[1.0, 2.0], &[1.0, f64::NAN], &mut problems);
        assert_eq!(metrics, json!({}));
        assert_eq!(problems, ["candidate: prediction of row 1 is not finite"]);
    }

    #[test]
    fn one_class_has_no_auc_but_the_other_metrics() {
        let mut problems = Vec::new();
        let metrics = measure(Task::Binary, "candidate", &[1.0, 1.0], &[0.9, 0.8], &mut problems);
        assert!(metrics.get("auc").is_none() && metrics.get("brier").is_some());
        assert!(problems.is_empty());
    }
}
