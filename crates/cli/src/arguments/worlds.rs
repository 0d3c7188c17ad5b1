//! Local worlds: the demo, replays, and the servers at a desk.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use refit_core::policy::Span;
use refit_local::sagemaker::HookUrl;

use super::{StateArguments, filled};

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Other data with the same columns: ts, carrier, origin, dest, distance, hour, weekday, air_time.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Where the state and the report go; a killed demo continues there. Without it every demo begins anew.
    #[arg(long, env = "REFIT_STATE", hide_env_values = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The policy, with one model; its pipeline definition is found relative to it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The rows: Parquet, CSV or JSON Lines, sorted by time.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The column of the event time: refused if the policy says another.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// How long rows only train the first champion, for example `31d`; the first tenth of the span by default.
    #[arg(long, value_name = "DURATION")]
    pub(crate) warmup: Option<Span>,
    /// Approve, in this name, every candidate that waits for approval.
    #[arg(long, value_name = "NAME", value_parser = filled())]
    pub(crate) approve_as: Option<String>,
    /// How long that person takes.
    #[arg(long, default_value = "4h", requires = "approve_as", value_name = "DURATION")]
    pub(crate) approve_after: Span,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The port; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// In whose name requests are made; the login name by default.
    #[arg(long = "as", value_name = "NAME", value_parser = filled())]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SageMakerCommand {
    /// Serve it on 127.0.0.1 until the process is told to end.
    Serve(SageMakerArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SageMakerArguments {
    /// The port; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = 5666)]
    pub(crate) port: u16,
    /// Where its database and the sandboxes of steps go.
    #[arg(long, default_value = ".refit-sagemaker", value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Where `s3://bucket/key` lies: below this folder as `bucket/key`; `objects` in the state directory by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) objects: Option<PathBuf>,
    /// Keep objects in S3 instead, at AWS_ENDPOINT_URL or where the AWS configuration says.
    #[cfg(feature = "cloud")]
    #[arg(long, conflicts_with = "objects")]
    pub(crate) s3: bool,
    /// Where SageMaker's events are posted, for example `http://127.0.0.1:4666/events`.
    #[arg(long, value_name = "URL")]
    pub(crate) events_to: Option<HookUrl>,
    /// Lags, quotas and faults, as a JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) behavior: Option<PathBuf>,
    /// The first time of a virtual clock, which `PUT /clock` moves; the machine's clock by default.
    #[arg(long, value_name = "TIME")]
    pub(crate) clock: Option<jiff::Timestamp>,
}
