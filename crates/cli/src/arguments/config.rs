//! The configuration: what is in force, and changing it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{StateArguments, filled};

/// The number of a configuration.
fn number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a configuration is a whole number, for example 3")
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
