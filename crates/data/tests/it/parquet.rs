//! Parquet: what we write reads back, and so do the types that others write.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use refit_data::{Frame, Kind, ReadOptions, read, write_parquet};

use crate::{categorical, numeric, sample, time};

/// One column of a file under construction.
enum Raw {
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<&'static [u8]>),
    Int96,
}

/// A file of one row group with these required columns.
fn file(schema: &str, columns: &[Raw], compression: Compression) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    let mut group = writer.next_row_group().expect("memory");
    for column in columns {
        let mut out = group.next_column().expect("memory").expect("a column");
        match column {
            Raw::I32(it) => out.typed::<Int32Type>().write_batch(it, None, None),
            Raw::I64(it) => out.typed::<Int64Type>().write_batch(it, None, None),
            Raw::F32(it) => out.typed::<FloatType>().write_batch(it, None, None),
            Raw::F64(it) => out.typed::<DoubleType>().write_batch(it, None, None),
            Raw::Bytes(it) => {
                let values: Vec<ByteArray> = it.iter().map(|it| ByteArray::from(*it)).collect();
                out.typed::<ByteArrayType>().write_batch(&values, None, None)
            }
            Raw::Int96 => out.typed::<Int96Type>().write_batch(&[Int96::new()], None, None),
        }
        .expect("memory");
        out.close().expect("memory");
    }
    group.close().expect("memory");
    writer.into_inner().expect("memory")
}

#[test]
fn written_frames_read_back_and_have_the_same_bytes() {
    let empty = Frame::new(vec![numeric("x", &[]), categorical("c", &[])]).expect("a frame");
    for frame in [sample(), empty] {
        let bytes = write_parquet(&frame);
        assert_eq!(bytes, write_parquet(&frame));
        assert_eq!(read(&bytes, &ReadOptions::all()).expect("readable"), frame);
    }
}

#[test]
fn several_row_groups_and_few_columns() {
    let values: Vec<Option<f64>> = (0..250_000).map(|it| Some(f64::from(it))).collect();
    let texts: Vec<Option<&str>> = (0..250_000).map(|it| ["a", "b", "c"].get(it % 4).copied()).collect();
    let frame = Frame::new(vec![numeric("x", &values), categorical("c", &texts)]).expect("a frame");
    let bytes = write_parquet(&frame);
    let found = read(&bytes, &ReadOptions::columns(&[("c", Kind::Categorical)])).expect("readable");
    assert_eq!(found, Frame::new(vec![categorical("c", &texts)]).expect("a frame"));
}

#[test]
fn types_of_other_writers_are_understood() {
    let schema = "required int32 i; required int64 u (INTEGER(64,false)); required float f; required int32 d (DATE); \
                  required int64 ms (TIMESTAMP(MILLIS,false)); required int64 ns (TIMESTAMP(NANOS,true)); \
                  required int64 old (TIMESTAMP_MILLIS); required binary s (UTF8); required binary b;";
    let columns = [
        Raw::I32(vec![-7]),
        Raw::I64(vec![i64::MIN]),
        Raw::F32(vec![0.5]),
        Raw::I32(vec![1]),
        Raw::I64(vec![2]),
        Raw::I64(vec![3000]),
        Raw::I64(vec![-1]),
        Raw::Bytes(vec![b"x"]),
        Raw::Bytes(vec![b"y"]),
    ];
    let expected = vec![
        numeric("i", &[Some(-7.0)]),
        numeric("u", &[Some(9_223_372_036_854_775_808.0)]),
        numeric("f", &[Some(0.5)]),
        time("d", &[Some(86_400_000_000)]),
        time("ms", &[Some(2000)]),
        time("ns", &[Some(3)]),
        time("old", &[Some(-1000)]),
        categorical("s", &[Some("x")]),
        categorical("b", &[Some("y")]),
    ];
    let bytes = file(schema, &columns, Compression::GZIP(Default::default()));
    assert_eq!(read(&bytes, &ReadOptions::all()).expect("readable"), Frame::new(expected).expect("a frame"));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let cases: Vec<(&str, Raw, Kind, &str)> = vec![
        ("required int96 a;", Raw::Int96, Kind::Time, "column `a` has type INT96, which is not supported"),
        ("required int32 A;", Raw::I32(vec![1]), Kind::Time, "column `a` is missing; present: A"),
        (
            "required double a;",
            Raw::F64(vec![1.0, f64::NAN]),
            Kind::Time,
            "row 2, column `a`: `NaN` is not a time value",
        ),
        (
            "required int64 a;",
            Raw::I64(vec![1, (1 << 53) + 1]),
            Kind::Numeric,
            "row 2, column `a`: `9007199254740993` would be rounded",
        ),
        (
            "required binary a (UTF8);",
            Raw::Bytes(vec![b"1"]),
            Kind::Numeric,
            "row 1, column `a`: `1` is not a numeric value",
        ),
        (
            "required binary a;",
            Raw::Bytes(vec![b"\xff"]),
            Kind::Categorical,
            "row 1, column `a`: `bytes that are not UTF-8` is not a categorical value",
        ),
        (
            "required int64 a (TIMESTAMP(MICROS,true));",
            Raw::I64(vec![0]),
            Kind::Categorical,
            "row 1, column `a`: `1970-01-01T00:00:00Z` is not a categorical value",
        ),
        (
            "required int64 a (TIMESTAMP(NANOS,true));",
            Raw::I64(vec![1]),
            Kind::Time,
            "row 1, column `a`: `a time finer than a microsecond` is not a time value",
        ),
        (
            "required int64 a (TIMESTAMP(MICROS,true));",
            Raw::I64(vec![i64::MAX]),
            Kind::Time,
            "row 1, column `a`: `9999-12-31T23:59:59.999999Z` is not a time value",
        ),
        (
            "required group a { required int32 b; }",
            Raw::I32(vec![1]),
            Kind::Numeric,
            "column `a` has type nested, which is not supported",
        ),
    ];
    for (schema, column, kind, expected) in cases {
        let bytes = file(schema, &[column], Compression::SNAPPY);
        let error = read(&bytes, &ReadOptions::columns(&[("a", kind)])).expect_err("refused");
        assert_eq!(error.to_string(), expected, "{schema}");
    }
    let twins =
        file("required int32 a; required int32 A;", &[Raw::I32(vec![1]), Raw::I32(vec![1])], Compression::SNAPPY);
    let error = read(&twins, &ReadOptions::all()).expect_err("refused");
    assert_eq!(error.to_string(), "columns `a` and `A` differ only by case");
}
