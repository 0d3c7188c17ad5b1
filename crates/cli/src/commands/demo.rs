//! `refit demo`: the bundled year of flights, with people in it, as a story.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use refit_core::policy::{Span, read};
use refit_local::replay::{Action, ReplayPlan, Rows, Script, Scripted};

use super::replay::{Playing, play, read_rows};
use crate::arguments::{DemoArguments, Format};
use crate::output::{Exit, answer, say};
use crate::state;
use crate::story::summarize;

const POLICY: &str = include_str!("../../demo/refit.yaml");
const DEFINITION: &str = include_str!("../../../../infra/pipelines/retrain.json");
const FLIGHTS: &[u8] = include_bytes!("../../demo/flights.parquet");
/// January trains the first champion.
const WARMUP_DAYS: i64 = 31;

/// Plays the demo.
pub(crate) fn demo(arguments: &DemoArguments, format: Format) -> anyhow::Result<Exit> {
    let policy = read(POLICY).context("reading the demo's own policy")?;
    let model = policy.models.first().context("the demo's policy has a model")?;
    let rows = match &arguments.data {
        Some(path) => read_rows(path, model)?,
        None => Rows::read("flights.parquet", FLIGHTS, model)?,
    };
    let plan = ReplayPlan {
        rows,
        policy,
        definition: DEFINITION.to_owned(),
        warmup: Some(Span::days(WARMUP_DAYS)),
        script: script(),
    };
    let state = match &arguments.state {
        Some(state) => state.clone(),
        None => fresh_state()?,
    };
    let is_told = format == Format::Text;
    if is_told {
        say(&opening(&plan)?);
    }
    let document = play(&plan, &Playing { state: &state, is_told })?;
    answer(format, &document, |document| {
        let look = state::flag(&state);
        format!(
            "{}\nLook further:\n  refit status{look}\n  refit history flight-time{look}\n  refit audit verify{look}\n",
            summarize(document)
        )
    })?;
    Ok(Exit::Yes)
}

fn opening(plan: &ReplayPlan) -> anyhow::Result<String> {
    let traffic = plan.rows.count() - plan.rows.first_at(plan.times()?.warmup_end);
    Ok(format!(
        "A model predicts how long flights stay in the air. The first month trains it; then {traffic} rows of traffic come in, each\n\
         answered by whatever serves, each label a day late. Beside it runs the first model, never retrained.\n"
    ))
}

/// A demo without `--state` begins anew each time: a finished one would have nothing left to tell.
fn fresh_state() -> anyhow::Result<PathBuf> {
    let state = PathBuf::from(".refit/demo");
    if std::fs::File::open(state.join("lock")).is_ok_and(|it| it.try_lock().is_err()) {
        bail!("another demo is playing in `{}`: wait for it to end, or give this one a --state", state.display());
    }
    if state.exists() {
        std::fs::remove_dir_all(&state).with_context(|| format!("removing the last demo in `{}`", state.display()))?;
    }
    Ok(state)
}

/// What people do in the year: shares of its span, so that other data plays the same story.
fn script() -> Script {
    let at = |at: f64, action: Action| Scripted { at, action };
    let by = |name: &str| name.to_owned();
    Script {
        actions: vec![
            at(0.20, Action::DamageUpload),
            at(0.201, Action::Trigger { by: by("dana"), reason: by("the sales team asks for a fresh model") }),
            at(0.206, Action::RepairUpload),
            at(
                0.60,
                Action::Rollback {
                    by: by("sam"),
                    reason: by("on call: complaints about arrival times since the last change"),
                },
            ),
            at(0.632, Action::Trigger { by: by("dana"), reason: by("August is quiet: is there anything to gain?") }),
        ],
        approver: Some((by("maria"), Span::hours(4))),
    }
}
