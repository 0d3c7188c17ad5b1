//! Where events go: `events/routes.json` is what the local world does, and what `tools/template` holds the rules of the template to.

use std::collections::BTreeMap;

use expect_test::expect_file;
use refit_handlers::Function;
use refit_local::routing::targets;
use serde_json::{Value, json};

use crate::repo::{list, read, root};

/// The functions that an event goes to.
fn names(event: &Value) -> Vec<&'static str> {
    targets(event).into_iter().map(Function::name).collect()
}

/// What each sample that comes by an event bus wakes.
fn samples() -> BTreeMap<String, Vec<&'static str>> {
    let mut samples = BTreeMap::new();
    for function in Function::ALL {
        for file in list(&format!("events/{function}")) {
            let name = format!("{function}/{}", file.trim_end_matches(".json"));
            let event: Value = serde_json::from_str(&read(&format!("events/{name}.json"))).expect("a sample is JSON");
            if event.get("detail-type").is_some() {
                samples.insert(name, names(&event));
            }
        }
    }
    samples
}

/// What each fact wakes, and each wake-up that the sweep sends.
fn facts() -> BTreeMap<String, Vec<&'static str>> {
    let translate = read("crates/app/src/use_cases/publish_events/translate.rs");
    let body = translate.split_once("fn detail_type(").and_then(|it| it.1.split_once("\n}\n")).expect("its function").0;
    let kinds = body.split('"').skip(1).step_by(2).map(str::to_owned);
    let sweep = read("crates/app/src/use_cases/sweep.rs");
    let is_woken = |it: &Function| *it != Function::Sweep && sweep.contains(&format!("\"{it}\""));
    let woken = Function::ALL.into_iter().filter(is_woken);
    let wake_ups = woken.map(|it| format!("Wake Up: {it}"));
    let of = |name: String| {
        let (kind, function) = name.split_once(": ").unwrap_or((&name, ""));
        let event = json!({ "source": "refit", "detail-type": kind, "detail": { "model": "m", "function": function } });
        let woken = names(&event);
        (name, woken)
    };
    kinds.chain(wake_ups).map(of).collect()
}

#[test]
fn the_list_of_routes_is_what_the_local_world_does() {
    let (samples, facts) = (samples(), facts());
    assert!(facts.len() > 20, "the facts were not found: {facts:?}");
    let text = serde_json::to_string_pretty(&json!({ "samples": samples, "facts": facts })).expect("it is JSON");
    expect_file![root().join("events/routes.json")].assert_eq(&format!("{text}\n"));
}
