//! `refit audit verify` and `refit audit replay`.

use std::collections::BTreeMap;
use std::path::Path;

use refit_app::decisions::{ReplayedDecision, replay_model};
use refit_app::queries::verify_audit;
use refit_local::world::Access;

use crate::arguments::Format;
use crate::output::{Exit, answer, count, escaped};
use crate::state;

/// Checks the audit logs; a broken one is a negative answer.
pub(crate) fn verify(model: Option<&str>, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut reports = BTreeMap::new();
    for model in state::models(&world, model)? {
        let report = world.block_on(verify_audit(&*world.context.ports.table, &model))?;
        reports.insert(model.to_string(), report);
    }
    let is_whole = reports.values().all(|it| it.verified);
    answer(format, &reports, |reports| {
        let mut text = String::new();
        for (model, report) in reports {
            let entries = report.entries;
            text.push_str(&if report.verified {
                format!(
                    "{model}: {entries} entries, whole and unchanged, adds up to the stored state, head {}\n",
                    report.head
                )
            } else {
                format!("{model}: BROKEN, the chain holds for the first {entries} entries\n")
            });
            for problem in &report.problems {
                text.push_str(&format!("  {}\n", escaped(problem)));
            }
        }
        text
    })?;
    Ok(if is_whole { Exit::Yes } else { Exit::No })
}

/// Asks every decision again; one that is not as recorded is a negative answer.
pub(crate) fn replay(model: Option<&str>, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut replayed = BTreeMap::new();
    for model in state::models(&world, model)? {
        let decisions = world.block_on(replay_model(&world.context, &model))?;
        replayed.insert(model.to_string(), decisions);
    }
    let is_equal = replayed.values().flatten().all(|it| it.is_equal);
    answer(format, &replayed, |replayed| {
        replayed.iter().map(|(model, decisions)| show_replayed(model, decisions)).collect()
    })?;
    Ok(if is_equal { Exit::Yes } else { Exit::No })
}

fn show_replayed(model: &str, decisions: &[ReplayedDecision]) -> String {
    let different: Vec<&ReplayedDecision> = decisions.iter().filter(|it| !it.is_equal).collect();
    let asked = count(decisions.len(), "decision");
    if different.is_empty() {
        return format!("{model}: {asked} asked again, each answer is the recorded one, byte for byte\n");
    }
    let mut text = format!("{model}: {asked} asked again, {} NOT AS RECORDED\n", different.len());
    for decision in different {
        text.push_str(&format!("  {}: {}\n", decision.decision, escaped(&decision.problems.join("; "))));
    }
    text
}
