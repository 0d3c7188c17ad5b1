//! Windows that were judged before all of their rows were there.
//!
//! `record-window` notes every arrival. A check looks at those since the check before and finds the judged windows that they
//! reach into: for captures by their hours, for labels by the predictions that have their ids. Such a window is measured
//! again, and judged as a new revision if its data really differ.
//!
//! Bounded: only the newest [`MAX_REVISED`] windows of the champion, of these only the newest [`MIN_REVISED`] when they ended
//! more than [`HORIZON`] ago.

use std::collections::BTreeSet;

use jiff::Timestamp;
use refit_core::Window;
use refit_core::model::Head;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::trigger::{Judgment, JudgmentKind, Replaced, Source};

use super::extracts::{day_of, days, hours_within};
use super::reader::Reader;
use crate::documents::{arrival_sort, arrivals_partition, model_partition, parse};
use crate::error::AppError;
use crate::ports::{Order, Query, Table};
use crate::use_cases::record_window::{Arrival, FileKind};

/// Most windows of one kind that can be judged anew.
const MAX_REVISED: usize = 16;
/// As many can be, however long ago they ended.
const MIN_REVISED: usize = 2;
/// Above these, windows that ended longer ago are not judged anew.
const HORIZON: Span = Span::from_const_seconds(35 * 86_400);
/// How long before a check something may have been noted that the check did not see yet: the longest that a function runs, twice.
const SETTLING: Span = Span::from_const_seconds(1_800);
/// Above this many new labels every window in reach is measured again instead of looking for each.
const MAX_SEARCHED: usize = 1_000_000;

/// What was taken in since the last check.
pub(super) async fn list_arrivals(table: &dyn Table, head: &Head) -> Result<Vec<Arrival>, AppError> {
    let mut arrivals = Vec::new();
    let mut after = Some(arrival_sort(SETTLING.before(head.checked_at)));
    loop {
        let query = Query {
            partition: arrivals_partition(&head.model),
            prefix: String::new(),
            after: after.take(),
            order: Order::Ascending,
            limit: 1_000,
        };
        let page = table.query(&query).await?;
        for item in &page.items {
            arrivals.push(parse(item)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(arrivals),
        }
    }
}

/// The windows of this kind and champion that can be judged anew, newest first, each by its newest judgment.
async fn list_judged(
    table: &dyn Table,
    head: &Head,
    kind: JudgmentKind,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Judgment>, AppError> {
    let mut judged: Vec<Judgment> = Vec::new();
    // What was judged before a champion was taken back to says nothing about its second life.
    let since = head.rolled_back.as_ref().filter(|it| Some(it.to) == head.champion).map(|it| it.at);
    let mut after = None;
    loop {
        let query = Query {
            partition: model_partition(&head.model),
            prefix: format!("JUDGMENT#{}#", kind.name()),
            after: after.take(),
            order: Order::Descending,
            limit: 20,
        };
        let page = table.query(&query).await?;
        for item in &page.items {
            let judgment: Judgment = parse(item)?;
            let is_near = judged.len() < MIN_REVISED || HORIZON.before(now) <= judgment.window.end;
            if limit <= judged.len() || !is_near {
                return Ok(judged);
            }
            // By falling revision: the first of a window is its newest.
            let is_newest = judged.last().is_none_or(|it| it.window != judgment.window);
            let is_current = judgment.champion == head.champion && since.is_none_or(|it| it < judgment.at);
            if is_current && is_newest {
                judged.push(judgment);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(judged),
        }
    }
}

/// A judged window that has to be measured again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Late {
    pub(super) judged: Judgment,
}

impl Late {
    pub(super) fn window(&self) -> Window {
        self.judged.window
    }

    /// The source of the next revision, if these rows are not the judged ones.
    pub(super) fn revise(&self, source: Source) -> Option<Source> {
        let judged = &self.judged;
        let replaced = Replaced {
            rows: judged.rows,
            verdict: judged.verdict,
            causes: judged.causes.clone(),
            caused_at: judged.caused_at,
        };
        (judged.source.data != source.data).then(|| Source {
            revision: judged.source.revision + 1,
            replaces: Some(replaced),
            ..source
        })
    }
}

/// The judged windows that captured rows have reached into since, oldest first.
pub(super) async fn late_captures(
    table: &dyn Table,
    head: &Head,
    kind: JudgmentKind,
    judged_until: Timestamp,
    arrivals: &[Arrival],
    (now, limit): (Timestamp, usize),
) -> Result<Vec<Late>, AppError> {
    let captures: Vec<&Arrival> = arrivals.iter().filter(|it| it.kind == FileKind::Capture).collect();
    // What is younger than every judged window is the rule, and costs nothing.
    let is_late = captures.iter().flat_map(|it| it.days.keys()).any(|day| *day < judged_until);
    if !is_late {
        return Ok(Vec::new());
    }
    let reaches = |window: &Window| {
        captures.iter().flat_map(|it| &it.days).any(|(day, hours)| hours & hours_within(*day, window) != 0)
    };
    let judged = list_judged(table, head, kind, now, limit.min(MAX_REVISED)).await?;
    Ok(judged.into_iter().rev().filter(|it| reaches(&it.window)).map(|judged| Late { judged }).collect())
}

/// The judged windows that have predictions with newly arrived labels, oldest first. Newest predictions are looked at first,
/// so that labels which come in time are found before any judged window is.
pub(super) async fn late_labels(
    table: &dyn Table,
    reader: &mut Reader<'_>,
    policy: &ModelPolicy,
    head: &Head,
    arrivals: &[Arrival],
    (now, limit): (Timestamp, usize),
) -> Result<Vec<Late>, AppError> {
    let mut ids = BTreeSet::new();
    for arrival in arrivals.iter().filter(|it| it.kind == FileKind::Labels) {
        for (day, object) in &arrival.objects {
            if ids.len() <= MAX_SEARCHED {
                ids.extend(reader.label_ids(*day, object).await?);
            }
        }
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Unjudged windows first: they are read whole when they close.
    let open = head.performance_judged_until;
    let newest = policy.data.label_delay.before(now);
    let order = |first: Timestamp, until: Timestamp| days(first, until).rev();
    let mut searched: Vec<Timestamp> = order(open, Span::seconds(1).after(newest)).collect();
    searched.extend(days(newest, Span::seconds(1).after(now)).filter(|it| day_of(newest) < *it));
    if ids.len() <= MAX_SEARCHED {
        for day in searched {
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            for (id, time) in reader.find_ids(day, &ids).await? {
                if open.as_microsecond() <= time {
                    ids.remove(&id);
                }
            }
        }
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let judged = list_judged(table, head, JudgmentKind::Performance, now, limit.min(MAX_REVISED)).await?;
    let mut late = Vec::new();
    for judged in judged {
        let mut is_late = MAX_SEARCHED < ids.len();
        for day in days(judged.window.start, judged.window.end).rev() {
            if ids.is_empty() || is_late {
                break;
            }
            let inside = |time: i64| Timestamp::from_microsecond(time).is_ok_and(|time| judged.window.contains(time));
            is_late = reader.find_ids(day, &ids).await?.iter().any(|(_, time)| inside(*time));
        }
        if is_late {
            late.push(Late { judged });
        }
    }
    late.reverse();
    Ok(late)
}
