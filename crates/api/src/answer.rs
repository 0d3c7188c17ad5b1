//! What a request brings, and what it is answered with.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::response::Response;
use refit_core::{Digest, ModelId, RunId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::header;
use crate::principal::Principal;
use crate::problem::Problem;

/// Most characters of an `Idempotency-Key`.
const MAX_KEY_CHARS: usize = 128;
/// Items of a page when the caller does not say.
const PAGE: usize = 100;
/// Most items of a page.
const MAX_PAGE: usize = 500;

/// A request, after its right was checked.
pub(crate) struct Asked<'a> {
    /// Who.
    pub(crate) principal: &'a Principal,
    /// The parameters in the path.
    pub(crate) path: &'a BTreeMap<String, String>,
    /// The query.
    pub(crate) query: &'a BTreeMap<String, String>,
    /// The headers.
    pub(crate) headers: &'a HeaderMap,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Asked<'_> {
    fn parameter(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The model in the path. What cannot be a name is a model that does not exist.
    pub(crate) fn model(&self) -> Result<ModelId, Problem> {
        self.parameter("model").parse().map_err(|_| Problem::not_found("there is no such model"))
    }

    /// The run in the path.
    pub(crate) fn run(&self) -> Result<RunId, Problem> {
        self.parameter("run").parse().map_err(|_| Problem::not_found("there is no such run"))
    }

    /// A parameter in the path, as it is.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.parameter(name)
    }

    /// The body, which must be JSON of this shape; an absent one is an empty object.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { self.body };
        let media_type = header(self.headers, "content-type").unwrap_or_default();
        let is_json = media_type.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"));
        if !self.body.is_empty() && !is_json {
            return Err(Problem::new(415, "send application/json"));
        }
        let charset = media_type.split(';').skip(1).find_map(|it| it.trim().strip_prefix("charset="));
        if charset.is_some_and(|it| !it.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return Err(Problem::new(415, "send the body as UTF-8"));
        }
        if header(self.headers, "content-encoding").is_some_and(|it| !it.eq_ignore_ascii_case("identity")) {
            return Err(Problem::new(415, "send the body without a content encoding"));
        }
        // A list would be taken for an object's members in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::new(400, "the body: must be a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| Problem::new(400, &format!("the body: {error}")))
    }

    /// The id of a change: the caller's key, bound to the caller.
    pub(crate) fn request_id(&self) -> Result<String, Problem> {
        let key = header(self.headers, "idempotency-key").unwrap_or_default();
        if key.is_empty() {
            return Err(Problem::new(
                428,
                "a change needs the header Idempotency-Key: any text that names this request and no other",
            ));
        }
        if MAX_KEY_CHARS < key.len() || !key.bytes().all(|it| it.is_ascii_graphic()) {
            let why = format!("an Idempotency-Key has 1 to {MAX_KEY_CHARS} visible ASCII characters");
            return Err(Problem::new(400, &why));
        }
        Ok(format!("api-{}", &Digest::of_list(&["api-request", self.principal.id(), key]).hex()[..32]))
    }

    /// The generation in `If-Match`, if there is one.
    pub(crate) fn find_if_match(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = header(self.headers, "if-match") else { return Ok(None) };
        let number = text.trim().trim_matches('"').parse();
        number.map(Some).map_err(|_| Problem::new(400, "If-Match must be the ETag that was shown, for example \"3\""))
    }

    /// The generation in `If-Match`, which must be there.
    pub(crate) fn if_match(&self) -> Result<u64, Problem> {
        let needed =
            "this change needs the header If-Match: the ETag of what was shown, so that nothing else is decided";
        self.find_if_match()?.ok_or_else(|| Problem::new(428, needed))
    }

    /// One page of `items`, in their order: `{items, next}`; `limit` and `after` are in the query.
    pub(crate) fn page(&self, items: Vec<(String, Value)>) -> Result<Answer, Problem> {
        let limit = match self.query.get("limit").map(|it| it.parse::<usize>()) {
            None => PAGE,
            Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => limit,
            Some(_) => return Err(Problem::new(400, &format!("limit must be 1 to {MAX_PAGE}"))),
        };
        let begin = match self.query.get("after") {
            None => 0,
            Some(after) => {
                let place = items.iter().position(|(id, _)| id == after);
                place.ok_or_else(|| Problem::new(400, "after must be the `next` of another page"))? + 1
            }
        };
        let mut rest = items.into_iter().skip(begin);
        let page: Vec<(String, Value)> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| page.last().map(|it| it.0.clone()));
        let items: Vec<Value> = page.into_iter().map(|it| it.1).collect();
        Ok(Answer::ok(json!({ "items": items, "next": next })))
    }
}

/// What a request is answered with.
pub(crate) struct Answer {
    status: u16,
    body: Value,
    etag: Option<u64>,
}

impl Answer {
    /// What was asked for.
    pub(crate) fn ok(body: Value) -> Answer {
        Answer { status: 200, body, etag: None }
    }

    /// Recorded; what follows from it is under way.
    pub(crate) fn accepted(body: Value) -> Answer {
        Answer { status: 202, body, etag: None }
    }

    /// With the generation that a change names in `If-Match`.
    pub(crate) fn with_etag(self, etag: u64) -> Answer {
        Answer { etag: Some(etag), ..self }
    }

    pub(crate) fn into_http(self) -> Response {
        crate::response(self.status, "application/json", self.etag, self.body.to_string().into())
    }
}
