//! One model in the memory world, taken to the moment at which an event sample makes sense.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{ApprovalStatus, Ports};
use refit_app::queries::list_runs;
use refit_app::use_cases::policy;
use refit_app::{Context, Settings};
use refit_core::Actor;
use refit_data::{CaptureLine, Label, parse_time, write_capture_line, write_ground_truth_line};
use refit_handlers::{Function, Response, handle};
use refit_local::clock::ManualClock;
use refit_local::memory::{Ending, MemoryEndpoints, MemoryPackages, MemoryPipelines, MemoryPublisher, Outputs, poll};
use refit_local::store::{MemoryObjects, MemoryTable};
use serde_json::{Value, json};

use crate::repo::read;

/// The policy that the samples speak of. No triggers but people: what is told here must not depend on the calendar.
const POLICY: &str = "
schema: 1
models:
  - id: flight-time
    task: regression
    endpoint: { name: flight-time, variant: champion }
    package_group: flight-time
    pipeline: { definition: retrain.json }
    data:
      reference: s3://refit-demo/reference/flight-time/
      capture: s3://refit-demo/capture/flight-time/
      labels: s3://refit-demo/labels/flight-time/
      time: ts
      label: air_time
      prediction: score
      label_delay: 3d
      features: { carrier: categorical, distance: numeric }
    window: { size: 7d, hop: 7d }
    training: { window: 30d, holdout: 7d }
    triggers:
      check_every: 1h
      age: { max: 30d }
      alarms: [{ arn: \"arn:aws:cloudwatch:us-east-1:000000000000:alarm:flight-time-latency\", reason: slow answers }]
      events: [{ source: airline.schedule, detail_type: Season Changed, reason: a new schedule }]
    gates: [{ metric: mae, max: 15 }]
";

/// The parameters that the pipeline declares.
const DECLARED: &[&str] = &["RefitRunId", "HoldoutStart", "ChampionPackageArn", "ModelPackageGroup", "OutputUri"];

/// A model and its world.
pub(crate) struct Stage {
    context: Context,
    clock: ManualClock,
    table: MemoryTable,
    objects: MemoryObjects,
    pipelines: MemoryPipelines,
    packages: MemoryPackages,
    endpoints: MemoryEndpoints,
    publisher: MemoryPublisher,
}

/// An event sample.
pub(crate) fn sample(name: &str) -> Value {
    serde_json::from_str(&read(&format!("events/{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The function whose folder a sample is in.
pub(crate) fn function_of(name: &str) -> Function {
    let folder = name.split('/').next().expect("a sample is in a folder");
    folder.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn done<T>(future: impl Future<Output = T>) -> T {
    poll(future).unwrap_done()
}

impl Stage {
    /// A model under watch since a day, with one capture and one label file, and nothing trained yet.
    pub(crate) fn watched() -> Stage {
        let clock = ManualClock::new(time("2026-03-01T00:00:00Z"));
        let objects = MemoryObjects::new(Arc::new(clock.clone()));
        let table = MemoryTable::new(Arc::new(clock.clone()));
        let packages = MemoryPackages::default();
        let pipelines = MemoryPipelines::new(packages.clone(), objects.clone(), clock.clone());
        let endpoints = MemoryEndpoints::default();
        let publisher = MemoryPublisher::default();
        let ports = Ports {
            table: Arc::new(table.clone()),
            objects: Arc::new(objects.clone()),
            pipelines: Arc::new(pipelines.clone()),
            packages: Arc::new(packages.clone()),
            endpoints: Arc::new(endpoints.clone()),
            publisher: Arc::new(publisher.clone()),
            clock: Arc::new(clock.clone()),
        };
        let context =
            Context { ports, settings: Settings { bucket: "refit-state".to_owned() }, policies: Default::default() };
        let policy = refit_core::policy::read(POLICY).unwrap_or_else(|problems| panic!("{problems}"));
        pipelines.define(&policy.models[0].pipeline_name(), DECLARED);
        let origin = time("2026-03-01T00:00:00Z");
        done(policy::apply(&context, &policy, &Actor::person("ana@example.com"), origin)).expect("the policy applies");
        clock.set(time("2026-03-02T02:00:00Z"));
        let stage = Stage { context, clock, table, objects, pipelines, packages, endpoints, publisher };
        stage.put_files();
        stage
    }

    /// A person suspended the triggers.
    pub(crate) fn suspended() -> Stage {
        let stage = Stage::watched();
        stage.play("check-triggers/suspend");
        stage
    }

    /// A person asked for a run.
    pub(crate) fn requested() -> Stage {
        let stage = Stage::watched();
        stage.play("check-triggers/manual-trigger");
        stage
    }

    /// The run's execution is under way.
    pub(crate) fn training() -> Stage {
        let stage = Stage::requested();
        stage.play("start-retraining/retraining-requested");
        stage
    }

    /// The execution succeeded; nobody looked yet.
    pub(crate) fn trained() -> Stage {
        let stage = Stage::training();
        stage.finish(&Ending::Succeeded(Outputs::of_errors(9.0, 10.0)));
        stage
    }

    /// The execution failed; nobody looked yet.
    pub(crate) fn failed() -> Stage {
        let stage = Stage::training();
        stage.finish(&Ending::Failed("AlgorithmError: exit code 1".to_owned()));
        stage
    }

    /// The candidate passed its gates and waits for a person.
    pub(crate) fn awaiting_approval() -> Stage {
        let stage = Stage::trained();
        stage.play("evaluate-candidate/succeeded");
        stage
    }

    /// A person approved it and the notice is out; traffic has not moved.
    pub(crate) fn announced() -> Stage {
        let stage = Stage::awaiting_approval();
        stage.play("promote-model/approve");
        stage.play("publish-events/stream");
        stage
    }

    /// The second champion serves: there is something to go back to.
    pub(crate) fn promoted_twice() -> Stage {
        let stage = Stage::announced();
        stage.play("promote-model/promotion-announced");
        stage.clock.advance(SignedDuration::from_hours(30 * 24));
        stage.play_with("check-triggers/manual-trigger", &[("/id", json!("second-trigger"))]);
        stage.play("start-retraining/wake-up");
        stage.finish(&Ending::Succeeded(Outputs::of_errors(8.0, 9.0)));
        let wake_up =
            json!({ "source": "refit", "detail-type": "Retraining Started", "detail": { "model": "flight-time" } });
        stage.deliver(Function::EvaluateCandidate, &wake_up);
        let second = [("/id", json!("second-vote")), ("/run", json!("flight-time-r0002"))];
        stage.play_with("promote-model/approve", &second);
        stage.play("publish-events/stream");
        stage.play("promote-model/promotion-announced");
        assert_eq!(stage.serving(), ["arn:aws:sagemaker:us-east-1:000000000000:model-package/flight-time/2"]);
        stage
    }

    /// Hands an event to a function.
    pub(crate) fn deliver(&self, function: Function, event: &Value) -> Response {
        done(handle(function, &self.context, event)).unwrap_or_else(|error| panic!("{}", refit_app::chain(&error)))
    }

    /// The ARN of the run's execution.
    pub(crate) fn execution(&self) -> String {
        let runs = done(list_runs(&self.table, &"flight-time".parse().expect("a name"))).expect("runs");
        runs.last().and_then(|it| it.execution.clone()).expect("the run has an execution")
    }

    /// Everything that the world has to show for it. The same fact published twice is one: receivers can tell by its id.
    pub(crate) fn effects(&self) -> String {
        let events: BTreeSet<String> = self.publisher.published().iter().map(|it| it.dedupe_id.clone()).collect();
        let alerts: BTreeSet<String> = self.publisher.alerts().iter().map(|it| it.dedupe_id.clone()).collect();
        let packages: BTreeMap<String, ApprovalStatus> =
            self.packages.list().into_iter().map(|it| (it.arn, it.approval)).collect();
        format!(
            "{:#?}\n{:#?}\n{:#?}\n{events:#?}\n{alerts:#?}\n{packages:#?}\n{:#?}",
            self.table.snapshot(),
            self.objects.snapshot(),
            self.pipelines.executions(),
            self.serving(),
        )
    }

    fn serving(&self) -> Vec<String> {
        self.endpoints.variants("flight-time").into_iter().map(|it| it.package_arn).collect()
    }

    fn play(&self, name: &str) {
        self.play_with(name, &[]);
    }

    fn play_with(&self, name: &str, changes: &[(&str, Value)]) {
        let mut event = sample(name);
        for (pointer, value) in changes {
            *event.pointer_mut(pointer).expect("the sample has this field") = value.clone();
        }
        let response = self.deliver(function_of(name), &event);
        assert_eq!(response.outcome, "done", "{name}: {response:?}");
        assert!(response.details.iter().all(|it| it["refused"].is_null()), "{name}: {response:?}");
    }

    fn finish(&self, ending: &Ending) {
        self.clock.advance(SignedDuration::from_mins(30));
        self.pipelines.finish(&self.execution(), ending).expect("it is under way");
    }

    /// The files that the samples of `record-window` name.
    fn put_files(&self) {
        let line = CaptureLine {
            event_id: "0f4a8b2c-6d1e-4c3a-9b7f-5e2d1c0a9b8e",
            inference_id: Some("f000001"),
            time_micros: parse_time("2026-03-01T17:04:11Z").expect("a time"),
            input: r#"{"carrier":"UA","distance":1400}"#,
            output: r#"{"score":227.5}"#,
        };
        let label = write_ground_truth_line("f000001", &Label::Number(231.0));
        let capture = sample("record-window/capture-object-created")["detail"]["object"]["key"].clone();
        let key = capture.as_str().expect("a key");
        for (key, text) in
            [(key, write_capture_line(&line)), ("labels/flight-time/2026/03/01/20/part-00000.jsonl", label)]
        {
            let uri = format!("s3://refit-demo/{key}").parse().expect("an address");
            self.objects.overwrite(&uri, text.as_bytes()).expect("it is written");
        }
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}
