//! YAML itself: what surprises is refused, and what is written is what is meant.

use std::fmt::Write as _;

use expect_test::expect;

use super::{FULL, accepted, check, check_text, patched, refused};

#[test]
fn yaml_that_surprises_is_refused() {
    let deep = format!("schema: {}1{}\n", "[".repeat(40), "]".repeat(40));
    let long = format!("schema: 1\n# {}\n", "x".repeat(5_000_000));
    check_text(
        &[
            "",
            "# nothing\n",
            "---\n",
            "~\n",
            "[1, 2]\n",
            "just text\n",
            "schema: 1\n\tfleet: {}\n",
            "schema: 1\nschema: 1\n",
            "schema: 1\n---\nschema: 1\n",
            "schema: [1\n",
            "schema: 1\nfleet: \"open\n",
            "schema: 1\nfleet: a: b\n",
            "fleet: &a { concurrent_runs: 3 }\n",
            "fleet: *a\n",
            "fleet:\n  <<: { concurrent_runs: 3 }\n",
            "fleet: !!python/object:os.system { concurrent_runs: 3 }\n",
            "fleet: !secret { concurrent_runs: 3 }\n",
            "1: x\n",
            "? [a, b]\n: c\n",
            "~: x\n",
            "schema: 1\nfleet: a\u{0}b\n",
            "schema: 1\nfleet: \"a\\0b\"\n",
            "schema: 1\u{1b}[2J\n",
            &deep,
            &long,
        ],
        expect![[r#"
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: the document is empty: it declares a fleet, beginning with `schema: 1`
            1:1: expected a map, found a list
            1:1: expected a map, found the text `just text`
            2:1: a tab in the indentation; YAML is indented by spaces
            1:1: required key `models` is missing
            2:1: schema: duplicate key `schema`; it is first given at line 1, column 1
            2:1: a second document begins here; one file holds one document
            2:1: schema[1]: not YAML: while parsing a flow sequence, expected ',' or ']'
            2:8: fleet: not YAML: while scanning a quoted scalar, found unexpected end of stream
            2:9: not YAML: mapping values are not allowed in this context
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: anchor `&a`: anchors and aliases are not read; write the value out
            1:8: fleet: alias `*a`: anchors and aliases are not read; write the value out
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            2:3: fleet: merge key `<<`: merge keys are not read; write the keys out
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: tag `!!python/object:os.system`: tags are not read; remove it
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:8: fleet: tag `!secret`: tags are not read; remove it
            1:1: a key is a text; put `1` in quotes
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            1:3: a key is a text, not a list or a map
            1:1: a key is a text; put `~` in quotes
            1:1: required key `schema` is missing
            1:1: required key `models` is missing
            2:9: control character U+0000; remove it
            1:1: required key `models` is missing
            2:8: fleet: the text holds the control character U+0000; remove it
            1:10: control character U+001B; remove it
            1:40: schema[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: nested deeper than 32 levels
            1:1: the text has 5000013 bytes; at most 4194304 are read
        "#]],
    );
}

#[test]
fn billions_of_laughs_are_refused_quickly() {
    let mut text = String::from("a: &a [lol, lol]\n");
    for (name, before) in ('b'..='z').zip('a'..='y') {
        writeln!(text, "{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]")
            .unwrap_or_default();
    }
    let problems = refused(&text);
    assert!(problems.0.iter().any(|it| it.message.starts_with("anchor `&a`")), "{problems}");
    assert!(problems.0.iter().any(|it| it.message.starts_with("alias `*a`")), "{problems}");
}

#[test]
fn scalars_mean_what_the_schema_says() {
    for text in ["NO", "on", "off", "y", "1:30", "0o17", "0x1f", "1_000", "2013-01-01", "'null'", "'12'", "été"] {
        let policy = accepted(&patched("label: air_time", &format!("label: {text}")));
        assert_eq!(policy.models[0].data.label, text.trim_matches('\''));
    }
    check(
        &[
            ("label: air_time", "label: ~"),
            ("label: air_time", "label:"),
            ("label: air_time", "label: null"),
            ("label: air_time", "label: true"),
            ("label: air_time", "label: 12"),
            ("min_rows: 200", "min_rows: 0o17"),
            ("min_rows: 200", "min_rows: 1:30"),
            ("min_rows: 200", "min_rows: NO"),
            ("min_rows: 200", "min_rows: ~"),
        ],
        expect![[r#"
            20:14: models[0].data.label: expected a text, found nothing
            20:12: models[0].data.label: expected a text, found nothing
            20:14: models[0].data.label: expected a text, found nothing
            20:14: models[0].data.label: expected a text, found `true`; put it in quotes to mean a text
            20:14: models[0].data.label: expected a text, found the number `12`; put it in quotes to mean a text
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `0o17`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `1:30`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found the text `NO`
            34:67: models[0].triggers.drift.min_rows: expected a whole number, found nothing
        "#]],
    );
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_text() {
    let text = FULL
        .replace("share: 0.5", "share: 5")
        .replace("treshold: 0.25", "threshold: 0.25")
        .replace("id: flight-time", "id: flight_time")
        .replace("label: air_time", "lable: air_time")
        .replace("concurrent_runs: 3", "concurrent_runs: 0")
        .replace("cooldown: 6d", "cooldown: 6")
        .replace("mode: auto\n", "mode: manual\n");
    let problems = refused(&text);
    assert!(problems.0.is_sorted_by_key(|it| (it.line, it.column)));
    expect![[r#"
        refit.yaml:2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
         2 | fleet: { concurrent_runs: 0, timezone: UTC }
           |                           ^
        refit.yaml:6:9: models[0].id: `flight_time` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
         6 |   - id: flight_time
           |         ^
        refit.yaml:15:5: models[0].data: required key `label` is missing
        15 |     data:
           |     ^
        refit.yaml:20:7: models[0].data.lable: unknown key `lable`; did you mean `label`?
        20 |       lable: air_time
           |       ^
        refit.yaml:34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
        34 |       drift: { metric: ks, threshold: 0.25, share: 5, min_rows: 200 }
           |                                                    ^
        refit.yaml:37:17: models[0].triggers.cooldown: `6` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
        37 |       cooldown: 6
           |                 ^
        refit.yaml:43:21: models[0].promotion.auto_promote: `promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`
        43 |       auto_promote: { metric: r2, mode: error_reduction, min_improvement: 0.1, lower_bound_above: 0.01 }
           |                     ^
    "#]].assert_eq(&problems.render("refit.yaml", &text));
    expect![[r#"
        a/refit.yaml:2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
        a/refit.yaml:6:9: models[0].id: `flight_time` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
        a/refit.yaml:15:5: models[0].data: required key `label` is missing
        a/refit.yaml:20:7: models[0].data.lable: unknown key `lable`; did you mean `label`?
        a/refit.yaml:34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
        a/refit.yaml:37:17: models[0].triggers.cooldown: `6` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
        a/refit.yaml:43:21: models[0].promotion.auto_promote: `promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`"#]].assert_eq(&problems.display("a/refit.yaml").to_string());
}

#[test]
fn excerpts_are_short_and_free_of_control_characters() {
    let text = patched("label: air_time", &format!("label: [{}, 1]", "x".repeat(5_000)));
    let problems = refused(&text);
    let shown = problems.render("refit.yaml", &text);
    assert!(shown.lines().all(|it| it.chars().count() < 200), "{shown}");
    let text = "schema: 1\nfleet: \u{1b}[2J\n";
    assert!(!refused(text).render("refit.yaml", text).contains('\u{1b}'));
}
