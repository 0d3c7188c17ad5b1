//! How files are compared by `refit drift`: what overrules what is inferred from them.

use std::collections::BTreeMap;

use super::{DriftMetric, FeatureKind, ModelPolicy};

/// What a comparison of files takes from a settings file or a policy; whatever is left out is inferred or has a default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComparisonSettings {
    /// Columns that are compared as something else than inferred, or judged otherwise than the others.
    pub features: BTreeMap<String, FeatureSettings>,
    /// Whether `features` are all that is compared, as in a policy.
    pub scope: Scope,
    /// Columns that are left out.
    pub ignore: Vec<String>,
    /// The distance that decides; by default `psi`.
    pub metric: Option<DriftMetric>,
    /// A feature has drifted from this distance on; by default what is usual for the distance.
    pub threshold: Option<f64>,
    /// The data has drifted from this share of drifted features on.
    pub share: Option<f64>,
    /// Fewer values on either side make a feature inconclusive.
    pub min_rows: Option<u64>,
    /// The largest corrected p-value that counts as significant.
    pub alpha: Option<f64>,
    /// The column of the label.
    pub target: Option<String>,
    /// The column of the prediction.
    pub prediction: Option<String>,
    /// The column of the event time.
    pub time: Option<String>,
    /// Columns by whose values results are also given.
    pub segments: Vec<String>,
}

/// Which columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// All that both sides have.
    #[default]
    All,
    /// Those that are named.
    Named,
}

/// How one column is compared; whatever is left out is as for the others.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FeatureSettings {
    /// Its kind.
    pub kind: Option<FeatureKind>,
    /// The distance that decides.
    pub metric: Option<DriftMetric>,
    /// From where on it has drifted.
    pub threshold: Option<f64>,
}

impl ComparisonSettings {
    /// What a policy says of a model: its features, and how its drift trigger judges them.
    #[must_use]
    pub fn of_model(model: &ModelPolicy) -> ComparisonSettings {
        let drift = model.triggers.drift.as_ref();
        let feature = |(name, kind): (&String, &FeatureKind)| {
            let own = drift.and_then(|it| it.features.get(name));
            let (metric, threshold) = (own.map(|it| it.metric), own.map(|it| it.threshold));
            (name.clone(), FeatureSettings { kind: Some(*kind), metric, threshold })
        };
        ComparisonSettings {
            features: model.data.features.iter().map(feature).collect(),
            scope: Scope::Named,
            ignore: Vec::new(),
            metric: drift.map(|it| it.metric),
            threshold: drift.map(|it| it.threshold),
            share: drift.map(|it| it.share),
            min_rows: drift.map(|it| it.min_rows),
            alpha: None,
            target: Some(model.data.label.clone()),
            prediction: Some(model.data.prediction.clone()),
            time: Some(model.data.time.clone()),
            segments: model.data.segments.clone(),
        }
    }
}
