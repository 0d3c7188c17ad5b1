//! Folders, generated data and the copying between steps that SageMaker would do.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use refit_data::{Frame, ReadOptions};
use refit_steps::{Paths, Step, StepError, Strategy, pack_model, run_in};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The demo's data, where it has been made.
pub(crate) const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/demo/flights.parquet");

/// A sandbox with the request in it.
pub(crate) struct Pipeline {
    root: TempDir,
}

/// Outputs and where the next steps find them.
const COPIES: [(Step, &str, &str); 7] = [
    (Step::Ingest, "processing/output/ingested.parquet", "processing/data/ingested.parquet"),
    (Step::Preprocess, "processing/train/train.parquet", "input/data/train/train.parquet"),
    (Step::Preprocess, "processing/features/features.json", "input/data/features/features.json"),
    (Step::Preprocess, "processing/features/training.json", "input/data/features/training.json"),
    (Step::Preprocess, "processing/features/champion.json", "input/data/features/champion.json"),
    (Step::Preprocess, "processing/request/request.json", "input/data/request/request.json"),
    (Step::Preprocess, "processing/holdout/holdout.parquet", "processing/holdout/holdout.parquet"),
];

impl Pipeline {
    /// A pipeline whose request is the usual one with these fields replaced.
    pub(crate) fn new(changes: Value) -> Pipeline {
        let mut request = json!({
            "schema": 1, "run_id": "toy-r0001", "model": "toy", "task": "regression", "time": "ts", "label": "y", "prediction": "score",
            "features": [{"name": "color", "kind": "categorical"}, {"name": "size", "kind": "numeric"}],
            "segments": ["color"], "strategy": "full", "seed": 11,
            "train": {"start": days(0), "end": days(60)}, "holdout": {"start": days(60), "end": days(90)}
        });
        for (name, value) in changes.as_object().expect("object") {
            request[name] = value.clone();
        }
        let pipeline = Pipeline { root: TempDir::new().expect("folder") };
        pipeline.write("processing/request/request.json", &request.to_string());
        pipeline
    }

    /// A pipeline on the bundled flights, trained on one month of 2013 and judged on the next; `None` without the file.
    pub(crate) fn of_flights(month: usize) -> Option<Pipeline> {
        Pipeline::of_flights_by(month, Strategy::Full)
    }

    /// As [`Pipeline::of_flights`], by the given strategy.
    pub(crate) fn of_flights_by(month: usize, strategy: Strategy) -> Option<Pipeline> {
        let bytes = std::fs::read(FLIGHTS).ok()?;
        let start = |month: usize| format!("{}-{:02}-01T00:00:00Z", 2013 + (month - 1) / 12, (month - 1) % 12 + 1);
        let texts = ["carrier", "origin", "dest"].map(|it| json!({"name": it, "kind": "categorical"}));
        let numbers = ["distance", "hour", "weekday"].map(|it| json!({"name": it, "kind": "numeric"}));
        let features = [texts, numbers].concat();
        let pipeline = Pipeline::new(json!({
            "label": "air_time", "segments": ["carrier"], "features": features, "strategy": strategy,
            "train": {"start": start(month), "end": start(month + 1)},
            "holdout": {"start": start(month + 1), "end": start(month + 2)}}));
        pipeline.write_bytes("processing/reference/flights.parquet", &bytes);
        Some(pipeline)
    }

    /// A folder below `/opt/ml`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join("opt/ml").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.folder(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, bytes).expect("writes");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder(name)).expect(name)
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    pub(crate) fn read_json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).expect("JSON")
    }

    pub(crate) fn read_table(&self, name: &str) -> Frame {
        refit_data::read(&self.read(name), &ReadOptions::all()).expect("table")
    }

    /// Runs one step and hands its outputs on.
    pub(crate) fn run(&self, step: Step) -> Result<(), StepError> {
        run_in(step, &Paths::in_sandbox(self.root.path()))?;
        for (_, from, to) in COPIES.iter().filter(|(of, _, _)| *of == step) {
            // What a full run does not write is not handed on.
            if self.folder(from).exists() {
                self.write_bytes(to, &self.read(from));
            }
        }
        if step == Step::Train {
            self.write_bytes("processing/model/model.tar.gz", &pack_model(&self.folder("model")).expect("packs"));
        }
        Ok(())
    }

    pub(crate) fn run_all(&self) -> Result<(), StepError> {
        [Step::Ingest, Step::Preprocess, Step::Train, Step::Evaluate].into_iter().try_for_each(|it| self.run(it))
    }
}

/// The moment `count` days into 2024.
pub(crate) fn days(count: i64) -> String {
    minutes(count * 24 * 60)
}

fn minutes(count: i64) -> String {
    let start: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().expect("time");
    (start + jiff::SignedDuration::from_mins(count)).to_string()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

struct Row {
    id: String,
    ts: String,
    color: &'static str,
    size: f64,
    label: f64,
}

/// Generated rows, evenly over the 90 days of the usual request.
pub(crate) struct Data {
    rows: Vec<Row>,
}

impl Data {
    /// A label that depends on both features, with noise.
    pub(crate) fn regression(count: i64) -> Data {
        Data::generate(count, |effect, size, noise| effect + 2.0 * size + 2.0 * (noise - 0.5))
    }

    /// 1 with a probability that depends on both features.
    pub(crate) fn binary(count: i64) -> Data {
        Data::generate(count, |effect, size, noise| {
            let score = (effect - 10.0) / 2.0 + (size - 5.0);
            f64::from(u8::from(noise < 1.0 / (1.0 + (-score).exp())))
        })
    }

    /// 0, 1 or 2, as one of three scores that depend on both features is highest in most draws.
    pub(crate) fn classes(count: i64) -> Data {
        Data::generate(count, |effect, size, noise| {
            let score = effect / 10.0 + size / 5.0 + (noise - 0.5);
            if score < 1.2 {
                0.0
            } else if score < 2.6 {
                1.0
            } else {
                2.0
            }
        })
    }

    /// As [`Data::binary`], but always 1 from one day to another.
    pub(crate) fn constant(count: i64, from: i64, to: i64) -> Data {
        let mut data = Data::binary(count);
        let range = (from * count / 90) as usize..(to * count / 90) as usize;
        data.rows[range].iter_mut().for_each(|it| it.label = 1.0);
        data
    }

    fn generate(count: i64, label: impl Fn(f64, f64, f64) -> f64) -> Data {
        let mut state: u64 = 42;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let rows = (0..count).map(|index| {
            let (color, effect) = [("red", 0.0), ("green", 10.0), ("blue", 20.0)][(3.0 * next()) as usize];
            let size = (next() * 1000.0).round() / 100.0;
            let id = format!("row{index:05}");
            Row { id, ts: minutes(index * 90 * 24 * 60 / count), color, size, label: label(effect, size, next()) }
        });
        Data { rows: rows.collect() }
    }

    pub(crate) fn split(self, at: usize) -> (Data, Data) {
        let mut rows = self.rows;
        let rest = rows.split_off(at);
        (Data { rows }, Data { rows: rest })
    }

    pub(crate) fn to_csv(&self) -> String {
        let mut text = "id,ts,color,size,y\n".to_owned();
        for row in &self.rows {
            writeln!(text, "{},{},{},{},{}", row.id, row.ts, row.color, row.size, row.label).expect("text");
        }
        text
    }

    pub(crate) fn to_capture(&self, rows: Range<usize>) -> String {
        let lines = self.rows[rows].iter().map(|row| {
            let input = json!({"color": row.color, "size": row.size}).to_string();
            let line = json!({
                "captureData": {
                    "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "data": input,
                        "encoding": "JSON"},
                    "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "1.5",
                        "encoding": "CSV"}},
                "eventMetadata": {"eventId": format!("event-{}", row.id), "inferenceId": row.id,
                    "inferenceTime": row.ts},
                "eventVersion": "0"});
            format!("{line}\n")
        });
        lines.collect()
    }

    pub(crate) fn to_ground_truth(&self, rows: Range<usize>, change: impl Fn(f64) -> f64) -> String {
        let lines = self.rows[rows].iter().map(|row| {
            let line = json!({
                "groundTruthData": {"data": change(row.label).to_string(), "encoding": "CSV"},
                "eventMetadata": {"eventId": row.id}, "eventVersion": "0"});
            format!("{line}\n")
        });
        lines.collect()
    }
}
