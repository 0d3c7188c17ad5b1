//! What can only be checked with the whole definition in view: names, references, order and operand types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::expression::{Expression, JsonSource};
use super::parameter::{Parameter, ParameterKind};
use super::path::leaves;
use super::step::{Comparator, Comparison, Condition, Parsed, StepKind};
use super::{LintReport, Problem};

/// Checks the definition as a whole.
pub(super) fn check(parameters: &[Parameter], steps: &[Parsed], document: &Value, report: &mut LintReport) {
    check_names(steps, &mut report.problems);
    let known: BTreeMap<&str, &Parsed> = steps.iter().map(|it| (it.name.as_str(), it)).collect();
    for step in steps {
        for (pointer, name) in &step.depends_on {
            if !known.contains_key(name.as_str()) {
                report.problems.push(unknown_step(pointer, name));
            }
        }
        for (pointer, expression) in &step.uses {
            expression.visit(&mut |it| report.problems.extend(check_reference(pointer, it, parameters, &known)));
        }
        if let Some(StepKind::Condition(conditions)) = &step.kind {
            conditions.iter().for_each(|it| check_condition(it, parameters, &mut report.problems));
        }
        check_reach(step, &known, &mut report.problems);
    }
    check_cycles(steps, &mut report.problems);
    warn_parameters(parameters, steps, document, &mut report.warnings);
}

/// The steps whose results or end a step waits for, its condition included.
pub(super) fn dependencies(step: &Parsed) -> impl Iterator<Item = &str> {
    let mut names: BTreeSet<&str> = step.depends_on.iter().map(|(_, name)| name.as_str()).collect();
    for (_, expression) in &step.uses {
        steps_of(expression, &mut names);
    }
    names.extend(step.branch.iter().map(|it| it.condition.as_str()));
    names.into_iter()
}

fn steps_of<'a>(expression: &'a Expression, into: &mut BTreeSet<&'a str>) {
    into.extend(expression.step());
    match expression {
        Expression::Join { values, .. } => values.iter().for_each(|it| steps_of(it, into)),
        Expression::JsonGet { source: JsonSource::Object(uri), .. } => steps_of(uri, into),
        Expression::Literal(_)
        | Expression::Parameter(_)
        | Expression::Execution(_)
        | Expression::Property { .. }
        | Expression::JsonGet { source: JsonSource::PropertyFile { .. }, .. } => {}
    }
}

fn unknown_step(pointer: &str, name: &str) -> Problem {
    Problem { pointer: pointer.to_owned(), message: format!("step `{name}` does not exist; correct the name") }
}

fn check_names(steps: &[Parsed], found: &mut Vec<Problem>) {
    for (index, step) in steps.iter().enumerate() {
        let Some(first) = steps[..index].iter().find(|it| it.name == step.name && !it.name.is_empty()) else {
            continue;
        };
        let name = &step.name;
        let message = match (&first.branch, &step.branch) {
            (Some(inside), None) | (None, Some(inside)) => format!(
                "step `{name}` is both at the top level and inside condition `{}`; keep it in one place",
                inside.condition
            ),
            (Some(_), Some(_)) | (None, None) => format!("step name `{name}` is used twice; rename one"),
        };
        found.push(Problem { pointer: step.pointer.clone(), message });
    }
}

fn check_reference(
    pointer: &str,
    expression: &Expression,
    parameters: &[Parameter],
    known: &BTreeMap<&str, &Parsed>,
) -> Option<Problem> {
    let problem = |message| Some(Problem { pointer: pointer.to_owned(), message });
    match expression {
        Expression::Parameter(name) if parameters.iter().all(|it| it.name != *name) => {
            problem(format!("parameter `{name}` is not declared; declare it under `Parameters`"))
        }
        Expression::Property { step, path } => {
            let Some(target) = known.get(step.as_str()) else { return Some(unknown_step(pointer, step)) };
            let properties = skeleton(target.kind.as_ref()?);
            if path.find(&properties).is_some_and(|it| !it.is_object() && !it.is_array()) {
                return None;
            }
            let mut known = Vec::new();
            leaves(&properties, "", &mut known);
            problem(format!(
                "step `{step}` ({}) has no property `{path}`; it has {}",
                target.type_name,
                known.join(", ")
            ))
        }
        Expression::JsonGet { source: JsonSource::PropertyFile { step, name }, .. } => {
            let Some(target) = known.get(step.as_str()) else { return Some(unknown_step(pointer, step)) };
            match target.kind.as_ref()? {
                StepKind::Processing(it) if it.property_files.iter().any(|it| it.name == *name) => None,
                StepKind::Processing(_) => problem(format!(
                    "step `{step}` has no property file `{name}`; declare it under the step's `PropertyFiles`"
                )),
                StepKind::Training(_) | StepKind::RegisterModel(_) | StepKind::Condition(_) | StepKind::Fail(_) => {
                    problem(format!("step `{step}` is not a Processing step; only those have property files"))
                }
            }
        }
        Expression::Literal(_)
        | Expression::Parameter(_)
        | Expression::Execution(_)
        | Expression::Join { .. }
        | Expression::JsonGet { source: JsonSource::Object(_), .. } => None,
    }
}

/// The properties that other steps may refer to, with empty values: the interpreter fills in the same shape.
pub(in crate::pipeline) fn skeleton(kind: &StepKind) -> Value {
    match kind {
        StepKind::Processing(it) => json!({
            "ProcessingJobName": "", "ProcessingJobArn": "", "ProcessingJobStatus": "",
            "ProcessingInputs": it.inputs.iter().map(|it| json!({
                "InputName": it.name, "S3Input": {"S3Uri": "", "LocalPath": it.local_path}
            })).collect::<Vec<_>>(),
            "ProcessingOutputConfig": {"Outputs": it.outputs.iter().map(|it| json!({
                "OutputName": it.name, "S3Output": {"S3Uri": "", "LocalPath": it.local_path}
            })).collect::<Vec<_>>()},
        }),
        StepKind::Training(_) => json!({
            "TrainingJobName": "", "TrainingJobArn": "", "TrainingJobStatus": "",
            "ModelArtifacts": {"S3ModelArtifacts": ""}, "OutputDataConfig": {"S3OutputPath": ""},
        }),
        StepKind::RegisterModel(_) => json!({
            "ModelPackageArn": "", "ModelPackageGroupName": "", "ModelApprovalStatus": "", "ModelPackageStatus": "",
        }),
        StepKind::Condition(_) => json!({"Outcome": ""}),
        StepKind::Fail(_) => json!({"ErrorMessage": ""}),
    }
}

/// Checks the operands of a condition and of all inside it.
fn check_condition(condition: &Condition, parameters: &[Parameter], found: &mut Vec<Problem>) {
    match condition {
        Condition::Compare(comparison) => found.extend(check_operands(comparison, parameters)),
        // A value that can never be equal is as much a mistake in a list as beside `Equals`.
        Condition::In { query, values, pointer } => found.extend(values.iter().find_map(|value| {
            let (left, right) = (query.clone(), value.clone());
            let equals = Comparison { comparator: Comparator::Equals, left, right, pointer: pointer.clone() };
            check_operands(&equals, parameters)
        })),
        Condition::Not(inner) => check_condition(inner, parameters, found),
        Condition::Or(inner) => inner.iter().for_each(|it| check_condition(it, parameters, found)),
    }
}

/// Operands that can be known to be of a wrong type before anything runs.
fn check_operands(comparison: &Comparison, parameters: &[Parameter]) -> Option<Problem> {
    let declared = |name: &str| parameters.iter().find(|it| it.name == name).map(|it| it.kind);
    let left = comparison.left.kind(&declared);
    let right = comparison.right.kind(&declared);
    let problem = |message| Some(Problem { pointer: comparison.pointer.clone(), message });
    let has_order = match comparison.comparator {
        Comparator::Equals => false,
        Comparator::GreaterThan
        | Comparator::GreaterThanOrEqualTo
        | Comparator::LessThan
        | Comparator::LessThanOrEqualTo => true,
    };
    if has_order && let Some(kind) = [left, right].into_iter().flatten().find(|it| !it.is_number()) {
        return problem(format!("a {} has no order; compare numbers or use `Equals`", kind.name()));
    }
    let differ = |a: ParameterKind, b: ParameterKind| a != b && !(a.is_number() && b.is_number());
    match (left, right) {
        (Some(a), Some(b)) if differ(a, b) => {
            problem(format!("a {} never equals a {}; compare values of one type", a.name(), b.name()))
        }
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// The outcomes of conditions under which a step runs.
fn outcomes<'a>(step: &'a Parsed, known: &BTreeMap<&'a str, &'a Parsed>) -> BTreeMap<&'a str, bool> {
    let mut all = BTreeMap::new();
    let mut place = step.branch.as_ref();
    while let Some(branch) = place {
        // A second visit means that names are used twice, which is reported elsewhere.
        if all.insert(branch.condition.as_str(), branch.taken).is_some() {
            break;
        }
        place = known.get(branch.condition.as_str()).and_then(|it| it.branch.as_ref());
    }
    all
}

/// Reports a step that waits for one in the other branch of the same condition.
fn check_reach(step: &Parsed, known: &BTreeMap<&str, &Parsed>, found: &mut Vec<Problem>) {
    let own = outcomes(step, known);
    for target in dependencies(step).filter_map(|name| known.get(name)) {
        let other = outcomes(target, known);
        if let Some((condition, _)) = own.iter().find(|(name, taken)| other.get(*name).is_some_and(|it| it != *taken)) {
            let message = format!(
                "step `{}` can never run: it needs `{}`, which is in the other branch of `{condition}`",
                step.name, target.name
            );
            found.push(Problem { pointer: step.pointer.clone(), message });
        }
    }
}

/// Takes away steps that wait for nothing, and those that nothing waits for, until none can go: what remains waits for
/// itself.
fn check_cycles(steps: &[Parsed], found: &mut Vec<Problem>) {
    let mut open: BTreeMap<&str, &Parsed> = steps.iter().map(|it| (it.name.as_str(), it)).collect();
    loop {
        let waits: BTreeSet<(&str, &str)> = open
            .iter()
            .flat_map(|(name, step)| dependencies(step).map(|other| (*name, other)))
            .filter(|(_, other)| open.contains_key(other))
            .collect();
        let before = open.len();
        open.retain(|name, _| waits.iter().any(|it| it.0 == *name) && waits.iter().any(|it| it.1 == *name));
        if open.len() == before {
            break;
        }
    }
    if let Some(first) = steps.iter().find(|it| open.contains_key(it.name.as_str())) {
        let cycle: Vec<&str> = open.keys().copied().collect();
        let message = format!("steps wait for each other: {}; remove a reference or a `DependsOn`", cycle.join(", "));
        found.push(Problem { pointer: first.pointer.clone(), message });
    }
}

fn warn_parameters(parameters: &[Parameter], steps: &[Parsed], document: &Value, into: &mut Vec<Problem>) {
    let mut used = BTreeSet::new();
    for (_, expression) in steps.iter().flat_map(|it| &it.uses) {
        expression.visit(&mut |it| {
            if let Expression::Parameter(name) = it {
                used.insert(name.clone());
            }
        });
    }
    // The experiment's names may come from parameters too.
    let experiment = document.get("PipelineExperimentConfig").map(Value::to_string).unwrap_or_default();
    for (index, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name;
        let mut warn = |message| into.push(Problem { pointer: format!("/Parameters/{index}"), message });
        if !used.contains(name) && !experiment.contains(&format!("\"Parameters.{name}\"")) {
            warn(format!("parameter `{name}` is not used; remove it or use it"));
        }
        if parameter.default.is_none() {
            warn(format!(
                "parameter `{name}` has no default, so a scheduled start of the pipeline fails; \
                 whoever starts it must give a value"
            ));
        }
    }
}
