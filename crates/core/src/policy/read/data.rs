//! A model's data: where it lies and what its columns mean.

use std::collections::BTreeMap;

use super::Unique;
use super::field::{Field, Keys, Log, Section, longest};
use super::model::{column_problem, read_column};
use super::words;
use crate::names::ObjectUri;
use crate::policy::yaml::shown;
use crate::policy::{DataPolicy, FeatureKind, Span};

const DATA: Keys = Keys {
    built: &[
        "reference",
        "capture",
        "labels",
        "time",
        "label",
        "prediction",
        "segments",
        "label_delay",
        "label_maturity",
        "features",
    ],
    not_built: &[],
};

const DEFAULT_PREDICTION: &str = "score";

/// The most features of a model, and so the most segments.
const MAX_FEATURES: usize = 1_000;

pub(super) fn read_data(field: Field<'_>, log: &mut Log) -> Option<DataPolicy> {
    let section = field.section(&DATA, log)?;
    let [reference, capture, labels] = read_prefixes(&section, log);
    let time = section.required("time", log, |it, log| read_column(&it, log));
    let label = section.required("label", log, |it, log| read_column(&it, log));
    if let (Some(time), Some(label)) = (&time, &label)
        && time == label
        && let Some(field) = section.find("label")
    {
        field.report(log, format!("`data.label` and `data.time` are both `{}`; a column is one of them", shown(label)));
    }
    let prediction = section.or("prediction", DEFAULT_PREDICTION.to_owned(), log, |it, log| read_column(&it, log));
    let features =
        section.required("features", log, |it, log| read_features(it, time.as_deref(), label.as_deref(), log));
    let segments = section.or("segments", Vec::new(), log, |it, log| read_segments(it, features.as_ref(), log));
    let label_delay = section.or("label_delay", Span::ZERO, log, |it, log| it.span(Span::ZERO..=longest(), log));
    let label_maturity = section.or("label_maturity", Span::ZERO, log, |it, log| it.span(Span::ZERO..=longest(), log));
    Some(DataPolicy {
        reference: reference?,
        capture: capture?,
        labels: labels?,
        time: time?,
        label: label?,
        prediction: prediction?,
        segments: segments?,
        label_delay: label_delay?,
        label_maturity: label_maturity?,
        features: features?,
    })
}

/// Reads the prefixes, of which none may lie in another: a file would count twice.
fn read_prefixes(section: &Section<'_>, log: &mut Log) -> [Option<ObjectUri>; 3] {
    let names = ["reference", "capture", "labels"];
    let uris = names.map(|name| section.required(name, log, |it, log| it.parse::<ObjectUri>("an S3 address", log)));
    for (last, earlier) in [(1, 0), (2, 0), (2, 1)] {
        if let (Some(a), Some(b)) = (&uris[last], &uris[earlier])
            && (a.contains(b) || b.contains(a))
            && let Some(field) = section.find(names[last])
        {
            let (name, other) = (names[last], names[earlier]);
            field.report(log, format!("`data.{name}` and `data.{other}` overlap; neither prefix may lie in the other"));
        }
    }
    uris
}

fn read_features(
    field: Field<'_>,
    time: Option<&str>,
    label: Option<&str>,
    log: &mut Log,
) -> Option<BTreeMap<String, FeatureKind>> {
    let entries = field.map(log)?;
    if entries.is_empty() {
        field.report(log, "a model needs at least one feature".to_owned());
        return None;
    }
    if MAX_FEATURES < entries.len() {
        field.report(log, format!("{} features are given; at most {MAX_FEATURES} are read", entries.len()));
        return None;
    }
    let mut features = Some(BTreeMap::new());
    for (name, key, value) in entries {
        if let Some(why) = column_problem(name) {
            key.report(log, why);
        } else if label == Some(name) {
            key.report(log, format!("`{}` is the label; a model may not see it as a feature", shown(name)));
        } else if time == Some(name) {
            key.report(log, format!("`{}` is the event time; derive features from it under other names", shown(name)));
        }
        match (value.word(&words::FEATURE_KINDS, &[], log), &mut features) {
            (Some(kind), Some(features)) => _ = features.insert(name.to_owned(), kind),
            (None, _) | (Some(_), None) => features = None,
        }
    }
    features
}

fn read_segments(
    field: Field<'_>,
    features: Option<&BTreeMap<String, FeatureKind>>,
    log: &mut Log,
) -> Option<Vec<String>> {
    let mut unique = Unique::new("segment");
    let items = field.list(0..=MAX_FEATURES, "segments", log)?;
    let read: Vec<_> = items
        .into_iter()
        .map(|it| {
            let name = it.text(log)?;
            match features.map(|features| features.get(name)) {
                Some(None) => it.report(
                    log,
                    format!("`{}` is not a feature; segments are features of kind `categorical`", shown(name)),
                ),
                Some(Some(FeatureKind::Numeric)) => {
                    it.report(
                        log,
                        format!("`{}` is numeric; segments are features of kind `categorical`", shown(name)),
                    );
                }
                Some(Some(FeatureKind::Categorical)) | None => {}
            }
            unique.take(name, &it, log)?;
            Some(name.to_owned())
        })
        .collect();
    read.into_iter().collect()
}
