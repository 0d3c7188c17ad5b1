//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps machine-learning models fresh: watches, retrains, judges, promotes, takes back.
#[derive(Debug, Parser)]
#[command(name = "refit", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How answers are written to stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) output_format: Format,
    /// Tell more on stderr: once for what happens, twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the whole loop on real data, locally: a story as it runs, and an HTML report.
    Demo(DemoArguments),
    /// Play a time-ordered file through the loop under a policy, on a virtual clock.
    Replay(ReplayArguments),
    /// Check a policy and explain every problem at once.
    Validate {
        /// The policy.
        #[arg(long, default_value = "refit.yaml")]
        config: PathBuf,
    },
    /// Show what each model is doing and what it waits on.
    Status {
        /// Only this model.
        model: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// List the models.
    Models {
        #[command(flatten)]
        state: StateArguments,
    },
    /// List retraining runs, oldest first.
    Runs {
        /// Only this model's.
        model: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// List package versions: what each learned from, how good it was, where it stands.
    Packages {
        /// Only this model's.
        model: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// List what happened, oldest first, from the audit log.
    History {
        /// The model.
        model: Option<String>,
        /// Also checks at which nothing fired.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Show why something was decided, with the numbers.
    Explain {
        /// The decision's id, for example `flight-time-d000042`.
        decision: String,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Ask for a retraining run.
    Trigger {
        /// The model.
        model: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Skip the cooldown, and nothing else.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        person: PersonArguments,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Approve the candidate of a run that waits for it.
    Approve(VoteArguments),
    /// Decline the candidate of a run that waits for approval.
    Decline(VoteArguments),
    /// Take the champion back: restore the one before it.
    Rollback {
        /// The model.
        model: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The champion to take back; needed to go back further after a rollback.
        #[arg(long)]
        from: Option<u64>,
        #[command(flatten)]
        person: PersonArguments,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check or run a pipeline definition.
    #[command(subcommand)]
    Pipeline(PipelineCommand),
    /// Run one step of the reference pipeline.
    #[command(hide = true, subcommand)]
    Step(refit_steps::Step),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that the log is whole, unchanged, and adds up to the stored state.
    Verify {
        /// Only this model's.
        model: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PipelineCommand {
    /// Check a SageMaker pipeline definition: every problem at once.
    Lint {
        /// The definition.
        definition: PathBuf,
    },
    /// Run a SageMaker pipeline definition here, its steps as child processes.
    Run {
        /// The definition.
        definition: PathBuf,
        /// A parameter, `Name=Value`; may be repeated.
        #[arg(long = "parameter", value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Where `s3://bucket/key` lies: below this folder as `bucket/key`.
        #[arg(long, default_value = ".refit/objects")]
        objects: PathBuf,
        /// Where logs and sandboxes go.
        #[arg(long, default_value = ".refit/executions")]
        work: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Other data with the same columns: ts, carrier, origin, dest, distance, hour, weekday, air_time.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Where the state and the report go; a killed demo continues there. Without it every demo begins anew.
    #[arg(long, env = "REFIT_STATE")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The policy, with one model.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// The rows: Parquet, CSV or JSON Lines, sorted by time.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// The column of the event time; must be the policy's.
    #[arg(long)]
    pub(crate) time: Option<String>,
    /// How long rows only train the first champion, for example `31d`; the first tenth of the span by default.
    #[arg(long)]
    pub(crate) warmup: Option<String>,
    /// Approve, in this name, every candidate that waits for approval.
    #[arg(long, value_name = "NAME")]
    pub(crate) approve_as: Option<String>,
    /// How long that takes.
    #[arg(long, default_value = "4h", requires = "approve_as")]
    pub(crate) approve_after: String,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct StateArguments {
    /// The state directory.
    #[arg(long, env = "REFIT_STATE", default_value = ".refit")]
    pub(crate) state: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PersonArguments {
    /// Who asks; the login name by default.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Names the request: repeated with the same id it counts once.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VoteArguments {
    /// The run.
    pub(crate) run: String,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    /// What was shown (`basis`); refused when something else is stored.
    #[arg(long)]
    pub(crate) basis: Option<String>,
    #[command(flatten)]
    pub(crate) person: PersonArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}
