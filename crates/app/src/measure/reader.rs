//! Reads extracts for one check, each object once as long as it fits into the cache.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::{Digest, Window};
use refit_data::{Categories, Frame, Label};

use super::MAX_FILE_BYTES;
use super::extracts::{
    CLASS, Extract, Extracts, FILE, LABEL, MAX_WINDOW_ROWS, OPEN_EXTRACTS, ROW, columns, concat, conform, day_of, days,
    filter, first_of_each, groups, hours_within, in_order, numbers, read_extract, roll_up, slices_uri, texts, times,
};
use super::profiles::{Grain, Slice, WindowProfile, profiled_columns, slices_from_bytes};
use crate::documents::extracts_key;
use crate::error::AppError;
use crate::ports::ObjectError;
use crate::use_cases::Context;
use crate::use_cases::record_window::FileKind;

/// Reads extracts for one check, each object once as long as it fits into the cache.
pub(crate) struct Reader<'a> {
    context: &'a Context,
    policy: &'a ModelPolicy,
    now: Timestamp,
    lists: BTreeMap<(FileKind, Timestamp), Extracts>,
    cache: BTreeMap<Digest, Arc<Frame>>,
    cached_rows: u64,
    /// Of the window that was asked for last.
    profile: Option<(Window, Arc<WindowProfile>)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(context: &'a Context, policy: &'a ModelPolicy, now: Timestamp) -> Reader<'a> {
        let (lists, cache, cached_rows, profile) = (BTreeMap::new(), BTreeMap::new(), 0, None);
        Reader { context, policy, now, lists, cache, cached_rows, profile }
    }

    /// What is known of the rows captured in a window: from profiles where they say it, else from the rows.
    pub(super) async fn profile(&mut self, window: &Window) -> Result<Arc<WindowProfile>, AppError> {
        if let Some((of, profile)) = &self.profile
            && of == window
        {
            return Ok(Arc::clone(profile));
        }
        let columns = profiled_columns(self.policy);
        let profile = match self.slices(window).await? {
            Some(slices) => WindowProfile::sum(slices.iter().map(|it| (it.0, &it.1)), &columns),
            None => WindowProfile::of(self.captured(window).await?.as_ref(), &columns),
        };
        let profile = Arc::new(profile);
        self.profile = Some((*window, Arc::clone(&profile)));
        Ok(profile)
    }

    /// The slices that a window is made of, each with its day; `None` where rows have to be read.
    async fn slices(&mut self, window: &Window) -> Result<Option<Vec<(Timestamp, Slice)>>, AppError> {
        let Some(grain) = Grain::of(&self.policy.window) else { return Ok(None) };
        let mut found = Vec::new();
        for day in days(window.start, window.end) {
            let extracts = self.list(FileKind::Capture, day).await?;
            let hours = hours_within(day, window);
            let reached: Vec<&Extract> = extracts.list.iter().filter(|it| it.hours & hours != 0).collect();
            // Files that were not put together may hold one row twice, or rows that do not count any more.
            let is_whole = reached.len() < 2 || groups(extracts.list.iter().cloned()).iter().all(|it| it.len() == 1);
            if !is_whole || (!reached.is_empty() && !extracts.dropped.is_empty()) {
                return Ok(None);
            }
            for extract in reached {
                let uri = slices_uri(self.context, &self.policy.id, day, &extract.object, grain);
                let object = match self.context.ports.objects.get(&uri, MAX_FILE_BYTES).await {
                    Ok(object) => object,
                    Err(ObjectError::NotFound(_)) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let Some(slices) = slices_from_bytes(&object.bytes) else {
                    tracing::warn!(model.id = %self.policy.id, object.uri = %uri, "read rows, for their profiles are damaged");
                    return Ok(None);
                };
                for slice in slices.into_iter().filter(|it| it.hours & hours != 0) {
                    if slice.hours & !hours != 0 {
                        return Ok(None);
                    }
                    found.push((day, slice));
                }
            }
        }
        Ok(Some(found))
    }

    /// The rows captured in a window, by time, each id once; `None` without any.
    pub(crate) async fn captured(&mut self, window: &Window) -> Result<Option<Frame>, AppError> {
        let mut objects = Vec::new();
        let mut dropped = BTreeSet::new();
        for day in days(window.start, window.end) {
            let extracts = self.list(FileKind::Capture, day).await?;
            let hours = hours_within(day, window);
            objects.extend(extracts.list.iter().filter(|it| it.hours & hours != 0).map(|it| (day, it.clone())));
            dropped.extend(extracts.dropped.iter().cloned());
        }
        let total: u64 = objects.iter().map(|(_, it)| it.rows).sum();
        let share = share(total);
        let (start, end) = (window.start.as_microsecond(), window.end.as_microsecond());
        let columns = columns(self.policy, FileKind::Capture);
        let mut frames = Vec::new();
        for (day, extract) in objects {
            let frame = self.object(FileKind::Capture, day, &extract).await?;
            let (times, ids) = (times(&frame), texts(&frame, "id"));
            let is_within = |row: usize| times[row].is_some_and(|it| start <= it && it < end);
            let is_sampled = |row: usize| match (share, ids.and_then(|it| it.get(row))) {
                (Some(share), Some(id)) => Digest::of(id.as_bytes()).seed() <= share,
                (None, _) | (Some(_), None) => true,
            };
            let rows = filter(&frame, &dropped, |row| is_within(row) && is_sampled(row));
            frames.push(conform(&rows, &columns));
        }
        let rows = first_of_each(&in_order(&concat(&frames)?));
        Ok((0 < rows.rows()).then_some(rows))
    }

    /// The labels of the captured rows of a window.
    pub(crate) async fn labels_of(
        &mut self,
        captured: &Frame,
        window: &Window,
    ) -> Result<BTreeMap<String, Label>, AppError> {
        match texts(captured, "id") {
            Some(ids) => self.labels(ids, window.start).await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// The labels of these ids that arrived from `since` on; of several for one id the one of the latest hour, then of the
    /// last file, then the last in the file.
    async fn labels(&mut self, ids: &Categories, since: Timestamp) -> Result<BTreeMap<String, Label>, AppError> {
        let wanted: HashSet<&str> = ids.dictionary.iter().map(String::as_str).collect();
        let mut found: BTreeMap<String, ((i64, String, u64), Label)> = BTreeMap::new();
        // A label's folder may lie ahead of the clock that wrote it.
        for day in days(since, Span::days(2).after(day_of(self.now))) {
            let extracts = self.list(FileKind::Labels, day).await?;
            for extract in &extracts.list {
                let frame = self.object(FileKind::Labels, day, extract).await?;
                let (Some(ids), Some(files)) = (texts(&frame, "id"), texts(&frame, FILE)) else { continue };
                let (times, rows) = (times(&frame), numbers(&frame, ROW));
                for row in 0..frame.rows() {
                    let Some(id) = ids.get(row).filter(|it| wanted.contains(it)) else { continue };
                    let file = files.get(row).unwrap_or_default();
                    let Some(label) = label(&frame, row).filter(|_| !extracts.dropped.contains(file)) else { continue };
                    let place = (times[row].unwrap_or(i64::MIN), file.to_owned(), rows[row].unwrap_or(0.0) as u64);
                    if found.get(id).is_none_or(|it| it.0 <= place) {
                        found.insert(id.to_owned(), (place, label));
                    }
                }
            }
        }
        Ok(found.into_iter().map(|(id, (_, label))| (id, label)).collect())
    }

    /// The times of the rows of a day that have one of these ids.
    pub(crate) async fn find_ids(
        &mut self,
        day: Timestamp,
        ids: &BTreeSet<String>,
    ) -> Result<Vec<(String, i64)>, AppError> {
        let mut found = Vec::new();
        let extracts = self.list(FileKind::Capture, day).await?;
        for extract in &extracts.list {
            let frame = self.object(FileKind::Capture, day, extract).await?;
            let Some(stored) = texts(&frame, "id") else { continue };
            for (row, time) in times(&frame).iter().enumerate() {
                if let (Some(id), Some(time)) = (stored.get(row).filter(|it| ids.contains(*it)), time) {
                    found.push((id.to_owned(), *time));
                }
            }
        }
        Ok(found)
    }

    /// The ids in a label extract.
    pub(crate) async fn label_ids(&mut self, day: Timestamp, object: &Digest) -> Result<Vec<String>, AppError> {
        let frame = read_extract(self.context, &self.policy.id, FileKind::Labels, day, object).await?;
        let ids = texts(&frame, "id").map(|it| it.dictionary.clone());
        Ok(ids.unwrap_or_default())
    }

    /// A day's list, rolled up if it is time.
    async fn list(&mut self, kind: FileKind, day: Timestamp) -> Result<Extracts, AppError> {
        if let Some(list) = self.lists.get(&(kind, day)) {
            return Ok(list.clone());
        }
        let key = extracts_key(&self.policy.id, kind.name(), day);
        let table = &*self.context.ports.table;
        let mut extracts = Extracts::of(table.get(&key).await?.as_ref())?;
        let is_over = self.policy.window.lateness.after(Span::days(1).after(day)) <= self.now;
        let is_due = if is_over { 1 } else { OPEN_EXTRACTS } < extracts.list.len();
        if is_due || (is_over && !extracts.dropped.is_empty()) {
            roll_up(self.context, self.policy, kind, day).await?;
            extracts = Extracts::of(table.get(&key).await?.as_ref())?;
        }
        self.lists.insert((kind, day), extracts.clone());
        Ok(extracts)
    }

    async fn object(&mut self, kind: FileKind, day: Timestamp, extract: &Extract) -> Result<Arc<Frame>, AppError> {
        if let Some(frame) = self.cache.get(&extract.object) {
            return Ok(Arc::clone(frame));
        }
        let frame = Arc::new(read_extract(self.context, &self.policy.id, kind, day, &extract.object).await?);
        if MAX_WINDOW_ROWS < self.cached_rows + extract.rows {
            self.cache.clear();
            self.cached_rows = 0;
        }
        if extract.rows <= MAX_WINDOW_ROWS {
            self.cached_rows += extract.rows;
            self.cache.insert(extract.object.clone(), Arc::clone(&frame));
        }
        Ok(frame)
    }
}

/// The largest seed of an id that is sampled; `None` when all are.
fn share(rows: u64) -> Option<u64> {
    (MAX_WINDOW_ROWS < rows).then(|| u64::MAX / rows * MAX_WINDOW_ROWS)
}

fn label(frame: &Frame, row: usize) -> Option<Label> {
    let number = numbers(frame, LABEL).get(row).copied().flatten().map(Label::Number);
    number.or_else(|| texts(frame, CLASS)?.get(row).map(|it| Label::Text(it.to_owned())))
}
