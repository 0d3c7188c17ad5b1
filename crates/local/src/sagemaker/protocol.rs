//! AWS JSON 1.1: how requests are read, and refusals and times are written.

use jiff::Timestamp;
use refit_app::ports::{PackageError, PipelineError, TableError};
use serde_json::{Map, Number, Value, json};

use crate::pipeline::chain;

/// Why a call was refused, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error's name.
    pub(super) kind: String,
    /// The text for people.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(kind: &str, message: impl Into<String>) -> Refusal {
        Refusal { kind: kind.to_owned(), message: message.into() }
    }

    /// The request breaks a rule, or what most operations of SageMaker say of a thing that does not exist.
    pub(super) fn validation(message: impl Into<String>) -> Refusal {
        Refusal::new("ValidationException", message)
    }

    /// What pipeline operations say of a thing that does not exist.
    pub(super) fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::new("ResourceNotFound", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Refusal {
        Refusal::new("ConflictException", message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Refusal {
        Refusal::new("ResourceLimitExceeded", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Refusal {
        Refusal::new("InternalFailure", message)
    }

    pub(super) fn unknown_operation(name: &str) -> Refusal {
        Refusal::new("UnknownOperationException", format!("Operation `{name}` is not one that Refit's SageMaker knows"))
    }

    /// The HTTP status: the caller's fault, or the service's.
    pub(super) fn status(&self) -> u16 {
        match self.kind.as_str() {
            "InternalFailure" | "InternalServerException" => 500,
            "ServiceUnavailable" | "ServiceUnavailableException" => 503,
            "AccessDeniedException" => 403,
            _ => 400,
        }
    }

    /// The body. Errors that the service's model knows have `Message`, the common ones `message`.
    pub(super) fn body(&self) -> Value {
        let is_modeled =
            ["ConflictException", "ResourceNotFound", "ResourceLimitExceeded", "ResourceInUse"].contains(&&*self.kind);
        let key = if is_modeled { "Message" } else { "message" };
        json!({ "__type": self.kind, key: self.message })
    }
}

impl From<TableError> for Refusal {
    fn from(error: TableError) -> Refusal {
        Refusal::internal(chain(&error))
    }
}

impl From<PipelineError> for Refusal {
    fn from(error: PipelineError) -> Refusal {
        match &error {
            PipelineError::NotFound(what) => Refusal::not_found(format!("Pipeline '{what}' does not exist.")),
            PipelineError::KeyReused => {
                Refusal::conflict("The ClientRequestToken was used before with other parameters.")
            }
            PipelineError::Quota => Refusal::limit("The quota of concurrent pipeline executions is used up."),
            PipelineError::Denied(_) => Refusal::new("AccessDeniedException", chain(&error)),
            PipelineError::Invalid(why) => Refusal::validation(why.clone()),
            PipelineError::Unavailable(_) => Refusal::internal(chain(&error)),
        }
    }
}

impl From<PackageError> for Refusal {
    fn from(error: PackageError) -> Refusal {
        match &error {
            PackageError::NotFound(arn) => Refusal::validation(format!("ModelPackage {arn} does not exist.")),
            PackageError::Invalid(why) => Refusal::validation(why.clone()),
            PackageError::Denied(_) => Refusal::new("AccessDeniedException", chain(&error)),
            PackageError::Unavailable(_) => Refusal::internal(chain(&error)),
        }
    }
}

/// A time as AWS JSON 1.1 writes it: seconds, with milliseconds behind the point.
pub(super) fn epoch(time: Timestamp) -> Value {
    // Exact: milliseconds of any time that jiff knows stay below 2^53.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let seconds = time.as_millisecond() as f64 / 1000.0;
    Number::from_f64(seconds).map_or(Value::Null, Value::Number)
}

/// An object without its members that are null: the service leaves out what it does not know.
pub(super) fn compact(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, it| !it.is_null());
    }
    value
}

/// A request's members. Unknown ones are passed over, as the service does.
pub(super) struct Fields<'a> {
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The members of a request.
    pub(super) fn new(request: &'a Value) -> Result<Fields<'a>, Refusal> {
        let members = request.as_object();
        let refusal = || Refusal::new("SerializationException", "the request is not a JSON object");
        members.map(|members| Fields { members }).ok_or_else(refusal)
    }

    /// A member, unless it is absent or null.
    pub(super) fn find(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|it| !it.is_null())
    }

    /// A text, if it is there.
    pub(super) fn find_text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        self.typed(name, "String", Value::as_str)
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.find_text(name)?.ok_or_else(|| missing(name))
    }

    /// A whole number, if it is there.
    pub(super) fn find_number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.typed(name, "Integer", Value::as_u64)
    }

    /// A truth value; false when it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.typed(name, "Boolean", Value::as_bool)?.unwrap_or_default())
    }

    /// A list; empty when it is absent.
    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Refusal> {
        Ok(self.typed(name, "List", Value::as_array)?.map_or(&[], Vec::as_slice))
    }

    /// A list of objects that must not be empty.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>, Refusal> {
        let list = self.list(name)?;
        if list.is_empty() {
            return Err(missing(name));
        }
        list.iter().map(Fields::new).collect()
    }

    /// A time, if it is there.
    pub(super) fn find_time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(seconds) = self.typed(name, "Timestamp", Value::as_f64)? else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits becomes a time that jiff refuses")]
        let milliseconds = (seconds * 1000.0) as i64;
        let time = Timestamp::from_millisecond(milliseconds);
        time.map(Some).map_err(|_| Refusal::validation(format!("`{name}` is not a time")))
    }

    /// All members but these, as an object.
    pub(super) fn except(&self, names: &[&str]) -> Value {
        let rest = self.members.iter().filter(|(name, it)| !names.contains(&name.as_str()) && !it.is_null());
        Value::Object(rest.map(|(name, it)| (name.clone(), it.clone())).collect())
    }

    fn typed<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let wrong = || Refusal::new("SerializationException", format!("`{name}` is not a {kind}"));
        read(value).map(Some).ok_or_else(wrong)
    }
}

/// What the service says of a required member that is absent.
fn missing(name: &str) -> Refusal {
    let mut lower = name.to_owned();
    lower[..1].make_ascii_lowercase();
    Refusal::validation(format!(
        "1 validation error detected: Value at '{lower}' failed to satisfy constraint: Member must not be null"
    ))
}

/// How a list is cut into pages.
pub(super) struct Paging {
    after: Option<String>,
    limit: usize,
    is_ascending: bool,
}

impl Paging {
    /// Reads `NextToken`, `MaxResults` (1 to 100) and `SortOrder`, which is `Descending` when it is not given.
    pub(super) fn read(request: &Fields<'_>) -> Result<Paging, Refusal> {
        let limit = request.find_number("MaxResults")?.unwrap_or(100);
        if !(1..=100).contains(&limit) {
            return Err(Refusal::validation(format!("MaxResults is {limit}; it must be 1 to 100")));
        }
        let is_ascending = match request.find_text("SortOrder")? {
            Some("Ascending") => true,
            Some("Descending") | None => false,
            Some(other) => return Err(Refusal::validation(format!("SortOrder `{other}` is not known"))),
        };
        let after = request.find_text("NextToken")?.map(str::to_owned);
        Ok(Paging { after, limit: usize::try_from(limit).unwrap_or(100), is_ascending })
    }

    /// One page of `items`, which come in ascending order, each with its id; `{list: […], NextToken}`.
    pub(super) fn page(&self, list: &str, mut items: Vec<(String, Value)>) -> Result<Value, Refusal> {
        if !self.is_ascending {
            items.reverse();
        }
        let begin = match &self.after {
            None => 0,
            Some(after) => {
                let place = items.iter().position(|(id, _)| id == after);
                place.ok_or_else(|| Refusal::validation("NextToken is not one that was given"))? + 1
            }
        };
        let mut rest = items.into_iter().skip(begin);
        let page: Vec<(String, Value)> = rest.by_ref().take(self.limit).collect();
        let next = rest.next().and_then(|_| page.last().map(|(id, _)| id.clone()));
        let values: Vec<Value> = page.into_iter().map(|it| it.1).collect();
        Ok(compact(json!({ list: values, "NextToken": next })))
    }
}
