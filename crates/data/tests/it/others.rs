//! Files that pyarrow wrote (26.0.1; the codecs, page versions and encodings are in their names): 300 rows in two row groups of several pages.

use refit_data::{Frame, ReadOptions, read};

use crate::{categorical, numeric, time};

const CHECKED: &[u8] = include_bytes!("files/checksum.parquet");

const FILES: &[(&str, &[u8])] = &[
    ("snappy", include_bytes!("files/snappy.parquet")),
    ("gzip", include_bytes!("files/gzip.parquet")),
    ("zstd", include_bytes!("files/zstd.parquet")),
    ("none_v2", include_bytes!("files/none_v2.parquet")),
    ("zstd_v2", include_bytes!("files/zstd_v2.parquet")),
    ("delta", include_bytes!("files/delta.parquet")),
    ("plain", include_bytes!("files/plain.parquet")),
    ("checksum", CHECKED),
];

fn expected() -> Frame {
    let rows = || 0..300_u32;
    let flag = |it: u32| if it.is_multiple_of(3) { "true" } else { "false" };
    let text = |it: u32| ["aa", "b", "", "é"].get(it as usize % 4).copied();
    Frame::new(vec![
        numeric("f", &rows().map(|it| (it % 7 != 0).then_some(f64::from(it) * 0.25)).collect::<Vec<_>>()),
        numeric("g", &rows().map(|it| Some(f64::from(it) * 0.5)).collect::<Vec<_>>()),
        numeric("i", &rows().map(|it| Some(f64::from(it % 5))).collect::<Vec<_>>()),
        numeric("u", &rows().map(|it| Some(f64::from(it))).collect::<Vec<_>>()),
        categorical("b", &rows().map(|it| (it % 11 != 0).then_some(flag(it))).collect::<Vec<_>>()),
        categorical("s", &rows().map(|it| (it % 13 != 0).then(|| text(it)).flatten()).collect::<Vec<_>>()),
        time("t", &rows().map(|it| Some(i64::from(it) * 1_000_000)).collect::<Vec<_>>()),
    ])
    .expect("a frame")
}

#[test]
fn every_codec_page_version_and_encoding_reads_the_same() {
    for (name, bytes) in FILES {
        assert_eq!(read(bytes, &ReadOptions::all()).expect(name), expected(), "{name}");
    }
}

#[test]
fn a_codec_that_is_not_read_is_named() {
    let bytes: &[u8] = include_bytes!("files/brotli.parquet");
    let error = read(&bytes, &ReadOptions::all()).expect_err("refused");
    assert_eq!(error.to_string(), "Brotli compression in Parquet is not supported");
}

/// Where each page of a file has its checksum, a flipped byte never changes a value: names and structure apart, what is read is what was written.
#[test]
fn no_flipped_byte_changes_a_checked_value() {
    let expected = expected();
    // The footer is followed by its length and the magic.
    let (_, tail) = CHECKED.split_at(CHECKED.len() - 8);
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    let footer = CHECKED.len() - 8 - length;
    for at in 0..CHECKED.len() {
        let mut damaged = CHECKED.to_vec();
        damaged[at] ^= 1 << (at % 8);
        if let Ok(found) = read(&damaged, &ReadOptions::all()) {
            assert_eq!(found.rows(), expected.rows(), "byte {at}");
            assert!(footer <= at || found == expected, "byte {at} changed a value");
        }
    }
}

#[test]
fn no_flipped_or_lost_byte_of_any_file_panics() {
    for (name, bytes) in FILES {
        // Every byte of the whole takes seconds; this takes every fifth, of which each file has others.
        for at in (name.len() % 5..bytes.len()).step_by(5) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            if let Ok(found) = read(&damaged, &ReadOptions::all()) {
                assert_eq!(found.rows(), 300, "{name}: byte {at}");
            }
        }
        for at in 0..64 {
            read(&&bytes[..bytes.len() * at / 64], &ReadOptions::all()).expect_err("refused");
        }
    }
}
