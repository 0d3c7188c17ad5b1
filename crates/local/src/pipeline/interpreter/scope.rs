//! The values that expressions have when a step begins.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_app::ports::Objects;
use refit_core::ObjectUri;
use serde_json::Value;

use super::transfer;
use super::{Context, chain};
use crate::pipeline::definition::{
    Comparator, Comparison, Condition, Definition, Detail, ExecutionFact, Expression, JsonPath, JsonSource, StepKind,
};

/// The most that a JSON document may have; it is for a few numbers.
const MAX_JSON_BYTES: u64 = 10 * 1024 * 1024;

/// What expressions can see.
pub(super) struct Scope<'a> {
    pub(super) definition: &'a Definition,
    pub(super) parameters: &'a BTreeMap<String, Value>,
    pub(super) properties: &'a BTreeMap<String, Value>,
    pub(super) context: &'a Context,
    pub(super) objects: &'a dyn Objects,
    pub(super) now: Timestamp,
    pub(super) job_name: String,
}

impl Scope<'_> {
    /// The value of an expression.
    pub(super) fn value(&self, expression: &Expression) -> Result<Value, String> {
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Parameter(name) => {
                self.parameters.get(name).cloned().ok_or_else(|| format!("parameter `{name}` has no value"))
            }
            Expression::Execution(fact) => Ok(self.fact(*fact).into()),
            Expression::Property { step, path } => {
                let value = self.properties.get(step).and_then(|it| path.find(it));
                value.cloned().ok_or_else(|| format!("property `{path}` of step `{step}` has no value"))
            }
            Expression::Join { on, values } => {
                let texts = values.iter().map(|it| self.text(it)).collect::<Result<Vec<_>, _>>()?;
                Ok(texts.join(on).into())
            }
            Expression::JsonGet { source, path } => self.json_get(source, path),
        }
    }

    /// The value of an expression as text.
    pub(super) fn text(&self, expression: &Expression) -> Result<String, String> {
        Ok(match self.value(expression)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// The value of an expression as an address.
    pub(super) fn uri(&self, expression: &Expression) -> Result<ObjectUri, String> {
        self.text(expression)?.parse().map_err(|error: refit_core::NameError| chain(&error))
    }

    /// The values of a list.
    pub(super) fn texts(&self, expressions: &[Expression]) -> Result<Vec<String>, String> {
        expressions.iter().map(|it| self.text(it)).collect()
    }

    /// The values of a map.
    pub(super) fn map(&self, expressions: &BTreeMap<String, Expression>) -> Result<BTreeMap<String, String>, String> {
        expressions.iter().map(|(key, it)| Ok((key.clone(), self.text(it)?))).collect()
    }

    /// The values of what is passed on as it is written, as an object.
    pub(super) fn details(&self, details: &BTreeMap<String, Detail>) -> Result<Value, String> {
        let members = details.iter().map(|(key, it)| Ok((key.clone(), self.detail(it)?)));
        members.collect::<Result<serde_json::Map<String, Value>, String>>().map(Value::Object)
    }

    fn detail(&self, detail: &Detail) -> Result<Value, String> {
        match detail {
            Detail::Value(expression) => self.value(expression),
            Detail::List(items) => items.iter().map(|it| self.detail(it)).collect::<Result<_, _>>().map(Value::Array),
            Detail::Object(members) => self.details(members),
        }
    }

    /// Which of several conditions hold. All are looked at, so that a value that cannot be read is never passed over.
    pub(super) fn hold(&self, conditions: &[Condition]) -> Result<Vec<bool>, String> {
        conditions.iter().map(|it| self.holds(it)).collect()
    }

    fn holds(&self, condition: &Condition) -> Result<bool, String> {
        match condition {
            Condition::Compare(Comparison { comparator, left, right, .. }) => {
                compare(*comparator, &self.value(left)?, &self.value(right)?)
            }
            Condition::In { query, values, .. } => {
                let query = self.value(query)?;
                let equal = values.iter().map(|it| compare(Comparator::Equals, &query, &self.value(it)?));
                Ok(equal.collect::<Result<Vec<_>, _>>()?.contains(&true))
            }
            Condition::Not(inner) => Ok(!self.holds(inner)?),
            Condition::Or(inner) => Ok(self.hold(inner)?.contains(&true)),
        }
    }

    fn fact(&self, fact: ExecutionFact) -> String {
        match fact {
            ExecutionFact::PipelineExecutionId => self.context.execution_id.clone(),
            ExecutionFact::PipelineExecutionArn => self.context.execution_arn.clone(),
            ExecutionFact::PipelineName => self.context.pipeline.clone(),
            ExecutionFact::PipelineArn => self.context.pipeline_arn.clone(),
            ExecutionFact::StartDateTime => self.context.started_at.to_string(),
            ExecutionFact::CurrentDateTime => self.now.to_string(),
            ExecutionFact::TrainingJobName | ExecutionFact::ProcessingJobName => self.job_name.clone(),
        }
    }

    fn json_get(&self, source: &JsonSource, path: &JsonPath) -> Result<Value, String> {
        let uri = match source {
            JsonSource::Object(uri) => self.uri(uri)?,
            JsonSource::PropertyFile { step, name } => self.property_file(step, name)?,
        };
        let bytes = transfer::get(self.objects, &uri, MAX_JSON_BYTES)?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!("`{uri}` is not JSON: {error}"))?;
        match path.find(&document) {
            Some(value) if value.is_string() || value.is_number() || value.is_boolean() => Ok(value.clone()),
            Some(_) => Err(format!("`{path}` in `{uri}` is not a text, number or truth value")),
            None => Err(format!("`{uri}` has no value at `{path}`")),
        }
    }

    fn property_file(&self, step: &str, name: &str) -> Result<ObjectUri, String> {
        let missing = || format!("step `{step}` has no property file `{name}`");
        let kind = self.definition.steps().iter().find(|it| it.name == step).map(|it| &it.kind);
        let Some(StepKind::Processing(processing)) = kind else { return Err(missing()) };
        let file = processing.property_files.iter().find(|it| it.name == name).ok_or_else(missing)?;
        let path = JsonPath::parse(&format!("ProcessingOutputConfig.Outputs['{}'].S3Output.S3Uri", file.output))?;
        let folder =
            self.properties.get(step).and_then(|it| path.find(it)).and_then(Value::as_str).ok_or_else(missing)?;
        let folder: ObjectUri = folder.parse().map_err(|error: refit_core::NameError| chain(&error))?;
        folder.join(&file.path).map_err(|error| chain(&error))
    }
}

/// Whether two values compare as they should.
fn compare(comparator: Comparator, left: &Value, right: &Value) -> Result<bool, String> {
    let order = match (left.as_f64(), right.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        (Some(_) | None, Some(_) | None) => None,
    };
    match (comparator, order) {
        (Comparator::Equals, Some(order)) => Ok(order == Ordering::Equal),
        (Comparator::Equals, None)
            if left.is_string() == right.is_string() && left.is_boolean() == right.is_boolean() =>
        {
            Ok(left == right)
        }
        (Comparator::GreaterThan, Some(order)) => Ok(order == Ordering::Greater),
        (Comparator::GreaterThanOrEqualTo, Some(order)) => Ok(order != Ordering::Less),
        (Comparator::LessThan, Some(order)) => Ok(order == Ordering::Less),
        (Comparator::LessThanOrEqualTo, Some(order)) => Ok(order != Ordering::Greater),
        (
            Comparator::Equals
            | Comparator::GreaterThan
            | Comparator::GreaterThanOrEqualTo
            | Comparator::LessThan
            | Comparator::LessThanOrEqualTo,
            None,
        ) => Err(format!("{left} and {right} cannot be compared with {comparator:?}")),
    }
}
