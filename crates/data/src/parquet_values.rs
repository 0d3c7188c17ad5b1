//! Values as Parquet stores them, turned into values of the kind that is wanted.
//!
//! Few distinct values are the rule in dictionaries and texts, so they are turned once a distinct value; plain numbers and instants, once a row.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::block::BlockValues;
use crate::build::{Cell, Misfit, as_instant, as_number, as_text};
use crate::error::ReadError;
use crate::frame::Kind;
use crate::limits::MAX_CELL_BYTES;
use crate::number::exact;
use crate::parquet_file::{Meaning, Wanted};

/// Stored values of one type.
#[derive(Debug)]
pub(crate) enum Stored<'a> {
    Bools(Vec<bool>),
    /// Integers of any width and sign; those of 64 bits without a sign in the same bits.
    Longs(Vec<i64>),
    Doubles(Vec<f64>),
    Bytes(Vec<&'a [u8]>),
}

/// A value that does not fit the wanted kind.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// The value, or what is wrong with it, for a message.
    value: String,
    is_rounded: bool,
}

impl Problem {
    /// The error, when the value stands in `row`, counted from 0.
    pub(crate) fn at(&self, row: usize, column: &Wanted) -> ReadError {
        let (row, name, value) = (row + 1, column.name.clone(), self.value.clone());
        if self.is_rounded {
            ReadError::Inexact { row, column: name, value }
        } else {
            ReadError::Value { row, column: name, expected: column.kind, value }
        }
    }
}

/// Distinct values, which codes stand for.
#[derive(Debug)]
pub(crate) struct Dictionary {
    /// Each entry as the wanted kind; what stands for one that does not fit has no meaning.
    entries: Entries,
    /// Entries that do not fit, which matters only if a row has one.
    problems: Vec<(u32, Problem)>,
    n_entries: usize,
}

#[derive(Debug)]
enum Entries {
    Numbers(Vec<f64>),
    Times(Vec<i64>),
    Texts(Arc<Vec<String>>),
}

impl Dictionary {
    /// The values as a dictionary, for a column.
    pub(crate) fn new(stored: &Stored<'_>, column: &Wanted) -> Dictionary {
        let n_entries = stored.len();
        let mut problems = Vec::new();
        let mut note = |at: usize, problem| problems.push((at as u32, problem));
        let cells = (0..n_entries).map(|at| stored.cell(at, column.meaning));
        let entries = match column.kind {
            Kind::Numeric => {
                Entries::Numbers(each(cells, &as_number, &mut note).map(|it| it.unwrap_or_default()).collect())
            }
            Kind::Time => {
                Entries::Times(each(cells, &as_instant, &mut note).map(|it| it.unwrap_or_default()).collect())
            }
            Kind::Categorical => {
                let to_text = |cell: &Cell<'_>| as_text(cell).map(|it| it.map(Cow::into_owned));
                Entries::Texts(Arc::new(each(cells, &to_text, &mut note).map(|it| it.unwrap_or_default()).collect()))
            }
        };
        Dictionary { entries, problems, n_entries }
    }

    /// The values that `codes` stand for; `row` gives the row of a position, for a message.
    pub(crate) fn values(
        &self,
        codes: &[u32],
        column: &Wanted,
        row: &dyn Fn(usize) -> usize,
    ) -> Result<BlockValues, ReadError> {
        let largest = codes.iter().copied().max().unwrap_or(0);
        if !codes.is_empty() && self.n_entries <= largest as usize {
            return Err(ReadError::damaged("a Parquet column refers to a dictionary entry that is not there"));
        }
        if !self.problems.is_empty() {
            let first = codes.iter().enumerate().find_map(|(at, code)| {
                self.problems.iter().find(|it| it.0 == *code).map(|(_, problem)| problem.at(row(at), column))
            });
            if let Some(error) = first {
                return Err(error);
            }
        }
        Ok(match &self.entries {
            Entries::Numbers(entries) => BlockValues::Numbers(codes.iter().map(|it| entries[*it as usize]).collect()),
            Entries::Times(entries) => BlockValues::Times(codes.iter().map(|it| entries[*it as usize]).collect()),
            Entries::Texts(entries) => {
                BlockValues::Categories { codes: codes.to_vec(), dictionary: Arc::clone(entries) }
            }
        })
    }
}

/// Turns each cell with `turn`; what does not fit becomes a problem and no value.
fn each<'a, 'b, T>(
    cells: impl Iterator<Item = Result<Cell<'a>, &'static str>> + 'b,
    turn: &'b dyn Fn(&Cell<'_>) -> Result<Option<T>, Misfit>,
    note: &'b mut dyn FnMut(usize, Problem),
) -> impl Iterator<Item = Option<T>> + 'b
where
    'a: 'b,
{
    cells.enumerate().map(move |(at, cell)| match turned(cell, turn) {
        Ok(value) => value,
        Err(problem) => {
            note(at, problem);
            None
        }
    })
}

fn turned<T>(
    cell: Result<Cell<'_>, &'static str>,
    turn: &dyn Fn(&Cell<'_>) -> Result<Option<T>, Misfit>,
) -> Result<Option<T>, Problem> {
    let cell = cell.map_err(|unfit| Problem { value: unfit.to_owned(), is_rounded: false })?;
    turn(&cell).map_err(|misfit| Problem { value: cell.show(), is_rounded: matches!(misfit, Misfit::Inexact) })
}

impl Stored<'_> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Stored::Bools(values) => values.len(),
            Stored::Longs(values) => values.len(),
            Stored::Doubles(values) => values.len(),
            Stored::Bytes(values) => values.len(),
        }
    }

    fn cell(&self, at: usize, meaning: Meaning) -> Result<Cell<'_>, &'static str> {
        match self {
            Stored::Bools(values) => Ok(Cell::Bool(values[at])),
            Stored::Longs(values) => integer_cell(meaning, values[at]),
            Stored::Doubles(values) => Ok(Cell::Number(values[at])),
            Stored::Bytes(values) => text_cell(values[at]),
        }
    }

    /// The values as the wanted kind; `row` gives the row of a position, for a message.
    pub(crate) fn into_values(self, column: &Wanted, row: &dyn Fn(usize) -> usize) -> Result<BlockValues, ReadError> {
        match (self, column.kind, column.meaning) {
            (Stored::Doubles(values), Kind::Numeric, Meaning::Float) => Ok(BlockValues::Numbers(values)),
            (Stored::Longs(values), Kind::Numeric, Meaning::Signed) => {
                let mut numbers = Vec::with_capacity(values.len());
                for (at, value) in values.into_iter().enumerate() {
                    let Some(number) = exact(value.into()) else {
                        return Err(Problem { value: value.to_string(), is_rounded: true }.at(row(at), column));
                    };
                    numbers.push(number);
                }
                Ok(BlockValues::Numbers(numbers))
            }
            (Stored::Longs(values), Kind::Time, Meaning::Days | Meaning::Millis | Meaning::Micros | Meaning::Nanos) => {
                let mut times = Vec::with_capacity(values.len());
                for (at, value) in values.into_iter().enumerate() {
                    let time = turned(integer_cell(column.meaning, value), &as_instant);
                    times.push(time.map_err(|it| it.at(row(at), column))?.unwrap_or_default());
                }
                Ok(BlockValues::Times(times))
            }
            (stored, _, _) => {
                let (codes, distinct) = stored.intern();
                Dictionary::new(&distinct, column).values(&codes, column, row)
            }
        }
    }

    /// Codes for the values, and the distinct values in order of first appearance.
    fn intern(self) -> (Vec<u32>, Self) {
        match self {
            Stored::Bools(values) => {
                (values.iter().map(|it| u32::from(*it)).collect(), Stored::Bools(vec![false, true]))
            }
            Stored::Longs(values) => {
                let (codes, distinct) = distinct_by(values, |it| *it);
                (codes, Stored::Longs(distinct))
            }
            Stored::Doubles(values) => {
                let (codes, distinct) = distinct_by(values, |it| it.to_bits());
                (codes, Stored::Doubles(distinct))
            }
            Stored::Bytes(values) => {
                let (codes, distinct) = distinct_by(values, |it| *it);
                (codes, Stored::Bytes(distinct))
            }
        }
    }
}

fn distinct_by<T, K: std::hash::Hash + Eq>(values: Vec<T>, key: impl Fn(&T) -> K) -> (Vec<u32>, Vec<T>) {
    let mut seen: HashMap<K, u32> = HashMap::new();
    let mut distinct = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    for value in values {
        // A page has far fewer than 2^32 values.
        let code = *seen.entry(key(&value)).or_insert(distinct.len() as u32);
        if code as usize == distinct.len() {
            distinct.push(value);
        }
        codes.push(code);
    }
    (codes, distinct)
}

fn integer_cell(meaning: Meaning, value: i64) -> Result<Cell<'static>, &'static str> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    let micros = match meaning {
        Meaning::Days => value.checked_mul(MICROS_PER_DAY),
        Meaning::Millis => value.checked_mul(1000),
        Meaning::Micros => Some(value),
        Meaning::Nanos if value % 1000 == 0 => Some(value / 1000),
        Meaning::Nanos => return Err("a time finer than a microsecond"),
        Meaning::Unsigned => return Ok(Cell::Integer((value as u64).into())),
        Meaning::Bool | Meaning::Signed | Meaning::Float | Meaning::Text => return Ok(Cell::Integer(value.into())),
    };
    micros.map(Cell::Instant).ok_or("a time outside the years 1 to 9999")
}

fn text_cell(bytes: &[u8]) -> Result<Cell<'_>, &'static str> {
    if MAX_CELL_BYTES < bytes.len() {
        return Err("a text over the limit of 1048576 bytes");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cell::Text(Cow::Borrowed(text))),
        Err(_) => Err("bytes that are not UTF-8"),
    }
}
