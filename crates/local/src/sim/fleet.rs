//! A whole fleet over a simulated year: whether every check happens in time, every run's turn comes, and what it costs.
//!
//! No faults: what is asked here is whether the control plane keeps up. Each model is checked daily and retrained on its
//! own day of the month; executions take an hour; a person approves each model's first champion, the numbers the others.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use refit_app::documents::{head_key, parse, slots_key};
use refit_app::ports::{AlertKind, Clock, Table};
use refit_app::queries::{list_audit, verify_audit};
use refit_app::{AppError, chain};
use refit_core::ModelId;
use refit_core::audit::Fact;
use refit_core::model::Head;
use refit_core::plan::Slots;
use refit_core::policy::{Policy, read};
use refit_handlers::Function;

use super::base::{beginning, model_id, vote};
use super::checks::Violation;
use crate::memory::{Delivered, Ending, MemoryWorld, Outputs, PARAMETERS, poll, scheduled_event};

/// The rule that wakes the sweep.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(30);
/// How long an execution takes.
const EXECUTION_TAKES: SignedDuration = SignedDuration::from_hours(1);
/// How often a model is checked.
const CHECK_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Above what the events between two sweeps can be, for each model.
const MAX_DELIVERIES: usize = 60;

/// How large a fleet, for how long.
#[derive(Debug, Clone, Copy)]
pub struct FleetSize {
    /// Models.
    pub models: usize,
    /// Days.
    pub days: i64,
    /// Slots.
    pub slots: usize,
}

/// What a fleet's year was like.
#[derive(Debug, Clone, Default)]
pub struct FleetYear {
    /// Calls of functions.
    pub wake_ups: u64,
    /// The time of each function's call, as counts by power of two of microseconds.
    pub histogram: [u64; 32],
    /// Wall time.
    pub took: Duration,
    /// Audit entries.
    pub entries: u64,
    /// Checks.
    pub checks: u64,
    /// Runs that were started.
    pub runs: u64,
    /// Promotions.
    pub promotions: u64,
    /// The longest time between two checks of a model.
    pub longest_between_checks: SignedDuration,
    /// The longest time that a run waited for a slot.
    pub longest_wait: SignedDuration,
    /// The time that half of the runs waited at most.
    pub median_wait: SignedDuration,
    /// The most slots that were held at an instant.
    pub most_slots: usize,
}

impl FleetYear {
    /// The time within which a share of all wake-ups was done, in microseconds, rounded up to a power of two.
    #[must_use]
    pub fn quantile_micros(&self, share: f64) -> u64 {
        let mut left = (share * self.wake_ups as f64).ceil() as u64;
        for (power, count) in self.histogram.iter().enumerate() {
            if left <= *count {
                return 1 << power;
            }
            left -= count;
        }
        u64::MAX
    }
}

/// The policy: each model on its own day of the month and hour.
fn policy(size: FleetSize) -> Policy {
    let mut text = format!("schema: 1\nfleet: {{ concurrent_runs: {} }}\nmodels:\n", size.slots);
    for index in 0..size.models {
        let (id, day, hour) = (model_id(index), 1 + index % 28, index / 28 % 24);
        write!(
            text,
            "  - id: {id}
    task: regression
    pipeline: {{ definition: retrain.json, timeout: 6h }}
    data:
      reference: s3://data/reference/
      capture: s3://data/capture/{id}/
      labels: s3://data/labels/{id}/
      time: ts
      label: y
      features: {{ x: numeric }}
    window: {{ size: 1d, lateness: 1h }}
    training: {{ window: 7d, holdout: 8d }}
    triggers:
      check_every: 1d
      schedule: \"cron(0 {hour} {day} * ? *)\"
    gates:
      - {{ metric: mae, max: 15 }}
    promotion: {{ mode: auto, auto_promote: {{ metric: mae, min_improvement: 0.05, lower_bound_above: 0 }}, expires: 7d }}
    rollout: {{ strategy: immediate }}
"
        )
        .expect("invariant: writing to a string succeeds");
    }
    read(&text).unwrap_or_else(|problems| panic!("the policy of the fleet is wrong: {problems:?}"))
}

struct Year {
    size: FleetSize,
    world: MemoryWorld,
    year: FleetYear,
    /// Executions under way, with their ends.
    open: Vec<(String, Timestamp)>,
    alerts_read: usize,
    votes: u64,
}

/// Hears which day it is.
pub type DayProgress<'a> = &'a dyn Fn(i64);

/// Plays a fleet's year.
///
/// # Errors
/// The first promise that was not kept.
pub fn play_fleet(size: FleetSize, progress: DayProgress<'_>) -> Result<FleetYear, Violation> {
    let begun = Instant::now();
    let mut world = MemoryWorld::new(beginning());
    world.keep_warm();
    for index in 0..size.models {
        world.pipelines.define(&format!("{}-retrain", model_id(index)), &PARAMETERS);
    }
    world.apply_policy(&policy(size), beginning()).unwrap_done().map_err(|error| broken("C1", &error))?;
    let mut year = Year { size, world, year: FleetYear::default(), open: Vec::new(), alerts_read: 0, votes: 0 };
    for day in 0..size.days {
        let end = year.world.clock.now().checked_add(CHECK_EVERY).unwrap_or(Timestamp::MAX);
        while year.world.clock.now() < end {
            year.half_hour()?;
        }
        year.check_heads()?;
        progress(day + 1);
    }
    year.add_up()?;
    year.year.took = begun.elapsed();
    Ok(year.year)
}

fn broken(id: &'static str, error: &AppError) -> Violation {
    Violation::new(id, chain(error))
}

impl Year {
    fn half_hour(&mut self) -> Result<(), Violation> {
        self.world.clock.advance(SWEEP_EVERY);
        self.world.send(scheduled_event());
        self.deliver()?;
        let now = self.world.clock.now();
        for arn in self.world.pipelines.open() {
            if !self.open.iter().any(|(known, _)| *known == arn) {
                self.open.push((arn, now.checked_add(EXECUTION_TAKES).unwrap_or(now)));
            }
        }
        let (ended, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().partition(|(_, end)| *end <= now);
        self.open = open;
        for (arn, _) in ended {
            let ending = Ending::Succeeded(Outputs::of_errors(4.0, 9.0));
            self.world.pipelines.finish(&arn, &ending).map_err(|error| Violation::new("I1", error.to_string()))?;
        }
        self.deliver()?;
        self.approve()
    }

    fn deliver(&mut self) -> Result<(), Violation> {
        for _ in 0..MAX_DELIVERIES * self.size.models.max(10) {
            self.world.pump();
            let Some(next) = self.world.queue.pop_front() else { return Ok(()) };
            let begun = Instant::now();
            let delivered = self.world.call(next.function, &next.event);
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
            self.year.wake_ups += 1;
            // Rounded up to the next power of two.
            let power = (64 - (micros - 1).leading_zeros()).min(31);
            self.year.histogram[power as usize] += 1;
            match delivered {
                Delivered::Answered(_) => {}
                Delivered::Failed(error) => return Err(broken("I1", &error)),
                Delivered::Killed => return Err(Violation::new("I1", "a function waits for ever")),
            }
            self.check_slots()?;
        }
        Err(Violation::new("I1", "the bus does not come to rest"))
    }

    fn check_slots(&mut self) -> Result<(), Violation> {
        let item = poll(async { self.world.table.get(&slots_key()).await }).unwrap_done();
        let Some(item) = item.map_err(|error| broken("I1", &error.into()))? else { return Ok(()) };
        let slots: Slots = parse(&item).map_err(|error| broken("I4", &error))?;
        self.year.most_slots = self.year.most_slots.max(slots.holders.len());
        if self.size.slots < slots.holders.len() {
            return Err(Violation::new("L1", format!("{} slots are held", slots.holders.len())));
        }
        Ok(())
    }

    /// A person says yes to whatever asks.
    fn approve(&mut self) -> Result<(), Violation> {
        let alerts = self.world.publisher.alerts_from(self.alerts_read);
        self.alerts_read += alerts.len();
        for alert in alerts.iter().filter(|it| it.kind == AlertKind::Approval) {
            let id: ModelId = alert.model.parse().map_err(|error| Violation::new("I4", format!("{error}")))?;
            let Some(run) = self.head(&id)?.active_run else { continue };
            self.votes += 1;
            let event = vote(&format!("v{}", self.votes), run.as_ref(), "bob", "approve");
            self.world.queue.push_back(crate::memory::Delivery::new(Function::PromoteModel, event, 0));
        }
        self.deliver()
    }

    fn head(&self, id: &ModelId) -> Result<Head, Violation> {
        let item = poll(async { self.world.table.get(&head_key(id)).await }).unwrap_done();
        let item = item.map_err(|error| broken("I1", &error.into()))?;
        let item = item.ok_or_else(|| Violation::new("I4", format!("{id} has no HEAD")))?;
        parse(&item).map_err(|error| broken("I4", &error))
    }

    /// Every model was checked within its period.
    fn check_heads(&self) -> Result<(), Violation> {
        let now = self.world.clock.now();
        for index in 0..self.size.models {
            let id = id_of(index)?;
            let late = now.duration_since(self.head(&id)?.checked_at);
            if CHECK_EVERY + SWEEP_EVERY < late {
                return Err(Violation::new("E4", format!("{id} was not checked for {late:#}")));
            }
        }
        Ok(())
    }

    /// What the logs say about the year.
    fn add_up(&mut self) -> Result<(), Violation> {
        let mut waits = Vec::new();
        for index in 0..self.size.models {
            let id = id_of(index)?;
            let table = &self.world.table;
            let entries = poll(async { list_audit(table, &id).await }).unwrap_done();
            let entries = entries.map_err(|error| broken("I4", &error))?;
            self.year.entries += entries.len() as u64;
            let (mut checked, mut queued) = (None::<Timestamp>, None::<Timestamp>);
            for event in entries.iter().map(|it| &it.event) {
                match &event.fact {
                    Fact::TriggersChecked { .. } | Fact::RunRequested { .. } => {
                        if let Some(before) = checked.replace(event.at) {
                            let gap = event.at.duration_since(before);
                            self.year.longest_between_checks = self.year.longest_between_checks.max(gap);
                        }
                        self.year.checks += 1;
                    }
                    Fact::RunQueued { .. } => queued = Some(event.at),
                    Fact::RunStarting { .. } => {
                        self.year.runs += 1;
                        waits.extend(queued.take().map(|it| event.at.duration_since(it)));
                    }
                    Fact::ModelPromoted { .. } => self.year.promotions += 1,
                    _ => {}
                }
            }
        }
        waits.sort_unstable();
        self.year.longest_wait = waits.last().copied().unwrap_or_default();
        self.year.median_wait = waits.get(waits.len() / 2).copied().unwrap_or_default();
        // The log of one model is enough to see that it is whole; the schedules check each.
        let first = id_of(0)?;
        let report = poll(async { verify_audit(&self.world.table, &first).await }).unwrap_done();
        let report = report.map_err(|error| broken("U2", &error))?;
        if report.verified { Ok(()) } else { Err(Violation::new("U2", report.problems.join("; "))) }
    }
}

fn id_of(index: usize) -> Result<ModelId, Violation> {
    model_id(index).parse().map_err(|error| Violation::new("I4", format!("{error}")))
}
