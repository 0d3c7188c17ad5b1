//! What people ask for in a schedule.

use refit_app::ports::Clock;
use refit_core::Digest;
use refit_core::model::Model;
use refit_core::run::{Run, RunStatus};
use refit_handlers::Function;
use serde_json::{Value, json};

use super::base::{alarm, rollback, season, trigger, vote};
use super::checks::{Asked, words};
use super::rng::Rng;
use super::schedule::Simulation;
use crate::memory::Delivery;

/// The people there are. The first is who asks for runs most often.
pub(super) const PEOPLE: [&str; 4] = ["ann", "bob", "cyd", "dan"];

impl Simulation {
    /// A new request: its name. What was asked is remembered, so that what comes of it can be judged.
    fn request(&mut self, asked: Asked) -> String {
        self.requests += 1;
        let id = format!("q{}", self.requests);
        self.checker.ask(&id, asked);
        id
    }

    /// Sends a person's request; it comes before events that wait.
    fn ask(&mut self, function: Function, event: Value) {
        self.tell(|_| format!("asks {function}: {event}"));
        let delivery = Delivery::new(function, event, 2);
        self.asked.push(delivery.clone());
        self.world.queue.push_front(delivery);
    }

    /// An impatient hand sends a request again.
    pub(super) fn ask_again(&mut self, rng: &mut Rng) {
        let newest: Vec<Delivery> = self.asked.iter().rev().take(3).cloned().collect();
        let Some(delivery) = rng.pick(&newest).cloned() else { return };
        self.tell(|_| format!("asks again: {delivery}"));
        self.world.queue.push_front(delivery);
    }

    /// A run of one model, or of each.
    pub(super) fn ask_for_run(&mut self, rng: &mut Rng, model: &str) {
        if rng.chance(150) {
            self.model_ids().iter().for_each(|it| self.ask_for_run_of(rng, it.as_ref()));
        } else {
            self.ask_for_run_of(rng, model);
        }
    }

    fn ask_for_run_of(&mut self, rng: &mut Rng, model: &str) {
        let is_forced = rng.chance(300);
        let id = self.request(Asked { is_forced, ..Asked::default() });
        let mut event = trigger(&id, model, PEOPLE[rng.below(2)], is_forced);
        event["reason"] = words("fresh data", &id).into();
        self.ask(Function::CheckTriggers, event);
    }

    /// A vote, mostly on a run that waits for one, and on what is stored.
    pub(super) fn vote(&mut self, rng: &mut Rng, model: &str) {
        let waiting: Vec<(String, Digest)> = self.waiting();
        let another = Digest::of(b"another");
        let (run, basis) = match rng.pick(&waiting) {
            Some((run, basis)) if rng.chance(900) => (run.clone(), basis.clone()),
            _ => (format!("{model}-r{:04}", rng.between(1, 4)), another.clone()),
        };
        let seen = match rng.below(10) {
            0..3 => Some(basis),
            3..5 => Some(another),
            _ => None,
        };
        let choice = if rng.chance(800) { "approve" } else { "decline" };
        self.vote_on(&run, PEOPLE[rng.below(PEOPLE.len())], choice, seen);
    }

    /// One vote.
    pub(super) fn vote_on(&mut self, run: &str, who: &str, choice: &str, basis: Option<Digest>) {
        let id = self.request(Asked { basis: basis.clone(), ..Asked::default() });
        let mut event = vote(&id, run, who, choice);
        event["comment"] = words("so it is", &id).into();
        if let Some(basis) = basis {
            event["basis"] = basis.to_string().into();
        }
        self.ask(Function::PromoteModel, event);
    }

    /// The runs that wait for approval, with what votes are about.
    pub(super) fn waiting(&self) -> Vec<(String, Digest)> {
        let models = self.checker.models().filter_map(|it| self.checker.folded(it));
        models
            .filter_map(|model| {
                let run = model.active_run().filter(|it| it.status == RunStatus::AwaitingApproval)?;
                Some((run.id.to_string(), model.approvals.get(&run.id)?.basis.clone()))
            })
            .collect()
    }

    pub(super) fn ask_for_rollback(&mut self, rng: &mut Rng, model: &str) {
        let from = if rng.chance(300) { u64::try_from(rng.between(1, 3)).ok() } else { None };
        // Mostly where something is about to take the champion's place.
        let is_moving = |it: &Run| matches!(it.status, RunStatus::Announced | RunStatus::RollingOut);
        let models = self.checker.models().filter_map(|it| self.checker.folded(it));
        let moving: Vec<&Model> = models.filter(|it| it.active_run().is_some_and(is_moving)).collect();
        let moving = rng.pick(&moving).filter(|_| rng.chance(700)).map(|it| it.head.model.to_string());
        let model = moving.as_deref().unwrap_or(model);
        self.roll_back(model, PEOPLE[rng.below(PEOPLE.len())], from);
    }

    /// A request to take the champion back.
    pub(super) fn roll_back(&mut self, model: &str, who: &str, from: Option<u64>) {
        let id = self.request(Asked { from, ..Asked::default() });
        let mut event = rollback(&id, model, who, from);
        event["reason"] = words("complaints", &id).into();
        if from.is_none() {
            event.as_object_mut().and_then(|it| it.remove("from"));
        }
        self.ask(Function::PromoteModel, event);
    }

    /// A run is to end, mostly one that is under way.
    pub(super) fn ask_to_cancel(&mut self, rng: &mut Rng, model: &str) {
        let run = self.run_of(rng, model, |status| !status.is_terminal());
        let id = self.request(Asked::default());
        let reason = words("not now", &id);
        let who = PEOPLE[rng.below(PEOPLE.len())];
        let event = json!({ "kind": "cancel", "id": id, "run": run, "actor": who, "reason": reason });
        self.ask(Function::EvaluateCandidate, event);
    }

    /// A run is to be tried again, mostly one that has ended.
    pub(super) fn ask_to_retry(&mut self, rng: &mut Rng, model: &str) {
        let is_fit = |status| {
            matches!(status, RunStatus::Rejected | RunStatus::Failed | RunStatus::Canceled | RunStatus::TimedOut)
        };
        let run = self.run_of(rng, model, is_fit);
        let id = self.request(Asked::default());
        let event = json!({ "kind": "retry", "id": id, "run": run, "actor": PEOPLE[rng.below(PEOPLE.len())] });
        self.ask(Function::CheckTriggers, event);
    }

    /// A run of the fleet of a fitting status, else any of the model.
    fn run_of(&self, rng: &mut Rng, model: &str, is_fit: impl Fn(RunStatus) -> bool) -> String {
        let models = self.checker.models().filter_map(|it| self.checker.folded(it));
        let fit: Vec<String> =
            models.flat_map(|it| it.runs.values()).filter(|it| is_fit(it.status)).map(|it| it.id.to_string()).collect();
        match rng.pick(&fit) {
            Some(run) if rng.chance(900) => run.clone(),
            _ => format!("{model}-r{:04}", rng.between(1, 4)),
        }
    }

    pub(super) fn ask_to_suspend(&mut self, rng: &mut Rng, model: &str, kind: &str) {
        let id = self.request(Asked::default());
        let reason = words("a holiday", &id);
        let who = PEOPLE[rng.below(PEOPLE.len())];
        self.ask(
            Function::CheckTriggers,
            json!({ "kind": kind, "id": id, "model": model, "actor": who, "reason": reason }),
        );
    }

    /// A version is to be champion again, one of those that there are.
    pub(super) fn ask_to_promote(&mut self, rng: &mut Rng, model: &str) {
        let version = u64::try_from(rng.between(1, 4)).unwrap_or(1);
        self.promote_version(model, PEOPLE[rng.below(PEOPLE.len())], version);
    }

    /// A request to promote a version.
    pub(super) fn promote_version(&mut self, model: &str, who: &str, version: u64) {
        let id = self.request(Asked::default());
        let reason = words("it was better", &id);
        let event = json!({
            "kind": "promote", "id": id, "model": model, "version": version, "actor": who, "reason": reason,
        });
        self.ask(Function::PromoteModel, event);
    }

    /// A model that was made elsewhere is to come under watch.
    pub(super) fn ask_to_adopt(&mut self, rng: &mut Rng, model: &str) {
        let id = self.request(Asked::default());
        let uri = format!("s3://elsewhere/{model}/model.tar.gz");
        let address = uri.parse().expect("invariant: a model's name is part of an address");
        if self.world.objects.peek(&address).is_none() {
            let _ = self.world.objects.overwrite(&address, b"made elsewhere");
        }
        let package = self.world.packages.register(model, &uri, self.world.clock.now());
        let reason = words("it is good", &id);
        let who = PEOPLE[rng.below(PEOPLE.len())];
        let event = json!({
            "kind": "adopt", "id": id, "model": model, "actor": who, "reason": reason, "package_arn": package.arn,
        });
        self.ask(Function::PromoteModel, event);
    }

    /// An alarm goes off, or something happens that models listen to; some of it is said twice.
    pub(super) fn call(&mut self, rng: &mut Rng, model: &str) {
        if rng.chance(700) {
            self.requests += 1;
        }
        let id = format!("c{}", self.requests);
        let event = if rng.chance(600) { alarm(&id, model) } else { season(&id) };
        self.tell(|_| format!("calls: {event}"));
        self.world.queue.push_back(Delivery::new(Function::CheckTriggers, event, 2));
    }
}
