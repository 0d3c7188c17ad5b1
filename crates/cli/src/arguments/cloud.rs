//! What can be typed after `refit cloud`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use refit_core::policy::Span;

/// `refit cloud`.
#[derive(Debug, Subcommand)]
pub(crate) enum CloudCommand {
    /// Write the rows of a span of time as a Parquet file of their own.
    Cut(CutArguments),
    /// Play a file through the deployed functions, and write what was decided.
    Play(PlayArguments),
}

/// `refit cloud cut`.
#[derive(Debug, Args)]
pub(crate) struct CutArguments {
    /// The rows.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The column of the event time.
    #[arg(long, default_value = "ts", value_name = "COLUMN")]
    pub(crate) time: String,
    /// Rows from here on.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: jiff::Timestamp,
    /// Rows before this.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: jiff::Timestamp,
    /// The file that is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

/// `refit cloud play`.
#[derive(Debug, Args)]
pub(crate) struct PlayArguments {
    /// The policy, with one model.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The rows, sorted by time.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// How long rows only train the first champion.
    #[arg(long, value_name = "DURATION")]
    pub(crate) warmup: Option<Span>,
    /// How long the approver takes.
    #[arg(long, default_value = "4h", value_name = "DURATION")]
    pub(crate) approve_after: Span,
    /// The emulator.
    #[arg(long, value_name = "URL")]
    pub(crate) emulator: String,
    /// Refit's SageMaker endpoint, whose clock is everybody's.
    #[arg(long, value_name = "URL")]
    pub(crate) sagemaker: String,
    /// The deployed API.
    #[arg(long, value_name = "URL")]
    pub(crate) api: String,
    /// The function that sweeps.
    #[arg(long, default_value = "refit-sweep", value_name = "NAME")]
    pub(crate) sweep: String,
    /// The outputs of the stack, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) outputs: PathBuf,
    /// Who asks and who approves, with their access keys, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) people: PathBuf,
    /// Where what was decided is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}
