//! Traffic: rows are scored by whatever the endpoint serves and captured as SageMaker does; labels follow later.
//!
//! Rows are flushed whenever something is about to look at them or to change what serves, so every row is scored by the
//! model that served at its time. Positions and events are one transaction; files are written before it and are the same
//! when written again.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use refit_app::ports::{ObjectError, Objects as _};
use refit_core::policy::ModelPolicy;
use refit_core::{ObjectUri, policy::Span};
use refit_data::{CaptureLine, feature_object, write_capture_line, write_ground_truth_line};
use refit_steps::{Model, Scores};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::Rows;
use crate::routing::targets;
use crate::world::{World, WorldError};

const POSITION: (&str, &str) = ("replay", "traffic");
/// Most bytes of a model archive.
const MAX_MODEL_BYTES: u64 = 1024 * 1024 * 1024;

/// How far the rows were played: row numbers, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Rows that were captured.
    pub captured: usize,
    /// Rows whose labels are there.
    pub labelled: usize,
}

impl Position {
    /// How far the rows are at `now`: those before it are captured, and labeled once their labels are known. Never further than `end`.
    #[must_use]
    pub fn at(self, rows: &Rows, policy: &ModelPolicy, now: Timestamp, end: usize) -> Position {
        let captured = rows.first_at(now).clamp(self.captured, end);
        let known = policy.data.label_delay.before(now);
        // A label known exactly now is known.
        let known = known.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
        Position { captured, labelled: rows.first_at(known).clamp(self.labelled, captured) }
    }
}

/// The traffic of one model.
pub(super) struct Traffic<'a> {
    rows: &'a Rows,
    policy: &'a ModelPolicy,
    position: Position,
    end: usize,
    models: BTreeMap<String, Model>,
}

impl<'a> Traffic<'a> {
    /// Traffic from row `begin` on, or from where an earlier process stopped.
    pub(super) fn resume(
        world: &World,
        rows: &'a Rows,
        policy: &'a ModelPolicy,
        begin: usize,
    ) -> Result<Traffic<'a>, WorldError> {
        let stored = world.database.get_document(POSITION.0, POSITION.1)?;
        let position = stored.and_then(|it| serde_json::from_str(&it).ok());
        let position = position.unwrap_or(Position { captured: begin, labelled: begin });
        Ok(Traffic { rows, policy, position, end: rows.count(), models: BTreeMap::new() })
    }

    /// Plays all rows before `now`, and all labels that are known by then.
    pub(super) fn flush(&mut self, world: &World, now: Timestamp) -> Result<(), WorldError> {
        let position = self.position.at(self.rows, self.policy, now, self.end);
        if position == self.position {
            return Ok(());
        }
        let mut written = self.write_captures(world, self.position.captured, position.captured)?;
        written.extend(self.write_labels(world, self.position.labelled, position.labelled, now)?);
        let events: Vec<Value> = written.iter().map(|(uri, size)| object_created(uri, *size, now)).collect();
        let body = serde_json::to_string(&position).map_err(|error| WorldError::Data(error.to_string()))?;
        world.database.update(|transaction| {
            for event in &events {
                for target in targets(event) {
                    transaction.enqueue(now, target.name(), &event.to_string())?;
                }
            }
            transaction.put_document(POSITION.0, POSITION.1, &body)
        })?;
        self.position = position;
        Ok(())
    }

    /// Rows that nothing serves leave no trace, as with a real endpoint.
    fn write_captures(&mut self, world: &World, from: usize, to: usize) -> Result<Vec<(ObjectUri, u64)>, WorldError> {
        let Some(arn) = serving(world, self.policy)? else { return Ok(Vec::new()) };
        if from == to {
            return Ok(Vec::new());
        }
        if !self.models.contains_key(&arn) {
            // Traffic goes to one package at a time: an older one is not needed any more.
            self.models.clear();
            self.models.insert(arn.clone(), load_model(world, &arn)?);
        }
        let model = self.models.get(&arn).expect("invariant: the model was just loaded");
        let files = capture_files(self.rows, self.policy, (&arn, model), from..to)?;
        files.into_iter().map(|it| Ok((it.uri.clone(), put(world, &it.uri, it.text.as_bytes())?))).collect()
    }

    fn write_labels(
        &self,
        world: &World,
        from: usize,
        to: usize,
        now: Timestamp,
    ) -> Result<Vec<(ObjectUri, u64)>, WorldError> {
        let file = label_file(self.rows, self.policy, from..to, now)?;
        file.into_iter().map(|it| Ok((it.uri.clone(), put(world, &it.uri, it.text.as_bytes())?))).collect()
    }
}

/// A file that an endpoint or a labeling service writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it goes.
    pub uri: ObjectUri,
    /// Its content.
    pub text: String,
}

/// The capture files of some rows as `served` (a package and its model) answers them, one a day, as data capture of the policy's endpoint writes them.
///
/// # Errors
/// When the model cannot score them, or the policy's prefix does not take a name.
pub fn capture_files(
    rows: &Rows,
    policy: &ModelPolicy,
    served: (&str, &Model),
    range: Range<usize>,
) -> Result<Vec<DataFile>, WorldError> {
    let mut files = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let day = Span::days(1).floor(rows.time(start));
        let end = rows.first_at(Span::days(1).after(day)).min(range.end);
        let scores = score(rows, served, start..end)?;
        let names: Vec<&str> = rows.features.columns().iter().map(|it| it.name.as_str()).collect();
        let mut text = String::new();
        for (row, score) in (start..end).zip(scores) {
            let input = Value::Object(feature_object(&rows.features, row, &names)).to_string();
            let output = json!({ &policy.data.prediction: score }).to_string();
            let id = &rows.ids[row];
            text.push_str(&write_capture_line(&CaptureLine {
                event_id: &format!("event-{id}"),
                inference_id: Some(id),
                time_micros: rows.times[row],
                input: &input,
                output: &output,
            }));
        }
        let folder = format!("{}/{}", policy.endpoint.name, policy.endpoint.variant);
        let name = format!("rows-{start:09}-{end:09}.jsonl");
        files.push(DataFile { uri: dated(&policy.data.capture, &folder, rows.time(start), &name)?, text });
        start = end;
    }
    Ok(files)
}

/// The file of the labels of some rows, written at `now`; none when no row has a label.
///
/// # Errors
/// When the policy's prefix does not take a name.
pub fn label_file(
    rows: &Rows,
    policy: &ModelPolicy,
    range: Range<usize>,
    now: Timestamp,
) -> Result<Option<DataFile>, WorldError> {
    let (from, to) = (range.start, range.end);
    let labeled = range.filter_map(|row| Some(write_ground_truth_line(&rows.ids[row], rows.labels[row].as_ref()?)));
    let text: String = labeled.collect();
    if text.is_empty() {
        return Ok(None);
    }
    let uri = dated(&policy.data.labels, "", now, &format!("labels-{from:09}-{to:09}.jsonl"))?;
    Ok(Some(DataFile { uri, text }))
}

fn score(rows: &Rows, served: (&str, &Model), range: Range<usize>) -> Result<Vec<Value>, WorldError> {
    let (package, model) = served;
    let indices: Vec<usize> = range.collect();
    let scores = model
        .score(&rows.features.take(&indices))
        .map_err(|source| WorldError::Scoring { package: package.to_owned(), source })?;
    Ok(match scores {
        Scores::Numbers(numbers) => numbers.into_iter().map(Value::from).collect(),
        Scores::Classes(rows) => rows.into_iter().map(Value::from).collect(),
    })
}

/// The package that takes the traffic.
fn serving(world: &World, policy: &ModelPolicy) -> Result<Option<String>, WorldError> {
    let state = world.endpoints.find(&policy.endpoint.name).map_err(refit_app::AppError::from)?;
    Ok(state.and_then(|it| it.variants.into_iter().next()).map(|it| it.package_arn))
}

/// Loads a registered model.
pub(super) fn load_model(world: &World, arn: &str) -> Result<Model, WorldError> {
    let package = world.block_on(world.context.ports.packages.describe(arn)).map_err(refit_app::AppError::from)?;
    let uri: ObjectUri = package.model_data_url.parse().map_err(|error| WorldError::Data(format!("{arn}: {error}")))?;
    let archive = world.block_on(world.objects.get(&uri, MAX_MODEL_BYTES))?;
    Model::from_tar_gz(&archive.bytes).map_err(|source| WorldError::Scoring { package: arn.to_owned(), source })
}

/// `<prefix>/<folder>/yyyy/mm/dd/hh/<name>`, as SageMaker lays files out.
pub(super) fn dated(prefix: &ObjectUri, folder: &str, time: Timestamp, name: &str) -> Result<ObjectUri, WorldError> {
    let hour = time.strftime("%Y/%m/%d/%H");
    let below = if folder.is_empty() { format!("{hour}/{name}") } else { format!("{folder}/{hour}/{name}") };
    prefix.join(&below).map_err(|error| WorldError::Data(error.to_string()))
}

fn put(world: &World, uri: &ObjectUri, bytes: &[u8]) -> Result<u64, WorldError> {
    match world.block_on(world.objects.put_new(uri, bytes)) {
        // Written by a process that died before it noted so; the content is the same.
        Ok(_) | Err(ObjectError::Conflict(_)) => Ok(bytes.len() as u64),
        Err(error) => Err(error.into()),
    }
}

/// S3's event by EventBridge.
pub(super) fn object_created(uri: &ObjectUri, size: u64, now: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": format!("s3-{}", refit_core::Digest::of(uri.to_string().as_bytes()).short()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": crate::world::ACCOUNT,
        "time": now,
        "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{}", uri.bucket())],
        "detail": {
            "version": "0",
            "bucket": { "name": uri.bucket() },
            "object": { "key": uri.key(), "size": size },
            "reason": "PutObject",
        },
    })
}
