//! When a model is retrained.

use super::field::{Bounds, FINITE, Field, Keys, Log, SHARE, longest};
use super::gates::read_metric;
use super::words;
use crate::policy::{Cron, Direction, DriftMetric, DriftPolicy, PerformancePolicy, Span, Task, TriggersPolicy};

const TRIGGERS: Keys = Keys {
    built: &["when", "check_every", "schedule", "drift", "performance", "age", "cooldown"],
    not_built: &["volume", "alarms", "budget", "freeze", "loop_breaker", "upstream"],
};
const DRIFT: Keys =
    Keys { built: &["metric", "threshold", "share", "min_rows"], not_built: &["persistence", "features"] };
const PERFORMANCE: Keys = Keys { built: &["metric", "max_drop", "floor", "min_rows"], not_built: &[] };
const AGE: Keys = Keys { built: &["max"], not_built: &[] };

const DEFAULT_CHECK_EVERY_HOURS: i64 = 1;
/// Customary: below 0.1 a PSI counts as stable, from 0.2 on as moved.
const DEFAULT_DRIFT_THRESHOLD: f64 = 0.2;
const DEFAULT_DRIFT_SHARE: f64 = 0.3;
const DEFAULT_DRIFT_MIN_ROWS: u64 = 500;
const DEFAULT_PERFORMANCE_MIN_ROWS: u64 = 100;

const THRESHOLD: Bounds = Bounds { words: "above 0", contains: |it| 0.0 < it };

pub(super) fn read_triggers(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<TriggersPolicy> {
    let section = field.section(&TRIGGERS, log)?;
    let when = section.or("when", (), log, |it, log| it.word(&words::WHEN, &words::WHEN_NOT_BUILT, log));
    let check_every = section.or("check_every", Span::hours(DEFAULT_CHECK_EVERY_HOURS), log, |it, log| {
        it.span(Span::minutes(1)..=longest(), log)
    });
    let schedule = section.optional("schedule", log, |it, log| it.parse::<Cron>("a schedule", log));
    let drift = section.optional("drift", log, read_drift);
    let performance = section.optional("performance", log, |it, log| read_performance(it, task, log));
    let age = section.optional("age", log, |it, log| {
        it.section(&AGE, log)?.required("max", log, |it, log| it.span(Span::minutes(1)..=longest(), log))
    });
    let cooldown = section.or("cooldown", Span::ZERO, log, |it, log| it.span(Span::ZERO..=longest(), log));
    when?;
    Some(TriggersPolicy {
        check_every: check_every?,
        schedule: schedule?,
        drift: drift?,
        performance: performance?,
        age: age?,
        cooldown: cooldown?,
    })
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
    Some(DriftPolicy { metric: metric?, threshold: threshold?, share: share?, min_rows: min_rows? })
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
        super::gates::check_value(&it, floor, metric, log)?;
        Some(floor)
    });
    if max_drop == Some(None) && floor == Some(None) {
        section.report(log, "it needs `max_drop`, `floor` or both".to_owned());
        return None;
    }
    let min_rows = section.or("min_rows", DEFAULT_PERFORMANCE_MIN_ROWS, log, |it, log| it.whole(1..=u64::MAX, log));
    Some(PerformancePolicy { metric: metric?, max_drop: max_drop?, floor: floor?, min_rows: min_rows? })
}
