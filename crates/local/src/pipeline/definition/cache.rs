//! Whether results of a step may be reused, and how old they may be.
//!
//! The notation is that of <https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-caching-enabling.html>: an ISO 8601
//! duration in either case, whose `P` may be left out, as in `P30D`, `30d` or `T12H`.

use jiff::fmt::temporal::SpanParser;
use jiff::tz::TimeZone;
use jiff::{SpanFieldwise, Timestamp};
use serde_json::Value;

use super::Problem;
use super::node::Node;

/// How long a result may be reused. Always positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheExpiry(SpanFieldwise);

impl CacheExpiry {
    fn parse(text: &str) -> Option<CacheExpiry> {
        let upper = text.to_ascii_uppercase();
        let span = SpanParser::new().parse_span(format!("P{}", upper.strip_prefix('P').unwrap_or(&upper))).ok()?;
        span.is_positive().then(|| CacheExpiry(span.fieldwise()))
    }

    /// Whether a result of `made_at` may be used at `now`: from then on, and before the duration is over. Months and
    /// years are those of the calendar in UTC.
    #[must_use]
    pub fn allows(self, made_at: Timestamp, now: Timestamp) -> bool {
        let end = made_at.to_zoned(TimeZone::UTC).checked_add(self.0.0);
        made_at <= now && end.map_or(true, |end| now < end.timestamp())
    }
}

/// Reads the `CacheConfig` of a step.
pub(super) fn read(step: &Node<'_>, type_name: &str, found: &mut Vec<Problem>) -> Option<CacheExpiry> {
    let config = step.child("CacheConfig")?;
    config.only(&["Enabled", "ExpireAfter"], &[], found);
    let is_enabled = match config.child("Enabled").map(|it| it.value) {
        Some(Value::Bool(is_enabled)) => *is_enabled,
        None => false,
        Some(_) => {
            config.report(found, "`Enabled` must be true or false".to_owned());
            return None;
        }
    };
    if is_enabled && !["Processing", "Training"].contains(&type_name) {
        config.report(found, format!("a {type_name} step is never reused; remove `CacheConfig`"));
    }
    let expiry = config.child("ExpireAfter").and_then(|it| {
        let text = it.text(found)?;
        let expiry = CacheExpiry::parse(&text);
        if expiry.is_none() {
            it.report(found, format!("`{text}` is not a duration above zero; write one like `P30D` or `T12H`"));
        }
        expiry
    });
    if is_enabled && config.child("ExpireAfter").is_none() {
        config.report(found, "`ExpireAfter` is missing; say how old a result may be, for example `P30D`".to_owned());
    }
    expiry.filter(|_| is_enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, last: &str, first_after: &str) {
        let expiry = CacheExpiry::parse(text).expect("a duration");
        let time = |text: &str| text.parse::<Timestamp>().expect("time");
        let made_at = time("2013-01-31T00:00:00Z");
        assert!(expiry.allows(made_at, made_at), "{text}");
        assert!(expiry.allows(made_at, time(last)) && !expiry.allows(made_at, time(first_after)), "{text}");
        assert!(!expiry.allows(made_at, time("2013-01-30T23:59:59Z")), "a result of the future");
    }

    #[test]
    fn durations_are_those_of_sagemaker() {
        check("P30D", "2013-03-01T23:59:59Z", "2013-03-02T00:00:00Z");
        check("30d", "2013-03-01T23:59:59Z", "2013-03-02T00:00:00Z");
        check("T16m", "2013-01-31T00:15:59Z", "2013-01-31T00:16:00Z");
        check("30dT5h", "2013-03-02T04:59:59Z", "2013-03-02T05:00:00Z");
        check("p1m", "2013-02-27T23:59:59Z", "2013-02-28T00:00:00Z");
        check("5y", "2018-01-30T23:59:59Z", "2018-01-31T00:00:00Z");
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "P", "30", "P0D", "-P1D", "a day", "P1D2"] {
            assert_eq!(CacheExpiry::parse(text), None, "{text}");
        }
    }
}
