//! The same comparison for the rows with each value of a segment.

use std::collections::BTreeMap;

use refit_core::policy::ComparisonSettings;
use refit_data::drift::{ExactOptions, OneWorker, compare_exact};
use refit_data::report::{Choice, SegmentReport, judge_comparisons};
use refit_data::{Frame, Kind, ReadOptions, Table};

use super::columns::{Columns, choice, named};
use super::input::InputFile;
use super::{Sides, generator, rules};

/// The most values of a segment that are compared: those with the most rows.
const MAX_VALUES: usize = 50;

/// Compares each value of each segment. Both sides are held in memory for it.
pub(super) fn compare(
    sides: &Sides,
    columns: &Columns,
    settings: &ComparisonSettings,
    memory: u64,
) -> anyhow::Result<Vec<SegmentReport>> {
    let mut reports = Vec::new();
    for segment in &settings.segments {
        let mut wanted: Vec<(String, Kind)> = columns.features.iter().filter(|it| it.0 != *segment).cloned().collect();
        wanted.retain(|it| columns.ignored.iter().all(|ignored| ignored.name != it.0));
        let names: Vec<&str> = wanted.iter().map(|it| it.0.as_str()).collect();
        let mut read = wanted.clone();
        read.push((segment.clone(), Kind::Categorical));
        let (reference, current) = (rows(&sides.reference, &read)?, rows(&sides.current, &read)?);
        let (of_reference, of_current) = (by_value(&reference), by_value(&current));
        for value in largest(&of_reference, &of_current) {
            let take = |frame: &Frame, rows: &BTreeMap<String, Vec<usize>>| {
                [Table::of_frame(frame.take(rows.get(&value).map_or(&[][..], Vec::as_slice)))]
            };
            let tables = (take(&reference, &of_reference), take(&current, &of_current));
            let options = ExactOptions { memory };
            let comparisons = compare_exact(&tables.0, &tables.1, &names, options, &OneWorker)?;
            let choices: Vec<Choice> = comparisons.iter().map(|it| choice(&it.name, it.kind, settings)).collect();
            let (features, dataset) = judge_comparisons(&comparisons, &choices, &rules(settings), &generator);
            let count = |rows: &BTreeMap<String, Vec<usize>>| rows.get(&value).map_or(0, |it| it.len() as u64);
            reports.push(SegmentReport {
                segment: segment.clone(),
                reference_rows: count(&of_reference),
                current_rows: count(&of_current),
                value,
                features,
                dataset,
            });
        }
    }
    Ok(reports)
}

fn rows(files: &[InputFile], wanted: &[(String, Kind)]) -> anyhow::Result<Frame> {
    let options = ReadOptions { columns: Some(wanted.to_vec()) };
    let read = |file: &InputFile| refit_data::read(&file.source, &options).map_err(|it| named(it, &file.name));
    Ok(Frame::concat(&files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?)?)
}

/// The rows with each value of the last column; those without a value are in none.
fn by_value(frame: &Frame) -> BTreeMap<String, Vec<usize>> {
    let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    if let Some(values) = frame.columns().last().and_then(|it| it.values.as_categorical()) {
        for row in 0..frame.rows() {
            if let Some(value) = values.get(row) {
                match rows.get_mut(value) {
                    Some(rows) => rows.push(row),
                    None => _ = rows.insert(value.to_owned(), vec![row]),
                }
            }
        }
    }
    rows
}

/// The values with the most rows on both sides together, in the order of their names.
fn largest(a: &BTreeMap<String, Vec<usize>>, b: &BTreeMap<String, Vec<usize>>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (value, rows) in a.iter().chain(b) {
        *counts.entry(value).or_default() += rows.len();
    }
    let mut values: Vec<(&str, usize)> = counts.into_iter().collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    values.truncate(MAX_VALUES);
    let mut values: Vec<String> = values.into_iter().map(|it| it.0.to_owned()).collect();
    values.sort();
    values
}
