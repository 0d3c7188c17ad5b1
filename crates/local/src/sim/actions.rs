//! What people and services do in a schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use refit_core::{Digest, ModelId};
use refit_data::{CaptureLine, Label, write_capture_line, write_ground_truth_line};
use refit_handlers::Function;
use serde_json::json;

use super::base::{Knobs, beginning, model_id, policy};
use super::checks::Checked;
use super::rng::Rng;
use super::schedule::{Simulation, Work};
use crate::memory::{Delivery, Ending, Outputs, PARAMETERS, scheduled_event};

/// What is done, of which a schedule's mood says how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    AskForRun,
    AskAgain,
    Vote,
    RollBack,
    Cancel,
    Retry,
    Suspend,
    Resume,
    Promote,
    Adopt,
    Call,
    EditPolicy,
    AskTooMuch,
    EndExecution,
    Tamper,
    Upload,
    BusyEndpoint,
    PublisherDown,
    BusDown,
    PublisherUp,
    Quota,
    NewDefinition,
    ForgetKeys,
    Noise,
    ClockJump,
    TimePasses,
}

/// What a schedule is mostly about, so that deeds that belong together meet in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// A little of everything.
    Mixed,
    /// Candidates, votes, promotions.
    Votes,
    /// Promotions and rollbacks.
    Rollbacks,
    /// Runs that are stopped, fail, and are tried again.
    Stops,
    /// Calls, checks, data.
    Triggers,
    /// Runs that begin and end beside each other: who takes a slot, who frees one.
    Slots,
}

impl Mood {
    /// Every mood.
    pub(super) const ALL: [Mood; 6] =
        [Mood::Mixed, Mood::Votes, Mood::Rollbacks, Mood::Stops, Mood::Triggers, Mood::Slots];

    /// How often what is done, by mood in the order of [`Mood::ALL`].
    const WEIGHTS: [(Deed, [u32; 6]); 26] = [
        (Deed::AskForRun, [16, 12, 12, 16, 10, 40]),
        (Deed::AskAgain, [4, 4, 6, 4, 4, 0]),
        (Deed::Vote, [14, 30, 20, 2, 4, 4]),
        (Deed::RollBack, [6, 4, 20, 1, 2, 0]),
        (Deed::Cancel, [3, 2, 1, 10, 1, 6]),
        (Deed::Retry, [3, 1, 1, 8, 1, 2]),
        (Deed::Suspend, [1, 0, 0, 0, 3, 0]),
        (Deed::Resume, [1, 0, 0, 0, 4, 0]),
        (Deed::Promote, [2, 4, 6, 0, 0, 0]),
        (Deed::Adopt, [1, 1, 2, 0, 0, 0]),
        (Deed::Call, [4, 1, 1, 2, 16, 0]),
        (Deed::EditPolicy, [4, 6, 3, 2, 6, 0]),
        (Deed::AskTooMuch, [1, 1, 0, 0, 1, 0]),
        (Deed::EndExecution, [18, 18, 18, 18, 10, 36]),
        (Deed::Tamper, [3, 6, 2, 1, 0, 0]),
        (Deed::Upload, [5, 0, 0, 0, 10, 0]),
        (Deed::BusyEndpoint, [3, 5, 8, 0, 0, 0]),
        (Deed::PublisherDown, [2, 3, 2, 1, 1, 0]),
        (Deed::BusDown, [2, 2, 2, 1, 1, 0]),
        (Deed::PublisherUp, [2, 2, 2, 2, 2, 1]),
        (Deed::Quota, [2, 0, 0, 3, 0, 0]),
        (Deed::NewDefinition, [2, 0, 0, 4, 0, 0]),
        (Deed::ForgetKeys, [1, 0, 0, 3, 0, 0]),
        (Deed::Noise, [4, 2, 2, 2, 2, 0]),
        (Deed::ClockJump, [2, 1, 1, 2, 2, 0]),
        (Deed::TimePasses, [20, 14, 14, 22, 24, 8]),
    ];

    fn draw(self, rng: &mut Rng) -> Deed {
        let column = Mood::ALL.iter().position(|it| *it == self).unwrap_or(0);
        let all: u32 = Mood::WEIGHTS.iter().map(|it| it.1[column]).sum();
        let mut left = u32::try_from(rng.below(usize::try_from(all).unwrap_or(1))).unwrap_or(0);
        for (deed, weights) in Mood::WEIGHTS {
            if left < weights[column] {
                return deed;
            }
            left -= weights[column];
        }
        Deed::TimePasses
    }
}

impl Simulation {
    /// One person or service does something.
    pub(super) fn act(&mut self, rng: &mut Rng) -> Checked {
        let model = model_id(rng.below(self.fleet.1.len()));
        match self.profile.mood.draw(rng) {
            Deed::AskForRun => self.ask_for_run(rng, &model),
            Deed::AskAgain => self.ask_again(rng),
            Deed::Vote => self.vote(rng, &model),
            Deed::RollBack => self.ask_for_rollback(rng, &model),
            Deed::Cancel => self.ask_to_cancel(rng, &model),
            Deed::Retry => self.ask_to_retry(rng, &model),
            Deed::Suspend => self.ask_to_suspend(rng, &model, "suspend"),
            Deed::Resume => self.ask_to_suspend(rng, &model, "resume"),
            Deed::Promote => self.ask_to_promote(rng, &model),
            Deed::Adopt => self.ask_to_adopt(rng, &model),
            Deed::Call => self.call(rng, &model),
            Deed::EditPolicy => return self.edit_policy(rng),
            Deed::AskTooMuch => return self.ask_too_much(rng),
            Deed::EndExecution => self.end_execution(rng),
            Deed::Tamper => self.tamper(rng),
            Deed::Upload => self.upload(rng, &model),
            Deed::BusyEndpoint => self.make_busy(rng, &model),
            Deed::PublisherDown => {
                self.tell(|_| "the publisher is down".to_owned());
                self.world.publisher.take_down();
            }
            Deed::BusDown => {
                self.tell(|_| "the bus is down".to_owned());
                self.world.publisher.take_bus_down();
            }
            Deed::PublisherUp => {
                self.tell(|_| "the publisher is up".to_owned());
                self.world.publisher.bring_up();
            }
            Deed::Quota => {
                let quota = rng.pick(&[None, Some(0), Some(1)]).copied().flatten();
                self.tell(|_| format!("the pipeline service takes {quota:?} executions"));
                self.world.pipelines.set_quota(quota);
            }
            Deed::NewDefinition => {
                self.tell(|_| format!("pipeline {model}-retrain has a new version"));
                self.world.pipelines.define(&format!("{model}-retrain"), &PARAMETERS);
            }
            Deed::ForgetKeys => self.forget_keys(),
            Deed::Noise => return self.make_noise(rng),
            Deed::ClockJump => self.jump(rng),
            Deed::TimePasses => self.let_time_pass(rng),
        }
        Ok(())
    }

    fn make_busy(&mut self, rng: &mut Rng, model: &str) {
        let calls = u32::try_from(rng.between(1, 3)).unwrap_or(1);
        self.tell(|_| format!("endpoint {model} is busy for {calls} calls"));
        self.world.endpoints.set_busy(model, calls);
    }

    /// How long the service remembers a key is not documented; longer than a function lives.
    fn forget_keys(&mut self) {
        if !self.has_workers() {
            self.tell(|_| "the pipeline service forgets under which keys it started executions".to_owned());
            self.world.pipelines.forget_keys();
        }
    }

    fn jump(&mut self, rng: &mut Rng) {
        // Nobody can tell without a clock how long a listing lags.
        if self.profile.lag.is_zero() {
            let machine = rng.below(self.machines.len());
            let seconds = rng.between(-7200, 7200);
            self.tell(|_| format!("the clock of machine {} jumps by {seconds} s", machine + 1));
            self.machines[machine].jump(seconds);
        }
    }

    /// An administrator asks for more than any candidate can do; refused where there is a champion to compare with.
    fn ask_too_much(&mut self, rng: &mut Rng) -> Checked {
        let has_champion = |index: usize| {
            let id = model_id(index).parse().ok();
            let model = id.and_then(|it| self.checker.folded(&it));
            model.is_some_and(|it| it.head.champion.is_some() && it.packages.values().all(|it| !it.quality.is_empty()))
        };
        let model = rng.below(self.fleet.1.len());
        if self.is_full() || !has_champion(model) {
            return Ok(());
        }
        let mut fleet = self.fleet.clone();
        fleet.1[model].is_beyond_reach = true;
        self.checker.forbid(policy(&fleet).digest());
        self.tell(|_| format!("asks too much of m{}", model + 1));
        self.start(Work::Apply(fleet), rng)
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
            12 => errors(20.0, 9.0),
            13 => errors(9.5, 14.0),
            14 => errors(f64::NAN, 9.0),
            15 => Ending::Succeeded(Outputs { is_valid: false, ..Outputs::of_errors(4.0, 9.0) }),
            16 => Ending::SucceededEmpty,
            17 => Ending::Stopped,
            18 => Ending::Failed("InternalServerError: try again".to_owned()),
            _ => Ending::Failed("out of memory".to_owned()),
        }
    }

    fn end_execution(&mut self, rng: &mut Rng) {
        let open = self.world.pipelines.open();
        let Some(arn) = rng.pick(&open) else { return };
        self.end_one(rng, arn);
        // Some end at the same time: what frees their slots meets.
        if rng.chance(300) {
            open.iter().filter(|it| *it != arn).for_each(|it| self.end_one(rng, it));
        }
    }

    /// Ends an execution one way or another.
    pub(super) fn end_one(&mut self, rng: &mut Rng, arn: &str) {
        let ending = Simulation::draw_ending(rng);
        self.tell(|_| format!("{arn} ends: {ending:?}"));
        // What ended meanwhile has ended.
        let _ = self.world.pipelines.finish(arn, &ending);
        let group = arn.split("pipeline/").nth(1).and_then(|it| it.split_once("-retrain")).map_or("", |it| it.0);
        let packages = self.world.packages.list();
        let newest = packages.iter().rfind(|it| it.group == group);
        if rng.chance(40)
            && let Some(uri) = newest.and_then(|it| it.model_data_url.parse().ok())
        {
            self.tell(|_| format!("another archive lies at {uri}"));
            let _ = self.world.objects.overwrite(&uri, b"another model");
        }
    }

    /// Somebody puts another archive under a package's address, or another request where a run will write its own.
    fn tamper(&mut self, rng: &mut Rng) {
        let packages = self.world.packages.list();
        let model = model_id(rng.below(self.fleet.1.len()));
        if rng.chance(150) {
            let runs = model.parse().ok().and_then(|it: ModelId| Some(self.checker.folded(&it)?.head.run_count));
            let uri = format!("s3://state/runs/{model}-r{:04}/request.json", runs.unwrap_or_default() + 1);
            let uri = uri.parse().expect("invariant: a run's name is part of an address");
            self.tell(|_| format!("another request lies at {uri}"));
            let _ = self.world.objects.overwrite(&uri, b"{}");
            return;
        }
        let newest: Vec<_> = packages.iter().filter(|it| it.group == model).rev().take(2).collect();
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
            let name = *rng.pick(&["22/bad", "23/rows"]).unwrap_or(&"22/bad");
            self.world.upload(&format!("s3://data/labels/{model}/2026/01/05/{name}.jsonl"), b"{");
        }
    }

    /// Events that concern nobody.
    fn make_noise(&mut self, rng: &mut Rng) -> Checked {
        if self.is_full() {
            return Ok(());
        }
        let functions = [
            Function::CheckTriggers,
            Function::StartRetraining,
            Function::EvaluateCandidate,
            Function::PromoteModel,
            Function::PublishEvents,
        ];
        let function = functions[rng.below(functions.len())];
        // The log of a model that is not known is published: it has no entries.
        let known = if function == Function::PublishEvents { Function::Sweep } else { function };
        let events = [
            json!({}),
            json!(null),
            json!([]),
            json!({ "source": "refit", "detail-type": "Retraining Requested" }),
            json!({ "source": "evil", "detail-type": "Wake Up", "detail": { "model": "m1" } }),
            json!({ "source": "refit", "detail-type": "Wake Up", "detail": { "model": "nobody" } }),
            json!({ "source": "aws.sagemaker", "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
                    "detail": { "pipelineExecutionDisplayName": "m1-r0099-0123abcd", "currentPipelineExecutionStatus": "Succeeded" } }),
            json!({ "source": "evil", "detail-type": "Wake Up",
                    "detail": { "model": "m1", "function": function.name() } }),
            json!({ "source": "refit", "detail-type": "Wake Up",
                    "detail": { "model": "nobody", "function": known.name() } }),
            json!({ "kind": "vote", "id": 7 }),
            json!({ "kind": "explode", "id": "x", "model": "m1" }),
            json!({ "source": "aws.s3", "detail": { "bucket": { "name": "data" }, "object": { "key": "elsewhere/x" } } }),
            json!({ "Records": [{ "dynamodb": { "Keys": { "pk": { "S": "AUDIT#../x" } } } }] }),
        ];
        if rng.chance(150) {
            return self.imitate(rng);
        }
        let event = events[rng.below(events.len())].clone();
        self.start(Work::Noise(Delivery::new(function, event, 0)), rng)
    }

    /// Somebody else's execution has the name of one of Refit's.
    fn imitate(&mut self, rng: &mut Rng) -> Checked {
        let runs = self.checker.models().filter_map(|it| self.checker.folded(it)).flat_map(|it| it.runs.values());
        let names: Vec<String> = runs.filter(|it| it.execution.is_some()).map(|it| it.display_name()).collect();
        let Some(name) = rng.pick(&names) else { return Ok(()) };
        let event = json!({
            "source": "aws.sagemaker", "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
            "detail": { "pipelineExecutionDisplayName": name, "currentPipelineExecutionStatus": "Succeeded",
                        "pipelineExecutionArn": "arn:aws:sagemaker:us-east-1:666666666666:pipeline/x/execution/y" },
        });
        self.start(Work::Noise(Delivery::new(Function::EvaluateCandidate, event, 0)), rng)
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
