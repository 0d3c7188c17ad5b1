//! Tables over situations: which runs there were, what is in use, and what is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::*;
use crate::Digest;
use crate::actor::Actor;
use crate::audit::AuditEvent;
use crate::model::{Head, Rollback};
use crate::package::PackageStatus;
use crate::policy::{Priority, read};
use crate::run::{Outcome, OutcomeCode, RunStatus};
use crate::window::Window;

fn day(number: i8) -> Timestamp {
    format!("2026-03-{number:02}T00:00:00Z").parse().expect("a constant time")
}

fn policy(retention: &str) -> ModelPolicy {
    let text = format!(
        "
schema: 1
models:
  - id: m
    task: regression
    pipeline: {{ definition: retrain.json }}
    data: {{ reference: s3://data/reference/, capture: s3://data/capture/, labels: s3://data/labels/, time: ts, label: y, features: {{ x: numeric }} }}
    window: {{ size: 1d }}
    training: {{ window: 7d, holdout: 2d }}
    triggers: {{}}
{retention}
"
    );
    read(&text).unwrap_or_else(|problems| panic!("{problems}")).models[0].clone()
}

/// Run `n` ends on day `n` of March and makes version `n`; version 1 is champion.
struct Bench {
    model: Model,
    runs: Vec<Arc<Run>>,
    now: Timestamp,
    retention: &'static str,
}

impl Bench {
    fn new(runs: u64) -> Bench {
        let policy = policy("");
        let fact = Fact::ModelWatched {
            policy: Digest::of(b"p"),
            origin: day(1),
            endpoint: policy.endpoint,
            editor: Actor::refit(),
        };
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: policy.id,
            seq: 1,
            at: day(1),
            actor: Actor::refit(),
            cause: "apply".to_owned(),
            fact,
            snapshot: None,
            previous: AuditEvent::genesis(),
        };
        let mut model = Model::begin(&event).expect("a first event");
        let head = Arc::make_mut(&mut model.head);
        head.run_count = runs;
        head.champion = Some(1);
        model.packages = (1..=runs).map(|it| (it, Arc::new(package(it)))).collect();
        Bench {
            model,
            runs: (1..=runs).map(|it| Arc::new(run(it))).collect(),
            now: day(20),
            retention: "    retention: { runs: 10d }",
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Bench)) -> Bench {
        change(&mut self);
        self
    }

    fn head(self, change: impl FnOnce(&mut Head)) -> Bench {
        self.with(|it| change(Arc::make_mut(&mut it.model.head)))
    }

    /// Version `version` replaced another when it became champion.
    fn replaced(self, version: u64, other: u64) -> Bench {
        self.with(|it| Arc::make_mut(it.model.packages.get_mut(&version).expect("it is there")).replaced = Some(other))
    }

    fn plan(&self, performed: &[Step]) -> Plan {
        let runs_root: ObjectUri = "s3://state/runs".parse().expect("a constant address");
        plan_retention(&RetentionInputs {
            model: &self.model,
            runs: &self.runs,
            policy: &policy(self.retention),
            now: self.now,
            runs_root: &runs_root,
            performed,
        })
    }

    #[track_caller]
    fn check(&self, expected: &Expect) {
        let mut after = self.model.clone();
        let text = match self.plan(&[]) {
            Plan::Record(record) => {
                let event = after.next_event(record.fact.clone(), record.actor, "test", self.now);
                after.apply(&event).expect("the fact fits the state");
                match record.fact {
                    Fact::OutputsExpired { runs, versions, until } => {
                        let names: Vec<&str> = runs.iter().map(AsRef::as_ref).collect();
                        format!("expired: {names:?}, versions {versions:?}, looked at up to {until}")
                    }
                    fact => fact.name().to_owned(),
                }
            }
            Plan::Perform(Step::RemoveOutputs { output }) => format!("remove {output}"),
            other => format!("{other:?}"),
        };
        expected.assert_eq(&text);
    }
}

fn run(number: u64) -> Run {
    let ended = day(i8::try_from(number.min(28)).expect("a day"));
    let outcome = Outcome { at: ended, code: OutcomeCode::Declined, reason: String::new() };
    Run {
        schema: Run::SCHEMA,
        id: RunId::new(&"m".parse().expect("a name"), number),
        status: RunStatus::Rejected,
        causes: Vec::new(),
        requested_by: Actor::refit(),
        editor: Actor::refit(),
        also_requested_by: Vec::new(),
        requested_at: ended,
        decision: String::new(),
        priority: Priority::Normal,
        queued_at: None,
        ready_at: None,
        champion: None,
        request: None,
        starting_at: None,
        execution: None,
        attempts: Vec::new(),
        deadline: None,
        stopping: None,
        stopping_at: None,
        candidate: None,
        evaluation: None,
        announced: None,
        outcome: Some(outcome),
    }
}

fn package(version: u64) -> Package {
    Package {
        schema: Package::SCHEMA,
        version,
        arn: format!("arn-{version}"),
        run: Some(run(version).id),
        model: format!("s3://state/runs/m-r{version:04}/model.tar.gz").parse().expect("an address"),
        artifact: Digest::of(b"a"),
        train: Window { start: day(1), end: day(1) },
        holdout: Window { start: day(1), end: day(1) },
        quality: BTreeMap::new(),
        registered_at: day(1),
        metadata: BTreeMap::new(),
        status: PackageStatus::Rejected,
        promoted_at: None,
        replaced: None,
        replaced_before: Vec::new(),
        removed_at: None,
    }
}

const NOTHING: Expect = expect!["Wait { on: Nothing, until: None }"];

#[test]
fn the_first_run_that_is_not_in_use_expires() {
    Bench::new(4).check(&expect![[r#"expired: ["m-r0002"], versions [2], looked at up to 2"#]]);
    Bench::new(4)
        .head(|it| it.cleaned_runs = 2)
        .with(|it| _ = it.runs.drain(..2))
        .check(&expect![[r#"expired: ["m-r0003"], versions [3], looked at up to 3"#]]);
    // A run that made no version.
    Bench::new(4)
        .with(|it| _ = it.model.packages.remove(&2))
        .check(&expect![[r#"expired: ["m-r0002"], versions [], looked at up to 2"#]]);
}

#[test]
fn what_is_not_over_is_kept() {
    Bench::new(4).with(|it| it.retention = "").check(&NOTHING);
    // Run 2 ended on the 2nd: kept until the 12th, that moment excluded.
    let second = jiff::SignedDuration::from_secs(1);
    Bench::new(4).with(|it| it.now = day(12) - second).check(&NOTHING);
    Bench::new(4)
        .with(|it| it.now = day(12))
        .check(&expect![[r#"expired: ["m-r0002"], versions [2], looked at up to 2"#]]);
    Bench::new(4).with(|it| Arc::make_mut(&mut it.runs[1]).outcome = None).check(&NOTHING);
    Bench::new(4).with(|it| Arc::make_mut(&mut it.runs[1]).status = RunStatus::AwaitingApproval).check(&NOTHING);
}

#[test]
fn nothing_begins_while_the_champion_may_change() {
    Bench::new(4).head(|it| it.active_run = Some(run(5).id)).check(&NOTHING);
    Bench::new(4).head(|it| it.released_at = Some(day(3))).check(&NOTHING);
    let rollback = || Rollback { from: 2, to: 1, reason: String::new(), by: Actor::refit(), at: day(19) };
    Bench::new(4).head(|it| it.active_rollback = Some(rollback())).check(&NOTHING);
}

#[test]
fn all_that_rollbacks_could_restore_is_kept() {
    let chain = || Bench::new(4).head(|it| it.champion = Some(4)).replaced(4, 2).replaced(2, 1);
    chain().check(&expect![[r#"expired: ["m-r0003"], versions [3], looked at up to 3"#]]);
    chain().head(|it| it.previous_champion = Some(3)).check(&NOTHING);
    // A version that became champion again: the chain leads back to it.
    chain().replaced(1, 4).check(&expect![[r#"expired: ["m-r0003"], versions [3], looked at up to 3"#]]);
    // An archive that another run wrote, as of a version that was adopted.
    chain()
        .with(|it| {
            let adopted = Package { run: None, ..package(3) };
            let adopted = Package { version: 1, ..adopted };
            it.model.packages.insert(1, Arc::new(adopted));
        })
        .check(&expect![[r#"expired: ["m-r0001"], versions [], looked at up to 1"#]]);
    // Something in use is not there: nothing can be told.
    chain().with(|it| _ = it.model.packages.remove(&1)).check(&NOTHING);
}

#[test]
fn the_next_plan_begins_after_twenty_in_use() {
    let mut bench = Bench::new(RUNS_LOOKED_AT).with(|it| {
        it.now = day(28) + jiff::SignedDuration::from_hours(24 * 30);
        Arc::make_mut(&mut it.model.head).champion = Some(RUNS_LOOKED_AT);
    });
    for version in 2..=RUNS_LOOKED_AT {
        bench = bench.replaced(version, version - 1);
    }
    bench.check(&expect!["expired: [], versions [], looked at up to 20"]);
    bench.with(|it| _ = it.runs.pop()).check(&NOTHING);
}

#[test]
fn what_was_begun_is_gone_on_with_whatever_happens() {
    let begun = Bench::new(4).head(|it| it.cleaning = vec![run(2).id]).head(|it| it.active_run = Some(run(5).id));
    let begun = begun.with(|it| it.retention = "");
    begun.check(&expect!["remove s3://state/runs/m-r0002"]);
    let Plan::Perform(step) = begun.plan(&[]) else { panic!("it is removed") };
    let Plan::Record(record) = begun.plan(&[step]) else { panic!("it is recorded") };
    assert_eq!(record.fact, Fact::OutputsRemoved { runs: vec![run(2).id] });
}
