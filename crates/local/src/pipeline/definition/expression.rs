//! What a definition may write in place of a value: references, `Std:Join` and `Std:JsonGet`.

use serde_json::Value;

use super::node::Node;
use super::path::JsonPath;
use super::{ParameterKind, Problem};

/// A fact about the execution that a definition may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionFact {
    /// The id of the execution.
    PipelineExecutionId,
    /// The ARN of the execution.
    PipelineExecutionArn,
    /// The name of the pipeline.
    PipelineName,
    /// The ARN of the pipeline.
    PipelineArn,
    /// When the execution was started.
    StartDateTime,
    /// The time at which the step begins.
    CurrentDateTime,
    /// The name of the training job that is being described.
    TrainingJobName,
    /// The name of the processing job that is being described.
    ProcessingJobName,
}

impl ExecutionFact {
    fn parse(name: &str) -> Option<ExecutionFact> {
        Some(match name {
            "PipelineExecutionId" => ExecutionFact::PipelineExecutionId,
            "PipelineExecutionArn" => ExecutionFact::PipelineExecutionArn,
            "PipelineName" => ExecutionFact::PipelineName,
            "PipelineArn" => ExecutionFact::PipelineArn,
            "StartDateTime" => ExecutionFact::StartDateTime,
            "CurrentDateTime" => ExecutionFact::CurrentDateTime,
            "TrainingJobName" => ExecutionFact::TrainingJobName,
            "ProcessingJobName" => ExecutionFact::ProcessingJobName,
            _ => return None,
        })
    }
}

/// Where `Std:JsonGet` reads.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonSource {
    /// A file that a processing step declares.
    PropertyFile {
        /// The step.
        step: String,
        /// The property file's name.
        name: String,
    },
    /// An object.
    Object(Box<Expression>),
}

/// A value that is known only when its step begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A text, number or truth value as written.
    Literal(Value),
    /// The value of a parameter.
    Parameter(String),
    /// A fact about the execution.
    Execution(ExecutionFact),
    /// A property of a step that has run.
    Property {
        /// The step.
        step: String,
        /// The property.
        path: JsonPath,
    },
    /// Texts put together.
    Join {
        /// What stands between them.
        on: String,
        /// The texts.
        values: Vec<Expression>,
    },
    /// A value of a JSON document.
    JsonGet {
        /// The document.
        source: JsonSource,
        /// Where in it.
        path: JsonPath,
    },
}

impl Expression {
    /// Calls `visit` for this expression and all inside it.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Expression)) {
        visit(self);
        match self {
            Expression::Join { values, .. } => values.iter().for_each(|it| it.visit(visit)),
            Expression::JsonGet { source: JsonSource::Object(uri), .. } => uri.visit(visit),
            Expression::Literal(_)
            | Expression::Parameter(_)
            | Expression::Execution(_)
            | Expression::Property { .. }
            | Expression::JsonGet { source: JsonSource::PropertyFile { .. }, .. } => {}
        }
    }

    /// The step whose result this expression itself needs.
    pub(super) fn step(&self) -> Option<&str> {
        match self {
            Expression::Property { step, .. }
            | Expression::JsonGet { source: JsonSource::PropertyFile { step, .. }, .. } => Some(step),
            Expression::Literal(_)
            | Expression::Parameter(_)
            | Expression::Execution(_)
            | Expression::Join { .. }
            | Expression::JsonGet { source: JsonSource::Object(_), .. } => None,
        }
    }

    /// What kind of value comes out, if that can be known beforehand.
    pub(super) fn kind(&self, parameter: &dyn Fn(&str) -> Option<ParameterKind>) -> Option<ParameterKind> {
        match self {
            Expression::Literal(Value::Bool(_)) => Some(ParameterKind::Boolean),
            Expression::Literal(Value::Number(_)) => Some(ParameterKind::Float),
            Expression::Literal(_)
            | Expression::Execution(_)
            | Expression::Property { .. }
            | Expression::Join { .. } => Some(ParameterKind::String),
            Expression::Parameter(name) => parameter(name),
            Expression::JsonGet { .. } => None,
        }
    }
}

/// Whether a JSON value is meant as an expression and not as a plain object.
pub(super) fn is_expression(value: &Value) -> bool {
    let Value::Object(members) = value else { return false };
    members.len() == 1 && members.keys().all(|key| key == "Get" || key.starts_with("Std:"))
}

/// Reads an expression or a scalar.
pub(super) fn read(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Expression> {
    match node.value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(Expression::Literal(node.value.clone())),
        Value::Object(_) if is_expression(node.value) => {
            if let Some(get) = node.child("Get") {
                return read_get(&get, found);
            }
            if let Some(join) = node.child("Std:Join") {
                return read_join(&join, found);
            }
            if let Some(json_get) = node.child("Std:JsonGet") {
                return read_json_get(&json_get, found);
            }
            let name = node.members(found).first().map(|(key, _)| (*key).to_owned()).unwrap_or_default();
            node.report(
                found,
                format!("function `{name}` is not interpreted locally yet; use `Std:Join` or `Std:JsonGet`"),
            );
            None
        }
        Value::Object(_) | Value::Array(_) | Value::Null => {
            node.report(found, "must be a value or a reference such as {\"Get\": \"Parameters.X\"}".to_owned());
            None
        }
    }
}

fn read_get(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Expression> {
    let text = node.text(found)?;
    let expression = match text.split_once('.') {
        Some(("Parameters", name)) if !name.is_empty() => Some(Expression::Parameter(name.to_owned())),
        Some(("Execution", name)) => ExecutionFact::parse(name).map(Expression::Execution),
        Some(("Steps", rest)) if rest.contains(".PropertyFiles.") => {
            node.report(found, "a property file can only be read with `Std:JsonGet`".to_owned());
            return None;
        }
        Some(("Steps", rest)) => rest
            .split_once('.')
            .and_then(|(step, path)| Some((step.to_owned(), JsonPath::parse(path).ok()?)))
            .map(|(step, path)| Expression::Property { step, path }),
        Some(_) | None => None,
    };
    if expression.is_none() {
        node.report(
            found,
            format!(
                "reference `{text}` is not known; use `Parameters.<name>`, `Steps.<step>.<property>` \
             or `Execution.PipelineExecutionId` and its like"
            ),
        );
    }
    expression
}

fn read_join(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Expression> {
    let on = node.child("On").map_or(Some(String::new()), |it| it.text(found));
    let items = node.required("Values", found)?.elements(found);
    let values: Vec<Option<Expression>> = items.iter().map(|it| read(it, found)).collect();
    Some(Expression::Join { on: on?, values: values.into_iter().collect::<Option<_>>()? })
}

fn read_json_get(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<Expression> {
    let path = node.required("Path", found).and_then(|it| {
        let text = it.text(found)?;
        JsonPath::parse(&text).map_err(|why| it.report(found, why)).ok()
    });
    let source = match (node.child("PropertyFile"), node.child("S3Uri")) {
        (Some(file), None) => read_property_file(&file, found),
        (None, Some(uri)) => read(&uri, found).map(|it| JsonSource::Object(Box::new(it))),
        (Some(_), Some(_)) | (None, None) => {
            node.report(found, "needs either `PropertyFile` or `S3Uri`".to_owned());
            None
        }
    };
    Some(Expression::JsonGet { source: source?, path: path? })
}

fn read_property_file(node: &Node<'_>, found: &mut Vec<Problem>) -> Option<JsonSource> {
    let text = node.required_text("Get", found)?;
    let parts: Vec<&str> = text.split('.').collect();
    if let ["Steps", step, "PropertyFiles", name] = parts[..] {
        return Some(JsonSource::PropertyFile { step: step.to_owned(), name: name.to_owned() });
    }
    node.report(found, format!("`{text}` is not a property file; write `Steps.<step>.PropertyFiles.<name>`"));
    None
}
