//! What people and services do in a schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use refit_core::run::RunStatus;
use refit_core::{Digest, ModelId};
use refit_data::{CaptureLine, Label, write_capture_line, write_ground_truth_line};
use refit_handlers::Function;
use serde_json::{Value, json};

use super::base::{Knobs, beginning, model_id, rollback, trigger, vote};
use super::checks::Checked;
use super::rng::Rng;
use super::schedule::{Simulation, Work};
use crate::memory::{Delivery, Ending, Outputs, PARAMETERS, scheduled_event};

/// The people there are. The first is who asks for runs most often.
const PEOPLE: [&str; 4] = ["ann", "bob", "cyd", "dan"];

impl Simulation {
    /// One person or service does something.
    pub(super) fn act(&mut self, rng: &mut Rng) -> Checked {
        let model = model_id(rng.below(self.fleet.1.len()));
        match rng.below(100) {
            0..16 => self.ask_for_run(rng, &model),
            16..30 => self.vote(rng, &model),
            30..36 => self.ask_for_rollback(rng, &model),
            36..40 => return self.edit_policy(rng),
            40..58 => self.end_execution(rng),
            58..61 => self.tamper(rng),
            61..66 => self.upload(rng, &model),
            66..69 => {
                let calls = u32::try_from(rng.between(1, 3)).unwrap_or(1);
                self.tell(|_| format!("endpoint {model} is busy for {calls} calls"));
                self.world.endpoints.set_busy(&model, calls);
            }
            69..71 => {
                self.tell(|_| "the publisher is down".to_owned());
                self.world.publisher.take_down();
            }
            71..73 => {
                self.tell(|_| "the publisher is up".to_owned());
                self.world.publisher.bring_up();
            }
            73..75 => {
                let quota = rng.pick(&[None, Some(0), Some(1)]).copied().flatten();
                self.tell(|_| format!("the pipeline service takes {quota:?} executions"));
                self.world.pipelines.set_quota(quota);
            }
            75..77 => {
                self.tell(|_| format!("pipeline {model}-retrain has a new version"));
                self.world.pipelines.define(&format!("{model}-retrain"), &PARAMETERS);
            }
            77..81 => return self.make_noise(rng),
            81..83 => {
                let machine = rng.below(self.machines.len());
                let seconds = rng.between(-7200, 7200);
                self.tell(|_| format!("the clock of machine {} jumps by {seconds} s", machine + 1));
                self.machines[machine].jump(seconds);
            }
            _ => self.let_time_pass(rng),
        }
        Ok(())
    }

    fn request_id(&mut self, rng: &mut Rng) -> String {
        // An impatient hand sends the same request again.
        if 0 < self.requests && rng.chance(200) {
            return format!("q{}", self.requests);
        }
        self.requests += 1;
        format!("q{}", self.requests)
    }

    /// Sends a person's request; it comes before events that wait.
    fn ask(&mut self, function: Function, event: Value) {
        self.tell(|_| format!("asks {function}: {event}"));
        self.world.queue.push_front(Delivery { function, event, retries: 2 });
    }

    fn ask_for_run(&mut self, rng: &mut Rng, model: &str) {
        let id = self.request_id(rng);
        let actor = PEOPLE[rng.below(2)];
        self.ask(Function::CheckTriggers, trigger(&id, model, actor, rng.chance(300)));
    }

    /// A vote, mostly on a run that waits for one.
    fn vote(&mut self, rng: &mut Rng, model: &str) {
        let waiting: Vec<(String, String)> = self.waiting();
        let (run, basis) = match rng.pick(&waiting) {
            Some((run, basis)) if rng.chance(900) => (run.clone(), basis.clone()),
            _ => (format!("{model}-r{:04}", rng.between(1, 4)), Digest::of(b"another").to_string()),
        };
        let choice = if rng.chance(800) { "approve" } else { "decline" };
        let id = self.request_id(rng);
        let mut event = vote(&id, &run, PEOPLE[rng.below(PEOPLE.len())], choice);
        if rng.chance(300) {
            event["basis"] = basis.into();
        }
        self.ask(Function::PromoteModel, event);
    }

    /// The runs that wait for approval, with what votes are about.
    fn waiting(&self) -> Vec<(String, String)> {
        let models = self.checker.models().filter_map(|it| self.checker.folded(it));
        models
            .filter_map(|model| {
                let run = model.active_run().filter(|it| it.status == RunStatus::AwaitingApproval)?;
                Some((run.id.to_string(), model.approvals.get(&run.id)?.basis.to_string()))
            })
            .collect()
    }

    fn ask_for_rollback(&mut self, rng: &mut Rng, model: &str) {
        let id = self.request_id(rng);
        let from = if rng.chance(300) { u64::try_from(rng.between(1, 3)).ok() } else { None };
        let mut event = rollback(&id, model, PEOPLE[rng.below(PEOPLE.len())], from);
        if from.is_none() {
            event.as_object_mut().and_then(|it| it.remove("from"));
        }
        self.ask(Function::PromoteModel, event);
    }

    fn edit_policy(&mut self, rng: &mut Rng) -> Checked {
        if self.is_full() {
            return Ok(());
        }
        let model = rng.below(self.fleet.1.len());
        self.fleet.1[model] = Knobs::ALL[rng.below(Knobs::ALL.len())];
        self.tell(|it| format!("applies {:?} to m{}", it.fleet.1[model], model + 1));
        let fleet = self.fleet.clone();
        self.start(Work::Apply(fleet), rng)
    }

    /// How an execution may end.
    pub(super) fn draw_ending(rng: &mut Rng) -> Ending {
        let errors = |candidate, champion| Ending::Succeeded(Outputs::of_errors(candidate, champion));
        match rng.below(20) {
            0..9 => errors(4.0, 9.0),
            9..12 => errors(7.0, 7.2),
            12..14 => errors(20.0, 9.0),
            14 => errors(f64::NAN, 9.0),
            15 => Ending::Succeeded(Outputs { is_valid: false, ..Outputs::of_errors(4.0, 9.0) }),
            16 => Ending::SucceededEmpty,
            17 => Ending::Stopped,
            _ => Ending::Failed("out of memory".to_owned()),
        }
    }

    fn end_execution(&mut self, rng: &mut Rng) {
        let open = self.world.pipelines.open();
        let Some(arn) = rng.pick(&open) else { return };
        self.end_one(rng, arn);
    }

    /// Ends an execution one way or another.
    pub(super) fn end_one(&mut self, rng: &mut Rng, arn: &str) {
        let ending = Simulation::draw_ending(rng);
        self.tell(|_| format!("{arn} ends: {ending:?}"));
        // What ended meanwhile has ended.
        let _ = self.world.pipelines.finish(arn, &ending);
    }

    /// Somebody puts another archive under a package's address.
    fn tamper(&mut self, rng: &mut Rng) {
        let packages = self.world.packages.list();
        let newest: Vec<_> = packages.iter().rev().take(2).collect();
        let Some(uri) = rng.pick(&newest).and_then(|it| it.model_data_url.parse().ok()) else { return };
        self.tell(|_| format!("another archive lies at {uri}"));
        let _ = self.world.objects.overwrite(&uri, b"another model");
    }

    fn upload(&mut self, rng: &mut Rng, model: &str) {
        let error = *rng.pick(&[9_u8, 14, 0]).unwrap_or(&9);
        let files = day_of_data(model, error);
        self.tell(|_| format!("data of {model} with an error of {error}"));
        for (uri, bytes) in files.iter() {
            self.world.upload(uri, bytes);
        }
        if error == 0 {
            self.world.upload(&format!("s3://data/labels/{model}/2026/01/05/22/bad.jsonl"), b"{");
        }
    }

    /// Events that concern nobody.
    fn make_noise(&mut self, rng: &mut Rng) -> Checked {
        if self.is_full() {
            return Ok(());
        }
        let events = [
            json!({}),
            json!(null),
            json!([]),
            json!({ "source": "refit", "detail-type": "Retraining Requested" }),
            json!({ "source": "evil", "detail-type": "Wake Up", "detail": { "model": "m1" } }),
            json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": "nobody" } }),
            json!({ "source": "aws.sagemaker", "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
                    "detail": { "pipelineExecutionDisplayName": "m1-r0099", "currentPipelineExecutionStatus": "Succeeded" } }),
            json!({ "kind": "vote", "id": 7 }),
            json!({ "kind": "explode", "id": "x", "model": "m1" }),
            json!({ "source": "aws.s3", "detail": { "bucket": { "name": "data" }, "object": { "key": "elsewhere/x" } } }),
            json!({ "Records": [{ "dynamodb": { "Keys": { "pk": { "S": "AUDIT#../x" } } } }] }),
        ];
        let functions = [
            Function::CheckTriggers,
            Function::StartRetraining,
            Function::EvaluateCandidate,
            Function::PromoteModel,
            Function::PublishEvents,
        ];
        let function = functions[rng.below(functions.len())];
        let event = events[rng.below(events.len())].clone();
        self.start(Work::Noise(Delivery { function, event, retries: 0 }), rng)
    }

    fn let_time_pass(&mut self, rng: &mut Rng) {
        let minutes = *rng.pick(&[1, 1, 6, 6, 6, 16, 16, 60, 130, 180, 760, 1440]).unwrap_or(&6);
        self.tell(|_| format!("{minutes} minutes pass; sweep"));
        self.world.clock.advance(SignedDuration::from_mins(minutes));
        self.world.send(scheduled_event());
    }

    /// The models there are.
    pub(super) fn model_ids(&self) -> Vec<ModelId> {
        self.checker.models().cloned().collect()
    }
}

type Files = Arc<Vec<(String, Vec<u8>)>>;

/// The day's captured requests, one an hour, and their labels.
fn day_of_data(model: &str, error: u8) -> Files {
    static KNOWN: Mutex<BTreeMap<(String, u8), Files>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = known.entry((model.to_owned(), error)).or_insert_with(|| {
        let (mut capture, mut labels) = (String::new(), String::new());
        for hour in 5..24_u8 {
            let id = format!("{model}-{hour:02}");
            let at = beginning().as_microsecond() + (i64::from(hour) - 3) * 3_600_000_000 + 60_000_000;
            let sign = if hour % 2 == 0 { 1.0 } else { -1.0 };
            let label = 100.0 + f64::from(hour % 7);
            let score = label + sign * f64::from(error);
            let event_id = Digest::of(id.as_bytes()).short().to_owned();
            let (input, output) = (format!("{{\"x\":{hour}}}"), format!("{{\"score\":{score}}}"));
            capture.push_str(&write_capture_line(&CaptureLine {
                event_id: &event_id,
                inference_id: Some(&id),
                time_micros: at,
                input: &input,
                output: &output,
            }));
            labels.push_str(&write_ground_truth_line(&id, &Label::Number(label)));
        }
        Arc::new(vec![
            (format!("s3://data/capture/{model}/champion/2026/01/05/05/rows.jsonl"), capture.into_bytes()),
            (format!("s3://data/labels/{model}/2026/01/05/23/rows.jsonl"), labels.into_bytes()),
        ])
    });
    Arc::clone(made)
}
