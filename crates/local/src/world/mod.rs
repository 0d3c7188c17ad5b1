//! One machine as the world: SQLite, files and child processes behind the ports, and a bus that delivers real event JSON.
//!
//! Everything that is under way is durable: the queue of the bus, the table's change stream, open executions, the virtual
//! clock. So a killed process continues where it stopped, and because every handler takes duplicates, it ends as if it had
//! never been killed.

mod error;
mod executions;
mod publisher;
mod serving;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{Alert, Clock, DUE_SHARDS, Objects, Ports, Table as _};
use refit_app::use_cases::policy::KnownPolicies;
use refit_app::{Context, ErrorClass, Settings, chain, documents};
use refit_core::Digest;
use refit_core::audit::AuditEntry;
use refit_core::policy::Notification;
use refit_handlers::{Function, Response, handle};
use serde_json::{Value, json};

pub use error::WorldError;
pub(crate) use publisher::OPERATOR;
pub use publisher::{LocalPublisher, envelope};
pub use serving::LocalEndpoints;

use crate::clock::{ManualClock, SystemClock};
use crate::pipeline::{LocalPackages, LocalPipelines, Programs};
use crate::store::{Database, FileObjects, Queued, SqliteTable};

/// The account that local ARNs and events carry.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The bucket of Refit's own documents.
const STATE_BUCKET: &str = "refit-state";
/// The rule that wakes the sweep fires at most this often.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How often a failing event is delivered before it becomes a dead letter.
const MAX_DELIVERIES: u32 = 5;
/// Stream records taken at once.
const STREAM_BATCH: usize = 100;

const DEAD_LETTER: &str = "dead_letter";
const CLOCK: (&str, &str) = ("world", "clock");
const SWEPT: (&str, &str) = ("world", "swept");

/// What a world shows while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment<'a> {
    /// A fact was recorded.
    Fact(&'a AuditEntry),
    /// A step of an execution changed.
    Step {
        /// The run.
        run: &'a str,
        /// The step's name.
        step: &'a str,
        /// Its status.
        status: &'a str,
    },
    /// An event could not be handled.
    Trouble {
        /// The function.
        function: &'a str,
        /// Why, with all causes.
        why: &'a str,
    },
    /// The virtual clock moved.
    Time(Timestamp),
}

/// An event that could not be handled and was given up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// The function.
    pub function: String,
    /// When it was given up.
    pub at: Timestamp,
    /// Why, with all causes.
    pub why: String,
    /// The event.
    pub event: String,
}

/// Whoever watches a world run.
pub type Observer<'a> = dyn FnMut(Moment<'_>) + 'a;

/// How a world is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldOptions {
    /// Its directory.
    pub state: PathBuf,
    /// The programs that container entrypoints stand for.
    pub programs: Programs,
    /// How long an execution takes on the virtual clock.
    pub execution_takes: SignedDuration,
    /// Who hears about what.
    pub notifications: Vec<Notification>,
    /// What is going to be done with it.
    pub access: Access,
}

/// What is going to be done with a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is looked at; any number of processes may.
    Read,
    /// It is driven; one process may at a time.
    Drive,
}

/// One machine as the world.
pub struct World {
    /// What the handlers work with.
    pub context: Context,
    /// The state directory.
    pub state: PathBuf,
    /// The local pipeline service.
    pub pipelines: Arc<LocalPipelines>,
    /// The local endpoints.
    pub endpoints: LocalEndpoints,
    /// The local publisher.
    pub publisher: LocalPublisher,
    /// The local objects.
    pub objects: FileObjects,
    pub(crate) database: Database,
    table: SqliteTable,
    manual_clock: Option<ManualClock>,
    execution_takes: SignedDuration,
    runtime: tokio::runtime::Runtime,
    /// Held, while the world is driven, by the open file.
    _lock: Option<File>,
}

impl World {
    /// Opens a world. It runs on the virtual clock if it did so before or if `begin` gives its first time.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn open(options: &WorldOptions, begin: Option<Timestamp>) -> Result<World, WorldError> {
        let state = std::path::absolute(&options.state).map_err(|source| WorldError::state(&options.state, source))?;
        std::fs::create_dir_all(&state).map_err(|source| WorldError::state(&state, source))?;
        let lock = match options.access {
            Access::Read => None,
            Access::Drive => Some(lock(&state)?),
        };
        let database = Database::open(&state.join("state.sqlite"))?;
        let stored = stored_clock(&database, &state)?;
        let manual_clock = stored.or(begin).map(ManualClock::new);
        let clock: Arc<dyn Clock> = match &manual_clock {
            Some(clock) => Arc::new(clock.clone()),
            None => Arc::new(SystemClock),
        };
        let objects = FileObjects::open(&state.join("objects"), Arc::clone(&clock))?;
        let table = SqliteTable::new(database.clone(), Arc::clone(&clock));
        let packages = LocalPackages::new(database.clone());
        let shared_objects: Arc<dyn Objects> = Arc::new(objects.clone());
        let pipelines = Arc::new(LocalPipelines::new(
            database.clone(),
            Arc::clone(&shared_objects),
            packages.clone(),
            Arc::clone(&clock),
            state.join("executions"),
            options.programs.clone(),
        ));
        let endpoints = LocalEndpoints::new(database.clone());
        let alerts = state.join("alerts.jsonl");
        let publisher =
            LocalPublisher::new(database.clone(), Arc::clone(&clock), &alerts, options.notifications.clone());
        let ports = Ports {
            table: Arc::new(table.clone()),
            objects: shared_objects,
            pipelines: pipelines.clone(),
            packages: Arc::new(packages),
            endpoints: Arc::new(endpoints.clone()),
            publisher: Arc::new(publisher.clone()),
            clock,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|source| WorldError::state(&state, source))?;
        Ok(World {
            context: Context {
                ports,
                settings: Settings { bucket: STATE_BUCKET.to_owned() },
                policies: KnownPolicies::default(),
            },
            state,
            pipelines,
            endpoints,
            publisher,
            objects,
            database,
            table,
            manual_clock,
            execution_takes: options.execution_takes,
            runtime,
            _lock: lock,
        })
    }

    /// Whether there is a world in this directory.
    #[must_use]
    pub fn exists(state: &Path) -> bool {
        state.join("state.sqlite").is_file()
    }

    /// Runs a future of the use cases to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// The events that were given up, oldest first.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn list_dead_letters(&self) -> Result<Vec<DeadLetter>, WorldError> {
        let stored = self.database.list_documents(DEAD_LETTER)?;
        Ok(stored.into_iter().filter_map(|(_, body)| serde_json::from_str(&body).ok()).collect())
    }

    /// Whether time is virtual.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.manual_clock.is_some()
    }

    /// Moves the virtual clock, durably, before anything happens at that time. Never backwards.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn move_clock(&self, to: Timestamp, observer: &mut Observer<'_>) -> Result<(), WorldError> {
        let Some(clock) = self.manual_clock.as_ref().filter(|_| self.now() < to) else { return Ok(()) };
        self.database.put_document(CLOCK.0, CLOCK.1, &to.to_string())?;
        clock.set(to);
        observer(Moment::Time(to));
        Ok(())
    }

    /// Hands a request to a function at once, then lets everything that follows from it happen.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn request(
        &self,
        function: Function,
        event: &Value,
        observer: &mut Observer<'_>,
    ) -> Result<Response, WorldError> {
        let response = self.block_on(handle(function, &self.context, event))?;
        self.settle(observer)?;
        Ok(response)
    }

    /// When something happens next; `None` when nothing ever does.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn next_time(&self) -> Result<Option<Timestamp>, WorldError> {
        let queued = self.database.peek_next_at()?;
        let sweep = self.next_sweep()?;
        let execution = self.next_execution_end()?;
        Ok([queued, sweep, execution].into_iter().flatten().min())
    }

    fn next_sweep(&self) -> Result<Option<Timestamp>, WorldError> {
        let mut due: Option<Timestamp> = None;
        for shard in 0..DUE_SHARDS {
            let page = self.block_on(self.table.list_due(shard, Timestamp::MAX, 1, None))?;
            due = page.items.first().map(|it| it.at).into_iter().chain(due).min();
        }
        let swept = self.database.get_document(SWEPT.0, SWEPT.1)?.and_then(|it| it.parse::<Timestamp>().ok());
        let earliest = swept.and_then(|it| it.checked_add(SWEEP_EVERY).ok());
        Ok(due.map(|due| earliest.map_or(due, |earliest| due.max(earliest))))
    }

    /// Does everything that is due now: the stream, executions, the sweep, the queue. Ends when nothing is due.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn settle(&self, observer: &mut Observer<'_>) -> Result<(), WorldError> {
        self.settle_with(observer, &mut |_, _| Ok(()))
    }

    /// Like [`World::settle`]; `before` is called with each queued event before it is delivered.
    ///
    /// # Errors
    /// See [`WorldError`].
    pub fn settle_with(
        &self,
        observer: &mut Observer<'_>,
        before: &mut dyn FnMut(&World, &Queued) -> Result<(), WorldError>,
    ) -> Result<(), WorldError> {
        loop {
            if self.deliver_stream(observer)? {
                continue;
            }
            if let Some(queued) = self.database.next_due(self.now())? {
                before(self, &queued)?;
                self.deliver(&queued, observer)?;
                continue;
            }
            if self.run_due_executions(observer)? {
                continue;
            }
            match self.next_sweep()? {
                Some(at) if at <= self.now() => self.schedule_sweep()?,
                _ => return Ok(()),
            }
        }
    }

    /// The EventBridge schedule: one event, marked as sent in the same transaction.
    fn schedule_sweep(&self) -> Result<(), WorldError> {
        let now = self.now();
        let event = json!({
            "version": "0",
            "id": format!("sweep-{now}"),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": now,
            "region": "us-east-1",
            "resources": [format!("arn:aws:events:us-east-1:{ACCOUNT}:rule/refit-sweep")],
            "detail": {},
        });
        Ok(self.database.update(|transaction| {
            transaction.put_document(SWEPT.0, SWEPT.1, &now.to_string())?;
            transaction.enqueue(now, Function::Sweep.name(), &event.to_string()).map(|_| ())
        })?)
    }

    /// Hands new entries of the table's stream to the publisher; whether there were any.
    fn deliver_stream(&self, observer: &mut Observer<'_>) -> Result<bool, WorldError> {
        let records = self.table.read_stream(STREAM_BATCH)?;
        let Some(last) = records.last().map(|it| it.seq) else { return Ok(false) };
        for record in &records {
            let Some(item) = self.block_on(self.table.get(&record.key))? else { continue };
            match documents::parse(&item) {
                Ok(entry) => observer(Moment::Fact(&entry)),
                // The publisher parks it and tells people; the world goes on.
                Err(error) => {
                    observer(Moment::Trouble { function: Function::PublishEvents.name(), why: &chain(&error) });
                }
            }
        }
        let event = json!({
            "Records": records.iter().map(|record| json!({
                "eventSource": "aws:dynamodb",
                "eventName": "INSERT",
                "dynamodb": {
                    "Keys": { "pk": { "S": record.key.partition }, "sk": { "S": record.key.sort } },
                    "SequenceNumber": record.seq.to_string(),
                    "StreamViewType": "KEYS_ONLY",
                },
            })).collect::<Vec<_>>(),
        });
        if let Err(error) = self.block_on(handle(Function::PublishEvents, &self.context, &event)) {
            // The stream wakes the publisher and nothing else: the sweep finds what is not published.
            observer(Moment::Trouble { function: Function::PublishEvents.name(), why: &chain(&error) });
        }
        self.table.acknowledge_stream(last)?;
        Ok(true)
    }

    fn deliver(&self, queued: &Queued, observer: &mut Observer<'_>) -> Result<(), WorldError> {
        let Ok(function) = queued.target.parse::<Function>() else {
            // Not a function: a person at the desk, who was asked before this.
            self.database.remove(queued.seq)?;
            return Ok(());
        };
        let event: Value = serde_json::from_str(&queued.body).unwrap_or(Value::Null);
        match self.block_on(handle(function, &self.context, &event)) {
            Ok(response) => {
                if let Some(reason) = response.reason.as_ref().filter(|_| response.outcome == "refused") {
                    observer(Moment::Trouble { function: function.name(), why: reason });
                }
                self.database.remove(queued.seq)?;
            }
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(function = function.name(), attempts = queued.attempts, "delivery failed: {why}");
                observer(Moment::Trouble { function: function.name(), why: &why });
                let attempts = queued.attempts + 1;
                if error.class() == ErrorClass::Bug || MAX_DELIVERIES <= attempts {
                    self.bury(queued, function, &why)?;
                } else {
                    let wait = SignedDuration::from_mins(1i64 << attempts.min(6));
                    let at = self.now().checked_add(wait).unwrap_or(Timestamp::MAX);
                    self.database.postpone(queued.seq, at, attempts)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps an event that cannot be handled where people find it, and tells them.
    fn bury(&self, queued: &Queued, function: Function, why: &str) -> Result<(), WorldError> {
        let letter = DeadLetter {
            function: function.name().to_owned(),
            at: self.now(),
            why: why.to_owned(),
            event: queued.body.clone(),
        };
        let alert = Alert {
            // One alert for each kind of trouble: what fails once is likely to fail again until somebody comes.
            dedupe_id: format!("dead-letter-{}", Digest::of_list(&[function.name(), why]).short()),
            time: self.now(),
            kind: refit_app::ports::AlertKind::Failure,
            model: "fleet".to_owned(),
            subject: format!("Refit: {} could not handle an event", function.name()),
            body: format!(
                "{why}\nThe event is kept as dead letter {}. The sweep goes on looking at the model.",
                queued.seq
            ),
        };
        // People first: whoever dies in between does it again, and a letter that is put away was told.
        self.block_on(self.context.ports.publisher.alert(&alert)).map_err(refit_app::AppError::from)?;
        Ok(self.database.update(|transaction| {
            let id = format!("{:012}", queued.seq);
            transaction.insert_document(DEAD_LETTER, &id, &documents::to_body(&letter))?;
            transaction.remove(queued.seq).map(|_| ())
        })?)
    }
}

/// The time at which a world on the virtual clock stood still; `None` for one that never had a virtual clock.
fn stored_clock(database: &Database, state: &Path) -> Result<Option<Timestamp>, WorldError> {
    let Some(text) = database.get_document(CLOCK.0, CLOCK.1)? else { return Ok(None) };
    // The machine's clock instead would be years off, and every age and cooldown with it.
    text.parse().map(Some).map_err(|error| {
        WorldError::Data(format!("the clock stored in `{}` is damaged (`{text}`): {error}", state.display()))
    })
}

/// Keeps a second process from driving the same world.
fn lock(state: &Path) -> Result<File, WorldError> {
    let file = File::create(state.join("lock")).map_err(|source| WorldError::state(state, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(WorldError::InUse(state.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(WorldError::state(state, source)),
    }
}
