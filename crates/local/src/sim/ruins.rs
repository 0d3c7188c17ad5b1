//! The end of some schedules: what only shows when nobody helps any more, or when almost everything is broken.

use jiff::SignedDuration;
use refit_app::documents::{approval_key, queue_key, run_key, slots_key};
use refit_app::ports::{Endpoints, Expect, Key, Table, Token, Variant, Write};
use refit_core::run::{ExecutionStatus, Run, RunStatus};
use refit_core::{Digest, ModelId};
use refit_handlers::Function;

use super::base::{model_id, rollback};
use super::checks::{Checked, Violation, ensure};
use super::people::PEOPLE;
use super::rng::Rng;
use super::schedule::{Simulation, Work};
use crate::memory::{MemoryWorld, poll, scheduled_event};

/// Longer than an execution may take.
const TOO_LONG: SignedDuration = SignedDuration::from_hours(3);
/// Between two sweeps.
const SWEEP: SignedDuration = SignedDuration::from_mins(6);
/// After so many sweeps a rollback is done, whatever else is broken.
const SWEEPS: u32 = 3;

impl Simulation {
    /// L3: the service does not end its executions: those that take too long are stopped.
    pub(super) fn let_executions_hang(&mut self) -> Checked {
        if self.world.pipelines.open().is_empty() {
            return Ok(());
        }
        self.tell(|_| "executions hang".to_owned());
        self.sweep_after(SWEEP)?;
        let is_watched = |it: &Run| matches!(it.status, RunStatus::Training | RunStatus::Stopping);
        let models = self.model_ids();
        let runs = models.iter().filter_map(|it| self.checker.folded(it)?.active_run()).filter(|it| is_watched(it));
        let hanging: Vec<String> = runs.filter_map(|it| it.execution.clone()).collect();
        self.sweep_after(TOO_LONG)?;
        self.sweep_after(SWEEP)?;
        for arn in hanging {
            let status = self.world.pipelines.status(&arn);
            let is_stopped = status != Some(ExecutionStatus::Executing);
            ensure!(is_stopped, "L3", "{arn} takes too long, and nobody stops it");
        }
        Ok(())
    }

    /// People decide about what waits for them: enough of them, mostly. Whether somebody asked for something.
    pub(super) fn let_people_decide(&mut self, rng: &mut Rng) -> Result<bool, Violation> {
        let before = self.asked.len();
        // Endpoints that are changing keep rollouts under way until people are done.
        let calls = if rng.chance(300) { 100 } else { 0 };
        self.set_busy(calls);
        for (run, basis) in self.waiting() {
            let first = rng.below(PEOPLE.len());
            for index in 0..=rng.below(3) {
                let choice = if rng.chance(850) { "approve" } else { "decline" };
                // Some vote twice, some on what they do not look at.
                let who = PEOPLE[(first + if rng.chance(200) { 0 } else { index }) % PEOPLE.len()];
                let seen = if rng.chance(150) { Digest::of(b"another") } else { basis.clone() };
                self.vote_on(&run, who, choice, Some(seen));
            }
        }
        if rng.chance(300) {
            // Some ask after the votes had their effect, in the middle of the rollout that the endpoint keeps waiting.
            if 0 < calls {
                self.drain()?;
            }
            for model in self.model_ids() {
                for _ in 0..=rng.below(2) {
                    self.roll_back(model.as_ref(), PEOPLE[rng.below(PEOPLE.len())], None);
                }
                self.ask_again(rng);
            }
        }
        self.drain()?;
        self.set_busy(0);
        Ok(before < self.asked.len())
    }

    /// Lets all endpoints say so often that they are changing.
    pub(super) fn set_busy(&self, calls: u32) {
        for model in self.model_ids() {
            self.world.endpoints.set_busy(model.as_ref(), calls);
        }
    }

    /// Versions whose archives were removed are asked for.
    pub(super) fn ask_for_what_is_removed(&mut self) -> Checked {
        for id in self.model_ids() {
            let Some(model) = self.checker.folded(&id) else { continue };
            let removed = model.packages.values().find(|it| it.removed_at.is_some()).map(|it| it.version);
            if let Some(version) = removed {
                self.promote_version(id.as_ref(), "ann", version);
            }
        }
        self.drain()
    }

    /// A1: a model leaves the policy, and what is said about it last is lost by the table's stream: nothing follows that could
    /// bring it up again.
    pub(super) fn let_a_model_leave(&mut self, rng: &mut Rng) -> Checked {
        if self.fleet.1.len() < 2 {
            return Ok(());
        }
        self.fleet.1.pop();
        let id: ModelId = model_id(self.fleet.1.len()).parse().expect("invariant: a constant name");
        self.tell(|_| format!("{id} leaves the policy"));
        self.start(Work::Apply(self.fleet.clone()), rng)?;
        self.world.clock.advance(SWEEP);
        self.world.send(scheduled_event());
        for _ in 0..100 {
            self.world.pump();
            let Some(next) = self.world.queue.pop_front() else { break };
            let mut rng = self.next_step();
            self.start(Work::Event(next), &mut rng)?;
            if self.checker.folded(&id).is_some_and(|it| it.head.released_at.is_some()) {
                self.world.pump();
                self.world.queue.clear();
            }
        }
        self.sweep_after(SignedDuration::from_hours(25))?;
        self.sweep_after(SignedDuration::from_hours(25))?;
        self.sweep_after(SWEEP)?;
        let logs = self.rest()?.logs;
        ensure!(logs.is_empty(), "A1", "not published after the stream lost it: {logs:?}");
        Ok(())
    }

    /// Somebody changes by hand what idle endpoints serve.
    pub(super) fn lay_hands_on_endpoints(&mut self) {
        for id in self.model_ids() {
            let Some(model) = self.checker.folded(&id).filter(|it| it.head.active_run.is_none()) else { continue };
            let champion = model.head.champion;
            let Some(other) = model.packages.values().find(|it| Some(it.version) != champion) else { continue };
            let variant =
                Variant { name: model.head.endpoint.variant.clone(), package_arn: other.arn.clone(), weight: 1.0 };
            let endpoint = model.head.endpoint.name.clone();
            self.tell(|_| format!("endpoint {endpoint} is set by hand"));
            let _ = poll(self.world.endpoints.ensure_variants(&endpoint, &[variant]));
        }
    }

    /// R3: a champion can be taken back when everything is broken that a rollback does not need.
    pub(super) fn roll_back_in_ruins(&mut self, rng: &mut Rng) -> Checked {
        let Some(id) = rng.pick(&self.model_ids()).cloned() else { return Ok(()) };
        let Some(model) = self.checker.folded(&id) else { return Ok(()) };
        let head = model.head.clone();
        let (Some(champion), Some(previous), None) = (head.champion, head.previous_champion, &head.active_rollback)
        else {
            return Ok(());
        };
        let Some(target) = model.packages.get(&previous).map(|it| it.arn.clone()) else { return Ok(()) };
        let waits = model.active_run().is_some_and(|it| it.status == RunStatus::AwaitingApproval);
        self.tell(|_| format!("everything is broken but HEAD and the packages; {id} is rolled back"));
        let mut broken = vec![slots_key(), queue_key()];
        broken.extend(head.active_run.iter().map(run_key));
        broken.extend(head.active_run.iter().filter(|_| waits).map(approval_key));
        for key in broken {
            ruin(&self.world, &key);
        }
        let policy = format!("s3://state/policies/{}.json", head.policy.hex());
        let policy = policy.parse().expect("invariant: a digest is part of an address");
        let _ = self.world.objects.overwrite(&policy, b"{");
        self.world.endpoints.set_busy(&head.endpoint.name, u32::from(rng.chance(500)));
        let request = rollback("ruins", id.as_ref(), "ann", Some(champion));
        let answer = self.world.call(Function::PromoteModel, &request);
        self.tell(|_| format!("{answer:?}"));
        if rng.chance(500) {
            // Nobody hears of it: the sweep alone has to go on.
            self.world.pump();
            self.world.queue.clear();
        }
        for _ in 0..SWEEPS {
            self.world.clock.advance(SWEEP);
            self.world.send(scheduled_event());
            self.deliver_all();
        }
        let served = self.world.endpoints.variants(&head.endpoint.name);
        let is_served = served.iter().map(|it| &it.package_arn).eq([&target]);
        let now = champion_of(&self.world, &id);
        ensure!(
            is_served && now == Some(previous),
            "R3",
            "{id} is not rolled back to {previous}: champion is {now:?}, {served:?} is served, {answer:?}"
        );
        Ok(())
    }

    /// Delivers whatever there is; what fails is not tried again.
    fn deliver_all(&mut self) {
        for _ in 0..100 {
            self.world.pump();
            let Some(next) = self.world.queue.pop_front() else { return };
            let _ = self.world.call(next.function, &next.event);
        }
    }
}

/// Writes something unreadable over an item.
fn ruin(world: &MemoryWorld, key: &Key) {
    let Ok(Some(item)) = poll(world.table.get(key)).unwrap_done() else { return };
    let expect = Expect::Generation(item.generation);
    let write = Write::Put { key: key.clone(), expect, body: "{}".into(), due: item.due };
    let token = Token(Digest::of(format!("ruin {write:?}").as_bytes()).hex()[..36].to_owned());
    let _ = poll(world.table.transact(&token, &[write]));
}

fn champion_of(world: &MemoryWorld, id: &ModelId) -> Option<u64> {
    let item = poll(world.table.get(&refit_app::documents::head_key(id))).unwrap_done().ok()??;
    serde_json::from_str::<refit_core::model::Head>(&item.body).ok()?.champion
}
