//! Objects as ranges of bytes: a comparison of Parquet files in S3 that fetches what it needs, and is the same as that of the files.

use std::iter;
use std::sync::Arc;

use refit_app::ports::Objects;
use refit_aws::{ObjectRange, ObjectRanges, S3Objects};
use refit_core::ObjectUri;
use refit_data::drift::{ExactOptions, OneWorker, compare_exact};
use refit_data::{Column, Frame, RangeRead, ReadOptions, Table, Values, write_parquet};

use crate::emulator::{LIMITS, bucket, config, shared};
use crate::proxy::{Fault, Proxy};

const ROWS: usize = 200_000;

/// Six columns of numbers that no compression makes smaller.
fn file(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 11) as f64)
    };
    let mut column = |name: &str| Column {
        name: name.to_owned(),
        values: Values::Numeric(iter::repeat_with(&mut number).take(ROWS).collect()),
    };
    let columns = ["a", "b", "c", "d", "e", "f"].map(&mut column).to_vec();
    write_parquet(&Frame::new(columns).expect("columns of one length"))
}

/// An error with all that led to it.
fn chain(error: &dyn std::error::Error) -> String {
    iter::successors(Some(error), |it| it.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What comparing one column of both says.
fn compare(reference: &dyn RangeRead, current: &dyn RangeRead) -> Result<String, String> {
    let options = ReadOptions::all();
    let tables = [reference, current].map(|it| Table::open(it, &options).map_err(|it| chain(&it)));
    let [reference, current] = tables;
    let compared = compare_exact(&[reference?], &[current?], &["b"], ExactOptions::default(), &OneWorker);
    compared.map(|it| format!("{it:?}")).map_err(|it| chain(&it))
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_compared_by_ranges() {
    let emulator = shared();
    let bucket = bucket(emulator).await;
    let proxy = Proxy::start(emulator.address);
    let objects: Arc<dyn Objects> = Arc::new(S3Objects::new(&config(proxy.address), LIMITS));
    let (reference, current) = (file(1), file(2));
    for (key, bytes) in [("day/a.parquet", &reference), ("day/b.parquet", &current), ("days.parquet", &current)] {
        let uri: ObjectUri = format!("s3://{bucket}/{key}").parse().expect("an address");
        objects.put_new(&uri, bytes).await.expect("it is new");
    }
    let ranges = ObjectRanges::new(Arc::clone(&objects), tokio::runtime::Handle::current());
    let day: ObjectUri = format!("s3://{bucket}/day/").parse().expect("an address");
    let whole = reference.len() + current.len();
    let expected = compare(&reference, &current).expect("files");
    let work = move || {
        let open = || -> Vec<ObjectRange> {
            ranges.list(&day, 10, |_| true).expect("a list").into_iter().map(|it| ranges.open(it)).collect()
        };
        let files = open();
        assert_eq!(files.len(), 2, "what only begins like the folder is elsewhere");
        let last = ranges.list(&day, 0, |it| it.key().ends_with("b.parquet")).expect("a list");
        assert_eq!(last.len(), 1, "what is not wanted crowds nothing out");
        assert!(last[0].uri.key().ends_with("b.parquet"));
        // One request in eight fails, and nobody notices.
        let mut number = 0_u32;
        proxy.plan(move |_, _| {
            number += 1;
            number.is_multiple_of(8).then_some(Fault::Reset)
        });
        assert_eq!(compare(&files[0], &files[1]).expect("objects"), expected);
        let n_blocks = whole.div_ceil(1 << 20) as u32;
        assert!(proxy.requests() < n_blocks * 3 / 4, "{} of {n_blocks} blocks", proxy.requests());
        (open(), ranges)
    };
    let (files, ranges) = tokio::task::spawn_blocking(work).await.expect("it compares");
    // A file that is written while it is read.
    let uri: ObjectUri = format!("s3://{bucket}/day/a.parquet").parse().expect("an address");
    let before = objects.head(&uri).await.expect("it is there");
    objects.replace(&uri, &file(3), &before.etag).await.expect("it is as it was");
    let told = tokio::task::spawn_blocking(move || {
        let fresh = ranges.list(&uri, 1, |_| true).expect("a list").remove(0);
        let told = compare(&files[0], &files[1]).expect_err("another version");
        assert!(compare(&ranges.open(fresh), &files[1]).is_ok());
        told
    });
    let told = told.await.expect("it compares");
    assert!(told.contains("it exists or changed since it was read"), "{told}");
}
