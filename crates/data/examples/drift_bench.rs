//! One measurement of the drift engine for `tools/bench_drift.py`, which runs it as a process of its own, so that processor time and peak memory are
//! those of the measured work.
//!
//! `drift_bench decode|exact|profile REFERENCE CURRENT THREADS` reads Parquet files and prints the scores as JSON; `drift_bench check|merge FEATURES
//! PROFILES [REPEATS]` makes profiles of its own and prints how long it took, the mean.

#![expect(clippy::disallowed_methods, reason = "a program that measures, not the library")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use refit_data::drift::{
    ExactOptions, FeatureComparison, FeatureProfile, FeatureScores, OneWorker, Profile, Workers, compare_exact,
    compare_profiles, profile_tables,
};
use refit_data::{FileRange, ReadOptions, Table};
use refit_stats::profile::NumericBuilder;
use serde_json::{Map, Value, json};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [mode @ ("decode" | "exact" | "profile"), reference, current, threads] => {
            compare(mode, Path::new(reference), Path::new(current), threads.parse()?)
        }
        ["check", features, rollups] => check(features.parse()?, rollups.parse()?, CHECKS),
        ["check", features, rollups, repeats] => check(features.parse()?, rollups.parse()?, repeats.parse()?),
        ["merge", features, profiles] => merge(features.parse()?, profiles.parse()?, MERGES),
        ["merge", features, profiles, repeats] => merge(features.parse()?, profiles.parse()?, repeats.parse()?),
        _ => Err("see the first lines of the source".into()),
    }
}

struct Threads(usize);

impl Workers for Threads {
    fn run(&self, n_tasks: usize, at_once: usize, task: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if n_tasks <= at {
                    return;
                }
                task(at);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.0.min(at_once).min(n_tasks) {
                scope.spawn(work);
            }
            work();
        });
    }
}

fn compare(mode: &str, reference: &Path, current: &Path, threads: usize) -> Outcome {
    let files = (FileRange::open(reference)?, FileRange::open(current)?);
    let tables = ([Table::open(&files.0, &ReadOptions::all())?], [Table::open(&files.1, &ReadOptions::all())?]);
    let names: Vec<&str> = tables.0[0].columns().iter().map(|it| it.name.as_str()).collect();
    let workers: &dyn Workers = if threads == 1 { &OneWorker } else { &Threads(threads) };
    let scores = match mode {
        "decode" => return decode(&[&tables.0[0], &tables.1[0]], workers),
        "exact" => compare_exact(&tables.0, &tables.1, &names, ExactOptions::default(), workers)?,
        _ => {
            let reference = profile_tables(&tables.0, &names, workers)?;
            let current = profile_tables(&tables.1, &names, workers)?;
            compare_profiles(&reference, &current, &names)?
        }
    };
    println!("{}", Value::Object(scores.iter().map(show).collect::<Map<String, Value>>()));
    Ok(())
}

/// The floor: every value and every dictionary code of every column is decoded and thrown away.
fn decode(tables: &[&Table<'_>], workers: &dyn Workers) -> Outcome {
    let n_columns = tables[0].columns().len();
    let problems = Mutex::new(Vec::new());
    workers.run(n_columns * tables.len(), usize::MAX, &|at| {
        let (table, column) = (tables[at / n_columns], at % n_columns);
        for part in 0..table.n_parts() {
            let done = table.scan(part, &[column], &mut |_, block| {
                black_box(block.values());
                Ok(())
            });
            if let (Err(error), Ok(mut problems)) = (done, problems.lock()) {
                problems.push(error);
            }
        }
    });
    match problems.into_inner()?.pop() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn show(it: &FeatureComparison) -> (String, Value) {
    let scores = match &it.scores {
        FeatureScores::Numeric(it) => json!({
            "ks": it.ks, "wasserstein1": it.wasserstein1, "psi_q10": it.q10.psi, "kl_cur_ref": it.q10.kl_cur_ref,
            "js_distance_base2": it.q10.js_distance_base2, "psi_w20": it.w20.as_ref().map(|it| it.psi),
        }),
        FeatureScores::Categorical(it) => json!({
            "psi": it.counts.psi, "js_distance_base2": it.counts.js_distance_base2, "chi2": it.chi2,
            "cramers_v": it.cramers_v,
        }),
        FeatureScores::Undefined => Value::Null,
    };
    (it.name.clone(), scores)
}

/// Deterministic draws: the generator of the oracles.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

fn day(seed: u64, n_features: usize, rows: usize) -> Profile {
    let mut draws = Draws(seed);
    let feature = |at: usize, draws: &mut Draws| {
        let mut builder = NumericBuilder::new();
        let values: Vec<f64> = (0..rows)
            .map(|_| {
                let sum: f64 = (0..4).map(|_| draws.uniform()).sum();
                if at.is_multiple_of(2) { sum } else { (2.0 * sum).exp() }
            })
            .collect();
        builder.add(&values);
        FeatureProfile::Numeric(builder.finish())
    };
    Profile { features: (0..n_features).map(|at| (format!("feature-{at}"), feature(at, &mut draws))).collect() }
}

/// Processor time of this thread where the system tells (Linux), so that a busy machine does not count; else the time on the wall.
fn now(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|it| it.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// How often a check is repeated; the system counts processor time in steps of some milliseconds, so that one alone could not be measured.
const CHECKS: u32 = 50;
const MERGES: u32 = 9;

/// The mean of so many repetitions, in milliseconds.
fn mean(repeats: u32, work: &mut dyn FnMut() -> Outcome) -> Result<f64, Box<dyn Error>> {
    let clock = Instant::now();
    let start = now(clock);
    (0..repeats).try_for_each(|_| work())?;
    Ok((now(clock) - start).as_secs_f64() * 1e3 / f64::from(repeats))
}

/// From stored bytes to scores: rollups read and added up, then compared with a baseline that is read, too.
fn check(n_features: usize, n_rollups: u64, repeats: u32) -> Outcome {
    let baseline = day(1, n_features, 20_000).to_bytes();
    let rollups: Vec<Vec<u8>> = (0..n_rollups).map(|it| day(it + 2, n_features, 20_000).to_bytes()).collect();
    let ms = mean(repeats, &mut || {
        let week = sum(&rollups)?;
        let baseline = Profile::from_bytes(&baseline)?;
        let names: Vec<&str> = baseline.features.keys().map(String::as_str).collect();
        black_box(compare_profiles(&baseline, &week, &names)?);
        Ok(())
    })?;
    println!("{}", json!({"ms": ms, "bytes_per_feature": baseline.len() / n_features}));
    Ok(())
}

fn sum(stored: &[Vec<u8>]) -> Result<Profile, Box<dyn Error>> {
    Ok(Profile::sum(&stored.iter().map(Vec::as_slice).collect::<Vec<_>>())?)
}

/// From stored bytes of hours to stored bytes of a week.
fn merge(n_features: usize, n_profiles: u64, repeats: u32) -> Outcome {
    let hours: Vec<Vec<u8>> = (0..n_profiles).map(|it| day(it + 1, n_features, 5_000).to_bytes()).collect();
    let mut length = 0;
    let ms = mean(repeats, &mut || {
        length = sum(&hours)?.to_bytes().len();
        Ok(())
    })?;
    println!("{}", json!({"ms": ms, "bytes_per_feature": length / n_features}));
    Ok(())
}
