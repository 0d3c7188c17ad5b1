//! The baseline that inputs are judged against: a frozen summary of the reference data.
//!
//! Content-addressed by the files it was made from: when the reference changes, so does the baseline, and a window is
//! judged against the new one from then on.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_core::policy::{DriftMetric, DriftPolicy, FeatureDriftPolicy, ModelPolicy};
use refit_core::trigger::FeatureEvidence;
use refit_core::{Digest, ObjectUri};
use refit_data::{Column, Frame, ReadOptions, Values};
use refit_stats::distance::{Bins, CategoryCounts, CategoryTable, NumericColumn, Sample};
use refit_stats::verdict::Evidence;
use serde::{Deserialize, Serialize};

use super::verdicts::{measured, statistic};
use super::{MAX_FILE_BYTES, feature_columns};
use crate::documents::state_uri;
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{BoxError, ObjectError, ObjectInfo, Objects};

/// Most values of one feature that a baseline keeps for KS; above it, evenly spaced order statistics stand in.
const MAX_VALUES: usize = 20_000;

/// The frozen summary of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureBaseline {
    /// A number.
    Numeric {
        /// Its finite values in rising order, thinned to at most 20,000.
        values: Vec<f64>,
        /// How many finite values there were.
        count: u64,
    },
    /// A text.
    Categorical {
        /// Rows by category.
        counts: BTreeMap<String, u64>,
    },
}

/// The frozen summary of the reference data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Document version.
    pub schema: u16,
    /// How many rows the reference had.
    pub rows: u64,
    /// By feature.
    pub features: BTreeMap<String, FeatureBaseline>,
}

/// Why there is no baseline.
pub(super) enum BaselineError {
    /// A file of the reference, or the stored baseline, does not parse.
    Damaged { uri: String, etag: String, source: BoxError },
    /// A service failed.
    App(AppError),
}

impl BaselineError {
    fn damaged(uri: &ObjectUri, etag: &str, source: BoxError) -> BaselineError {
        BaselineError::Damaged { uri: uri.to_string(), etag: etag.to_owned(), source }
    }
}

impl From<AppError> for BaselineError {
    fn from(error: AppError) -> Self {
        BaselineError::App(error)
    }
}

/// The baseline of a model, made from the reference if it was not made before; `None` when there is no reference yet.
///
/// # Errors
/// See [`BaselineError`].
pub(super) async fn ensure_baseline(
    objects: &dyn Objects,
    bucket: &str,
    policy: &ModelPolicy,
) -> Result<Option<Baseline>, BaselineError> {
    let files = list_all(objects, &policy.data.reference).await?;
    if files.is_empty() {
        return Ok(None);
    }
    let mut names: Vec<String> = files.iter().flat_map(|it| [it.uri.to_string(), it.etag.clone()]).collect();
    names.extend(policy.data.features.iter().map(|(name, kind)| format!("{name}:{kind:?}")));
    let parts: Vec<&str> = names.iter().map(String::as_str).collect();
    let digest = Digest::of_list(&parts);
    let uri = state_uri(bucket, &["baselines", policy.id.as_ref(), &format!("{}.json", digest.hex())]);
    match objects.get(&uri, MAX_FILE_BYTES).await {
        Ok(object) => {
            let baseline = serde_json::from_slice(&object.bytes)
                .map_err(|error| BaselineError::damaged(&uri, &object.etag, error.into()))?;
            return Ok(Some(baseline));
        }
        Err(ObjectError::NotFound(_)) => {}
        Err(error) => return Err(AppError::from(error).into()),
    }
    let columns = feature_columns(&policy.data);
    let options = ReadOptions { columns: Some(columns) };
    let mut frames = Vec::new();
    for file in &files {
        let object = objects.get(&file.uri, MAX_FILE_BYTES).await.map_err(AppError::from)?;
        let frame = refit_data::read(&object.bytes, &options)
            .map_err(|error| BaselineError::damaged(&file.uri, &object.etag, error.into()))?;
        frames.push(frame);
    }
    let frame = Frame::concat(&frames)
        .map_err(|error| BaselineError::damaged(&policy.data.reference, digest.hex(), error.into()))?;
    let baseline = Baseline::of(&frame);
    let body = serde_json::to_vec(&baseline).expect("invariant: own documents serialize");
    ensure_object(objects, &uri, &body).await.map_err(AppError::from)?;
    Ok(Some(baseline))
}

/// Every object below a prefix, without empty ones and hidden ones.
pub(super) async fn list_all(objects: &dyn Objects, prefix: &ObjectUri) -> Result<Vec<ObjectInfo>, AppError> {
    let mut files = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = objects.list(prefix, after.as_deref()).await?;
        let is_data = |it: &ObjectInfo| {
            let name = it.uri.key().rsplit('/').next().unwrap_or_default();
            0 < it.size && !name.starts_with(['.', '_'])
        };
        files.extend(page.items.into_iter().filter(is_data));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(files),
        }
    }
}

impl Baseline {
    /// Summarizes the reference.
    #[must_use]
    pub fn of(reference: &Frame) -> Baseline {
        let features =
            reference.columns().iter().filter_map(|column| Some((column.name.clone(), summarize(column)?))).collect();
        Baseline { schema: 1, rows: reference.rows() as u64, features }
    }

    /// The distances of a window's features from the reference, by the policy's metric.
    #[must_use]
    pub fn score(&self, window: &Frame, policy: &DriftPolicy) -> Vec<FeatureEvidence> {
        let columns = window.columns().iter();
        let policy_of = |name: &str| policy.of(name);
        columns.filter_map(|it| Some(score(self.features.get(&it.name)?, it, policy_of(&it.name)))).collect()
    }
}

/// The distance between two columns.
pub(super) fn distance(reference: &Column, current: &Column, policy: FeatureDriftPolicy) -> FeatureEvidence {
    match summarize(reference) {
        Some(baseline) => score(&baseline, current, policy),
        None => FeatureEvidence::unmeasured(current.name.clone(), policy.metric),
    }
}

fn summarize(column: &Column) -> Option<FeatureBaseline> {
    match &column.values {
        Values::Numeric(values) => {
            let sample = NumericColumn::new(values).sample();
            let sorted = sample.as_ref().map_or(&[][..], Sample::values);
            Some(FeatureBaseline::Numeric { values: thin(sorted), count: sorted.len() as u64 })
        }
        Values::Categorical(values) => {
            let mut counts = BTreeMap::new();
            for row in 0..values.codes.len() {
                if let Some(text) = values.get(row) {
                    *counts.entry(text.to_owned()).or_insert(0) += 1;
                }
            }
            Some(FeatureBaseline::Categorical { counts })
        }
        Values::Time(_) => None,
    }
}

/// At most [`MAX_VALUES`] of the sorted values, evenly spaced by rank, ends included.
fn thin(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() <= MAX_VALUES {
        return sorted.to_vec();
    }
    (0..MAX_VALUES).map(|index| sorted[index * (sorted.len() - 1) / (MAX_VALUES - 1)]).collect()
}

fn score(baseline: &FeatureBaseline, column: &Column, policy: FeatureDriftPolicy) -> FeatureEvidence {
    let (name, FeatureDriftPolicy { metric, threshold }) = (&column.name, policy);
    match (baseline, &column.values) {
        (FeatureBaseline::Numeric { values, .. }, Values::Numeric(current)) => {
            let column = NumericColumn::new(current);
            let Some((reference, current)) = Sample::from_finite(values.clone()).zip(column.sample()) else {
                return FeatureEvidence::unmeasured(name.clone(), metric);
            };
            let by = statistic(metric);
            match metric {
                DriftMetric::Ks | DriftMetric::Wasserstein => {
                    measured(name, metric, &Evidence::of_samples(by, threshold, &reference, &current))
                }
                DriftMetric::Psi | DriftMetric::Js | DriftMetric::CramersV => {
                    let bins = Bins::deciles(&reference);
                    let counts = (bins.counts(reference.values()), bins.counts(current.values()));
                    measured(name, metric, &of_counts(name, policy, &counts.0, &counts.1))
                }
            }
        }
        (FeatureBaseline::Categorical { counts }, Values::Categorical(current)) => {
            // There is no order to take a KS or a Wasserstein distance over.
            let metric = match metric {
                DriftMetric::Ks | DriftMetric::Wasserstein => DriftMetric::Psi,
                DriftMetric::Psi | DriftMetric::Js | DriftMetric::CramersV => metric,
            };
            let mut reference = CategoryCounts::default();
            for (category, rows) in counts {
                reference.add(Some(category), *rows);
            }
            let texts: Vec<Option<&str>> = (0..current.codes.len()).map(|row| current.get(row)).collect();
            let table = CategoryTable::new(&reference, &CategoryCounts::new(&texts));
            let policy = FeatureDriftPolicy { metric, threshold };
            measured(name, metric, &of_counts(name, policy, &table.reference, &table.current))
        }
        // A column of another kind was refused when the file was read.
        (FeatureBaseline::Numeric { .. } | FeatureBaseline::Categorical { .. }, _) => {
            FeatureEvidence::unmeasured(name.clone(), metric)
        }
    }
}

/// A distance over counts, its draws seeded by what is compared.
fn of_counts(name: &str, policy: FeatureDriftPolicy, reference: &[u64], current: &[u64]) -> Evidence {
    let seed = Digest::of_json(&(name, reference, current)).seed();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Evidence::of_counts(statistic(policy.metric), policy.threshold, reference, current, &mut rng)
}
