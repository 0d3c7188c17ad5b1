//! Columns in memory: what every reader produces and every writer takes.
//!
//! A missing value is `None` (numeric, time) or [`MISSING`] (categorical). Non-finite numbers are values, not missing:
//! they are kept so that they can be counted.

use std::fmt;

/// The code that stands for a missing category.
pub const MISSING: u32 = u32::MAX;

/// The kinds of column that Refit reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 64-bit floating point; integers are accepted where they are exact.
    Numeric,
    /// Text, compared byte by byte.
    Categorical,
    /// Microseconds since the Unix epoch, UTC.
    Time,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
            Kind::Time => "time",
        })
    }
}

/// Text values as codes into a dictionary; every code but [`MISSING`] is a valid index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Categories {
    /// One code a row.
    pub codes: Vec<u32>,
    /// The distinct texts, in order of first appearance.
    pub dictionary: Vec<String>,
}

impl Categories {
    /// The text in `row`, `None` when missing.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.dictionary.get(*self.codes.get(row)? as usize).map(String::as_str)
    }
}

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers.
    Numeric(Vec<Option<f64>>),
    /// Texts.
    Categorical(Categories),
    /// Microseconds since the Unix epoch, UTC.
    Time(Vec<Option<i64>>),
}

impl Values {
    /// How many rows the column has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Values::Numeric(values) => values.len(),
            Values::Categorical(values) => values.codes.len(),
            Values::Time(values) => values.len(),
        }
    }

    /// Whether the column has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What kind of column this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Values::Numeric(_) => Kind::Numeric,
            Values::Categorical(_) => Kind::Categorical,
            Values::Time(_) => Kind::Time,
        }
    }
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Unique within a frame.
    pub name: String,
    /// One value a row.
    pub values: Values,
}

/// Columns of equal length with distinct names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    columns: Vec<Column>,
    rows: usize,
}

/// Why columns do not make a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Two columns have one name.
    #[error("column `{0}` appears twice")]
    DuplicateName(String),
    /// A column is longer or shorter than the first.
    #[error("column `{name}` has {found} rows where the first column has {expected}")]
    UnequalLength {
        /// The odd column.
        name: String,
        /// Rows of the first column.
        expected: usize,
        /// Rows of this one.
        found: usize,
    },
    /// Frames with different columns were to be put together.
    #[error("columns [{found}] where [{expected}] were expected")]
    OtherSchema {
        /// Names and kinds of the first frame.
        expected: String,
        /// Names and kinds of this one.
        found: String,
    },
    /// A column is not there.
    #[error("column `{0}` is missing")]
    NoColumn(String),
    /// A column is of another kind.
    #[error("column `{name}` is {found} where {expected} was expected")]
    OtherKind {
        /// The column.
        name: String,
        /// What was wanted.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
}

impl Frame {
    /// A frame of these columns.
    ///
    /// # Errors
    /// Refuses duplicate names and unequal lengths.
    pub fn new(columns: Vec<Column>) -> Result<Frame, FrameError> {
        let rows = columns.first().map_or(0, |it| it.values.len());
        for (index, column) in columns.iter().enumerate() {
            if column.values.len() != rows {
                return Err(FrameError::UnequalLength {
                    name: column.name.clone(),
                    expected: rows,
                    found: column.values.len(),
                });
            }
            if columns[..index].iter().any(|it| it.name == column.name) {
                return Err(FrameError::DuplicateName(column.name.clone()));
            }
        }
        Ok(Frame { columns, rows })
    }

    /// How many rows every column has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column called `name`.
    #[must_use]
    pub fn find_column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|it| it.name == name)
    }

    /// The columns, given away.
    #[must_use]
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// A frame of the rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Frame {
        let columns = self
            .columns
            .iter()
            .map(|column| Column {
                name: column.name.clone(),
                values: match &column.values {
                    Values::Numeric(values) => Values::Numeric(indices.iter().map(|&row| values[row]).collect()),
                    Values::Time(values) => Values::Time(indices.iter().map(|&row| values[row]).collect()),
                    Values::Categorical(values) => Values::Categorical(Categories {
                        codes: indices.iter().map(|&row| values.codes[row]).collect(),
                        dictionary: values.dictionary.clone(),
                    }),
                },
            })
            .collect();
        Frame { columns, rows: indices.len() }
    }
}
