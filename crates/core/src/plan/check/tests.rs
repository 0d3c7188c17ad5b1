//! Tables over situations: a policy's triggers, what was judged and requested before, and what a check makes of it.

use expect_test::{Expect, expect};
use jiff::Timestamp;
use std::sync::Arc;

use super::*;
use crate::audit::{AuditEvent, Fact};
use crate::plan::{Refusal, ResumeRequest, SuspendRequest, plan_resume, plan_suspend};
use crate::policy::{Policy, read};
use crate::run::{Outcome, OutcomeCode, RunStatus};
use crate::trigger::{CauseKind, JudgmentKind, Signal, Source, WindowVerdict};
use crate::window::Window;
use crate::{Digest, RunId};

const ARN: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency";

fn policy_of(triggers: &str, timezone: &str) -> ModelPolicy {
    let text = format!(
        "
schema: 1
fleet: {{ timezone: {timezone} }}
models:
  - id: m
    task: regression
    pipeline: {{ definition: retrain.json }}
    data: {{ reference: s3://data/reference/, capture: s3://data/capture/, labels: s3://data/labels/, time: ts, label: y, features: {{ x: numeric }} }}
    window: {{ size: 1d }}
    training: {{ window: 7d, holdout: 2d }}
    triggers: {{ {triggers} }}
"
    );
    let policy: Policy = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
    policy.models[0].clone()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A model with its log, its policy and its clock.
struct Bench {
    model: Model,
    policy: ModelPolicy,
    recent: Recent,
    now: Timestamp,
}

impl Bench {
    /// Watched since 2026-03-01T00:00:00Z.
    fn new(triggers: &str) -> Bench {
        Bench::in_zone(triggers, "UTC")
    }

    fn in_zone(triggers: &str, timezone: &str) -> Bench {
        let policy = policy_of(triggers, timezone);
        let now = time("2026-03-01T00:00:00Z");
        let fact = Fact::ModelWatched {
            policy: Digest::of(b"p"),
            origin: now,
            endpoint: policy.endpoint.clone(),
            editor: Actor::person("ann"),
        };
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: policy.id.clone(),
            seq: 1,
            at: now,
            actor: Actor::refit(),
            cause: "apply".to_owned(),
            fact,
            snapshot: None,
            previous: AuditEvent::genesis(),
        };
        let model = Model::begin(&event).unwrap_or_else(|error| panic!("{error}"));
        Bench { model, policy, recent: Recent::default(), now }
    }

    fn at(mut self, now: &str) -> Bench {
        self.now = time(now);
        self
    }

    fn record(&mut self, fact: Fact) {
        let event = self.model.next_event(fact, Actor::schedule(), "test", self.now);
        self.model.apply(&event).unwrap_or_else(|error| panic!("{error}"));
    }

    /// A stored judgment of the window that ends at midnight of this day of March, judged then.
    fn judged(mut self, kind: JudgmentKind, day: u8, verdict: WindowVerdict, causes: &[CauseKind]) -> Bench {
        let end = time(&format!("2026-03-{day:02}T00:00:00Z"));
        self.recent.judgments.push(Judgment {
            schema: Judgment::SCHEMA,
            kind,
            window: Window { start: crate::policy::Span::days(1).before(end), end },
            source: Source { revision: 1, data: Digest::of(b""), hours: 24, replaces: None },
            at: end,
            caused_at: end,
            champion: None,
            rows: 1_000,
            verdict,
            reason: format!("{} on day {day}", verdict.name()),
            causes: causes.to_vec(),
            features: Vec::new(),
            quality: None,
            detector: None,
        });
        self
    }

    /// One stored drift judgment a letter: drifted, stable or inconclusive, the first of the windows that end on March 2.
    fn drift(mut self, story: &str) -> Bench {
        for (index, letter) in story.chars().enumerate() {
            let (verdict, causes) = match letter {
                'D' => (WindowVerdict::Drifted, &[CauseKind::DataDrift][..]),
                'S' => (WindowVerdict::Stable, &[][..]),
                _ => (WindowVerdict::Inconclusive, &[][..]),
            };
            let day = u8::try_from(index + 2).unwrap_or(31);
            self = self.judged(JudgmentKind::Drift, day, verdict, causes);
        }
        self
    }

    /// A run, requested now and ended as told.
    fn ran(mut self, status: RunStatus) -> Bench {
        let run = RunId::new(&self.policy.id, self.model.head.run_count + 1);
        let causes = vec![Cause { kind: CauseKind::DataDrift, reason: "test".to_owned() }];
        self.record(Fact::RunRequested { run: run.clone(), causes, findings: Vec::new(), judgments: Vec::new() });
        self.recent.requested.push(self.now);
        if status == RunStatus::Requested {
            return self;
        }
        let code = if status == RunStatus::Rejected { OutcomeCode::GateFailed } else { OutcomeCode::ExecutionFailed };
        let outcome = Outcome { at: self.now, code, reason: "test".to_owned() };
        if let Some(run) = self.model.runs.get_mut(&run).map(Arc::make_mut) {
            run.status = if status == RunStatus::Rejected { RunStatus::Evaluating } else { RunStatus::Training };
        }
        self.record(Fact::RunEnded { run, status, outcome });
        self
    }

    fn called(mut self) -> Bench {
        let signal = Signal { kind: CauseKind::Alarm, source: ARN.to_owned(), reason: "slow".to_owned() };
        self.record(Fact::SignalReceived { signal });
        self
    }

    fn plan(&self, manual: Option<&ManualRequest>) -> Plan {
        plan_check(&CheckInputs {
            model: &self.model,
            policy: &self.policy,
            now: self.now,
            windows: &[],
            recent: &self.recent,
            manual,
            performed: &[],
        })
    }

    /// Records what the check says, as a use case does.
    fn checked(mut self) -> Bench {
        if let Plan::Record(record) = self.plan(None) {
            self.record(record.fact);
        }
        self
    }

    #[track_caller]
    fn check(&self, expected: &Expect) {
        expected.assert_eq(&tell(self.plan(None)));
    }
}

/// What a plan says, a line a finding.
fn tell(plan: Plan) -> String {
    match plan {
        Plan::Record(record) => {
            let findings = match &record.fact {
                Fact::TriggersChecked { findings, .. } | Fact::RunRequested { findings, .. } => findings.clone(),
                other => panic!("a check recorded {}", other.name()),
            };
            let decision = record.decision.unwrap_or_else(|| panic!("a check says why"));
            let lines: Vec<String> =
                findings.iter().map(|it| format!("\n  {} {:?}: {}", it.kind, it.outcome, it.reason)).collect();
            decision.outcome + &lines.concat() + "\n"
        }
        Plan::Wait { on, .. } => format!("{on}\n"),
        Plan::Refuse(refusal) => format!("refused: {refusal}\n"),
        Plan::Perform(step) => panic!("a check performs nothing: {step:?}"),
    }
}

fn manual(force: bool) -> ManualRequest {
    ManualRequest { actor: Actor::person("ana"), reason: "why not".to_owned(), force }
}

#[track_caller]
fn check_persistence(persistence: &str, story: &str, expected: FindingOutcome) {
    let bench = Bench::new(&format!("drift: {{ persistence: {persistence} }}")).drift(story).at("2026-03-20T00:00:00Z");
    let plan = bench.plan(None);
    let Plan::Record(record) = plan else { panic!("{plan:?}") };
    let (Fact::TriggersChecked { findings, .. } | Fact::RunRequested { findings, .. }) = record.fact else {
        panic!("{}", record.fact.name())
    };
    assert_eq!(findings[0].outcome, expected, "{persistence} {story}: {}", findings[0].reason);
}

#[test]
fn persistence_looks_at_the_last_judgments_and_never_at_a_counter() {
    use FindingOutcome::{Fired, Inconclusive, Quiet};
    for (persistence, story, expected) in [
        ("1/1", "", Inconclusive),
        ("1/1", "D", Fired),
        ("1/1", "DS", Quiet),
        ("2/3", "D", Quiet),
        ("2/3", "DD", Fired),
        ("2/3", "DSD", Fired),
        ("2/3", "DSSD", Quiet),
        ("2/3", "DDS", Fired),
        ("2/3", "DDSS", Quiet),
        ("3/3", "DDSD", Quiet),
        ("3/3", "SDDD", Fired),
        // A window that could not be judged neither counts nor breaks a row.
        ("2/2", "D?D", Fired),
        ("2/2", "D??", Inconclusive),
        ("2/2", "DD?", Fired),
        ("1/1", "D?", Fired),
        ("1/1", "S?", Inconclusive),
    ] {
        check_persistence(persistence, story, expected);
    }
}

#[test]
fn judgments_that_a_run_answered_do_not_ask_again() {
    // Two drifted windows led to a run on March 3; the stable one after it is no new reason, the drifted one is.
    let answered = |story: &str| {
        let bench = Bench::new("drift: { persistence: 2/3 }").drift("DD").at("2026-03-03T01:00:00Z");
        bench.ran(RunStatus::Failed).drift(story).at("2026-03-20T00:00:00Z")
    };
    answered("DDS").check(&expect![[r#"
        no retraining: no trigger fired
          data_drift Quiet: [2026-03-03T00:00:00Z, 2026-03-04T00:00:00Z): stable on day 4; 2 of the last 3 windows say so, 2 of 3 are needed
    "#]]);
    answered("DDD").check(&expect![[r#"
        retrain as m-r0002: data_drift
          data_drift Fired: [2026-03-03T00:00:00Z, 2026-03-04T00:00:00Z): drifted on day 4; 3 of the last 3 windows say so, 2 of 3 are needed
    "#]]);
}

#[test]
fn conditions_are_combined_and_calls_suffice_alone() {
    let two = "drift: {}, performance: { metric: mae, floor: 12 }, alarms: [{ arn: \"arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency\", reason: slow }]";
    let degraded = [CauseKind::PerformanceFloor];
    let bench = |when: &str| Bench::new(&format!("when: {when}, {two}")).at("2026-03-20T00:00:00Z");
    bench("all").drift("D").check(&expect![[r#"
        no retraining: suppressed
          performance_floor Inconclusive: no window of this champion is closed yet
          data_drift Suppressed: [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z): drifted on day 2; suppressed: 1 of 2 conditions hold, `when: all` needs 2 (missing: performance)
    "#]]);
    bench("all").drift("D").judged(JudgmentKind::Performance, 2, WindowVerdict::Degraded, &degraded).check(&expect![[
        r#"
        retrain as m-r0001: performance_floor, data_drift
          performance_floor Fired: [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z): degraded on day 2
          data_drift Fired: [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z): drifted on day 2
    "#
    ]]);
    bench("{ at_least: 2 }").drift("D").check(&expect![[r#"
        no retraining: suppressed
          performance_floor Inconclusive: no window of this champion is closed yet
          data_drift Suppressed: [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z): drifted on day 2; suppressed: 1 of 2 conditions hold, `when: at_least: 2` needs 2 (missing: performance)
    "#]]);
    bench("{ at_least: 1 }").drift("D").check(&expect![[r#"
        retrain as m-r0001: data_drift
          performance_floor Inconclusive: no window of this champion is closed yet
          data_drift Fired: [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z): drifted on day 2
    "#]]);
    bench("all").called().check(&expect![[r#"
        retrain as m-r0001: alarm
          performance_floor Inconclusive: no window of this champion is closed yet
          data_drift Inconclusive: no window of this champion is closed yet
          alarm Fired: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency)
    "#]]);
}

const ALARMS: &str = "alarms: [{ arn: \"arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency\", reason: slow }]";

#[test]
fn each_guard_is_named() {
    let bench = |guard: &str| Bench::new(&format!("{ALARMS}, {guard}")).at("2026-03-20T00:00:00Z");
    bench("cooldown: 7d").ran(RunStatus::Failed).at("2026-03-21T00:00:00Z").called().check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: cooldown: the last run was requested at 2026-03-20T00:00:00Z, the next is allowed at 2026-03-27T00:00:00Z; use --force to skip the cooldown
    "#]]);
    bench("budget: { runs_per_month: 1 }").ran(RunStatus::Failed).called().check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: budget: 1 runs were requested in 2026-03, 1 a month are allowed
    "#]]);
    bench("freeze: [{ from: 2026-03-20, to: 2026-03-21 }]").called().check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: freeze: no run is requested from 2026-03-20 to 2026-03-21
    "#]]);
    let mut suspended = bench("cooldown: 0s").called();
    let request = SuspendRequest { actor: Actor::person("ana"), reason: "moving house".to_owned() };
    let Plan::Record(record) = plan_suspend(&suspended.model, &request) else { panic!("refused") };
    suspended.record(record.fact);
    suspended.check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: suspended by schedule at 2026-03-20T00:00:00Z: moving house; resume the model first
    "#]]);
    // All that hold are named, and the one that can be skipped comes last.
    let both = bench("cooldown: 7d, budget: { runs_per_month: 1 }").ran(RunStatus::Failed).called();
    both.check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: budget: 1 runs were requested in 2026-03, 1 a month are allowed; cooldown: the last run was requested at 2026-03-20T00:00:00Z, the next is allowed at 2026-03-27T00:00:00Z; use --force to skip the cooldown
    "#]]);
}

#[test]
fn force_skips_the_cooldown_and_nothing_else() {
    let bench = |guard: &str| Bench::new(guard).at("2026-03-20T00:00:00Z").ran(RunStatus::Failed);
    let is_refused = |bench: &Bench, force| matches!(bench.plan(Some(&manual(force))), Plan::Refuse(_));
    let cooling = bench("cooldown: 7d");
    assert!(is_refused(&cooling, false) && !is_refused(&cooling, true));
    for guard in ["budget: { runs_per_month: 1 }", "freeze: [{ from: 2026-03-20, to: 2026-03-20 }]"] {
        assert!(is_refused(&bench(guard), true), "{guard}");
    }
    let mut suspended = bench("cooldown: 0s");
    suspended.record(Fact::ModelSuspended { reason: "moving house".to_owned() });
    assert!(is_refused(&suspended, true));
}

#[test]
fn what_a_guard_holds_back_fires_once_when_it_ends() {
    let bench = Bench::new(&format!(
        "{ALARMS}, schedule: \"cron(0 2 5 * ? *)\", freeze: [{{ from: 2026-03-04, to: 2026-03-06 }}]"
    ));
    let held = bench.at("2026-03-05T02:00:00Z").called().checked();
    held.check(&expect![[r#"
        waiting for the next check
    "#]]);
    let held = held.at("2026-03-06T23:00:00Z").checked();
    let ended = held.at("2026-03-07T00:00:00Z");
    ended.check(&expect![[r#"
        retrain as m-r0001: schedule, alarm
          schedule Fired: cron(0 2 5 * ? *) was due at 2026-03-05T02:00:00Z
          alarm Fired: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency)
    "#]]);
    let mut ended = ended.checked();
    let run = RunId::new(&ended.policy.id, 1);
    let outcome = Outcome { at: ended.now, code: OutcomeCode::ExecutionFailed, reason: "test".to_owned() };
    ended.record(Fact::RunEnded { run, status: RunStatus::Failed, outcome });
    ended.at("2026-03-08T00:00:00Z").check(&expect![[r#"
        no retraining: no trigger fired
          schedule Quiet: cron(0 2 5 * ? *) is due at 2026-04-05T02:00:00Z
    "#]]);
}

#[test]
fn freezes_and_budgets_follow_the_fleets_clocks() {
    let is_refused = |triggers: &str, zone: &str, now: &str| {
        let bench = Bench::in_zone(triggers, zone).at(now);
        matches!(bench.plan(Some(&manual(false))), Plan::Refuse(Refusal::Freeze { .. } | Refusal::Budget { .. }))
    };
    // Both ends belong to a freeze; the first minute after its last date does not.
    let freeze = "freeze: [{ from: 2026-12-20, to: 2027-01-03 }]";
    for (zone, now, expected) in [
        ("UTC", "2026-12-19T23:59:59Z", false),
        ("UTC", "2026-12-20T00:00:00Z", true),
        ("UTC", "2027-01-03T23:59:59Z", true),
        ("UTC", "2027-01-04T00:00:00Z", false),
        ("Europe/Berlin", "2026-12-19T23:00:00Z", true),
        ("Europe/Berlin", "2027-01-03T23:00:00Z", false),
        ("America/New_York", "2026-12-20T04:59:59Z", false),
        ("America/New_York", "2027-01-04T04:59:59Z", true),
    ] {
        assert_eq!(is_refused(freeze, zone, now), expected, "{zone} {now}");
    }
    // A run at 23:30 UTC on March 31 is one of April in Berlin.
    for (zone, expected) in [("UTC", false), ("Europe/Berlin", true)] {
        let bench = Bench::in_zone("budget: { runs_per_month: 1 }", zone).at("2026-03-31T23:30:00Z");
        let bench = bench.ran(RunStatus::Failed).at("2026-04-02T00:00:00Z");
        assert_eq!(matches!(bench.plan(Some(&manual(true))), Plan::Refuse(Refusal::Budget { .. })), expected, "{zone}");
    }
}

#[test]
fn the_loop_breaker_stops_after_rejections_and_rollbacks_until_a_person_acts() {
    let looping = || {
        let bench = Bench::new(&format!("{ALARMS}, loop_breaker: {{ rejections: 2 }}")).at("2026-03-20T00:00:00Z");
        bench.ran(RunStatus::Rejected).ran(RunStatus::Failed).ran(RunStatus::Rejected).called()
    };
    looping().check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: loop breaker: the last 2 candidates were rejected or rolled back, 2 stop retraining by itself; trigger a run or resume the model
    "#]]);
    let Plan::Record(asked) = looping().plan(Some(&manual(false))) else { panic!("a person is not stopped") };
    let mut by_person = looping();
    by_person.record(asked.fact);
    assert_eq!(by_person.model.head.setbacks, 0);
    let mut resumed = looping();
    let request = ResumeRequest { actor: Actor::person("ana"), reason: String::new() };
    let Plan::Record(record) = plan_resume(&resumed.model, &resumed.policy, &request) else { panic!("refused") };
    resumed.record(record.fact);
    assert!(matches!(plan_resume(&resumed.model, &resumed.policy, &request), Plan::Refuse(Refusal::NotSuspended)));
    resumed.check(&expect![[r#"
        retrain as m-r0004: alarm
          alarm Fired: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency)
    "#]]);
}

#[test]
fn a_clock_that_ran_ahead_does_not_silence_checks() {
    let bench = Bench::new("age: { max: 3d }, cooldown: 7d").at("2031-01-01T00:00:00Z").checked();
    let bench = bench.ran(RunStatus::Failed).at("2026-03-20T00:00:00Z");
    bench.check(&expect![[r#"
        no retraining: no trigger fired
          age Inconclusive: there is no champion yet
    "#]]);
    assert!(matches!(bench.plan(Some(&manual(false))), Plan::Record(_)), "no cooldown that lasts for years");
    let bench = bench.checked();
    assert_eq!(next_check(&bench.model.head, &bench.policy, bench.now), time("2026-03-20T01:00:00Z"));
}

#[test]
fn an_alarm_that_the_policy_no_longer_maps_asks_for_nothing() {
    let mut bench = Bench::new(ALARMS).called();
    bench.policy = policy_of("cooldown: 0s", "UTC");
    bench.check(&expect![[r#"
        no retraining: no trigger fired
    "#]]);
}

#[test]
fn an_alarm_of_a_detector_stands_until_a_run_answers_it() {
    let drift = [CauseKind::ConceptDrift];
    let alarmed = || {
        let bench = Bench::new("concept: { detector: adwin }, cooldown: 7d").at("2026-03-10T00:00:00Z");
        let bench = bench.judged(JudgmentKind::Concept, 3, WindowVerdict::Degraded, &drift);
        bench.judged(JudgmentKind::Concept, 4, WindowVerdict::Stable, &[])
    };
    alarmed().check(&expect![[r#"
        retrain as m-r0001: concept_drift
          concept_drift Fired: [2026-03-02T00:00:00Z, 2026-03-03T00:00:00Z): degraded on day 3
    "#]]);
    alarmed().ran(RunStatus::Failed).at("2026-03-20T00:00:00Z").check(&expect![[r#"
        no retraining: no trigger fired
          concept_drift Quiet: [2026-03-03T00:00:00Z, 2026-03-04T00:00:00Z): stable on day 4
    "#]]);
}

#[test]
fn a_broken_upstream_blocks_a_person_too_until_a_window_is_whole() {
    let bench = || Bench::new(&format!("{ALARMS}, upstream: {{ max_null_rate: 0.5 }}")).at("2026-03-20T00:00:00Z");
    let broken = bench().judged(JudgmentKind::Upstream, 3, WindowVerdict::Broken, &[]).called();
    broken.check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: upstream is broken: [2026-03-02T00:00:00Z, 2026-03-03T00:00:00Z): broken on day 3
    "#]]);
    assert!(matches!(broken.plan(Some(&manual(true))), Plan::Refuse(Refusal::UpstreamBroken(_))));
    // A window without rows says nothing; a whole one ends it.
    let empty = broken.judged(JudgmentKind::Upstream, 4, WindowVerdict::Inconclusive, &[]);
    assert!(matches!(empty.plan(Some(&manual(true))), Plan::Refuse(Refusal::UpstreamBroken(_))));
    let whole = empty.judged(JudgmentKind::Upstream, 5, WindowVerdict::Stable, &[]);
    assert!(matches!(whole.plan(Some(&manual(true))), Plan::Record(_)));
}

#[test]
fn volumes_fire_are_learned_and_guard() {
    let bench = |volume: &str, predictions, intervals: &[u64]| {
        let mut bench = Bench::new(&format!("{ALARMS}, volume: {{ {volume} }}")).at("2026-03-20T00:00:00Z");
        bench.recent.volume = Some(Volume { predictions, intervals: intervals.to_vec(), labels: None });
        bench
    };
    bench("max_predictions: 1000, new_records: 10", 1_000, &[]).check(&expect![[r#"
        retrain as m-r0001: prediction_volume
          prediction_volume Fired: 1000 predictions since the last run, 1000 are allowed
          new_records Inconclusive: there is no champion yet
    "#]]);
    bench("max_predictions: learned", 1_000, &[900, 800]).check(&expect![[r#"
        no retraining: no trigger fired
          prediction_volume Inconclusive: 2 of 3 intervals between runs needed to learn how many are usual
    "#]]);
    bench("max_predictions: learned", 899, &[500, 900, 800, 1, 2, 9_999]).check(&expect![[r#"
        no retraining: no trigger fired
          prediction_volume Quiet: 899 predictions since the last run, 900 were made in the longest of the last 5 intervals
    "#]]);
    bench("min_predictions: 100", 99, &[]).called().check(&expect![[r#"
        no retraining: suppressed
          alarm Suppressed: slow (arn:aws:cloudwatch:us-east-1:000000000000:alarm:latency); suppressed: volume: 99 predictions since the last run, 100 are needed before a run is considered
    "#]]);
    let few = bench("min_predictions: 100", 99, &[]);
    assert!(matches!(few.plan(Some(&manual(false))), Plan::Record(_)), "a person has considered");
}
