//! EventBridge cron expressions: `cron(minutes hours day-of-month month day-of-week year)`, in the fleet's time zone.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>. Lists, ranges and steps are
//! read; exactly one of the day fields is `?`. `L`, `W` and `#` are refused by name. Where clocks are moved, a local time
//! that is left out fires once at the end of the shift, and one that comes twice fires at the first, as EventBridge
//! Scheduler does <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Zone;

/// The years that EventBridge accepts.
const YEARS: (u16, u16) = (1970, 2199);
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a schedule: {why}; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year"
)]
pub struct CronError {
    text: String,
    why: String,
}

/// A schedule that can fire: some day of some year matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Vec<u16>,
    hours: Vec<u16>,
    days: DayField,
    months: Vec<u16>,
    years: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayField {
    OfMonth(Vec<u16>),
    /// 1 is Sunday.
    OfWeek(Vec<u16>),
}

impl Cron {
    /// The first time strictly after `time` at which the schedule fires on the clocks of `zone`; `None` when it never does
    /// again.
    #[must_use]
    pub fn next_after(&self, time: Timestamp, zone: &Zone) -> Option<Timestamp> {
        // Later local times never come earlier, repeated and left out ones included: the first found is the next.
        let mut day = zone.date(time);
        let last_year = *self.years.last().expect("invariant: a schedule has a year");
        while u16::try_from(day.year()).is_ok_and(|year| year <= last_year) {
            if self.matches_day(day) {
                for &hour in &self.hours {
                    for &minute in &self.minutes {
                        let at = zone.first_instant(day.at(hour as i8, minute as i8, 0, 0))?;
                        if time < at {
                            return Some(at);
                        }
                    }
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn matches_day(&self, day: Date) -> bool {
        let in_list =
            |list: &[u16], value: i16| u16::try_from(value).is_ok_and(|value| list.binary_search(&value).is_ok());
        in_list(&self.years, day.year())
            && in_list(&self.months, day.month().into())
            && match &self.days {
                DayField::OfMonth(days) => in_list(days, day.day().into()),
                DayField::OfWeek(days) => in_list(days, i16::from(day.weekday().to_sunday_one_offset())),
            }
    }
}

fn parse_value(text: &str, names: &[&str], first_name: u16) -> Option<u16> {
    if let Some(index) = names.iter().position(|it| it.eq_ignore_ascii_case(text)) {
        return u16::try_from(index).ok().map(|index| index + first_name);
    }
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Reads one field into the sorted list of values it matches.
fn parse_field(name: &str, text: &str, (low, high): (u16, u16), names: &[&str]) -> Result<Vec<u16>, String> {
    let refuse = || format!("{name} `{text}` is not within {low} to {high}");
    let mut values = Vec::new();
    for part in text.split(',') {
        if part.contains(['L', 'W', '#']) && !names.iter().any(|it| part.to_ascii_uppercase().contains(it)) {
            return Err(format!("`L`, `W` and `#` in {name} are not built yet"));
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, parse_value(step, &[], 0).filter(|&it| 0 < it).ok_or_else(refuse)?),
            None => (part, 1),
        };
        let (start, end) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((start, end)) => {
                (parse_value(start, names, 1).ok_or_else(refuse)?, parse_value(end, names, 1).ok_or_else(refuse)?)
            }
            None => {
                let start = parse_value(range, names, 1).ok_or_else(refuse)?;
                (start, if part.contains('/') { high } else { start })
            }
        };
        if start < low || high < end || end < start {
            return Err(refuse());
        }
        values.extend((start..=end).step_by(usize::from(step)));
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let refuse = |why: String| CronError { text: shown.clone(), why };
        let inner = text
            .strip_prefix("cron(")
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(|| refuse("it is not of the form `cron(...)`".to_owned()))?;
        let fields: Vec<&str> = inner.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else {
            return Err(refuse(format!("it has {} fields where six are needed", fields.len())));
        };
        let days = match (days, weekdays) {
            ("?", "?") => return Err(refuse("both day fields are `?`".to_owned())),
            ("?", weekdays) => DayField::OfWeek(parse_field("day-of-week", weekdays, (1, 7), &DAYS).map_err(refuse)?),
            (days, "?") => DayField::OfMonth(parse_field("day-of-month", days, (1, 31), &[]).map_err(refuse)?),
            _ => return Err(refuse("exactly one of the day fields must be `?`".to_owned())),
        };
        let cron = Cron {
            text: text.to_owned(),
            minutes: parse_field("minutes", minutes, (0, 59), &[]).map_err(refuse)?,
            hours: parse_field("hours", hours, (0, 23), &[]).map_err(refuse)?,
            days,
            months: parse_field("month", months, (1, 12), &MONTHS).map_err(refuse)?,
            years: parse_field("year", years, YEARS, &[]).map_err(refuse)?,
        };
        match cron.next_after(Timestamp::UNIX_EPOCH, &Zone::utc()) {
            Some(_) => Ok(cron),
            None => Err(refuse("no day matches it".to_owned())),
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, after: &str, expected: &[&str]) {
        check_in("UTC", text, after, expected);
    }

    #[track_caller]
    fn check_in(zone: &str, text: &str, after: &str, expected: &[&str]) {
        let zone: Zone = zone.parse().unwrap_or_else(|error| panic!("{error}"));
        let cron: Cron = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let mut time: Timestamp = after.parse().unwrap_or_else(|error| panic!("{error}"));
        for expected in expected {
            time = cron.next_after(time, &zone).unwrap_or_else(|| panic!("{text} does not fire after {time}"));
            assert_eq!(time.to_string(), *expected, "{text}");
        }
    }

    #[test]
    fn schedules_fire_when_aws_says() {
        check("cron(0 2 * * ? *)", "2013-01-01T02:00:00Z", &["2013-01-02T02:00:00Z", "2013-01-03T02:00:00Z"]);
        check("cron(15 12 * * ? *)", "2013-01-01T12:14:59Z", &["2013-01-01T12:15:00Z"]);
        check("cron(0 18 ? * MON-FRI *)", "2013-01-04T18:00:00Z", &["2013-01-07T18:00:00Z"]);
        check(
            "cron(0/30 8-9 1 * ? *)",
            "2013-01-01T08:00:00Z",
            &["2013-01-01T08:30:00Z", "2013-01-01T09:00:00Z", "2013-01-01T09:30:00Z", "2013-02-01T08:00:00Z"],
        );
        check("cron(0 12 29 2 ? *)", "2013-01-01T00:00:00Z", &["2016-02-29T12:00:00Z"]);
        check("cron(0 0 ? JAN,JUL 1 2014)", "2013-01-01T00:00:00Z", &["2014-01-05T00:00:00Z"]);
    }

    #[test]
    fn local_times_follow_real_shifts() {
        // 2026-03-29 in Berlin: 02:00 becomes 03:00. 02:30 does not exist and fires at the end of the shift, once.
        let half_past_two = "cron(30 2 * * ? *)";
        let spring = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        check_in("Europe/Berlin", half_past_two, "2026-03-28T00:00:00Z", &spring);
        // Everything in the gap and the time at its end is one.
        let hourly = ["2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"];
        check_in("Europe/Berlin", "cron(0/15 * * * ? *)", "2026-03-29T00:30:00Z", &hourly);
        // 2026-10-25 in Berlin: 03:00 becomes 02:00. 02:30 comes twice and fires the first time.
        let autumn = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check_in("Europe/Berlin", half_past_two, "2026-10-24T00:00:00Z", &autumn);
        check_in("America/New_York", half_past_two, "2026-03-08T06:59:59Z", &["2026-03-08T07:00:00Z"]);
        let one = "cron(30 1 * * ? *)";
        check_in("America/New_York", one, "2026-11-01T05:29:59Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
        // Half an hour only: 02:00 becomes 02:30.
        check_in("Australia/Lord_Howe", "cron(15 2 * * ? *)", "2026-10-03T12:00:00Z", &["2026-10-03T15:30:00Z"]);
        // Midnight does not exist on 2018-11-04 in Sao Paulo, and 2011-12-30 not at all in Samoa.
        check_in("America/Sao_Paulo", "cron(0 0 * * ? *)", "2018-11-03T12:00:00Z", &["2018-11-04T03:00:00Z"]);
        let skipped = ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"];
        check_in("Pacific/Apia", "cron(0 12 * * ? *)", "2011-12-29T23:00:00Z", &skipped);
        // A day that begins twice: 2018-02-17 24:00 became 23:00.
        check_in("America/Sao_Paulo", "cron(30 23 * * ? *)", "2018-02-18T01:30:00Z", &["2018-02-19T02:30:00Z"]);
        check_in("Asia/Kolkata", "cron(0 2 * * ? *)", "2026-01-01T00:00:00Z", &["2026-01-01T20:30:00Z"]);
    }

    #[test]
    fn what_cannot_fire_or_is_not_aws_is_refused() {
        let bad = [
            "0 2 * * *",
            "cron(0 2 * * *)",
            "cron(0 2 * * ? * *)",
            "rate(1 hours)",
            "rate(0 minutes)",
            "cron(0 2 30 2 ? *)",
            "cron(0 2 1 * MON *)",
            "cron(0 2 ? * ? *)",
            "cron(60 2 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 2 * 13 ? *)",
            "cron(0 2 L * ? *)",
            "cron(0 2 ? * 2#1 *)",
            "cron(0/0 2 * * ? *)",
            "cron(5-3 2 * * ? *)",
            "cron(0 2 * * ? 1969)",
            "",
        ];
        for text in bad {
            assert!(text.parse::<Cron>().is_err(), "{text}");
        }
    }
}
