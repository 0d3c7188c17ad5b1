//! NUMERICS P: where Page-Hinkley and the drift detection method alarm.

use refit_stats::sequential::{Ddm, PageHinkley};
use serde_json::Value;

use crate::{Differences, counts, fields, number, numbers};

fn setting(case: &Value, name: &str) -> f64 {
    number(&case[name]).unwrap()
}

fn alarms(case: &Value) -> Vec<u64> {
    let alarms_of = |stream: Vec<f64>, add: &mut dyn FnMut(f64) -> bool| -> Vec<u64> {
        (0..).zip(stream).filter_map(|(index, value)| add(value).then_some(index)).collect()
    };
    match case["detector"].as_str().unwrap() {
        "page_hinkley_increase" => {
            let least = case["min_instances"].as_u64().unwrap();
            let mut detector = PageHinkley::new(setting(case, "delta"), setting(case, "lam"), least);
            alarms_of(numbers(&case["x"]), &mut |value| detector.add(value))
        }
        "ddm" => {
            let mut detector = Ddm::new(case["warm"].as_u64().unwrap(), setting(case, "drift_k"));
            alarms_of(numbers(&case["errors"]), &mut |value| detector.add(value == 1.0))
        }
        other => panic!("detector {other} is not known"),
    }
}

pub(crate) fn check_detector(found: &mut Differences, case: &Value) {
    let at = case["detector"].as_str().unwrap().to_owned();
    for (field, expected) in fields(case) {
        match field.as_str() {
            "alarms" => found.same(&at, alarms(case), counts(expected)),
            _ => found.unknown(&at, field),
        }
    }
}
