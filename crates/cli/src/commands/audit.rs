//! `refit audit verify`.

use std::collections::BTreeMap;
use std::path::Path;

use refit_app::queries::verify_audit;
use refit_local::world::Access;

use crate::arguments::Format;
use crate::output::{Exit, answer, escaped};
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
