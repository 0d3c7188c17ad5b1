//! The end of a history, without what depends on when things happened.

use std::collections::BTreeMap;

use crate::memory::{MODEL, MemoryWorld, poll};
use refit_app::documents::{cursor_key, head_key, look_key, slots_key};
use refit_app::ports::{ApprovalStatus, Key, Order, Query, Table, Variant};
use refit_app::queries::{list_approvals, list_judgments, list_packages, list_runs};
use refit_core::ModelId;
use refit_core::approval::Choice;
use refit_core::package::PackageStatus;
use refit_core::run::{OutcomeCode, RunStatus};
use serde_json::Value;

/// What two histories of one workflow must have in common in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    head: Value,
    runs: Vec<(String, RunStatus, Option<OutcomeCode>, Option<u64>)>,
    packages: Vec<(u64, PackageStatus)>,
    registry: BTreeMap<String, ApprovalStatus>,
    approvals: Vec<(String, Vec<(String, Choice)>)>,
    judgments: Vec<String>,
    windows: Vec<String>,
    serving: Vec<Variant>,
    slots: Value,
    is_published: bool,
    is_awake: bool,
    open_executions: usize,
}

/// Fields that say when something happened, and the hash, which covers times.
const TIMES: [&str; 6] = ["at", "caused_at", "last_run_at", "checked_at", "scheduled_until", "audit_hash"];

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Summary {
    /// Whether everything in the log was published.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.is_published
    }

    /// The same end with everything published.
    #[must_use]
    pub fn published(self) -> Summary {
        Summary { is_published: true, ..self }
    }

    /// The end of a world's history.
    ///
    /// # Panics
    /// When the table holds something that is not a document of Refit.
    #[must_use]
    pub fn of(world: &MemoryWorld) -> Summary {
        let model: ModelId = MODEL.parse().expect("invariant: a constant name");
        let table = &world.table;
        let item = |key: &Key| poll(table.get(key)).unwrap_done().expect("invariant: memory does not fail");
        let body = |key: &Key| {
            item(key).map_or(Value::Null, |it| serde_json::from_str(&it.body).expect("invariant: a document"))
        };
        let mut head = body(&head_key(&model));
        let is_published = body(&cursor_key(&model))["published"] == head["audit_seq"];
        without_times(&mut head);
        let runs = poll(list_runs(table, &model)).unwrap_done().expect("invariant: runs");
        let packages = poll(list_packages(table, &model)).unwrap_done().expect("invariant: packages");
        let approvals = poll(list_approvals(table, &model)).unwrap_done().expect("invariant: approvals");
        let judgments = poll(list_judgments(table, &model)).unwrap_done().expect("invariant: judgments");
        let slots = body(&slots_key());
        Summary {
            head,
            runs: runs
                .iter()
                .map(|it| (it.id.to_string(), it.status, it.outcome.as_ref().map(|it| it.code), it.candidate))
                .collect(),
            packages: packages.iter().map(|it| (it.version, it.status)).collect(),
            registry: world.packages.list().into_iter().map(|it| (it.arn, it.approval)).collect(),
            approvals: approvals
                .iter()
                .map(|it| (it.run.to_string(), it.votes.iter().map(|it| (it.by.id.clone(), it.choice)).collect()))
                .collect(),
            judgments: judgments.iter().map(|it| format!("{} {:?}", it.sort(), it.verdict)).collect(),
            windows: windows(world),
            serving: world.endpoints.variants(MODEL),
            slots: slots["holders"].as_object().map_or(Value::Null, |it| it.keys().cloned().collect()),
            is_published,
            is_awake: item(&look_key(&model)).is_some_and(|it| it.due.is_some()),
            open_executions: world.pipelines.open().len(),
        }
    }
}

/// Pointers to files, by day.
fn windows(world: &MemoryWorld) -> Vec<String> {
    let mut found = Vec::new();
    for day in 1..=12 {
        let query = Query {
            partition: format!("WIN#{MODEL}#2026-01-{day:02}"),
            prefix: String::new(),
            after: None,
            order: Order::Ascending,
            limit: 1_000,
        };
        let page = poll(world.table.query(&query)).unwrap_done().expect("invariant: memory does not fail");
        found.extend(page.items.iter().map(|it| format!("{day} {}", it.body)));
    }
    found
}
