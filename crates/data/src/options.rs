//! What a caller wants from a file.

use crate::frame::Kind;

/// Which columns to read, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The wanted columns in the wanted order; `None` reads every column and infers its kind.
    pub columns: Option<Vec<(String, Kind)>>,
}

impl ReadOptions {
    /// Every column, with inferred kinds.
    ///
    /// A column is numeric when all its values are numbers, time when all are timestamps, and categorical otherwise; a column without any value is
    /// numeric. A column that Parquet types as a timestamp is never categorical.
    #[must_use]
    pub fn all() -> ReadOptions {
        ReadOptions { columns: None }
    }

    /// These columns, with these kinds.
    #[must_use]
    pub fn columns(wanted: &[(&str, Kind)]) -> ReadOptions {
        ReadOptions { columns: Some(wanted.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect()) }
    }
}
