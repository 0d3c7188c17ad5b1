//! Everything that the ports promise, over the wire, and again while requests fail.

use std::sync::Arc;

use refit_app::contract::{ObjectsFixture, TableFixture, check_objects, check_table};
use refit_aws::S3Objects;

use crate::emulator::{Emulator, LIMITS, bucket, config, shared, table};
use crate::proxy::{Fault, Proxy};

/// A sequence of numbers that looks like chance and is the same each time.
fn numbers(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    }
}

fn table_fixture(emulator: &Arc<Emulator>, table: refit_aws::DynamoTable) -> TableFixture {
    let emulator = Arc::clone(emulator);
    TableFixture { table: Arc::new(table), advance: Box::new(move |by| emulator.advance(by.as_secs())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_keeps_its_promises() {
    let emulator = Arc::new(Emulator::start());
    let calm = table(&emulator, emulator.address, LIMITS).await;
    let broken = check_table(&table_fixture(&emulator, calm)).await;
    assert_eq!(broken, [""; 0]);
    // The same while one request in eight fails: no caller notices.
    let proxy = Proxy::start(emulator.address);
    let disturbed = table(&emulator, proxy.address, LIMITS).await;
    let mut number = numbers(7);
    proxy.plan(move |operation, _| {
        let faults = [Fault::Reset, Fault::DropReply, Fault::Broken, Fault::BrokenAfter, Fault::Throttled];
        let more = [Fault::TransactionConflict, Fault::TransactionInProgress];
        let is_transaction = operation == "TransactWriteItems";
        let at = number() as usize;
        let choice = if is_transaction { faults.iter().chain(&more).nth(at % 7) } else { faults.get(at % 5) };
        choice.copied().filter(|_| number().is_multiple_of(8))
    });
    let broken = check_table(&table_fixture(&emulator, disturbed)).await;
    assert_eq!(broken, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_keep_their_promises() {
    let emulator = shared();
    let fixture = |address, bucket: &str, folder: &str| ObjectsFixture {
        objects: Arc::new(S3Objects::new(&config(address), LIMITS)),
        root: format!("s3://{bucket}{folder}").parse().expect("an address"),
    };
    let broken = check_objects(&fixture(emulator.address, &bucket(emulator).await, "")).await;
    assert_eq!(broken, [""; 0]);
    // The same while one request in eight fails; a conditional write is repeated only when it had no effect for sure.
    let proxy = Proxy::start(emulator.address);
    let mut number = numbers(11);
    proxy.plan(move |operation, _| {
        let faults = [Fault::Throttled, Fault::Reset, Fault::DropReply, Fault::Broken, Fault::BrokenAfter];
        let at = if operation == "PUT" { 0 } else { number() as usize % 5 };
        Some(faults[at]).filter(|_| number().is_multiple_of(8))
    });
    let broken = check_objects(&fixture(proxy.address, &bucket(emulator).await, "/some/folder")).await;
    assert_eq!(broken, [""; 0]);
}
