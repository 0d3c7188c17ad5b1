//! One entry for streaming: open a source of any format, then read the wanted columns block by block.
//!
//! ```
//! use refit_data::{BlockValues, ReadOptions, Table};
//! let csv = b"x,c\n1,a\n,b\n3,a\n".to_vec();
//! let table = Table::open(&csv, &ReadOptions::all())?;
//! let (mut sum, mut missing) = (0.0, 0);
//! for part in 0..table.n_parts() {
//!     table.scan(part, &[0], &mut |_, block| {
//!         if let BlockValues::Numbers(values) = block.values() {
//!             sum += values.iter().sum::<f64>();
//!         }
//!         missing += block.missing();
//!         Ok(())
//!     })?;
//! }
//! assert_eq!((sum, missing), (4.0, 1));
//! # Ok::<(), refit_data::ReadError>(())
//! ```

use std::sync::Arc;

use crate::block::{Block, BlockValues};
use crate::error::ReadError;
use crate::frame::{Column, Frame, Kind, Values};
use crate::options::ReadOptions;
use crate::parquet_file::{ParquetFile, Wanted};
use crate::parquet_read::scan_column;
use crate::range::RangeRead;
use crate::read::{Content, detect_content, guard};

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Unique within the table.
    pub name: String,
    /// What its blocks hold.
    pub kind: Kind,
}

/// An opened source: its columns are known, its rows are read when they are asked for.
///
/// Reading takes `&self` and a table is `Sync`, so several threads may read parts and columns of one table at the same time.
pub struct Table<'a> {
    content: TableContent<'a>,
    columns: Vec<TableColumn>,
    ignored: Vec<String>,
}

enum TableContent<'a> {
    Parquet { source: &'a dyn RangeRead, file: ParquetFile, wanted: Vec<Wanted> },
    Frame(Frame),
}

impl<'a> Table<'a> {
    /// Opens a source: Parquet, CSV, JSON Lines or data capture, told by content; the last three optionally in gzip or zstd.
    ///
    /// The columns are those that `options` names, in its order and with its kinds; or all, with the kinds that their types or values say. Of
    /// all columns, those of a type that is not read (lists, structs, decimals) are left out and named by [`Table::ignored`].
    ///
    /// # Errors
    /// Says where the data is wrong; see [`ReadError`].
    pub fn open(source: &'a dyn RangeRead, options: &ReadOptions) -> Result<Table<'a>, ReadError> {
        guard(|| match detect_content(source, options)? {
            Content::Parquet { length } => {
                let file = ParquetFile::open(source, length)?;
                let (wanted, ignored) = match &options.columns {
                    Some(columns) => (file.wanted(columns)?, Vec::new()),
                    None => file.readable_columns(),
                };
                let columns = wanted.iter().map(|it| TableColumn { name: it.name.clone(), kind: it.kind }).collect();
                let ignored = ignored.iter().map(ReadError::to_string).collect();
                Ok(Table { content: TableContent::Parquet { source, file, wanted }, columns, ignored })
            }
            Content::Frame(frame) => {
                let columns = frame.columns().iter();
                let columns = columns.map(|it| TableColumn { name: it.name.clone(), kind: it.values.kind() }).collect();
                Ok(Table { content: TableContent::Frame(frame), columns, ignored: Vec::new() })
            }
        })
    }

    /// The columns, in the order of their indices.
    #[must_use]
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// Columns that are left out because of their types: one sentence each.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// How many parts the table has, which can be read independently of each other: the row groups of Parquet, 1 for other formats.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        match &self.content {
            TableContent::Parquet { file, .. } => file.metadata.num_row_groups(),
            TableContent::Frame(_) => 1,
        }
    }

    /// How many rows the table has, where that is known before they are read.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match &self.content {
            TableContent::Parquet { file, .. } => Some(file.rows()),
            TableContent::Frame(frame) => Some(frame.rows() as u64),
        }
    }

    /// Whether reading columns one after another, each alone, costs no more than reading them together. That is so for Parquet; a text has
    /// to be read again for each call.
    #[must_use]
    pub fn is_columnar(&self) -> bool {
        match &self.content {
            TableContent::Parquet { .. } => true,
            TableContent::Frame(_) => false,
        }
    }

    /// Hands the blocks of these columns (indices into [`Table::columns`]) of a part to `sink`, with the position of the column in `columns`.
    ///
    /// The blocks of a column come in the order of the rows and cover each row of the part once. Blocks of different columns need not have the
    /// same rows, and may come in any order among each other. Values are checked as they are read: after an error, blocks that were handed out
    /// are right, but the part is not whole.
    ///
    /// # Errors
    /// Says where the data is wrong, or is what `sink` said.
    pub fn scan(
        &self,
        part: usize,
        columns: &[usize],
        sink: &mut dyn FnMut(usize, &Block) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        guard(|| match &self.content {
            TableContent::Parquet { source, file, wanted } => {
                for (position, column) in columns.iter().enumerate() {
                    if let Some(column) = wanted.get(*column) {
                        scan_column(*source, file, part, column, &mut |block| sink(position, block))?;
                    }
                }
                Ok(())
            }
            TableContent::Frame(frame) if part == 0 => {
                for (position, column) in columns.iter().enumerate() {
                    if let Some(column) = frame.columns().get(*column) {
                        scan_values(column, &mut |block| sink(position, block))?;
                    }
                }
                Ok(())
            }
            TableContent::Frame(_) => Ok(()),
        })
    }
}

fn scan_values(column: &Column, sink: &mut dyn FnMut(&Block) -> Result<(), ReadError>) -> Result<(), ReadError> {
    const ROWS: usize = 8192;
    fn split<T: Copy>(rows: &[Option<T>]) -> (Vec<bool>, Vec<T>) {
        let values: Vec<T> = rows.iter().flatten().copied().collect();
        let is_whole = values.len() == rows.len();
        (if is_whole { Vec::new() } else { rows.iter().map(Option::is_some).collect() }, values)
    }
    match &column.values {
        Values::Numeric(values) => values.chunks(ROWS).try_for_each(|rows| {
            let (present, values) = split(rows);
            sink(&Block::new(present, BlockValues::Numbers(values)))
        }),
        Values::Time(values) => values.chunks(ROWS).try_for_each(|rows| {
            let (present, values) = split(rows);
            sink(&Block::new(present, BlockValues::Times(values)))
        }),
        Values::Categorical(values) => {
            let dictionary = Arc::new(values.dictionary.clone());
            values.codes.chunks(ROWS).try_for_each(|rows| {
                let rows: Vec<Option<u32>> =
                    rows.iter().map(|it| ((*it as usize) < dictionary.len()).then_some(*it)).collect();
                let (present, codes) = split(&rows);
                sink(&Block::new(present, BlockValues::Categories { codes, dictionary: Arc::clone(&dictionary) }))
            })
        }
    }
}
