//! `init`, `export` and `doctor`: beginning, keeping, looking after.

use expect_test::expect;
use rusqlite::Connection;

use super::setting::{Folder, SHARED};

#[test]
fn what_init_writes_is_valid_and_never_written_over() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("refit.yaml")).unwrap();
    let told: String = [&["init", "new"][..], &["validate", "--config", "new/refit.yaml"], &["init", "new"]]
        .iter()
        .map(|it| folder.shown(it))
        .collect();
    expect![[r#"
        $ refit init new
        exit 0
        -- stdout
        wrote new/refit.yaml and new/pipelines/retrain.json
        Make it yours, then: refit validate --config new/refit.yaml
        $ refit validate --config new/refit.yaml
        exit 0
        -- stdout
        new/refit.yaml is valid: flight-time (policy …)
        $ refit init new
        exit 2
        -- stderr
        error: `new/refit.yaml` exists: nothing was written
    "#]]
    .assert_eq(&told);
    let lint = folder.refit(&["pipeline", "lint", "new/pipelines/retrain.json"]).output().unwrap();
    assert!(lint.status.success());
}

#[test]
fn an_export_holds_everything_and_is_never_written_over() {
    let folder = Folder::with_state();
    folder.check(
        &["export", "--output", "all.json"],
        expect![[r#"
        $ refit export --output all.json
        exit 0
        -- stdout
        all.json: 1 model, audit log up to 77
    "#]],
    );
    folder.check(
        &["export", "--output", "all.json"],
        expect![[r#"
        $ refit export --output all.json
        exit 2
        -- stderr
        error: `all.json` exists: remove it or name another file
    "#]],
    );
    let text = std::fs::read_to_string(folder.path("all.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let model = &document["models"]["price"];
    assert_eq!(document["policy"]["models"][0]["id"], "price");
    assert_eq!(model["audit"].as_array().map(Vec::len), model["head"]["audit_seq"].as_u64().map(|it| it as usize));
    for part in ["runs", "packages", "approvals", "judgments", "decisions"] {
        assert!(model[part].as_array().is_some_and(|it| !it.is_empty()), "{part}");
    }
}

#[test]
fn a_healthy_state_has_no_findings() {
    SHARED.check(
        &["doctor"],
        expect![[r#"
        $ refit doctor
        exit 0
        -- stdout
        7 checks, nothing wrong
    "#]],
    );
}

#[test]
fn the_doctor_finds_what_should_not_be() {
    let folder = Folder::with_state();
    let database = Connection::open(folder.path("state/state.sqlite")).unwrap();
    // The endpoint serves something else, the publisher's cursor is lost, and an event was given up.
    let changed =
        database.execute("UPDATE documents SET body = replace(body, '/price/', '/other/') WHERE kind = 'endpoint'", []);
    assert_eq!(changed, Ok(1));
    assert_eq!(database.execute("DELETE FROM items WHERE partition = 'CURSOR#price'", []), Ok(1));
    let letter = r#"{"function":"sweep","at":"2026-03-01T00:00:00Z","why":"the table was away","event":"{}"}"#;
    let added = database.execute("INSERT INTO documents (kind, id, body) VALUES ('dead_letter', '1', ?1)", [letter]);
    assert_eq!(added, Ok(1));
    drop(database);
    folder.check(
        &["doctor"],
        expect![[r#"
        $ refit doctor
        exit 1
        -- stdout
        price: 77 entries of the log are not published
          hint: the sweep tries again; if it stays so, the event bus or the alert topic does not take messages
        price: endpoint `price` does not serve version 3, the champion
          hint: the next check sets it right; if it does not, look at the endpoint
        fleet: sweep gave up an event at 2026-03-01T00:00:00Z: the table was away
          hint: mend the cause; the sweep goes on looking at the model, the event itself is not needed
        7 checks, 3 problems
    "#]],
    );
}
