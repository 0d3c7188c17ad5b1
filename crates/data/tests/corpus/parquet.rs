//! Parquet, 33 to 48.

use std::sync::Arc;

use parquet::data_type::{
    ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use refit_data::{Categories, Column, Frame, ReadOptions, Values, read, write_csv, write_parquet};

use super::{Outcome, Row, Scale, all, frame, refused, rows};

/// Of another writer, with a checksum on every page.
const CHECKED: &[u8] = include_bytes!("../it/files/checksum.parquet");
const BROTLI: &[u8] = include_bytes!("../it/files/brotli.parquet");

pub(super) const CASES: &[Row] = &[
    (33, "stubs", |_| {
        all([
            refused(b"", &["empty"]),
            refused(b"PAR1", &["without a footer"]),
            refused(b"PAR1PAR1", &["without a footer"]),
        ])
    }),
    (34, "footer lengths that lie", |_| {
        all([17, u32::MAX, 0x8000_0000].map(|it| refused(&with_footer_length(it), &["footer"])))
    }),
    (35, "the damages of `bad_data`", |_| super::bad_data::cases()),
    (36, "cut off at 64 places", |_| cut()),
    (37, "one bit flipped at each place", flipped),
    (38, "encrypted", |_| refused(&[b"PARE".as_slice(), &[0; 8], b"PARE"].concat(), &["encrypted"])),
    (39, "row counts that disagree", |_| row_counts()),
    (40, "page that claims 2 GB", |_| page_bomb()),
    (41, "codec that is not read", |_| refused(BROTLI, &["Brotli"])),
    (42, "nested columns", |_| nested()),
    (43, "odd types", |_| odd_types()),
    (44, "names that are equal, or but for case", |_| names()),
    (45, "no row groups; 100,000 of one row", row_groups),
    (46, "CSV named like Parquet, and the reverse", |_| {
        all([rows(&write_csv(&small()), 200), rows(&write_parquet(&small()), 200)])
    }),
    (47, "statistics that lie", |_| statistics()),
    (48, "schema 10,000 deep", |_| refused(&deep(), &["depth", "32"])),
];

fn small() -> Frame {
    let numbers = (0..200).map(|it| (it % 7 != 0).then_some(f64::from(it) * 1.25)).collect();
    let texts: Categories = (0..200).map(|it| ["aa", "b", "ccc"].get(it % 4).copied()).collect();
    Frame::new(vec![
        Column { name: "x".to_owned(), values: Values::Numeric(numbers) },
        Column { name: "c".to_owned(), values: Values::Categorical(texts) },
    ])
    .expect("a frame")
}

fn with_footer_length(length: u32) -> Vec<u8> {
    [b"PAR1".as_slice(), &[0; 8], &length.to_le_bytes(), b"PAR1"].concat()
}

fn cut() -> Outcome {
    let bytes = write_parquet(&small());
    let tail = &bytes[bytes.len() - 8..];
    all((0..64).flat_map(|at| {
        let start = &bytes[..bytes.len() * at / 64];
        [refused(start, &[]), refused(&[start, tail].concat(), &[])]
    }))
}

/// Flips one bit at each place: with checksums, an error or the same values; names in the footer have none.
fn flipped(scale: Scale) -> Outcome {
    let expected = frame(CHECKED)?;
    let tail = &CHECKED[CHECKED.len() - 8..];
    let footer = CHECKED.len() - 8 - u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    let step = if scale == Scale::Full { 1 } else { 7 };
    let (mut n_refused, mut n_equal, mut n_footer) = (0, 0, 0);
    for at in (0..CHECKED.len()).step_by(step) {
        let mut bytes = CHECKED.to_vec();
        bytes[at] ^= 1 << (at % 8);
        match read(&bytes, &ReadOptions::all()) {
            Err(_) => n_refused += 1,
            Ok(found) if found == expected => n_equal += 1,
            Ok(found) if footer <= at && found.rows() == expected.rows() => n_footer += 1,
            Ok(_) => return Err(format!("byte {at} changed a value")),
        }
    }
    Ok(format!("{n_refused} refused, {n_equal} read the same, {n_footer} with another name or type in the footer"))
}

/// Replaces the number of rows wherever it stands in the footer.
fn row_counts() -> Outcome {
    let bytes = write_parquet(&small());
    let tail = &bytes[bytes.len() - 8..];
    let footer = bytes.len() - 8 - u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    // 200 and 202 as zigzag variable-length integers.
    let (count, other) = ([0x90, 0x03], [0x94, 0x03]);
    let places: Vec<usize> = (footer..bytes.len() - 8).filter(|at| bytes[*at..].starts_with(&count)).collect();
    if places.len() < 4 {
        return Err(format!("the count stands in {} places only", places.len()));
    }
    all(places.into_iter().map(|at| {
        let mut bytes = bytes.clone();
        bytes[at..at + 2].copy_from_slice(&other);
        refused(&bytes, &["damaged"])
    }))
}

/// Makes the first page claim 2^31 - 1 bytes and takes as many bytes from its content, so that all else stays in its place.
fn page_bomb() -> Outcome {
    let bytes = write_parquet(&small());
    // After the magic: field 1 (type), field 2 (uncompressed size), both a tag and an integer.
    let start = 4 + 2 + 1;
    let end = start + bytes[start..].iter().position(|it| *it < 0x80).ok_or("no size")? + 1;
    let claim = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let added = claim.len() - (end - start);
    let mut bomb = bytes[..start].to_vec();
    bomb.extend(claim);
    bomb.extend(&bytes[end..60 - added]);
    bomb.extend(&bytes[60..]);
    refused(&bomb, &["bytes of a Parquet page", "limit"])
}

fn write(schema: &str, fill: impl FnOnce(&mut SerializedFileWriter<Vec<u8>>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).expect("a schema"));
    let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::Chunk).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    fill(&mut writer);
    writer.into_inner().expect("memory")
}

/// Writes one value into each column.
macro_rules! one_group {
    ($writer:ident, $($kind:ty, $values:expr);+) => {{
        let mut group = $writer.next_row_group().expect("memory");
        $(
            let mut column = group.next_column().expect("memory").expect("a column");
            column.typed::<$kind>().write_batch($values, None, None).expect("memory");
            column.close().expect("memory");
        )+
        group.close().expect("memory");
    }};
}

fn nested() -> Outcome {
    let bytes = write("required group a { required int32 b; } required int32 c;", |writer| {
        one_group!(writer, Int32Type, &[1]; Int32Type, &[2]);
    });
    let table = refit_data::Table::open(&bytes, &ReadOptions::all()).map_err(|it| it.to_string())?;
    let ignored = table.ignored().join("; ");
    if table.columns().len() == 1 && ignored.contains("`a`") {
        Ok(format!("left out: {ignored}"))
    } else {
        Err(ignored)
    }
}

fn odd_types() -> Outcome {
    let int96 = write("required int96 a;", |writer| one_group!(writer, Int96Type, &[Int96::new()]));
    let fixed = |schema: &str, n: usize| {
        write(schema, |writer| one_group!(writer, FixedLenByteArrayType, &[FixedLenByteArray::from(vec![0; n])]))
    };
    let decimal = fixed("required fixed_len_byte_array(16) a (DECIMAL(38,0));", 16);
    let float16 = fixed("required fixed_len_byte_array(2) a (FLOAT16);", 2);
    let unsigned =
        write("required int64 a (INTEGER(64,false));", |writer| one_group!(writer, Int64Type, &[(1 << 53) + 1]));
    let nanos = write("required int64 a (TIMESTAMP(NANOS,true));", |writer| one_group!(writer, Int64Type, &[1]));
    all([
        refused(&int96, &["`a`", "INT96"]),
        refused(&decimal, &["`a`", "Decimal"]),
        refused(&float16, &["`a`", "Float16"]),
        refused(&unsigned, &["row 1", "`a`", "rounded"]),
        refused(&nanos, &["row 1", "`a`", "microsecond"]),
    ])
}

fn names() -> Outcome {
    let twins = |schema| write(schema, |writer| one_group!(writer, Int32Type, &[1]; Int32Type, &[1]));
    all([
        refused(&twins("required int32 a; required int32 A;"), &["`a`", "`A`", "case"]),
        refused(&twins("required int32 a; required int32 a;"), &["1 and 2", "`a`"]),
    ])
}

fn row_groups(scale: Scale) -> Outcome {
    let n = if scale == Scale::Full { 30_000 } else { 3_000 };
    let none = write("required int32 a;", |_| {});
    let many = write("required int32 a;", |writer| (0..n).for_each(|it| one_group!(writer, Int32Type, &[it])));
    // The format's own limit is 32,767 row groups.
    all([rows(&none, 0), rows(&many, n as usize)])
}

/// Replaces the least value in the footer, which statistics hold, and nowhere else.
fn statistics() -> Outcome {
    let values = [12_345.678, 20_000.5, 30_000.25];
    let bytes = write("required double a; required binary b (UTF8);", |writer| {
        one_group!(writer, DoubleType, &values; ByteArrayType, &["x".into(), "y".into(), "z".into()]);
    });
    let least = values[0].to_le_bytes();
    let places: Vec<usize> = (0..bytes.len() - 8).filter(|at| bytes[*at..].starts_with(&least)).collect();
    let Some(last) = places.last().filter(|_| 1 < places.len()) else { return Err("no statistics".to_owned()) };
    let mut lying = bytes.clone();
    lying[*last..*last + 8].copy_from_slice(&(-1.0_f64).to_le_bytes());
    if frame(&lying)? == frame(&bytes)? {
        Ok("values are those of the data".to_owned())
    } else {
        Err("believed".to_owned())
    }
}

fn deep() -> Vec<u8> {
    // FileMetaData { 1: version, 2: [SchemaElement { 4: name, 5: num_children }; 10,000] }.
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc, 0x90, 0x4e];
    for _ in 0..10_000 {
        footer.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]);
    }
    footer.push(0);
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1".as_slice(), &footer, &length, b"PAR1"].concat()
}
