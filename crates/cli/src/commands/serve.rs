//! `refit serve`: the local world goes on, and answers over HTTP.

use refit_local::api;
use refit_local::world::{Access, Moment};
use serde_json::json;

use crate::arguments::{Format, ServeArguments};
use crate::commands::people::login;
use crate::output::{Exit, answer, say};
use crate::state;
use crate::story::tell;

/// Serves until a signal comes.
pub(crate) fn serve(arguments: &ServeArguments, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(&arguments.state.state, Access::Drive)?;
    let person = arguments.name.clone().unwrap_or_else(login);
    let mut written = Ok(());
    let ready = |address| {
        let url = format!("http://{address}");
        let document = json!({ "schema": 1, "api": url, "as": person });
        written = answer(format, &document, |_| format!("the API is at {url}/v1/models, and acts as {person}"));
    };
    let mut observer = |moment: Moment<'_>| {
        if let Some(line) = tell(&moment) {
            say(&line);
        }
    };
    api::serve(&world, arguments.port, &person, ready, told_to_end(), &mut observer)?;
    written?;
    Ok(Exit::Yes)
}

/// Done at SIGTERM or SIGINT.
pub(super) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers both signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
