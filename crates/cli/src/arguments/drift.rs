//! What can be typed after `refit drift` and `refit profile`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `refit drift`.
#[derive(Debug, Args)]
pub(crate) struct DriftArguments {
    /// What is normal: a file, a folder, a pattern such as `data/*.parquet`, or `s3://bucket/prefix`, of the state or (in a build with the feature
    /// `cloud`) of S3. Parquet, CSV, JSON Lines or data capture, told by content, in gzip or zstd or neither.
    #[arg(long, value_name = "FILES", required_unless_present = "baseline")]
    pub(crate) reference: Option<String>,
    /// What is looked at, in the same forms.
    #[arg(long, value_name = "FILES")]
    pub(crate) current: String,
    /// A profile of the reference, as `--save-profile` writes it, instead of the reference.
    #[arg(long, value_name = "FILE", conflicts_with = "reference")]
    pub(crate) baseline: Option<PathBuf>,
    /// The column of the label: judged by itself, and against the prediction.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: Option<String>,
    /// The column of the prediction: judged by itself.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) prediction: Option<String>,
    /// The column of the event time: not compared; says which window the current data is.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// A column by whose values the data is also compared; may be repeated.
    #[arg(long = "segment", value_name = "COLUMN")]
    pub(crate) segments: Vec<String>,
    /// Settings: kinds of columns, distances, thresholds (see docs/drift.md); or a policy, which has them.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The model, if the policy has several.
    #[arg(long, value_name = "ID", requires = "config")]
    pub(crate) model: Option<String>,
    /// Also write the comparison as an HTML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Also write Model Monitor's `statistics.json`, `constraints.json` and `constraint_violations.json` into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "baseline")]
    pub(crate) monitor: Option<PathBuf>,
    /// End with 1 when the data has drifted, and with 2 when nothing could be measured.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// From every row, from profiles of fixed size, or the first as long as the rows fit into `--memory`.
    #[arg(long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    pub(crate) method: Method,
    /// Most memory for values, in MB.
    #[arg(long, default_value_t = 1024, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) memory: u64,
    /// Write the profile of the reference, or of the current data if there is a baseline, to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_profile: Option<PathBuf>,
    /// Where `s3://bucket/key` is looked for first: in the objects of this state directory.
    #[arg(long, env = "REFIT_STATE", hide_env_values = true, default_value = ".refit", value_name = "DIR")]
    pub(crate) state: PathBuf,
}

/// How scores are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// From every row.
    Exact,
    /// From profiles.
    Profile,
    /// From every row if they fit, else from profiles.
    Auto,
}

/// `refit profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Put profiles of the same columns together, as if their rows had been read together.
    Merge {
        /// The profiles.
        #[arg(required = true, value_name = "PROFILE")]
        profiles: Vec<PathBuf>,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show what a profile holds.
    Show {
        /// The profile.
        profile: PathBuf,
    },
}
