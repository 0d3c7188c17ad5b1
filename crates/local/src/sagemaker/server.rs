//! HTTP on loopback: SageMaker's one path, the clock, and what a driver of an emulated cloud needs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use jiff::Timestamp;
use refit_app::ports::Clock as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::protocol::Refusal;
use super::{Faults, SageMaker};

/// The prefix of `X-Amz-Target`.
const PREFIX: &str = "SageMaker.";

/// Why the endpoint could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port is taken, or the machine has no loopback.
    #[error("port {port} of 127.0.0.1 cannot be listened on")]
    Bind {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server ended.
    #[error("the server broke")]
    Serve(#[source] std::io::Error),
}

/// A server that listens, on loopback only.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// [`ServerError::Bind`].
    pub async fn bind(sagemaker: Arc<SageMaker>, port: u16) -> Result<Server, ServerError> {
        let bind = |source| ServerError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Server { listener, address, router: router(sagemaker) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `end` is done, and what was asked for before is answered.
    ///
    /// # Errors
    /// [`ServerError::Serve`].
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(end).await.map_err(ServerError::Serve)
    }
}

fn router(sagemaker: Arc<SageMaker>) -> Router {
    Router::new()
        .route("/", post(call))
        .route("/clock", get(show_clock).put(set_clock))
        .route("/faults", put(plan_faults))
        .route("/status", get(show_status))
        .with_state(sagemaker)
}

/// Runs what may wait for the disk where waiting is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("the call broke: {error}"))
}

fn json_response(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// SageMaker's one path.
async fn call(State(sagemaker): State<Arc<SageMaker>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let answer = blocking(move || dispatch(&sagemaker, &target, &body)).await;
    let (status, body) = match answer {
        Ok(Ok(Value::Null)) => (200, String::new()),
        Ok(Ok(body)) => (200, body.to_string()),
        Ok(Err(refusal)) => (refusal.status(), refusal.body().to_string()),
        Err(why) => (500, Refusal::internal(why).body().to_string()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body).into_response()
}

fn dispatch(sagemaker: &SageMaker, target: &str, body: &[u8]) -> Result<Value, Refusal> {
    let operation = target.strip_prefix(PREFIX).ok_or_else(|| Refusal::unknown_operation(target))?;
    let body = if body.is_empty() { b"{}" } else { body };
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new("SerializationException", format!("the request is not JSON: {error}")))?;
    let answer = sagemaker.answer(operation, &request);
    match &answer {
        Ok(_) => tracing::info!(operation, "answered"),
        Err(refusal) => tracing::info!(operation, kind = refusal.kind, message = refusal.message, "refused"),
    }
    answer
}

/// The time as one JSON text, which is a line of its own.
async fn show_clock(State(sagemaker): State<Arc<SageMaker>>) -> Response {
    json_response(200, &json!(sagemaker.clock().now()))
}

async fn set_clock(State(sagemaker): State<Arc<SageMaker>>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let Ok(to) = text.trim().trim_matches('"').parse::<Timestamp>() else {
        return json_response(400, &json!({ "message": "send a time, for example \"2013-02-01T00:00:00Z\"" }));
    };
    match blocking(move || sagemaker.move_clock(to)).await {
        Ok(Ok(())) => json_response(200, &json!(to)),
        Ok(Err(why)) => json_response(409, &json!({ "message": why })),
        Err(why) => json_response(500, &json!({ "message": why })),
    }
}

async fn plan_faults(State(sagemaker): State<Arc<SageMaker>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) => {
            sagemaker.plan_faults(faults);
            json_response(200, &json!({}))
        }
        Err(error) => json_response(400, &json!({ "message": error.to_string() })),
    }
}

async fn show_status(State(sagemaker): State<Arc<SageMaker>>) -> Response {
    match blocking(move || sagemaker.status()).await {
        Ok(Ok(status)) => json_response(200, &status),
        Ok(Err(why)) | Err(why) => json_response(500, &json!({ "message": why })),
    }
}
