//! The same commands on a deployed Refit: signed requests to its API.
//!
//! `--api-url` or `REFIT_API_URL` says where it is; whoever the AWS credentials name is calling, and `--as` has no say.

use std::time::SystemTime;

use anyhow::{Context as _, bail};
use refit_aws::{ApiClient, ApiReply};
use serde_json::{Value, json};

use crate::arguments::{Arguments, AuditCommand, Command, ConfigCommand, Format, PersonArguments, VoteArguments};
use crate::output::{Exit, answer, escaped, say, table};

/// What is sent.
struct Call {
    method: &'static str,
    path: String,
    body: Value,
    /// Names a change.
    key: Option<String>,
    /// The generation that was shown.
    if_match: Option<String>,
}

impl Call {
    fn look(path: impl Into<String>) -> Call {
        Call { method: "GET", path: path.into(), body: Value::Null, key: None, if_match: None }
    }

    fn ask(path: impl Into<String>, person: &PersonArguments, body: Value) -> Call {
        let fresh = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            format!("cli-{}-{}", std::process::id(), since.as_nanos())
        };
        let key = person.request_id.clone().unwrap_or_else(fresh);
        Call { method: "POST", path: path.into(), body, key: Some(key), if_match: None }
    }
}

/// Runs a command remotely; `None` for one that concerns no deployment.
pub(crate) fn run(url: &str, arguments: &Arguments) -> anyhow::Result<Option<Exit>> {
    let desk = Desk::open(url, arguments.output_format)?;
    let exit = match &arguments.command {
        Command::Status { model: Some(model), .. } => desk.show(&format!("/v1/models/{}", part(model)?), one),
        Command::Status { model: None, .. } | Command::Models { .. } => desk.show("/v1/models?limit=500", models),
        Command::Runs { model: Some(model), report: None, .. } => {
            desk.show(&format!("/v1/models/{}/runs?limit=500", part(model)?), runs)
        }
        Command::Packages { model: Some(model), .. } => {
            desk.show(&format!("/v1/models/{}/packages?limit=500", part(model)?), one)
        }
        Command::History { model: Some(model), at: None, .. } => {
            desk.show(&format!("/v1/models/{}/audit?limit=500", part(model)?), history)
        }
        Command::Explain { what, replay: false, .. } if what.contains("-d") => {
            desk.show(&format!("/v1/decisions/{}", part(what)?), one)
        }
        Command::Explain { what, replay: false, .. } => desk.show(&format!("/v1/runs/{}", part(what)?), one),
        Command::Audit(AuditCommand::Verify { model: Some(model), .. }) => desk.verify(model),
        Command::Config(ConfigCommand::History { .. }) => desk.show("/v1/configs?limit=500", one),
        Command::Config(ConfigCommand::Show { number, .. }) => {
            let number = number.map_or_else(String::new, |it| format!("?number={it}"));
            desk.show(&format!("/v1/config{number}"), one)
        }
        Command::Trigger(it) if !it.all => {
            let model = it.model.as_deref().unwrap_or_default();
            let body = json!({ "reason": it.reason, "force": it.force });
            desk.change(Call::ask(format!("/v1/models/{}/runs", part(model)?), &it.person, body))
        }
        Command::Suspend(it) => {
            let body = json!({ "reason": it.reason });
            desk.change(Call::ask(format!("/v1/models/{}/suspend", part(&it.model)?), &it.person, body))
        }
        Command::Resume(it) => {
            let body = json!({ "reason": it.reason });
            desk.change(Call::ask(format!("/v1/models/{}/resume", part(&it.model)?), &it.person, body))
        }
        Command::Cancel(it) => {
            let body = json!({ "reason": it.reason });
            desk.change(Call::ask(format!("/v1/runs/{}/cancel", part(&it.run)?), &it.person, body))
        }
        Command::Retry(it) => {
            desk.change(Call::ask(format!("/v1/runs/{}/retry", part(&it.run)?), &it.person, json!({})))
        }
        Command::Approve(it) => desk.vote(it, "approve"),
        Command::Decline(it) => desk.vote(it, "decline"),
        Command::Promote(it) => {
            let body = json!({ "version": it.version, "reason": it.reason });
            desk.change(Call::ask(format!("/v1/models/{}/promotions", part(&it.model)?), &it.person, body))
        }
        Command::Rollback(it) => {
            let body = json!({ "reason": it.reason, "from": it.from });
            desk.change(Call::ask(format!("/v1/models/{}/rollback", part(&it.model)?), &it.person, body))
        }
        Command::Apply(it) => {
            let source = std::fs::read_to_string(&it.config)
                .with_context(|| format!("reading policy `{}`", it.config.display()))?;
            let body = json!({ "source": source, "comment": it.comment, "dry_run": it.dry_run });
            desk.configure("PUT", "/v1/config", body)
        }
        Command::Config(ConfigCommand::Rollback(it)) => {
            desk.configure("POST", "/v1/config/rollback", json!({ "number": it.number, "comment": it.comment }))
        }
        Command::Demo(_)
        | Command::Replay(_)
        | Command::Init { .. }
        | Command::Validate { .. }
        | Command::Schema
        | Command::Gate(_)
        | Command::Drift(_)
        | Command::Profile(_)
        | Command::Serve(_)
        | Command::Pipeline(_)
        | Command::SageMaker(_)
        | Command::Step(_) => return Ok(None),
        #[cfg(feature = "play")]
        Command::Cloud(_) => return Ok(None),
        _ => bail!("this command is not built for a deployment yet: leave --api-url out for the local state"),
    };
    exit.map(Some)
}

/// A name as part of a path: names have no character that would have to be encoded.
fn part(name: &str) -> anyhow::Result<&str> {
    if name.is_empty() || !name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
        bail!("`{}` is not a name: names have letters, digits and hyphens", escaped(name));
    }
    Ok(name)
}

/// Where requests are made.
struct Desk {
    runtime: tokio::runtime::Runtime,
    client: ApiClient,
    format: Format,
}

impl Desk {
    fn open(url: &str, format: Format) -> anyhow::Result<Desk> {
        if !url.starts_with("https://")
            && !url.starts_with("http://127.0.0.1:")
            && !url.starts_with("http://localhost:")
        {
            bail!("`{}` is not the address of an API: it begins with https://", escaped(url));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(ApiClient::connect(url));
        Ok(Desk { runtime, client, format })
    }

    fn send(&self, call: &Call) -> anyhow::Result<ApiReply> {
        let body = if call.body.is_null() { Vec::new() } else { call.body.to_string().into_bytes() };
        let mut headers = vec![("accept", "application/json")];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        headers.extend(call.key.as_deref().map(|it| ("idempotency-key", it)));
        headers.extend(call.if_match.as_deref().map(|it| ("if-match", it)));
        let sent = self.client.call(call.method, &call.path, &headers, &body, SystemTime::now());
        Ok(self.runtime.block_on(sent)?)
    }

    /// The document of a good answer, or how the command ends.
    fn read(reply: &ApiReply) -> anyhow::Result<Result<Value, Exit>> {
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        if reply.status < 300 {
            return Ok(Ok(body));
        }
        // The gateway's own refusals have a message.
        let detail = body["detail"].as_str().or(body["message"].as_str()).unwrap_or("the answer has no words");
        match reply.status {
            401 | 403 | 404 | 409 | 410 | 412 | 422 | 428 => {
                say(&format!("refused: {}", escaped(detail)));
                for problem in body["problems"].as_array().into_iter().flatten() {
                    let text = format!("{}:{}: {}", problem["line"], problem["column"], problem["message"]);
                    say(&format!("  {}", escaped(&text)));
                }
                Ok(Err(Exit::No))
            }
            status => bail!("the API answered {status}: {}", escaped(detail)),
        }
    }

    fn show(&self, path: &str, text: impl FnOnce(&Value) -> String) -> anyhow::Result<Exit> {
        match Desk::read(&self.send(&Call::look(path))?)? {
            Ok(document) => answer(self.format, &document, text).map(|()| Exit::Yes),
            Err(exit) => Ok(exit),
        }
    }

    fn verify(&self, model: &str) -> anyhow::Result<Exit> {
        let path = format!("/v1/models/{}/audit/verification", part(model)?);
        match Desk::read(&self.send(&Call::look(path))?)? {
            Ok(report) => {
                answer(self.format, &report, one)?;
                Ok(if report["verified"] == true { Exit::Yes } else { Exit::No })
            }
            Err(exit) => Ok(exit),
        }
    }

    fn change(&self, call: Call) -> anyhow::Result<Exit> {
        match Desk::read(&self.send(&call)?)? {
            Ok(document) => {
                answer(self.format, &document, |it| {
                    let recorded: Vec<&str> =
                        it["outcome"]["recorded"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    let what = if recorded.is_empty() { "done before".to_owned() } else { recorded.join(", ") };
                    format!("recorded: {what}; {} goes on with it", escaped(it["model"].as_str().unwrap_or_default()))
                })?;
                Ok(Exit::Yes)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Votes about what is shown now, unless the caller says what was shown.
    fn vote(&self, vote: &VoteArguments, choice: &str) -> anyhow::Result<Exit> {
        let path = format!("/v1/runs/{}/approval", part(&vote.run)?);
        let shown = match vote.if_match {
            Some(generation) => format!("\"{generation}\""),
            None => {
                let reply = self.send(&Call::look(path.clone()))?;
                if let Err(exit) = Desk::read(&reply)? {
                    return Ok(exit);
                }
                reply.etag.unwrap_or_default()
            }
        };
        let body = json!({ "choice": choice, "comment": vote.comment, "basis": vote.basis });
        self.change(Call { if_match: Some(shown), ..Call::ask(path, &vote.person, body) })
    }

    /// Replaces the configuration that is current now.
    fn configure(&self, method: &'static str, path: &str, body: Value) -> anyhow::Result<Exit> {
        let current = self.send(&Call::look("/v1/config"))?;
        let shown = if current.status == 404 { Some("\"0\"".to_owned()) } else { current.etag };
        match Desk::read(&self.send(&Call { method, path: path.to_owned(), body, key: None, if_match: shown })?)? {
            Ok(document) => answer(self.format, &document, one).map(|()| Exit::Yes),
            Err(exit) => Ok(exit),
        }
    }
}

/// A document as it is.
fn one(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn rows(document: &Value, header: &[&str], pointers: &[&str]) -> String {
    let items = document["items"].as_array().into_iter().flatten();
    let row = |it: &Value| pointers.iter().map(|at| it.pointer(at).map_or_else(|| "-".to_owned(), cell)).collect();
    let mut text = table(header, &items.map(row).collect::<Vec<Vec<String>>>());
    if document["next"].is_string() {
        text.push_str("there are more: use --output-format json and the API's pages\n");
    }
    text
}

fn models(document: &Value) -> String {
    let pointers = ["/id", "/champion", "/active_run", "/runs", "/checked_at"];
    rows(document, &["MODEL", "CHAMPION", "ACTIVE RUN", "RUNS", "CHECKED AT"], &pointers)
}

fn runs(document: &Value) -> String {
    let pointers = ["/id", "/requested_at", "/status", "/candidate", "/outcome/reason"];
    rows(document, &["RUN", "REQUESTED AT", "STATUS", "VERSION", "OUTCOME"], &pointers)
}

fn history(document: &Value) -> String {
    let pointers = ["/event/seq", "/event/at", "/event/fact/kind", "/event/actor/id"];
    rows(document, &["SEQ", "AT", "FACT", "BY"], &pointers)
}
