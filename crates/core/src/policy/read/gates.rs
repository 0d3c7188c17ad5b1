//! What a candidate must meet, who decides, and how traffic moves.

use super::field::{Bounds, FINITE, Field, Keys, Log, Section, longest};
use super::{Unique, words};
use crate::policy::yaml::shown;
use crate::policy::{
    AutoPromote, CustomMetric, DataPolicy, Direction, GateMetric, GatePolicy, ImprovementMode, Metric, PromotionPolicy,
    RolloutPolicy, RolloutStrategy, Span, Task,
};

const GATE: Keys = Keys {
    built: &[
        "metric",
        "min",
        "max",
        "min_improvement",
        "max_regression",
        "mode",
        "lower_bound_above",
        "segments",
        "min_segment_rows",
        "dry_run",
    ],
    not_built: &[],
};
const CUSTOM: Keys = Keys { built: &["custom", "direction", "range"], not_built: &[] };
const PROMOTION: Keys =
    Keys { built: &["mode", "auto_promote", "approvals", "expires", "notice_timeout"], not_built: &[] };
const AUTO_PROMOTE: Keys = Keys { built: &["metric", "mode", "min_improvement", "lower_bound_above"], not_built: &[] };
const ROLLOUT: Keys = Keys { built: &["strategy"], not_built: &["steps", "bake", "guardrails", "on_no_data"] };

/// The most gates of a model.
const MAX_GATES: usize = 100;

/// The most segments of a gate.
const MAX_GATE_SEGMENTS: usize = 20;

/// The most rows that a segment can be asked to have.
const MAX_ROWS: u64 = 1_000_000_000;

/// The most people who must approve.
const MAX_APPROVALS: u32 = 10;

const DEFAULT_APPROVALS: u32 = 1;
const DEFAULT_EXPIRES_DAYS: i64 = 7;
const DEFAULT_NOTICE_TIMEOUT_MINUTES: i64 = 15;
const DEFAULT_AUTO_MIN_IMPROVEMENT: f64 = 0.05;
const DEFAULT_AUTO_LOWER_BOUND: f64 = 0.0;

const AT_LEAST_0: Bounds = Bounds { words: "0 or more", contains: |it| 0.0 <= it };
const SHARE_OR_0: Bounds =
    Bounds { words: "a share of 0 to 1 (5 % is `0.05`)", contains: |it| (0.0..=1.0).contains(&it) };
/// A bound of 1 could not be exceeded, one of -1 or less would mean nothing.
const SHARE_BOUND: Bounds =
    Bounds { words: "a share above -1, below 1 (5 % is `0.05`)", contains: |it| -1.0 < it && it < 1.0 };

/// Reads a metric that applies to the model's answers.
pub(super) fn read_metric(field: &Field<'_>, task: Option<Task>, log: &mut Log) -> Option<Metric> {
    let metric = field.word(&words::metrics(), &[], log)?;
    if let Some(task) = task.filter(|it| !metric.applies_to(*it)) {
        let instead: Vec<String> =
            Metric::ALL.iter().filter(|it| it.applies_to(task)).map(|it| format!("`{}`", it.name())).collect();
        let (name, task) = (metric.name(), words::name_of(&words::TASKS, task));
        field.report(log, format!("`{name}` does not apply to the task `{task}`; use {}", instead.join(", ")));
        return None;
    }
    Some(metric)
}

/// Reads a metric of the hold-out: one of the task, or one of returns.
fn read_holdout_metric(field: &Field<'_>, task: Option<Task>, log: &mut Log) -> Option<GateMetric> {
    let returns: Vec<(&'static str, Metric)> = words::metrics().into_iter().filter(|it| it.1.needs_returns()).collect();
    let named = field.scalar("the name of a metric", log)?;
    match returns.into_iter().find(|(name, _)| *name == named) {
        Some((_, metric)) => Some(metric.into()),
        None => read_metric(field, task, log).map(Into::into),
    }
}

/// Reads what a gate looks at: the name of a metric, or `{custom: name, direction: …}`.
fn read_gate_metric(field: &Field<'_>, task: Option<Task>, log: &mut Log) -> Option<GateMetric> {
    if !field.is_map(log) {
        return read_holdout_metric(field, task, log);
    }
    let section = field.section(&CUSTOM, log)?;
    let name = section.required("custom", log, |it, log| {
        let name = it.text(log)?;
        if !is_metric_name(name) {
            let rule = "1 to 64 of a-z, A-Z, 0-9, `_`, `-`, `.`";
            it.report(log, format!("`{}` is not the name of a metric: it has {rule}", shown(name)));
            return None;
        }
        if Metric::ALL.iter().any(|metric| metric.name() == name) {
            it.report(
                log,
                format!("`{name}` is measured by Refit itself; say `metric: {name}`, or give yours another name"),
            );
            return None;
        }
        Some(name.to_owned())
    });
    let direction = section.required("direction", log, |it, log| it.word(&words::DIRECTIONS, &[], log));
    let range = section.optional("range", log, |it, log| read_range(&it, log));
    Some(GateMetric::Custom(CustomMetric { name: name?, direction: direction?, range: range? }))
}

fn is_metric_name(text: &str) -> bool {
    let is_allowed = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn read_range(field: &Field<'_>, log: &mut Log) -> Option<(f64, f64)> {
    let items = field.list(2..=2, "ends of a range", log)?;
    let ends: Vec<Option<f64>> = items.iter().map(|it| it.number(&FINITE, log)).collect();
    let (low, high) = (ends[0]?, ends[1]?);
    if high <= low {
        field.report(log, format!("the range begins at {low} and ends at {high}; the lower end comes first"));
        return None;
    }
    Some((low, high))
}

/// Reports a value that the metric cannot take.
pub(super) fn check_value(field: &Field<'_>, value: f64, metric: Option<&GateMetric>, log: &mut Log) -> Option<()> {
    let Some(metric) = metric else { return Some(()) };
    let (low, high) = metric.range();
    if low <= value && value <= high {
        return Some(());
    }
    let range = match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("within {low} to {high}"),
        (true, false) => format!("at least {low}"),
        (false, _) => format!("at most {high}"),
    };
    field.report(log, format!("`{value}` is out of range: `{}` is {range}", metric.name()));
    None
}

/// Reads how improvement is measured, and refuses what the metric has no meaning for.
fn read_mode(section: &Section<'_>, metric: Option<&GateMetric>, log: &mut Log) -> Option<ImprovementMode> {
    section.or("mode", ImprovementMode::Relative, log, |it, log| {
        let mode = it.word(&words::MODES, &[], log)?;
        if mode == ImprovementMode::ErrorReduction
            && let Some(metric) = metric.filter(|it| it.direction() == Direction::LowerIsBetter)
        {
            let name = metric.name();
            it.report(log, format!("`error_reduction` is for metrics whose best value is 1; for `{name}` it equals `relative`, use that"));
            return None;
        }
        if mode == ImprovementMode::ErrorReduction
            && let Some(metric) = metric.filter(|it| !it.range().1.is_finite())
        {
            let name = metric.name();
            it.report(log, format!("`error_reduction` is for metrics with a best value; `{name}` has none"));
            return None;
        }
        Some(mode)
    })
}

/// Reads an improvement or a regression: a share, or in the metric's own unit.
fn read_change(
    field: &Field<'_>,
    metric: Option<&GateMetric>,
    mode: Option<ImprovementMode>,
    log: &mut Log,
) -> Option<f64> {
    match mode {
        Some(ImprovementMode::Relative | ImprovementMode::ErrorReduction) => field.number(&SHARE_OR_0, log),
        Some(ImprovementMode::Absolute) | None => {
            let change = field.number(&AT_LEAST_0, log)?;
            check_width(field, change, metric, mode, log)?;
            Some(change)
        }
    }
}

/// Reads the bound that the lower confidence bound of an improvement must exceed.
fn read_lower_bound(
    field: &Field<'_>,
    metric: Option<&GateMetric>,
    mode: Option<ImprovementMode>,
    log: &mut Log,
) -> Option<f64> {
    if let Some(metric) = metric.filter(|it| it.measured() == Some(Metric::MaxDrawdown)) {
        let name = metric.name();
        field
            .report(log, format!("`{name}` depends on the order of the days, which resampling loses: it has no bound"));
        return None;
    }
    match mode {
        Some(ImprovementMode::Relative | ImprovementMode::ErrorReduction) => field.number(&SHARE_BOUND, log),
        Some(ImprovementMode::Absolute) | None => {
            let bound = field.number(&FINITE, log)?;
            check_width(field, bound, metric, mode, log)?;
            Some(bound)
        }
    }
}

/// Reports a change that is larger than the metric's range.
fn check_width(
    field: &Field<'_>,
    change: f64,
    metric: Option<&GateMetric>,
    mode: Option<ImprovementMode>,
    log: &mut Log,
) -> Option<()> {
    let width = metric.map_or(f64::INFINITY, |it| it.range().1 - it.range().0);
    if let (Some(metric), Some(_)) = (metric, mode)
        && width < change.abs()
    {
        field
            .report(log, format!("`{change}` is out of range: `{}` cannot change by more than {width}", metric.name()));
        return None;
    }
    Some(())
}

pub(super) fn read_gates(
    field: &Field<'_>,
    task: Option<Task>,
    data: Option<&DataPolicy>,
    log: &mut Log,
) -> Option<Vec<GatePolicy>> {
    let items = field.list(0..=MAX_GATES, "gates", log)?;
    let read: Vec<_> = items.into_iter().map(|it| read_gate(&it, task, data, log)).collect();
    read.into_iter().collect()
}

/// Reads the segments that a gate holds on: `all` of the model's, or some of them.
fn read_gate_segments(
    field: &Field<'_>,
    metric: Option<&GateMetric>,
    data: Option<&DataPolicy>,
    log: &mut Log,
) -> Option<Vec<String>> {
    if let Some(metric) = metric.filter(|it| it.measured().is_none_or(Metric::needs_returns)) {
        let name = metric.name();
        field.report(
            log,
            format!("`{name}` is known for the hold-out as a whole only; it cannot be judged on segments"),
        );
        return None;
    }
    let known = data.map(|it| it.segments.as_slice());
    if !field.is_list(log) {
        field.word(&[("all", ())], &[], log)?;
        if known == Some(&[]) {
            field.report(log, "the model has no segments; name them under `data.segments`".to_owned());
            return None;
        }
        return Some(known?.to_vec());
    }
    let mut unique = Unique::new("segment");
    let items = field.list(1..=MAX_GATE_SEGMENTS, "segments", log)?;
    let read: Vec<_> = items
        .into_iter()
        .map(|it| {
            let name = it.text(log)?;
            unique.take(name, &it, log)?;
            if known.is_some_and(|known| !known.iter().any(|it| it == name)) {
                it.report(log, format!("`{}` is not one of `data.segments`", shown(name)));
                return None;
            }
            Some(name.to_owned())
        })
        .collect();
    read.into_iter().collect()
}

fn read_gate(field: &Field<'_>, task: Option<Task>, data: Option<&DataPolicy>, log: &mut Log) -> Option<GatePolicy> {
    let section = field.section(&GATE, log)?;
    let found = section.required("metric", log, |it, log| read_gate_metric(&it, task, log));
    let metric = found.as_ref();
    let mode = read_mode(&section, metric, log);
    let min = section.optional("min", log, |it, log| read_limit(&it, metric, log));
    let max = section.optional("max", log, |it, log| read_limit(&it, metric, log));
    let min_improvement = section.optional("min_improvement", log, |it, log| read_change(&it, metric, mode, log));
    let max_regression = section.optional("max_regression", log, |it, log| read_change(&it, metric, mode, log));
    let lower_bound_above =
        section.optional("lower_bound_above", log, |it, log| read_lower_bound(&it, metric, mode, log));
    let segments = section.or("segments", Vec::new(), log, |it, log| read_gate_segments(&it, metric, data, log));
    let min_segment_rows =
        section.or("min_segment_rows", GatePolicy::MIN_SEGMENT_ROWS, log, |it, log| it.whole(2..=MAX_ROWS, log));
    if let (Some(field), None) = (section.find("min_segment_rows"), section.find("segments")) {
        field.report(log, "`min_segment_rows` has no effect without `segments`".to_owned());
    }
    let dry_run = section.or("dry_run", false, log, |it, log| it.word(&words::BOOLEANS, &[], log));
    if let (Some(Some(min)), Some(Some(max)), Some(field)) = (min, max, section.find("min"))
        && max < min
    {
        field.report(log, format!("`min` {min} is above `max` {max}; no candidate can meet both"));
    }
    if [min, max, min_improvement, max_regression, lower_bound_above].iter().all(|it| *it == Some(None)) {
        let conditions = "`min`, `max`, `min_improvement`, `max_regression`, `lower_bound_above`";
        section.report(log, format!("the gate has no condition; give at least one of {conditions}"));
    }
    Some(GatePolicy {
        metric: found?,
        min: min?,
        max: max?,
        min_improvement: min_improvement?,
        max_regression: max_regression?,
        mode: mode?,
        lower_bound_above: lower_bound_above?,
        segments: segments?,
        min_segment_rows: min_segment_rows?,
        dry_run: dry_run?,
    })
}

fn read_limit(field: &Field<'_>, metric: Option<&GateMetric>, log: &mut Log) -> Option<f64> {
    let value = field.number(&FINITE, log)?;
    check_value(field, value, metric, log)?;
    Some(value)
}

/// Who starts a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PromotionMode {
    Manual,
    Auto,
}

const PROMOTION_MODES: [(&str, PromotionMode); 2] = [("manual", PromotionMode::Manual), ("auto", PromotionMode::Auto)];

pub(super) fn read_promotion(field: Option<Field<'_>>, task: Option<Task>, log: &mut Log) -> Option<PromotionPolicy> {
    let expires = Span::days(DEFAULT_EXPIRES_DAYS);
    let notice_timeout = Span::minutes(DEFAULT_NOTICE_TIMEOUT_MINUTES);
    let Some(field) = field else {
        return Some(PromotionPolicy { auto_promote: None, approvals: DEFAULT_APPROVALS, expires, notice_timeout });
    };
    let section = field.section(&PROMOTION, log)?;
    let mode = section.optional("mode", log, |it, log| it.word(&PROMOTION_MODES, &[], log));
    let auto_promote = section.optional("auto_promote", log, |it, log| read_auto_promote(it, task, log));
    let (stated, bar) = (section.find("mode"), section.find("auto_promote"));
    if let (Some(Some(PromotionMode::Auto)), Some(stated), None) = (mode, &stated, &bar) {
        stated.report(
            log,
            "`promotion.mode: auto` needs `promotion.auto_promote`, the bar for promotion without a person".to_owned(),
        );
    }
    if let (Some(Some(PromotionMode::Manual)), Some(bar)) = (mode, &bar) {
        let message = "`promotion.auto_promote` contradicts `promotion.mode: manual`; remove one or say `mode: auto`";
        bar.report(log, message.to_owned());
    }
    let approvals = section.or("approvals", DEFAULT_APPROVALS, log, |it, log| it.count(1..=MAX_APPROVALS, log));
    let expires = section.or("expires", expires, log, |it, log| it.span(Span::minutes(1)..=longest(), log));
    let notice_timeout =
        section.or("notice_timeout", notice_timeout, log, |it, log| it.span(Span::minutes(1)..=Span::days(7), log));
    mode?;
    Some(PromotionPolicy {
        auto_promote: auto_promote?,
        approvals: approvals?,
        expires: expires?,
        notice_timeout: notice_timeout?,
    })
}

fn read_auto_promote(field: Field<'_>, task: Option<Task>, log: &mut Log) -> Option<AutoPromote> {
    let section = field.section(&AUTO_PROMOTE, log)?;
    let found = section.required("metric", log, |it, log| read_holdout_metric(&it, task, log));
    let metric = found.as_ref();
    let mode = read_mode(&section, metric, log);
    let min_improvement =
        section.or("min_improvement", DEFAULT_AUTO_MIN_IMPROVEMENT, log, |it, log| read_change(&it, metric, mode, log));
    let lower_bound_above = section
        .or("lower_bound_above", DEFAULT_AUTO_LOWER_BOUND, log, |it, log| read_lower_bound(&it, metric, mode, log));
    if let (Some(Metric::MaxDrawdown), Some(field)) = (metric.and_then(GateMetric::measured), section.find("metric")) {
        field.report(log, "`max_drawdown` has no bound; promotion without a person needs one".to_owned());
        return None;
    }
    Some(AutoPromote {
        metric: metric?.measured()?,
        mode: mode?,
        min_improvement: min_improvement?,
        lower_bound_above: lower_bound_above?,
    })
}

pub(super) fn read_rollout(field: Option<Field<'_>>, log: &mut Log) -> Option<RolloutPolicy> {
    let strategy = RolloutStrategy::Immediate;
    let Some(field) = field else { return Some(RolloutPolicy { strategy }) };
    let section = field.section(&ROLLOUT, log)?;
    let strategy = section.or("strategy", strategy, log, |it, log| {
        it.word(&words::ROLLOUT_STRATEGIES, &words::ROLLOUT_STRATEGIES_NOT_BUILT, log)
    });
    Some(RolloutPolicy { strategy: strategy? })
}
