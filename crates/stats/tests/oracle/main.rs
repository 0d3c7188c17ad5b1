//! Every field of every oracle case against ours; a field that is not known fails.
//!
//! `REFIT_ORACLES` names another folder of files of the same form.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the cases are files, in a folder that can be named")]

mod drift;
mod quality;
mod sequential;

use std::path::PathBuf;

use refit_stats::distance::CountPair;
use serde_json::{Map, Value};

/// Fields of the oracle files that the crate does not offer, with the reason.
const NOT_OFFERED_YET: [(&str, &str); 0] = [];

/// Smallest p-value that is compared by its digits.
const P_FLOOR: f64 = 1e-300;

fn cases(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("REFIT_ORACLES")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracles")), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(set["format"], "oracle/1");
    set["cases"].as_array().unwrap().clone()
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
struct Differences(Vec<String>);

impl Differences {
    fn within(&mut self, at: &str, ours: Option<f64>, expected: &Value, tolerance: impl Fn(f64) -> f64) {
        let agree = match (ours, number(expected)) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance(b),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !agree {
            self.0.push(format!("{at}: ours {ours:?}, expected {expected}"));
        }
    }

    fn close(&mut self, at: &str, ours: Option<f64>, expected: &Value) {
        self.within(at, ours, expected, |b| 1e-9 * b.abs().max(1.0));
    }

    fn p_value(&mut self, at: &str, ours: Option<f64>, expected: &Value) {
        self.within(at, ours, expected, |b| if P_FLOOR < b { 1e-6 * b } else { P_FLOOR });
    }

    fn all_close(&mut self, at: &str, ours: &[f64], expected: &Value) {
        let expected = expected.as_array().unwrap();
        self.same(&format!("{at} length"), ours.len(), expected.len());
        for (index, (a, b)) in ours.iter().zip(expected).enumerate() {
            self.close(&format!("{at}[{index}]"), Some(*a), b);
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, at: &str, ours: T, expected: T) {
        if ours != expected {
            self.0.push(format!("{at}: ours {ours:?}, expected {expected:?}"));
        }
    }

    fn unknown(&mut self, at: &str, field: &str) {
        if NOT_OFFERED_YET.iter().all(|(name, _)| *name != field) {
            self.0.push(format!("{at}: field is not known"));
        }
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
        assert!(self.0.is_empty(), "{} differences:\n{}", self.0.len(), self.0.join("\n"));
    }
}
