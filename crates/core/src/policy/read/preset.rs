//! Presets: what is customary for a kind of model, put under a model's section before it is read.
//!
//! A preset fills in keys that are not given, at the place where it is named; explicit keys win. So the reader knows
//! nothing of presets, a stored policy holds their values and not their names, and what a preset says is checked like
//! anything else.

use super::field::Field;
use crate::policy::yaml::{At, Entry, Kind, Node, Style};
use crate::policy::{Metric, Strategy, Task};

/// What is customary for a kind of model (FEATURES F05 to F09).
struct Preset {
    name: &'static str,
    /// The hour of the daily retraining.
    hour: u8,
    /// A population stability index.
    drift: &'static str,
    /// The worst acceptable value of the task's natural metric: [`natural_metric`].
    floor: &'static str,
    strategy: Strategy,
}

const PRESETS: [Preset; 7] = [
    Preset { name: "lightgbm", hour: 2, drift: "0.25", floor: "0.8", strategy: Strategy::Incremental },
    Preset { name: "lstm", hour: 3, drift: "0.3", floor: "0.75", strategy: Strategy::Full },
    Preset { name: "transformer", hour: 4, drift: "0.3", floor: "0.75", strategy: Strategy::Full },
    Preset { name: "ensemble", hour: 5, drift: "0.2", floor: "0.85", strategy: Strategy::Incremental },
    Preset { name: "random_forest", hour: 2, drift: "0.25", floor: "0.8", strategy: Strategy::Full },
    Preset { name: "xgboost", hour: 2, drift: "0.25", floor: "0.8", strategy: Strategy::Full },
    Preset { name: "neural_network", hour: 2, drift: "0.25", floor: "0.8", strategy: Strategy::Full },
];

/// The names of the presets, for the reader of the key itself.
pub(super) const NAMES: [(&str, ()); 7] = {
    let mut names = [("", ()); 7];
    let mut index = 0;
    while index < names.len() {
        names[index].0 = PRESETS[index].name;
        index += 1;
    }
    names
};

/// The metric that a preset's floor is of: a share in which more is better and 1 is perfect, whatever the task.
fn natural_metric(task: Task) -> Metric {
    match task {
        Task::Regression => Metric::R2,
        Task::Binary | Task::Multiclass => Metric::Accuracy,
    }
}

/// The section of a model with its preset filled in; `None` without a preset, or with one that is not known.
pub(super) fn expand(model: &Field<'_>) -> Option<Node> {
    let section = model.given()?;
    let named = model.child("preset")?;
    // What is no preset is reported where the key is read.
    let preset = PRESETS.iter().find(|it| named.is_scalar(it.name))?;
    let task = section.iter().find(|it| it.key == "task").and_then(|it| match &it.value.kind {
        Kind::Scalar { text, .. } => super::words::TASKS.iter().find(|(word, _)| word == text).map(|(_, task)| *task),
        Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
    });
    let mut entries = section.to_vec();
    preset.fill(task, &mut entries, named.at());
    Some(Node { at: model.at(), kind: Kind::Map(entries) })
}

impl Preset {
    fn fill(&self, task: Option<Task>, model: &mut Vec<Entry>, at: At) {
        let strategy = match self.strategy {
            Strategy::Full => "full",
            Strategy::Incremental => "incremental",
        };
        // A section that must be given is not made up: its absence is still a problem of its own.
        if let Some(pipeline) = find(model, "pipeline") {
            default(pipeline, "strategy", scalar(at, strategy), at);
        }
        let triggers = section(model, "triggers", at);
        let Some(triggers) = triggers else { return };
        default(triggers, "schedule", scalar(at, &format!("cron(0 {} * * ? *)", self.hour)), at);
        if let Some(drift) = section(triggers, "drift", at)
            // The number is a PSI: it says nothing about another distance.
            && says(drift, "metric").is_none_or(|it| it == "psi")
        {
            default(drift, "metric", scalar(at, "psi"), at);
            default(drift, "threshold", scalar(at, self.drift), at);
        }
        let Some(task) = task else { return };
        let metric = natural_metric(task).name();
        if let Some(performance) = section(triggers, "performance", at)
            && says(performance, "metric").is_none_or(|it| it == metric)
        {
            default(performance, "metric", scalar(at, metric), at);
            default(performance, "floor", scalar(at, self.floor), at);
        }
    }
}

fn scalar(at: At, text: &str) -> Node {
    Node { at, kind: Kind::Scalar { text: text.to_owned(), style: Style::Plain } }
}

/// The entries of a section that is given as a map.
fn find<'a>(entries: &'a mut [Entry], key: &str) -> Option<&'a mut Vec<Entry>> {
    match &mut entries.iter_mut().find(|it| it.key == key)?.value.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Scalar { .. } | Kind::List(_) | Kind::Refused => None,
    }
}

/// The entries of a section, made if it is not given; `None` if it is given as something else.
fn section<'a>(entries: &'a mut Vec<Entry>, key: &str, at: At) -> Option<&'a mut Vec<Entry>> {
    default(entries, key, Node { at, kind: Kind::Map(Vec::new()) }, at);
    find(entries, key)
}

fn default(entries: &mut Vec<Entry>, key: &str, value: Node, at: At) {
    if entries.iter().all(|it| it.key != key) {
        entries.push(Entry { key: key.to_owned(), at, value });
    }
}

fn says<'a>(entries: &'a [Entry], key: &str) -> Option<&'a str> {
    match &entries.iter().find(|it| it.key == key)?.value.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) | Kind::Refused => Some(""),
    }
}
