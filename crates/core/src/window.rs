//! Half-open intervals of event time.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::Span;

/// The times from `start` (included) to `end` (excluded); `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The first time in it.
    pub start: Timestamp,
    /// The first time after it.
    pub end: Timestamp,
}

impl Window {
    /// Whether `time` lies in it.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }

    /// The windows of length `size` that end after `after` and at or before `until`, oldest first, at most `limit`.
    #[must_use]
    pub fn closed(size: Span, after: Timestamp, until: Timestamp, limit: usize) -> Vec<Window> {
        let mut windows = Vec::new();
        let mut start = size.floor(after);
        while windows.len() < limit {
            let end = size.after(start);
            if until < end || end <= start {
                break;
            }
            if after < end {
                windows.push(Window { start, end });
            }
            start = end;
        }
        windows
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_close_when_their_end_has_passed() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{error}"));
        let size = Span::days(1);
        let closed = |after, until| {
            Window::closed(size, time(after), time(until), 3).iter().map(|it| it.end.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(closed("2013-01-01T00:00:00Z", "2013-01-01T23:59:59Z"), Vec::<String>::new());
        assert_eq!(closed("2013-01-01T00:00:00Z", "2013-01-02T00:00:00Z"), ["2013-01-02T00:00:00Z"]);
        assert_eq!(closed("2013-01-01T12:00:00Z", "2013-01-09T00:00:00Z").len(), 3);
    }
}
