//! Every reader on mutated files: an error or data, never a panic, not even one that the reader would catch.
//!
//! The mutations are a pure function of a seed; a failure names the file and the round, which `mutated` makes again.

use refit_data::monitor::{Constraints, Statistics, Violations};
use refit_data::{
    Answers, CaptureOptions, Kind, ReadOptions, Table, read, read_capture_with, read_ground_truth, write_csv,
    write_parquet,
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::sample;

/// Rounds for each file and reader: a few seconds of all.
const ROUNDS: u64 = 1_500;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((it ^ (it >> 31)) % n.max(1) as u64) as usize
    }
}

/// Pieces that mean something in one of the formats.
const PIECES: &[&[u8]] = &[
    b"\"",
    b",",
    b"\n",
    b"\r",
    b"{",
    b"}",
    b"[",
    b"null",
    b"NaN",
    b"1e999",
    b"-",
    b"\\u",
    b"\xff",
    b"\0",
    b"PAR1",
    b"\x1f\x8b",
    b"captureData",
    b"\xff\xff\xff\xff\x0f",
    b"\x28\xb5\x2f\xfd",
];

fn mutated(seed: &[u8], round: u64) -> Vec<u8> {
    let mut random = Random(round.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let n = random.below(16).min(bytes.len() - at);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => _ = bytes.drain(at..at + n),
            3 => bytes.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied()).for_each(drop),
            4 => bytes.truncate(at),
            5 => {
                let copy = bytes[at..at + n].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy).for_each(drop);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied()).for_each(drop);
            }
        }
    }
    bytes
}

/// What an error says; a caught panic is a failure of the test.
#[track_caller]
fn check(name: &str, round: u64, result: Result<(), String>) {
    // The parquet crate decodes the rare encodings, and its panics are caught.
    if let Err(told) = result
        && name != "delta"
    {
        assert!(!told.contains("gave up"), "{name}, round {round}: {told}");
    }
}

fn scan(bytes: &[u8]) -> Result<(), String> {
    let table = Table::open(&bytes, &ReadOptions::all()).map_err(|it| it.to_string())?;
    let columns: Vec<usize> = (0..table.columns().len()).collect();
    (0..table.n_parts())
        .try_for_each(|part| table.scan(part, &columns, &mut |_, _| Ok(())))
        .map_err(|it| it.to_string())
}

const CAPTURE: &str = "{\"captureData\":{\"endpointInput\":{\"observedContentType\":\"text/csv\",\"mode\":\"INPUT\",\"data\":\"1,a\\n2,b\",\
    \"encoding\":\"CSV\"},\"endpointOutput\":{\"mode\":\"OUTPUT\",\"data\":\"W3sic2NvcmUiOjF9LDJd\",\"encoding\":\"BASE64\"}},\
    \"eventMetadata\":{\"eventId\":\"e\",\"inferenceTime\":\"2022-02-14T17:25:49Z\"},\"eventVersion\":\"0\"}\n";

const LABELS: &str = "{\"groundTruthData\":{\"data\":\"1\",\"encoding\":\"CSV\"},\"eventMetadata\":{\"eventId\":\"a\"},\"eventVersion\":\"0\"}\n";

#[test]
fn no_mutated_table_panics() {
    let csv = write_csv(&sample());
    let lines = b"{\"n\":1,\"s\":\"x\",\"t\":\"2013-01-01\"}\n{\"n\":null,\"s\":\"\\u00e9\"}\n".to_vec();
    let files: [(&str, Vec<u8>); 9] = [
        ("zstd", compress_to_vec(csv.as_slice(), CompressionLevel::Fastest)),
        ("csv", csv),
        ("lines", lines),
        ("capture", CAPTURE.repeat(2).into_bytes()),
        ("parquet", write_parquet(&sample())),
        ("plain", include_bytes!("files/plain.parquet").to_vec()),
        ("v2", include_bytes!("files/zstd_v2.parquet").to_vec()),
        ("gzip", include_bytes!("files/gzip.parquet").to_vec()),
        ("delta", include_bytes!("files/delta.parquet").to_vec()),
    ];
    for (name, bytes) in files {
        for round in 0..ROUNDS {
            let bytes = mutated(&bytes, round);
            check(name, round, scan(&bytes));
            // Once in a while the other way to read, which shares the parts.
            if round % 10 == 0 {
                check(name, round, read(&bytes, &ReadOptions::all()).map(drop).map_err(|it| it.to_string()));
            }
        }
    }
}

#[test]
fn no_mutated_document_panics() {
    let features = [("a".to_owned(), Kind::Numeric), ("b".to_owned(), Kind::Categorical)];
    for round in 0..ROUNDS {
        let bytes = mutated(&CAPTURE.repeat(2).into_bytes(), round);
        for answers in [Answers::Numbers, Answers::Classes] {
            let options = CaptureOptions { features: &features, score_key: "score", answers };
            check("capture", round, read_capture_with(&bytes, options).map(drop).map_err(|it| it.to_string()));
        }
        let bytes = mutated(&LABELS.repeat(2).into_bytes(), round);
        check("labels", round, read_ground_truth(&bytes).map(drop).map_err(|it| it.to_string()));
        for (name, seed) in crate::monitor::FILES {
            let bytes = mutated(seed.as_bytes(), round);
            check(name, round, Statistics::read(&bytes).map(drop).map_err(|it| it.to_string()));
            check(name, round, Constraints::read(&bytes).map(drop).map_err(|it| it.to_string()));
            check(name, round, Violations::read(&bytes).map(drop).map_err(|it| it.to_string()));
        }
    }
}
