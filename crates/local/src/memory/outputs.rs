//! What a run leaves behind, as the training contract asks: made from a few numbers, with right digests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{ObjectError, StartRequest};
use refit_core::{Digest, ObjectUri};
use refit_data::{Categories, Column, Frame, Values, write_parquet};
use serde_json::json;

use crate::store::MemoryObjects;

/// Rows of the hold-out: one a day on eight days, enough for bounds by resampling days.
const ROWS: i32 = 8;
/// Most files of predictions that are remembered on a thread.
const MOST_WRITTEN: usize = 4_096;

/// How good a run's candidate turns out to be on the hold-out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outputs {
    /// The candidate's mean absolute error.
    pub candidate_error: f64,
    /// The champion's mean absolute error on the same rows.
    pub champion_error: f64,
    /// Whether the pipeline calls its evaluation valid.
    pub is_valid: bool,
}

impl Outputs {
    /// Valid outputs with these mean absolute errors.
    #[must_use]
    pub fn of_errors(candidate_error: f64, champion_error: f64) -> Outputs {
        Outputs { candidate_error, champion_error, is_valid: true }
    }

    /// Writes the run's files below its `OutputUri`; returns the archive's address.
    pub(super) fn write(&self, objects: &MemoryObjects, request: &StartRequest) -> Result<ObjectUri, ObjectError> {
        let parameter = |name: &str| request.parameters.get(name).map(String::as_str).unwrap_or_default();
        let run = parameter("RefitRunId");
        let output: ObjectUri = parameter("OutputUri").parse().expect("invariant: a run writes to an address");
        let below = |name: &str| output.join(name).expect("invariant: a file name makes a valid address");
        let begin: Timestamp = parameter("HoldoutStart").parse().expect("invariant: a hold-out begins at a time");
        let predictions = self.written(begin, parameter("ChampionPackageArn") != "none");
        let evaluation = json!({ "schema": 1, "valid": self.is_valid, "problems": [] }).to_string().into_bytes();
        let archive = format!("the model of {run}").into_bytes();
        let entry = |bytes: &[u8]| json!({ "sha256": Digest::of(bytes).hex(), "bytes": bytes.len() });
        let files = json!({ "evaluation.json": entry(&evaluation), "predictions.parquet": entry(&predictions) });
        let manifest = json!({ "schema": 1, "run_id": run, "files": files, "model": entry(&archive) }).to_string();
        let model = below("model.tar.gz");
        objects.overwrite(&below("evaluation.json"), &evaluation)?;
        objects.overwrite(&below("predictions.parquet"), &predictions)?;
        objects.overwrite(&model, &archive)?;
        objects.overwrite(&below("manifest.json"), manifest.as_bytes())?;
        Ok(model)
    }

    /// The file of the predictions; the same ones are written once.
    fn written(&self, begin: Timestamp, has_champion: bool) -> Arc<[u8]> {
        type Written = BTreeMap<(Timestamp, u64, u64, bool), Arc<[u8]>>;
        thread_local! {
            static WRITTEN: RefCell<Written> = const { RefCell::new(Written::new()) };
        }
        let key = (begin, self.candidate_error.to_bits(), self.champion_error.to_bits(), has_champion);
        WRITTEN.with_borrow_mut(|written| {
            if MOST_WRITTEN <= written.len() {
                written.clear();
            }
            let bytes =
                written.entry(key).or_insert_with(|| write_parquet(&self.predictions(begin, has_champion)).into());
            Arc::clone(bytes)
        })
    }

    /// Errors alternate in sign, so that the mean absolute error is exact and the mean error none.
    fn predictions(&self, begin: Timestamp, has_champion: bool) -> Frame {
        let label = |row: i32| 100.0 + f64::from(row % 7);
        let scores = |error: f64| {
            let score = |row: i32| label(row) + if row % 2 == 0 { error } else { -error };
            Values::Numeric((0..ROWS).map(|it| Some(score(it))).collect())
        };
        let time = |row: i32| begin.checked_add(SignedDuration::from_hours(24) * row).unwrap_or(begin).as_microsecond();
        let ids = Categories {
            codes: (0..ROWS.unsigned_abs()).collect(),
            dictionary: (0..ROWS).map(|it| format!("h{it:03}")).collect(),
        };
        let mut columns = vec![
            ("id", Values::Categorical(ids)),
            ("ts", Values::Time((0..ROWS).map(|it| Some(time(it))).collect())),
            ("label", Values::Numeric((0..ROWS).map(|it| Some(label(it))).collect())),
            ("candidate", scores(self.candidate_error)),
        ];
        if has_champion {
            columns.push(("champion", scores(self.champion_error)));
        }
        let columns = columns.into_iter().map(|(name, values)| Column { name: name.to_owned(), values }).collect();
        Frame::new(columns).expect("invariant: columns of one length with distinct names")
    }
}
