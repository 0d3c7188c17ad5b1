//! The settings of `refit drift`: a file of their own, or a policy.

use std::collections::BTreeMap;

use super::field::{Bounds, Field, Keys, Log, SHARE};
use super::{Problem, Problems, read_schema, words};
use crate::policy::comparison::{ComparisonSettings, FeatureSettings, Scope};
use crate::policy::yaml::{self, shown};

const SETTINGS: Keys = Keys {
    built: &[
        "schema",
        "features",
        "ignore",
        "metric",
        "threshold",
        "share",
        "min_rows",
        "alpha",
        "target",
        "prediction",
        "time",
        "segments",
    ],
    not_built: &[],
};
const FEATURE: Keys = Keys { built: &["kind", "metric", "threshold"], not_built: &[] };

const THRESHOLD: Bounds = Bounds { words: "above 0", contains: |it| 0.0 < it };
const ALPHA: Bounds = Bounds { words: "above 0 and below 1", contains: |it| 0.0 < it && it < 1.0 };

/// The most columns that a list names.
const MAX_COLUMNS: usize = 10_000;

/// Reads the settings of a comparison: a file of their own, or a policy of which `model` is meant (it may be left out where there is one).
///
/// ```
/// let text = "schema: 1\nfeatures: { hour: categorical, fare: { metric: ks, threshold: 0.15 } }\nignore: [id]\n";
/// let settings = refit_core::policy::read_comparison(text, None).expect("valid");
/// assert_eq!(settings.features["fare"].threshold, Some(0.15));
/// assert!(refit_core::policy::read_comparison("schema: 1\nthreshhold: 0.1\n", None).is_err());
/// ```
///
/// # Errors
/// All problems at once, in the order of the text.
pub fn read_comparison(text: &str, model: Option<&str>) -> Result<ComparisonSettings, Problems> {
    let mut problems = Vec::new();
    let root = yaml::parse(text, &mut problems);
    if let Some(root) = &root
        && Field::root(root).child("models").is_some()
    {
        return of_policy(text, root, model);
    }
    let mut log = Log::new(problems);
    let settings = root.as_ref().and_then(|root| read_settings(Field::root(root), &mut log));
    let problems = log.finish();
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        Some(_) | None => Err(Problems(problems)),
    }
}

fn of_policy(text: &str, root: &yaml::Node, model: Option<&str>) -> Result<ComparisonSettings, Problems> {
    let policy = super::read(text)?;
    let found = match (model, policy.models.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(id), models) => models.iter().find(|it| it.id.as_ref() == id),
    };
    found.map(ComparisonSettings::of_model).ok_or_else(|| {
        let message = match model {
            None => format!("the policy has {} models: say which one with --model", policy.models.len()),
            Some(id) => format!("the policy has no model `{}`", shown(id)),
        };
        Problems(vec![Problem::new(root.at, "models", message)])
    })
}

fn read_settings(root: Field<'_>, log: &mut Log) -> Option<ComparisonSettings> {
    let section = root.section(&SETTINGS, log)?;
    let schema = section.required("schema", log, read_schema);
    let metric = section.optional("metric", log, |it, log| it.word(&words::DRIFT_METRICS, &[], log));
    let threshold = section.optional("threshold", log, |it, log| it.number(&THRESHOLD, log));
    let share = section.optional("share", log, |it, log| it.number(&SHARE, log));
    let min_rows = section.optional("min_rows", log, |it, log| it.whole(1..=u64::MAX, log));
    let alpha = section.optional("alpha", log, |it, log| it.number(&ALPHA, log));
    let column = |it: Field<'_>, log: &mut Log| it.text(log).map(str::to_owned);
    let target = section.optional("target", log, column);
    let prediction = section.optional("prediction", log, column);
    let time = section.optional("time", log, column);
    let segments = section.or("segments", Vec::new(), log, |it, log| read_names(it, "segments", log));
    let ignore = section.or("ignore", Vec::new(), log, |it, log| read_names(it, "columns", log));
    let features = section.or("features", BTreeMap::new(), log, read_features);
    schema?;
    Some(ComparisonSettings {
        features: features?,
        scope: Scope::All,
        ignore: ignore?,
        metric: metric?,
        threshold: threshold?,
        share: share?,
        min_rows: min_rows?,
        alpha: alpha?,
        target: target?,
        prediction: prediction?,
        time: time?,
        segments: segments?,
    })
}

fn read_names(field: Field<'_>, items: &str, log: &mut Log) -> Option<Vec<String>> {
    let fields = field.list(0..=MAX_COLUMNS, items, log)?;
    fields.into_iter().map(|it| it.text(log).map(str::to_owned)).collect()
}

fn read_features(field: Field<'_>, log: &mut Log) -> Option<BTreeMap<String, FeatureSettings>> {
    let mut features = Some(BTreeMap::new());
    for (name, _, value) in field.map(log)? {
        match (read_feature(&value, log), &mut features) {
            (Some(read), Some(features)) => _ = features.insert(name.to_owned(), read),
            (None, _) | (Some(_), None) => features = None,
        }
    }
    features
}

/// A feature's kind alone, or a map.
fn read_feature(field: &Field<'_>, log: &mut Log) -> Option<FeatureSettings> {
    if !field.is_map(log) {
        let kind = field.word(&words::FEATURE_KINDS, &[], log)?;
        return Some(FeatureSettings { kind: Some(kind), ..FeatureSettings::default() });
    }
    let section = field.section(&FEATURE, log)?;
    let kind = section.optional("kind", log, |it, log| it.word(&words::FEATURE_KINDS, &[], log));
    let metric = section.optional("metric", log, |it, log| it.word(&words::DRIFT_METRICS, &[], log));
    let threshold = section.optional("threshold", log, |it, log| it.number(&THRESHOLD, log));
    Some(FeatureSettings { kind: kind?, metric: metric?, threshold: threshold? })
}
