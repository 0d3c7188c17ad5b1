//! Stands between the SDK and a server, and does to requests and answers what networks and services do.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends before the request arrives.
    Reset,
    /// The request has its effect, its answer is lost.
    DropReply,
    /// The service says that it broke, before it did anything.
    Broken,
    /// The service says that it broke, after it did what was asked.
    BrokenAfter,
    /// The service asks to slow down.
    Throttled,
    /// The answer begins and does not go on.
    SlowBody,
    /// Another transaction is under way on an item.
    TransactionConflict,
    /// The same transaction is under way.
    TransactionInProgress,
    /// The caller may not do this.
    Denied,
}

impl Fault {
    /// Whether the request reaches the server.
    fn is_forwarded(self) -> bool {
        match self {
            Fault::DropReply | Fault::BrokenAfter | Fault::SlowBody => true,
            Fault::Reset
            | Fault::Broken
            | Fault::Throttled
            | Fault::TransactionConflict
            | Fault::TransactionInProgress
            | Fault::Denied => false,
        }
    }
}

/// Decides what goes wrong: the operation's name and the number of the request, from 0.
pub(crate) type Plan = Box<dyn FnMut(&str, u32) -> Option<Fault> + Send>;

/// A proxy in front of a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    requests: Arc<AtomicU32>,
}

impl Proxy {
    /// A proxy that lets everything pass.
    pub(crate) fn start(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let plan: Arc<Mutex<Plan>> = Arc::new(Mutex::new(Box::new(|_, _| None)));
        let requests = Arc::new(AtomicU32::new(0));
        let (shared, counter) = (Arc::clone(&plan), Arc::clone(&requests));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (plan, requests) = (Arc::clone(&shared), Arc::clone(&counter));
                // A client that is gone ends its own thread only.
                std::thread::spawn(move || serve(client, server, &plan, &requests));
            }
        });
        Proxy { address, plan, requests }
    }

    /// From now on this goes wrong; requests are counted from 0 again.
    pub(crate) fn plan(&self, plan: impl FnMut(&str, u32) -> Option<Fault> + Send + 'static) {
        let mut current = self.plan.lock().expect("no plan panics");
        *current = Box::new(plan);
        self.requests.store(0, Ordering::SeqCst);
    }

    /// How many requests there were since the plan was made.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A request or an answer: everything up to the body, and the body.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Reads one message; an answer without a length goes on to the end.
    fn read(stream: &mut TcpStream, has_body: impl Fn(&Message) -> bool) -> std::io::Result<Message> {
        let mut bytes = Vec::new();
        let mut part = [0; 16 * 1024];
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            let length = stream.read(&mut part)?;
            if length == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&part[..length]);
        };
        let body = bytes.split_off(end);
        let mut message = Message { head: String::from_utf8_lossy(&bytes).into_owned(), body };
        if !has_body(&message) {
            return Ok(message);
        }
        let length = message.header("content-length").and_then(|it| it.parse::<usize>().ok());
        let is_chunked = message.header("transfer-encoding").is_some_and(|it| it.contains("chunked"));
        loop {
            let is_whole = match length {
                Some(length) => length <= message.body.len(),
                None => is_chunked && message.body.ends_with(b"0\r\n\r\n"),
            };
            if is_whole {
                return Ok(message);
            }
            let read = stream.read(&mut part)?;
            if read == 0 {
                return Ok(message);
            }
            message.body.extend_from_slice(&part[..read]);
        }
    }

    /// The name of the operation: `TransactWriteItems`, `Publish`, `PUT`.
    fn operation(&self) -> String {
        if let Some(target) = self.header("x-amz-target") {
            return target.rsplit('.').next().unwrap_or_default().to_owned();
        }
        let body = String::from_utf8_lossy(&self.body);
        match body.split('&').find_map(|it| it.strip_prefix("Action=")) {
            Some(action) => action.to_owned(),
            None => self.head.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

fn serve(mut client: TcpStream, server: SocketAddr, plan: &Mutex<Plan>, requests: &AtomicU32) {
    // The SDK keeps its connections.
    while let Ok(request) = Message::read(&mut client, |it| it.header("content-length").is_some() || is_chunked(it)) {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        let fault = plan.lock().expect("no plan panics")(&request.operation(), number);
        let answer = match fault {
            Some(fault) if !fault.is_forwarded() => made_up(fault, &request),
            Some(_) | None => forward(&request, server),
        };
        let Some(answer) = answer else { break };
        let is_sent = match fault {
            Some(Fault::DropReply) => break,
            Some(Fault::BrokenAfter) => {
                made_up(Fault::Broken, &request).is_some_and(|it| client.write_all(&it).is_ok())
            }
            Some(Fault::SlowBody) => {
                // All but the last byte; then nothing until the client gives up.
                let _ = client.write_all(&answer[..answer.len() - 1]);
                let _ = client.set_read_timeout(Some(Duration::from_secs(30)));
                let _ = client.read(&mut [0; 1]);
                break;
            }
            Some(_) | None => client.write_all(&answer).is_ok(),
        };
        if !is_sent || answer.windows(17).any(|it| it.eq_ignore_ascii_case(b"connection: close")) {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn is_chunked(message: &Message) -> bool {
    message.header("transfer-encoding").is_some()
}

/// Sends a request to the server and reads the whole answer.
fn forward(request: &Message, server: SocketAddr) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(server).ok()?;
    let (line, headers) = request.head.split_once("\r\n")?;
    upstream.write_all(format!("{line}\r\nConnection: close\r\n{headers}").as_bytes()).ok()?;
    upstream.write_all(&request.body).ok()?;
    let is_head = line.starts_with("HEAD ");
    let answer = Message::read(&mut upstream, |_| !is_head).ok()?;
    let mut bytes = answer.head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    Some(bytes)
}

/// An answer that the server did not give, in the words of the service's protocol.
fn made_up(fault: Fault, request: &Message) -> Option<Vec<u8>> {
    let is_json = request.header("x-amz-target").is_some();
    let (json, xml, status) = match fault {
        Fault::Reset | Fault::DropReply | Fault::BrokenAfter | Fault::SlowBody => return None,
        Fault::Broken => ("InternalServerError", "InternalError", 500),
        Fault::Throttled => ("ThrottlingException", "SlowDown", if is_json { 400 } else { 503 }),
        Fault::TransactionConflict => ("TransactionCanceledException", "", 400),
        Fault::TransactionInProgress => ("TransactionInProgressException", "", 400),
        Fault::Denied => ("AccessDeniedException", "AccessDenied", if is_json { 400 } else { 403 }),
    };
    let body = if fault == Fault::TransactionConflict {
        format!(
            r#"{{"__type":"{json}","Message":"canceled","CancellationReasons":[{{"Code":"TransactionConflict"}}]}}"#
        )
    } else if is_json {
        format!(r#"{{"__type":"com.amazon.coral.service#{json}","message":"injected"}}"#)
    } else if request.body.starts_with(b"Action=") {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{xml}</Code><Message>injected</Message></Error></ErrorResponse>"
        )
    } else {
        format!("<?xml version=\"1.0\"?><Error><Code>{xml}</Code><Message>injected</Message></Error>")
    };
    // HEAD is answered without a body, whatever its length would be.
    let sent = if request.head.starts_with("HEAD ") { "" } else { body.as_str() };
    let length = sent.len();
    Some(
        format!("HTTP/1.1 {status} Injected\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{sent}")
            .into_bytes(),
    )
}
