//! What each trigger of the policy finds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::{CheckInputs, Volume};
use crate::model::Head;
use crate::policy::{Persistence, VolumeLimit};
use crate::trigger::{CauseKind, Finding, FindingOutcome, Judgment, JudgmentKind};

pub(super) fn find(inputs: &CheckInputs<'_>, judgments: &[Judgment]) -> Vec<Finding> {
    let head = &inputs.model.head;
    let triggers = &inputs.policy.triggers;
    let persisting = Persisting::new(inputs, judgments);
    let mut findings = Vec::new();
    let mut add = |kind, outcome, reason: String| findings.push(Finding { kind, outcome, reason });
    if let Some(manual) = inputs.manual {
        add(CauseKind::Manual, FindingOutcome::Fired, format!("{}: {}", manual.actor, manual.reason));
    }
    if let Some(performance) = &triggers.performance {
        let kinds = [
            (CauseKind::PerformanceDrop, performance.max_drop.is_some()),
            (CauseKind::PerformanceFloor, performance.floor.is_some()),
        ];
        for (kind, is_wanted) in kinds {
            if is_wanted {
                let (outcome, reason) = persisting.find(JudgmentKind::Performance, kind, performance.persistence);
                add(kind, outcome, reason);
            }
        }
    }
    if let Some(estimated) = &triggers.estimated_performance {
        let (judged, kind) = (JudgmentKind::EstimatedPerformance, CauseKind::EstimatedPerformance);
        let (outcome, reason) = persisting.find(judged, kind, estimated.persistence);
        add(kind, outcome, reason);
    }
    if let Some(drift) = &triggers.drift {
        let (outcome, reason) = persisting.find(JudgmentKind::Drift, CauseKind::DataDrift, drift.persistence);
        add(CauseKind::DataDrift, outcome, reason);
    }
    if let Some(predictions) = &triggers.prediction_drift {
        let kind = CauseKind::PredictionDrift;
        let (outcome, reason) = persisting.find(JudgmentKind::Predictions, kind, predictions.persistence);
        add(kind, outcome, reason);
    }
    if triggers.concept.is_some() {
        let (outcome, reason) = persisting.find_alarm(JudgmentKind::Concept, CauseKind::ConceptDrift);
        add(CauseKind::ConceptDrift, outcome, reason);
    }
    if let (Some(policy), Some(volume)) = (&triggers.volume, &inputs.recent.volume) {
        if let Some(limit) = policy.max_predictions {
            let (outcome, reason) = find_predictions(limit, volume);
            add(CauseKind::PredictionVolume, outcome, reason);
        }
        if let Some(limit) = policy.new_records {
            let (outcome, reason) = find_records(limit, volume);
            add(CauseKind::NewRecords, outcome, reason);
        }
    }
    if let Some(max) = triggers.age {
        let since = inputs
            .model
            .champion()
            .map(|it| head.last_run_before(inputs.now).map_or(it.registered_at, |last| last.max(it.registered_at)));
        let (outcome, reason) = match since {
            None => (FindingOutcome::Inconclusive, "there is no champion yet".to_owned()),
            Some(since) if max.after(since) <= inputs.now => {
                (FindingOutcome::Fired, format!("the last retraining was at {since}, more than {max} ago"))
            }
            Some(since) => (FindingOutcome::Quiet, format!("the last retraining was at {since}, within {max}")),
        };
        add(CauseKind::Age, outcome, reason);
    }
    if let Some(cron) = &triggers.schedule {
        let (outcome, reason) = match cron.next_after(head.scheduled_until.min(inputs.now), &triggers.timezone) {
            Some(due) if due <= inputs.now => (FindingOutcome::Fired, format!("{cron} was due at {due}")),
            Some(due) => (FindingOutcome::Quiet, format!("{cron} is due at {due}")),
            None => (FindingOutcome::Quiet, format!("{cron} is never due again")),
        };
        add(CauseKind::Schedule, outcome, reason);
    }
    for signal in head.signals.iter().filter(|it| it.is_wanted(triggers)) {
        add(signal.kind, FindingOutcome::Fired, format!("{} ({})", signal.reason, signal.source));
    }
    findings
}

/// How many intervals between runs are needed to learn from, and how many are looked at.
const INTERVALS: RangeInclusive<usize> = 3..=5;

fn find_predictions(limit: VolumeLimit, volume: &Volume) -> (FindingOutcome, String) {
    let (limit, told) = match limit {
        VolumeLimit::Fixed(limit) => (limit, "are allowed".to_owned()),
        VolumeLimit::Learned => {
            let intervals = &volume.intervals[..volume.intervals.len().min(*INTERVALS.end())];
            let Some(longest) = intervals.iter().max().filter(|_| *INTERVALS.start() <= intervals.len()) else {
                let (known, needed) = (intervals.len(), INTERVALS.start());
                let reason = format!("{known} of {needed} intervals between runs needed to learn how many are usual");
                return (FindingOutcome::Inconclusive, reason);
            };
            ((*longest).max(1), format!("were made in the longest of the last {} intervals", intervals.len()))
        }
    };
    let reason = format!("{} predictions since the last run, {limit} {told}", volume.predictions);
    (if limit <= volume.predictions { FindingOutcome::Fired } else { FindingOutcome::Quiet }, reason)
}

fn find_records(limit: u64, volume: &Volume) -> (FindingOutcome, String) {
    let Some(labels) = volume.labels else {
        return (FindingOutcome::Inconclusive, "there is no champion yet".to_owned());
    };
    let reason = format!("{labels} labels arrived since the champion's training data ended, {limit} ask for a run");
    (if limit <= labels { FindingOutcome::Fired } else { FindingOutcome::Quiet }, reason)
}

/// The judgments that a check looks at.
struct Persisting<'a> {
    head: &'a Head,
    now: Timestamp,
    /// Stored ones, then those of this check.
    judgments: Vec<&'a Judgment>,
}

impl<'a> Persisting<'a> {
    fn new(inputs: &CheckInputs<'a>, fresh: &'a [Judgment]) -> Persisting<'a> {
        let head = &inputs.model.head;
        // What was found before a champion was taken back to says nothing about its second life.
        let since = head.rolled_back.as_ref().filter(|it| Some(it.to) == head.champion).map(|it| it.at);
        let stored = inputs.recent.judgments.iter().chain([&head.drift, &head.performance].into_iter().flatten());
        let all = stored.filter(|it| since.is_none_or(|since| since < it.at)).chain(fresh);
        let judgments = all.filter(|it| it.champion == head.champion).collect();
        Persisting { head, now: inputs.now, judgments }
    }

    /// The newest revision of each window of a kind, newest first.
    fn windows(&self, kind: JudgmentKind) -> Vec<&'a Judgment> {
        let mut windows: BTreeMap<Timestamp, &'a Judgment> = BTreeMap::new();
        for judgment in self.judgments.iter().copied().filter(|it| it.kind == kind) {
            let newest = windows.entry(judgment.window.end).or_insert(judgment);
            if newest.age() < judgment.age() {
                *newest = judgment;
            }
        }
        windows.into_values().rev().collect()
    }

    /// Whether no run was requested since a judgment gives its causes.
    fn is_unanswered(&self, judgment: &Judgment) -> bool {
        self.head.last_run_before(self.now).is_none_or(|it| it < judgment.caused_at)
    }

    /// Whether any window since the last run alarmed. A detector begins anew after an alarm, so that the window after it is
    /// quiet again: an alarm stands until a run answers it.
    fn find_alarm(&self, kind: JudgmentKind, cause: CauseKind) -> (FindingOutcome, String) {
        let windows = self.windows(kind);
        let alarm = windows.iter().find(|it| it.causes.contains(&cause) && self.is_unanswered(it));
        let (judgment, outcome) = match (alarm, windows.first()) {
            (Some(alarm), _) => (*alarm, FindingOutcome::Fired),
            (None, Some(newest)) if newest.verdict.is_conclusive() => (*newest, FindingOutcome::Quiet),
            (None, Some(newest)) => (*newest, FindingOutcome::Inconclusive),
            (None, None) => {
                return (FindingOutcome::Inconclusive, "no window of this champion is closed yet".to_owned());
            }
        };
        (outcome, format!("{}: {}", judgment.window, judgment.reason))
    }

    /// What the newest judgments say. They ask for a run until one was requested at or after one of them; a window that
    /// could not be judged neither counts nor breaks a row.
    fn find(&self, kind: JudgmentKind, cause: CauseKind, persistence: Persistence) -> (FindingOutcome, String) {
        let windows = self.windows(kind);
        let Some(newest) = windows.first() else {
            return (FindingOutcome::Inconclusive, "no window of this champion is closed yet".to_owned());
        };
        let last: Vec<_> = windows.iter().filter(|it| it.verdict.is_conclusive()).take(persistence.of()).collect();
        let saying: Vec<_> = last.iter().filter(|it| it.causes.contains(&cause)).collect();
        let is_firing = persistence.needed() <= saying.len() && saying.iter().any(|it| self.is_unanswered(it));
        let (shown, outcome) = match saying.first() {
            Some(newest_saying) if is_firing => (**newest_saying, FindingOutcome::Fired),
            _ if newest.verdict.is_conclusive() => (newest, FindingOutcome::Quiet),
            _ => (newest, FindingOutcome::Inconclusive),
        };
        let mut reason = format!("{}: {}", shown.window, shown.reason);
        if persistence != Persistence::ONCE {
            let (saying, last, needed, of) = (saying.len(), last.len(), persistence.needed(), persistence.of());
            write!(reason, "; {saying} of the last {last} windows say so, {needed} of {of} are needed")
                .expect("invariant: a text grows");
        }
        (outcome, reason)
    }
}
