//! The API: every route and role by the gateway's events, on copies of the played state; and `refit serve` over a socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use expect_test::expect_file;
use refit_api::{MAX_BODY_BYTES, Method, ROUTES, Role, Roles, answer_event, document, recording, router};
use refit_local::world::{Access, World, WorldOptions};
use serde_json::{Value, json};

use super::setting::{Folder, POLICY, SHARED};

/// An API over a state, as on AWS: it records, and the world does the rest when it is let.
pub(super) struct Desk {
    world: World,
    router: axum::Router,
    roles: Roles,
}

impl Desk {
    pub(super) fn open(folder: &Folder, access: Access) -> Desk {
        let options = WorldOptions {
            state: folder.path("state"),
            programs: refit_local::pipeline::Programs::default(),
            execution_takes: jiff::SignedDuration::from_mins(12),
            notifications: Vec::new(),
            access,
        };
        let world = World::open(&options, None).expect("the played state");
        let router = router(recording(&world.context));
        let roles = Roles::parse("viewer=viewer,operator=operator,approver=approver,admin=admin").expect("roles");
        Desk { world, router, roles }
    }

    /// The status, body and headers that an event of the gateway is answered with.
    pub(super) fn event(&self, event: &Value) -> (u64, Value, Value) {
        let answer = self.world.block_on(answer_event(&self.router, &self.roles, event));
        let body = answer["body"].as_str().expect("a text");
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (answer["statusCode"].as_u64().expect("a status"), body, answer["headers"].clone())
    }

    /// Calls in the name of a role's only member.
    fn call(&self, role: &str, method: &str, path: &str, headers: &Value, body: &Value) -> (u64, Value, Value) {
        self.event(&event(&format!("{role}/ann"), method, path, headers, body))
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (status, body, _) = self.call("viewer", "GET", path, &json!({}), &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    #[track_caller]
    fn post(&self, role: &str, path: &str, key: &str, body: &Value, expected: u64) -> Value {
        let (status, body, _) = self.call(role, "POST", path, &json!({ "idempotency-key": key }), body);
        assert_eq!(status, expected, "{path}: {body}");
        body
    }

    #[track_caller]
    fn vote(&self, key: &str, if_match: Option<&str>, body: &Value, expected: u64) -> Value {
        let mut headers = json!({ "idempotency-key": key });
        if let Some(if_match) = if_match {
            headers["if-match"] = if_match.into();
        }
        let (status, body, _) = self.call("approver", "POST", "/v1/runs/price-r0004/approval", &headers, body);
        assert_eq!(status, expected, "{body}");
        body
    }
}

/// An event of the gateway, signed by an assumed role.
fn event(session: &str, method: &str, path: &str, headers: &Value, body: &Value) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = headers.clone();
    headers["content-type"] = "application/json".into();
    let iam =
        json!({ "userArn": format!("arn:aws:sts::1:assumed-role/{session}"), "userId": format!("AROA:{session}") });
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": query, "headers": headers,
        "requestContext": { "http": { "method": method, "path": path }, "authorizer": { "iam": iam } },
        "body": if body.is_null() { Value::Null } else { body.to_string().into() }, "isBase64Encoded": false,
    })
}

#[test]
fn every_route_asks_for_its_right_and_nobody_gets_in() {
    let desk = Desk::open(&SHARED, Access::Read);
    for route in ROUTES {
        let path = route.path.replace("{model}", "none").replace("{run}", "none-r0001");
        let path = path.replace("{decision}", "none-d000001").replace("{operation}", "none.x");
        let method = route.method.name().to_uppercase();
        let mut anonymous = event("admin/ann", &method, &path, &json!({}), &json!({}));
        anonymous["requestContext"]["authorizer"] = Value::Null;
        assert_eq!(desk.event(&anonymous).0, 401, "{} without a caller", route.id);
        for role in Role::ALL {
            let (status, body, _) = desk.call(role.name(), &method, &path, &json!({}), &json!({ "x": 1 }));
            let is_allowed = role.rights().contains(&route.right);
            assert_eq!(status != 403, is_allowed, "{} as {}: {status} {body}", route.id, role.name());
            // What is asked for is wrong or not there: nothing of it may have been done.
            assert!(route.method == Method::Get || 400 <= status || route.id == "export_retraining", "{}", route.id);
        }
    }
}

#[test]
fn the_document_of_the_api_is_a_snapshot() {
    let text = serde_json::to_string_pretty(&document()).expect("a document") + "\n";
    expect_file!["snapshots/openapi.json"].assert_eq(&text);
}

#[test]
fn what_is_stored_can_be_seen() {
    let desk = Desk::open(&SHARED, Access::Read);
    assert_eq!(desk.get("/v1/models")["items"][0]["id"], "price");
    let (_, model, headers) = desk.call("viewer", "GET", "/v1/models/price", &json!({}), &Value::Null);
    assert_eq!(headers["etag"], format!("\"{}\"", model["head"]["audit_seq"]));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(model["active_run"]["id"], "price-r0004");
    let first = desk.get("/v1/models/price/runs?limit=3");
    assert_eq!(first["next"], "price-r0003");
    let second = desk.get("/v1/models/price/runs?limit=3&after=price-r0003");
    assert_eq!((&second["items"][0]["id"], &second["next"]), (&json!("price-r0004"), &Value::Null));
    assert_eq!(desk.get("/v1/runs/price-r0001")["id"], "price-r0001");
    assert_eq!(desk.get("/v1/runs/price-r0004/approval")["state"], "pending");
    assert_eq!(desk.get("/v1/models/price/audit/verification")["verified"], true);
    let decision = desk.get("/v1/models/price/decisions")["items"][0].clone();
    assert!(decision.is_object());
    assert_eq!(desk.get("/v1/models/price/packages")["items"][0]["version"], 1);
    assert_eq!(desk.get("/retraining/status")["retraining_in_progress"], true);
    assert_eq!(desk.get("/retraining/history?model=price")["items"].as_array().map(Vec::len), Some(4));
    let wrong = [
        ("/v1/models/none", 404),
        ("/v1/models/%2e%2e", 404),
        ("/v1/runs/price-r0099", 404),
        ("/v1/decisions/x", 404),
        ("/v1/operations/price.x", 404),
        ("/v1/else", 404),
        ("/v1/models/price/runs?limit=0", 400),
        ("/v1/models/price/runs?after=forged", 400),
        ("/retraining/status?model=none", 404),
    ];
    for (path, expected) in wrong {
        let (status, body, headers) = desk.call("viewer", "GET", path, &json!({}), &Value::Null);
        assert_eq!(status, expected, "{path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(body["status"], expected, "{path}");
    }
    assert_eq!(desk.call("admin", "PUT", "/v1/models", &json!({}), &Value::Null).0, 405);
}

#[test]
fn events_that_are_not_requests_are_refused() {
    let desk = Desk::open(&SHARED, Access::Read);
    assert_eq!(desk.event(&json!({ "version": "1.0" })).0, 400);
    assert_eq!(desk.event(&json!({})).0, 400);
    let mut post =
        event("admin/ann", "POST", "/v1/models/price/suspend", &json!({ "idempotency-key": "k" }), &json!({}));
    post["isBase64Encoded"] = true.into();
    post["body"] = "%%%".into();
    assert_eq!(desk.event(&post).0, 400);
    post["isBase64Encoded"] = false.into();
    post["body"] = "x".repeat(MAX_BODY_BYTES + 1).into();
    assert_eq!(desk.event(&post).0, 413);
    post["body"] = "{}".into();
    post["headers"]["content-type"] = "text/plain".into();
    assert_eq!(desk.event(&post).0, 415);
    for (body, expected) in
        [("", 422), ("null", 400), ("[]", 400), (r#"{"reason":"a","reason":"b"}"#, 400), (r#"{"because":"a"}"#, 400)]
    {
        post["headers"]["content-type"] = "application/json".into();
        post["body"] = body.into();
        assert_eq!(desk.event(&post).0, expected, "{body}");
    }
}

#[test]
fn a_vote_is_about_what_was_shown_and_counts_once() {
    let folder = Folder::with_state();
    let desk = Desk::open(&folder, Access::Drive);
    let yes = json!({ "choice": "approve", "comment": "good numbers" });
    desk.vote("k1", None, &yes, 428);
    desk.vote("", Some("\"1\""), &yes, 428);
    desk.vote("k1", Some("\"9\""), &yes, 412);
    desk.vote("k2", Some("\"1\""), &json!({ "choice": "approve", "basis": format!("sha256:{}", "0".repeat(64)) }), 409);
    let voted = desk.vote("k3", Some("\"1\""), &yes, 202);
    assert!(voted["outcome"]["recorded"].as_array().is_some_and(|it| !it.is_empty()), "{voted}");
    let again = desk.vote("k3", Some("\"1\""), &yes, 202);
    assert_eq!(again["outcome"]["was_handled"], true);
    desk.vote("k3", Some("\"1\""), &json!({ "choice": "decline" }), 422);
    let operation = desk.get(&format!("/v1/operations/{}", voted["operation"].as_str().expect("a name")));
    assert_eq!(operation["status"], "recorded");
    // The rest is done by whoever the record wakes.
    desk.world.settle(&mut |_| {}).expect("it goes on");
    let audit = desk.get("/v1/models/price/audit?limit=500");
    let voter = audit["items"].as_array().expect("entries").iter().find_map(|it| {
        let actor = &it["event"]["actor"]["id"];
        actor.as_str().filter(|it| it.contains("assumed-role")).map(str::to_owned)
    });
    assert_eq!(voter.as_deref(), Some("arn:aws:sts::1:assumed-role/approver/ann (AROA:approver/ann)"));
}

#[test]
fn requests_are_recorded_or_refused() {
    let folder = Folder::with_state();
    let desk = Desk::open(&folder, Access::Drive);
    let why = json!({ "reason": "stocktaking" });
    desk.post("operator", "/v1/models/price/suspend", "a", &why, 202);
    assert_eq!(desk.get("/v1/models/price")["head"]["suspended"]["reason"], "stocktaking");
    desk.post("operator", "/v1/models/price/resume", "b", &Value::Null, 202);
    desk.post("operator", "/v1/models/price/runs", "c", &json!({ "reason": " " }), 422);
    desk.post("operator", "/v1/models/price/runs", "c", &json!({ "reason": "x", "force": true }), 403);
    let active = desk.post("operator", "/v1/models/price/runs", "c", &json!({ "reason": "x" }), 409);
    assert!(active["detail"].as_str().is_some_and(|it| it.contains("price-r0004 is under way")), "{active}");
    desk.post("operator", "/v1/models/none/runs", "d", &json!({ "reason": "x" }), 404);
    desk.post("operator", "/v1/runs/price-r0004/cancel", "e", &why, 202);
    assert_eq!(desk.get("/v1/runs/price-r0004")["status"], "canceled");
    desk.post("operator", "/v1/runs/price-r0004/cancel", "f", &why, 409);
    // What serves is changed by the function that the record wakes.
    let back = desk.post("approver", "/v1/models/price/rollback", "g", &json!({ "reason": "worse" }), 202);
    assert!(desk.get("/v1/models/price")["head"]["active_rollback"].is_object(), "{back}");
    desk.world.settle(&mut |_| {}).expect("it goes on");
    assert_eq!(desk.get("/v1/models/price")["head"]["active_rollback"], Value::Null);
    let run = desk.post("admin", "/retraining/trigger", "h", &json!({ "reason": "new shop", "force": true }), 202);
    assert_eq!(run["outcome"]["recorded"][0], "run_requested");
    desk.post("operator", "/retraining/stop", "i", &Value::Null, 202);
    assert_eq!(desk.get("/retraining/status")["is_running"], false);
    assert_eq!(desk.get("/v1/models/price/audit/verification")["verified"], true);
}

#[test]
fn a_configuration_replaces_the_one_that_was_shown() {
    let folder = Folder::with_state();
    let desk = Desk::open(&folder, Access::Drive);
    let put = |role: &str, if_match: &str, source: &str, is_dry: bool| {
        let body = json!({ "source": source, "comment": "colder", "dry_run": is_dry });
        desk.call(role, "PUT", "/v1/config", &json!({ "if-match": if_match }), &body)
    };
    let current = desk.get("/v1/config")["entry"]["number"].as_u64().expect("a number");
    let shown = format!("\"{current}\"");
    let changed = POLICY.replace("cooldown: 3d", "cooldown: 5d");
    assert_eq!(put("operator", &shown, &changed, false).0, 403);
    assert_eq!(put("admin", "\"99\"", &changed, false).0, 412);
    let (status, problem, _) = put("admin", &shown, "schema: 1\nmodels: 7\n", false);
    assert_eq!(status, 422);
    assert!(problem["problems"][0]["line"].is_number(), "{problem}");
    let (status, dry, _) = put("admin", &shown, &changed, true);
    assert_eq!((status, &dry["changes"][0]["new"]), (200, &json!("5d")), "{dry}");
    let (status, applied, headers) = put("admin", &shown, &changed, false);
    assert_eq!(status, 200, "{applied}");
    assert_eq!(headers["etag"], format!("\"{}\"", current + 1));
    let (status, again, _) = put("admin", &shown, &changed, false);
    assert_eq!((status, &again["applied"]["was_current"]), (200, &json!(true)), "{again}");
    let back = json!({ "number": current });
    let headers = json!({ "if-match": format!("\"{}\"", current + 1) });
    assert_eq!(desk.call("admin", "POST", "/v1/config/rollback", &headers, &back).0, 200);
    assert_eq!(desk.get("/v1/configs")["items"].as_array().map(Vec::len), Some(3));
}

#[test]
fn refit_serve_answers_this_machine_alone_and_ends_in_order() {
    let folder = Folder::with_state();
    let mut child = folder
        .refit(&["serve", "--port", "0", "--as", "tess", "--output-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("refit starts");
    let mut text = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    while !text.trim_end().ends_with('}') {
        assert_ne!(stdout.read_line(&mut text).expect("reads"), 0, "{text}");
    }
    let document: Value = serde_json::from_str(&text).expect("a document");
    let address = document["api"].as_str().and_then(|it| it.strip_prefix("http://")).expect("an address").to_owned();
    let ask = |method: &str, path: &str, host: &str, headers: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).expect("connects");
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .expect("writes");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("reads");
        text
    };
    assert!(ask("GET", "/v1/models", "localhost:1", "", "").starts_with("HTTP/1.1 200"));
    assert!(ask("GET", "/v1/models", "evil.example", "", "").starts_with("HTTP/1.1 403"));
    let headers = "Content-Type: application/json\r\nIdempotency-Key: k\r\n";
    let answer = ask("POST", "/v1/models/price/suspend", "127.0.0.1", headers, r#"{"reason":"stocktaking"}"#);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(ask("GET", "/v1/models/price", "127.0.0.1", "", "").contains(r#""by":{"id":"tess","kind":"person"}"#));
    let script = format!("kill -s TERM {}", child.id());
    let killed = std::process::Command::new("/bin/sh").args(["-c", &script]).status().expect("a shell");
    assert!(killed.success());
    assert!(child.wait().expect("ends").success());
}
