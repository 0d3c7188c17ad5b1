//! Names and words that try to break out of a line, a terminal or a page.

use expect_test::expect;

use super::setting::{Folder, POLICY, REPLAY, rows};

/// Whatever a terminal might act upon.
#[track_caller]
fn assert_harmless(text: &str) {
    let harmful = |it: char| (it.is_control() && it != '\n') || ('\u{202a}'..='\u{202e}').contains(&it);
    assert!(!text.contains(harmful), "{}", text.escape_debug());
}

#[test]
fn words_of_people_stay_in_their_line() {
    let folder = Folder::with_state();
    let comment = "fine\u{1b}[2J\n    1  2026-03-06 18:00  all is well\u{202e}";
    let told = folder.shown(&["decline", "price-r0004", "--as", "eve\u{7}", "--comment", comment]);
    let told = told + &folder.shown(&["runs"]) + &folder.shown(&["history"]) + &folder.shown(&["status"]);
    assert_harmless(&told);
    assert!(!told.contains("\n    1  2026-03-06 18:00  all is well"), "{told}");
    let decision = folder.json(&["history"]).as_array().unwrap().last().unwrap()["event"]["cause"].clone();
    assert_harmless(&folder.shown(&["explain", decision.as_str().unwrap()]));
}

#[test]
fn names_on_the_command_line_are_quoted_harmlessly() {
    let told: String =
        [&["status", "pri\u{1b}[31mce"][..], &["explain", "price\n-d000001"], &["approve", "price\u{202e}-r0001"]]
            .iter()
            .map(|it| super::setting::SHARED.shown(it))
            .collect();
    assert_harmless(&told);
    expect![[r#"
        $ refit status 'pri\u{1b}[31mce'
        exit 2
        -- stderr
        error: `pri\u{1b}[31mce` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
        $ refit explain 'price\n-d000001'
        exit 2
        -- stderr
        error: there is no decision `price
          -d000001`: `refit history MODEL` lists them
        $ refit approve 'price\u{202e}-r0001'
        exit 2
        -- stderr
        error: `price\u{202e}-r0001` is not a run id: it looks like `flight-time-r0003`
    "#]]
    .assert_eq(&told);
}

#[test]
fn categories_and_values_of_the_data_are_quoted_harmlessly() {
    let folder = Folder::new();
    folder.write("rows.csv", rows().replacen(",0,", ",\u{1b}[2Jzero,", 1));
    let told = folder.shown(REPLAY);
    assert!(told.contains("exit 2"), "{told}");
    assert_harmless(&told);
    folder.write("rows.csv", rows().replacen("shop", "shop\u{1b}]0;owned\u{7}", 1));
    let told = folder.shown(REPLAY);
    assert!(told.contains("exit 2"), "{told}");
    assert_harmless(&told);
}

#[test]
fn names_in_a_policy_are_quoted_harmlessly() {
    let folder = Folder::new();
    folder.write("refit.yaml", POLICY.replace("id: price", "id: \"pri\u{202e}ce\\e[2J\""));
    let told = folder.shown(&["validate"]);
    assert!(told.contains("exit 2"), "{told}");
    assert_harmless(&told);
}

#[test]
fn the_report_shows_names_of_the_data_as_text() {
    let folder = Folder::new();
    let name = "</script><img src=x onerror=alert(1)>";
    let policy = POLICY.replace("weight: numeric", &format!("\"{name}\": numeric"));
    folder.write(
        "refit.yaml",
        policy.replace(
            "performance:",
            "drift: { metric: psi, threshold: 0.2, share: 0.1, min_rows: 20 }\n      performance:",
        ),
    );
    let shop = "\"west\u{1b}[2J</script><script>alert(2)</script>\"";
    folder.write("rows.csv", rows().replacen("weight", name, 1).replace("west", shop));
    let told = folder.shown(REPLAY);
    assert_harmless(&told);
    assert!(told.contains("exit 0"), "{told}");
    assert_harmless(&(folder.shown(&["history", "--all"]) + &folder.shown(&["status"])));
    let report = std::fs::read_to_string(folder.path("state/report.html")).unwrap();
    assert!(report.contains("&lt;/script&gt;"), "the name is not in the report");
    assert!(!report.contains("<img src=x") && !report.contains("<script>alert"), "{report}");
    assert!(!report.contains('\u{1b}'));
}
