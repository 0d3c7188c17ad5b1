//! When a model is retrained.

use jiff::civil::Date;

use super::field::{Bounds, FINITE, Field, Keys, Log, SHARE, longest};
use super::gates::read_metric;
use super::{Unique, words};
use crate::policy::yaml::shown;
use crate::policy::{
    AlarmPolicy, BudgetPolicy, Combination, Cron, Direction, DriftMetric, DriftPolicy, EventPolicy, Freeze,
    LoopBreaker, PerformancePolicy, Persistence, Span, Task, TriggersPolicy, Zone,
};

const TRIGGERS: Keys = Keys {
    built: &[
        "when",
        "check_every",
        "schedule",
        "drift",
        "performance",
        "age",
        "alarms",
        "events",
        "cooldown",
        "budget",
        "freeze",
        "loop_breaker",
    ],
    not_built: &["volume", "upstream", "estimated_performance"],
};
const DRIFT: Keys =
    Keys { built: &["metric", "threshold", "share", "persistence", "min_rows"], not_built: &["features"] };
const PERFORMANCE: Keys = Keys { built: &["metric", "max_drop", "floor", "persistence", "min_rows"], not_built: &[] };
const AGE: Keys = Keys { built: &["max"], not_built: &[] };
const WHEN: Keys = Keys { built: &["at_least"], not_built: &[] };
const ALARM: Keys = Keys { built: &["arn", "reason"], not_built: &[] };
const EVENT: Keys = Keys { built: &["source", "detail_type", "reason"], not_built: &[] };
const BUDGET: Keys = Keys { built: &["runs_per_month"], not_built: &[] };
const FREEZE: Keys = Keys { built: &["from", "to"], not_built: &[] };
const LOOP_BREAKER: Keys = Keys { built: &["rejections"], not_built: &[] };

/// The most alarms, events and freezes of one model: all of them are looked at in each check.
const MAX_LISTED: usize = 50;
/// The most runs that a month's budget allows: its runs are read at each check.
const MAX_RUNS_PER_MONTH: u32 = 1_000;
/// The longest reason that is typed in a policy: it is repeated in each finding.
const MAX_REASON: usize = 200;
/// EventBridge's longest `source` and `detail-type` (API reference, `PutEventsRequestEntry`), and CloudWatch's longest ARN.
const MAX_EVENT_NAME: usize = 256;
const MAX_ARN: usize = 1_600;

const DEFAULT_CHECK_EVERY_HOURS: i64 = 1;
/// Customary: below 0.1 a PSI counts as stable, from 0.2 on as moved.
const DEFAULT_DRIFT_THRESHOLD: f64 = 0.2;
const DEFAULT_DRIFT_SHARE: f64 = 0.3;
const DEFAULT_DRIFT_MIN_ROWS: u64 = 500;
const DEFAULT_PERFORMANCE_MIN_ROWS: u64 = 100;

const THRESHOLD: Bounds = Bounds { words: "above 0", contains: |it| 0.0 < it };

pub(super) fn read_triggers(
    field: Field<'_>,
    task: Option<Task>,
    timezone: &Zone,
    log: &mut Log,
) -> Option<TriggersPolicy> {
    let section = field.section(&TRIGGERS, log)?;
    let check_every = section.or("check_every", Span::hours(DEFAULT_CHECK_EVERY_HOURS), log, |it, log| {
        it.span(Span::minutes(1)..=longest(), log)
    });
    let schedule = section.optional("schedule", log, |it, log| it.parse::<Cron>("a schedule", log));
    let drift = section.optional("drift", log, read_drift);
    let performance = section.optional("performance", log, |it, log| read_performance(it, task, log));
    let age = section.optional("age", log, |it, log| {
        it.section(&AGE, log)?.required("max", log, |it, log| it.span(Span::minutes(1)..=longest(), log))
    });
    let alarms = section.or("alarms", Vec::new(), log, read_alarms);
    let events = section.or("events", Vec::new(), log, read_events);
    let cooldown = section.or("cooldown", Span::ZERO, log, |it, log| it.span(Span::ZERO..=longest(), log));
    let budget = section.optional("budget", log, |it, log| {
        let budget = it.section(&BUDGET, log)?;
        let runs = budget.required("runs_per_month", log, |it, log| it.count(1..=MAX_RUNS_PER_MONTH, log));
        runs.map(|runs_per_month| BudgetPolicy { runs_per_month })
    });
    let freeze = section.or("freeze", Vec::new(), log, |it, log| {
        let items = it.list(0..=MAX_LISTED, "freezes", log)?;
        let read: Vec<_> = items.into_iter().map(|it| read_freeze(it, log)).collect();
        read.into_iter().collect()
    });
    let loop_breaker = section.optional("loop_breaker", log, |it, log| {
        let breaker = it.section(&LOOP_BREAKER, log)?;
        let rejections = breaker.required("rejections", log, |it, log| it.count(1..=100, log));
        rejections.map(|rejections| LoopBreaker { rejections })
    });
    let conditions = CONDITIONS.iter().filter(|it| section.find(it).is_some()).count();
    let when = section.or("when", Combination::Any, log, |it, log| read_when(&it, conditions, log));
    Some(TriggersPolicy {
        when: when?,
        timezone: timezone.clone(),
        check_every: check_every?,
        schedule: schedule?,
        drift: drift?,
        performance: performance?,
        age: age?,
        alarms: alarms?,
        events: events?,
        cooldown: cooldown?,
        budget: budget?,
        freeze: freeze?,
        loop_breaker: loop_breaker?,
    })
}

/// The keys that `when` combines.
const CONDITIONS: [&str; 3] = ["drift", "performance", "age"];

fn read_when(field: &Field<'_>, conditions: usize, log: &mut Log) -> Option<Combination> {
    if !field.is_map(log) {
        return field.word(&words::WHEN, &[], log);
    }
    field.section(&WHEN, log)?.required("at_least", log, |it, log| {
        let count = it.count(1..=100, log)?;
        if conditions < count as usize {
            let all = CONDITIONS.join("`, `");
            it.report(
                log,
                format!("{conditions} of the conditions `{all}` are given, so {count} never hold; schedules, alarms, events and people each suffice alone"),
            );
            return None;
        }
        Some(Combination::AtLeast(count))
    })
}

fn read_persistence(field: Field<'_>, log: &mut Log) -> Option<Persistence> {
    let text = field.scalar("`m/n`, such as `2/3`", log)?;
    let persistence = Persistence::parse(text);
    if persistence.is_none() {
        let max = Persistence::MAX;
        field.report(
            log,
            format!("`{}` is not `m/n`: m of the last n windows, 1 <= m <= n <= {max}, such as `2/3`", shown(text)),
        );
    }
    persistence
}

fn read_freeze(field: Field<'_>, log: &mut Log) -> Option<Freeze> {
    let section = field.section(&FREEZE, log)?;
    let from = section.required("from", log, read_date);
    let to = section.required("to", log, read_date);
    let freeze = Freeze { from: from?, to: to? };
    if freeze.to < freeze.from {
        section.report(log, format!("it ends on {} before it begins on {}", freeze.to, freeze.from));
        return None;
    }
    Some(freeze)
}

fn read_date(field: Field<'_>, log: &mut Log) -> Option<Date> {
    let text = field.scalar("a date, such as `2026-12-20`", log)?;
    let date = text.parse::<Date>().ok().filter(|it| it.to_string() == text);
    if date.is_none() {
        field.report(log, format!("`{}` is not a date: write it like `2026-12-20`", shown(text)));
    }
    date
}

fn read_alarms(field: Field<'_>, log: &mut Log) -> Option<Vec<AlarmPolicy>> {
    let items = field.list(0..=MAX_LISTED, "alarms", log)?;
    let mut arns = Unique::new("alarm");
    let mut read_alarm = |field: Field<'_>, log: &mut Log| {
        let section = field.section(&ALARM, log)?;
        let arn = section.required("arn", log, |it, log| {
            let arn = it.text(log)?;
            // arn:partition:cloudwatch:region:account:alarm:name
            let parts: Vec<&str> = arn.splitn(7, ':').collect();
            let is_alarm = matches!(parts[..], ["arn", partition, "cloudwatch", region, account, "alarm", name]
                if [partition, region, account, name].iter().all(|it| !it.is_empty()));
            if !is_alarm || MAX_ARN < arn.len() || arn.chars().any(char::is_control) {
                let form = "arn:aws:cloudwatch:<region>:<account>:alarm:<name>";
                it.report(log, format!("`{}` is not the ARN of an alarm: it looks like `{form}`", shown(arn)));
                return None;
            }
            arns.take(arn, &it, log)?;
            Some(arn.to_owned())
        });
        let reason = section.required("reason", log, |it, log| read_short(&it, MAX_REASON, log));
        Some(AlarmPolicy { arn: arn?, reason: reason? })
    };
    let read: Vec<_> = items.into_iter().map(|it| read_alarm(it, log)).collect();
    read.into_iter().collect()
}

fn read_events(field: Field<'_>, log: &mut Log) -> Option<Vec<EventPolicy>> {
    let items = field.list(0..=MAX_LISTED, "events", log)?;
    let mut kinds = Unique::new("event");
    let mut read_event = |field: Field<'_>, log: &mut Log| {
        let section = field.section(&EVENT, log)?;
        let source = section.required("source", log, |it, log| {
            let source = read_short(&it, MAX_EVENT_NAME, log)?;
            if source == "refit" {
                it.report(log, "Refit's own events cannot ask for a run: it would answer itself".to_owned());
                return None;
            }
            Some(source)
        });
        let detail_type = section.required("detail_type", log, |it, log| read_short(&it, MAX_EVENT_NAME, log));
        let reason = section.required("reason", log, |it, log| read_short(&it, MAX_REASON, log));
        let event = EventPolicy { source: source?, detail_type: detail_type?, reason: reason? };
        kinds.take(&format!("{}: {}", event.source, event.detail_type), &field, log)?;
        Some(event)
    };
    let read: Vec<_> = items.into_iter().map(|it| read_event(it, log)).collect();
    read.into_iter().collect()
}

/// Reads a text with something in it.
fn read_short(field: &Field<'_>, most: usize, log: &mut Log) -> Option<String> {
    let text = field.text(log)?;
    if text.trim().is_empty() || most < text.len() || text.chars().any(char::is_control) {
        field.report(log, format!("`{}` must have 1 to {most} bytes and no control characters", shown(text)));
        return None;
    }
    Some(text.to_owned())
}

fn read_drift(field: Field<'_>, log: &mut Log) -> Option<DriftPolicy> {
    let section = field.section(&DRIFT, log)?;
    let metric = section.or("metric", DriftMetric::Psi, log, |it, log| it.word(&words::DRIFT_METRICS, &[], log));
    let threshold = section.or("threshold", DEFAULT_DRIFT_THRESHOLD, log, |it, log| {
        let threshold = it.number(&THRESHOLD, log)?;
        if metric == Some(DriftMetric::Ks) && 1.0 < threshold {
            it.report(log, format!("`{threshold}` is out of range: a `ks` distance is at most 1, so this never fires"));
            return None;
        }
        Some(threshold)
    });
    let share = section.or("share", DEFAULT_DRIFT_SHARE, log, |it, log| it.number(&SHARE, log));
    let min_rows = section.or("min_rows", DEFAULT_DRIFT_MIN_ROWS, log, |it, log| it.whole(1..=u64::MAX, log));
    let persistence = section.or("persistence", Persistence::ONCE, log, read_persistence);
    Some(DriftPolicy {
        metric: metric?,
        threshold: threshold?,
        share: share?,
        persistence: persistence?,
        min_rows: min_rows?,
    })
}

fn read_performance(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<PerformancePolicy> {
    let section = field.section(&PERFORMANCE, log)?;
    let metric = section.required("metric", log, |it, log| read_metric(&it, task, log));
    let max_drop = section.optional("max_drop", log, |it, log| {
        let share = it.number(&SHARE, log)?;
        let never_fires =
            |metric: crate::policy::Metric| metric.direction() == Direction::HigherIsBetter && metric.range().0 == 0.0;
        if let Some(metric) = metric.filter(|it| share == 1.0 && never_fires(*it)) {
            it.report(
                log,
                format!(
                    "`1` is out of range: `{}` cannot drop by more than itself, so this never fires",
                    metric.name()
                ),
            );
            return None;
        }
        Some(share)
    });
    let floor = section.optional("floor", log, |it, log| {
        let floor = it.number(&FINITE, log)?;
        super::gates::check_value(&it, floor, metric.map(Into::into).as_ref(), log)?;
        Some(floor)
    });
    if max_drop == Some(None) && floor == Some(None) {
        section.report(log, "it needs `max_drop`, `floor` or both".to_owned());
        return None;
    }
    let min_rows = section.or("min_rows", DEFAULT_PERFORMANCE_MIN_ROWS, log, |it, log| it.whole(1..=u64::MAX, log));
    let persistence = section.or("persistence", Persistence::ONCE, log, read_persistence);
    Some(PerformancePolicy {
        metric: metric?,
        max_drop: max_drop?,
        floor: floor?,
        persistence: persistence?,
        min_rows: min_rows?,
    })
}
