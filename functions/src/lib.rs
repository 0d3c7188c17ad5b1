//! What the Lambdas' composition roots share: the environment, the adapters, the log, and what becomes of each invocation.
//!
//! Lambda names the handler, and with it the function, to [`run`]; it reads the environment and wires the adapters of `refit-aws` into the ports,
//! and hands each event to the handler of that name through [`invoke`], which knows batches and error
//! classes, and writes one line about it ([`Report`]).

mod api;
mod invoke;
mod report;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use refit_app::ports::{Clock, Ports};
use refit_app::settings::{Deployment, EMULATED_ACCOUNT, Vars, WrongEnvironment, account_of_arn};
use refit_app::use_cases::policy::KnownPolicies;
use refit_app::{Context, Settings};
use refit_aws::{
    AwsPublisher, ClockError, DynamoTable, Limits, S3Objects, SageMakerEndpoints, SageMakerPackages,
    SageMakerPipelines, SystemClock, UrlClock,
};
use refit_handlers::Function;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use api::serve_api;
pub use invoke::{Answer, MAX_HOPS, invoke};
pub use lambda_runtime::Error;
pub use report::{METRICS, NAMESPACE, Report};

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Lambda names a handler that there is none of.
    #[error("`_HANDLER` is `{0}`, which names no function; `Handler` in the template must be one of {all}", all = handlers().collect::<Vec<_>>().join(", "))]
    Handler(String),
    /// Its environment is wrong.
    #[error(transparent)]
    Environment(#[from] WrongEnvironment),
    /// `REFIT_API_ROLES` is wrong.
    #[error("`REFIT_API_ROLES` is wrong")]
    Roles(#[from] refit_api::RolesError),
    /// The virtual clock cannot be read.
    #[error("virtual clock is not there")]
    Clock(#[from] ClockError),
    /// `REFIT_LOG` is wrong.
    #[error("`REFIT_LOG` is wrong")]
    Log(#[from] tracing_subscriber::filter::ParseError),
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Vars for Environment {
    fn find(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Runs the function of this handler, one of [`handlers`], for as long as Lambda sends it events.
///
/// # Errors
/// See [`InitError`]; when Lambda's runtime API cannot be reached.
pub fn run(handler: &str) -> Result<(), Error> {
    if handler == api::NAME {
        return wait_for(serve_api());
    }
    let function: Function = handler.parse().map_err(|_| InitError::Handler(handler.to_owned()))?;
    wait_for(async { Root::init(function).await?.serve().await })
}

/// The handler of every function that the template has.
pub fn handlers() -> impl Iterator<Item = &'static str> {
    Function::ALL.into_iter().map(Function::name).chain([api::NAME])
}

/// One thread is enough: Lambda sends one event at a time.
fn wait_for(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// A function with everything that it works with.
struct Root {
    function: Function,
    context: Arc<Context>,
    /// Whether time is virtual, which only emulated accounts allow.
    is_virtual: bool,
}

impl Root {
    /// Reads the environment, begins to log, and wires the adapters. Calls no service.
    async fn init(function: Function) -> Result<Root, InitError> {
        let deployment = Deployment::read(function.name(), &Environment)?;
        log(&deployment)?;
        let context = Arc::new(context(&deployment).await?);
        Ok(Root { function, context, is_virtual: deployment.clock_url.is_some() })
    }

    /// Handles events for as long as Lambda sends them.
    async fn serve(self) -> Result<(), Error> {
        let is_cold = AtomicBool::new(true);
        let (root, is_cold) = (&self, &is_cold);
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
            let is_cold = is_cold.swap(false, Ordering::Relaxed);
            root.handle(event, is_cold).await
        }))
        .await
    }

    async fn handle(&self, event: LambdaEvent<Value>, is_cold: bool) -> Result<Value, Diagnostic> {
        let LambdaEvent { payload, context } = event;
        allow_clock(self.is_virtual, &context)?;
        let begun = std::time::Instant::now();
        let answer = invoke(self.function, &self.context, &payload).await;
        let report = Report {
            function: self.function.name(),
            request_id: context.request_id,
            is_cold,
            duration: begun.elapsed(),
            at: Timestamp::now(),
        };
        // A line that cannot be written is lost; the work is done all the same.
        let _ = writeln!(std::io::stdout().lock(), "{}", report.line(&answer));
        answer.into_result()
    }
}

/// Refuses a virtual clock in any account but an emulator's, which only an invocation tells.
fn allow_clock(is_virtual: bool, context: &lambda_runtime::Context) -> Result<(), Diagnostic> {
    if is_virtual && account_of_arn(&context.invoked_function_arn) != Some(EMULATED_ACCOUNT) {
        let error_message = "a virtual clock is for emulated clouds: unset `REFIT_CLOCK_URL`".to_owned();
        return Err(Diagnostic { error_type: "Bug".to_owned(), error_message });
    }
    Ok(())
}

/// Begins to log.
fn log(deployment: &Deployment) -> Result<(), InitError> {
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
    // Whoever has a log already, a test for example, keeps it.
    let _ = log.with_env_filter(EnvFilter::try_new(&deployment.log)?).try_init();
    Ok(())
}

/// The ports of AWS.
async fn context(deployment: &Deployment) -> Result<Context, InitError> {
    let config = refit_aws::connect().await;
    let clock: Arc<dyn Clock> = match &deployment.clock_url {
        Some(url) => Arc::new(UrlClock::open(url)?),
        None => Arc::new(SystemClock),
    };
    let (role, instance) = (&deployment.endpoint_role, &deployment.endpoint_instance);
    let ports = Ports {
        table: Arc::new(DynamoTable::new(&config, &deployment.table, Limits::QUICK)),
        objects: Arc::new(S3Objects::new(&config, Limits::SLOW)),
        pipelines: Arc::new(SageMakerPipelines::new(&config, Limits::SLOW)),
        packages: Arc::new(SageMakerPackages::new(&config, Limits::SLOW)),
        endpoints: Arc::new(SageMakerEndpoints::new(&config, Limits::SLOW, role, instance)),
        publisher: Arc::new(AwsPublisher::new(&config, &deployment.bus, &deployment.alerts_topic, Limits::QUICK)),
        clock,
    };
    let settings = Settings { bucket: deployment.bucket.clone() };
    Ok(Context { ports, settings, policies: KnownPolicies::default() })
}
