//! What was live, and how runs, versions and decisions came about.

use expect_test::{expect, expect_file};

use super::setting::SHARED;

#[test]
fn what_was_live_is_told_with_its_reasons() {
    SHARED.check_file(&["history", "price", "--at", "2026-03-20T00:00:00Z"], expect_file!["snapshots/live.txt"]);
    assert_eq!(
        SHARED.json(&["history", "price", "--at", "2026-03-20"]),
        SHARED.json(&["history", "--at", "2026-03-20T01:00:00+01:00"]),
        "a date is its beginning in UTC"
    );
}

#[test]
fn a_tenure_ends_where_the_next_begins() {
    let live = |at: &str| SHARED.json(&["history", "price", "--at", at])["models"][0]["live"].clone();
    let (first, second) = (live("2026-03-17T12:11:59Z"), live("2026-03-17T12:12:00Z"));
    assert_eq!((&first["version"], &second["version"]), (&1.into(), &3.into()));
    assert_eq!(first["ended"], second["began"]);
    assert_eq!(first["followed_by"], 3);
    assert!(second["ended"].is_null());
    assert_eq!(second["origin"]["run"], "price-r0003");
    assert!(second["artifact"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn before_the_first_champion_nothing_was_live() {
    let told: String = ["2026-03-06T18:00:00Z", "2020-01-01", "2099-01-01", "2026-03-20 12:00", "yesterday"]
        .iter()
        .map(|at| SHARED.shown(&["history", "price", "--at", at]))
        .collect();
    expect![[r#"
        $ refit history price --at 2026-03-06T18:00:00Z
        exit 1
        -- stdout
        price at 2026-03-06T18:00:00Z: nothing was live, the first champion came at 2026-03-06T18:12:00Z
        $ refit history price --at 2020-01-01
        exit 1
        -- stdout
        price at 2020-01-01T00:00:00Z: nothing was live, it is under watch since 2026-03-06T18:00:00Z
        $ refit history price --at 2099-01-01
        exit 2
        -- stderr
        error: 2099-01-01T00:00:00Z has not come yet, it is 2026-03-31T01:30:01Z: `refit status` shows what is live now
        $ refit history price --at '2026-03-20 12:00'
        exit 2
        -- stderr
        error: `2026-03-20 12:00` is not a time: write it like `2013-07-01T12:00:00Z` or `2013-07-01`
        $ refit history price --at yesterday
        exit 2
        -- stderr
        error: `yesterday` is not a time: write it like `2013-07-01T12:00:00Z` or `2013-07-01`
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_run_is_explained_from_trigger_to_promotion() {
    SHARED.check_file(&["explain", "price-r0003"], expect_file!["snapshots/explain-run.txt"]);
    let explained = SHARED.json(&["explain", "price-r0003"]);
    let facts: Vec<&str> = explained["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["entry"]["event"]["fact"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!((facts[0], *facts.last().unwrap()), ("run_requested", "model_promoted"));
    assert_eq!(explained["chain"][0]["decision"]["kind"], "check");
}

#[test]
fn a_version_is_explained() {
    SHARED.check_file(&["explain", "price-v2"], expect_file!["snapshots/explain-version.txt"]);
}

#[test]
fn a_decision_is_asked_again() {
    let told = SHARED.shown(&["explain", "price-d000027", "--replay"]);
    assert!(told.contains("the same answer, byte for byte") && told.contains("exit 0"), "{told}");
    assert_eq!(SHARED.json(&["explain", "price-d000027", "--replay"])["replay"]["is_equal"], true);
    SHARED.check(
        &["audit", "replay"],
        expect![[r#"
        $ refit audit replay
        exit 0
        -- stdout
        price: 55 decisions asked again, each answer is the recorded one, byte for byte
    "#]],
    );
    let replayed = SHARED.json(&["audit", "replay", "price"]);
    assert!(replayed["price"].as_array().unwrap().iter().all(|it| it["is_equal"] == true), "{replayed}");
}

#[test]
fn what_cannot_be_explained_is_said() {
    let told: String = [
        &["explain", "price-r0099"][..],
        &["explain", "price-v99"],
        &["explain", "prize-v1"],
        &["explain", "price-r0003", "--replay"],
    ]
    .iter()
    .map(|arguments| SHARED.shown(arguments))
    .collect();
    expect![[r#"
        $ refit explain price-r0099
        exit 2
        -- stderr
        error: there is no run `price-r0099`: `refit runs` lists them
        $ refit explain price-v99
        exit 2
        -- stderr
        error: there is no version 99 of price: `refit packages price` lists them
        $ refit explain prize-v1
        exit 2
        -- stderr
        error: there is no version 1 of prize: `refit packages prize` lists them
        $ refit explain price-r0003 --replay
        exit 2
        -- stderr
        error: only a decision can be asked again: `refit audit replay` asks all of them
    "#]]
    .assert_eq(&told);
}
