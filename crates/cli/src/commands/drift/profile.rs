//! `refit profile`: puts profiles together and shows them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use refit_core::Digest;
use refit_data::drift::{FeatureProfile, MAX_PROFILE_BYTES, Profile};
use serde::Serialize;

use super::write;
use crate::arguments::{Format, ProfileCommand};
use crate::output::{Exit, answer, count, table};

/// Does what was asked with profiles.
pub(crate) fn run(command: &ProfileCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        ProfileCommand::Merge { profiles, output } => merge(profiles, output, format),
        ProfileCommand::Show { profile } => {
            let profile = read(profile)?;
            answer(format, &Shown::of(&profile), show)?;
            Ok(Exit::Yes)
        }
    }
}

/// Reads a file of profiles.
pub(super) fn read(path: &Path) -> anyhow::Result<Profile> {
    let place = || format!("reading `{}`", path.display());
    if MAX_PROFILE_BYTES < std::fs::metadata(path).with_context(place)?.len() {
        bail!("`{}` is larger than a profile", path.display());
    }
    let bytes = std::fs::read(path).with_context(place)?;
    Profile::from_bytes(&bytes).with_context(|| path.display().to_string())
}

fn merge(paths: &[PathBuf], output: &Path, format: Format) -> anyhow::Result<Exit> {
    let profiles = paths.iter().map(|it| read(it)).collect::<anyhow::Result<Vec<Profile>>>()?;
    let sum = profiles.iter().try_fold(Profile::default(), |sum, it| sum.merged(it))?;
    write(output, &sum.to_bytes())?;
    answer(format, &Shown::of(&sum), show)?;
    Ok(Exit::Yes)
}

/// What a profile holds.
#[derive(Serialize)]
struct Shown {
    schema: u16,
    digest: String,
    rows: u64,
    features: Vec<ShownFeature>,
}

#[derive(Serialize)]
struct ShownFeature {
    name: String,
    kind: refit_data::Kind,
    count: u64,
    missing: u64,
    non_finite: u64,
    mean: Option<f64>,
    std: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// The share of rows by which a rank may be wrong.
    rank_error: Option<f64>,
    n_distinct: Option<u64>,
    /// The most frequent values.
    top: Vec<(String, u64)>,
}

impl Shown {
    fn of(profile: &Profile) -> Shown {
        Shown {
            schema: 1,
            digest: Digest::of(&profile.to_bytes()).to_string(),
            rows: profile.rows(),
            features: profile.features.iter().map(|(name, it)| ShownFeature::of(name, it)).collect(),
        }
    }
}

impl ShownFeature {
    fn of(name: &str, profile: &FeatureProfile) -> ShownFeature {
        const TOP: usize = 5;
        let counts = profile.counts();
        let (number, text) = match profile {
            FeatureProfile::Numeric(it) => (Some(it), None),
            FeatureProfile::Categorical(it) => (None, Some(it)),
        };
        let mut top: Vec<(String, u64)> =
            text.iter().flat_map(|it| it.iter()).map(|it| (it.0.to_owned(), it.1)).collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(TOP);
        ShownFeature {
            name: name.to_owned(),
            kind: profile.kind(),
            count: counts.count,
            missing: counts.missing,
            non_finite: counts.non_finite,
            mean: number.and_then(|it| it.mean()),
            std: number.and_then(|it| it.std()),
            min: number.and_then(|it| it.min()),
            max: number.and_then(|it| it.max()),
            rank_error: number.map(|it| it.rank_error()),
            n_distinct: text.map(|it| it.n_distinct()),
            top,
        }
    }
}

fn show(shown: &Shown) -> String {
    let number = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.4}"));
    let row = |it: &ShownFeature| {
        let top: Vec<String> = it.top.iter().map(|(value, count)| format!("{value} {count}")).collect();
        let missing = it.missing + it.non_finite;
        vec![
            it.name.clone(),
            it.kind.to_string(),
            it.count.to_string(),
            missing.to_string(),
            number(it.min),
            number(it.mean),
            number(it.max),
            it.n_distinct.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            top.join(", "),
        ]
    };
    let header = ["FEATURE", "KIND", "ROWS", "MISSING", "MIN", "MEAN", "MAX", "DISTINCT", "MOST FREQUENT"];
    let rows: Vec<Vec<String>> = shown.features.iter().map(row).collect();
    let told = count(usize::try_from(shown.rows).unwrap_or(usize::MAX), "row");
    format!("{told}, profile {}\n\n{}", shown.digest, table(&header, &rows))
}
