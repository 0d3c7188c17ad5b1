//! Lengths of time as people type them: `90s`, `15m`, `1h30m`, `7d`.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in whole seconds, never negative, at most ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// Ten years: longer than any model is watched without a new policy.
const MAX_SECONDS: i64 = 3_660 * 86_400;

const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years")]
pub struct SpanError(String);

impl Span {
    /// No time.
    pub const ZERO: Span = Span(0);

    /// A length of `seconds`, for constants.
    #[must_use]
    pub const fn from_const_seconds(seconds: u32) -> Span {
        Span(seconds as i64)
    }

    /// A length of `seconds`; negative ones become zero.
    #[must_use]
    pub fn seconds(seconds: i64) -> Span {
        Span(seconds.clamp(0, MAX_SECONDS))
    }

    /// A length of `minutes`.
    #[must_use]
    pub fn minutes(minutes: i64) -> Span {
        Span::seconds(minutes.saturating_mul(60))
    }

    /// A length of `hours`.
    #[must_use]
    pub fn hours(hours: i64) -> Span {
        Span::seconds(hours.saturating_mul(3_600))
    }

    /// A length of `days` of 24 hours.
    #[must_use]
    pub fn days(days: i64) -> Span {
        Span::seconds(days.saturating_mul(86_400))
    }

    /// The length in seconds.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0
    }

    /// The time this long after `time`; saturates at the end of time.
    #[must_use]
    pub fn after(self, time: Timestamp) -> Timestamp {
        time.checked_add(SignedDuration::from_secs(self.0)).unwrap_or(Timestamp::MAX)
    }

    /// The time this long before `time`; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, time: Timestamp) -> Timestamp {
        time.checked_sub(SignedDuration::from_secs(self.0)).unwrap_or(Timestamp::MIN)
    }

    /// The last multiple of this length since the Unix epoch that is at or before `time`.
    #[must_use]
    pub fn floor(self, time: Timestamp) -> Timestamp {
        let size = self.0.max(1);
        Timestamp::from_second(time.as_second().div_euclid(size) * size).unwrap_or(Timestamp::MIN)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        // Weeks are read but not written: days are what people compare.
        for (unit, size) in UNITS.into_iter().skip(1) {
            if size <= rest {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.chars().take(40).flat_map(char::escape_debug).collect());
        let mut total: i64 = 0;
        let mut digits = String::new();
        let mut last_size = i64::MAX;
        for character in text.chars() {
            if character.is_ascii_digit() {
                digits.push(character);
                continue;
            }
            let (_, size) = UNITS.into_iter().find(|(unit, _)| *unit == character).ok_or_else(error)?;
            let count: i64 = digits.parse().map_err(|_| error())?;
            if last_size <= size {
                return Err(error());
            }
            last_size = size;
            total = count.checked_mul(size).and_then(|it| it.checked_add(total)).ok_or_else(error)?;
            digits.clear();
        }
        if text.is_empty() || !digits.is_empty() || MAX_SECONDS < total {
            return Err(error());
        }
        Ok(Span(total))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_write() {
        for (text, seconds, written) in [
            ("90s", 90, "1m30s"),
            ("15m", 900, "15m"),
            ("1h30m", 5_400, "1h30m"),
            ("7d", 604_800, "7d"),
            ("2w", 1_209_600, "14d"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(span.as_seconds(), seconds);
            assert_eq!(span.to_string(), written);
            assert_eq!(written.parse(), Ok(span));
        }
    }

    #[test]
    fn what_is_not_a_span_is_refused() {
        for text in
            ["", "7", "d", "-1d", "1.5h", "1h1h", "1m1h", "1y", "99999999999999999999d", "4000d", " 1d", "1d\n", "0x1d"]
        {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn floors_are_aligned_to_the_epoch() {
        let time: Timestamp = "2013-01-02T03:04:05Z".parse().unwrap_or_else(|_| unreachable!());
        assert_eq!(Span::hours(1).floor(time).to_string(), "2013-01-02T03:00:00Z");
        assert_eq!(Span::days(1).floor(time).to_string(), "2013-01-02T00:00:00Z");
        assert_eq!(
            Span::days(1).floor(Timestamp::from_second(-1).unwrap_or_default()).to_string(),
            "1969-12-31T00:00:00Z"
        );
    }
}
