//! The clock that is served: the machine's, or a virtual one that survives the process.

use jiff::Timestamp;
use refit_app::ports::{BoxError, Clock};

use crate::clock::{ManualClock, SystemClock};
use crate::store::Database;

const CLOCK: (&str, &str) = ("world", "clock");

/// A clock for every process of an emulated cloud: `REFIT_CLOCK_URL` points at it. Clones are handles on the same clock.
#[derive(Debug, Clone)]
pub struct ServedClock {
    manual: Option<ManualClock>,
    database: Database,
}

impl ServedClock {
    /// The virtual clock that the database holds, or a new one that begins at `begin`, or the machine's.
    pub(super) fn open(database: Database, begin: Option<Timestamp>) -> Result<ServedClock, BoxError> {
        let stored = database.get_document(CLOCK.0, CLOCK.1)?.map(|text| text.parse::<Timestamp>()).transpose()?;
        if let (None, Some(begin)) = (stored, begin) {
            database.put_document(CLOCK.0, CLOCK.1, &begin.to_string())?;
        }
        Ok(ServedClock { manual: stored.or(begin).map(ManualClock::new), database })
    }

    /// Whether time is virtual.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.manual.is_some()
    }

    /// Sets a virtual clock, durably.
    pub(super) fn set(&self, to: Timestamp) -> Result<(), String> {
        let Some(clock) = &self.manual else {
            return Err("time is the machine's here; start with a virtual clock to set it".to_owned());
        };
        let now = clock.now();
        if to < now {
            return Err(format!("the clock shows {now} and does not go back to {to}"));
        }
        self.database
            .put_document(CLOCK.0, CLOCK.1, &to.to_string())
            .map_err(|error| crate::pipeline::chain(&error))?;
        clock.set(to);
        Ok(())
    }
}

impl Clock for ServedClock {
    fn now(&self) -> Timestamp {
        match &self.manual {
            Some(clock) => clock.now(),
            None => SystemClock.now(),
        }
    }
}
