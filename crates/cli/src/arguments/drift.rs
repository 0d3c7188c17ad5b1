//! What can be typed after `refit drift`.

use std::path::PathBuf;

use clap::Args;

/// `refit drift`.
#[derive(Debug, Args)]
pub(crate) struct DriftArguments {
    /// What is normal: a file, a folder, a pattern such as `data/*.parquet`, or `s3://bucket/prefix` of the state. Parquet, CSV, JSON Lines or
    /// data capture, told by content, in gzip or zstd or neither.
    #[arg(long, value_name = "FILES")]
    pub(crate) reference: String,
    /// What is looked at, in the same forms.
    #[arg(long, value_name = "FILES")]
    pub(crate) current: String,
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
    #[arg(long, value_name = "DIR")]
    pub(crate) monitor: Option<PathBuf>,
    /// End with 1 when the data has drifted, and with 2 when nothing could be measured.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Most memory for values, in MB.
    #[arg(long, default_value_t = 1024, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) memory: u64,
    /// Where `s3://bucket/key` lies: in the objects of this state directory.
    #[arg(long, env = "REFIT_STATE", hide_env_values = true, default_value = ".refit", value_name = "DIR")]
    pub(crate) state: PathBuf,
}
