//! The composition root of the Lambda `api`.

use std::io::Write as _;

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use refit_api::{Roles, answer_event, recording, router};
use refit_app::settings::Deployment;
use serde_json::{Value, json};

use crate::{Environment, Error, InitError, allow_clock, context, log};

/// The name of the function, which is none of the handlers'.
pub(crate) const NAME: &str = "api";

/// Reads the environment, begins to log, wires the adapters, and answers requests for as long as Lambda sends them.
pub(crate) async fn serve_api() -> Result<(), Error> {
    let deployment = Deployment::read(NAME, &Environment)?;
    log(&deployment)?;
    let roles = Roles::parse(&deployment.api_roles).map_err(InitError::Roles)?;
    let router = router(recording(&context(&deployment).await?));
    let (router, roles, is_virtual) = (&router, &roles, deployment.clock_url.is_some());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        allow_clock(is_virtual, &event.context)?;
        let begun = std::time::Instant::now();
        let answer = answer_event(router, roles, &event.payload).await;
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let line = json!({
            "function": NAME, "request_id": event.context.request_id, "status": answer["statusCode"],
            "method": text("/requestContext/http/method"), "path": text("/rawPath"),
            "duration_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "at": Timestamp::now(),
        });
        // A line that cannot be written is lost; the work is done all the same.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
        Ok::<Value, Diagnostic>(answer)
    }))
    .await
}
