//! How good the predictions are on both sides, where both have labels.

use refit_data::report::QualityReport;
use refit_data::{Frame, Kind, ReadOptions, Values, class_name};
use refit_stats::quality::{Metric, Scored, Task};

use super::Sides;
use super::columns::{Columns, named};
use super::input::InputFile;

/// Measures the predictions: as numbers where both columns are, as classes where both are texts. Nothing where a column is missing or they differ.
pub(super) fn measure(sides: &Sides, columns: &Columns) -> anyhow::Result<Vec<QualityReport>> {
    let (Some(target), Some(prediction)) = (&columns.target, &columns.prediction) else { return Ok(Vec::new()) };
    if target.1 != prediction.1 {
        return Ok(Vec::new());
    }
    let wanted = [target.clone(), prediction.clone()];
    let (reference, current) = (read(&sides.reference, &wanted)?, read(&sides.current, &wanted)?);
    Ok(match (pairs(&reference), pairs(&current)) {
        (Some(reference), Some(current)) => of_numbers(&reference, &current),
        (_, _) => {
            let accuracy = QualityReport {
                metric: "accuracy".to_owned(),
                reference: agreement(&reference),
                current: agreement(&current),
            };
            vec![accuracy]
        }
    })
}

fn read(files: &[InputFile], wanted: &[(String, Kind)]) -> anyhow::Result<Frame> {
    let options = ReadOptions { columns: Some(wanted.to_vec()) };
    let read = |file: &InputFile| refit_data::read(&file.source, &options).map_err(|it| named(it, &file.name));
    Ok(Frame::concat(&files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?)?)
}

/// Labels and predictions of the rows that have finite ones of both.
fn pairs(frame: &Frame) -> Option<(Vec<f64>, Vec<f64>)> {
    let [labels, predictions] = frame.columns() else { return None };
    let (Values::Numeric(labels), Values::Numeric(predictions)) = (&labels.values, &predictions.values) else {
        return None;
    };
    let both = labels.iter().zip(predictions).filter_map(|(label, prediction)| Some(((*label)?, (*prediction)?)));
    Some(both.filter(|it| it.0.is_finite() && it.1.is_finite()).unzip())
}

fn of_numbers(reference: &(Vec<f64>, Vec<f64>), current: &(Vec<f64>, Vec<f64>)) -> Vec<QualityReport> {
    let is_binary = |(labels, scores): &(Vec<f64>, Vec<f64>)| {
        let is_class = |it: &f64| [0.0_f64, 1.0].iter().any(|class| class.total_cmp(it).is_eq());
        labels.iter().all(is_class) && scores.iter().all(|it| (0.0..=1.0).contains(it))
    };
    let task = if is_binary(reference) && is_binary(current) { Task::Binary } else { Task::Regression };
    let metrics: &[(Metric, &str)] = match task {
        Task::Binary => &[
            (Metric::Auc, "auc"),
            (Metric::LogLoss, "log_loss"),
            (Metric::Brier, "brier"),
            (Metric::Accuracy, "accuracy"),
        ],
        Task::Regression | Task::Multiclass => &[(Metric::Mae, "mae"), (Metric::Rmse, "rmse"), (Metric::R2, "r2")],
    };
    let scored = [reference, current].map(|it| Scored::new(task, &it.0, &it.1).ok());
    let report = |(metric, name): &(Metric, &str)| {
        let [reference, current] = [0, 1].map(|side| scored[side].as_ref().and_then(|it| it.value(*metric)));
        QualityReport { metric: (*name).to_owned(), reference, current }
    };
    metrics.iter().map(report).collect()
}

/// The share of the rows whose prediction is the label, of those that have both.
fn agreement(frame: &Frame) -> Option<f64> {
    let [labels, predictions] = frame.columns() else { return None };
    let (labels, predictions) = (labels.values.as_categorical()?, predictions.values.as_categorical()?);
    let (mut right, mut all) = (0_u64, 0_u64);
    for row in 0..frame.rows() {
        if let (Some(label), Some(prediction)) = (labels.get(row), predictions.get(row)) {
            all += 1;
            right += u64::from(class_name(label) == class_name(prediction));
        }
    }
    (0 < all).then(|| right as f64 / all as f64)
}
