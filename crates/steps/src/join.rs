//! Rows that grow from many files, each id taken once.
//!
//! Two rules decide which row stays when an id comes again: what was added first stays, and reference files are added
//! before captured traffic. A row without an id of its own gets one from its content, so that two overlapping exports
//! of the same history do not count double, while equal rows inside one file stay apart by a counter.

use std::collections::{HashMap, HashSet};

use refit_data::{Categories, Column, Frame, Interner, Kind, Label, MISSING, Values};

use crate::StepError;
use crate::files::sha256;
use crate::request::{Feature, Task};
use crate::table::{ID, LABEL, TS};

/// Labeled rows under construction.
pub(crate) struct Rows {
    ids: Vec<String>,
    seen: HashSet<String>,
    times: Vec<Option<i64>>,
    labels: Labels,
    features: Vec<Growing>,
}

/// The label column under construction: numbers, or the classes of a multiclass task.
enum Labels {
    Numbers(Vec<Option<f64>>),
    Classes(Vec<String>),
}

/// A feature's column under construction.
struct Growing {
    name: String,
    values: Values,
    interner: Interner,
}

impl Rows {
    pub(crate) fn new(task: Task, features: &[Feature]) -> Rows {
        let features = features
            .iter()
            .map(|feature| Growing {
                name: feature.name.clone(),
                values: match feature.kind {
                    Kind::Numeric => Values::Numeric(Vec::new()),
                    Kind::Categorical => Values::Categorical(Categories::default()),
                    Kind::Time => Values::Time(Vec::new()),
                },
                interner: Interner::default(),
            })
            .collect();
        let labels = match task {
            Task::Regression | Task::Binary => Labels::Numbers(Vec::new()),
            Task::Multiclass => Labels::Classes(Vec::new()),
        };
        Rows { ids: Vec::new(), seen: HashSet::new(), times: Vec::new(), labels, features }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Adds a row, or leaves it out when its id is there already; says whether it was added.
    pub(crate) fn add(&mut self, id: &str, time: i64, label: &Label, frame: &Frame, row: usize) -> Added {
        if !self.seen.insert(id.to_owned()) {
            return Added::Duplicate;
        }
        self.ids.push(id.to_owned());
        self.times.push(Some(time));
        match (&mut self.labels, label) {
            (Labels::Numbers(to), Label::Number(number)) => to.push(Some(*number)),
            // Checked before; a missing label is what the next step would not take.
            (Labels::Numbers(to), Label::Text(_)) => to.push(None),
            (Labels::Classes(to), label) => to.push(label.class()),
        }
        for feature in &mut self.features {
            let source = frame.find_column(&feature.name).map(|it| &it.values);
            match (&mut feature.values, source) {
                (Values::Numeric(to), Some(Values::Numeric(from))) => to.push(from[row]),
                (Values::Numeric(to), _) => to.push(None),
                (Values::Time(to), _) => to.push(None),
                (Values::Categorical(to), from) => {
                    let text = match from {
                        Some(Values::Categorical(from)) => from.get(row),
                        Some(Values::Numeric(_) | Values::Time(_)) | None => None,
                    };
                    let code = text.map_or(MISSING, |text| feature.interner.code(text, &mut to.dictionary));
                    to.codes.push(code);
                }
            }
        }
        Added::New
    }

    /// The rows by time, then id.
    pub(crate) fn into_sorted_columns(self) -> Result<Vec<Column>, StepError> {
        let mut order: Vec<usize> = (0..self.ids.len()).collect();
        order.sort_by(|&a, &b| (self.times[a], &self.ids[a]).cmp(&(self.times[b], &self.ids[b])));
        let codes = (0_u32..).take(self.ids.len()).collect();
        let ids = Values::Categorical(Categories { codes, dictionary: self.ids });
        let mut columns = vec![
            Column { name: ID.to_owned(), values: ids },
            Column { name: TS.to_owned(), values: Values::Time(self.times) },
            Column { name: LABEL.to_owned(), values: self.labels.into_values() },
        ];
        columns.extend(self.features.into_iter().map(|it| Column { name: it.name, values: it.values }));
        Ok(Frame::new(columns).map_err(StepError::Table)?.take(&order).into_columns())
    }
}

impl Labels {
    fn into_values(self) -> Values {
        match self {
            Labels::Numbers(numbers) => Values::Numeric(numbers),
            Labels::Classes(classes) => Values::Categorical(classes.iter().map(|it| Some(it.as_str())).collect()),
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    Duplicate,
}

/// Ids for rows that have none.
#[derive(Default)]
pub(crate) struct DerivedIds {
    times_seen: HashMap<String, u32>,
}

impl DerivedIds {
    /// The id of a row: a digest of what it holds, and for its repetitions in this file which one it is.
    pub(crate) fn derive(
        &mut self,
        time: i64,
        label: &Label,
        frame: &Frame,
        features: &[Feature],
        row: usize,
    ) -> String {
        let mut content = match label {
            Label::Number(number) => format!("{time}\u{1f}{:016x}", number.to_bits()),
            Label::Text(text) => format!("{time}\u{1f}={text}"),
        };
        for feature in features {
            content.push('\u{1f}');
            match frame.find_column(&feature.name).map(|it| &it.values) {
                Some(Values::Numeric(values)) => {
                    content.push_str(&values[row].map_or(String::new(), |it| format!("{:016x}", it.to_bits())));
                }
                Some(Values::Categorical(values)) => {
                    // The sign tells the empty text from a missing one.
                    if let Some(text) = values.get(row) {
                        content.extend(["=", text]);
                    }
                }
                Some(Values::Time(_)) | None => {}
            }
        }
        let digest = format!("row-{}", &sha256(content.as_bytes())[..20]);
        let before = self.times_seen.entry(digest.clone()).or_insert(0);
        *before += 1;
        if *before == 1 { digest } else { format!("{digest}-{before}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(values: &[f64]) -> (Vec<Feature>, Frame) {
        let values = Values::Numeric(values.iter().copied().map(Some).collect());
        let frame = Frame::new(vec![Column { name: "distance".to_owned(), values }]).expect("frame");
        (vec![Feature { name: "distance".to_owned(), kind: Kind::Numeric }], frame)
    }

    #[test]
    fn the_first_row_of_an_id_stays_and_rows_come_out_in_order() {
        let (features, frame) = distance(&[1.0, 2.0, 3.0]);
        let mut rows = Rows::new(Task::Regression, &features);
        assert_eq!(rows.add("b", 5, &Label::Number(1.0), &frame, 0), Added::New);
        assert_eq!(rows.add("b", 5, &Label::Number(9.0), &frame, 1), Added::Duplicate);
        assert_eq!(rows.add("a", 5, &Label::Number(2.0), &frame, 2), Added::New);
        let columns = rows.into_sorted_columns().expect("columns");
        let frame = Frame::new(columns).expect("frame");
        assert_eq!(crate::table::numbers(&frame, "distance"), [3.0, 1.0]);
        assert_eq!(crate::table::numbers(&frame, LABEL), [2.0, 1.0]);
    }

    #[test]
    fn equal_rows_differ_within_a_file_and_agree_across_files() {
        let (features, frame) = distance(&[1.0, 1.0, 2.0]);
        let derive = || {
            let mut ids = DerivedIds::default();
            [0, 1, 2].map(|row| ids.derive(7, &Label::Number(1.0), &frame, &features, row))
        };
        let ids = derive();
        assert_ne!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_eq!(ids, derive());
    }
}
