//! Files whose event was lost: lists where new files lie, and takes in what no marker knows. An event that is only late changes
//! nothing when it comes.
//!
//! Bounded: once a check, the folders of today and, on the first check of a day, of the days before; where no folder names a
//! day, one page of the listing. A file that was put into an older folder and whose event was lost stays unseen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_core::ObjectUri;
use refit_core::policy::{ModelPolicy, Span};

use super::marker::{FileKind, FileMarker, file_prefix, time_of_path};
use super::{Context, record_window};
use crate::documents::{parse, undated_partition, window_partition};
use crate::error::AppError;
use crate::measure::extracts::{day_of, days};
use crate::ports::{Order, Query};

/// How many days before today the first check of a day looks at.
const DAYS_BACK: i64 = 2;
/// Most files taken in at one check; the next goes on.
const MAX_FILES: usize = 200;
/// Most markers read at once.
const PAGE: usize = 1_000;

/// Takes in files that were never recorded.
pub(crate) async fn record_lost(
    context: &Context,
    policy: &ModelPolicy,
    checked_at: Timestamp,
    now: Timestamp,
) -> Result<(), AppError> {
    let today = day_of(now);
    let first = if checked_at < today { Span::days(DAYS_BACK).before(today) } else { today };
    let mut lost = Vec::new();
    for (kind, root) in [(FileKind::Capture, &policy.data.capture), (FileKind::Labels, &policy.data.labels)] {
        let mut has_dated = false;
        for day in days(first, Span::days(1).after(today)) {
            let folder = match kind {
                FileKind::Capture => format!("{}/{}/", policy.endpoint.name, policy.endpoint.variant),
                FileKind::Labels => String::new(),
            };
            let Ok(prefix) = root.join(&format!("{folder}{}/", day.strftime("%Y/%m/%d"))) else { continue };
            let partition = window_partition(&policy.id, day);
            let found = find_lost(context, kind, &prefix, partition, |_| true).await?;
            has_dated |= 0 < found.listed;
            lost.extend(found.lost);
        }
        if !has_dated {
            let partition = undated_partition(&policy.id);
            let is_undated = |uri: &ObjectUri| time_of_path(uri.key()).is_none();
            lost.extend(find_lost(context, kind, root, partition, is_undated).await?.lost);
        }
    }
    for uri in lost.iter().take(MAX_FILES) {
        let recorded = record_window(context, uri).await?;
        tracing::info!(model.id = %policy.id, object.uri = %uri, ?recorded, "took in a file whose event has not come");
    }
    Ok(())
}

struct Found {
    listed: usize,
    lost: Vec<ObjectUri>,
}

/// The files of one page below `prefix` whose content no marker in `partition` knows.
async fn find_lost(
    context: &Context,
    kind: FileKind,
    prefix: &ObjectUri,
    partition: String,
    is_wanted: impl Fn(&ObjectUri) -> bool,
) -> Result<Found, AppError> {
    let page = context.ports.objects.list(prefix, None).await?;
    let is_data = |uri: &ObjectUri| !uri.key().rsplit('/').next().unwrap_or_default().starts_with(['.', '_']);
    let files: Vec<_> =
        page.items.into_iter().filter(|it| 0 < it.size && is_data(&it.uri) && is_wanted(&it.uri)).collect();
    if files.is_empty() {
        return Ok(Found { listed: 0, lost: Vec::new() });
    }
    let mut known: BTreeMap<ObjectUri, String> = BTreeMap::new();
    let mut after = None;
    loop {
        let query = Query {
            partition: partition.clone(),
            prefix: file_prefix(kind),
            after: after.take(),
            order: Order::Ascending,
            limit: PAGE,
        };
        let page = context.ports.table.query(&query).await?;
        for item in &page.items {
            let marker: FileMarker = parse(item)?;
            known.insert(marker.uri, marker.etag);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let listed = files.len();
    let lost = files.into_iter().filter(|it| known.get(&it.uri) != Some(&it.etag)).map(|it| it.uri).collect();
    Ok(Found { listed, lost })
}
