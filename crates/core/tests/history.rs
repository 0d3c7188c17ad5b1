//! Random histories, driven through the planners: the log always adds up to the state, reads back as it was written, and
//! the same situation always gives the same plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use refit_core::approval::Choice;
use refit_core::audit::{AuditEntry, AuditEvent, ChainCheck, Fact};
use refit_core::evaluation::{Comparison, Evidence, Improvement, improvement};
use refit_core::model::Model;
use refit_core::package::{Measured, Package, PackageStatus};
use refit_core::plan::{
    CancelRequest, CandidateOutputs, CheckInputs, DeclaredPipeline, EvaluateInputs, Fleet, ManualRequest,
    ObservedExecution, OutputsProblem, Plan, PromoteInputs, Queue, QueueEntry, Recent, RetryRequest, RollbackRequest,
    Slots, StartInputs, Step, VoteRequest, WaitingOn, plan_cancel, plan_check, plan_evaluate, plan_promote, plan_retry,
    plan_rollback, plan_rollback_request, plan_start,
};
use refit_core::policy::{ImprovementMode, Metric, ModelPolicy, OnNewTrigger, Policy, Span, read};
use refit_core::run::{ExecutionStatus, Run, RunStatus};
use refit_core::trigger::{QualityEvidence, Source, WindowEvidence};
use refit_core::{Actor, Digest, ObjectUri, RunId, Window};

const POLICY: &str = "
schema: 1
models:
  - id: m
    task: regression
    pipeline: { definition: retrain.json, timeout: 2h }
    data: { reference: s3://data/reference/, capture: s3://data/capture/, labels: s3://data/labels/, time: ts, label: y, features: { x: numeric } }
    window: { size: 1d, hop: 1d }
    training: { window: 7d, holdout: 2d }
    triggers: { check_every: 1h, performance: { metric: mae, max_drop: 0.05, floor: 50, min_rows: 1 }, age: { max: 3d }, cooldown: 1h }
    gates: [{ metric: mae, max: 80 }]
    promotion: { mode: auto, auto_promote: { metric: mae, min_improvement: 0.2, lower_bound_above: 0 }, approvals: 2, expires: 1d }
    rollout: { strategy: immediate }
";

/// What happens next.
#[derive(Debug, Clone)]
enum Move {
    Wait {
        minutes: i64,
    },
    Check {
        error: f64,
    },
    Manual {
        actor: u8,
        force: bool,
    },
    Start {
        is_defined: bool,
    },
    Observe {
        status: ExecutionStatus,
    },
    /// The execution fails for a reason that may pass.
    Fault,
    Cancel {
        actor: u8,
    },
    Again {
        actor: u8,
    },
    Judge {
        outputs: Option<(f64, f64)>,
    },
    Vote {
        actor: u8,
        choice: Choice,
    },
    Promote {
        is_published: bool,
    },
    Rollback {
        from: Option<u64>,
    },
}

fn moves() -> impl Strategy<Value = Move> {
    let statuses = [
        ExecutionStatus::Executing,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::Stopped,
    ];
    let choice = prop_oneof![4 => Just(Choice::Approve), 1 => Just(Choice::Decline)];
    prop_oneof![
        2 => (1..2_000_i64).prop_map(|minutes| Move::Wait { minutes }),
        1 => (0.0..100.0).prop_map(|error| Move::Check { error }),
        2 => (0..3_u8, any::<bool>()).prop_map(|(actor, force)| Move::Manual { actor, force }),
        4 => prop::bool::weighted(0.95).prop_map(|is_defined| Move::Start { is_defined }),
        4 => prop::sample::select(statuses.to_vec()).prop_map(|status| Move::Observe { status }),
        1 => Just(Move::Fault),
        1 => (0..3_u8).prop_map(|actor| Move::Cancel { actor }),
        1 => (0..3_u8).prop_map(|actor| Move::Again { actor }),
        4 => prop::option::weighted(0.95, (0.0..100.0, 0.0..100.0)).prop_map(|outputs| Move::Judge { outputs }),
        4 => (0..4_u8, choice).prop_map(|(actor, choice)| Move::Vote { actor, choice }),
        6 => any::<bool>().prop_map(|is_published| Move::Promote { is_published }),
        3 => prop::option::of(1..4_u64).prop_map(|from| Move::Rollback { from }),
    ]
}

/// One history: the state, its log, the time.
struct History {
    model: Model,
    events: Vec<AuditEvent>,
    policy: ModelPolicy,
    now: Timestamp,
    registered: u64,
}

fn person(number: u8) -> Actor {
    Actor::person(&format!("person-{number}"))
}

fn measured(value: f64) -> Option<Measured> {
    Some(Measured { value, standard_error: Some(value / 30.0), rows: 500, blocks: 30 })
}

impl History {
    fn new(on_new_trigger: OnNewTrigger) -> History {
        let mut policy: Policy = read(POLICY).unwrap_or_else(|problems| panic!("{problems:?}"));
        policy.models[0].triggers.on_new_trigger = on_new_trigger;
        let now: Timestamp = "2026-01-05T03:00:00Z".parse().unwrap_or_default();
        let model = policy.models[0].clone();
        let fact = Fact::ModelWatched {
            policy: policy.digest(),
            origin: now,
            endpoint: model.endpoint.clone(),
            editor: Actor::person("ann"),
        };
        let first = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: model.id.clone(),
            seq: 1,
            at: now,
            actor: person(0),
            cause: "apply".to_owned(),
            snapshot: None,
            fact,
            previous: AuditEvent::genesis(),
        };
        let state = Model::begin(&first).unwrap_or_else(|error| panic!("{error}"));
        History { model: state, events: vec![first], policy: model, now, registered: 0 }
    }

    /// Makes the plan twice, records its fact or pretends that its step was performed, until it waits.
    fn follow(&mut self, mut plan: impl FnMut(&History, &[Step]) -> Plan) -> Result<(), TestCaseError> {
        let mut performed = Vec::new();
        for _ in 0..12 {
            let next = plan(self, &performed);
            prop_assert_eq!(&next, &plan(self, &performed), "the same situation gives the same plan");
            match next {
                Plan::Record(planned) => {
                    performed.clear();
                    self.record(planned.fact, planned.actor)?;
                }
                Plan::Perform(Step::StartExecution { run, request, .. }) => {
                    let execution = format!("arn:{}", request.start_key);
                    performed.clear();
                    self.record(
                        Fact::RunTraining { run, execution, deadline: self.policy.pipeline.timeout.after(self.now) },
                        Actor::refit(),
                    )?;
                }
                Plan::Perform(step) => performed.push(step),
                Plan::Wait { .. } | Plan::Refuse(_) => return Ok(()),
            }
        }
        Err(TestCaseError::fail("the plans do not come to rest"))
    }

    fn record(&mut self, fact: Fact, actor: Actor) -> Result<(), TestCaseError> {
        let event = self.model.next_event(fact, actor, "test", self.now);
        self.model
            .apply(&event)
            .map_err(|error| TestCaseError::fail(format!("a planned fact does not fit: {error}")))?;
        self.events.push(event);
        Ok(())
    }

    fn play(&mut self, next: &Move) -> Result<(), TestCaseError> {
        match next {
            Move::Wait { minutes } => {
                self.now = self.now.checked_add(SignedDuration::from_mins(*minutes)).unwrap_or(Timestamp::MAX);
                Ok(())
            }
            Move::Check { error } => {
                let windows = self.windows(*error);
                let mut is_asked = false;
                self.follow(|it, performed| {
                    let fresh: &[WindowEvidence] = if is_asked { &[] } else { &windows };
                    is_asked |= it.model.head.checked_at == it.now;
                    plan_check(&CheckInputs {
                        model: &it.model,
                        policy: &it.policy,
                        now: it.now,
                        windows: fresh,
                        recent: &Recent::default(),
                        manual: None,
                        performed,
                    })
                })
            }
            Move::Manual { actor, force } => {
                let manual = ManualRequest { actor: person(*actor), reason: "why not".to_owned(), force: *force };
                self.once(|it, performed| {
                    plan_check(&CheckInputs {
                        model: &it.model,
                        policy: &it.policy,
                        now: it.now,
                        windows: &[],
                        recent: &Recent::default(),
                        manual: Some(&manual),
                        performed,
                    })
                })
            }
            Move::Start { is_defined } => self.start(*is_defined),
            Move::Observe { status } => {
                let execution = ObservedExecution { status: *status, failure: None };
                let problem = OutputsProblem("not looked at".to_owned());
                // What it made is judged by a move of its own.
                self.follow(|it, performed| match it.model.active_run() {
                    Some(run) if run.status == RunStatus::Evaluating => {
                        Plan::Wait { on: WaitingOn::Nothing, until: None }
                    }
                    _ => it.evaluate(Some(&execution), Some(Err(&problem)), performed),
                })
            }
            Move::Fault => {
                let failure = Some("CapacityError: no machine is free".to_owned());
                let execution = ObservedExecution { status: ExecutionStatus::Failed, failure };
                self.once(|it, _| match it.model.active_run() {
                    Some(run) if run.status == RunStatus::Training => it.evaluate(Some(&execution), None, &[]),
                    _ => Plan::Wait { on: WaitingOn::Nothing, until: None },
                })
            }
            Move::Cancel { actor } => {
                let Some(run) = self.model.head.active_run.clone() else { return Ok(()) };
                let request = CancelRequest { run, actor: person(*actor), reason: "not now".to_owned() };
                self.once(|it, performed| plan_cancel(&it.model, &request, it.now, performed))
            }
            Move::Again { actor } => {
                let Some((id, old)) = self.model.runs.last_key_value() else { return Ok(()) };
                let (request, old) = (RetryRequest { run: id.clone(), actor: person(*actor) }, old.clone());
                self.once(|it, _| plan_retry(&it.model, &request, Some(&old)))
            }
            Move::Judge { outputs } => self.judge(*outputs),
            Move::Vote { actor, choice } => {
                let Some(run) = self.model.head.active_run.clone() else { return Ok(()) };
                let vote = VoteRequest {
                    run,
                    actor: person(*actor),
                    choice: *choice,
                    comment: "seen".to_owned(),
                    basis: None,
                    if_match: None,
                };
                self.once(|it, _| it.promote(Some(&vote), 0, &[]))
            }
            Move::Promote { is_published } => self.follow(|it, performed| {
                let published = if *is_published { it.model.head.audit_seq } else { 0 };
                it.promote(None, published, performed)
            }),
            Move::Rollback { from } => {
                let request = RollbackRequest { actor: person(9), reason: "complaints".to_owned(), from: *from };
                self.once(|it, _| plan_rollback_request(&it.model, &request))?;
                self.follow(|it, performed| plan_rollback(&it.model, performed))
            }
        }
    }

    /// A plan that is made for one request: carried out once.
    fn once(&mut self, mut plan: impl FnMut(&History, &[Step]) -> Plan) -> Result<(), TestCaseError> {
        let mut is_done = false;
        let last = self.events.len();
        self.follow(|it, performed| {
            is_done |= last < it.events.len();
            if is_done { Plan::Wait { on: WaitingOn::Nothing, until: None } } else { plan(it, performed) }
        })
    }

    fn windows(&self, error: f64) -> Vec<WindowEvidence> {
        let closed = Window::closed(&self.policy.window, self.model.head.performance_judged_until, self.now, 3);
        let evidence = |window| WindowEvidence::Performance {
            window,
            source: Source { revision: 1, data: Digest::of(b"rows"), hours: 24, replaces: None },
            rows: 500,
            quality: QualityEvidence { estimated: None, measured: measured(error) },
        };
        closed.into_iter().map(evidence).collect()
    }

    fn start(&mut self, is_defined: bool) -> Result<(), TestCaseError> {
        let parameters = BTreeMap::from([("OutputUri".to_owned(), None), ("TrainEnd".to_owned(), None)]);
        let pipeline = DeclaredPipeline { version: 3, digest: Digest::of(b"definition"), parameters };
        let root: ObjectUri = "s3://state/runs".parse().map_err(|_| TestCaseError::fail("a constant"))?;
        let slots = Slots::default();
        self.follow(|it, performed| {
            let waiting = it.model.active_run().and_then(|run| Some((run.id.clone(), QueueEntry::of(run)?)));
            let queue = Queue { schema: Queue::SCHEMA, entries: waiting.into_iter().collect() };
            plan_start(&StartInputs {
                model: &it.model,
                policy: &it.policy,
                now: it.now,
                pipeline: Some(if is_defined { Ok(&pipeline) } else { Err("it does not exist") }),
                fleet: Fleet { slots: &slots, queue: &queue, concurrent_runs: 1, aging: Span::hours(1) },
                runs_root: &root,
                performed,
            })
        })
    }

    fn judge(&mut self, outputs: Option<(f64, f64)>) -> Result<(), TestCaseError> {
        let Some(run) = self.model.active_run().cloned().filter(|it| it.status == RunStatus::Evaluating) else {
            return Ok(());
        };
        self.registered += 1;
        let made = outputs.and_then(|(candidate, champion)| self.outputs(&run, candidate, champion));
        let problem = OutputsProblem("predictions.parquet is missing".to_owned());
        let execution = ObservedExecution { status: ExecutionStatus::Succeeded, failure: None };
        self.follow(|it, performed| it.evaluate(Some(&execution), Some(made.as_ref().ok_or(&problem)), performed))
    }

    fn outputs(&self, run: &Run, candidate: f64, champion: f64) -> Option<CandidateOutputs> {
        let request = run.request.as_ref()?;
        let has_champion = self.model.head.champion.is_some();
        let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
        let improvements = modes.into_iter().filter(|_| has_champion).filter_map(|mode| {
            let value = improvement(Metric::Mae, mode, champion, candidate)?;
            Some((mode, Improvement { value, standard_error: None, lower_bound: Some(value - 0.1), upper_bound: None }))
        });
        let comparison = Comparison {
            candidate: measured(candidate),
            champion: measured(champion).filter(|_| has_champion),
            improvements: improvements.collect(),
        };
        let version = self.registered;
        let package = Package {
            schema: Package::SCHEMA,
            version,
            arn: format!("arn:package/m/{version}"),
            run: Some(run.id.clone()),
            model: request.output.join("model.tar.gz").ok()?,
            artifact: Digest::of(run.id.as_ref().as_bytes()),
            train: request.train,
            holdout: request.holdout,
            quality: BTreeMap::from([(Metric::Mae, measured(candidate)?)]),
            registered_at: self.now,
            metadata: BTreeMap::new(),
            status: PackageStatus::Candidate,
            promoted_at: None,
            replaced: None,
            replaced_before: Vec::new(),
            removed_at: None,
        };
        let metrics = BTreeMap::from([(Metric::Mae, comparison)]);
        Some(CandidateOutputs { package, evidence: Evidence::new(500, metrics, Digest::of(b"rows")) })
    }

    fn evaluate(
        &self,
        execution: Option<&ObservedExecution>,
        outputs: Option<Result<&CandidateOutputs, &OutputsProblem>>,
        performed: &[Step],
    ) -> Plan {
        plan_evaluate(&EvaluateInputs {
            model: &self.model,
            policy: &self.policy,
            now: self.now,
            execution,
            found: None,
            outputs,
            performed,
        })
    }

    fn promote(&self, vote: Option<&VoteRequest>, published: u64, performed: &[Step]) -> Plan {
        let serving = self.model.champion().map(|it| it.arn.as_str());
        let candidate = self.model.active_run().and_then(|it| self.model.packages.get(&it.candidate?));
        plan_promote(&PromoteInputs {
            model: &self.model,
            policy: &self.policy,
            now: self.now,
            published,
            serving,
            archive: candidate.map(|it| &it.artifact),
            vote,
            performed,
        })
    }
}

fn check(moves: &[Move]) -> Result<BTreeSet<&'static str>, TestCaseError> {
    let mut reached = check_under(OnNewTrigger::Wait, moves)?;
    reached.extend(check_under(OnNewTrigger::Supersede, moves)?);
    Ok(reached)
}

fn check_under(on_new_trigger: OnNewTrigger, moves: &[Move]) -> Result<BTreeSet<&'static str>, TestCaseError> {
    let mut history = History::new(on_new_trigger);
    for next in moves {
        history.play(next)?;
    }
    let folded = Model::fold(&history.events).map_err(|error| TestCaseError::fail(format!("{error}")))?;
    prop_assert_eq!(folded.as_ref(), Some(&history.model), "the log adds up to the state");
    let mut chain = ChainCheck::default();
    for event in &history.events {
        let entry = AuditEntry::new(event.clone());
        let text = serde_json::to_string(&entry).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let read: AuditEntry =
            serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(&read, &entry, "an entry reads back as it was written");
        prop_assert_eq!(read.event.hash(), event.hash(), "and has the same hash");
        chain.next(&read).map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
    let open =
        history.model.runs.values().filter(|it| !it.status.is_terminal()).map(|it| &it.id).collect::<Vec<&RunId>>();
    prop_assert_eq!(open, history.model.head.active_run.iter().collect::<Vec<_>>());
    let champions =
        history.model.packages.values().filter(|it| it.status == PackageStatus::Champion).map(|it| it.version);
    prop_assert_eq!(champions.collect::<Vec<_>>(), history.model.head.champion.into_iter().collect::<Vec<_>>());
    Ok(history.events.iter().map(|it| it.fact.name()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn u3_every_history_adds_up_reads_back_and_is_planned_the_same_twice(moves in prop::collection::vec(moves(), 0..120)) {
        check(&moves)?;
    }
}

#[test]
fn random_histories_reach_every_fact() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(moves(), 360);
    let mut reached = BTreeSet::new();
    for _ in 0..90 {
        let moves = strategy.new_tree(&mut runner).unwrap_or_else(|error| panic!("{error}")).current();
        reached.extend(check(&moves).unwrap_or_else(|error| panic!("{error}")));
    }
    let all = [
        "approval_voted",
        "candidate_evaluated",
        "model_promoted",
        "model_rolled_back",
        "model_watched",
        "promotion_announced",
        "rollback_started",
        "rollout_started",
        "run_causes_added",
        "run_ended",
        "run_queued",
        "run_requested",
        "run_retrying",
        "run_starting",
        "run_stopping",
        "run_superseded",
        "run_trained",
        "run_training",
        "triggers_checked",
    ];
    // A policy is adopted by the use case, not by a planner.
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), all);
}

/// A history that has just begun to train, and the execution's deadline.
fn training() -> (History, Timestamp) {
    let mut history = History::new(OnNewTrigger::Wait);
    for next in [Move::Manual { actor: 1, force: false }, Move::Start { is_defined: true }] {
        history.play(&next).unwrap_or_else(|error| panic!("{error}"));
    }
    let deadline = history.model.active_run().and_then(|it| it.deadline).unwrap_or_else(|| panic!("it does not train"));
    (history, deadline)
}

#[test]
fn an_execution_that_the_service_does_not_know_ends_with_its_deadline() {
    let (mut history, deadline) = training();
    assert!(matches!(history.evaluate(None, None, &[]), Plan::Wait { .. }), "the service may lag");
    history.now = deadline;
    match history.evaluate(None, None, &[]) {
        Plan::Record(planned) => match planned.fact {
            Fact::RunEnded { status: RunStatus::Failed, outcome, .. } => {
                assert!(outcome.reason.contains("does not know"), "{}", outcome.reason);
            }
            other => panic!("{other:?}"),
        },
        other => panic!("its slot is held for ever: {other:?}"),
    }
}

#[test]
fn an_execution_that_cannot_be_seen_for_a_moment_fails_no_run() {
    let (mut history, _) = training();
    history.play(&Move::Observe { status: ExecutionStatus::Succeeded }).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(history.model.active_run().map(|it| it.status), Some(RunStatus::Evaluating));
    let plan = history.evaluate(None, None, &[]);
    assert!(matches!(plan, Plan::Wait { until: Some(_), .. }), "{plan:?}");
}
