//! Half-open intervals of event time.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::WindowPolicy;

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

    /// The windows that end after `after` and at or before `until`, oldest first, at most `limit`.
    #[must_use]
    pub fn closed(policy: &WindowPolicy, after: Timestamp, until: Timestamp, limit: usize) -> Vec<Window> {
        let mut windows = Vec::new();
        // A size never exceeds its hop, so the window before this one ends at or before `after`.
        let mut start = policy.hop.floor(after);
        while windows.len() < limit {
            let end = policy.size.after(start);
            let next = policy.hop.after(start);
            if until < end || end <= start || next <= start {
                break;
            }
            if after < end {
                windows.push(Window { start, end });
            }
            start = next;
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

    use crate::policy::Span;

    /// The ends of at most three windows of `size` every `hop` hours, in hours since the epoch.
    #[track_caller]
    fn check((size, hop): (i64, i64), after: i64, until: i64, expected: &[(i64, i64)]) {
        let policy = WindowPolicy { size: Span::hours(size), hop: Span::hours(hop), lateness: Span::ZERO };
        let time = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap_or_default();
        let hours: Vec<(i64, i64)> = Window::closed(&policy, time(after), time(until), 3)
            .iter()
            .map(|it| (it.start.as_second() / 3_600, it.end.as_second() / 3_600))
            .collect();
        assert_eq!(hours, expected);
    }

    #[test]
    fn windows_close_when_their_end_has_passed() {
        check((24, 24), 0, 23, &[]);
        check((24, 24), 0, 24, &[(0, 24)]);
        check((24, 24), 12, 24, &[(0, 24)]);
        check((24, 24), 24, 47, &[]);
        check((24, 24), 12, 240, &[(0, 24), (24, 48), (48, 72)]);
    }

    #[test]
    fn a_gap_belongs_to_no_window() {
        check((6, 24), 0, 6, &[(0, 6)]);
        check((6, 24), 0, 29, &[(0, 6)]);
        check((6, 24), 0, 30, &[(0, 6), (24, 30)]);
        // In the gap the window before is judged, and the next not yet begun.
        check((6, 24), 6, 29, &[]);
        check((6, 24), 10, 30, &[(24, 30)]);
        check((6, 24), 25, 30, &[(24, 30)]);
        check((6, 24), 30, 54, &[(48, 54)]);
    }

    #[test]
    fn windows_are_aligned_to_the_epoch_by_their_hop() {
        check((5, 7), 100, 117, &[(98, 103), (105, 110), (112, 117)]);
        check((5, 7), -14, 0, &[(-14, -9), (-7, -2)]);
    }

    #[test]
    fn windows_are_half_open() {
        let time = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap_or_default();
        let window = Window { start: time(0), end: time(1) };
        assert!(window.contains(time(0)) && !window.contains(time(1)));
    }
}
