//! Every route of the API at moments of every workflow: what it calls.

use refit_api::{ROUTES, Roles, Route, answer_event, recording, router};
use refit_app::contract::block_on_ready;
use refit_local::memory::faults::Call;
use refit_local::sim::workflows::Workflow;
use refit_local::sim::workflows::player::{Checkpoint, Notes, Player};
use serde_json::{Value, json};

use crate::repo::read;

/// Between two moments at which everything is asked.
const STRIDE: usize = 5;

/// What is put into a path or a query for a name in braces.
struct Names {
    decision: String,
    operation: String,
}

/// The calls of every route at moments of a workflow.
pub(crate) fn calls(workflow: &Workflow) -> Vec<Call> {
    let mut player = Player::new(workflow, Notes::default()).recording();
    player.play().expect("no violation");
    player.checkpoints.iter().step_by(STRIDE).flat_map(|it| calls_at(workflow, it)).collect()
}

fn calls_at(workflow: &Workflow, moment: &Checkpoint) -> Vec<Call> {
    let names = names(workflow, moment);
    let calls_of = |route: &Route| {
        let notes = Notes::default();
        let player = Player::resume(workflow, moment, notes.clone());
        let shown = etag(&player, route, &names);
        let before = notes.calls().len();
        let status = ask(&player, route, &names, &shown)["statusCode"].as_u64().expect("a status");
        assert!(status < 500 || status == 503, "{} {} answers {status}", route.method.name(), route.path);
        notes.calls().split_off(before)
    };
    ROUTES.iter().flat_map(calls_of).collect()
}

/// What there is to ask for at a moment.
fn names(workflow: &Workflow, moment: &Checkpoint) -> Names {
    let player = Player::resume(workflow, moment, Notes::default());
    let none = Names { decision: "m-d0001".to_owned(), operation: "none".to_owned() };
    let list = find("list_decisions");
    let decisions = body(&ask(&player, list, &none, ""));
    let decision = decisions.pointer("/items/0/id").and_then(Value::as_str).map_or(none.decision, str::to_owned);
    Names { decision, ..none }
}

fn find(id: &str) -> &'static Route {
    ROUTES.iter().find(|it| it.id == id).expect("a route")
}

/// The generation that a change of this route is bound to.
fn etag(player: &Player<'_>, route: &Route, names: &Names) -> String {
    let shown = match route.id {
        "vote_approval" => "get_approval",
        "replace_config" | "roll_back_config" => "get_config",
        _ => return String::new(),
    };
    ask(player, find(shown), names, "")["headers"]["etag"].as_str().unwrap_or("\"0\"").to_owned()
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().expect("a body")).expect("the body is JSON")
}

/// Asks as the gateway would, in the name of somebody who may do everything.
fn ask(player: &Player<'_>, route: &Route, names: &Names, shown: &str) -> Value {
    let mut event: Value = serde_json::from_str(&read("events/api/rollback.json")).expect("a sample is JSON");
    let path = route.path.replace("{model}", "m").replace("{run}", "m-r0001");
    let path = path.replace("{decision}", &names.decision).replace("{operation}", &names.operation);
    let policy = read("crates/local/src/memory/policy.yaml");
    let body = json!({
        "model": "m", "reason": "to see", "choice": "approve", "source": policy.replace("mae", "rmse"), "version": 1,
        "force": true, "number": 1,
    });
    let members: serde_json::Map<String, Value> =
        route.body.iter().filter_map(|(name, ..)| Some(((*name).to_owned(), body.get(*name)?.clone()))).collect();
    event["rawPath"] = path.clone().into();
    event["requestContext"]["http"] = json!({ "method": route.method.name().to_uppercase(), "path": path });
    event["headers"]["if-match"] = shown.into();
    event["headers"]["idempotency-key"] = route.id.into();
    event["rawQueryString"] = if path.starts_with("/retraining") { "model=m" } else { "" }.into();
    event["body"] = Value::Object(members).to_string().into();
    let router = router(recording(&player.world.context()));
    let roles = Roles::parse("admin=ml-approver").expect("a role");
    block_on_ready(answer_event(&router, &roles, &event))
}
