//! Instants from text and numbers, in microseconds since the Unix epoch, UTC.
//!
//! The rules:
//! - `YYYY-MM-DD`, alone (midnight) or followed by `T` or a space and `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`;
//! - then `Z` or an offset `+HH:MM`; without either the time is taken as UTC, so no daylight-saving gap can exist;
//! - years 1 to 9999, days that exist, hours to 23, seconds to 59: leap seconds are refused, digits below a microsecond are cut;
//! - a number in a column declared as time is seconds below 10^11 in magnitude and milliseconds below 10^14. Seconds reach the year 5138 that way;
//!   milliseconds before March 1973 would be misread, which no data of this kind holds. Larger numbers are refused.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z.
const EARLIEST_MICROS: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T23:59:59.999999Z.
const LATEST_MICROS: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// The instant that `text` names, `None` where it names none.
///
/// ```
/// assert_eq!(refit_data::parse_time("1970-01-01 00:00:01"), Some(1_000_000));
/// assert_eq!(refit_data::parse_time("2024-02-30"), None);
/// ```
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let date = bytes.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?);
    if year < 1 {
        return None;
    }
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let midnight = days_since_epoch(date) * SECONDS_PER_DAY * MICROS_PER_SECOND;
    let micros = match bytes.get(10) {
        None => midnight,
        Some(b'T' | b't' | b' ') => midnight + parse_clock(&bytes[11..])?,
        Some(_) => return None,
    };
    in_range(micros)
}

/// Microseconds after midnight UTC that `HH:MM[:SS[.fraction]][zone]` names; below zero or above a day with an offset.
fn parse_clock(bytes: &[u8]) -> Option<i64> {
    if bytes.get(2)? != &b':' {
        return None;
    }
    let (hour, minute) = (digits(&bytes[..2])?, digits(bytes.get(3..5)?)?);
    let mut rest = &bytes[5..];
    let mut second = 0;
    let mut fraction_micros = 0;
    if let [b':', after @ ..] = rest {
        second = digits(after.get(..2)?)?;
        rest = &after[2..];
        if let [b'.', after @ ..] = rest {
            let n_digits = after.iter().take_while(|it| it.is_ascii_digit()).count();
            if n_digits == 0 || 9 < n_digits {
                return None;
            }
            let kept = n_digits.min(6);
            fraction_micros = digits(&after[..kept])? * 10_i64.pow(6 - u32::try_from(kept).ok()?);
            rest = &after[n_digits..];
        }
    }
    if 23 < hour || 59 < minute || 59 < second {
        return None;
    }
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if 23 < hours || 59 < minutes {
                return None;
            }
            let size = hours * 60 + minutes;
            if *sign == b'+' { size } else { -size }
        }
        _ => return None,
    };
    Some(((hour * 60 + minute - offset_minutes) * 60 + second) * MICROS_PER_SECOND + fraction_micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |sum, it| it.is_ascii_digit().then(|| sum * 10 + i64::from(it - b'0')))
}

fn days_since_epoch(date: Date) -> i64 {
    // Howard Hinnant's days_from_civil, for years of 1 and later: years begin in March, so that the leap day ends them.
    let shifted = i64::from(date.year()) - i64::from(date.month() <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let month = (i64::from(date.month()) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(date.day()) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `micros`, unless outside the years 1 to 9999.
pub(crate) fn in_range(micros: i64) -> Option<i64> {
    (EARLIEST_MICROS..=LATEST_MICROS).contains(&micros).then_some(micros)
}

/// The instant that an epoch number names: seconds or milliseconds by magnitude.
pub(crate) fn from_epoch(value: f64) -> Option<i64> {
    const SECONDS_BELOW: f64 = 1e11;
    const MILLISECONDS_BELOW: f64 = 1e14;
    let size = value.abs();
    // NaN and infinity fail both comparisons.
    let micros = if size < SECONDS_BELOW {
        value * 1e6
    } else if size < MILLISECONDS_BELOW {
        value * 1e3
    } else {
        return None;
    };
    in_range(micros.round() as i64)
}

/// `micros` since the epoch as RFC 3339 in UTC, with a fraction only where there is one.
///
/// Instants outside the years 1 to 9999, which no reader returns, are shown at the nearest end of that range.
#[must_use]
pub fn format_time(micros: i64) -> String {
    // Civil time, because jiff's timestamps end a day before the year 9999 does.
    let since_epoch = SignedDuration::from_micros(micros.clamp(EARLIEST_MICROS, LATEST_MICROS));
    let time = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).saturating_add(since_epoch);
    format!("{time}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_an_instant_by_the_stated_rules() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("2022-02-14T17:25:49Z", Some(1_644_859_549_000_000)),
            ("2022-02-14 17:25:49", Some(1_644_859_549_000_000)),
            ("2022-02-14T17:25", Some(1_644_859_500_000_000)),
            ("2022-02-14T19:25:49.1234567+02:00", Some(1_644_859_549_123_456)),
            ("2022-02-15T07:25:49+14:00", Some(1_644_859_549_000_000)),
            ("2013-03-10T02:30:00", Some(1_362_882_600_000_000)),
            ("9999-12-31", Some(253_402_214_400_000_000)),
            ("2024-02-29", Some(1_709_164_800_000_000)),
            ("2024-02-30", None),
            ("2023-02-29", None),
            ("2016-12-31T23:59:60Z", None),
            ("0000-01-01", None),
            ("0001-01-01T00:00:00+01:00", None),
            ("2022-02-14T24:00:00Z", None),
            ("2022-02-14T17:25:49Z[UTC]", None),
            ("2022-02-14T17:25:49+0200", None),
            ("2022-2-14", None),
            ("14/02/2022", None),
            ("2022-02-14X", None),
            ("", None),
            ("2022-02-1é", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text:?}");
        }
    }

    #[test]
    fn days_agree_with_jiff_over_four_centuries() {
        let mut date = Date::new(1799, 12, 31).expect("a date");
        let epoch = Date::new(1970, 1, 1).expect("a date");
        while date.year() < 2200 {
            assert_eq!(days_since_epoch(date), i64::from(epoch.until(date).expect("in range").get_days()), "{date}");
            date = date.saturating_add(jiff::Span::new().days(17));
        }
    }

    #[test]
    fn epoch_numbers_are_seconds_or_milliseconds_by_magnitude() {
        for (value, expected) in [
            (0.0, Some(0)),
            (1_644_859_549.0, Some(1_644_859_549_000_000)),
            (1_644_859_549_123.0, Some(1_644_859_549_123_000)),
            (-1.5, Some(-1_500_000)),
            (1e15, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(from_epoch(value), expected, "{value}");
        }
    }

    #[test]
    fn formatted_instants_parse_back() {
        for micros in [0, -1, 1_644_859_549_123_456, LATEST_MICROS, EARLIEST_MICROS] {
            assert_eq!(parse_time(&format_time(micros)), Some(micros));
        }
    }
}
