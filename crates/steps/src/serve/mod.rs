//! `serve`: answers requests with a model, as the container behind a SageMaker endpoint.
//!
//! The contract (<https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>): the model lies
//! unpacked in `/opt/ml/model`; `GET /ping` answers 200 once it can be asked; `POST /invocations` answers one request;
//! SIGTERM ends the process, and SIGKILL follows 30 s later. The port is 8080, or what `SAGEMAKER_BIND_TO_PORT` says.
//!
//! Invariants: a request is answered whole or refused with a sentence that says where it is wrong; nothing of it is
//! logged. Not here: what requests and answers look like ([`payload`]).

mod payload;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;

use self::payload::{Format, Refusal};
use crate::model::{MODEL_FILE, Model};
use crate::{Paths, StepError};

/// The most that SageMaker hands on in one request.
const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Where a model is served, and which.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServeOptions {
    /// The address to listen on; in a container it has to be reached from outside.
    #[arg(long, default_value = "0.0.0.0", value_name = "ADDRESS")]
    pub host: String,
    /// The port; 0 takes a free one, which is printed.
    #[arg(long, env = "SAGEMAKER_BIND_TO_PORT", hide_env_values = true, default_value_t = 8080)]
    pub port: u16,
    /// The model: a folder with model.json, that file, or a model.tar.gz; /opt/ml/model by default.
    #[arg(long, env = "REFIT_MODEL", hide_env_values = true, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// The name of a prediction in JSON answers; what the policy's `data.prediction` says.
    #[arg(long, env = "REFIT_PREDICTION", hide_env_values = true, default_value = "score", value_name = "NAME")]
    pub prediction: String,
}

/// What requests are answered with.
struct Served {
    model: Model,
    prediction: String,
}

/// Serves until SIGTERM or SIGINT; requests that came before are answered.
pub(crate) fn run(options: &ServeOptions, paths: &Paths) -> Result<(), StepError> {
    let path = options.model.clone().unwrap_or_else(|| paths.model());
    let served = Arc::new(Served { model: load(&path)?, prediction: options.prediction.clone() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StepError::Serve)?;
    runtime.block_on(async {
        let address = format!("{}:{}", options.host, options.port);
        let listen = |source| StepError::Listen { address: address.clone(), source };
        // Before anybody can connect: a signal that comes first must not be lost.
        let end = told_to_end().map_err(StepError::Serve)?;
        let listener = TcpListener::bind(&address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        println!("serving {} on http://{bound}", served.model.run_id);
        axum::serve(listener, router(served)).with_graceful_shutdown(end).await.map_err(StepError::Serve)
    })
}

/// Done at SIGTERM or SIGINT. As the first process of a container it would otherwise not hear them.
fn told_to_end() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Reads a model from a folder, a document or an archive.
fn load(path: &Path) -> Result<Model, StepError> {
    let file = if path.is_dir() { path.join(MODEL_FILE) } else { path.to_owned() };
    let read = |source| StepError::Read { path: file.display().to_string(), source };
    let bytes = std::fs::read(&file).map_err(read)?;
    // The magic number of gzip.
    let model = if bytes.starts_with(&[0x1f, 0x8b]) { Model::from_tar_gz(&bytes) } else { Model::from_json(&bytes) };
    model.map_err(|source| StepError::Model { role: "served model", source })
}

fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/ping", get(async || StatusCode::OK))
        .route("/invocations", post(invoke))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(served)
}

async fn invoke(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let content_type = text(&headers, &header::CONTENT_TYPE);
    let accept = text(&headers, &header::ACCEPT);
    // Scoring takes the processor: a ping must not wait for it.
    let answer = tokio::task::spawn_blocking(move || answer(&served, &content_type, &accept, &body)).await;
    match answer {
        Ok(Ok((format, body))) => (StatusCode::OK, [(header::CONTENT_TYPE, format.media_type())], body).into_response(),
        Ok(Err(refusal)) => refused(refusal.status, &refusal.message),
        Err(error) => {
            tracing::error!(%error, "a request broke the server's thread");
            refused(500, "the request broke the program; its log says more")
        }
    }
}

fn answer(served: &Served, content_type: &str, accept: &str, body: &[u8]) -> Result<(Format, String), Refusal> {
    let asked = payload::read(&served.model.features, content_type, body)?;
    let format = payload::negotiate(asked.format, accept)?;
    let scores = served.model.score(&asked.frame).map_err(|error| Refusal::wrong(crate::with_causes(&error)))?;
    Ok((format, payload::write(&scores, &served.prediction, format, asked.is_single)))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
}

fn refused(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "error": message }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
