//! SageMaker pipeline definitions, version 2020-12-01, as far as they can be run here.
//!
//! A definition is parsed once, and everything that is wrong with it is reported at once, each problem with the place
//! and what to do. What parses has no dangling reference, no cycle and no name used twice, so the interpreter only
//! meets problems that depend on values.
//!
//! A construct that is not interpreted is refused by name: nothing is skipped in silence. Not here: what AWS checks when
//! it creates resources (roles, images, quotas).

mod cache;
mod check;
mod expression;
mod node;
mod parameter;
mod path;
mod read;
mod retry;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use refit_core::Digest;
use serde_json::Value;

pub use self::cache::CacheExpiry;
pub(super) use self::check::skeleton;
pub use self::expression::{ExecutionFact, Expression, JsonSource};
use self::node::Node;
pub use self::parameter::{Parameter, ParameterKind};
pub use self::path::JsonPath;
pub use self::retry::{Exception, RetryLimit, RetryPolicy};
pub use self::step::{
    Comparator, Comparison, Condition, Detail, Folder, Processing, Program, PropertyFile, RegisterModel, StepKind,
    Training,
};

/// Something wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A JSON pointer to the place; empty for the whole document.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{pointer}: {}", self.message)
    }
}

/// What `refit pipeline lint` says.
#[must_use = "a report is for reading"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintReport {
    /// Why the definition cannot run here, or would be refused by SageMaker.
    pub problems: Vec<Problem>,
    /// What works and may surprise.
    pub warnings: Vec<Problem>,
}

/// A step's place inside a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The condition step.
    pub condition: String,
    /// The outcome under which the step runs.
    pub taken: bool,
}

/// A step of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name, unique in the definition.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// The steps that must have run before: named in `DependsOn`, or because their results are used.
    pub after: BTreeSet<String>,
    /// The condition that it stands in.
    pub branch: Option<Branch>,
    /// When it is tried again.
    pub retry: Vec<RetryPolicy>,
    /// For how long its result may be reused, if at all.
    pub cache: Option<CacheExpiry>,
}

/// A definition without problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    parameters: Vec<Parameter>,
    steps: Vec<Step>,
    digest: Digest,
}

impl Definition {
    /// Parses a definition.
    ///
    /// # Errors
    /// Every problem of the text, by place.
    pub fn parse(json: &str) -> Result<Definition, Vec<Problem>> {
        let (definition, report) = read(json);
        definition.filter(|_| report.problems.is_empty()).ok_or(report.problems)
    }

    /// The digest of the definition's content: white space and the order of keys do not matter.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest.clone()
    }

    /// The declared parameters, each with its default as SageMaker would be sent it.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, Option<String>> {
        let pairs = self.parameters.iter();
        pairs.map(|it| (it.name.clone(), it.default.as_ref().map(parameter::to_text))).collect()
    }

    /// The steps as they are written, those inside a condition right after it.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The typed values of all parameters, defaults included.
    ///
    /// # Errors
    /// Every parameter that is not declared, missing, of another type or not among the allowed values.
    pub fn bind(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>, Vec<String>> {
        parameter::bind(&self.parameters, given)
    }
}

/// Checks a definition; the report of a definition that parses has no problems.
pub fn lint(json: &str) -> LintReport {
    read(json).1
}

fn read(json: &str) -> (Option<Definition>, LintReport) {
    let mut report = LintReport { problems: Vec::new(), warnings: Vec::new() };
    let document: Value = match serde_json::from_str(json) {
        Ok(document) => document,
        Err(error) => {
            let message = format!("is not JSON: {error}; correct the text");
            report.problems.push(Problem { pointer: String::new(), message });
            return (None, report);
        }
    };
    let root = Node::root(&document);
    let found = &mut report.problems;
    let on_aws = ["Metadata", "PipelineExperimentConfig", "MlflowConfig"];
    root.only(&["Version", "Parameters", "Steps"], &on_aws, found);
    if let Some(version) = root.required("Version", found)
        && version.value.as_str() != Some("2020-12-01")
    {
        version.report(found, "this version is not interpreted locally yet; use \"2020-12-01\"".to_owned());
    }
    let parameters = parameter::read(&root, found);
    let mut parsed = Vec::new();
    if let Some(list) = root.required("Steps", found) {
        read::read_steps(&list, None, &mut parsed, found);
        if parsed.is_empty() {
            list.report(found, "there is no step; add one".to_owned());
        }
    }
    check::check(&parameters, &parsed, &document, &mut report);
    for list in [&mut report.problems, &mut report.warnings] {
        list.sort();
        list.dedup();
    }
    let steps = parsed.into_iter().map(Step::from_parsed).collect::<Option<Vec<_>>>();
    let digest = digest_of(&document);
    (steps.map(|steps| Definition { parameters, steps, digest }), report)
}

/// The digest of a definition's content.
pub(super) fn digest_of(document: &Value) -> Digest {
    Digest::of_json(&canonical(document.clone()))
}

/// The document with sorted keys, whichever map `serde_json` was built with.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members.into_iter().collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key, canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

impl Step {
    fn from_parsed(parsed: step::Parsed) -> Option<Step> {
        let after = check::dependencies(&parsed).map(str::to_owned).collect();
        let step::Parsed { name, kind, branch, retry, cache, .. } = parsed;
        Some(Step { name, kind: kind?, after, branch, retry, cache })
    }
}

#[cfg(test)]
mod tests;
