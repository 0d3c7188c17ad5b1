//! What people ask for: a run, a vote, the way back. The local world then does all that follows.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use refit_app::queries;
use refit_core::approval::Choice;
use refit_core::model::Head;
use refit_core::run::{Run, RunStatus};
use refit_core::{ModelId, RunId};
use refit_handlers::{Function, Response};
use refit_local::world::{Access, Moment, World};
use serde_json::{Value, json};

use crate::arguments::{
    AdoptArguments, CancelArguments, Format, PersonArguments, PromoteArguments, ResumeArguments, RetryArguments,
    RollbackArguments, SuspendArguments, TriggerArguments, VoteArguments,
};
use crate::output::{Exit, answer, escaped, say, word};
use crate::state;
use crate::story::tell;

/// How far the world may move on its own clock after a request: training, evaluation and a notice fit in.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// `refit trigger`.
pub(crate) fn trigger(arguments: &TriggerArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let request = |model: &ModelId| json!({ "kind": "trigger", "model": model, "reason": arguments.reason, "force": arguments.force });
    if arguments.all {
        return desk.ask_all(Function::CheckTriggers, request);
    }
    let model = state::models(&desk.world, arguments.model.as_deref())?.remove(0);
    desk.ask(Function::CheckTriggers, request(&model), &model)
}

/// `refit cancel`.
pub(crate) fn cancel(arguments: &CancelArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let run = desk.known_run(&arguments.run)?;
    let request = json!({ "kind": "cancel", "run": run, "reason": arguments.reason });
    desk.ask(Function::EvaluateCandidate, request, &run.model())
}

/// `refit retry`.
pub(crate) fn retry(arguments: &RetryArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let run = desk.known_run(&arguments.run)?;
    let request = json!({ "kind": "retry", "run": run });
    desk.ask(Function::CheckTriggers, request, &run.model())
}

/// `refit suspend`.
pub(crate) fn suspend(arguments: &SuspendArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let model = state::models(&desk.world, Some(&arguments.model))?.remove(0);
    let request = json!({ "kind": "suspend", "model": model, "reason": arguments.reason });
    desk.ask(Function::CheckTriggers, request, &model)
}

/// `refit resume`.
pub(crate) fn resume(arguments: &ResumeArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let model = state::models(&desk.world, Some(&arguments.model))?.remove(0);
    let request = json!({ "kind": "resume", "model": model, "reason": arguments.reason });
    desk.ask(Function::CheckTriggers, request, &model)
}

/// `refit approve` and `refit decline`.
pub(crate) fn vote(arguments: &VoteArguments, choice: Choice, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let run = desk.known_run(&arguments.run)?;
    let request = json!({
        "kind": "vote", "run": run, "choice": choice, "comment": arguments.comment, "basis": arguments.basis,
        "if_match": arguments.if_match,
    });
    desk.ask(Function::PromoteModel, request, &run.model())
}

/// `refit promote`.
pub(crate) fn promote(arguments: &PromoteArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let model = state::models(&desk.world, Some(&arguments.model))?.remove(0);
    let request =
        json!({ "kind": "promote", "model": model, "version": arguments.version, "reason": arguments.reason });
    desk.ask(Function::PromoteModel, request, &model)
}

/// `refit adopt`.
pub(crate) fn adopt(arguments: &AdoptArguments, format: Format) -> anyhow::Result<Exit> {
    let evaluation: Option<Value> = match &arguments.evaluation {
        Some(path) => {
            let name = path.display();
            let bytes = std::fs::read(path).with_context(|| format!("reading evaluation `{name}`"))?;
            Some(serde_json::from_slice(&bytes).with_context(|| format!("evaluation `{name}` is not JSON"))?)
        }
        None => None,
    };
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let model = state::models(&desk.world, Some(&arguments.model))?.remove(0);
    let request = json!({
        "kind": "adopt", "model": model, "reason": arguments.reason, "package_arn": arguments.package_arn,
        "evaluation": evaluation,
    });
    desk.ask(Function::PromoteModel, request, &model)
}

/// `refit rollback`.
pub(crate) fn rollback(arguments: &RollbackArguments, format: Format) -> anyhow::Result<Exit> {
    let desk = Desk::open(&arguments.state.state, &arguments.person, format)?;
    let model = state::models(&desk.world, Some(&arguments.model))?.remove(0);
    let request = json!({ "kind": "rollback", "model": model, "reason": arguments.reason, "from": arguments.from });
    desk.ask(Function::PromoteModel, request, &model)
}

/// What came of a request about one model.
struct Answer {
    document: Value,
    text: String,
    refused: Option<String>,
}

/// Tells what happens as it happens.
fn told(moment: Moment<'_>) {
    if let Some(line) = tell(&moment) {
        say(&line);
    }
}

/// The login name of whoever sits here.
pub(crate) fn login() -> String {
    let found = ["USER", "LOGNAME"].iter().find_map(|it| std::env::var(it).ok()).filter(|it| !it.is_empty());
    found.unwrap_or_else(|| "local".to_owned())
}

/// Where a person asks for something.
struct Desk<'a> {
    world: World,
    state: &'a Path,
    person: &'a PersonArguments,
    format: Format,
}

impl Desk<'_> {
    fn open<'a>(state: &'a Path, person: &'a PersonArguments, format: Format) -> anyhow::Result<Desk<'a>> {
        Ok(Desk { world: state::open(state, Access::Drive)?, state, person, format })
    }

    /// The run of this name, which must be there.
    fn known_run(&self, name: &str) -> anyhow::Result<RunId> {
        let run: RunId = name.parse()?;
        if self.world.block_on(refit_app::state::find_run(&*self.world.context.ports.table, &run))?.is_none() {
            bail!("there is no run `{run}`: `refit runs` lists them");
        }
        Ok(run)
    }

    /// Hands a request in, lets the world work it off, and tells what came of it.
    fn ask(&self, function: Function, mut request: Value, model: &ModelId) -> anyhow::Result<Exit> {
        request["id"] = json!(self.request_id());
        request["actor"] = json!(self.name());
        let response = self.world.request(function, &request, &mut told)?;
        work_off(&self.world, &mut told)?;
        self.report(&response, model)
    }

    /// Hands the same request in for every model before the world works off any: one answer a model, in order.
    fn ask_all(&self, function: Function, request: impl Fn(&ModelId) -> Value) -> anyhow::Result<Exit> {
        let id = self.request_id();
        let mut responses = Vec::new();
        for model in state::models(&self.world, None)? {
            let mut request = request(&model);
            request["id"] = json!(id);
            request["actor"] = json!(self.name());
            responses.push((self.world.request(function, &request, &mut told)?, model));
        }
        work_off(&self.world, &mut told)?;
        let mut answers = Vec::new();
        let mut exit = Exit::Yes;
        for (response, model) in &responses {
            let answer = self.answer_of(response, model)?;
            if answer.refused.is_some() {
                exit = Exit::No;
            }
            answers.push(answer);
        }
        let documents: Vec<&Value> = answers.iter().map(|it| &it.document).collect();
        answer(self.format, &json!({ "schema": 1, "models": documents }), |_| {
            let lines = responses.iter().zip(&answers).map(|((_, model), it)| format!("{model}: {}\n", it.text));
            lines.collect::<String>().trim_end().to_owned()
        })?;
        Ok(exit)
    }

    fn name(&self) -> String {
        self.person.name.clone().unwrap_or_else(login)
    }

    /// An id that two separate requests do not share.
    fn request_id(&self) -> String {
        let fresh = || format!("cli-{}-{}", std::process::id(), self.world.now());
        self.person.request_id.clone().unwrap_or_else(fresh)
    }

    fn report(&self, response: &Response, model: &ModelId) -> anyhow::Result<Exit> {
        let given = self.answer_of(response, model)?;
        answer(self.format, &given.document, |_| given.text.clone())?;
        Ok(if given.refused.is_some() { Exit::No } else { Exit::Yes })
    }

    fn answer_of(&self, response: &Response, model: &ModelId) -> anyhow::Result<Answer> {
        if response.outcome == "refused" {
            bail!("{}", response.reason.clone().unwrap_or_default());
        }
        let outcome = response.details.first().cloned().unwrap_or(Value::Null);
        let table = &*self.world.context.ports.table;
        let head = self.world.block_on(queries::get_head(table, model))?;
        let run = self.world.block_on(queries::list_runs(table, model))?.pop();
        let document =
            json!({ "schema": 1, "model": model, "outcome": outcome, "champion": head.champion, "last_run": run });
        let refused = outcome["refused"].as_str().map(str::to_owned);
        let text = match &refused {
            Some(why) => format!("refused: {}{}", escaped(why), self.hint(run.as_ref(), why)),
            None => {
                let word = if outcome["was_handled"] == true { "done before, nothing repeated" } else { "done" };
                format!("{word}: {}", self.standing(&head, run.as_ref()))
            }
        };
        Ok(Answer { document, text, refused })
    }

    /// Where the model stands now, and what a person can do next.
    fn standing(&self, head: &Head, run: Option<&Run>) -> String {
        let champion = match head.champion {
            Some(version) => format!("version {version} of {} is champion", head.model),
            None => format!("{} has no champion", head.model),
        };
        let next = match run {
            Some(Run { id, status, outcome: Some(outcome), .. }) => {
                format!("; {id} {}: {}", word(status), escaped(&outcome.reason))
            }
            Some(run) if run.status == RunStatus::AwaitingApproval => format!("; {}", self.open_vote(run)),
            Some(run) => format!("; {} is {}", run.id, word(run.status)),
            None => String::new(),
        };
        let suspended = match &head.suspended {
            Some(it) => format!("; its triggers are suspended: {}", escaped(&it.reason)),
            None => String::new(),
        };
        champion + &next + &suspended
    }

    /// A run that waits for a person does not end by itself: whoever is refused because of it can help.
    fn hint(&self, run: Option<&Run>, why: &str) -> String {
        match run {
            Some(run) if run.status == RunStatus::AwaitingApproval && why.contains(run.id.as_ref()) => {
                format!("\n{}", self.open_vote(run))
            }
            Some(_) | None => String::new(),
        }
    }

    fn open_vote(&self, run: &Run) -> String {
        let flag = state::flag(self.state);
        format!("{} waits for approval: refit approve {}{flag}, or decline", run.id, run.id)
    }
}

/// Lets the world work until nothing is under way that goes on without a person.
fn work_off(world: &World, observer: &mut dyn FnMut(Moment<'_>)) -> anyhow::Result<()> {
    let until = world.now().checked_add(PATIENCE)?;
    while is_working(world)? {
        match world.next_time()?.filter(|it| *it <= until) {
            Some(next) if world.now() < next && !world.is_virtual() => {
                let wait = next.duration_since(world.now()).unsigned_abs();
                std::thread::sleep(wait.min(Duration::from_secs(1)));
            }
            Some(next) => world.move_clock(next, observer)?,
            None => break,
        }
        world.settle(observer)?;
    }
    Ok(())
}

/// Whether a rollback or a run is under way that goes on without a person.
fn is_working(world: &World) -> anyhow::Result<bool> {
    let table = &*world.context.ports.table;
    for model in state::models(world, None)? {
        let head = world.block_on(queries::get_head(table, &model))?;
        if head.active_rollback.is_some() {
            return Ok(true);
        }
        if let Some(run) = &head.active_run {
            let run = world.block_on(refit_app::state::find_run(table, run))?;
            if run.is_some_and(|it| it.status != RunStatus::AwaitingApproval) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
