//! What can be typed.

#[cfg(feature = "play")]
mod cloud;
mod config;
mod drift;
mod people;
mod worlds;

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "play")]
pub(crate) use cloud::{CloudCommand, CutArguments, PlayArguments};
pub(crate) use config::{ApplyArguments, ConfigCommand, ConfigRollbackArguments};
pub(crate) use drift::{DriftArguments, Method, ProfileCommand};
pub(crate) use people::{
    AdoptArguments, CancelArguments, PersonArguments, PromoteArguments, ResumeArguments, RetryArguments,
    RollbackArguments, SuspendArguments, TriggerArguments, VoteArguments,
};
pub(crate) use worlds::{DemoArguments, ReplayArguments, SageMakerArguments, SageMakerCommand, ServeArguments};

/// A text with something in it: no name and no reason is blank.
fn filled() -> impl clap::builder::TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().try_map(|it| match it.trim() {
        "" => Err("it is blank"),
        filled => Ok(filled.to_owned()),
    })
}

/// Keeps machine-learning models fresh: watches, retrains, judges, promotes, takes back.
#[derive(Debug, Parser)]
#[command(name = "refit", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How answers are written to stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output_format: Format,
    /// Ask the deployed Refit at this address, in the name of the AWS credentials, instead of the local state.
    #[cfg(feature = "cloud")]
    #[arg(long, global = true, env = "REFIT_API_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) api_url: Option<String>,
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
    /// Write a policy and a pipeline definition to begin with.
    Init {
        /// Where.
        #[arg(default_value = ".", value_name = "DIR")]
        folder: PathBuf,
    },
    /// Check a policy and explain every problem at once.
    Validate {
        /// The policy.
        #[arg(long, default_value = "refit.yaml", value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the JSON Schema of refit.yaml, for editors.
    Schema,
    /// Show what applying a policy would change, without storing it.
    Diff {
        /// The policy.
        #[arg(default_value = "refit.yaml", value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Make a policy the current one: shows what changes, stores it, and lets every model adopt it.
    Apply(ApplyArguments),
    /// Show or bring back configurations that were applied.
    #[command(subcommand)]
    Config(ConfigCommand),
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
    /// List retraining runs, oldest first; or write the page of one run's evaluation.
    Runs {
        /// Only this model's; with `--report` a run.
        model: Option<String>,
        /// Write the run's evaluation as an HTML file instead.
        #[arg(long, value_name = "FILE", requires = "model")]
        report: Option<PathBuf>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Put two runs' evaluations side by side.
    Compare {
        /// A run.
        #[arg(value_name = "RUN")]
        first: String,
        /// Another run.
        #[arg(value_name = "RUN")]
        second: String,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Compare current data with a reference, from files alone, feature by feature.
    Drift(DriftArguments),
    /// Put together and show profiles, which `refit drift` writes and compares.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Judge an evaluation's files by a policy's gates, without any state: 0 passed, 1 not passed, 2 bad input.
    Gate(GateArguments),
    /// List package versions: what each learned from, how good it was, where it stands.
    Packages {
        /// Only this model's.
        model: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// List what happened, oldest first, from the audit log: who did it, and by which decision.
    History {
        /// Only this model's.
        model: Option<String>,
        /// Also the checks that found nothing to do.
        #[arg(long)]
        all: bool,
        /// What was live at this time instead, and why: `2013-07-01T12:00:00Z`, or a date, which is its beginning in UTC.
        #[arg(long, value_name = "TIME", conflicts_with = "all")]
        at: Option<String>,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Show why something was decided, how a run went or how a version came about, with the numbers.
    Explain {
        /// A decision as `refit history` shows it (`flight-time-d000042`), a run (`flight-time-r0003`), or a version
        /// (`flight-time-v3`).
        what: String,
        /// Also ask the planner again, on the stored inputs: the answer must be the recorded one.
        #[arg(long)]
        replay: bool,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Ask for a retraining run, and play it to its end.
    Trigger(TriggerArguments),
    /// End a run: at once if it waits, by way of stopping its execution if it trains.
    Cancel(CancelArguments),
    /// Ask for a run for the reasons of one that was rejected, failed, canceled or timed out; the cooldown is skipped.
    Retry(RetryArguments),
    /// Keep a model's triggers from asking for runs; a run under way and a rollback go on.
    Suspend(SuspendArguments),
    /// Let a model's triggers ask for runs again, after a suspension or when the loop breaker stopped them.
    Resume(ResumeArguments),
    /// Approve the candidate of a run that waits for it.
    Approve(VoteArguments),
    /// Decline the candidate of a run that waits for approval.
    Decline(VoteArguments),
    /// Ask people to promote a version that exists.
    Promote(PromoteArguments),
    /// Bring a model under watch that was made elsewhere, as champion.
    Adopt(AdoptArguments),
    /// Take the champion back: restore the one before it.
    Rollback(RollbackArguments),
    /// Look for what should not be, and say what to do about it.
    Doctor {
        #[command(flatten)]
        state: StateArguments,
    },
    /// Write everything that is stored about the fleet as one JSON document.
    Export {
        /// The file to write; must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check or run a pipeline definition.
    #[command(subcommand)]
    Pipeline(PipelineCommand),
    /// Let the local world go on, and serve its API on 127.0.0.1.
    Serve(ServeArguments),
    /// A SageMaker endpoint on this machine that runs pipelines for real, for tools that speak to SageMaker.
    #[command(name = "sagemaker", subcommand)]
    SageMaker(SageMakerCommand),
    /// Play months through the emulated cloud of `make cloud`.
    #[cfg(feature = "play")]
    #[command(hide = true, subcommand)]
    Cloud(CloudCommand),
    /// Run one step of the reference pipeline.
    #[command(hide = true, subcommand)]
    Step(refit_steps::Program),
}

/// `refit gate`.
#[derive(Debug, Args)]
pub(crate) struct GateArguments {
    /// The policy.
    #[arg(long, default_value = "refit.yaml", value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// The evaluation: evaluation.json, or the folder that has it.
    #[arg(long, value_name = "FILE")]
    pub(crate) evaluation: PathBuf,
    /// The predictions; by default predictions.parquet beside evaluation.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: Option<PathBuf>,
    /// The model, if the policy has several.
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// Also write the evaluation as an HTML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
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
    /// Ask every decision again on its stored inputs: the answers must be the recorded ones, byte for byte.
    Replay {
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
    /// Show how two SageMaker pipeline definitions differ, whatever their form.
    Diff {
        /// The old definition.
        old: PathBuf,
        /// The new definition.
        new: PathBuf,
    },
    /// Run a SageMaker pipeline definition here, its steps as child processes.
    Run {
        /// The definition.
        definition: PathBuf,
        /// A parameter, `Name=Value`; may be repeated.
        #[arg(long = "parameter", value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Where `s3://bucket/key` lies: below this folder as `bucket/key`.
        #[arg(long, default_value = ".refit/objects", value_name = "DIR")]
        objects: PathBuf,
        /// Where logs and sandboxes go.
        #[arg(long, default_value = ".refit/executions", value_name = "DIR")]
        work: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StateArguments {
    /// The state directory.
    #[arg(long, env = "REFIT_STATE", hide_env_values = true, default_value = ".refit", value_name = "DIR")]
    pub(crate) state: PathBuf,
}
