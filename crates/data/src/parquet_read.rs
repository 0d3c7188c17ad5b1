//! Parquet row group by row group, and of those only the wanted columns.
//!
//! Statistics in the file are never used: they may lie. Nanoseconds that are not whole microseconds are refused rather than rounded. Timestamps without
//! a zone are taken as UTC.

use crate::build::ColumnBuilder;
use crate::error::ReadError;
use crate::frame::Frame;
use crate::limits::MAX_ROWS;
use crate::options::ReadOptions;
use crate::parquet_column::{BlockSink, scan_chunk};
use crate::parquet_file::{ParquetFile, Wanted};
use crate::parquet_pages::Pages;
use crate::range::RangeRead;

/// Reads a file whose magic is right at both ends.
pub(crate) fn read_parquet(source: &dyn RangeRead, length: u64, options: &ReadOptions) -> Result<Frame, ReadError> {
    let file = ParquetFile::open(source, length)?;
    if (MAX_ROWS as u64) < file.rows() {
        return Err(ReadError::TooLarge { what: "rows are", limit: MAX_ROWS as u64 });
    }
    let wanted = match &options.columns {
        None => file.all_columns()?,
        Some(columns) => file.wanted(columns)?,
    };
    let mut builders: Vec<ColumnBuilder> = wanted.iter().map(|it| ColumnBuilder::new(&it.name, it.kind)).collect();
    for group in 0..file.metadata.num_row_groups() {
        for (column, builder) in wanted.iter().zip(&mut builders) {
            scan_column(source, &file, group, column, &mut |block| {
                builder.append(block);
                Ok(())
            })?;
        }
    }
    Frame::new(builders.into_iter().map(ColumnBuilder::finish).collect()).map_err(ReadError::Frame)
}

/// Hands the blocks of one column of a row group to `sink`.
pub(crate) fn scan_column(
    source: &dyn RangeRead,
    file: &ParquetFile,
    group: usize,
    column: &Wanted,
    sink: BlockSink<'_>,
) -> Result<(), ReadError> {
    let Some(meta) = file.metadata.row_groups().get(group) else {
        return Ok(());
    };
    if meta.num_columns() <= column.leaf {
        return Err(ReadError::damaged("a row group lacks a column"));
    }
    let n_rows = file.group_rows(group);
    let first_row: u64 = (0..group).map(|it| file.group_rows(it)).sum();
    let chunk = meta.column(column.leaf);
    let pages = Pages::open(source, file.length, chunk, n_rows)?;
    scan_chunk(pages, chunk, (first_row as usize, n_rows as usize), column, sink)
}
