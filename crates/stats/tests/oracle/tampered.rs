//! The suite must be able to fail: every value of what is expected, changed, and every field that nothing checks.
#![expect(clippy::disallowed_methods, reason = "runs this suite anew, on another folder")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{Check, Differences, FILES, FOLDER, own_folder, parse};

/// Paths to every value below one.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, it)| leaves(it, &format!("{at}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, it)| leaves(it, &format!("{at}/{index}"), found))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

/// Another value, as little different as a mistake may be.
fn changed(value: &Value) -> Value {
    match value {
        Value::Null => json!(0.5),
        Value::Bool(it) => json!(!it),
        Value::String(it) => match it.as_str() {
            "NaN" | "Infinity" | "-Infinity" => json!(1.0),
            _ => json!(format!("{it} ")),
        },
        Value::Number(it) => match it.as_i64() {
            Some(it) => json!(it + 1),
            None => it.as_f64().map(|it| json!(it + it.abs() * 1e-5 + 1e-5)).unwrap(),
        },
        Value::Array(_) | Value::Object(_) => unreachable!("only leaves are changed"),
    }
}

fn differs(check: Check, case: &Value) -> bool {
    let mut found = Differences::default();
    check(&mut found, case);
    !found.found.is_empty()
}

/// Values whose tolerance, by NUMERICS, is wider than the change: an area of 0 between samples that span 1e300.
fn is_within_tolerance(case: &Value, path: &str) -> bool {
    path == "/wasserstein1" && case["expect"]["ref_summary"]["max"].as_f64().is_some_and(|it| 1e100 < it.abs())
}

#[test]
fn a_tampered_value_is_found_whatever_it_is() {
    let mut values = 0;
    for (file, check) in FILES {
        // A case of many thousand rows is checked for each of its values; one stands for them.
        let most = if file == "numeric_generated_large.json" { 1 } else { usize::MAX };
        for case in parse(&own_folder().join(file)).into_iter().take(most) {
            let mut paths = Vec::new();
            leaves(&case["expect"], "", &mut paths);
            let step = if most == 1 { paths.len() / 12 } else { 1 };
            for path in paths.iter().step_by(step) {
                let mut tampered = case.clone();
                let value = tampered["expect"].pointer_mut(path).unwrap();
                *value = changed(value);
                let is_found = differs(check, &tampered);
                assert!(is_found || is_within_tolerance(&case, path), "{file} {} {path}", case["name"]);
                values += 1;
            }
        }
    }
    assert!(1_500 < values, "only {values} values were changed");
}

#[test]
fn a_field_that_nothing_checks_is_found() {
    for (file, check) in FILES {
        let mut case = parse(&own_folder().join(file)).swap_remove(0);
        assert!(!differs(check, &case), "{file} agrees");
        case["expect"]["surprise"] = json!(1.0);
        assert!(differs(check, &case), "{file}");
    }
}

/// A copy of our folder, in which one text is replaced in one file.
fn copy(name: &str, file: &str, from: &str, to: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(own_folder()).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let text = if entry.file_name() == file { text.replacen(from, to, 1) } else { text };
        std::fs::write(folder.join(entry.file_name()), text).unwrap();
    }
    folder
}

/// Runs one test of this suite on a folder; what it printed if it failed.
fn run(test: &str, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([test, "--exact", "--nocapture"]).env(FOLDER, folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[test]
fn another_folder_is_checked_instead_of_ours() {
    let same = copy("oracles-same", "delong.json", "", "");
    let passed = run("oracle_delong", &same).unwrap();
    assert!(passed.contains("oracles-same/delong.json: 3 cases"), "{passed}");
    let tampered =
        copy("oracles-tampered", "delong.json", "\"auc1\":0.8357517752392714", "\"auc1\":0.8357527752392714");
    let failed = run("oracle_delong", &tampered).unwrap_err();
    assert!(failed.contains("delong_0.auc1: ours Some(0.83575177523"), "{failed}");
    let unknown = copy("oracles-unknown", "delong.json", "\"auc1\"", "\"auc_one\"");
    let failed = run("oracle_delong", &unknown).unwrap_err();
    assert!(failed.contains("field auc_one is not known"), "{failed}");
    std::fs::write(unknown.join("surprise.json"), "{}").unwrap();
    let failed = run("oracle_folder_holds_what_is_checked", &unknown).unwrap_err();
    assert!(failed.contains("surprise.json"), "{failed}");
}
