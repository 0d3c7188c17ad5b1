//! `refit-step`: one step of the reference pipeline, as a container's entrypoint.

use std::process::ExitCode;

use clap::Parser;
use refit_steps::{Step, run, with_causes};

/// Run one step of Refit's reference training pipeline on the files in /opt/ml.
#[derive(Parser)]
#[command(name = "refit-step", version)]
struct Arguments {
    #[command(subcommand)]
    step: Step,
}

fn main() -> ExitCode {
    match run(Arguments::parse().step) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
