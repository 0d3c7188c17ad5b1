//! The `refit` command: arguments to use cases to output.
//!
//! Data goes to stdout, everything else to stderr. Exit code 0 is yes, 1 a negative answer or a refusal, 2 bad input or a
//! failure.

mod arguments;
mod commands;
mod output;
mod panics;
#[cfg(feature = "cloud")]
mod remote;
mod state;
mod story;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::output::{Exit, say};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::init_logs(arguments.verbose);
    match panics::caught(|| commands::run(arguments)) {
        Ok(Exit::Yes) => ExitCode::SUCCESS,
        Ok(Exit::No) => ExitCode::from(1),
        Err(error) => {
            say(&format!("error: {}", output::causes(&error)));
            ExitCode::from(2)
        }
    }
}
