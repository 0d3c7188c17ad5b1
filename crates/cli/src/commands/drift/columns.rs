//! Which columns are compared, and as what: what the settings say, and what the files show.

use anyhow::{anyhow, bail};
use refit_core::policy::{ComparisonSettings, DriftMetric, FeatureKind, Scope};
use refit_data::drift::Profile;
use refit_data::report::{Choice, IgnoredColumn, NOT_IN_REFERENCE};
use refit_data::{Kind, ReadOptions, Table};
use refit_stats::verdict::Statistic;

use super::Sides;
use super::input::InputFile;

/// The columns of a comparison.
pub(super) struct Columns {
    /// The features that both sides have.
    pub(super) features: Vec<(String, Kind)>,
    /// Features of the reference that the current data lacks.
    pub(super) lacking: Vec<(String, Kind)>,
    pub(super) prediction: Option<(String, Kind)>,
    pub(super) target: Option<(String, Kind)>,
    pub(super) time: Option<String>,
    pub(super) ignored: Vec<IgnoredColumn>,
}

/// The columns of a reference, as far as they are known.
type Known = Vec<(String, Kind)>;

impl Columns {
    /// Looks at the files, and at the baseline where there is one instead of a reference.
    pub(super) fn find(
        sides: &Sides,
        baseline: Option<&Profile>,
        settings: &ComparisonSettings,
    ) -> anyhow::Result<Columns> {
        let mut ignored = Vec::new();
        let known = match baseline {
            Some(profile) => profile.features.iter().map(|(name, it)| (name.clone(), it.kind())).collect(),
            None => infer(&sides.reference, &mut ignored)?,
        };
        let present = match sides.current.first() {
            Some(file) => Table::column_names(&file.source).map_err(|it| named(it, &file.name))?,
            None => Vec::new(),
        };
        let mut columns = Columns::choose(known, &present, settings, ignored)?;
        if baseline.is_some() {
            // A profile is of the features; what else the current data has was left out then, too.
            columns.ignored.retain(|it| it.reason != NOT_IN_REFERENCE);
        }
        Ok(columns)
    }

    /// Chooses among the columns that the reference has (`known`) and those that are `present` in the current data.
    pub(super) fn choose(
        known: Known,
        present: &[String],
        settings: &ComparisonSettings,
        mut ignored: Vec<IgnoredColumn>,
    ) -> anyhow::Result<Columns> {
        let special = |name: &Option<String>| special(name.as_deref(), &known);
        let (target, prediction) = (special(&settings.target), special(&settings.prediction));
        check_named(settings, &known)?;
        let mut features = Vec::new();
        for (name, inferred) in &known {
            let own = settings.features.get(name);
            let kind = own.and_then(|it| it.kind).map_or(*inferred, kind_of);
            let is_special = [&settings.target, &settings.prediction, &settings.time].contains(&&Some(name.clone()));
            let reason = if is_special {
                continue;
            } else if settings.ignore.contains(name) {
                "the settings say so"
            } else if settings.scope == Scope::Named && own.is_none() {
                "the policy does not name it"
            } else if kind == Kind::Time {
                "times are not compared"
            } else {
                features.push((name.clone(), kind));
                continue;
            };
            ignored.push(IgnoredColumn { name: name.clone(), reason: reason.to_owned() });
        }
        // Captured requests in CSV have no names: their values are the features, in their order.
        let is_unnamed = present.iter().any(|it| it == "_c0") && known.iter().all(|it| it.0 != "_c0");
        let is_present = |it: &(String, Kind)| is_unnamed || present.contains(&it.0);
        let (features, lacking) = features.into_iter().partition(is_present);
        for name in present.iter().filter(|it| !is_unnamed && known.iter().all(|known| known.0 != **it)) {
            ignored.push(IgnoredColumn { name: name.clone(), reason: NOT_IN_REFERENCE.to_owned() });
        }
        Ok(Columns {
            features,
            lacking,
            prediction: prediction.filter(|it| present.contains(&it.0)),
            target: target.filter(|it| present.contains(&it.0)),
            time: settings.time.clone(),
            ignored,
        })
    }

    /// All that is compared.
    pub(super) fn compared(&self) -> Vec<(String, Kind)> {
        self.features.iter().chain(&self.prediction).chain(&self.target).cloned().collect()
    }
}

/// A named column with the kind that it has.
fn special(name: Option<&str>, known: &Known) -> Option<(String, Kind)> {
    known.iter().find(|it| Some(it.0.as_str()) == name && it.1 != Kind::Time).cloned()
}

/// Refuses settings about columns that are not there: most likely a misspelling.
fn check_named(settings: &ComparisonSettings, known: &Known) -> anyhow::Result<()> {
    let given = [("target", &settings.target), ("prediction", &settings.prediction)];
    let given = given.into_iter().filter_map(|(what, name)| Some((what, name.as_ref()?)));
    let named =
        settings.features.keys().map(|it| ("feature", it)).chain(settings.segments.iter().map(|it| ("segment", it)));
    // A policy's label and prediction need not be in every file.
    let given = given.filter(|_| settings.scope == Scope::All);
    for (what, name) in named.chain(given) {
        if known.iter().all(|it| it.0 != *name) {
            let present: Vec<&str> = known.iter().map(|it| it.0.as_str()).collect();
            bail!("the reference has no column `{name}`, which is named as {what}; it has {}", present.join(", "));
        }
    }
    Ok(())
}

/// Every column of the reference with its kind; files that disagree make a column categorical.
fn infer(files: &[InputFile], ignored: &mut Vec<IgnoredColumn>) -> anyhow::Result<Known> {
    let mut known: Known = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let table = Table::open(&file.source, &ReadOptions::all()).map_err(|it| named(it, &file.name))?;
        if at == 0 {
            known = table.columns().iter().map(|it| (it.name.clone(), it.kind)).collect();
            let names = table.ignored().iter().map(|it| {
                let name = it.split('`').nth(1).unwrap_or_default().to_owned();
                IgnoredColumn { name, reason: it.clone() }
            });
            ignored.extend(names);
            continue;
        }
        for (name, kind) in &mut known {
            let here = table.columns().iter().find(|it| it.name == *name);
            let here =
                here.ok_or_else(|| anyhow!("{}: column `{name}` is missing, which {} has", file.name, files[0].name))?;
            if here.kind != *kind {
                *kind = Kind::Categorical;
            }
        }
    }
    Ok(known)
}

/// An error of a file, with its name in front.
pub(super) fn named(error: refit_data::ReadError, name: &str) -> anyhow::Error {
    anyhow::Error::new(error).context(name.to_owned())
}

fn kind_of(kind: FeatureKind) -> Kind {
    match kind {
        FeatureKind::Numeric => Kind::Numeric,
        FeatureKind::Categorical => Kind::Categorical,
    }
}

/// What decides on a column: what the settings say of it, or of all, or what is usual for its kind.
pub(super) fn choice(name: &str, kind: Kind, settings: &ComparisonSettings) -> Choice {
    let own = settings.features.get(name);
    let metric = own.and_then(|it| it.metric).or(settings.metric);
    let usual = Choice::usual(kind);
    let by = metric.map_or(usual.by, |it| statistic(it, kind));
    // A common threshold belongs to the common distance.
    let is_common = own.and_then(|it| it.metric).is_none() || own.and_then(|it| it.metric) == settings.metric;
    let common = settings.threshold.filter(|_| is_common);
    let threshold = own.and_then(|it| it.threshold).or(common).unwrap_or(by.default_threshold());
    Choice { by, threshold }
}

/// The statistic of a distance; distances that need an order fall back to the index for categories.
fn statistic(metric: DriftMetric, kind: Kind) -> Statistic {
    match (metric, kind) {
        (DriftMetric::Js, _) => Statistic::JsDistanceBase2,
        (DriftMetric::CramersV, _) => Statistic::CramersV,
        (DriftMetric::Psi | DriftMetric::Ks | DriftMetric::Wasserstein, Kind::Categorical) => Statistic::Psi,
        (DriftMetric::Psi, Kind::Numeric | Kind::Time) => Statistic::PsiQ10,
        (DriftMetric::Ks, Kind::Numeric | Kind::Time) => Statistic::Ks,
        (DriftMetric::Wasserstein, Kind::Numeric | Kind::Time) => Statistic::Wasserstein1OverRefStd,
    }
}
