//! Every field of every oracle case against ours; a field that is not known fails.
//!
//! `REFIT_ORACLES` names another folder of files of the same form.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the cases are files, in a folder that can be named")]

mod compare;
mod drift;
mod quality;
mod sequential;
mod tampered;

use std::path::{Path, PathBuf};

use refit_stats::distance::CountPair;
use serde_json::{Map, Value};

/// Names a folder with other sets of the same form, relative to the workspace or absolute.
const FOLDER: &str = "REFIT_ORACLES";

/// What is checked of a case: every field of what it expects.
type Check = fn(&mut Differences, &Value);

/// Each file and what checks its cases.
const FILES: [(&str, Check); 10] = [
    ("binary_quality.json", quality::check_binary),
    ("categorical.json", drift::check_categorical),
    ("compare.json", compare::check_comparison),
    ("delong.json", compare::check_delong),
    ("multiclass_quality.json", quality::check_multiclass),
    ("multiple_testing.json", quality::check_multiple_testing),
    ("numeric_generated_large.json", drift::check_generated),
    ("numeric_two_sample.json", drift::check_two_sample),
    ("regression_quality.json", quality::check_regression),
    ("sequential.json", sequential::check_detector),
];

/// Files that are no sets of cases.
const OTHER_FILES: [&str; 2] = ["versions.json", "kolmogorov_finite.json"];

/// Smallest p-value that is compared by its digits.
const P_FLOOR: f64 = 1e-300;

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles")
}

/// The folder to check, and whether it is another than ours.
fn folder() -> (PathBuf, bool) {
    match std::env::var_os(FOLDER) {
        None => (own_folder(), false),
        Some(named) => {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            (workspace.join(named), true)
        }
    }
}

fn parse(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let set: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(set["format"], "oracle/1", "{}", path.display());
    set["cases"].as_array().unwrap().clone()
}

/// Checks a file of the folder. Another folder may lack some; [`the_folder_holds_what_is_checked`] says that it holds any.
fn check_file(file: &str) {
    let (folder, is_other) = folder();
    let path = folder.join(file);
    if is_other && !path.exists() {
        println!("{} is not there", path.display());
        return;
    }
    let check = FILES.iter().find(|(name, _)| *name == file).unwrap().1;
    let cases = parse(&path);
    assert!(!cases.is_empty(), "{} has no case", path.display());
    let mut found = Differences::default();
    cases.iter().for_each(|case| check(&mut found, case));
    println!("{}: {} cases, {} values", path.display(), cases.len(), found.checked);
    found.finish();
}

macro_rules! tests_of_files {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            check_file($file);
        })*

        #[test]
        fn every_file_has_its_test() {
            assert_eq!(FILES.map(|(name, _)| name).to_vec(), [$($file),*]);
        }
    };
}

tests_of_files! {
    oracle_binary_quality: "binary_quality.json",
    oracle_categorical: "categorical.json",
    oracle_compare: "compare.json",
    oracle_delong: "delong.json",
    oracle_multiclass_quality: "multiclass_quality.json",
    oracle_multiple_testing: "multiple_testing.json",
    oracle_numeric_generated_large: "numeric_generated_large.json",
    oracle_numeric_two_sample: "numeric_two_sample.json",
    oracle_regression_quality: "regression_quality.json",
    oracle_sequential: "sequential.json",
}

/// A file that nothing checks would look as if it agreed.
#[test]
fn oracle_folder_holds_what_is_checked() {
    let (folder, _) = folder();
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let names: Vec<String> = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let is_set = |name: &str| FILES.iter().any(|(file, _)| *file == name);
    assert!(names.iter().any(|it| is_set(it)), "{} holds no file that is checked", folder.display());
    let sets = names.iter().filter(|it| it.ends_with(".json"));
    let unknown: Vec<&String> = sets.filter(|it| !is_set(it) && !OTHER_FILES.contains(&it.as_str())).collect();
    assert!(unknown.is_empty(), "{} holds {unknown:?}, which nothing checks", folder.display());
}

fn fields(case: &Value) -> &Map<String, Value> {
    case["expect"].as_object().unwrap()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::String(it) if it == "NaN" => Some(f64::NAN),
        Value::String(it) if it == "Infinity" => Some(f64::INFINITY),
        Value::String(it) if it == "-Infinity" => Some(f64::NEG_INFINITY),
        other => Some(other.as_f64().unwrap_or_else(|| panic!("not a number: {other}"))),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| number(it).unwrap()).collect()
}

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

/// Collects all disagreements, so that one run shows the whole picture.
#[derive(Default)]
struct Differences {
    found: Vec<String>,
    /// How many values were compared.
    checked: usize,
}

impl Differences {
    fn within(&mut self, at: &str, ours: Option<f64>, expected: &Value, tolerance: impl Fn(f64) -> f64) {
        self.checked += 1;
        let agree = match (ours, number(expected)) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance(b),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !agree {
            self.found.push(format!("{at}: ours {ours:?}, expected {expected}"));
        }
    }

    fn close(&mut self, at: &str, ours: Option<f64>, expected: &Value) {
        self.within(at, ours, expected, |b| 1e-9 * b.abs().max(1.0));
    }

    fn p_value(&mut self, at: &str, ours: Option<f64>, expected: &Value) {
        self.within(at, ours, expected, |b| if P_FLOOR < b { 1e-6 * b } else { P_FLOOR });
    }

    fn interval(&mut self, at: &str, ours: Option<(f64, f64)>, expected: &Value) {
        match ours {
            Some((low, high)) => self.all_close(at, &[low, high], expected),
            None => self.same(at, true, expected.is_null()),
        }
    }

    fn all_close(&mut self, at: &str, ours: &[f64], expected: &Value) {
        let expected = expected.as_array().unwrap();
        self.same(&format!("{at} length"), ours.len(), expected.len());
        for (index, (a, b)) in ours.iter().zip(expected).enumerate() {
            self.close(&format!("{at}[{index}]"), Some(*a), b);
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, at: &str, ours: T, expected: T) {
        self.checked += 1;
        if ours != expected {
            self.found.push(format!("{at}: ours {ours:?}, expected {expected:?}"));
        }
    }

    fn unknown(&mut self, at: &str, field: &str) {
        self.found.push(format!("{at}: field {field} is not known"));
    }

    /// Checks a field of two paired rows of counts, or says that it is none.
    fn distance(&mut self, at: &str, field: &str, pair: Option<&CountPair>, expected: &Value) {
        let get: fn(&CountPair) -> f64 = match field {
            "psi" => CountPair::psi,
            "kl_cur_ref" => CountPair::kl_current_reference,
            "kl_ref_cur" => CountPair::kl_reference_current,
            "js_distance_base2" => CountPair::js_distance_base2,
            "js_distance_nats" => CountPair::js_distance_nats,
            "js_divergence_bits" => CountPair::js_divergence_bits,
            "hellinger" => CountPair::hellinger,
            "tvd" => CountPair::tvd,
            "l_infinity" => CountPair::l_infinity,
            _ => return self.unknown(at, field),
        };
        self.close(at, pair.map(get), expected);
    }

    fn finish(self) {
        assert!(self.found.is_empty(), "{} differences:\n{}", self.found.len(), self.found.join("\n"));
    }
}
