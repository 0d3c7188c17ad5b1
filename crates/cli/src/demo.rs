//! `refit demo`: the bundled year of flights, with people in it, as a story.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_core::policy::{Span, read};
use refit_local::replay::{Action, ReplayPlan, Rows, Script, Scripted};

use crate::arguments::{DemoArguments, Format};
use crate::commands::{Playing, play};
use crate::output::{Exit, answer};
use crate::story::summarize;

const POLICY: &str = include_str!("../demo/refit.yaml");
const DEFINITION: &str = include_str!("../../../infra/pipelines/retrain.json");
const FLIGHTS: &[u8] = include_bytes!("../demo/flights.parquet");
/// January trains the first champion.
const WARMUP_DAYS: i64 = 31;

/// Plays the demo.
pub(crate) fn demo(arguments: &DemoArguments, format: Format) -> anyhow::Result<Exit> {
    let policy = read(POLICY).context("reading the demo's own policy")?;
    let model = policy.models.first().context("the demo's policy has a model")?;
    let rows = match &arguments.data {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("reading data `{}`", path.display()))?;
            Rows::read(&path.display().to_string(), &bytes, model)?
        }
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
        eprintln!("{}", opening(&plan));
    }
    let document = play(&plan, &Playing { state: &state, is_told })?;
    answer(format, &document, |document| {
        let look = shown(&state);
        format!(
            "{}\nLook further:\n  refit status --state {look}\n  refit history flight-time --state {look}\n  refit audit verify --state {look}\n",
            summarize(document)
        )
    })?;
    Ok(Exit::Yes)
}

fn opening(plan: &ReplayPlan) -> String {
    format!(
        "A model predicts how long flights stay in the air. January trains it; then {} rows of traffic come in, each answered by\n\
         whatever serves, each label a day late. Beside it runs the January model, never retrained.\n",
        plan.rows.count()
    )
}

/// A demo without `--state` begins anew each time: a finished one would have nothing left to tell.
fn fresh_state() -> anyhow::Result<PathBuf> {
    let state = PathBuf::from(".refit/demo");
    if state.exists() {
        std::fs::remove_dir_all(&state).with_context(|| format!("removing the last demo in `{}`", state.display()))?;
    }
    Ok(state)
}

fn shown(state: &Path) -> String {
    state.display().to_string()
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
