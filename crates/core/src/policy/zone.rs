//! Time zones by their IANA name, from the database that is compiled in: the machine's own is never asked.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a time zone: write it like `UTC`, `Europe/Berlin` or `America/New_York`")]
pub struct ZoneError(String);

/// A time zone, named as the IANA database spells it.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Zone {
        Zone { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The date on the wall at `time`.
    #[must_use]
    pub fn date(&self, time: Timestamp) -> Date {
        self.zone.to_datetime(time).date()
    }

    /// When a clock on the wall first shows `local`. A time that a shift leaves out is the end of the shift; one that it
    /// repeats is the first of both. `None` beyond the ends of time.
    #[must_use]
    pub fn first_instant(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let earlier = ambiguous.compatible().ok()?;
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(earlier),
            AmbiguousOffset::Gap { .. } => {
                // `earlier` is as long after the shift as `local` is after the shift's beginning.
                let after = Timestamp::from_second(earlier.as_second() + 1).ok()?;
                self.zone.preceding(after).next().map(|it| it.timestamp())
            }
        }
    }

    /// When a date begins.
    #[must_use]
    pub fn start_of(&self, date: Date) -> Option<Timestamp> {
        self.first_instant(date.at(0, 0, 0, 0))
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        if text == "UTC" {
            return Ok(Zone::utc());
        }
        let error = || ZoneError(text.chars().take(60).flat_map(char::escape_debug).collect());
        let zone = TimeZoneDatabase::bundled().get(text).map_err(|_| error())?;
        // Names are found whatever their case; the stored policy has one spelling.
        match zone.iana_name() {
            Some(name) if name == text => Ok(Zone { name: name.to_owned(), zone }),
            Some(_) | None => Err(error()),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_one_spelling() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
            let zone: Zone = name.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(zone.to_string(), name);
        }
        for name in ["", "utc", "europe/berlin", "Mars/Olympus", "Europe", "+01:00", "CEST", "Europe/Berlin "] {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
    }

    #[test]
    fn days_begin_where_their_zone_says() {
        for (zone, date, expected) in [
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
            // The clocks went from 24:00 to 01:00: the day began at 01:00.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            // The day was left out.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ] {
            let zone: Zone = zone.parse().unwrap_or_else(|error| panic!("{error}"));
            let date: Date = date.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(zone.start_of(date).map(|it| it.to_string()).as_deref(), Some(expected), "{zone} {date}");
        }
    }
}
