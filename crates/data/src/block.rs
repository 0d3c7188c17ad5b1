//! Values of one column in consecutive rows: what the streaming readers hand out.
//!
//! A block holds the values that are there, in the order of their rows, and says apart from them which rows have none. That is the form in
//! which Parquet stores them and in which statistics want them. Texts are codes into a dictionary; a Parquet dictionary is kept as it
//! is, so that a text is looked at once a dictionary and not once a row.

use std::sync::Arc;

/// The values that are there, in the order of their rows.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockValues {
    /// Numbers; non-finite ones are values.
    Numbers(Vec<f64>),
    /// Microseconds since the Unix epoch, UTC.
    Times(Vec<i64>),
    /// Texts.
    Categories {
        /// One code a value; every code is a valid index into the dictionary.
        codes: Vec<u32>,
        /// The texts. Other blocks of the column may have another dictionary; blocks with the same one share it. It may hold texts that no
        /// code stands for, and in rare cases one text twice.
        dictionary: Arc<Vec<String>>,
    },
}

impl BlockValues {
    /// How many values are there.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            BlockValues::Numbers(values) => values.len(),
            BlockValues::Times(values) => values.len(),
            BlockValues::Categories { codes, .. } => codes.len(),
        }
    }

    /// Whether no value is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values of one column in consecutive rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// One flag a row, whether it has a value; empty when every row has one.
    present: Vec<bool>,
    values: BlockValues,
}

impl Block {
    /// A block of `values`; `present` has a flag for each row, as many of them true as there are values, or is empty when every row has a value.
    pub(crate) fn new(present: Vec<bool>, values: BlockValues) -> Block {
        Block { present, values }
    }

    /// How many rows the block has.
    #[must_use]
    pub fn rows(&self) -> usize {
        if self.present.is_empty() { self.values.len() } else { self.present.len() }
    }

    /// How much memory the block takes, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        let values = match &self.values {
            BlockValues::Numbers(values) => 8 * values.len(),
            BlockValues::Times(values) => 8 * values.len(),
            BlockValues::Categories { codes, dictionary } => {
                4 * codes.len() + dictionary.iter().map(|it| it.len() + size_of::<String>()).sum::<usize>()
            }
        };
        (values + self.present.len()) as u64
    }

    /// How many rows have no value.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.rows() - self.values.len()
    }

    /// One flag a row, whether it has a value; `None` when every row has one.
    #[must_use]
    pub fn present(&self) -> Option<&[bool]> {
        (!self.present.is_empty()).then_some(self.present.as_slice())
    }

    /// The values of the rows that have one.
    #[must_use]
    pub fn values(&self) -> &BlockValues {
        &self.values
    }

    /// The values, given away.
    #[must_use]
    pub fn into_values(self) -> BlockValues {
        self.values
    }
}
