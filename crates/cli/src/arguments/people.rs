//! What people ask for: runs, votes, the way back.

use std::path::PathBuf;

use clap::Args;

use super::{StateArguments, filled};

/// A package version.
fn version(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a version is a whole number, for example 3")
}

/// The generation of a request for approval.
fn generation(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a generation is a whole number, for example 1")
}

#[derive(Debug, Args)]
pub(crate) struct PersonArguments {
    /// Who asks; the login name by default.
    #[arg(long = "as", value_name = "NAME", value_parser = filled())]
    pub(crate) name: Option<String>,
    /// Names the request: repeated with the same id it counts once.
    #[arg(long, value_name = "ID", value_parser = filled())]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VoteArguments {
    /// The run, for example `flight-time-r0003`.
    pub(crate) run: String,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    /// The digest of what was shown, as in `refit status`; refused when something else is stored.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) basis: Option<String>,
    /// The generation of the request as it was shown; refused when somebody has voted since.
    #[arg(long, value_name = "GENERATION", value_parser = generation)]
    pub(crate) if_match: Option<u64>,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct TriggerArguments {
    /// The model.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) model: Option<String>,
    /// Every model of the policy: each answers for itself.
    #[arg(long)]
    pub(crate) all: bool,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    /// Skip the cooldown, and nothing else.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    /// The run, for example `flight-time-r0003`.
    pub(crate) run: String,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArguments {
    /// The run, for example `flight-time-r0003`.
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SuspendArguments {
    /// The model.
    pub(crate) model: String,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArguments {
    /// The model.
    pub(crate) model: String,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    /// The model.
    pub(crate) model: String,
    /// The version, as `refit packages` lists it.
    #[arg(value_parser = version)]
    pub(crate) version: u64,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArguments {
    /// The model; the policy names it.
    pub(crate) model: String,
    /// The registered package; what the endpoint serves alone by default.
    #[arg(long, value_name = "ARN", value_parser = filled())]
    pub(crate) package_arn: Option<String>,
    /// Its evaluation.json, on data that it has not seen; without one its quality is unknown and `max_drop` cannot fire.
    #[arg(long, value_name = "FILE")]
    pub(crate) evaluation: Option<PathBuf>,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// The model.
    pub(crate) model: String,
    /// Why; people will read it.
    #[arg(long, value_parser = filled())]
    pub(crate) reason: String,
    /// The champion to take back; needed to go back further after a rollback.
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) from: Option<u64>,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}
