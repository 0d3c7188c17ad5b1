//! One function for each command.

mod audit;
mod config;
mod demo;
mod doctor;
mod drift;
mod evaluation;
mod export;
mod history;
mod init;
mod people;
mod pipeline;
#[cfg(feature = "play")]
mod play;
mod proposed;
mod replay;
mod sagemaker;
mod serve;
mod show;
mod validate;

use refit_core::approval::Choice;

use crate::arguments::{Arguments, AuditCommand, Command, ConfigCommand, PipelineCommand, SageMakerCommand};
use crate::output::{Exit, say};

/// Runs a command.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let format = arguments.output_format;
    #[cfg(feature = "cloud")]
    if let Some(url) = arguments.api_url.as_deref().filter(|it| !it.is_empty())
        && let Some(exit) = crate::remote::run(url, &arguments)?
    {
        return Ok(exit);
    }
    match arguments.command {
        Command::Demo(arguments) => demo::demo(&arguments, format),
        Command::Replay(arguments) => replay::replay(&arguments, format),
        Command::Init { folder } => init::init(&folder, format),
        Command::Validate { config } => validate::validate(&config, format),
        Command::Schema => validate::schema(format),
        Command::Diff { config, state } => config::show_diff(&config, &state.state, format),
        Command::Apply(arguments) => config::apply(&arguments, format),
        Command::Config(ConfigCommand::History { state }) => config::history(&state.state, format),
        Command::Config(ConfigCommand::Show { number, source, state }) => {
            config::show(number, source, &state.state, format)
        }
        Command::Config(ConfigCommand::Rollback(arguments)) => config::roll_back(&arguments, format),
        Command::Status { model, state } => show::status(model.as_deref(), &state.state, format),
        Command::Models { state } => show::models(&state.state, format),
        Command::Runs { model: Some(run), report: Some(path), state } => evaluation::report(&run, &path, &state.state),
        Command::Runs { model, report: _, state } => show::runs(model.as_deref(), &state.state, format),
        Command::Compare { first, second, state } => evaluation::compare(&first, &second, &state.state, format),
        Command::Drift(arguments) => drift::drift(&arguments, format),
        Command::Profile(command) => drift::profile::run(&command, format),
        Command::Gate(arguments) => evaluation::gate(&arguments, format),
        Command::Packages { model, state } => show::packages(model.as_deref(), &state.state, format),
        Command::History { model, at: Some(at), state, .. } => {
            history::history_at(model.as_deref(), &at, &state.state, format)
        }
        Command::History { model, all, at: None, state } => {
            history::history(model.as_deref(), all, &state.state, format)
        }
        Command::Explain { what, replay, state } => history::explain(&what, replay, &state.state, format),
        Command::Trigger(arguments) => people::trigger(&arguments, format),
        Command::Cancel(arguments) => people::cancel(&arguments, format),
        Command::Retry(arguments) => people::retry(&arguments, format),
        Command::Suspend(arguments) => people::suspend(&arguments, format),
        Command::Resume(arguments) => people::resume(&arguments, format),
        Command::Approve(arguments) => people::vote(&arguments, Choice::Approve, format),
        Command::Decline(arguments) => people::vote(&arguments, Choice::Decline, format),
        Command::Promote(arguments) => people::promote(&arguments, format),
        Command::Adopt(arguments) => people::adopt(&arguments, format),
        Command::Rollback(arguments) => people::rollback(&arguments, format),
        Command::Doctor { state } => doctor::doctor(&state.state, format),
        Command::Export { output, state } => export::export(&output, &state.state, format),
        Command::Audit(AuditCommand::Verify { model, state }) => audit::verify(model.as_deref(), &state.state, format),
        Command::Audit(AuditCommand::Replay { model, state }) => audit::replay(model.as_deref(), &state.state, format),
        Command::Pipeline(PipelineCommand::Lint { definition }) => pipeline::lint(&definition, format),
        Command::Pipeline(PipelineCommand::Diff { old, new }) => pipeline::diff(&old, &new, format),
        Command::Pipeline(PipelineCommand::Run { definition, parameters, objects, work }) => {
            pipeline::run(&definition, &parameters, &objects, &work, format)
        }
        Command::Serve(arguments) => serve::serve(&arguments, format),
        Command::SageMaker(SageMakerCommand::Serve(arguments)) => sagemaker::serve(&arguments, format),
        #[cfg(feature = "play")]
        Command::Cloud(command) => play::run(&command),
        Command::Step(program) => match refit_steps::run_program(program) {
            Ok(()) => Ok(Exit::Yes),
            Err(error) => {
                say(&format!("error: {}", refit_steps::with_causes(&error)));
                Ok(Exit::No)
            }
        },
    }
}
