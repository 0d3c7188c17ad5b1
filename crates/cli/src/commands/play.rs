//! `refit cloud`: what `make cloud` needs of Refit to play months through the emulated cloud; hidden, feature `play`.
//!
//! The clock is the one of `refit sagemaker serve`. Time moves from one due thing to the next, as in the local world, so that
//! the same happens at the same times: traffic up to then is uploaded, then whatever is due is let happen by the deployed
//! functions, until the emulator and SageMaker rest.

mod clock;
mod http;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{DUE_SHARDS, Endpoints as _, ObjectError, Objects as _, Packages as _, Table as _};
use refit_app::queries;
use refit_aws::{DynamoTable, Limits, S3Objects, SageMakerEndpoints, SageMakerPackages};
use refit_core::audit::AuditEntry;
use refit_core::policy::{ModelPolicy, Span};
use refit_core::{ObjectUri, RunId};
use refit_data::{Frame, Kind, ReadOptions, Values, write_parquet};
use refit_local::replay::{Position, ReplayPlan, Script, Times, capture_files, label_file};
use refit_steps::Model;
use serde::Deserialize;
use serde_json::{Value, json};

use self::clock::Cloud;
use super::pipeline::read_definition;
use super::replay::read_rows;
use super::validate::read_policy;
use crate::arguments::{CloudCommand, CutArguments, PlayArguments};
use crate::output::{Exit, say};
use crate::story::tell_fact;

/// The rule that wakes the sweep fires at most this often.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Traffic is uploaded so long before the moment at which it is looked at.
const UPLOAD_BEFORE: SignedDuration = SignedDuration::from_secs(1);
/// Most bytes of a model archive.
const MAX_MODEL_BYTES: u64 = 1024 * 1024 * 1024;

/// Runs a command of the emulated cloud.
pub(crate) fn run(command: &CloudCommand) -> anyhow::Result<Exit> {
    match command {
        CloudCommand::Cut(arguments) => cut(arguments)?,
        CloudCommand::Play(arguments) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(play(arguments))?;
        }
    }
    Ok(Exit::Yes)
}

/// Writes the rows of a span of time as a file of their own.
fn cut(arguments: &CutArguments) -> anyhow::Result<()> {
    let name = arguments.data.display();
    let bytes = std::fs::read(&arguments.data).with_context(|| format!("reading data `{name}`"))?;
    let time = &arguments.time;
    let columns = Some(vec![(time.clone(), Kind::Time)]);
    let times = refit_data::read(&&bytes[..], &ReadOptions { columns })?;
    let Some(Values::Time(times)) = times.find_column(time).map(|it| &it.values) else {
        bail!("`{name}` has no time column `{time}`")
    };
    let (from, until) = (arguments.from.as_microsecond(), arguments.until.as_microsecond());
    let rows = times.iter().enumerate().filter(|(_, it)| it.is_some_and(|it| from <= it && it < until));
    let rows: Vec<usize> = rows.map(|it| it.0).collect();
    let mut frame: Frame = refit_data::read(&&bytes[..], &ReadOptions { columns: None })?.take(&rows);
    // The time keeps its kind, whatever a reader that is not told makes of it.
    let mut columns = std::mem::take(&mut frame).into_columns();
    for column in &mut columns {
        if &column.name == time {
            column.values = Values::Time(rows.iter().map(|row| times[*row]).collect());
        }
    }
    std::fs::write(&arguments.to, write_parquet(&Frame::new(columns)?))
        .with_context(|| format!("writing `{}`", arguments.to.display()))?;
    say(&format!("{} rows of `{name}` are in {}", rows.len(), arguments.to.display()));
    Ok(())
}

/// Someone with an IAM user of their own.
#[derive(Debug, Clone, Deserialize)]
struct Person {
    id: String,
    secret: String,
}

/// Who asks and who approves.
#[derive(Debug, Clone, Deserialize)]
struct People {
    asks: Person,
    approves: Person,
}

struct Player<'a> {
    arguments: &'a PlayArguments,
    plan: ReplayPlan,
    model: ModelPolicy,
    times: Times,
    people: People,
    cloud: Cloud,
    table: DynamoTable,
    objects: S3Objects,
    endpoints: SageMakerEndpoints,
    packages: SageMakerPackages,
    /// The model of the package that is served.
    served: Option<(String, Model)>,
    position: Position,
    swept: Option<Timestamp>,
    /// When who votes on what; votes that were given stay as `None`.
    votes: BTreeMap<RunId, Option<Timestamp>>,
    told: u64,
}

async fn play(arguments: &PlayArguments) -> anyhow::Result<()> {
    let mut player = Player::open(arguments).await?;
    player.prepare().await?;
    player.settle().await?;
    while let Some(next) = player.next_time().await?.filter(|it| *it <= player.times.end) {
        player.step(next).await?;
    }
    player.step(player.times.end).await?;
    let document = record::document(&player.table, &player.plan, player.times).await?;
    let path = &arguments.to;
    std::fs::write(path, format!("{}\n", serde_json::to_string_pretty(&document)?))
        .with_context(|| format!("writing `{}`", path.display()))
}

impl<'a> Player<'a> {
    async fn open(arguments: &'a PlayArguments) -> anyhow::Result<Player<'a>> {
        let policy = read_policy(&arguments.config)?;
        let [model] = &policy.models[..] else { bail!("the policy has to have one model") };
        let model = model.clone();
        let folder = arguments.config.parent().unwrap_or(Path::new("."));
        let definition = read_definition(&folder.join(&model.pipeline.definition))?;
        let rows = read_rows(&arguments.data, &model)?;
        let plan = ReplayPlan { rows, policy, definition, warmup: arguments.warmup, script: Script::default() };
        let times = plan.times()?;
        let outputs: Value = read_json(&arguments.outputs)?;
        let output = |name: &str| {
            outputs[name].as_str().map(str::to_owned).with_context(|| format!("the stack has no output {name}"))
        };
        let config = refit_aws::connect().await;
        let first = plan.rows.first_at(times.warmup_end);
        Ok(Player {
            people: serde_json::from_value(read_json(&arguments.people)?)?,
            cloud: Cloud::new(&arguments.emulator, &arguments.sagemaker, &arguments.sweep),
            table: DynamoTable::new(&config, &output("TableName")?, Limits::QUICK),
            objects: S3Objects::new(&config, Limits::SLOW),
            endpoints: SageMakerEndpoints::new(&config, Limits::SLOW, &output("EndpointRoleArn")?, "ml.m5.large"),
            packages: SageMakerPackages::new(&config, Limits::SLOW),
            served: None,
            position: Position { captured: first, labelled: first },
            swept: None,
            votes: BTreeMap::new(),
            told: 0,
            arguments,
            plan,
            model,
            times,
        })
    }

    /// History, policy, and the request for the first champion.
    async fn prepare(&mut self) -> anyhow::Result<()> {
        self.cloud.move_clock(self.plan.begin()?)?;
        let (uri, parquet) = self.plan.reference()?;
        self.put(&uri, &parquet).await?;
        for prefix in [&self.model.data.capture, &self.model.data.labels] {
            // Prefixes that a pipeline reads must exist, also before the first traffic.
            self.put(&prefix.join(".keep")?, b"").await?;
        }
        self.cloud.rest()?;
        let config = self.arguments.config.display().to_string();
        self.ask(&self.people.asks, &["apply", &config])?;
        let reason = "first champion, from the warm-up";
        let model = self.model.id.to_string();
        self.ask(&self.people.asks, &["trigger", &model, "--reason", reason, "--request-id", "first-champion"])
    }

    /// Runs `refit` against the deployed API, in somebody's name.
    fn ask(&self, person: &Person, words: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(words).args(["--api-url", &self.arguments.api, "--output-format", "json"]);
        command.env("AWS_ACCESS_KEY_ID", &person.id).env("AWS_SECRET_ACCESS_KEY", &person.secret);
        let done = command.output().context("starting refit")?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("`refit {}` at {} failed: {}", words.join(" "), self.arguments.api, said.trim());
        }
        Ok(())
    }

    async fn put(&self, uri: &ObjectUri, bytes: &[u8]) -> anyhow::Result<()> {
        match self.objects.put_new(uri, bytes).await {
            Ok(_) | Err(ObjectError::Conflict(_)) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("uploading {uri}")),
        }
    }

    /// When something is due next.
    async fn next_time(&self) -> anyhow::Result<Option<Timestamp>> {
        let votes = self.votes.values().copied().flatten().min();
        Ok([self.next_sweep().await?, self.cloud.next_execution()?, votes].into_iter().flatten().min())
    }

    async fn next_sweep(&self) -> anyhow::Result<Option<Timestamp>> {
        let mut due: Option<Timestamp> = None;
        for shard in 0..DUE_SHARDS {
            let page = self.table.list_due(shard, Timestamp::MAX, 1, None).await?;
            due = page.items.first().map(|it| it.at).into_iter().chain(due).min();
        }
        let earliest = self.swept.and_then(|it| it.checked_add(SWEEP_EVERY).ok());
        Ok(due.map(|due| earliest.map_or(due, |earliest| due.max(earliest))))
    }

    /// Uploads the traffic up to a moment, moves there, and lets happen what is due.
    async fn step(&mut self, to: Timestamp) -> anyhow::Result<()> {
        if self.upload(to).await? {
            self.cloud.rest()?;
        }
        self.cloud.move_clock(to)?;
        self.settle().await
    }

    /// Uploads rows before `to`, answered by what serves until then, and labels known by then; whether there were any.
    async fn upload(&mut self, to: Timestamp) -> anyhow::Result<bool> {
        let position = self.position.at(&self.plan.rows, &self.model, to, self.plan.rows.count());
        if position == self.position {
            return Ok(false);
        }
        let before = to.checked_sub(UPLOAD_BEFORE)?;
        if self.cloud.now()? < before {
            self.cloud.move_clock(before)?;
        }
        self.load_served().await?;
        let mut files = Vec::new();
        if let Some((package, model)) = &self.served {
            let range = self.position.captured..position.captured;
            files = capture_files(&self.plan.rows, &self.model, (package, model), range)?;
        }
        files.extend(label_file(&self.plan.rows, &self.model, self.position.labelled..position.labelled, to)?);
        for file in &files {
            self.put(&file.uri, file.text.as_bytes()).await?;
        }
        self.position = position;
        Ok(!files.is_empty())
    }

    /// The model behind the endpoint.
    async fn load_served(&mut self) -> anyhow::Result<()> {
        let state = match self.endpoints.describe(&self.model.endpoint.name).await {
            Ok(state) => state,
            Err(refit_app::ports::EndpointError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(arn) = state.variants.into_iter().next().map(|it| it.package_arn) else { return Ok(()) };
        if self.served.as_ref().is_none_or(|it| it.0 != arn) {
            let package = self.packages.describe(&arn).await?;
            let archive = self.objects.get(&package.model_data_url.parse()?, MAX_MODEL_BYTES).await?;
            self.served = Some((arn, Model::from_tar_gz(&archive.bytes)?));
        }
        Ok(())
    }

    /// Lets everything happen that is due now.
    async fn settle(&mut self) -> anyhow::Result<()> {
        loop {
            self.cloud.rest()?;
            self.tell().await?;
            let now = self.cloud.now()?;
            if self.vote(now).await? {
                continue;
            }
            match self.next_sweep().await? {
                Some(at) if at <= now => {
                    self.swept = Some(now);
                    self.cloud.sweep()?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// The approver decides on what waits, the first champion at once; whether somebody voted.
    async fn vote(&mut self, now: Timestamp) -> anyhow::Result<bool> {
        for approval in queries::list_approvals(&self.table, &self.model.id).await? {
            let is_first = approval.run.as_ref().ends_with("-r0001");
            let after = if is_first { Span::ZERO } else { self.arguments.approve_after };
            self.votes.entry(approval.run).or_insert(Some(after.after(now)));
        }
        let due = self.votes.iter().find(|it| it.1.is_some_and(|at| at <= now)).map(|it| it.0.clone());
        let Some(run) = due else { return Ok(false) };
        let comment =
            if run.as_ref().ends_with("-r0001") { "there is nothing better yet" } else { "the report looks right" };
        let id = format!("vote-{run}");
        self.ask(&self.people.approves, &["approve", run.as_ref(), "--comment", comment, "--request-id", &id])?;
        self.votes.insert(run, None);
        Ok(true)
    }

    /// Says what was recorded since the last look.
    async fn tell(&mut self) -> anyhow::Result<()> {
        loop {
            let key = refit_app::ports::Key::new(
                &refit_app::documents::audit_partition(&self.model.id),
                &refit_core::audit::AuditEvent::sort(self.told + 1),
            );
            let Some(item) = self.table.get(&key).await? else { return Ok(()) };
            let entry: AuditEntry = refit_app::documents::parse(&item)?;
            self.told += 1;
            if let Some(line) = tell_fact(&entry) {
                say(&line);
            }
        }
    }
}

fn read_json(path: &PathBuf) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))
}

/// The schedule's event, as EventBridge sends it.
fn scheduled(now: Timestamp) -> Value {
    json!({
        "version": "0", "id": format!("sweep-{now}"), "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": now, "region": "us-east-1", "detail": {},
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/refit-sweep"],
    })
}
