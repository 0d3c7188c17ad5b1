//! What a proposed policy would have decided, in words.

use std::collections::BTreeMap;

use refit_app::decisions::{DecisionDifference, ReplayedPolicy};
use refit_core::proposal::Proposed;

use crate::output::{count, escaped};

/// Most differences that are listed for people; JSON has all.
const LISTED: usize = 20;

/// The recorded decisions under a proposed policy.
pub(super) fn show_replayed(replayed: &ReplayedPolicy) -> String {
    if replayed.decisions == 0 {
        return "no decision was recorded yet\n".to_owned();
    }
    let mut text = format!(
        "of {} asked again with this policy, each alone, {} would be the same, {} different, {} cannot be told\n",
        count(replayed.decisions, "recorded decision"),
        replayed.same,
        replayed.different,
        replayed.cannot_be_told
    );
    let different: Vec<String> = replayed.differences.iter().filter_map(show_difference).collect();
    text.extend(different.iter().take(LISTED).map(String::as_str));
    if LISTED < different.len() {
        text.push_str(&format!("  … and {} more: --output-format json\n", different.len() - LISTED));
    }
    let mut untold: BTreeMap<&str, Vec<&DecisionDifference>> = BTreeMap::new();
    for difference in &replayed.differences {
        if let Proposed::CannotBeTold { why } = &difference.proposed {
            untold.entry(why).or_default().push(difference);
        }
    }
    for (why, all) in untold {
        let first = all.first().map_or_else(String::new, |it| it.decision.clone());
        let others = match all.len() - 1 {
            0 => first,
            more => format!("{first} and {more} more"),
        };
        text.push_str(&format!("  cannot be told ({others}): {}\n", escaped(why)));
    }
    text
}

fn show_difference(difference: &DecisionDifference) -> Option<String> {
    let Proposed::Different { outcome, reasons } = &difference.proposed else { return None };
    let mut text = format!(
        "  {} {}: {} -> {}\n",
        difference.decision,
        difference.at,
        escaped(&difference.recorded),
        escaped(outcome)
    );
    text.extend(reasons.iter().map(|it| format!("      - {}\n", escaped(it))));
    Some(text)
}
