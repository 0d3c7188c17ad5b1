//! Plays a time-ordered file through the loop on a virtual clock.
//!
//! Traffic is scored by the current champion and captured, labels arrive after their delay, checks run on schedule, runs
//! really train; the first champion, never retrained, is the yardstick. A killed replay that is repeated on its state goes
//! on where it stopped and ends with the same document: everything random is seeded, every time is virtual.

mod document;
mod input;
mod operator;
mod quality;
mod traffic;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::Alert;
use refit_app::queries::{get_head, verify_audit};
use refit_app::use_cases::policy::apply;
use refit_core::policy::{ModelPolicy, Policy, Span};
use refit_core::run::RunStatus;
use refit_core::{Actor, Digest, ObjectUri};
use refit_data::{Column, Frame, Values, write_parquet};
use refit_handlers::Function;

pub use document::{
    ApprovalSummary, AuditSummary, DataSummary, DecisionSummary, Document, Ending, History, MetricSummary, Promotion,
    Quality, QualityMean, QualityWindow, RollbackSummary, RunSummary, VerdictSummary, VoteSummary,
};
pub use input::Rows;
pub use operator::{Action, Script, Scripted};
pub use traffic::{DataFile, Position, capture_files, label_file};

use self::traffic::Traffic;
use crate::world::{OPERATOR, Observer, World, WorldError, WorldOptions};

/// How long before the end of the warm-up the first champion is asked for.
const HEAD_START: SignedDuration = SignedDuration::from_hours(6);
const INPUT: (&str, &str) = ("replay", "input");

/// What is to be played.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPlan {
    /// The rows.
    pub rows: Rows,
    /// The policy; exactly one model.
    pub policy: Policy,
    /// The pipeline definition.
    pub definition: String,
    /// How long rows only train the first champion; the first tenth of the span when absent.
    pub warmup: Option<Span>,
    /// The people.
    pub script: Script,
}

/// What a replay led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The document; its report is not rendered yet.
    pub document: Document,
    /// Everything stored about the model.
    pub history: History,
    /// What people were told, oldest first.
    pub alerts: Vec<Alert>,
}

/// Times of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The first row.
    pub start: Timestamp,
    /// From here on rows count.
    pub warmup_end: Timestamp,
    /// Nothing happens after.
    pub end: Timestamp,
}

impl ReplayPlan {
    /// The model that is played.
    ///
    /// # Errors
    /// When the policy has not exactly one.
    pub fn model(&self) -> Result<&ModelPolicy, WorldError> {
        match &self.policy.models[..] {
            [model] => Ok(model),
            models => Err(WorldError::Data(format!("a replay plays one model, the policy has {}", models.len()))),
        }
    }

    /// When what happens.
    ///
    /// # Errors
    /// When nothing is left after the warm-up.
    pub fn times(&self) -> Result<Times, WorldError> {
        let model = self.model()?;
        let start = self.rows.time(0);
        let last = self.rows.time(self.rows.count() - 1);
        let span = last.duration_since(start);
        let warmup = self.warmup.map_or(span / 10, |it| SignedDuration::from_secs(it.as_seconds()));
        let begin = start.checked_add(warmup).map_or(last, |it| Span::hours(1).floor(it));
        if last <= begin {
            let source = &self.rows.source;
            if span.is_zero() {
                return Err(WorldError::Data(format!(
                    "{source}: all rows are of {start}; a replay needs rows to train from and rows to play after them"
                )));
            }
            return Err(WorldError::Data(format!(
                "{source}: no rows are left after the warm-up, which ends at {begin}; shorten it with --warmup"
            )));
        }
        let data = &model.data;
        let settled = data.label_maturity.after(data.label_delay.after(model.window.lateness.after(last)));
        // One second on, so that the last row lies before the end.
        Ok(Times { start, warmup_end: begin, end: Span::seconds(1).after(settled) })
    }

    /// When the first champion is asked for: long enough before the end of the warm-up to be trained and approved.
    ///
    /// # Errors
    /// As [`ReplayPlan::times`].
    pub fn begin(&self) -> Result<Timestamp, WorldError> {
        let end = self.times()?.warmup_end;
        Ok(end.checked_sub(HEAD_START).unwrap_or(end))
    }

    /// The reference data: the rows of the warm-up as a Parquet file, and where it goes.
    ///
    /// # Errors
    /// As [`ReplayPlan::times`].
    pub fn reference(&self) -> Result<(ObjectUri, Vec<u8>), WorldError> {
        let model = self.model()?;
        let rows: Vec<usize> = (0..self.rows.first_at(self.times()?.warmup_end)).collect();
        let mut columns = vec![
            Column {
                name: "id".to_owned(),
                values: Values::Categorical(rows.iter().map(|row| Some(self.rows.ids[*row].as_str())).collect()),
            },
            Column {
                name: model.data.time.clone(),
                values: Values::Time(rows.iter().map(|row| Some(self.rows.times[*row])).collect()),
            },
            Column { name: model.data.label.clone(), values: self.rows.label_values(model.task, &rows) },
        ];
        columns.extend(self.rows.features.take(&rows).into_columns());
        let frame = Frame::new(columns).map_err(|error| WorldError::Data(error.to_string()))?;
        let uri = model.data.reference.join("warmup.parquet").map_err(|error| WorldError::Data(error.to_string()))?;
        Ok((uri, write_parquet(&frame)))
    }

    fn digest(&self) -> Digest {
        let digest = self.rows.digest.to_string();
        let definition = Digest::of(self.definition.as_bytes()).to_string();
        let warmup = self.warmup.map(|it| it.to_string()).unwrap_or_default();
        Digest::of_list(&[
            &digest,
            self.policy.digest().as_ref(),
            &definition,
            &warmup,
            Digest::of_json(&self.script).as_ref(),
        ])
    }
}

/// Plays a plan on the state of `options`, from the beginning or from where an earlier process stopped.
///
/// # Errors
/// See [`WorldError`].
pub fn replay(options: &WorldOptions, plan: &ReplayPlan, observer: &mut Observer<'_>) -> Result<Replayed, WorldError> {
    let model = plan.model()?;
    let times = plan.times()?;
    let begin = plan.begin()?;
    let world = World::open(options, Some(begin))?;
    prepare(&world, plan, model, times, begin)?;
    let first_row = plan.rows.first_at(times.warmup_end);
    let mut traffic = Traffic::resume(&world, &plan.rows, model, first_row)?;
    loop {
        world.settle_with(observer, &mut |world, queued| {
            let target = queued.target.as_str();
            // Whoever looks at the data, or changes what serves, comes after the traffic of before.
            if target == Function::CheckTriggers.name() || target == Function::PromoteModel.name() {
                traffic.flush(world, world.now())?;
            }
            if target == OPERATOR {
                operator::operate(world, queued, &plan.script, &plan.rows, model, |action| {
                    script_time(plan, times, action)
                })?;
            }
            Ok(())
        })?;
        stop_without_champion(&world, model)?;
        match world.next_time()?.filter(|it| *it <= times.end) {
            Some(next) => world.move_clock(next, observer)?,
            None => break,
        }
    }
    // Rows and labels since the last check belong to the answer, too.
    world.move_clock(times.end, observer)?;
    traffic.flush(&world, times.end)?;
    world.settle(observer)?;
    finish(&world, plan, model, times, first_row)
}

/// The time of a scripted action.
fn script_time(plan: &ReplayPlan, times: Times, action: &Action) -> Option<Timestamp> {
    plan.script.actions.iter().find(|it| &it.action == action).map(|it| share_of(plan, times, it.at))
}

/// A time as a share of the span of the rows, in whole hours.
fn share_of(plan: &ReplayPlan, times: Times, share: f64) -> Timestamp {
    let last = plan.rows.time(plan.rows.count() - 1);
    let span = last.duration_since(times.start).as_secs_f64();
    let offset = SignedDuration::from_secs((span * share.clamp(0.0, 1.0)) as i64);
    Span::hours(1).floor(times.start.checked_add(offset).unwrap_or(last))
}

/// Lays out the state, once: history, pipeline, policy, and what people are going to do.
fn prepare(
    world: &World,
    plan: &ReplayPlan,
    model: &ModelPolicy,
    times: Times,
    begin: Timestamp,
) -> Result<(), WorldError> {
    let digest = plan.digest().to_string();
    match world.database.get_document(INPUT.0, INPUT.1)? {
        Some(stored) if stored == digest => return Ok(()),
        Some(_) => {
            let state = world.state.display();
            return Err(WorldError::Data(format!(
                "state directory {state} holds a replay of other data or another policy; remove it or give another --state"
            )));
        }
        None => {}
    }
    let (reference, parquet) = plan.reference()?;
    world.objects.overwrite(&reference, &parquet)?;
    // Prefixes that a pipeline reads must exist, also before the first traffic.
    for prefix in [&model.data.capture, &model.data.labels] {
        let keep = prefix.join(".keep").map_err(|error| WorldError::Data(error.to_string()))?;
        world.objects.overwrite(&keep, b"")?;
    }
    world.pipelines.define(&model.pipeline_name(), &plan.definition)?;
    world.block_on(apply(&world.context, &plan.policy, &Actor::person("replay"), times.warmup_end))?;
    world.database.update(|transaction| {
        transaction.put_document(INPUT.0, INPUT.1, &digest)?;
        operator::enqueue_script(transaction, &plan.script, &model.id, begin, |share| share_of(plan, times, share))
    })?;
    Ok(())
}

/// Without a first champion there is nothing to play.
fn stop_without_champion(world: &World, model: &ModelPolicy) -> Result<(), WorldError> {
    let head = world.block_on(get_head(&*world.context.ports.table, &model.id))?;
    if head.champion.is_some() || head.active_run.is_some() || head.run_count == 0 {
        return Ok(());
    }
    let runs = world.block_on(refit_app::queries::list_runs(&*world.context.ports.table, &model.id))?;
    let reason = runs.last().and_then(|it| it.outcome.as_ref()).map_or_else(String::new, |it| it.reason.clone());
    Err(WorldError::Data(format!(
        "the first champion could not be made from the warm-up, which --warmup makes longer: {reason}"
    )))
}

fn finish(
    world: &World,
    plan: &ReplayPlan,
    model: &ModelPolicy,
    times: Times,
    first_row: usize,
) -> Result<Replayed, WorldError> {
    let table = &*world.context.ports.table;
    let history = world.block_on(History::read(table, &model.id))?;
    let audit = world.block_on(verify_audit(table, &model.id))?;
    let quality = quality::compute(world, &plan.rows, model, &history, first_row)?;
    let (decisions, quiet_checks) = history.decision_summaries();
    let document = Document {
        schema: 1,
        world: "local".to_owned(),
        data: DataSummary {
            source: plan.rows.source.clone(),
            digest: plan.rows.digest.clone(),
            rows: plan.rows.count() as u64,
            start: times.start,
            end: plan.rows.time(plan.rows.count() - 1),
            warmup_end: times.warmup_end,
        },
        runs: history.run_summaries(),
        promotions: history.promotions(),
        rejections: history.endings(&[RunStatus::Rejected]),
        failures: history.endings(&[RunStatus::Failed, RunStatus::Canceled, RunStatus::TimedOut]),
        rollbacks: history.rollbacks(),
        approvals: history.approval_summaries(),
        quality,
        decisions,
        quiet_checks,
        audit: AuditSummary { entries: audit.entries, verified: audit.verified, head: audit.head },
        report: String::new(),
    };
    let alerts = world.publisher.list_alerts().map_err(refit_app::AppError::from)?;
    Ok(Replayed { document, history, alerts })
}
