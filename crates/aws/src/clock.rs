//! Time: the machine's, or an emulated cloud's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use refit_app::ports::Clock;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Why a virtual clock cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The address is not `http://host:port/path` on this machine.
    #[error("`{0}` is not the address of a clock: use http://127.0.0.1:<port>/<path>")]
    Address(String),
    /// The clock does not answer.
    #[error("the clock at {0} does not answer")]
    Silent(SocketAddr, #[source] std::io::Error),
    /// The answer is no time.
    #[error("the clock at {0} answered `{1}`, which is no time as RFC 3339 writes it")]
    Answer(SocketAddr, String),
}

/// A clock that all processes of an emulated cloud share: `GET` of its address answers with the time.
///
/// Every reading asks, so that no process is behind; a tool for one machine, which waits some microseconds for it.
#[derive(Debug)]
pub struct UrlClock {
    address: SocketAddr,
    path: String,
    last: Mutex<Timestamp>,
}

const WAIT: Duration = Duration::from_secs(2);
/// Far more than a time and the headers before it.
const MAX_ANSWER: u64 = 4096;

impl UrlClock {
    /// The clock at `url`, which has to be on this machine.
    ///
    /// # Errors
    /// See [`ClockError`].
    pub fn open(url: &str) -> Result<UrlClock, ClockError> {
        let wrong = || ClockError::Address(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let address =
            host.to_socket_addrs().map_err(|_| wrong())?.find(|it| it.ip().is_loopback()).ok_or_else(wrong)?;
        let path = path.to_owned();
        let last = Mutex::new(read(address, &path)?);
        Ok(UrlClock { address, path, last })
    }
}

fn read(address: SocketAddr, path: &str) -> Result<Timestamp, ClockError> {
    let silent = |error| ClockError::Silent(address, error);
    let mut stream = TcpStream::connect_timeout(&address, WAIT).map_err(silent)?;
    stream.set_read_timeout(Some(WAIT)).map_err(silent)?;
    stream.set_write_timeout(Some(WAIT)).map_err(silent)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(silent)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).map_err(silent)?;
    // The time is the body's only line; chunks, if any, put their sizes on lines of their own.
    let body = answer.split_once("\r\n\r\n").map_or("", |it| it.1);
    let time = body.lines().find_map(|it| it.trim().trim_matches('"').parse().ok());
    time.ok_or_else(|| ClockError::Answer(address, body.chars().take(80).collect()))
}

impl Clock for UrlClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(self.address, &self.path) {
            Ok(now) => *last = now,
            Err(error) => tracing::warn!("the clock stands still: {}", refit_app::chain(&error)),
        }
        *last
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_time_is_asked_for_each_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/now", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            for body in ["2026-01-05T00:00:00Z", "\"2026-01-06T00:00:00Z\"", "noon"] {
                let (mut stream, _) = listener.accept().expect("a caller");
                let mut request = [0; 512];
                let length = stream.read(&mut request).expect("a request");
                assert!(request[..length].starts_with(b"GET /now HTTP/1.1\r\n"));
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("answered");
            }
        });
        let clock = UrlClock::open(&url).expect("a clock");
        assert_eq!(clock.now().to_string(), "2026-01-06T00:00:00Z");
        assert_eq!(clock.now().to_string(), "2026-01-06T00:00:00Z", "an answer that is no time changes nothing");
        server.join().expect("served");
    }

    #[test]
    fn other_machines_have_no_clock() {
        for url in ["https://127.0.0.1/", "http://", "http://192.0.2.1:80/now", "file:///etc/passwd"] {
            assert!(matches!(UrlClock::open(url), Err(ClockError::Address(_))), "{url}");
        }
    }
}
