//! What people ask for, each test on a state of its own.

use expect_test::{expect, expect_file};
use rusqlite::Connection;
use serde_json::Value;

use super::setting::{Folder, json_of};

/// Several command lines, one after the other.
fn session(folder: &Folder, lines: &[&[&str]]) -> String {
    lines.iter().map(|it| folder.shown(it)).collect()
}

#[test]
fn a_run_is_triggered_once_and_again_only_by_force() {
    let folder = Folder::with_state();
    let lines: &[&[&str]] = &[
        &["trigger", "price", "--reason", "new shop", "--as", "eve"],
        &["decline", "price-r0004", "--as", "maria", "--comment", "not now"],
        &["trigger", "price", "--reason", "new shop", "--as", "eve"],
        &["decline", "price-r0005", "--as", "maria"],
        &["trigger", "price", "--reason", "new shop", "--as", "eve"],
        &["trigger", "price", "--reason", "new shop", "--as", "eve", "--force"],
    ];
    expect_file!["snapshots/trigger.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn a_request_repeated_with_its_id_counts_once() {
    let folder = Folder::with_state();
    let decline = ["decline", "price-r0004", "--as", "maria", "--request-id", "1"];
    let first = folder.json(&decline);
    assert_eq!(first["outcome"]["recorded"], serde_json::json!(["approval_voted", "run_ended"]));
    folder.check(
        &decline,
        expect![[r#"
        $ refit decline price-r0004 --as maria --request-id 1
        exit 0
        -- stdout
        done before, nothing repeated: version 3 of price is champion; price-r0004 rejected: maria declined
    "#]],
    );
}

#[test]
fn a_request_that_makes_no_sense_is_bad_input() {
    let folder = Folder::with_state();
    let before = folder.json(&["status"]);
    let lines: &[&[&str]] = &[
        &["trigger", "prize", "--reason", "new shop"],
        &["trigger", "price", "--reason", " "],
        &["trigger", "price", "--reason", "new shop", "--as", ""],
        &["approve", "price-r0099"],
        &["approve", "price"],
        &["approve", "price-r0004", "--basis", "sha256:12"],
        &["rollback", "prize", "--reason", "complaints"],
        &["rollback", "price", "--reason", "complaints", "--from", "three"],
    ];
    expect_file!["snapshots/senseless.txt"].assert_eq(&session(&folder, lines));
    assert_eq!(folder.json(&["status"]), before);
}

#[test]
fn a_candidate_is_approved_as_it_was_shown_and_only_once() {
    let folder = Folder::with_state();
    let other = format!("sha256:{}", "0".repeat(64));
    let basis = folder.json(&["status"])["models"][0]["approval"]["basis"].as_str().unwrap().to_owned();
    let lines: &[&[&str]] = &[
        &["approve", "price-r0004", "--as", "maria", "--basis", &other],
        &["approve", "price-r0004", "--as", "maria", "--basis", &basis],
        &["approve", "price-r0004", "--as", "maria"],
        &["decline", "price-r0003", "--as", "maria"],
        &["models"],
    ];
    expect_file!["snapshots/approve.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn whoever_asked_for_a_run_cannot_approve_it() {
    let folder = Folder::with_state();
    session(&folder, &[&["decline", "price-r0004"], &["trigger", "price", "--reason", "new shop", "--as", "eve"]]);
    folder.check(
        &["approve", "price-r0005", "--as", "eve"],
        expect![[r#"
        $ refit approve price-r0005 --as eve
        exit 1
        -- stdout
        refused: eve asked for this run and cannot approve it: another person has to
    "#]],
    );
}

#[test]
fn the_champion_is_taken_back_once() {
    let folder = Folder::with_state();
    let lines: &[&[&str]] = &[
        &["rollback", "price", "--reason", "complaints", "--from", "1"],
        &["rollback", "price", "--reason", "complaints", "--from", "3"],
        &["rollback", "price", "--reason", "complaints"],
        &["rollback", "price", "--reason", "complaints", "--from", "1"],
        &["status"],
        &["audit", "verify"],
    ];
    expect_file!["snapshots/rollback.txt"].assert_eq(&session(&folder, lines));
}

#[test]
fn json_tells_what_came_of_a_request() {
    let folder = Folder::with_state();
    let refused = folder.refit(&["approve", "price-r0003"]);
    let refused = json_of(refused);
    assert!(refused["outcome"]["refused"].is_string(), "{refused}");
    let declined = folder.json(&["decline", "price-r0004", "--comment", "not now"]);
    assert_eq!(declined["outcome"]["refused"], Value::Null);
    assert_eq!(declined["last_run"]["status"], "rejected");
    assert_eq!(declined["champion"], 3);
}

/// The log after somebody changed the database by hand.
fn verified_after(statement: &str) -> String {
    let folder = Folder::with_state();
    let database = Connection::open(folder.path("state/state.sqlite")).expect("a database");
    let changed = database.execute(statement, []).expect("valid SQL");
    assert_ne!(changed, 0, "{statement}");
    drop(database);
    assert_eq!(folder.json(&["audit", "verify"])["price"]["verified"], false);
    folder.shown(&["audit", "verify"])
}

/// The entry numbers in sort keys are padded.
const ENTRY: &str = "partition LIKE 'AUDIT#%' AND sort LIKE '%0000027'";

#[test]
fn a_changed_entry_is_found() {
    expect![[r#"
        $ refit audit verify
        exit 1
        -- stdout
        price: BROKEN, the chain holds for the first 26 entries
          entry 27 was changed: its hash does not match its content
          event 28 does not follow the log: the hash of the event before differs
    "#]]
    .assert_eq(&verified_after(&format!(
        "UPDATE items SET body = replace(body, '30.0 % worse', '20.0 % worse') WHERE {ENTRY}"
    )));
}

#[test]
fn a_missing_entry_is_found() {
    expect![[r#"
        $ refit audit verify
        exit 1
        -- stdout
        price: BROKEN, the chain holds for the first 26 entries
          entry 28 stands where 27 belongs
          event 28 does not follow event 26
    "#]]
    .assert_eq(&verified_after(&format!("DELETE FROM items WHERE {ENTRY}")));
}

#[test]
fn a_cut_tail_is_found() {
    expect![[r#"
        $ refit audit verify
        exit 1
        -- stdout
        price: BROKEN, the chain holds for the first 74 entries
          the log ends at entry 74, HEAD says 77: the tail was cut or HEAD was changed
          the log does not add up to HEAD as stored
          the log does not add up to the judgments as stored
    "#]].assert_eq(&verified_after(
        "DELETE FROM items WHERE rowid IN (SELECT rowid FROM items WHERE partition LIKE 'AUDIT#%' ORDER BY sort DESC LIMIT 3)",
    ));
}

#[test]
fn an_entry_that_is_no_entry_any_more_is_found() {
    expect![[r#"
        $ refit audit verify
        exit 1
        -- stdout
        price: BROKEN, the chain holds for the first 26 entries
          stored document `AUDIT#price / 000000000027` does not parse: invalid type: string "event", expected struct AuditEntry at line 1 column 7
    "#]].assert_eq(&verified_after(&format!("UPDATE items SET body = substr(body, 2) WHERE {ENTRY}")));
}

#[test]
fn a_changed_run_is_found() {
    expect![[r#"
        $ refit audit verify
        exit 1
        -- stdout
        price: BROKEN, the chain holds for the first 77 entries
          the log does not add up to the runs as stored
    "#]]
    .assert_eq(&verified_after(
        "UPDATE items SET body = replace(body, 'rejected', 'succeeded') WHERE sort LIKE 'RUN#%0002'",
    ));
}
