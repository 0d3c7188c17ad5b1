//! A made-up year of a model: weekly windows, a dozen runs that end in every way.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{Alert, AlertKind};
use refit_core::approval::{Approval, Choice, Vote};
use refit_core::audit::{AuditEntry, AuditEvent, Fact};
use refit_core::decision::DecisionKind;
use refit_core::evaluation::{Comparison, Evidence, Improvement, evaluate, improvement};
use refit_core::model::Head;
use refit_core::package::{Measured, Package, PackageStatus};
use refit_core::policy::{
    AutoPromote, Combination, DataPolicy, DriftMetric, DriftPolicy, EndpointPolicy, FeatureKind, GatePolicy,
    ImprovementMode, Metric, ModelPolicy, OnNewTrigger, PerformancePolicy, Persistence, PipelinePolicy,
    PromotionPolicy, Resources, RetryPolicy, RolloutPolicy, RolloutStrategy, Span, Strategy, Task, TrainingPolicy,
    TriggersPolicy, WindowPolicy, Zone,
};
use refit_core::run::{Outcome, OutcomeCode, Run, RunStatus, TrainingRequest};
use refit_core::trigger::{
    Cause, CauseKind, FeatureJudgment, Judgment, JudgmentKind, QualityJudgment, Source, WindowVerdict,
};
use refit_core::{Actor, Digest, ModelId, ObjectUri, RunId, Window};

use super::{
    AuditSummary, DataSummary, DecisionSummary, Document, History, Promotion, Quality, QualityMean, QualityWindow,
    RollbackSummary,
};

/// Everything that a report is made of.
pub(crate) struct Sample {
    pub(crate) document: Document,
    pub(crate) history: History,
    pub(crate) policy: ModelPolicy,
    pub(crate) alerts: Vec<Alert>,
}

const FEATURES: [(&str, FeatureKind); 6] = [
    ("distance", FeatureKind::Numeric),
    ("carrier", FeatureKind::Categorical),
    ("origin", FeatureKind::Categorical),
    ("dest", FeatureKind::Categorical),
    ("hour", FeatureKind::Numeric),
    ("weekday", FeatureKind::Categorical),
];

/// How a run of the sample goes: week, cause, status, code, error of the candidate and the champion, days for people.
type Script = (i64, CauseKind, RunStatus, Option<OutcomeCode>, Option<(f64, f64)>, Option<i64>);

const SCRIPT: [Script; 12] = [
    (0, CauseKind::Manual, RunStatus::Succeeded, Some(OutcomeCode::Promoted), Some((8.6, f64::NAN)), Some(1)),
    (7, CauseKind::PerformanceDrop, RunStatus::Succeeded, Some(OutcomeCode::Promoted), Some((8.3, 9.6)), None),
    (11, CauseKind::DataDrift, RunStatus::Rejected, Some(OutcomeCode::GateFailed), Some((9.1, 8.8)), None),
    (14, CauseKind::PerformanceDrop, RunStatus::Failed, Some(OutcomeCode::ExecutionFailed), None, None),
    (16, CauseKind::PerformanceDrop, RunStatus::Succeeded, Some(OutcomeCode::Promoted), Some((8.9, 9.2)), Some(3)),
    (21, CauseKind::DataDrift, RunStatus::TimedOut, Some(OutcomeCode::TimedOut), None, None),
    (24, CauseKind::PerformanceFloor, RunStatus::Succeeded, Some(OutcomeCode::Promoted), Some((9.0, 11.2)), None),
    (29, CauseKind::Schedule, RunStatus::Rejected, Some(OutcomeCode::Declined), Some((8.7, 8.9)), Some(4)),
    (34, CauseKind::Age, RunStatus::Rejected, Some(OutcomeCode::ApprovalExpired), Some((8.5, 8.7)), Some(7)),
    (39, CauseKind::PerformanceDrop, RunStatus::Succeeded, Some(OutcomeCode::Promoted), Some((8.2, 10.1)), None),
    (45, CauseKind::Manual, RunStatus::Canceled, None, None, None),
    (51, CauseKind::DataDrift, RunStatus::AwaitingApproval, None, Some((8.4, 8.6)), Some(3)),
];

fn start() -> Timestamp {
    "2013-01-01T00:00:00Z".parse().expect("a time")
}

fn day(days: i64) -> Timestamp {
    start() + SignedDuration::from_hours(24 * days)
}

fn week(week: i64) -> Window {
    Window { start: day(28 + 7 * week), end: day(35 + 7 * week) }
}

/// A number in [-1, 1) that depends on nothing but its arguments.
fn noise(series: u64, index: i64) -> f64 {
    let seed = Digest::of(format!("{series} {index}").as_bytes()).seed();
    seed as f64 / u64::MAX as f64 * 2.0 - 1.0
}

fn uri(text: &str) -> ObjectUri {
    text.parse().expect("an address")
}

/// A year with every ending.
pub(crate) fn year() -> Sample {
    let model: ModelId = "flight-time".parse().expect("a name");
    let policy = policy(&model);
    let mut history = History {
        head: head(&model),
        runs: Vec::new(),
        packages: Vec::new(),
        approvals: Vec::new(),
        judgments: judgments(),
        decisions: Vec::new(),
        audit: Vec::new(),
    };
    for (index, script) in SCRIPT.iter().enumerate() {
        add_run(&mut history, &policy, &model, index as u64 + 1, script);
    }
    finish_packages(&mut history);
    history.audit = audit(&model);
    history.head.audit_seq = history.audit.len() as u64;
    let alerts = alerts(&history);
    Sample { document: document(&history), history, policy, alerts }
}

/// A model under watch to which nothing has happened.
pub(crate) fn empty() -> Sample {
    let mut sample = year();
    let head = head(&sample.history.head.model);
    sample.history = History {
        head,
        runs: Vec::new(),
        packages: Vec::new(),
        approvals: Vec::new(),
        judgments: Vec::new(),
        decisions: Vec::new(),
        audit: Vec::new(),
    };
    sample.alerts = Vec::new();
    let mut document = document(&sample.history);
    document.quality.windows = Vec::new();
    document.quality.mean = QualityMean { frozen: None, refit: None };
    document.rollbacks = Vec::new();
    document.decisions = Vec::new();
    document.quiet_checks = 0;
    document.audit.verified = false;
    Sample { document, ..sample }
}

fn policy(model: &ModelId) -> ModelPolicy {
    let gate = |metric: Metric, max, min_improvement, max_regression| GatePolicy {
        max,
        min_improvement,
        max_regression,
        ..GatePolicy::on(metric)
    };
    ModelPolicy {
        id: model.clone(),
        task: Task::Regression,
        priority: refit_core::policy::Priority::Normal,
        endpoint: endpoint(),
        package_group: model.to_string(),
        pipeline: PipelinePolicy {
            definition: "infra/pipelines/retrain.json".to_owned(),
            parameters: BTreeMap::new(),
            strategy: Strategy::Full,
            timeout: Span::hours(2),
            retry: RetryPolicy { attempts: 3, backoff: Span::minutes(5), factor: 2, max_backoff: Span::hours(1) },
            resources: Resources::default(),
        },
        data: DataPolicy {
            reference: uri("s3://refit/reference/"),
            capture: uri("s3://refit/capture/"),
            labels: uri("s3://refit/labels/"),
            time: "ts".to_owned(),
            label: "air_time".to_owned(),
            prediction: "score".to_owned(),
            segments: Vec::new(),
            label_delay: Span::ZERO,
            label_maturity: Span::ZERO,
            features: FEATURES.iter().map(|it| (it.0.to_owned(), it.1)).collect(),
        },
        window: WindowPolicy { size: Span::days(7), hop: Span::days(7), lateness: Span::ZERO },
        training: TrainingPolicy { window: Span::days(30), holdout: Span::days(7) },
        triggers: TriggersPolicy {
            when: Combination::Any,
            timezone: Zone::utc(),
            check_every: Span::hours(1),
            schedule: None,
            drift: Some(DriftPolicy {
                metric: DriftMetric::Psi,
                threshold: 0.2,
                share: 0.3,
                persistence: Persistence::ONCE,
                min_rows: 500,
                features: BTreeMap::new(),
            }),
            performance: Some(PerformancePolicy {
                metric: Metric::Mae,
                max_drop: Some(0.05),
                floor: Some(12.0),
                persistence: Persistence::ONCE,
                min_rows: 100,
            }),
            age: Some(Span::days(60)),
            prediction_drift: None,
            concept: None,
            estimated_performance: None,
            volume: None,
            upstream: None,
            alarms: Vec::new(),
            events: Vec::new(),
            cooldown: Span::days(7),
            budget: None,
            freeze: Vec::new(),
            loop_breaker: None,
            on_new_trigger: OnNewTrigger::Wait,
        },
        gates: vec![gate(Metric::Mae, Some(15.0), Some(0.01), None), gate(Metric::Rmse, None, None, Some(0.02))],
        promotion: PromotionPolicy {
            auto_promote: Some(AutoPromote {
                metric: Metric::Mae,
                mode: ImprovementMode::Relative,
                min_improvement: 0.05,
                lower_bound_above: 0.0,
            }),
            approvals: 1,
            expires: Span::days(7),
            notice_timeout: Span::minutes(15),
        },
        rollout: RolloutPolicy { strategy: RolloutStrategy::Immediate },
        retention: None,
    }
}

fn endpoint() -> EndpointPolicy {
    EndpointPolicy { name: "flight-time".to_owned(), variant: "champion".to_owned() }
}

fn head(model: &ModelId) -> Head {
    Head {
        schema: Head::SCHEMA,
        model: model.clone(),
        policy: Digest::of(b"policy"),
        endpoint: endpoint(),
        editor: Actor::person("grace@example.com"),
        released_at: None,
        champion: None,
        previous_champion: None,
        active_run: None,
        active_rollback: None,
        rolled_back: None,
        frozen: None,
        suspended: None,
        setbacks: 0,
        setbacks_before: 0,
        signals: Vec::new(),
        run_count: 0,
        last_run_at: None,
        checked_at: start(),
        is_check_due: false,
        scheduled_until: start(),
        drift_judged_until: start(),
        performance_judged_until: start(),
        judged_until: BTreeMap::new(),
        origin: start(),
        drift: None,
        performance: None,
        cleaned_runs: 0,
        cleaning: Vec::new(),
        audit_seq: 0,
        audit_hash: AuditEvent::genesis(),
    }
}

fn add_run(history: &mut History, policy: &ModelPolicy, model: &ModelId, number: u64, script: &Script) {
    let (at_week, kind, status, code, errors, wait) = script;
    let requested_at = if *at_week == 0 { day(28) } else { week(*at_week).start + SignedDuration::from_hours(2) };
    let id = RunId::new(model, number);
    let trained = requested_at + SignedDuration::from_mins(42);
    let ended = wait.map_or(trained, |days| trained + SignedDuration::from_hours(24 * days - 5));
    let train = Window { start: week(*at_week - 5).start, end: week(*at_week - 1).start };
    let holdout = Window { start: train.end, end: week(*at_week - 1).end };
    let candidate = errors.map(|_| history.packages.len() as u64 + 1);
    let champion = history.head.champion;
    let evaluation = errors.map(|(candidate, champion)| {
        evaluate(
            evidence(candidate, champion),
            &policy.gates,
            policy.promotion.auto_promote.as_ref(),
            champion.is_finite(),
            None,
        )
    });
    if let (Some(version), Some((error, _))) = (candidate, errors) {
        history.packages.push(package(version, &id, train, holdout, *error, trained));
    }
    if wait.is_some() {
        history.approvals.push(approval(&id, trained, ended, *code));
    }
    let outcome = code.map(|code| Outcome { at: ended, code, reason: reason(code, candidate) });
    let promoted = candidate.filter(|_| *status == RunStatus::Succeeded);
    history.runs.push(Run {
        also_requested_by: Vec::new(),
        starting_at: None,
        attempts: Vec::new(),
        stopping_at: None,
        priority: refit_core::policy::Priority::Normal,
        queued_at: None,
        ready_at: None,
        schema: Run::SCHEMA,
        id: id.clone(),
        status: *status,
        causes: causes(*kind),
        requested_by: if *kind == CauseKind::Manual { Actor::person("grace@example.com") } else { Actor::schedule() },
        editor: Actor::person("grace@example.com"),
        requested_at,
        decision: format!("{model}-d{:06}", 40 * number),
        champion,
        request: Some(request(&id, policy, train, holdout).into()),
        execution: Some(format!(
            "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/{model}-retrain/execution/{number:012}"
        )),
        deadline: Some(requested_at + SignedDuration::from_hours(2)),
        stopping: None,
        candidate,
        evaluation: evaluation.map(Arc::new),
        announced: None,
        outcome: outcome.or_else(|| (*status == RunStatus::Canceled).then(|| canceled(trained))),
    });
    if let Some(version) = promoted {
        let package = &mut history.packages[version as usize - 1];
        package.status = PackageStatus::Champion;
        package.promoted_at = Some(ended);
        package.replaced = champion;
        history.head.previous_champion = champion;
        history.head.champion = Some(version);
    }
}

fn canceled(at: Timestamp) -> Outcome {
    Outcome { at, code: OutcomeCode::ExecutionStopped, reason: "stopped by somebody in the console".to_owned() }
}

fn causes(kind: CauseKind) -> Vec<Cause> {
    let text = match kind {
        CauseKind::PerformanceDrop => {
            "mae 9.8120 against 8.6310 on the hold-out: +13.7 %, at least +6.2 % with 99.9 % confidence"
        }
        CauseKind::PerformanceFloor => "mae 12.4410 is worse than the floor 12",
        CauseKind::DataDrift => "2 of 6 features drifted (distance, carrier), share 0.33 reaches 0.30",
        CauseKind::Age => "the last retraining was at 2013-08-20T02:00:00Z, more than 60d ago",
        CauseKind::Schedule => "cron(0 2 * * ? *) was due at 2013-08-20T02:00:00Z",
        CauseKind::Manual => "grace@example.com: new routes from Monday on",
        other => panic!("no script has {other}"),
    };
    let mut causes = vec![Cause { kind, reason: text.to_owned() }];
    if kind == CauseKind::PerformanceFloor {
        causes.extend(self::causes(CauseKind::PerformanceDrop));
    }
    causes
}

fn reason(code: OutcomeCode, version: Option<u64>) -> String {
    match code {
        OutcomeCode::Promoted => format!("version {} is champion", version.unwrap_or(0)),
        OutcomeCode::GateFailed => "mae improved by -0.0341 (relative), +0.01 is needed".to_owned(),
        OutcomeCode::Declined => {
            "declined by ada@example.com: holiday weeks are missing from the training window".to_owned()
        }
        OutcomeCode::ApprovalExpired => "nobody decided within 7d".to_owned(),
        OutcomeCode::BasisChanged => "the champion changed meanwhile".to_owned(),
        OutcomeCode::ExecutionFailed => "step Train failed: ClientError: exit code 137, out of memory".to_owned(),
        OutcomeCode::ExecutionStopped => "the execution was stopped by somebody else".to_owned(),
        OutcomeCode::NotStartable => "the pipeline is not there".to_owned(),
        OutcomeCode::InvalidOutputs => "evaluation.json is missing".to_owned(),
        OutcomeCode::Released => "the model left the policy".to_owned(),
        OutcomeCode::Canceled => "ann canceled it: the labels were wrong".to_owned(),
        OutcomeCode::Superseded => "m-r0003 takes its place, with the causes of both".to_owned(),
        OutcomeCode::TimedOut => "it trained longer than 2h and was stopped".to_owned(),
    }
}

fn evidence(candidate: f64, champion: f64) -> Evidence {
    let measured = |value: f64| {
        value.is_finite().then_some(Measured { value, standard_error: Some(0.023 * value), rows: 2_114, blocks: 7 })
    };
    let modes = [ImprovementMode::Relative, ImprovementMode::Absolute, ImprovementMode::ErrorReduction];
    let compare = |metric: Metric, candidate: f64, champion: f64| Comparison {
        candidate: measured(candidate),
        champion: measured(champion),
        improvements: modes
            .into_iter()
            .filter(|_| champion.is_finite())
            .filter_map(|mode| {
                let value = improvement(metric, mode, champion, candidate)?;
                let width = if mode == ImprovementMode::Absolute { 0.3 } else { 0.032 };
                Some((
                    mode,
                    Improvement {
                        value,
                        standard_error: None,
                        lower_bound: Some(value - width),
                        upper_bound: Some(value + 1.1 * width),
                    },
                ))
            })
            .collect(),
    };
    let r2 = |it: f64| 1.0 - it * it / 560.0;
    let metrics = BTreeMap::from([
        (Metric::Mae, compare(Metric::Mae, candidate, champion)),
        (Metric::Rmse, compare(Metric::Rmse, 1.42 * candidate, 1.41 * champion)),
        (Metric::R2, compare(Metric::R2, r2(candidate), r2(champion))),
    ]);
    Evidence::new(2_114, metrics, Digest::of(b"predictions"))
}

fn package(version: u64, run: &RunId, train: Window, holdout: Window, error: f64, at: Timestamp) -> Package {
    Package {
        schema: Package::SCHEMA,
        version,
        arn: format!("arn:aws:sagemaker:eu-central-1:000000000000:model-package/flight-time/{version}"),
        run: Some(run.clone()),
        model: uri("s3://refit/runs/model.tar.gz"),
        artifact: Digest::of(run.to_string().as_bytes()),
        train,
        holdout,
        quality: BTreeMap::from([(
            Metric::Mae,
            Measured { value: error, standard_error: Some(0.2), rows: 2_114, blocks: 7 },
        )]),
        registered_at: at,
        metadata: BTreeMap::new(),
        status: PackageStatus::Candidate,
        promoted_at: None,
        replaced: None,
        replaced_before: Vec::new(),
        removed_at: None,
    }
}

fn approval(run: &RunId, at: Timestamp, ended: Timestamp, code: Option<OutcomeCode>) -> Approval {
    let vote = |by: &str, choice, comment: &str| Vote {
        by: Actor::person(by),
        at: ended,
        choice,
        comment: comment.to_owned(),
    };
    let votes = match code {
        Some(OutcomeCode::Promoted) => {
            vec![vote("ada@example.com", Choice::Approve, "Looks right on the long routes, too.")]
        }
        Some(OutcomeCode::Declined) => {
            vec![vote("ada@example.com", Choice::Decline, "Holiday weeks are missing from the training window.")]
        }
        Some(_) | None => Vec::new(),
    };
    let expires_at = Span::days(7).after(at);
    Approval {
        schema: Approval::SCHEMA,
        run: run.clone(),
        generation: 1,
        basis: Digest::of(b"basis"),
        requested_at: at,
        expires_at,
        needed: 1,
        votes,
    }
}

fn request(run: &RunId, policy: &ModelPolicy, train: Window, holdout: Window) -> TrainingRequest {
    TrainingRequest {
        resources: Resources::default(),
        pipeline: policy.pipeline_name(),
        definition_version: 2,
        definition_digest: Digest::of(b"definition"),
        start_key: Digest::of(run.as_ref().as_bytes()).hex().to_owned(),
        parameters: BTreeMap::new(),
        train,
        holdout,
        output: uri("s3://refit/runs/"),
        document: serde_json::json!({ "schema": 1, "run_id": run, "seed": 3_141_592_653_589_u64, "train": train, "holdout": holdout }).to_string(),
    }
}

/// Version 5 was taken back after five weeks of service; the last promotion stands.
fn finish_packages(history: &mut History) {
    let champion = history.head.champion;
    for package in &mut history.packages {
        let run = history.runs.iter().find(|it| Some(&it.id) == package.run.as_ref());
        let status = run.map(|it| it.status);
        package.status = match status {
            _ if Some(package.version) == champion => PackageStatus::Champion,
            _ if package.version == 5 => PackageStatus::RolledBack,
            Some(RunStatus::Rejected) => PackageStatus::Rejected,
            Some(RunStatus::Succeeded) => PackageStatus::Retired,
            Some(_) | None => PackageStatus::Candidate,
        };
    }
}

fn judgments() -> Vec<Judgment> {
    let base = |kind, index: i64| Judgment {
        schema: Judgment::SCHEMA,
        kind,
        window: week(index),
        source: Source { revision: 1, data: Digest::of(b"rows"), hours: 168, replaces: None },
        at: week(index).end,
        caused_at: week(index).end,
        champion: Some(1 + index as u64 / 8),
        rows: 1_900 + (noise(9, index) * 150.0) as u64,
        verdict: WindowVerdict::Stable,
        reason: "0 of 6 features drifted, share 0.00 is below 0.30".to_owned(),
        causes: Vec::new(),
        features: Vec::new(),
        quality: None,
        detector: None,
    };
    let mut judgments = Vec::new();
    for index in 0..52 {
        let features = FEATURES
            .iter()
            .enumerate()
            .map(|(number, (name, _))| feature(name, number as u64, index))
            .collect::<Vec<_>>();
        let drifted = features.iter().filter(|it| it.is_drifted()).count();
        let verdict = if 1 < drifted { WindowVerdict::Drifted } else { WindowVerdict::Stable };
        judgments.push(Judgment { features, verdict, ..base(JudgmentKind::Drift, index) });
    }
    for index in 0..52 {
        let baseline = 8.6;
        let value = 8.5 + 1.4 * (index % 8) as f64 / 7.0 + 0.35 * noise(7, index);
        let worsening = (value - baseline) / baseline;
        let is_degraded = 0.12 < worsening;
        let quality = QualityJudgment {
            metric: Metric::Mae,
            value: (index != 30).then_some(value),
            estimated: None,
            standard_error: None,
            baseline: Some(baseline + 0.25 * (index / 8 % 3) as f64),
            worsening: Some(worsening),
            lower_bound: Some(worsening - 0.07),
        };
        judgments.push(Judgment {
            verdict: if is_degraded { WindowVerdict::Degraded } else { WindowVerdict::Stable },
            reason: format!("mae {value:.4} against {baseline:.4} on the hold-out: {:+.1} %", 100.0 * worsening),
            quality: Some(quality),
            ..base(JudgmentKind::Performance, index)
        });
    }
    judgments
}

/// The year with what was estimated for each window before its labels came.
pub(super) fn estimated() -> Sample {
    let mut sample = year();
    let mut estimates = Vec::new();
    let measured = sample.history.judgments.iter_mut().filter(|it| it.kind == JudgmentKind::Performance);
    for (index, judgment) in measured.enumerate() {
        let Some(quality) = &mut judgment.quality else { continue };
        let value = if index == 0 { 8.7 } else { quality.value.unwrap_or(9.0) + 0.3 * noise(8, index as i64) };
        // The last windows have no labels yet.
        quality.estimated = (index < 48).then_some(value);
        quality.value = quality.value.filter(|_| index < 48);
        let standard_error = (index != 10).then_some(0.2);
        let of = QualityJudgment { value: Some(value), estimated: None, standard_error, ..quality.clone() };
        estimates.push(Judgment { kind: JudgmentKind::EstimatedPerformance, quality: Some(of), ..judgment.clone() });
    }
    sample.history.judgments.extend(estimates);
    sample
}

fn feature(name: &str, number: u64, index: i64) -> FeatureJudgment {
    let size = [0.24, 0.2, 0.06, 0.05, 0.03, 0.008][number as usize];
    let value = (size * (0.25 + (index % 9) as f64 / 8.0) + 0.2 * size * noise(number, index)).max(0.0);
    FeatureJudgment {
        name: name.to_owned(),
        metric: DriftMetric::Psi,
        value: (index != 20).then_some(value),
        error_bound: 0.0,
        chance: Some(0.014 + 0.002 * noise(number + 20, index)),
        q_value: Some(0.001),
        threshold: 0.2,
        verdict: if 0.2 <= value && index != 20 { WindowVerdict::Drifted } else { WindowVerdict::Stable },
    }
}

fn windows() -> Vec<QualityWindow> {
    (0..52)
        .map(|index| {
            let season = (index as f64 / 52.0 * std::f64::consts::PI).sin();
            let frozen = 8.7 + 5.6 * season + 0.06 * index as f64 + 0.45 * noise(1, index);
            let refit = 8.5 + 0.9 * (index % 8) as f64 / 7.0 + 0.6 * season + 0.35 * noise(2, index);
            let rows = 1_900 + (noise(3, index) * 150.0) as u64;
            let window = week(index);
            // The first champion serves until the first promotion: both lines begin together.
            QualityWindow {
                start: window.start,
                end: window.end,
                rows,
                frozen: Some(frozen),
                refit: Some(if index < 7 { frozen } else { refit }),
            }
        })
        .collect()
}

fn document(history: &History) -> Document {
    let windows = windows();
    let weigh = |pick: fn(&QualityWindow) -> Option<f64>| {
        let rows: u64 = windows.iter().map(|it| it.rows).sum();
        Some(windows.iter().filter_map(|it| Some(pick(it)? * it.rows as f64)).sum::<f64>() / rows as f64)
    };
    let mean = QualityMean { frozen: weigh(|it| it.frozen), refit: weigh(|it| it.refit) };
    let packages = history.packages.iter();
    let promotions = packages.filter_map(|it| {
        let at = it.promoted_at?;
        Some(Promotion {
            at,
            run: it.run.clone()?,
            version: it.version,
            replaced: it.replaced,
            approved_by: Vec::new(),
        })
    });
    Document {
        schema: 1,
        world: "local".to_owned(),
        data: DataSummary {
            source: "flights.parquet".to_owned(),
            digest: Digest::of(b"flights"),
            rows: 100_413,
            start: start(),
            end: day(392),
            warmup_end: day(28),
        },
        runs: history.run_summaries(),
        promotions: promotions.collect(),
        rejections: history.endings(&[RunStatus::Rejected]),
        failures: history.endings(&[RunStatus::Failed, RunStatus::TimedOut]),
        rollbacks: vec![RollbackSummary {
            at: day(28 + 7 * 28),
            from: 5,
            to: 4,
            reason: "error rate of the mobile app doubled".to_owned(),
        }],
        approvals: history.approval_summaries(),
        quality: Quality { metric: Metric::Mae, windows, mean },
        decisions: decisions(),
        quiet_checks: 7_905,
        audit: AuditSummary { entries: history.audit.len() as u64, verified: true, head: Digest::of(b"head") },
        report: "report.html".to_owned(),
    }
}

fn decisions() -> Vec<DecisionSummary> {
    let held = |number: i64, hours: i64, guard: &str| DecisionSummary {
        id: format!("flight-time-d{number:06}"),
        at: week(17).end + SignedDuration::from_hours(hours),
        kind: DecisionKind::Check,
        outcome: "no retraining: suppressed".to_owned(),
        reasons: vec![
            format!("performance_drop: mae 9.8120 against 8.6310 on the hold-out: +13.7 %; suppressed: {guard}"),
            "data_drift: the newest window is stable".to_owned(),
        ],
        run: None,
    };
    let cooldown =
        "cooldown: the last run was requested at 2013-05-21T02:00:00Z, the next is allowed at 2013-05-28T02:00:00Z";
    let mut decisions: Vec<DecisionSummary> = (0..30).map(|it| held(700 + it, it, cooldown)).collect();
    decisions
        .extend((0..9).map(|it| held(900 + it, 2_000 + it, "run flight-time-r0008 is under way; wait for it to end")));
    decisions
}

fn alerts(history: &History) -> Vec<Alert> {
    let alert = |number: usize, time, kind, subject: String| Alert {
        dedupe_id: format!("alert-{number}"),
        time,
        kind,
        model: "flight-time".to_owned(),
        subject,
        body: String::new(),
    };
    let mut alerts = Vec::new();
    for run in &history.runs {
        let Some(outcome) = &run.outcome else { continue };
        let (kind, word) = match run.status {
            RunStatus::Succeeded => (AlertKind::Promotion, "has a new champion"),
            RunStatus::Rejected => (AlertKind::Approval, "candidate was refused"),
            _ => (AlertKind::Failure, "run broke"),
        };
        alerts.push(alert(
            alerts.len(),
            run.requested_at,
            AlertKind::Drift,
            format!("[refit] flight-time: {} requested", run.id),
        ));
        alerts.push(alert(alerts.len(), outcome.at, kind, format!("[refit] flight-time: {word}, {}", outcome.reason)));
    }
    alerts
}

fn audit(model: &ModelId) -> Vec<AuditEntry> {
    let mut previous = AuditEvent::genesis();
    let mut entries = Vec::new();
    for seq in 1..=40 {
        let fact = if seq == 1 {
            Fact::ModelWatched {
                policy: Digest::of(b"policy"),
                origin: start(),
                endpoint: endpoint(),
                editor: Actor::person("ann"),
            }
        } else {
            Fact::TriggersChecked { findings: Vec::new(), judgments: Vec::new() }
        };
        let event = AuditEvent {
            schema: AuditEvent::SCHEMA,
            model: model.clone(),
            seq,
            at: start(),
            actor: Actor::refit(),
            cause: "check".to_owned(),
            snapshot: None,
            fact,
            previous,
        };
        let entry = AuditEntry::new(event);
        previous = entry.hash.clone();
        entries.push(entry);
    }
    entries
}
