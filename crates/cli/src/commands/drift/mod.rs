//! `refit drift`: compares current data with a reference, from files alone.

mod columns;
mod input;
#[cfg(feature = "cloud")]
mod objects;
mod pattern;
pub(crate) mod profile;
mod quality;
mod segments;
mod show;
mod work;

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use refit_core::Digest;
use refit_core::policy::{ComparisonSettings, read_comparison};
use refit_data::drift::{
    DriftError, ExactOptions, FeatureComparison, FeatureProfile, FeatureScores, Profile, Side, compare_exact,
    compare_profiles, profile_tables,
};
use refit_data::monitor::{Constraints, FeatureConstraints, VIOLATIONS_NAMES, statistics_of, violations_of};
use refit_data::report::{
    Choice, DriftReport, FeatureReport, IgnoredColumn, Method, RowsReport, SCHEMA, Window, WindowReport,
    judge_comparison, judge_comparisons,
};
use refit_data::{BlockValues, Kind, ReadOptions, Table, format_time};
use refit_local::report::{DriftPage, render_drift};
use refit_stats::verdict::{DatasetVerdict, Rules, Verdict, judge_dataset};

use self::columns::{Columns, choice, named};
use self::input::InputFile;
use self::work::{Progress, Threads};
use super::validate::shown;
use crate::arguments::{self, DriftArguments, Format};
use crate::output::{Exit, answer, say};

/// A column nearly every value of which is its own names rows: its distribution says nothing.
const IDENTIFIER_SHARE: f64 = 0.9;

/// What both sides of a comparison are.
struct Sides {
    reference: Vec<InputFile>,
    current: Vec<InputFile>,
}

/// Compares files.
pub(crate) fn drift(arguments: &DriftArguments, format: Format) -> anyhow::Result<Exit> {
    let settings = settings(arguments)?;
    let progress = Progress::new();
    let result = compare(arguments, &settings, &progress);
    progress.end();
    let (report, comparisons) = result?;
    if let Some(path) = &arguments.report {
        let page = DriftPage { report: &report, comparisons: &comparisons, title: &title(arguments) };
        write(path, render_drift(&page).as_bytes())?;
        say(&format!("the report is in {}", path.display()));
    }
    answer(format, &report, show::show)?;
    Ok(match (arguments.exit_code, report.dataset.verdict) {
        (true, Verdict::Drifted) => Exit::No,
        (true, Verdict::Errored) => return Err(anyhow!("{}", report.dataset.reasons.join("; "))),
        (true, Verdict::Stable | Verdict::Inconclusive) | (false, _) => Exit::Yes,
    })
}

fn title(arguments: &DriftArguments) -> String {
    let baseline = arguments.baseline.as_ref().map(|it| it.display().to_string());
    format!("{} against {}", arguments.current, arguments.reference.clone().or(baseline).unwrap_or_default())
}

/// What the settings file and the arguments say together; arguments win.
fn settings(arguments: &DriftArguments) -> anyhow::Result<ComparisonSettings> {
    let mut settings = match &arguments.config {
        None => ComparisonSettings::default(),
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
            let text = String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8 text", path.display()))?;
            let read = read_comparison(&text, arguments.model.as_deref());
            read.map_err(|problems| shown(path, &text, &problems))?
        }
    };
    for (setting, argument) in [
        (&mut settings.target, &arguments.target),
        (&mut settings.prediction, &arguments.prediction),
        (&mut settings.time, &arguments.time),
    ] {
        *setting = argument.clone().or(setting.take());
    }
    settings.segments.extend(arguments.segments.iter().cloned());
    Ok(settings)
}

fn compare(
    arguments: &DriftArguments,
    settings: &ComparisonSettings,
    progress: &Progress,
) -> anyhow::Result<(DriftReport, Vec<FeatureComparison>)> {
    let open = |pattern: &str| input::open(pattern, &arguments.state, progress.counter());
    let baseline = arguments.baseline.as_ref().map(|it| profile::read(it)).transpose()?;
    let sides = Sides {
        reference: arguments.reference.as_deref().map(open).transpose()?.unwrap_or_default(),
        current: open(&arguments.current)?,
    };
    if baseline.is_some() && !settings.segments.is_empty() {
        bail!(
            "a profile does not know segments: give the reference instead of the baseline, or leave the segments out"
        );
    }
    progress.begin("looking at the columns", 1);
    let mut columns = Columns::find(&sides, baseline.as_ref(), settings)?;
    let compared = columns.compared();
    progress.begin("opening", sides.reference.len() + sides.current.len());
    let memory = arguments.memory << 20;
    let tables = Tables {
        reference: tables(&sides.reference, &compared, memory, progress)?,
        current: tables(&sides.current, &compared, memory, progress)?,
    };
    let names: Vec<&str> = compared.iter().map(|it| it.0.as_str()).collect();
    progress.begin("comparing", 0);
    let made = scores(&tables, baseline, &names, arguments, progress).map_err(|it| with_name(it, &sides))?;
    if let Some(path) = &arguments.save_profile {
        let tables = if arguments.baseline.is_some() { &tables.current } else { &tables.reference };
        let profile = profile_tables(tables, &names, &Threads { progress }).map_err(|it| with_name(it, &sides))?;
        write(path, &profile.to_bytes())?;
    }
    let (reference_rows, current_rows) =
        (rows(&made.comparisons, Side::Reference), rows(&made.comparisons, Side::Current));
    let mut judged = judge(made.comparisons, &made.identifiers, &mut columns, settings);
    let window = columns.time.as_ref().map(|it| window(&sides.current, it)).transpose()?.flatten();
    let quality = if arguments.baseline.is_some() { Vec::new() } else { quality::measure(&sides, &columns)? };
    let segments = segments::compare(&sides, &columns, settings, memory)?;
    let report = DriftReport {
        schema: SCHEMA,
        method: made.method,
        baseline_id: made.baseline_id.unwrap_or_else(|| baseline_id(&judged.comparisons)),
        reference: RowsReport { rows: reference_rows },
        current: WindowReport { rows: current_rows, window },
        features: std::mem::take(&mut judged.features),
        dataset: judged.dataset,
        prediction: judged.prediction,
        target: judged.target,
        quality,
        segments,
        ignored: columns.ignored,
    };
    if let Some(folder) = &arguments.monitor {
        monitor(folder, &tables, &report)?;
    }
    Ok((report, judged.comparisons))
}

/// The opened tables of both sides.
struct Tables<'a> {
    reference: Vec<Table<'a>>,
    current: Vec<Table<'a>>,
}

/// Scores, and how they were made.
struct Made {
    method: Method,
    comparisons: Vec<FeatureComparison>,
    /// Which profile the reference was, if it was one.
    baseline_id: Option<String>,
    /// Columns of it nearly every value of which is its own; of the exact method, the comparisons show them.
    identifiers: Vec<String>,
}

fn scores(
    tables: &Tables<'_>,
    baseline: Option<Profile>,
    names: &[&str],
    arguments: &DriftArguments,
    progress: &Progress,
) -> Result<Made, DriftError> {
    let workers = Threads { progress };
    let memory = arguments.memory << 20;
    let is_exact = baseline.is_none()
        && match arguments.method {
            arguments::Method::Exact => true,
            arguments::Method::Profile => false,
            arguments::Method::Auto => exact_bytes(tables) <= memory,
        };
    if is_exact {
        let comparisons = compare_exact(&tables.reference, &tables.current, names, ExactOptions { memory }, &workers)?;
        return Ok(Made { method: Method::Exact, comparisons, baseline_id: None, identifiers: Vec::new() });
    }
    let reference = match baseline {
        Some(baseline) => baseline,
        None => profile_tables(&tables.reference, names, &workers)?,
    };
    let current = profile_tables(&tables.current, names, &workers)?;
    let comparisons = compare_profiles(&reference, &current, names)?;
    let baseline_id = Some(Digest::of(&reference.to_bytes()).to_string());
    Ok(Made { method: Method::Profile, comparisons, baseline_id, identifiers: identifiers(&reference) })
}

/// What the exact method takes for one number: 8 bytes a row of both sides, and of the longer one again. Texts that were not taken into memory are
/// of unknown length, and long.
fn exact_bytes(tables: &Tables<'_>) -> u64 {
    let rows =
        |tables: &[Table<'_>]| tables.iter().map(|it| it.rows().unwrap_or(u64::MAX)).fold(0, u64::saturating_add);
    let (n, m) = (rows(&tables.reference), rows(&tables.current));
    n.saturating_add(m).saturating_add(n.max(m)).saturating_mul(8)
}

/// Writes the files of Model Monitor: what the current data looks like, what the reference keeps, and what the current data does not.
fn monitor(folder: &Path, tables: &Tables<'_>, report: &DriftReport) -> anyhow::Result<()> {
    let names: Vec<&str> =
        report.features.iter().filter(|it| 0 < it.reference.count).map(|it| it.name.as_str()).collect();
    let lacking = report.features.iter().filter(|it| it.reference.count == 0).map(|it| it.name.as_str());
    let current = statistics_of(&tables.current, &names)?;
    let mut constraints = Constraints::suggest(&statistics_of(&tables.reference, &names)?);
    constraints.features.extend(lacking.map(FeatureConstraints::unknown));
    let violations = violations_of(&constraints, &current, report);
    std::fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    write(&folder.join("statistics.json"), &current.write())?;
    write(&folder.join("constraints.json"), &constraints.write())?;
    write(&folder.join(VIOLATIONS_NAMES[0]), &violations.write())
}

/// Opens the files of a side with these columns; texts are taken into memory as far as that goes.
fn tables<'a>(
    files: &'a [InputFile],
    wanted: &[(String, Kind)],
    memory: u64,
    progress: &Progress,
) -> anyhow::Result<Vec<Table<'a>>> {
    let options = ReadOptions { columns: Some(wanted.to_vec()) };
    let open = |file: &'a InputFile| {
        let table = Table::open(&file.source, &options).and_then(|it| it.into_memory(memory));
        progress.step();
        table.map_err(|it| named(it, &file.name))
    };
    files.iter().map(open).collect()
}

/// An error of a comparison, with the name of the file.
fn with_name(error: DriftError, sides: &Sides) -> anyhow::Error {
    match error {
        DriftError::Read { side, table, source } => {
            let files = match side {
                Side::Reference => &sides.reference,
                Side::Current => &sides.current,
            };
            named(source, files.get(table).map_or("?", |it| &it.name))
        }
        other @ (DriftError::NoColumn { .. }
        | DriftError::NoFeature { .. }
        | DriftError::Time(_)
        | DriftError::Memory { .. }) => other.into(),
    }
}

fn rows(comparisons: &[FeatureComparison], side: Side) -> u64 {
    let counts = comparisons.first().map(|it| match side {
        Side::Reference => it.reference,
        Side::Current => it.current,
    });
    counts.map_or(0, |it| it.count)
}

/// A comparison with its verdicts.
struct Judged {
    features: Vec<FeatureReport>,
    dataset: DatasetVerdict,
    prediction: Option<FeatureReport>,
    target: Option<FeatureReport>,
    /// Of the features, then of prediction and target.
    comparisons: Vec<FeatureComparison>,
}

/// Judges what was compared: the features of `columns`, then its prediction and target.
fn judge(
    mut comparisons: Vec<FeatureComparison>,
    identifiers: &[String],
    columns: &mut Columns,
    settings: &ComparisonSettings,
) -> Judged {
    let mut special = comparisons.split_off(columns.features.len().min(comparisons.len()));
    // By name, so that the order of columns in a file, which some formats do not keep, changes nothing.
    comparisons.sort_by(|a, b| a.name.cmp(&b.name));
    let ignored = &mut columns.ignored;
    comparisons.retain(|it| {
        let is_identifier = identifiers.contains(&it.name) || is_identifier(it);
        let is_kept = settings.features.contains_key(&it.name) || !is_identifier;
        if !is_kept {
            let reason = "nearly every value is its own: it names rows".to_owned();
            ignored.push(IgnoredColumn { name: it.name.clone(), reason });
        }
        is_kept
    });
    let rules = rules(settings);
    let choices: Vec<Choice> = comparisons.iter().map(|it| choice(&it.name, it.kind, settings)).collect();
    let (mut features, mut dataset) = judge_comparisons(&comparisons, &choices, &rules, &generator);
    for (name, kind) in &columns.lacking {
        let reason = "the current data does not have this column".to_owned();
        features.push(FeatureReport::errored(name, *kind, choice(name, *kind, settings), reason));
    }
    if !columns.lacking.is_empty() {
        let verdicts: Vec<Verdict> = features.iter().map(|it| it.verdict).collect();
        dataset = judge_dataset(&verdicts, rules.share);
    }
    let by_itself = |column: &Option<(String, Kind)>| {
        let comparison = special.iter().find(|it| Some(&it.name) == column.as_ref().map(|it| &it.0))?;
        Some(judge_comparison(comparison, choice(&comparison.name, comparison.kind, settings), &rules, &generator))
    };
    let (prediction, target) = (by_itself(&columns.prediction), by_itself(&columns.target));
    comparisons.append(&mut special);
    Judged { features, dataset, prediction, target, comparisons }
}

fn rules(settings: &ComparisonSettings) -> Rules {
    let usual = Rules::DEFAULT;
    Rules {
        min_rows: settings.min_rows.unwrap_or(usual.min_rows),
        min_reference_rows: settings.min_rows.unwrap_or(usual.min_reference_rows),
        alpha: settings.alpha.unwrap_or(usual.alpha),
        share: settings.share.unwrap_or(usual.share),
        ..usual
    }
}

/// Fewer rows show nothing about how many values are their own.
const FEW_ROWS: u64 = 20;

fn is_identifier(comparison: &FeatureComparison) -> bool {
    match &comparison.scores {
        FeatureScores::Categorical(scores) => {
            let n_distinct = scores.counts.reference.iter().filter(|it| 0 < **it).count();
            names_rows(n_distinct as u64, comparison.reference.used())
        }
        FeatureScores::Numeric(_) | FeatureScores::Undefined => false,
    }
}

fn identifiers(profile: &Profile) -> Vec<String> {
    let is_identifier = |it: &FeatureProfile| match it {
        FeatureProfile::Categorical(of) => names_rows(of.n_distinct(), it.counts().used()),
        FeatureProfile::Numeric(_) => false,
    };
    profile.features.iter().filter(|it| is_identifier(it.1)).map(|it| it.0.clone()).collect()
}

fn names_rows(n_distinct: u64, n_rows: u64) -> bool {
    FEW_ROWS <= n_rows && IDENTIFIER_SHARE * n_rows as f64 <= n_distinct as f64
}

/// A generator that depends on the feature's name alone, so that the same data gives the same verdicts.
fn generator(name: &str) -> Box<dyn refit_stats::Rng> {
    Box::new(ChaCha8Rng::seed_from_u64(Digest::of(name.as_bytes()).seed()))
}

/// Which reference: the digest of what the scores know of it, whatever format it came in.
fn baseline_id(comparisons: &[FeatureComparison]) -> String {
    let known = |it: &FeatureComparison| {
        let bins = match &it.scores {
            FeatureScores::Undefined => String::new(),
            FeatureScores::Numeric(scores) => {
                let of = |it: &refit_stats::scores::BinnedScores| format!("{:?} {:?}", it.edges, it.reference);
                format!("{} {:?}", of(&scores.q10), scores.w20.as_ref().map(of))
            }
            FeatureScores::Categorical(scores) => {
                let counts = scores.categories.iter().zip(&scores.counts.reference);
                format!("{:?}", counts.filter(|it| 0 < *it.1).collect::<Vec<_>>())
            }
        };
        format!("{} {} {:?} {bins}", it.name, it.kind, it.reference)
    };
    let parts: Vec<String> = comparisons.iter().map(known).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Digest::of_list(&parts).to_string()
}

/// From the earliest to the latest time of the current data; `None` without any.
fn window(files: &[InputFile], column: &str) -> anyhow::Result<Option<Window>> {
    let options = ReadOptions::columns(&[(column, Kind::Time)]);
    let mut range: Option<(i64, i64)> = None;
    for file in files {
        let read = Table::open(&file.source, &options).and_then(|table| {
            (0..table.n_parts()).try_for_each(|part| {
                table.scan(part, &[0], &mut |_, block| {
                    if let BlockValues::Times(times) = block.values() {
                        let (least, most) = (times.iter().min(), times.iter().max());
                        if let (Some(least), Some(most)) = (least, most) {
                            let (start, end) = range.unwrap_or((*least, *most));
                            range = Some((start.min(*least), end.max(*most)));
                        }
                    }
                    Ok(())
                })
            })
        });
        read.map_err(|it| named(it, &file.name))?;
    }
    Ok(range.map(|(start, end)| Window { start: format_time(start), end: format_time(end) }))
}

/// Writes a file as a whole: beside its place first, so that nobody reads half of it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let place = || format!("writing `{}`", path.display());
    std::fs::write(&beside, bytes).with_context(place)?;
    std::fs::rename(&beside, path).with_context(place)
}
