//! Whole-frame operations: put frames together, order them by time, cut a window out.

use std::collections::HashMap;

use crate::frame::{Categories, Column, Frame, FrameError, Kind, MISSING, Values};

impl<'a> FromIterator<Option<&'a str>> for Categories {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Categories {
        let mut categories = Categories::default();
        let mut codes: HashMap<&str, u32> = HashMap::new();
        for text in texts {
            let code = text.map_or(MISSING, |text| {
                *codes.entry(text).or_insert_with(|| {
                    categories.dictionary.push(text.to_owned());
                    categories.dictionary.len() as u32 - 1
                })
            });
            categories.codes.push(code);
        }
        categories
    }
}

impl Values {
    /// The numbers of a numeric column.
    #[must_use]
    pub fn as_numeric(&self) -> Option<&[Option<f64>]> {
        match self {
            Values::Numeric(values) => Some(values),
            Values::Categorical(_) | Values::Time(_) => None,
        }
    }

    /// The texts of a categorical column.
    #[must_use]
    pub fn as_categorical(&self) -> Option<&Categories> {
        match self {
            Values::Categorical(values) => Some(values),
            Values::Numeric(_) | Values::Time(_) => None,
        }
    }

    /// The instants of a time column.
    #[must_use]
    pub fn as_time(&self) -> Option<&[Option<i64>]> {
        match self {
            Values::Time(values) => Some(values),
            Values::Numeric(_) | Values::Categorical(_) => None,
        }
    }
}

impl Frame {
    /// The rows of all `frames`, one after another; no frames give an empty one.
    ///
    /// # Errors
    /// Refuses frames whose columns differ from the first one's in name, kind or order.
    pub fn concat(frames: &[Frame]) -> Result<Frame, FrameError> {
        let Some(first) = frames.first() else {
            return Ok(Frame::default());
        };
        for frame in frames {
            if !has_same_schema(first, frame) {
                return Err(FrameError::OtherSchema { expected: describe(first), found: describe(frame) });
            }
        }
        let columns = first
            .columns()
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let parts: Vec<&Values> = frames.iter().map(|it| &it.columns()[at].values).collect();
                Column { name: column.name.clone(), values: concat_values(column.values.kind(), &parts) }
            })
            .collect();
        Frame::new(columns)
    }

    /// The rows in order of the time column `name`; equal times keep their order, missing times come last.
    ///
    /// # Errors
    /// Refuses a column that is not there or is not time.
    pub fn sort_by_time(&self, name: &str) -> Result<Frame, FrameError> {
        let times = self.times(name)?;
        let mut order: Vec<usize> = (0..self.rows()).collect();
        order.sort_by_key(|&row| (times[row].is_none(), times[row]));
        Ok(self.take(&order))
    }

    /// The rows whose time column `name` lies in `[start_micros, end_micros)`; rows without a time lie nowhere.
    ///
    /// # Errors
    /// Refuses a column that is not there or is not time.
    pub fn filter_time(&self, name: &str, start_micros: i64, end_micros: i64) -> Result<Frame, FrameError> {
        let times = self.times(name)?;
        let is_inside = |row: &usize| times[*row].is_some_and(|it| start_micros <= it && it < end_micros);
        let kept: Vec<usize> = (0..self.rows()).filter(is_inside).collect();
        Ok(self.take(&kept))
    }

    fn times(&self, name: &str) -> Result<&[Option<i64>], FrameError> {
        let column = self.find_column(name).ok_or_else(|| FrameError::NoColumn(name.to_owned()))?;
        column.values.as_time().ok_or_else(|| FrameError::OtherKind {
            name: name.to_owned(),
            expected: Kind::Time,
            found: column.values.kind(),
        })
    }
}

fn has_same_schema(a: &Frame, b: &Frame) -> bool {
    let schema = |it: &Frame| it.columns().iter().map(|it| (it.name.clone(), it.values.kind())).collect::<Vec<_>>();
    schema(a) == schema(b)
}

fn describe(frame: &Frame) -> String {
    let columns: Vec<String> = frame.columns().iter().map(|it| format!("{} {}", it.name, it.values.kind())).collect();
    columns.join(", ")
}

/// Parts are all of `kind`, as the schemas were compared before.
fn concat_values(kind: Kind, parts: &[&Values]) -> Values {
    match kind {
        Kind::Numeric => Values::Numeric(parts.iter().filter_map(|it| it.as_numeric()).flatten().copied().collect()),
        Kind::Time => Values::Time(parts.iter().filter_map(|it| it.as_time()).flatten().copied().collect()),
        Kind::Categorical => Values::Categorical(merge(parts.iter().filter_map(|it| it.as_categorical()))),
    }
}

/// Joins categories; texts keep the order of first appearance in the dictionaries.
fn merge<'a>(parts: impl Iterator<Item = &'a Categories>) -> Categories {
    let mut merged = Categories::default();
    let mut codes: HashMap<&str, u32> = HashMap::new();
    for part in parts {
        let renamed: Vec<u32> = part
            .dictionary
            .iter()
            .map(|text| {
                *codes.entry(text).or_insert_with(|| {
                    merged.dictionary.push(text.clone());
                    merged.dictionary.len() as u32 - 1
                })
            })
            .collect();
        // MISSING is beyond every dictionary and stays as it is.
        merged.codes.extend(part.codes.iter().map(|&code| renamed.get(code as usize).copied().unwrap_or(MISSING)));
    }
    merged
}
