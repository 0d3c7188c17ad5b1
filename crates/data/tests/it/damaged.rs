//! Damaged files: an error or data of the right shape, never a panic, an abort or a half-read table.

use refit_data::{Categories, Column, Frame, ReadError, ReadOptions, Values, read, write_parquet};

use crate::sample;

/// The sample many times over: dictionaries, levels and plain pages all take part.
fn small_file() -> (Frame, Vec<u8>) {
    let numbers = (0..200).map(|it| (it % 7 != 0).then_some(f64::from(it) * 1.25)).collect();
    let texts: Categories = (0..200).map(|it| ["aa", "b", "ccc"].get(it % 4).copied()).collect();
    let frame = Frame::new(vec![
        Column { name: "x".to_owned(), values: Values::Numeric(numbers) },
        Column { name: "c".to_owned(), values: Values::Categorical(texts) },
        Column { name: "t".to_owned(), values: Values::Time((0..200).map(|it| Some(it * 1_000_000)).collect()) },
    ])
    .expect("a frame");
    let bytes = write_parquet(&frame);
    (frame, bytes)
}

#[test]
fn stubs_are_refused() {
    let huge_footer = [b"PAR1".as_slice(), &[0; 8], &u32::MAX.to_le_bytes(), b"PAR1"].concat();
    let long_footer = [b"PAR1".as_slice(), &[0; 8], &17_u32.to_le_bytes(), b"PAR1"].concat();
    let encrypted = [b"PARE".as_slice(), &[0; 8], b"PARE"].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "data is empty: no header"),
        (b"PAR1", "data is damaged: Parquet without a footer"),
        (b"PAR1PAR1", "data is damaged: Parquet without a footer"),
        (b"PAR1\0\0\0\0PAR1", "data is damaged: the Parquet footer does not parse"),
        (b"PAR1abcdefgh", "data is damaged: Parquet that ends early"),
        (&huge_footer, "data is damaged: the Parquet footer is longer than the file"),
        (&long_footer, "data is damaged: the Parquet footer is longer than the file"),
        (&encrypted, "encrypted Parquet is not supported"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes, &ReadOptions::all()).expect_err("refused").to_string(), *expected);
    }
}

#[test]
fn truncated_files_are_refused() {
    let (_, bytes) = small_file();
    for at in 0..64 {
        let end = bytes.len() * at / 64;
        read(&&bytes[..end], &ReadOptions::all()).expect_err("refused");
        // The same with its tail put back, so that the footer is found.
        let patched = [&bytes[..end], &bytes[bytes.len() - 8..]].concat();
        read(&patched, &ReadOptions::all()).expect_err("refused");
    }
}

#[test]
fn flipped_bytes_give_an_error_or_equal_shape() {
    for (frame, bytes) in [small_file(), (sample(), write_parquet(&sample()))] {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                if let Ok(found) = read(&damaged, &ReadOptions::all()) {
                    assert_eq!(found.columns().len(), frame.columns().len(), "byte {at} ^ {mask:#x}");
                    assert_eq!(found.rows(), frame.rows(), "byte {at} ^ {mask:#x}");
                }
            }
        }
    }
}

#[test]
fn a_schema_may_not_claim_what_is_not_there() {
    // FileMetaData { 1: version, 2: [SchemaElement { 4: name, 5: num_children }; n] }, each with `children` children.
    let footer_of = |n: usize, children: &[u8]| {
        let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
        footer.extend([(n & 0x7f | 0x80) as u8, (n >> 7 & 0x7f | 0x80) as u8, (n >> 14) as u8]);
        for _ in 0..n {
            footer.extend([0x48, 0x01, b'a', 0x15]);
            footer.extend(children);
            footer.push(0);
        }
        footer.push(0);
        footer
    };
    for (footer, expected) in [
        (footer_of(10_000, &[2]), "depth of the Parquet schema is over the limit of 32"),
        (
            footer_of(1, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            "data is damaged: the Parquet schema counts children that are not there",
        ),
        (footer_of(1, &[2]), "data is damaged: the Parquet schema ends early"),
    ] {
        let length = (footer.len() as u32).to_le_bytes();
        let file = [b"PAR1".as_slice(), &footer, &length, b"PAR1"].concat();
        assert_eq!(read(&file, &ReadOptions::all()).expect_err("refused").to_string(), expected);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about files")]
fn the_content_decides_and_not_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table.parquet");
    std::fs::write(&path, "a,b\n1,2\n").expect("a file");
    let source = refit_data::FileRange::open(&path).expect("a file");
    assert_eq!(read(&source, &ReadOptions::all()).expect("readable").rows(), 1);
    std::fs::write(&path, write_parquet(&sample())).expect("a file");
    let source = refit_data::FileRange::open(&path).expect("a file");
    assert_eq!(read(&source, &ReadOptions::all()).expect("readable"), sample());
}

#[test]
fn a_source_that_changes_is_noticed() {
    struct Growing(std::sync::atomic::AtomicU64);
    impl refit_data::RangeRead for Growing {
        fn len(&self) -> std::io::Result<u64> {
            Ok(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }
        fn read_at(&self, _: u64, buf: &mut [u8]) -> std::io::Result<()> {
            buf.fill(b'a');
            Ok(())
        }
    }
    let error = read(&Growing(5.into()), &ReadOptions::all()).expect_err("refused");
    assert!(matches!(error, ReadError::Changed { before: 5, after: 6 }), "{error}");
}
