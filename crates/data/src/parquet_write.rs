//! Parquet from a frame, the same bytes for the same frame.
//!
//! Numbers are DOUBLE, times TIMESTAMP(MICROS, UTC), categories UTF-8 with a dictionary; every column is optional, pages are Snappy.

use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::frame::{Column, Frame, Kind, Values};

/// Rows in a row group: a few megabytes for usual tables, so that a reader needs little memory.
const ROWS_PER_GROUP: usize = 100_000;

/// The frame as a Parquet file.
///
/// # Panics
/// Never: writing to memory does not fail, and a frame has a valid schema.
#[must_use]
pub fn write_parquet(frame: &Frame) -> Vec<u8> {
    try_write(frame).expect("invariant: a frame has a valid schema, and memory does not fail")
}

fn try_write(frame: &Frame) -> ParquetResult<Vec<u8>> {
    let fields = frame.columns().iter().map(|it| Ok(Arc::new(field(it)?))).collect::<ParquetResult<Vec<_>>>()?;
    let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // The crate's own text carries its version, and bytes should not change with it.
        .set_created_by("refit".to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut start = 0;
    while start < frame.rows() {
        let end = frame.rows().min(start + ROWS_PER_GROUP);
        let mut group = writer.next_row_group()?;
        for column in frame.columns() {
            write_column(&mut group, &column.values, start, end)?;
        }
        group.close()?;
        start = end;
    }
    writer.into_inner()
}

fn field(column: &Column) -> ParquetResult<Type> {
    let (physical, logical, converted) = match column.values.kind() {
        Kind::Numeric => (Physical::DOUBLE, None, ConvertedType::NONE),
        Kind::Categorical => (Physical::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8),
        Kind::Time => {
            (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)), ConvertedType::TIMESTAMP_MICROS)
        }
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_converted_type(converted)
        .build()
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &Values,
    start: usize,
    end: usize,
) -> ParquetResult<()> {
    match values {
        Values::Numeric(values) => write_values::<DoubleType>(group, values[start..end].iter().copied()),
        Values::Time(values) => write_values::<Int64Type>(group, values[start..end].iter().copied()),
        Values::Categorical(values) => {
            write_values::<ByteArrayType>(group, (start..end).map(|row| values.get(row).map(ByteArray::from)))
        }
    }
}

fn write_values<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: impl Iterator<Item = Option<T::T>>,
) -> ParquetResult<()> {
    let mut levels = Vec::new();
    let mut present = Vec::new();
    for value in rows {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(&present, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}
