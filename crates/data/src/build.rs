//! Columns built value by value, with one rule for every format on what fits which kind.

use std::borrow::Cow;
use std::sync::Arc;

use crate::block::{Block, BlockValues};
use crate::error::{ReadError, shorten};
use crate::frame::{Categories, Column, Kind, MISSING, Values};
use crate::intern::Interner;
use crate::number::{NotNumber, exact, format_number, parse_non_finite, parse_number};
use crate::time::{format_time, from_epoch, in_range, parse_time};

/// One value as a format gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No value.
    Missing,
    /// Text without a type: a CSV cell.
    Raw(Cow<'a, str>),
    /// Text that is text: a quoted empty cell, a JSON string, a Parquet string.
    Text(Cow<'a, str>),
    /// An integer.
    Integer(i128),
    /// A floating-point number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// An instant in microseconds.
    Instant(i64),
    /// A list or an object.
    Nested,
}

impl Cell<'_> {
    /// The value, shortened, for a message.
    pub(crate) fn show(&self) -> String {
        match self {
            Cell::Missing => "missing".to_owned(),
            Cell::Raw(text) | Cell::Text(text) => shorten(text),
            Cell::Integer(value) => value.to_string(),
            Cell::Number(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Instant(micros) => format_time(*micros),
            Cell::Nested => "a nested value".to_owned(),
        }
    }
}

/// Why a cell does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    Kind,
    Inexact,
}

/// A dictionary, and the code of each of its texts in the column that grows, as far as it occurred.
type Renamed = (Arc<Vec<String>>, Vec<Option<u32>>);

/// A column that grows.
pub(crate) struct ColumnBuilder {
    name: String,
    values: Values,
    interner: Interner,
    /// The dictionary of the last block, and the codes of those of its texts that occurred.
    renamed: Option<Renamed>,
    /// Rows that were taken away as blocks.
    n_taken: usize,
}

impl ColumnBuilder {
    pub(crate) fn new(name: &str, kind: Kind) -> ColumnBuilder {
        let values = match kind {
            Kind::Numeric => Values::Numeric(Vec::new()),
            Kind::Categorical => Values::Categorical(Categories::default()),
            Kind::Time => Values::Time(Vec::new()),
        };
        ColumnBuilder { name: name.to_owned(), values, interner: Interner::default(), renamed: None, n_taken: 0 }
    }

    /// Appends the rows of a block of the column's kind.
    pub(crate) fn append(&mut self, block: &Block) {
        match (&mut self.values, block.values()) {
            (Values::Numeric(all), BlockValues::Numbers(values)) => {
                spread(all, block, values.iter().copied().map(Some), None)
            }
            (Values::Time(all), BlockValues::Times(values)) => {
                spread(all, block, values.iter().copied().map(Some), None)
            }
            (Values::Categorical(all), BlockValues::Categories { codes, dictionary }) => {
                let renamed = match &mut self.renamed {
                    Some((last, renamed)) if Arc::ptr_eq(last, dictionary) => renamed,
                    other => &mut other.insert((Arc::clone(dictionary), vec![None; dictionary.len()])).1,
                };
                let Categories { codes: all, dictionary: texts } = all;
                let known = &mut self.interner;
                // In order of the rows, so that the dictionary is in order of first appearance.
                let codes = codes.iter().map(|&code| {
                    let code = code as usize;
                    *renamed[code].get_or_insert_with(|| known.code(&dictionary[code], texts))
                });
                spread(all, block, codes, MISSING);
            }
            (_, _) => debug_assert!(false, "a block of another kind"),
        }
    }

    /// A builder that has the rows of `column`.
    pub(crate) fn from_column(column: Column) -> ColumnBuilder {
        ColumnBuilder { values: column.values, ..ColumnBuilder::new(&column.name, Kind::Numeric) }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes the rows away, as a block.
    pub(crate) fn take_block(&mut self) -> Block {
        self.n_taken += self.values.len();
        self.interner.clear();
        match &mut self.values {
            Values::Numeric(values) => {
                let (present, values) = split(values.drain(..));
                Block::new(present, BlockValues::Numbers(values))
            }
            Values::Time(values) => {
                let (present, values) = split(values.drain(..));
                Block::new(present, BlockValues::Times(values))
            }
            Values::Categorical(values) => {
                let codes = values.codes.drain(..).map(|it| (it != MISSING).then_some(it));
                let (present, codes) = split(codes);
                let dictionary = Arc::new(std::mem::take(&mut values.dictionary));
                Block::new(present, BlockValues::Categories { codes, dictionary })
            }
        }
    }

    pub(crate) fn finish(self) -> Column {
        Column { name: self.name, values: self.values }
    }

    /// Appends `cell`, or says why it does not fit. The error's row is the one that `cell` would have had.
    pub(crate) fn push(&mut self, cell: &Cell<'_>) -> Result<(), ReadError> {
        let outcome = match &mut self.values {
            Values::Numeric(values) => as_number(cell).map(|it| values.push(it)),
            Values::Time(values) => as_instant(cell).map(|it| values.push(it)),
            Values::Categorical(values) => match as_text(cell) {
                Ok(None) => {
                    values.codes.push(MISSING);
                    Ok(())
                }
                Ok(Some(text)) => {
                    let code = self.interner.code(&text, &mut values.dictionary);
                    values.codes.push(code);
                    Ok(())
                }
                Err(misfit) => Err(misfit),
            },
        };
        outcome.map_err(|misfit| {
            let (row, column, value) = (self.n_taken + self.values.len() + 1, self.name.clone(), cell.show());
            match misfit {
                Misfit::Kind => ReadError::Value { row, column, expected: self.values.kind(), value },
                Misfit::Inexact => ReadError::Inexact { row, column, value },
            }
        })
    }
}

/// The flags of the rows, empty when every row has a value, and the values.
fn split<T>(rows: impl Iterator<Item = Option<T>>) -> (Vec<bool>, Vec<T>) {
    let mut present = Vec::new();
    let values: Vec<T> = rows.inspect(|it| present.push(it.is_some())).flatten().collect();
    if values.len() == present.len() {
        present.clear();
    }
    (present, values)
}

/// Appends the values to the rows that have one, and `missing` to the others.
fn spread<T: Copy>(all: &mut Vec<T>, block: &Block, mut values: impl Iterator<Item = T>, missing: T) {
    match block.present() {
        None => all.extend(values),
        Some(present) => {
            all.extend(present.iter().map(|it| if *it { values.next().unwrap_or(missing) } else { missing }));
        }
    }
}

/// The value of `cell` in a column of this kind.
pub(crate) fn as_number(cell: &Cell<'_>) -> Result<Option<f64>, Misfit> {
    match cell {
        Cell::Missing => Ok(None),
        Cell::Raw(text) => parse_number(text).map(Some).map_err(|it| match it {
            NotNumber::Other => Misfit::Kind,
            NotNumber::Inexact => Misfit::Inexact,
        }),
        // JSON has no words for non-finite numbers, so they come as strings.
        Cell::Text(text) => parse_non_finite(text).map(Some).ok_or(Misfit::Kind),
        Cell::Integer(value) => exact(*value).map(Some).ok_or(Misfit::Inexact),
        Cell::Number(value) => Ok(Some(*value)),
        Cell::Bool(value) => Ok(Some(f64::from(u8::from(*value)))),
        Cell::Instant(_) | Cell::Nested => Err(Misfit::Kind),
    }
}

/// The value of `cell` in a column of this kind.
pub(crate) fn as_instant(cell: &Cell<'_>) -> Result<Option<i64>, Misfit> {
    let micros = match cell {
        Cell::Missing => return Ok(None),
        Cell::Raw(text) => parse_time(text).or_else(|| from_epoch(parse_number(text).ok()?)),
        Cell::Text(text) => parse_time(text),
        Cell::Integer(value) => from_epoch(*value as f64),
        Cell::Number(value) => from_epoch(*value),
        Cell::Instant(micros) => in_range(*micros),
        Cell::Bool(_) | Cell::Nested => None,
    };
    micros.map(Some).ok_or(Misfit::Kind)
}

/// Numbers as categories are written without a fraction where they have none, so that `1` and `1.0` are one category in every format.
pub(crate) fn as_text<'a>(cell: &'a Cell<'_>) -> Result<Option<Cow<'a, str>>, Misfit> {
    match cell {
        Cell::Missing => Ok(None),
        Cell::Raw(text) | Cell::Text(text) => Ok(Some(Cow::Borrowed(text))),
        Cell::Integer(value) => Ok(Some(Cow::Owned(value.to_string()))),
        Cell::Number(value) => Ok(Some(Cow::Owned(format_number(*value)))),
        Cell::Bool(value) => Ok(Some(Cow::Borrowed(if *value { "true" } else { "false" }))),
        Cell::Instant(_) | Cell::Nested => Err(Misfit::Kind),
    }
}

/// What the values of an undeclared column have in common so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Guess {
    has_numbers: bool,
    has_times: bool,
    has_texts: bool,
}

impl Guess {
    pub(crate) fn observe(&mut self, cell: &Cell<'_>) {
        if self.has_texts {
            return;
        }
        match cell {
            Cell::Missing => {}
            Cell::Raw(text) if parse_number(text).is_ok() => self.has_numbers = true,
            Cell::Raw(text) | Cell::Text(text) if parse_time(text).is_some() => self.has_times = true,
            Cell::Integer(value) if exact(*value).is_some() => self.has_numbers = true,
            Cell::Number(_) => self.has_numbers = true,
            Cell::Instant(_) => self.has_times = true,
            Cell::Raw(_) | Cell::Text(_) | Cell::Integer(_) | Cell::Bool(_) | Cell::Nested => self.has_texts = true,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match (self.has_texts, self.has_times, self.has_numbers) {
            (false, true, false) => Kind::Time,
            (false, false, _) => Kind::Numeric,
            (true, _, _) | (false, true, true) => Kind::Categorical,
        }
    }
}
