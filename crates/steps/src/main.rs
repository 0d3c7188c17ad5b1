//! `refit-step`: one step of the reference pipeline or the server of its models, as a container's entrypoint.

use std::process::ExitCode;

use clap::Parser;
use refit_steps::{Program, run_program, with_causes};

/// Run one step of Refit's reference training pipeline on the files in /opt/ml, or serve a model.
#[derive(Parser)]
#[command(name = "refit-step", version)]
struct Arguments {
    #[command(subcommand)]
    program: Program,
}

fn main() -> ExitCode {
    match run_program(Arguments::parse().program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
