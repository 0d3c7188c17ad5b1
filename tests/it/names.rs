//! One name for one thing: function = use case = folder of event samples = tracing span = executable = logical id.

use refit_handlers::Function;

use crate::repo::{exists, list, read};

/// Files in `use_cases` that are no function's: the loop they share, the steps it performs, the policy it reads.
const SHARED: &[&str] = &["clean_outputs.rs", "existing.rs", "mod.rs", "park.rs", "perform.rs", "policy.rs"];

fn snake(function: Function) -> String {
    function.name().replace('-', "_")
}

fn camel(function: Function) -> String {
    function.name().split('-').map(|it| format!("{}{}", it[..1].to_uppercase(), &it[1..])).collect()
}

fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = Function::ALL.iter().map(|it| it.name()).collect();
    names.sort_unstable();
    names
}

#[test]
fn names_are_distinct_and_read_back() {
    let mut distinct = names();
    distinct.dedup();
    assert_eq!(distinct.len(), Function::ALL.len());
    for function in Function::ALL {
        assert_eq!(function.name().parse(), Ok(function));
    }
}

#[test]
fn each_function_is_one_use_case_with_a_span_of_its_name() {
    for function in Function::ALL {
        let name = snake(function);
        let source = read(&format!("crates/app/src/use_cases/{name}.rs"));
        assert!(source.contains(&format!("#[tracing::instrument(name = \"{name}\", ")), "the span of {name}");
        assert!(source.contains(&format!("pub async fn {name}(")), "the use case {name}");
        let handlers = read("crates/handlers/src/functions.rs");
        assert!(handlers.contains(&format!("use refit_app::use_cases::{name}::")), "the handler of {name}");
    }
}

#[test]
fn each_use_case_is_a_function() {
    for file in list("crates/app/src/use_cases").into_iter().filter(|it| it.ends_with(".rs")) {
        let kebab = file.trim_end_matches(".rs").replace('_', "-");
        assert!(SHARED.contains(&file.as_str()) || kebab.parse::<Function>().is_ok(), "{file} is no function's");
    }
}

#[test]
fn each_function_has_event_samples_and_each_sample_a_function() {
    for function in Function::ALL {
        let files = list(&format!("events/{function}"));
        assert!(files.iter().any(|it| it.ends_with(".json")), "events/{function} has no sample");
        assert!(files.iter().all(|it| it.ends_with(".json")), "events/{function} has other files: {files:?}");
    }
    let folders: Vec<String> =
        list("events").into_iter().filter(|it| !["README.md", "api", "routes.json"].contains(&it.as_str())).collect();
    assert_eq!(folders, names());
}

#[test]
fn each_function_is_in_the_template_once_there_is_one() {
    if !exists("template.yaml") {
        return;
    }
    let template = read("template.yaml");
    for function in Function::ALL {
        assert!(
            template.contains(&format!("\n  {}Function:\n", camel(function))),
            "{function} is not in template.yaml"
        );
    }
}
