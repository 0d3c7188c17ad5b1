//! `predictions.parquet`: what candidate and champion said about the rows that were held out.

use std::collections::BTreeMap;

use refit_core::policy::Task;
use refit_data::{Categories, Frame, Kind, ReadError, ReadOptions, Values};

/// Most classes of a model.
const MAX_CLASSES: usize = 1_000;

/// The rows of a hold-out with their labels and scores.
///
/// Non-finite scores stay: they make every metric undefined, and gates fail closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// When each row happened, in microseconds.
    pub times: Vec<i64>,
    /// What turned out to be true; the position of the class for a multiclass task.
    pub labels: Vec<f64>,
    /// The candidate's scores, row by row.
    pub candidate: Vec<f64>,
    /// The champion's scores, row by row.
    pub champion: Option<Vec<f64>>,
    /// What the candidate's decisions earned, if the pipeline says it.
    pub candidate_returns: Option<Vec<f64>>,
    /// What the champion's decisions earned, if the pipeline says it.
    pub champion_returns: Option<Vec<f64>>,
    /// The values of the segments that were asked for.
    pub segments: BTreeMap<String, Categories>,
}

/// What to read of a file of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// What was predicted.
    pub task: Task,
    /// The manifest's classes; used for a multiclass task only.
    pub classes: &'a [String],
    /// Whether there is a champion to compare with.
    pub has_champion: bool,
    /// The segments to read.
    pub segments: &'a [String],
}

impl Predictions {
    /// Reads the file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file or the classes.
    pub fn read(bytes: &[u8], wanted: Wanted<'_>) -> Result<Predictions, String> {
        let Wanted { task, classes, has_champion, segments } = wanted;
        let label_kind = match task {
            Task::Regression | Task::Binary => Kind::Numeric,
            Task::Multiclass => Kind::Categorical,
        };
        if task == Task::Multiclass {
            check_classes(classes)?;
        }
        let candidate = score_columns(task, "candidate", classes.len());
        let champion = score_columns(task, "champion", classes.len());
        let mut columns = vec![("ts".to_owned(), Kind::Time), ("label".to_owned(), label_kind)];
        columns.extend(candidate.iter().map(|it| (it.clone(), Kind::Numeric)));
        if has_champion {
            columns.extend(champion.iter().map(|it| (it.clone(), Kind::Numeric)));
        }
        columns.extend(segments.iter().map(|it| (format!("segment_{it}"), Kind::Categorical)));
        let frame = refit_data::read(&bytes, &ReadOptions { columns: Some(columns) })
            .map_err(|error| format!("predictions.parquet: {}", crate::error::chain(&error)))?;
        if frame.rows() == 0 {
            return Err("predictions.parquet has no rows".to_owned());
        }
        Ok(Predictions {
            times: times(&frame)?,
            labels: labels(&frame, classes)?,
            candidate: scores(&frame, &candidate)?,
            champion: if has_champion { Some(scores(&frame, &champion)?) } else { None },
            candidate_returns: returns(bytes, "candidate_return")?,
            champion_returns: if has_champion { returns(bytes, "champion_return")? } else { None },
            segments: segments.iter().filter_map(|it| Some((it.clone(), segment(&frame, it)?))).collect(),
        })
    }

    /// The rows of each value of a segment; rows without a value stand under `None`.
    #[must_use]
    pub fn rows_by_value(&self, segment: &str) -> BTreeMap<Option<String>, Vec<usize>> {
        let mut found: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
        if let Some(values) = self.segments.get(segment) {
            for row in 0..self.rows() {
                found.entry(values.get(row).map(str::to_owned)).or_default().push(row);
            }
        }
        found
    }

    /// The times, labels and scores of some rows, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Predictions {
        let wide = self.candidate.len() / self.rows().max(1);
        let scores = |it: &Vec<f64>| -> Vec<f64> {
            rows.iter().flat_map(|row| it[row * wide..(row + 1) * wide].iter().copied()).collect()
        };
        Predictions {
            times: rows.iter().map(|row| self.times[*row]).collect(),
            labels: rows.iter().map(|row| self.labels[*row]).collect(),
            candidate: scores(&self.candidate),
            champion: self.champion.as_ref().map(scores),
            candidate_returns: None,
            champion_returns: None,
            segments: BTreeMap::new(),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.times.len()
    }
}

fn segment(frame: &Frame, name: &str) -> Option<Categories> {
    frame.find_column(&format!("segment_{name}"))?.values.as_categorical().cloned()
}

/// A column that may be left out, but has no gaps if it is there.
fn returns(bytes: &[u8], name: &str) -> Result<Option<Vec<f64>>, String> {
    match refit_data::read(&bytes, &ReadOptions::columns(&[(name, Kind::Numeric)])) {
        Ok(frame) => numbers(&frame, name).map(Some),
        Err(ReadError::MissingColumn { .. }) => Ok(None),
        Err(error) => Err(format!("predictions.parquet: {}", crate::error::chain(&error))),
    }
}

fn check_classes(classes: &[String]) -> Result<(), String> {
    let problem = if classes.len() < 2 {
        format!("only {} of the at least 2 classes", classes.len())
    } else if MAX_CLASSES < classes.len() {
        format!("{} classes; at most {MAX_CLASSES} are read", classes.len())
    } else if let Some(name) = classes.iter().find(|it| it.is_empty() || it.starts_with('[')) {
        format!("a class named `{name}`; a name is not empty and does not begin with `[`")
    } else if let Some((_, name)) = classes.iter().enumerate().find(|(at, it)| classes[..*at].contains(it)) {
        format!("class `{name}` twice")
    } else {
        return Ok(());
    };
    Err(format!("manifest.json lists {problem}"))
}

/// The columns of one model's scores, one for each score of a row.
fn score_columns(task: Task, role: &str, n_classes: usize) -> Vec<String> {
    match task {
        Task::Regression | Task::Binary => vec![role.to_owned()],
        Task::Multiclass => (0..n_classes).map(|class| format!("{role}_{class}")).collect(),
    }
}

fn times(frame: &Frame) -> Result<Vec<i64>, String> {
    let Some(Values::Time(values)) = frame.find_column("ts").map(|it| &it.values) else {
        return Err("predictions.parquet has no time column `ts`".to_owned());
    };
    let times: Option<Vec<i64>> = values.iter().copied().collect();
    times.ok_or_else(|| "predictions.parquet has rows without `ts`".to_owned())
}

fn labels(frame: &Frame, classes: &[String]) -> Result<Vec<f64>, String> {
    match frame.find_column("label").map(|it| &it.values) {
        Some(Values::Categorical(names)) => positions(names, classes),
        Some(Values::Numeric(_) | Values::Time(_)) | None => numbers(frame, "label"),
    }
}

/// The position of each name in `classes`.
fn positions(names: &Categories, classes: &[String]) -> Result<Vec<f64>, String> {
    let position_of: BTreeMap<&str, f64> = classes.iter().map(String::as_str).zip((0_u32..).map(f64::from)).collect();
    (0..names.codes.len())
        .map(|row| {
            let name =
                names.get(row).ok_or_else(|| format!("row {} of predictions.parquet has no `label`", row + 1))?;
            position_of.get(name).copied().ok_or_else(|| {
                format!("label `{name}` in row {} of predictions.parquet is not among manifest.json's classes", row + 1)
            })
        })
        .collect()
}

fn scores(frame: &Frame, columns: &[String]) -> Result<Vec<f64>, String> {
    let columns: Vec<Vec<f64>> = columns.iter().map(|it| numbers(frame, it)).collect::<Result<_, _>>()?;
    Ok((0..frame.rows()).flat_map(|row| columns.iter().map(move |it| it[row])).collect())
}

/// A column without gaps.
fn numbers(frame: &Frame, name: &str) -> Result<Vec<f64>, String> {
    let Some(Values::Numeric(values)) = frame.find_column(name).map(|it| &it.values) else {
        return Err(format!("predictions.parquet has no numeric column `{name}`"));
    };
    let missing = values.iter().filter(|it| it.is_none()).count();
    if 0 < missing {
        return Err(format!("predictions.parquet has {missing} rows without `{name}`"));
    }
    Ok(values.iter().copied().flatten().collect())
}

#[cfg(test)]
mod tests {
    use refit_data::{Column, write_parquet};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn classes(classes: &[String]) -> Wanted<'_> {
        Wanted { task: Task::Multiclass, classes, has_champion: false, segments: &[] }
    }

    fn file(labels: Values, scores: &[(&str, [f64; 2])]) -> Vec<u8> {
        let mut columns = vec![
            Column { name: "ts".to_owned(), values: Values::Time(vec![Some(0), Some(1)]) },
            Column { name: "label".to_owned(), values: labels },
        ];
        columns.extend(scores.iter().map(|(name, it)| Column {
            name: (*name).to_owned(),
            values: Values::Numeric(it.iter().copied().map(Some).collect()),
        }));
        write_parquet(&Frame::new(columns).expect("frame"))
    }

    fn texts(texts: [&str; 2]) -> Values {
        Values::Categorical(texts.into_iter().map(Some).collect())
    }

    #[test]
    fn classes_are_read_row_by_row_in_the_manifests_order() {
        let scores = [("candidate_0", [0.1, 0.2]), ("candidate_1", [0.9, 0.8])];
        let read = |labels| Predictions::read(&file(labels, &scores), classes(&names(&["2", "b"])));
        let found = read(texts(["b", "2"])).expect("readable");
        assert_eq!(found.labels, [1.0, 0.0]);
        assert_eq!(found.candidate, [0.1, 0.9, 0.2, 0.8]);
        assert_eq!(found.champion, None);
        let found = read(Values::Numeric(vec![Some(2.0), Some(2.0)])).expect("numbers name classes");
        assert_eq!(found.labels, [0.0, 0.0]);
        let refused = read(texts(["b", "c"])).expect_err("not a class");
        assert_eq!(refused, "label `c` in row 2 of predictions.parquet is not among manifest.json's classes");
    }

    #[test]
    fn a_missing_class_column_is_named() {
        let bytes = file(texts(["a", "b"]), &[("candidate_0", [0.1, 0.2])]);
        let refused = Predictions::read(&bytes, classes(&names(&["a", "b"]))).expect_err("refused");
        assert!(refused.contains("candidate_1"), "{refused}");
    }

    #[test]
    fn classes_are_checked() {
        for (classes, expected) in [
            (names(&["a"]), "manifest.json lists only 1 of the at least 2 classes"),
            (names(&["a", "a"]), "manifest.json lists class `a` twice"),
            (
                names(&["a", "[1]"]),
                "manifest.json lists a class named `[1]`; a name is not empty and does not begin with `[`",
            ),
        ] {
            assert_eq!(check_classes(&classes), Err(expected.to_owned()));
        }
    }
}
