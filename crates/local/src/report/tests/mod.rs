//! The page is well-formed, tells what happened, and nothing in its data becomes markup.

mod fixture;
mod markup;

use std::sync::Arc;

use fixture::Sample;
use markup::Element;
use refit_core::policy::Metric;
use refit_core::trigger::JudgmentKind;

use super::plot::{TimeAxis, segments, value_range};
use super::{STYLE, base64, render, style_hash, text};
use crate::replay::{
    AuditSummary, DataSummary, DecisionSummary, Document, History, Promotion, Quality, QualityMean, QualityWindow,
    RollbackSummary,
};

fn page(sample: &Sample) -> String {
    render(&sample.document, &sample.history, &sample.policy, &sample.alerts)
}

/// The elements with the names of their attributes.
fn skeleton(page: &str) -> Vec<(String, Vec<String>)> {
    let names = |it: Element| (it.name, it.attributes.into_iter().map(|it| it.0).collect());
    markup::read(page).into_iter().map(names).collect()
}

/// Checks what holds for every page.
#[track_caller]
fn check(sample: &Sample) -> String {
    let page = page(sample);
    assert_eq!(page, self::page(sample), "the same twice");
    let elements = markup::read(&page);
    let mut ids = Vec::new();
    for element in &elements {
        let forbidden = [
            "script",
            "img",
            "iframe",
            "link",
            "object",
            "embed",
            "base",
            "form",
            "a:href",
            "use",
            "image",
            "foreignObject",
        ];
        assert!(!forbidden.contains(&element.name.as_str()), "{element:?}");
        for (name, value) in &element.attributes {
            assert!(
                name != "style" && name != "src" && !name.starts_with("on") && !name.starts_with("xlink"),
                "{element:?}"
            );
            assert!(name != "href" || value.starts_with('#'), "{element:?}");
            if name == "id" {
                assert!(!ids.contains(value), "{value} names two elements");
                ids.push(value.clone());
            }
        }
    }
    for (_, target) in elements.iter().flat_map(|it| &it.attributes).filter(|it| it.0 == "href") {
        assert!(ids.contains(&target[1..].to_owned()), "{target} leads nowhere");
    }
    for word in ["NaN", "inf ", "Some(", "None"] {
        assert!(!page.contains(word), "{word}");
    }
    page
}

#[test]
fn a_year_is_told() {
    let page = check(&fixture::year());
    for part in [
        "Kept fresh: MAE <strong>",
        "lower error</strong>.",
        ">version 8 ",
        "Rolled back from version 5 to version 4",
        "rejected",
        "timed out",
        "Holiday weeks are missing",
        "3141592653589",
        "flight-time-d000480",
        "out of memory",
        "verified</span>",
        "refit audit verify flight-time --state DIR",
        "cooldown: the last run was requested",
        "promoted without a person",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[test]
fn nothing_is_told_as_nothing() {
    let page = check(&fixture::empty());
    for part in [
        "No comparison yet",
        "No run was requested",
        "No window has labels yet",
        "No alert was sent",
        "Nothing was held back",
        "none",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn estimates_stand_beside_what_was_measured() {
    let sample = fixture::estimated();
    let page = check(&sample);
    for part in [
        "what was estimated from its scores before labels came",
        "estimated before labels came",
        "The estimates of 52 windows",
        "8.70 \u{b1} 0.392",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Of two plots, an interval for each window, but for one whose error is not known; and a rule of the style.
    let strokes = |page: &str, color: &str| page.matches(&format!("stroke=\"{color}\"")).count();
    assert_eq!(strokes(&page, "#F2CF80"), 2 * 51 + 1);
    assert_eq!(strokes(&page, "#E69F00"), 2 + 1);
    assert_eq!(strokes(&self::page(&fixture::year()), "#E69F00"), 1, "nothing was estimated");
    // Before the first labels there are estimates alone.
    let mut sample = fixture::estimated();
    sample.history.judgments.retain(|it| it.kind != JudgmentKind::Performance);
    assert!(check(&sample).contains("The estimates of 52 windows"));
}

#[test]
fn undefined_numbers_are_dashes() {
    let mut sample = fixture::year();
    for (index, window) in sample.document.quality.windows.iter_mut().enumerate() {
        match index % 4 {
            0 => window.frozen = None,
            1 => window.refit = Some(f64::NAN),
            2 => window.frozen = Some(f64::INFINITY),
            _ => {}
        }
    }
    sample.document.quality.mean = QualityMean { frozen: Some(f64::NAN), refit: None };
    for judgment in &mut sample.history.judgments {
        for feature in &mut judgment.features {
            feature.value = Some(f64::NAN);
            feature.chance = None;
            feature.threshold = f64::INFINITY;
        }
        judgment.quality = None;
    }
    for run in &mut sample.history.runs {
        for comparison in run.evaluation.iter_mut().map(Arc::make_mut).flat_map(|it| it.evidence.metrics.values_mut()) {
            comparison.improvements.values_mut().for_each(|it| it.value = f64::NAN);
        }
    }
    let page = check(&sample);
    assert!(page.contains("No comparison yet"));
}

#[test]
fn the_answer_follows_the_direction() {
    let answer = |metric: Metric, frozen: f64, refit: f64| {
        let mut sample = fixture::year();
        sample.document.quality.metric = metric;
        sample.document.quality.mean = QualityMean { frozen: Some(frozen), refit: Some(refit) };
        let page = check(&sample);
        let (_, rest) = page.split_once("<p class=\"answer\">").expect("an answer");
        let text = rest.split_once("</p>").expect("its end").0;
        // Without tags.
        text.split('<').map(|it| it.split_once('>').map_or(it, |it| it.1)).collect::<String>().replace('\u{a0}', " ")
    };
    for (metric, frozen, refit, expected) in [
        (Metric::Mae, 12.4, 8.9, "Kept fresh: MAE 8.90 over the year, 12.40 if never retrained: 28 % lower error."),
        (
            Metric::Mae,
            8.9,
            12.4,
            "Retraining did not pay off: MAE 12.40 over the year, 8.90 if never retrained: 39 % higher error.",
        ),
        (Metric::Auc, 0.8, 0.88, "Kept fresh: AUC 0.880 over the year, 0.800 if never retrained: 10 % higher AUC."),
        (
            Metric::Auc,
            0.8,
            0.6,
            "Retraining did not pay off: AUC 0.600 over the year, 0.800 if never retrained: 25 % lower AUC.",
        ),
        (Metric::Mae, 8.9, 8.9, "Retraining made no difference: MAE 8.90 over the year, 8.90 if never retrained."),
        (Metric::Mae, 0.0, 8.9, "MAE 8.90 over the year, 0 if never retrained."),
    ] {
        assert_eq!(answer(metric, frozen, refit), expected);
    }
}

const HOSTILE: [&str; 12] = [
    "</script><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "\" onfocus=\"alert(1)\" autofocus=\"",
    "</style><script>alert(1)</script>",
    "</title></text></svg><iframe srcdoc=x>",
    "<!-- ",
    "]]><b>",
    "&lt;b&gt;&#60;i&#62;",
    "\u{202e}gpj.exe\u{2066}",
    "a\0b\n\t\r\u{1b}[31m\u{7f}\u{85}",
    "javascript:alert(1)//`${1}",
];

/// Puts a text wherever somebody else's text can stand.
fn infest(sample: &mut Sample, text: &str) {
    let text = || text.to_owned();
    sample.policy.data.label = text();
    sample.document.data.source = text();
    sample.document.world = text();
    sample.history.head.frozen = Some(text());
    sample.document.rollbacks.iter_mut().for_each(|it| it.reason = text());
    for judgment in &mut sample.history.judgments {
        judgment.reason = text();
        judgment.features.iter_mut().filter(|it| it.name == "distance").for_each(|it| it.name = text());
    }
    for run in &mut sample.history.runs {
        run.requested_by.id = text();
        run.decision = text();
        run.execution = Some(text());
        run.causes.iter_mut().for_each(|it| it.reason = text());
        run.outcome.iter_mut().for_each(|it| it.reason = text());
        run.request.iter_mut().map(std::sync::Arc::make_mut).for_each(|it| {
            it.pipeline = text();
            it.document = serde_json::json!({ "seed": text() }).to_string();
        });
        if let Some(evaluation) = run.evaluation.as_mut().map(Arc::make_mut) {
            evaluation.gates.iter_mut().for_each(|it| it.reasons = vec![text()]);
            evaluation.auto_promotion.reason = text();
        }
    }
    for vote in sample.history.approvals.iter_mut().flat_map(|it| &mut it.votes) {
        vote.by.id = text();
        vote.comment = text();
    }
    for decision in &mut sample.document.decisions {
        decision.id = text();
        decision.reasons = vec![format!("{}; suppressed: {}", text(), text())];
    }
    sample.alerts.iter_mut().for_each(|it| it.subject = text());
}

#[test]
fn hostile_names_stay_text() {
    let mut tame = fixture::year();
    infest(&mut tame, "distance");
    let expected = skeleton(&check(&tame));
    for name in HOSTILE {
        let mut sample = fixture::year();
        infest(&mut sample, name);
        let page = check(&sample);
        assert_eq!(skeleton(&page), expected, "{name:?}");
        assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}') && !page.contains('\0'), "{name:?}");
    }
}

#[test]
fn the_policy_allows_exactly_the_style() {
    let page = check(&fixture::year());
    let (_, rest) = page.split_once("<style>").expect("a style");
    assert_eq!(rest.split_once("</style>").expect("its end").0, STYLE);
    assert_eq!(page.matches("<style").count(), 1);
    let policy =
        format!("default-src 'none'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'", style_hash());
    let elements = markup::read(&page);
    assert!(elements.iter().any(|it| it.attributes.iter().any(|it| it.1 == policy)), "{policy}");
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('\r'));
}

#[test]
fn hashes_are_base64() {
    for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(bytes.as_bytes()), expected);
    }
    // The hash of the empty style, as browsers print it.
    let empty = refit_core::Digest::of(b"");
    let bytes: Vec<u8> =
        (0..32).map(|it| u8::from_str_radix(&empty.hex()[2 * it..2 * it + 2], 16).expect("hexadecimal")).collect();
    assert_eq!(base64(&bytes), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn every_ink_has_a_rule() {
    for element in markup::read(&page(&fixture::year())) {
        for (name, value) in
            element.attributes.iter().filter(|it| it.1.starts_with('#') && (it.0 == "fill" || it.0 == "stroke"))
        {
            assert!(STYLE.contains(&format!(".plot [{name}=\"{value}\"]")), "{name} {value}");
        }
    }
}

#[test]
fn numbers_are_short() {
    for (value, expected) in [
        (0.0, "0"),
        (8.913, "8.91"),
        (0.84123, "0.841"),
        (123.456, "123.5"),
        (-12_345.6, "−12\u{202f}346"),
        (0.000_012, "1.2e−5"),
        (f64::NAN, "–"),
        (f64::INFINITY, "–"),
    ] {
        assert_eq!(text::number(value), expected);
    }
    assert_eq!(text::percent(-0.0341), "−3.4\u{a0}%");
    assert_eq!(text::count(1_234_567), "1\u{202f}234\u{202f}567");
    assert_eq!(text::visible("a\u{202e}b\nc"), "a\\u{202e}b\\u{a}c");
}

#[test]
fn time_axes_name_dates() {
    let labels = |start: &str, end: &str, limit| {
        let axis = TimeAxis::new(start.parse().expect("a time"), end.parse().expect("a time"), limit);
        axis.labels().into_iter().map(|it| it.1).collect::<Vec<_>>().join(" | ")
    };
    for (start, end, limit, expected) in [
        ("2013-01-29T00:00:00Z", "2013-12-31T00:00:00Z", 5, "Mar 2013 | May | Jul | Sep | Nov"),
        ("2013-11-15T00:00:00Z", "2014-03-02T00:00:00Z", 16, "21 Nov 2013 | 28 Nov | 5 Dec | 12 Dec"),
        ("2013-01-01T00:00:00Z", "2013-01-01T00:00:00Z", 5, "1 Jan 00:00"),
        ("2000-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 6, "2000 | 2005 | 2010 | 2015 | 2020 | 2025"),
    ] {
        let found = labels(start, end, limit);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn lines_break_at_undefined_values() {
    let points = [(1, Some(1.0)), (2, None), (3, Some(f64::NAN)), (4, Some(2.0)), (5, Some(3.0))];
    assert_eq!(segments(points.into_iter()), [vec![(1, 1.0)], vec![(4, 2.0), (5, 3.0)]]);
    assert_eq!(value_range([f64::NAN].into_iter(), 0.0), None);
    assert_eq!(value_range([0.05, 1.0].into_iter(), 0.0).map(|it| it.start), Some(0.0));
}
