//! `refit replay`: a policy and a file, months in seconds.

use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use refit_local::replay::{Document, ReplayPlan, Rows, Script};
use refit_local::report;
use refit_local::world::{Access, Moment};

use super::pipeline::read_definition;
use super::validate::read_policy;
use crate::arguments::{Format, ReplayArguments};
use crate::output::{Exit, answer, count, say};
use crate::state;
use crate::story::{summarize, tell};

/// Plays a file under a policy.
pub(crate) fn replay(arguments: &ReplayArguments, format: Format) -> anyhow::Result<Exit> {
    let policy = read_policy(&arguments.config)?;
    let [model] = &policy.models[..] else {
        let config = arguments.config.display();
        bail!("policy `{config}` has {}, a replay plays one: leave one in", count(policy.models.len(), "model"));
    };
    if let Some(time) = arguments.time.as_ref().filter(|it| **it != model.data.time) {
        let config = arguments.config.display();
        bail!("--time is `{time}`, policy `{config}` says `time: {}`: correct one of them", model.data.time);
    }
    let folder = arguments.config.parent().unwrap_or(Path::new("."));
    let path = folder.join(&model.pipeline.definition);
    let definition = read_definition(&path)?;
    let rows = read_rows(&arguments.data, model)?;
    let warmup = arguments.warmup;
    let approver = arguments.approve_as.clone().map(|it| (it, arguments.approve_after));
    let script = Script { actions: Vec::new(), approver };
    let plan = ReplayPlan { rows, policy, definition, warmup, script };
    let playing = Playing { state: &arguments.state.state, is_told: false };
    let document = play(&plan, &playing)?;
    answer(format, &document, summarize)?;
    Ok(Exit::Yes)
}

/// Reads the rows of a file.
pub(crate) fn read_rows(path: &Path, model: &refit_core::policy::ModelPolicy) -> anyhow::Result<Rows> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).with_context(|| format!("reading data `{name}`"))?;
    Ok(Rows::read(&name, &bytes, model)?)
}

/// Where and how loudly a plan is played.
pub(crate) struct Playing<'a> {
    /// The state directory.
    pub(crate) state: &'a Path,
    /// Whether the story is told as it runs.
    pub(crate) is_told: bool,
}

/// Plays a plan, with a progress bar on a terminal, and writes the report.
pub(crate) fn play(plan: &ReplayPlan, playing: &Playing<'_>) -> anyhow::Result<Document> {
    let times = plan.times()?;
    let span = times.end.duration_since(times.warmup_end).as_secs().unsigned_abs();
    // Draws on a terminal only; a pipe stays silent.
    let bar = ProgressBar::new(span);
    bar.set_style(
        ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut observer = |moment: Moment<'_>| {
        if let Moment::Time(time) = &moment {
            bar.set_position(time.duration_since(times.warmup_end).as_secs().max(0).unsigned_abs());
            bar.set_message(time.strftime("%Y-%m-%d").to_string());
        }
        if let Some(line) = tell(&moment).filter(|_| playing.is_told) {
            bar.suspend(|| say(&line));
        }
    };
    let options = state::options(playing.state, plan.policy.notifications.clone(), Access::Drive)?;
    let played = refit_local::replay::replay(&options, plan, &mut observer);
    bar.finish_and_clear();
    let mut played = played?;
    let path = std::path::absolute(playing.state)?.join("report.html");
    played.document.report = path.display().to_string();
    let html = report::render(&played.document, &played.history, plan.model()?, &played.alerts);
    write_whole(&path, &html).with_context(|| format!("writing report `{}`", path.display()))?;
    Ok(played.document)
}

/// Writes a file so that it is there in whole or not at all.
fn write_whole(path: &Path, content: &str) -> std::io::Result<()> {
    let draft = path.with_extension("html.part");
    std::fs::write(&draft, content)?;
    std::fs::rename(&draft, path)
}
