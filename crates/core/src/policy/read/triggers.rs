//! When a model is retrained.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::field::{Bounds, FINITE, Field, Keys, Log, SHARE, longest};
use super::gates::read_metric;
use super::{Unique, words};
use crate::policy::yaml::shown;
use crate::policy::{
    AlarmPolicy, BudgetPolicy, Combination, Cron, DetectorPolicy, Direction, DriftMetric, DriftPolicy, EventPolicy,
    FeatureDriftPolicy, FeatureKind, Freeze, LoopBreaker, OnNewTrigger, PerformancePolicy, Persistence,
    PredictionDriftPolicy, Span, Task, TriggersPolicy, UpstreamPolicy, VolumeLimit, VolumePolicy, Zone,
};

const TRIGGERS: Keys = Keys {
    built: &[
        "when",
        "check_every",
        "schedule",
        "drift",
        "prediction_drift",
        "concept",
        "performance",
        "estimated_performance",
        "age",
        "volume",
        "alarms",
        "events",
        "cooldown",
        "budget",
        "freeze",
        "loop_breaker",
        "upstream",
        "on_new_trigger",
    ],
    not_built: &[],
};
const DRIFT: Keys =
    Keys { built: &["metric", "threshold", "share", "persistence", "min_rows", "features"], not_built: &["warn"] };
const FEATURE: Keys = Keys { built: &["metric", "threshold"], not_built: &[] };
const PREDICTION_DRIFT: Keys = Keys { built: &["metric", "threshold", "persistence", "min_rows"], not_built: &[] };
const CONCEPT: Keys = Keys { built: &["detector", "delta", "threshold", "warm_up"], not_built: &[] };
const VOLUME: Keys = Keys { built: &["min_predictions", "max_predictions", "new_records"], not_built: &[] };
const UPSTREAM: Keys = Keys { built: &["max_null_rate"], not_built: &[] };
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

/// The most predictions or labels that a limit counts to: far above what files of ten years hold.
const MAX_VOLUME: u64 = 1_000_000_000_000;

const NULL_RATE: Bounds =
    Bounds { words: "a share from 0 to below 1 (5 % is `0.05`)", contains: |it| (0.0..1.0).contains(&it) };
const DELTA: Bounds = Bounds { words: "0 or above and below 1", contains: |it| (0.0..1.0).contains(&it) };
const THRESHOLD: Bounds = Bounds { words: "above 0", contains: |it| 0.0 < it };

pub(super) fn read_triggers(
    field: Field<'_>,
    task: Option<Task>,
    features: Option<&BTreeMap<String, FeatureKind>>,
    timezone: &Zone,
    log: &mut Log,
) -> Option<TriggersPolicy> {
    let section = field.section(&TRIGGERS, log)?;
    let check_every = section.or("check_every", Span::hours(DEFAULT_CHECK_EVERY_HOURS), log, |it, log| {
        it.span(Span::minutes(1)..=longest(), log)
    });
    let schedule = section.optional("schedule", log, |it, log| it.parse::<Cron>("a schedule", log));
    let drift = section.optional("drift", log, |it, log| read_drift(it, features, log));
    let prediction_drift = section.optional("prediction_drift", log, |it, log| read_prediction_drift(it, task, log));
    let concept = section.optional("concept", log, |it, log| read_concept(it, task, log));
    let performance = section.optional("performance", log, |it, log| read_performance(it, task, log));
    let estimated_performance =
        section.optional("estimated_performance", log, |it, log| read_estimated_performance(it, task, log));
    let age = section.optional("age", log, |it, log| {
        it.section(&AGE, log)?.required("max", log, |it, log| it.span(Span::minutes(1)..=longest(), log))
    });
    let volume = section.optional("volume", log, read_volume);
    let upstream = section.optional("upstream", log, |it, log| {
        let rate = it.section(&UPSTREAM, log)?.required("max_null_rate", log, |it, log| it.number(&NULL_RATE, log));
        rate.map(|max_null_rate| UpstreamPolicy { max_null_rate })
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
    let is_given = |key: &&str| match (*key, &volume) {
        // A volume that is only a guard is no condition.
        ("volume", Some(Some(volume))) => volume.max_predictions.is_some() || volume.new_records.is_some(),
        _ => section.find(key).is_some(),
    };
    let conditions = CONDITIONS.iter().filter(|it| is_given(it)).count();
    let when = section.or("when", Combination::Any, log, |it, log| read_when(&it, conditions, log));
    let on_new_trigger =
        section.or("on_new_trigger", OnNewTrigger::Wait, log, |it, log| it.word(&words::ON_NEW_TRIGGER, &[], log));
    Some(TriggersPolicy {
        when: when?,
        timezone: timezone.clone(),
        check_every: check_every?,
        schedule: schedule?,
        drift: drift?,
        prediction_drift: prediction_drift?,
        concept: concept?,
        performance: performance?,
        estimated_performance: estimated_performance?,
        age: age?,
        volume: volume?,
        alarms: alarms?,
        events: events?,
        cooldown: cooldown?,
        budget: budget?,
        freeze: freeze?,
        loop_breaker: loop_breaker?,
        upstream: upstream?,
        on_new_trigger: on_new_trigger?,
    })
}

/// The keys that `when` combines.
const CONDITIONS: [&str; 7] =
    ["drift", "prediction_drift", "concept", "performance", "estimated_performance", "age", "volume"];

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

fn read_drift(field: Field<'_>, known: Option<&BTreeMap<String, FeatureKind>>, log: &mut Log) -> Option<DriftPolicy> {
    let section = field.section(&DRIFT, log)?;
    let metric = section.or("metric", DriftMetric::Psi, log, |it, log| it.word(&words::DRIFT_METRICS, &[], log));
    let threshold = section.or("threshold", DEFAULT_DRIFT_THRESHOLD, log, |it, log| read_threshold(&it, metric, log));
    let features =
        section.or("features", BTreeMap::new(), log, |it, log| read_features(it, metric.zip(threshold), known, log));
    let share = section.or("share", DEFAULT_DRIFT_SHARE, log, |it, log| it.number(&SHARE, log));
    let min_rows = section.or("min_rows", DEFAULT_DRIFT_MIN_ROWS, log, |it, log| it.whole(1..=u64::MAX, log));
    let persistence = section.or("persistence", Persistence::ONCE, log, read_persistence);
    Some(DriftPolicy {
        metric: metric?,
        threshold: threshold?,
        share: share?,
        persistence: persistence?,
        min_rows: min_rows?,
        features: features?,
    })
}

/// Reads a distance that a metric can reach.
fn read_threshold(field: &Field<'_>, metric: Option<DriftMetric>, log: &mut Log) -> Option<f64> {
    let threshold = field.number(&THRESHOLD, log)?;
    let largest = metric.and_then(|it| Some((it.name(), it.largest()?)));
    if let Some((name, _)) = largest.filter(|(_, largest)| *largest < threshold) {
        field.report(
            log,
            format!("`{threshold}` is out of range: a `{name}` distance is at most 1, so this never fires"),
        );
        return None;
    }
    Some(threshold)
}

fn read_features(
    field: Field<'_>,
    common: Option<(DriftMetric, f64)>,
    known: Option<&BTreeMap<String, FeatureKind>>,
    log: &mut Log,
) -> Option<BTreeMap<String, FeatureDriftPolicy>> {
    let mut features = Some(BTreeMap::new());
    for (name, key, value) in field.map(log)? {
        if known.is_some_and(|it| !it.contains_key(name)) {
            key.report(log, format!("`{}` is none of `data.features`", shown(name)));
        }
        let read = read_feature(value, common, known.and_then(|it| it.get(name)).copied(), log);
        match (read, &mut features) {
            (Some(read), Some(features)) => _ = features.insert(name.to_owned(), read),
            (None, _) | (Some(_), None) => features = None,
        }
    }
    features
}

fn read_feature(
    field: Field<'_>,
    common: Option<(DriftMetric, f64)>,
    kind: Option<FeatureKind>,
    log: &mut Log,
) -> Option<FeatureDriftPolicy> {
    let section = field.section(&FEATURE, log)?;
    let metric = section.optional("metric", log, |it, log| read_distance(&it, kind, log));
    let own = metric.flatten().or(common.map(|it| it.0));
    let threshold = section.optional("threshold", log, |it, log| read_threshold(&it, own, log));
    let (common_metric, common_threshold) = common?;
    let metric = metric?.unwrap_or(common_metric);
    let threshold = match threshold? {
        Some(threshold) => threshold,
        None if metric == common_metric => common_threshold,
        None => {
            section.report(log, format!("`{}` needs a `threshold` of its own", metric.name()));
            return None;
        }
    };
    Some(FeatureDriftPolicy { metric, threshold })
}

/// Reads a distance that values of a kind have.
fn read_distance(field: &Field<'_>, kind: Option<FeatureKind>, log: &mut Log) -> Option<DriftMetric> {
    let metric = field.word(&words::DRIFT_METRICS, &[], log)?;
    let needs_order = matches!(metric, DriftMetric::Ks | DriftMetric::Wasserstein);
    if needs_order && kind == Some(FeatureKind::Categorical) {
        let name = metric.name();
        field.report(log, format!("`{name}` needs an order, and categories have none; use `psi`, `js` or `cramers_v`"));
        return None;
    }
    Some(metric)
}

fn read_prediction_drift(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<PredictionDriftPolicy> {
    let section = field.section(&PREDICTION_DRIFT, log)?;
    // Several classes are compared by the class that was predicted.
    let kind = (task == Some(Task::Multiclass)).then_some(FeatureKind::Categorical);
    let metric = section.or("metric", DriftMetric::Psi, log, |it, log| read_distance(&it, kind, log));
    let threshold = section.or("threshold", DEFAULT_DRIFT_THRESHOLD, log, |it, log| read_threshold(&it, metric, log));
    let persistence = section.or("persistence", Persistence::ONCE, log, read_persistence);
    let min_rows = section.or("min_rows", DEFAULT_DRIFT_MIN_ROWS, log, |it, log| it.whole(1..=u64::MAX, log));
    Some(PredictionDriftPolicy {
        metric: metric?,
        threshold: threshold?,
        persistence: persistence?,
        min_rows: min_rows?,
    })
}

fn read_concept(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<DetectorPolicy> {
    let section = field.section(&CONCEPT, log)?;
    let kind = section.required("detector", log, |it, log| {
        let kind = it.word(&words::DETECTORS, &[], log)?;
        if kind == words::Detector::Ddm && task == Some(Task::Regression) {
            let instead = "use `page_hinkley` or `adwin` for `regression`";
            it.report(log, format!("`ddm` needs errors of 0 or 1; {instead}"));
            return None;
        }
        Some(kind)
    });
    let delta = section.optional("delta", log, |it, log| it.number(&DELTA, log));
    let threshold = section.optional("threshold", log, |it, log| it.number(&THRESHOLD, log));
    let warm_up = section.optional("warm_up", log, |it, log| it.whole(1..=1_000_000, log));
    let kind = kind?;
    let unused: &[&str] = match kind {
        words::Detector::PageHinkley => &[],
        words::Detector::Ddm => &["delta"],
        words::Detector::Adwin => &["threshold", "warm_up"],
    };
    for key in unused {
        if let Some(it) = section.find(key) {
            let name = words::name_of(&words::DETECTORS, kind);
            it.report(log, format!("`{name}` has no `{key}`; remove it"));
        }
    }
    let (delta, threshold, warm_up) = (delta?, threshold?, warm_up?.unwrap_or(30));
    match kind {
        words::Detector::PageHinkley => Some(DetectorPolicy::PageHinkley {
            delta: delta.unwrap_or(0.005),
            threshold: threshold.unwrap_or(50.0),
            warm_up,
        }),
        words::Detector::Ddm => Some(DetectorPolicy::Ddm { threshold: threshold.unwrap_or(3.0), warm_up }),
        words::Detector::Adwin => {
            let delta = delta.unwrap_or(0.002);
            if delta == 0.0 {
                section.report(log, "a `delta` of 0 never alarms".to_owned());
                return None;
            }
            Some(DetectorPolicy::Adwin { delta })
        }
    }
}

fn read_volume(field: Field<'_>, log: &mut Log) -> Option<VolumePolicy> {
    let section = field.section(&VOLUME, log)?;
    let count = |it: Field<'_>, log: &mut Log| it.whole(1..=MAX_VOLUME, log);
    let min_predictions = section.optional("min_predictions", log, count);
    let max_predictions = section.optional("max_predictions", log, |it, log| {
        if it.is_word("learned", log) { Some(VolumeLimit::Learned) } else { count(it, log).map(VolumeLimit::Fixed) }
    });
    let new_records = section.optional("new_records", log, count);
    let volume = VolumePolicy {
        min_predictions: min_predictions?,
        max_predictions: max_predictions?,
        new_records: new_records?,
    };
    if volume == (VolumePolicy { min_predictions: None, max_predictions: None, new_records: None }) {
        section.report(log, "it needs `min_predictions`, `max_predictions` or `new_records`".to_owned());
        return None;
    }
    if let (Some(min), Some(VolumeLimit::Fixed(max))) = (volume.min_predictions, volume.max_predictions)
        && max < min
    {
        section.report(log, format!("`max_predictions` {max} is below `min_predictions` {min}"));
        return None;
    }
    Some(volume)
}

/// What `performance` takes, of a task whose scores are probabilities: there is nothing to go by in a predicted number.
fn read_estimated_performance(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<PerformancePolicy> {
    if task == Some(Task::Regression) {
        let reason =
            "quality is estimated from the probabilities of a classification, and `task` is regression; remove it";
        field.report(log, reason.to_owned());
        return None;
    }
    read_performance(field, task, log)
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
