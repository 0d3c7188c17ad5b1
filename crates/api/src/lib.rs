//! HTTP over the use cases: what people and programs see and ask for.
//!
//! A request is one call of one use case, in the name of whoever the gateway or the local server says is calling. What it
//! asks for is recorded before it is answered; what follows from that is done by the functions that the record wakes, so
//! that this crate needs no right to train, to serve, to publish or to read data ([`recording`]).
//!
//! Invariants: who calls comes with the connection and never from body or header; each route names the right that it
//! needs; every change names its request (`Idempotency-Key`), and the same name with another body is refused; what a
//! person decided about is what was shown (`If-Match`). An error says what is wrong and nothing of the inside.
//!
//! Not here: signatures and tokens, which the gateway has verified; servers and sockets; the dashboard.

mod answer;
mod change;
mod compat;
mod deferred;
mod gateway;
mod look;
mod openapi;
mod principal;
mod problem;
mod route;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::on;
use refit_app::Context;

pub use deferred::recording;
pub use gateway::answer_event;
pub use openapi::document;
pub use principal::{Principal, Right, Role, Roles, RolesError};
pub use problem::Problem;
pub use route::{Method, Operation, ROUTES, Route};

use answer::Asked;

/// Most bytes of a request's body.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What requests are answered with.
struct Api {
    context: Context,
}

/// The routes over a context. Each request needs its [`Principal`] as an extension; without one it is refused.
pub fn router(context: Context) -> Router {
    let api = Arc::new(Api { context });
    let mut router = Router::new();
    for route in ROUTES {
        let operation = route.operation;
        let handler = async move |State(api): State<Arc<Api>>,
                                  Path(path): Path<BTreeMap<String, String>>,
                                  query: Result<Query<BTreeMap<String, String>>, _>,
                                  request: Request| {
            let query: Result<Query<BTreeMap<String, String>>, axum::extract::rejection::QueryRejection> = query;
            handle(&api, operation, path, query.ok().map(|it| it.0), request).await
        };
        router = router.route(route.path, on(route.method.filter(), handler));
    }
    router
        .fallback(async || Problem::not_found("there is no such path: see /openapi.json").into_http())
        .method_not_allowed_fallback(async || Problem::new(405, "this path takes other methods").into_http())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}

async fn handle(
    api: &Api,
    operation: Operation,
    path: BTreeMap<String, String>,
    query: Option<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
        return Problem::new(401, "nobody is named by the connection").into_http();
    };
    let Some(query) = query else { return Problem::new(400, "the query does not parse").into_http() };
    let body = match axum::body::to_bytes(body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(_) => {
            return Problem::new(413, &format!("the body has more than {MAX_BODY_BYTES} bytes")).into_http();
        }
    };
    let route = ROUTES.iter().find(|it| it.operation == operation).expect("invariant: each operation has its route");
    if let Err(problem) = principal.check(route.right) {
        return problem.into_http();
    }
    let asked = Asked { principal: &principal, path: &path, query: &query, headers: &parts.headers, body: &body };
    match perform(api, operation, &asked).await {
        Ok(answer) => answer.into_http(),
        Err(problem) => problem.into_http(),
    }
}

async fn perform(api: &Api, operation: Operation, asked: &Asked<'_>) -> Result<answer::Answer, Problem> {
    let context = &api.context;
    match operation {
        Operation::ListModels => look::list_models(context, asked).await,
        Operation::GetModel => look::get_model(context, asked).await,
        Operation::ListRuns => look::list_runs(context, asked).await,
        Operation::GetRun => look::get_run(context, asked).await,
        Operation::GetApproval => look::get_approval(context, asked).await,
        Operation::ListPackages => look::list_packages(context, asked).await,
        Operation::ListDecisions => look::list_decisions(context, asked).await,
        Operation::GetDecision => look::get_decision(context, asked).await,
        Operation::ListAudit => look::list_audit(context, asked).await,
        Operation::VerifyAudit => look::verify_audit(context, asked).await,
        Operation::GetOperation => look::get_operation(context, asked).await,
        Operation::GetConfig => look::get_config(context, asked).await,
        Operation::ListConfigs => look::list_configs(context, asked).await,
        Operation::GetOpenapi => Ok(answer::Answer::ok(document())),
        Operation::CreateRun => change::create_run(context, asked).await,
        Operation::SuspendModel => change::suspend_model(context, asked).await,
        Operation::ResumeModel => change::resume_model(context, asked).await,
        Operation::RollBackModel => change::roll_back_model(context, asked).await,
        Operation::CreatePromotion => change::create_promotion(context, asked).await,
        Operation::CancelRun => change::cancel_run(context, asked).await,
        Operation::RetryRun => change::retry_run(context, asked).await,
        Operation::VoteApproval => change::vote_approval(context, asked).await,
        Operation::ReplaceConfig => change::replace_config(context, asked).await,
        Operation::RollBackConfig => change::roll_back_config(context, asked).await,
        Operation::CompatStatus => compat::status(context, asked).await,
        Operation::CompatHistory => compat::history(context, asked).await,
        Operation::CompatConfig => compat::config(context, asked).await,
        Operation::CompatExport => compat::export(context, asked).await,
        Operation::CompatStart => compat::start(context, asked).await,
        Operation::CompatStop => compat::stop(context, asked).await,
        Operation::CompatTrigger => compat::trigger(context, asked).await,
    }
}

/// A header as text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

/// A status code; 500 for what is none.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A response with what every response has.
fn response(code: u16, media_type: &str, etag: Option<u64>, body: Bytes) -> Response {
    let mut response = Response::new(axum::body::Body::from(body));
    *response.status_mut() = status(code);
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set("content-type", media_type);
    set("cache-control", "no-store");
    set("x-content-type-options", "nosniff");
    if let Some(etag) = etag {
        set("etag", &format!("\"{etag}\""));
    }
    if code == 503 {
        set("retry-after", "5");
    }
    response
}
