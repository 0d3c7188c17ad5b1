//! What each function calls, against what the template may give it.

mod api;

use std::collections::BTreeSet;

use refit_app::ports::iam::{FUNCTIONS, actions_of_function, actions_of_method};
use refit_app::settings::{Readers, VARIABLES};
use refit_handlers::Function;
use refit_local::memory::faults::{Call, Fault, Port};
use refit_local::sim::pairs::Injection;
use refit_local::sim::workflows::player::{Notes, Player, Redelivery};
use refit_local::sim::workflows::{Action, Workflow, all};

use crate::repo::read;

/// Function, port and method.
type Used = BTreeSet<(String, String, String)>;

/// What the workflows do not come to, each with why it is called all the same.
const UNPLAYED: &[(&str, &str, &str)] = &[
    ("api publisher alert", "a damaged model is parked", "park"),
    ("check-triggers objects head", "a file whose event was lost is taken in by the check", "record_window::lost"),
    ("check-triggers objects remove", "outputs of old runs are removed", "clean_outputs"),
    ("check-triggers publisher alert", "a lost file is refused, a damaged model parked", "park"),
    ("start-retraining pipelines observe", "a slot is held by a run that is over", "dispatch::running"),
    ("start-retraining pipelines stop", "an execution whose attempt had ended meanwhile", "perform::stop_orphan"),
    ("start-retraining publisher alert", "a damaged model is parked", "park"),
    ("evaluate-candidate objects put_new", "a decision too large for its item", "snapshots::keep"),
    ("evaluate-candidate pipelines find_by_display_name", "stopped while it was started", "find_unknown"),
    ("evaluate-candidate publisher alert", "a damaged model is parked", "park"),
    ("promote-model objects put_new", "a decision too large for its item", "snapshots::keep"),
    ("promote-model publisher alert", "a damaged model is parked", "park"),
    ("sweep publisher alert", "a damaged model is parked", "park"),
    ("sweep table query", "a new policy is spread to the models of the one before", "policy::spread"),
];

/// Every function that the template has.
fn names() -> impl Iterator<Item = &'static str> {
    Function::ALL.into_iter().map(Function::name).chain(["api"])
}

fn port(call: &Call) -> String {
    format!("{:?}", call.port).to_lowercase()
}

/// Plays a workflow and notes the calls of each function.
fn note(workflow: &Workflow, faults: Vec<Injection>, used: &mut Used) -> Vec<Call> {
    let notes = Notes::with(faults);
    let mut player = Player::new(workflow, notes.clone());
    let mut seen = 0;
    loop {
        player.world.pump();
        let queued = player.world.queue.front().map(|it| it.function);
        let asked = match player.next_action() {
            Some(Action::Ask(function, _)) => Some(*function),
            Some(Action::Apply(_) | Action::Upload(..) | Action::Finish(_) | Action::Wait(_)) | None => None,
        };
        let is_playing = player.tick().expect("no violation");
        let calls = notes.calls();
        if let Some(function) = queued.or(asked) {
            let names = |it: &Call| (function.name().to_owned(), port(it), it.method.to_owned());
            used.extend(calls[seen..].iter().map(names));
        }
        seen = calls.len();
        if !is_playing {
            return calls;
        }
    }
}

#[test]
fn functions_call_what_is_listed_and_nothing_else() {
    let mut used = Used::new();
    for workflow in all() {
        used.extend(api::calls(&workflow).iter().map(|it| ("api".to_owned(), port(it), it.method.to_owned())));
        let calls = note(&workflow, Vec::new(), &mut used);
        // Whoever does not know what became of a call asks the services more than others.
        let asks = calls.iter().filter(|it| it.is_write && matches!(it.port, Port::Pipelines | Port::Endpoints));
        for call in asks {
            let fault = Injection { call: call.index, fault: Fault::UnavailableAfter, redelivery: Redelivery::Again };
            note(&workflow, vec![fault], &mut used);
        }
    }
    let methods_of = |(function, port, methods): &(&str, &str, &[&str])| -> Vec<String> {
        methods.iter().map(|it| format!("{function} {port} {it}")).collect()
    };
    let listed: BTreeSet<String> = FUNCTIONS.iter().flat_map(methods_of).collect();
    let used: BTreeSet<String> = used.into_iter().map(|it| format!("{} {} {}", it.0, it.1, it.2)).collect();
    assert_eq!(used.difference(&listed).collect::<Vec<_>>(), [""; 0], "these calls are not listed");
    let unplayed: Vec<&String> = listed.difference(&used).collect();
    assert_eq!(unplayed, UNPLAYED.iter().map(|it| it.0).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
}

#[test]
fn every_listed_method_has_its_actions() {
    for (function, port, methods) in FUNCTIONS {
        assert!(names().any(|it| it == *function), "{function} is no function");
        for method in *methods {
            assert!(!actions_of_method(port, method).is_empty(), "{port}.{method} has no actions");
        }
    }
    for function in names() {
        assert!(!actions_of_function(function).is_empty(), "{function}");
    }
}

#[test]
fn the_page_of_the_functions_lists_their_environment_and_actions() {
    let page = read("functions/README.md");
    for variable in VARIABLES {
        let readers = match variable.readers {
            Readers::All => "all".to_owned(),
            Readers::Only(functions) => functions.join(", "),
        };
        let default = match variable.default {
            None => "required".to_owned(),
            Some("") => "none".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let line = format!("| `{}` | {readers} | {default} | {} |", variable.name, variable.meaning);
        assert!(page.contains(&line), "functions/README.md lacks: {line}");
    }
    for function in names() {
        let actions: Vec<&str> = actions_of_function(function).into_iter().collect();
        let line = format!("| `{function}` | {} |", actions.join(", "));
        assert!(page.contains(&line), "functions/README.md lacks: {line}");
    }
}
