//! The API of a local world, on loopback, while the world goes on.
//!
//! Whoever can reach the port has the rights of whoever started the server, so that a web page must not: a request needs
//! the name of this machine in `Host`, and a change a content type and a header that no page may send across origins.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use refit_api::{Principal, recording, router};
use refit_app::Context;

use crate::world::{Observer, World, WorldError};

/// How long the world may sleep: alarms, files and other processes do not ring.
const NAP: Duration = Duration::from_secs(1);

/// What wakes the world.
enum Bell {
    /// Somebody asked for something.
    Asked,
    /// The server ended.
    Ended(std::io::Result<()>),
}

#[derive(Clone)]
struct Desk {
    person: Principal,
    bell: mpsc::Sender<Bell>,
}

/// Serves the world's API on a port of 127.0.0.1 in the name of `person` until `end` is done, and lets everything happen
/// that falls due meanwhile. `ready` hears the address.
///
/// # Errors
/// When the port is taken, or the world cannot go on.
pub fn serve(
    world: &World,
    port: u16,
    person: &str,
    ready: impl FnOnce(SocketAddr),
    end: impl Future<Output = ()> + Send + 'static,
    observer: &mut Observer<'_>,
) -> Result<(), WorldError> {
    let io = |source| WorldError::Server { port, source };
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    let (bell, rung) = mpsc::channel();
    let desk = Desk { person: Principal::local(person), bell };
    let context = world.context.clone();
    let server = std::thread::Builder::new().name("api".to_owned());
    server.spawn(move || run(listener, &context, desk, end)).map_err(io)?;
    ready(address);
    loop {
        world.settle(observer)?;
        match rung.recv_timeout(NAP) {
            Ok(Bell::Asked) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Bell::Ended(result)) => return result.map_err(io),
            Err(RecvTimeoutError::Disconnected) => return Err(io(std::io::Error::other("the server broke"))),
        }
    }
}

fn run(listener: std::net::TcpListener, context: &Context, desk: Desk, end: impl Future<Output = ()> + Send + 'static) {
    let bell = desk.bell.clone();
    let serving = || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let routes = router(recording(context)).layer(from_fn_with_state(desk, admit));
            axum::serve(listener, routes).with_graceful_shutdown(end).await
        })
    };
    // Nobody listens any more when the world could not go on.
    let _ = bell.send(Bell::Ended(serving()));
}

/// Lets in whoever means this machine, in the name of the person at it.
async fn admit(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !["127.0.0.1", "localhost"].contains(&name) {
        return (axum::http::StatusCode::FORBIDDEN, "this is for 127.0.0.1 alone\n").into_response();
    }
    request.extensions_mut().insert(desk.person.clone());
    let is_change = request.method() != Method::GET;
    let response = next.run(request).await;
    if is_change {
        // The world may be about to end; then nobody has to be woken.
        let _ = desk.bell.send(Bell::Asked);
    }
    response
}
