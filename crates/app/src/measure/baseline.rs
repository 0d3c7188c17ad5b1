//! The baseline that inputs are judged against: a frozen summary of the reference data.
//!
//! Content-addressed by the files it was made from: when the reference changes, so does the baseline, and a window is
//! judged against the new one from then on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use refit_core::policy::{DriftMetric, DriftPolicy, FeatureDriftPolicy, ModelPolicy};
use refit_core::trigger::FeatureEvidence;
use refit_core::{Digest, ObjectUri};
use refit_data::drift::{FeatureProfile, FeatureScores, Profile, Profiler, compare_feature};
use refit_data::report::evidence_of;
use refit_data::{Kind, ReadOptions};

use super::profiles::WindowProfile;
use super::verdicts::{measured, statistic};
use super::{MAX_FILE_BYTES, feature_columns};
use crate::documents::state_uri;
use crate::error::AppError;
use crate::ports::objects::ensure_object;
use crate::ports::{BoxError, ObjectError, ObjectInfo, Objects};

/// The frozen summary of the reference data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Baseline {
    profile: Profile,
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
    let uri = state_uri(bucket, &["baselines", policy.id.as_ref(), &format!("{}.profile", digest.hex())]);
    match objects.get(&uri, MAX_FILE_BYTES).await {
        Ok(object) => {
            let profile = Profile::from_bytes(&object.bytes)
                .map_err(|error| BaselineError::damaged(&uri, &object.etag, error.into()))?;
            return Ok(Some(Baseline { profile }));
        }
        Err(ObjectError::NotFound(_)) => {}
        Err(error) => return Err(AppError::from(error).into()),
    }
    let columns = feature_columns(&policy.data);
    let mut profiler = Profiler::new(&columns);
    let options = ReadOptions { columns: Some(columns) };
    for file in &files {
        let object = objects.get(&file.uri, MAX_FILE_BYTES).await.map_err(AppError::from)?;
        let frame = refit_data::read(&object.bytes, &options)
            .map_err(|error| BaselineError::damaged(&file.uri, &object.etag, error.into()))?;
        profiler.add(&frame);
    }
    let profile = profiler.finish();
    ensure_object(objects, &uri, &profile.to_bytes()).await.map_err(AppError::from)?;
    Ok(Some(Baseline { profile }))
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
    /// The distances of a window's features from the reference, by the policy's metric.
    pub(super) fn score(&self, window: &WindowProfile, policy: &DriftPolicy) -> Vec<FeatureEvidence> {
        let of = |(name, current): (&String, &FeatureProfile)| {
            Some(distance(name, self.profile.features.get(name)?, current, policy.of(name)))
        };
        window.features.iter().filter_map(of).collect()
    }
}

/// The distance between two profiles of a feature.
pub(super) fn distance(
    name: &str,
    reference: &FeatureProfile,
    current: &FeatureProfile,
    FeatureDriftPolicy { metric, threshold }: FeatureDriftPolicy,
) -> FeatureEvidence {
    let metric = match (current.kind(), metric) {
        // There is no order to take a KS or a Wasserstein distance over.
        (Kind::Categorical, DriftMetric::Ks | DriftMetric::Wasserstein) => DriftMetric::Psi,
        (Kind::Categorical | Kind::Numeric | Kind::Time, _) => metric,
    };
    let unmeasured = || FeatureEvidence::unmeasured(name.to_owned(), metric);
    // A column of another kind was refused when the file was read.
    let Some(comparison) = compare_feature(name, reference, current) else { return unmeasured() };
    let counts = match &comparison.scores {
        FeatureScores::Undefined => return unmeasured(),
        FeatureScores::Numeric(it) => &it.q10,
        FeatureScores::Categorical(it) => &it.counts,
    };
    // Chance is drawn by a seed of what is compared.
    let seed = Digest::of_json(&(name, &counts.reference, &counts.current)).seed();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    measured(name, metric, &evidence_of(&comparison, statistic(metric), threshold, &mut rng))
}
