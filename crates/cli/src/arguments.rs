//! What can be typed.

mod drift;

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use refit_core::policy::Span;
use refit_local::sagemaker::HookUrl;

pub(crate) use drift::{DriftArguments, Method, ProfileCommand};

/// A text with something in it: no name and no reason is blank.
fn filled() -> impl clap::builder::TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().try_map(|it| match it.trim() {
        "" => Err("it is blank"),
        filled => Ok(filled.to_owned()),
    })
}

/// A package version.
fn version(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a version is a whole number, for example 3")
}

/// The number of a configuration.
fn number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a configuration is a whole number, for example 3")
}

/// The generation of a request for approval.
fn generation(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a generation is a whole number, for example 1")
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

/// `refit cloud`.
#[cfg(feature = "play")]
#[derive(Debug, Subcommand)]
pub(crate) enum CloudCommand {
    /// Write the rows of a span of time as a Parquet file of their own.
    Cut(CutArguments),
    /// Play a file through the deployed functions, and write what was decided.
    Play(PlayArguments),
}

/// `refit cloud cut`.
#[cfg(feature = "play")]
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
#[cfg(feature = "play")]
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
pub(crate) enum ConfigCommand {
    /// List every configuration: who applied it, when and why; and check that none was changed.
    History {
        #[command(flatten)]
        state: StateArguments,
    },
    /// Show a configuration with every default and preset filled in.
    Show {
        /// Its number, as `refit config history` shows it; the current one by default.
        #[arg(value_parser = number)]
        number: Option<u64>,
        /// Show the file as it was typed instead.
        #[arg(long)]
        source: bool,
        #[command(flatten)]
        state: StateArguments,
    },
    /// Bring an older configuration back, as a new entry; refused when it is not valid any more.
    Rollback(ConfigRollbackArguments),
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
pub(crate) struct ApplyArguments {
    /// The policy.
    #[arg(default_value = "refit.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why; kept in the history.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) person: EditorArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigRollbackArguments {
    /// The configuration to bring back; the one before the current by default.
    #[arg(value_parser = number)]
    pub(crate) number: Option<u64>,
    /// Why; kept in the history.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) person: EditorArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EditorArguments {
    /// Who changes the configuration; the login name by default.
    #[arg(long = "as", value_name = "NAME", value_parser = filled())]
    pub(crate) name: Option<String>,
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
pub(crate) struct StateArguments {
    /// The state directory.
    #[arg(long, env = "REFIT_STATE", hide_env_values = true, default_value = ".refit", value_name = "DIR")]
    pub(crate) state: PathBuf,
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
