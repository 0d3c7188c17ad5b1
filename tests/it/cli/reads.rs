//! Commands that look and change nothing.

use expect_test::{expect, expect_file};
use serde_json::json;

use super::setting::SHARED;

#[test]
fn status_tells_what_each_model_does_and_waits_on() {
    SHARED.check_file(&["status"], expect_file!["snapshots/status.txt"]);
}

#[test]
fn status_takes_one_model() {
    assert_eq!(SHARED.json(&["status"]), SHARED.json(&["status", "price"]));
}

#[test]
fn models_are_listed() {
    SHARED.check(
        &["models"],
        expect![[r#"
        $ refit models
        exit 0
        -- stdout
        MODEL  CHAMPION  ACTIVE RUN   RUNS  CHECKED AT
        price  3         price-r0004  4     2026-03-31T00:00:00Z
    "#]],
    );
}

#[test]
fn runs_are_listed_oldest_first() {
    SHARED.check(
        &["runs"],
        expect![[r#"
        $ refit runs
        exit 0
        -- stdout
        RUN          REQUESTED AT          CAUSES            STATUS             VERSION  OUTCOME
        price-r0001  2026-03-06T18:00:00Z  manual            succeeded          1        version 1 is champion
        price-r0002  2026-03-14T12:00:00Z  performance_drop  rejected           2        mae 5.5814, at most 3 is needed
        price-r0003  2026-03-17T12:00:00Z  performance_drop  succeeded          3        version 3 is champion
        price-r0004  2026-03-27T00:00:00Z  age               awaiting_approval  4        -
    "#]],
    );
}

#[test]
fn packages_are_listed_with_their_data_and_quality() {
    SHARED.check(&["packages"], expect![[r#"
        $ refit packages
        exit 0
        -- stdout
        MODEL  VERSION  STATUS     RUN          TRAINED ON                                    ON ITS HOLD-OUT                  PROMOTED AT
        price  1        retired    price-r0001  [2026-03-02T17:00:00Z, 2026-03-05T17:00:00Z)  mae 0.396, rmse 0.563, r2 0.991  2026-03-06T18:12:00Z
        price  2        rejected   price-r0002  [2026-03-10T11:00:00Z, 2026-03-13T11:00:00Z)  mae 5.581, rmse 6.597, r2 0.481  -
        price  3        champion   price-r0003  [2026-03-13T11:00:00Z, 2026-03-16T11:00:00Z)  mae 0.551, rmse 0.720, r2 0.994  2026-03-17T12:12:00Z
        price  4        candidate  price-r0004  [2026-03-22T23:00:00Z, 2026-03-25T23:00:00Z)  mae 0.474, rmse 0.607, r2 0.996  -
    "#]]);
}

#[test]
fn history_tells_what_happened() {
    SHARED.check_file(&["history", "price"], expect_file!["snapshots/history.txt"]);
}

#[test]
fn history_of_all_tells_also_of_quiet_checks() {
    SHARED.check_file(&["history", "--all"], expect_file!["snapshots/history-all.txt"]);
}

#[test]
fn explain_tells_why_a_run_was_started() {
    SHARED.check(&["explain", "price-d000027"], expect![[r#"
        $ refit explain price-d000027
        exit 0
        -- stdout
        price-d000027  2026-03-14T12:00:00Z  price
        retrain as price-r0002: performance_drop
        asked by schedule, policy …, champion version 1
          - performance_drop: [2026-03-13T00:00:00Z, 2026-03-14T00:00:00Z): mae 6.2521 against 0.3963 on the hold-out: +1477.6 %, at least +1046.1 % with 99.9 % confidence; more than 30.0 % worse
          - age: the last retraining was at 2026-03-06T18:12:00Z, within 9d
        all numbers: refit explain price-d000027 --output-format json
    "#]]);
}

#[test]
fn explain_tells_why_a_candidate_was_refused() {
    SHARED.check(
        &["explain", "price-d000032"],
        expect![[r#"
        $ refit explain price-d000032
        exit 0
        -- stdout
        price-d000032  2026-03-14T12:12:00Z  price
        version 2 is rejected: a gate did not pass
        asked by refit, policy …, champion version 1
          - failed: mae 5.5814, at most 3 is needed
          - a gate did not pass
        all numbers: refit explain price-d000032 --output-format json
    "#]],
    );
}

#[test]
fn audit_verify_finds_a_whole_log_whole() {
    SHARED.check(
        &["audit", "verify"],
        expect![[r#"
        $ refit audit verify
        exit 0
        -- stdout
        price: 77 entries, whole and unchanged, adds up to the stored state, head sha256:…
    "#]],
    );
}

#[test]
fn what_is_not_known_is_named_with_the_command_that_lists_it() {
    let all: String = [
        &["status", "prize"][..],
        &["runs", "prize"],
        &["packages", "prize"],
        &["history", "prize"],
        &["audit", "verify", "prize"],
        &["explain", "price-d000999"],
        &["explain", ""],
        &["status", "Not A Model"],
    ]
    .iter()
    .map(|arguments| SHARED.shown(arguments))
    .collect();
    expect![[r#"
        $ refit status prize
        exit 2
        -- stderr
        error: model `prize` is not known: `refit models` lists the models
        $ refit runs prize
        exit 2
        -- stderr
        error: model `prize` is not known: `refit models` lists the models
        $ refit packages prize
        exit 2
        -- stderr
        error: model `prize` is not known: `refit models` lists the models
        $ refit history prize
        exit 2
        -- stderr
        error: model `prize` is not known: `refit models` lists the models
        $ refit audit verify prize
        exit 2
        -- stderr
        error: model `prize` is not known: `refit models` lists the models
        $ refit explain price-d000999
        exit 2
        -- stderr
        error: there is no decision `price-d000999`: `refit history MODEL` lists them
        $ refit explain ''
        exit 2
        -- stderr
        error: there is no decision ``: `refit history MODEL` lists them
        $ refit status 'Not A Model'
        exit 2
        -- stderr
        error: `Not A Model` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
    "#]]
    .assert_eq(&all);
}

#[test]
fn json_has_the_facts_of_the_text() {
    let status = SHARED.json(&["status"]);
    let model = &status["models"][0];
    assert_eq!(model["head"]["champion"], 3);
    assert_eq!(model["active_run"]["id"], "price-r0004");
    assert_eq!(model["approval"]["run"], "price-r0004");
    let text = SHARED.refit(&["status"]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(model["approval"]["basis"].as_str().unwrap()), "{text}");
    assert!(text.contains(model["head"]["performance"]["reason"].as_str().unwrap()), "{text}");

    let heads = SHARED.json(&["models"]);
    assert_eq!(heads[0]["model"], "price");
    let runs = SHARED.json(&["runs"]);
    let statuses: Vec<_> = runs.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(json!(statuses), json!(["succeeded", "rejected", "succeeded", "awaiting_approval"]));
    let packages = SHARED.json(&["packages"]);
    let statuses: Vec<_> = packages.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(json!(statuses), json!(["retired", "rejected", "champion", "candidate"]));
    let all = SHARED.json(&["history", "--all"]);
    let told = SHARED.json(&["history"]);
    assert!(told.as_array().unwrap().len() < all.as_array().unwrap().len());
    assert_eq!(all.as_array().unwrap().len(), model["head"]["audit_seq"].as_u64().unwrap() as usize);
    assert_eq!(SHARED.json(&["explain", "price-d000027"])["id"], "price-d000027");
    let verified = SHARED.json(&["audit", "verify"]);
    assert_eq!(verified["price"]["verified"], true);
    assert_eq!(verified["price"]["entries"], model["head"]["audit_seq"]);
}
