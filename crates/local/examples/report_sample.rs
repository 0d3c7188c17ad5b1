//! Writes the report of a made-up year, to look at: `cargo run -p refit-local --example report_sample -- FILE [empty|estimated]`.

#[path = "../src/report/tests/fixture.rs"]
mod fixture;

use refit_local::replay::{
    AuditSummary, DataSummary, DecisionSummary, Document, History, Promotion, Quality, QualityMean, QualityWindow,
    RollbackSummary,
};

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "report.html".to_owned());
    let sample = match std::env::args().nth(2).as_deref() {
        Some("empty") => fixture::empty(),
        Some("estimated") => fixture::estimated(),
        Some(_) | None => fixture::year(),
    };
    std::fs::write(path, refit_local::report::render(&sample.document, &sample.history, &sample.policy, &sample.alerts))
}
