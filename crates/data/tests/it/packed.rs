//! Packed and streamed texts: whatever the pieces, the rows are the same.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use refit_data::{Frame, Kind, ReadOptions, Table, read, write_csv, write_parquet};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::{categorical, numeric, sample};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let error = read(&bytes, &ReadOptions::all()).expect_err("refused");
    assert_eq!(error.to_string(), expected);
}

/// Rows with quotes, line ends and letters of two to four bytes, so that pieces end in the middle of all of them.
fn large() -> Frame {
    let texts = ["é", "a\r\nb", "\"", "", "🐦,", "plain"];
    let n = 120_000;
    let numbers: Vec<Option<f64>> = (0..n).map(|it| (it % 11 != 0).then_some(it as f64 / 8.0)).collect();
    let texts: Vec<Option<&str>> = (0..n).map(|it| texts.get(it % 7).copied()).collect();
    Frame::new(vec![numeric("x", &numbers), categorical("c", &texts)]).expect("a frame")
}

#[test]
fn pieces_do_not_matter() {
    let options = ReadOptions::columns(&[("x", Kind::Numeric), ("c", Kind::Categorical)]);
    let frame = large();
    let text = write_csv(&frame);
    assert!(1 << 20 < text.len());
    for bytes in
        [text.clone(), gzip(&text), zstd(&text), [zstd(&text[..1000]), zstd(b""), zstd(&text[1000..])].concat()]
    {
        assert_eq!(read(&bytes, &options).expect("readable"), frame);
        assert_eq!(read(&bytes, &ReadOptions::all()).expect("readable"), frame);
    }
    let lines: String = (0..frame.rows())
        .map(|row| format!("{}\n", serde_json::Value::from(refit_data::feature_object(&frame, row, &["x", "c"]))))
        .collect();
    let found = read(&lines.as_bytes(), &options).expect("readable");
    assert_eq!(found, frame);
}

#[test]
fn parquet_may_be_packed_as_a_whole() {
    let bytes = write_parquet(&sample());
    for packed in [gzip(&bytes), zstd(&bytes)] {
        assert_eq!(read(&packed, &ReadOptions::all()).expect("readable"), sample());
        assert_eq!(Table::open(&packed, &ReadOptions::all()).expect("readable").rows(), Some(4));
    }
}

#[test]
fn damage_and_bombs_are_refused() {
    let whole = zstd(b"a,b\n1,2\n");
    let ends = "data is damaged: zstd data ends early or does not check";
    for end in 4..whole.len() {
        check_refused(&whole[..end], ends);
    }
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    check_refused(&flipped, ends);
    check_refused(&[whole, vec![0; 3]].concat(), ends);
    check_refused(&zstd(&vec![b'a'; 20 << 20]), "ratio of compression is over the limit of 100");
    check_refused(&zstd(&gzip(b"a\n1\n")), "gzip within gzip or zstd is not supported");
    check_refused(&gzip(&zstd(b"a\n1\n")), "zstd within gzip or zstd is not supported");
    let long_row = format!("a\n{}\n", "x,".repeat(9 << 20));
    check_refused(long_row.as_bytes(), "columns are over the limit of 10000");
    let long_line = format!("{{\"a\":\"{}\"}}", "x".repeat(20 << 20));
    check_refused(long_line.as_bytes(), "bytes of a row are over the limit of 16777216");
}
