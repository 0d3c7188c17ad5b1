//! `refit doctor`: what should not be, and what to do about it.

use std::path::Path;

use refit_app::doctor::{Finding, examine};
use refit_local::world::Access;

use crate::arguments::Format;
use crate::output::{Exit, answer, count, escaped};
use crate::state;

/// Examines the state; findings are a negative answer.
pub(crate) fn doctor(state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let mut examination = world.block_on(examine(&world.context))?;
    examination.checked.push("fleet: no event was given up".to_owned());
    examination.findings.extend(world.list_dead_letters()?.into_iter().map(|letter| Finding {
        about: "fleet".to_owned(),
        problem: format!("{} gave up an event at {}: {}", letter.function, letter.at, letter.why),
        advice: "mend the cause; the sweep goes on looking at the model, the event itself is not needed".to_owned(),
    }));
    answer(format, &examination, |examination| {
        let mut text = String::new();
        for finding in &examination.findings {
            text.push_str(&format!("{}: {}\n", finding.about, escaped(&finding.problem)));
            text.push_str(&format!("  hint: {}\n", escaped(&finding.advice)));
        }
        let checks = count(examination.checked.len(), "check");
        match examination.findings.len() {
            0 => text.push_str(&format!("{checks}, nothing wrong\n")),
            found => text.push_str(&format!("{checks}, {}\n", count(found, "problem"))),
        }
        text
    })?;
    Ok(if examination.findings.is_empty() { Exit::Yes } else { Exit::No })
}
