//! Posts events to a hook: plain HTTP on this machine's network, as an emulator's bus takes them.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

/// How long a hook may take to answer; what it starts should not wait for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The address of a hook, `http://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookUrl {
    authority: String,
    path: String,
}

/// A text that is no address of a hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a hook; write it like `http://127.0.0.1:4666/events`")]
pub struct HookUrlError(String);

impl FromStr for HookUrl {
    type Err = HookUrlError;

    fn from_str(text: &str) -> Result<HookUrl, HookUrlError> {
        let wrong = || HookUrlError(text.to_owned());
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let is_plain = text.bytes().all(|it| it.is_ascii_graphic()) && !authority.contains('@');
        if authority.is_empty() || !is_plain {
            return Err(wrong());
        }
        Ok(HookUrl { authority: authority.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

impl HookUrl {
    /// Posts a JSON document.
    ///
    /// # Errors
    /// Why it was not taken: any status but 2xx, or what the network says.
    pub(super) fn post(&self, body: &str) -> Result<(), String> {
        let status = self.send(body).map_err(|error| format!("`{self}` could not be reached: {error}"))?;
        match status.split_ascii_whitespace().nth(1) {
            Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
            Some(_) | None => Err(format!("`{self}` answered `{}`", status.trim())),
        }
    }

    fn send(&self, body: &str) -> std::io::Result<String> {
        let with_port = if self.authority.contains(':') { &self.authority } else { &format!("{}:80", self.authority) };
        let address = with_port.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| std::io::Error::other("the host has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.path,
            self.authority,
            body.len(),
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut status = String::new();
        BufReader::new(std::io::Read::take(stream, 8192)).read_line(&mut status)?;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for text in ["http://127.0.0.1:4666/events", "http://localhost/"] {
            assert_eq!(text.parse::<HookUrl>().expect("an address").to_string(), text);
        }
        for text in ["https://a/", "http:///x", "a", "http://u@h/", "http://h/a b", "http://h/\r\nX: y"] {
            text.parse::<HookUrl>().expect_err(text);
        }
    }
}
