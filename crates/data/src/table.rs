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

use crate::block::Block;
use crate::build::ColumnBuilder;
use crate::error::ReadError;
use crate::frame::{Column, Frame, Kind};
use crate::options::ReadOptions;
use crate::parquet_file::{ParquetFile, Wanted};
use crate::parquet_read::scan_column;
use crate::range::RangeRead;
use crate::read::{Content, detect, guard};
use crate::stream::TextStream;
use crate::text_table::TextFormat;

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
    Parquet {
        source: Source<'a>,
        file: ParquetFile,
        wanted: Vec<Wanted>,
    },
    Text {
        source: &'a dyn RangeRead,
        length: u64,
        format: TextFormat,
        wanted: Vec<(String, Kind)>,
    },
    /// The blocks of each column.
    Memory {
        columns: Vec<Vec<Block>>,
        rows: u64,
    },
}

/// The bytes of Parquet: the caller's, or unpacked ones.
enum Source<'a> {
    Borrowed(&'a dyn RangeRead),
    Owned(Vec<u8>),
}

impl Source<'_> {
    fn bytes(&self) -> &dyn RangeRead {
        match self {
            Source::Borrowed(source) => *source,
            Source::Owned(bytes) => bytes,
        }
    }
}

impl<'a> Table<'a> {
    /// Opens a source: Parquet, CSV, JSON Lines or data capture, told by content; in gzip or zstd or neither.
    ///
    /// The columns are those that `options` names, in its order and with its kinds; or all, with the kinds that their types or values say,
    /// for which a text is read once. Of all columns, those of a type that is not read (lists, structs, decimals) are left out and named by
    /// [`Table::ignored`].
    ///
    /// # Errors
    /// Says where the data is wrong; see [`ReadError`]. A text whose columns are given is looked at when it is read.
    pub fn open(source: &'a dyn RangeRead, options: &ReadOptions) -> Result<Table<'a>, ReadError> {
        guard(|| {
            let length = source.len().map_err(ReadError::Io)?;
            match detect(source, length)? {
                Content::Parquet => Table::parquet(Source::Borrowed(source), length, options),
                Content::Packed(bytes) => {
                    let length = bytes.len() as u64;
                    Table::parquet(Source::Owned(bytes), length, options)
                }
                Content::Text(format, stream) => {
                    let wanted = match &options.columns {
                        Some(columns) => columns.clone(),
                        None => format.infer(stream)?,
                    };
                    let column = |it: &(String, Kind)| TableColumn { name: it.0.clone(), kind: it.1 };
                    let columns = wanted.iter().map(column).collect();
                    let content = TableContent::Text { source, length, format, wanted };
                    Ok(Table { content, columns, ignored: Vec::new() })
                }
            }
        })
    }

    fn parquet(source: Source<'a>, length: u64, options: &ReadOptions) -> Result<Table<'a>, ReadError> {
        let file = ParquetFile::open(source.bytes(), length)?;
        let (wanted, ignored) = match &options.columns {
            Some(columns) => (file.wanted(columns)?, Vec::new()),
            None => file.readable_columns(),
        };
        let columns = wanted.iter().map(|it| TableColumn { name: it.name.clone(), kind: it.kind }).collect();
        let ignored = ignored.iter().map(ReadError::to_string).collect();
        Ok(Table { content: TableContent::Parquet { source, file, wanted }, columns, ignored })
    }

    /// The rows of a frame as a table.
    #[must_use]
    pub fn of_frame(frame: Frame) -> Table<'static> {
        let rows = frame.rows() as u64;
        let named = |it: &Column| TableColumn { name: it.name.clone(), kind: it.values.kind() };
        let columns: Vec<TableColumn> = frame.columns().iter().map(named).collect();
        let blocks = frame.into_columns().into_iter().map(|it| vec![ColumnBuilder::from_column(it).take_block()]);
        let content = TableContent::Memory { columns: blocks.collect(), rows };
        Table { content, columns, ignored: Vec::new() }
    }

    /// The same table in memory, if it is a text whose values take at most about `most_bytes` there, so that it is read once and not for each
    /// column; otherwise the table as it is.
    ///
    /// # Errors
    /// Says where the data is wrong.
    pub fn into_memory(self, most_bytes: u64) -> Result<Table<'a>, ReadError> {
        let TableContent::Text { .. } = self.content else { return Ok(self) };
        let mut columns: Vec<Vec<Block>> = self.columns.iter().map(|_| Vec::new()).collect();
        let all: Vec<usize> = (0..columns.len()).collect();
        let mut n_bytes = 0;
        let mut is_too_large = false;
        self.scan(0, &all, &mut |at, block| {
            n_bytes += block.bytes();
            is_too_large = is_too_large || most_bytes < n_bytes;
            if !is_too_large {
                columns[at].push(block.clone());
            }
            Ok(())
        })?;
        if is_too_large {
            return Ok(self);
        }
        let rows = columns.first().map_or(0, |it| it.iter().map(|it| it.rows() as u64).sum());
        Ok(Table { content: TableContent::Memory { columns, rows }, ..self })
    }

    /// The names of all columns of a source, readable or not. A text without a header is read for it.
    ///
    /// # Errors
    /// Says where the data is wrong.
    pub fn column_names(source: &dyn RangeRead) -> Result<Vec<String>, ReadError> {
        guard(|| {
            let length = source.len().map_err(ReadError::Io)?;
            match detect(source, length)? {
                Content::Parquet => Ok(ParquetFile::open(source, length)?.into_names()),
                Content::Packed(bytes) => Ok(ParquetFile::open(&bytes, bytes.len() as u64)?.into_names()),
                Content::Text(format, stream) => format.column_names(stream),
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
            TableContent::Text { .. } | TableContent::Memory { .. } => 1,
        }
    }

    /// How many rows the table has, where that is known before they are read.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match &self.content {
            TableContent::Parquet { file, .. } => Some(file.rows()),
            TableContent::Text { .. } => None,
            TableContent::Memory { rows, .. } => Some(*rows),
        }
    }

    /// Whether reading columns one after another, each alone, costs no more than reading them together. That is so for Parquet; a text has
    /// to be read again for each call.
    #[must_use]
    pub fn is_columnar(&self) -> bool {
        match &self.content {
            TableContent::Parquet { .. } | TableContent::Memory { .. } => true,
            TableContent::Text { .. } => false,
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
                        scan_column(source.bytes(), file, part, column, &mut |block| sink(position, block))?;
                    }
                }
                check_length(source.bytes(), file.length)
            }
            TableContent::Text { source, length, format, wanted } if part == 0 => {
                let wanted: Vec<(String, Kind)> = columns.iter().filter_map(|it| wanted.get(*it).cloned()).collect();
                scan_text(TextStream::open(*source, *length)?, *format, &wanted, sink)?;
                check_length(*source, *length)
            }
            TableContent::Memory { columns: blocks, .. } if part == 0 => {
                let each = columns.iter().enumerate().filter_map(|(position, it)| Some((position, blocks.get(*it)?)));
                each.flat_map(|(position, it)| it.iter().map(move |block| (position, block)))
                    .filter(|it| 0 < it.1.rows())
                    .try_for_each(|(position, block)| sink(position, block))
            }
            TableContent::Text { .. } | TableContent::Memory { .. } => Ok(()),
        })
    }
}

/// Refuses a source that grew or shrank under the reader.
fn check_length(source: &dyn RangeRead, before: u64) -> Result<(), ReadError> {
    let after = source.len().map_err(ReadError::Io)?;
    if after == before { Ok(()) } else { Err(ReadError::Changed { before, after }) }
}

fn scan_text(
    stream: TextStream<'_>,
    format: TextFormat,
    wanted: &[(String, Kind)],
    sink: &mut dyn FnMut(usize, &Block) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    // Large enough to amortize a call, small enough to stay in cache.
    const ROWS: usize = 8192;
    let mut builders: Vec<ColumnBuilder> = wanted.iter().map(|it| ColumnBuilder::new(&it.0, it.1)).collect();
    let mut hand_out = |builders: &mut [ColumnBuilder]| {
        let blocks = builders.iter_mut().map(ColumnBuilder::take_block).enumerate();
        blocks.filter(|it| 0 < it.1.rows()).try_for_each(|(at, block)| sink(at, &block))
    };
    format.read_rows(stream, wanted, &mut builders, &mut |builders| {
        if builders.first().is_some_and(|it| ROWS <= it.len()) { hand_out(builders) } else { Ok(()) }
    })?;
    hand_out(&mut builders)
}
