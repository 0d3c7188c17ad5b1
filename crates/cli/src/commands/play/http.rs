//! One request to a server on this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Longer than any function may run.
const PATIENCE: Duration = Duration::from_secs(310);

/// Sends a request and answers with the body; any status but 2xx is an error.
pub(super) fn send(method: &str, url: &str, body: &str) -> anyhow::Result<String> {
    let (status, answer) = exchange(method, url, body).with_context(|| format!("{method} {url}"))?;
    if !(200..300).contains(&status) {
        bail!("{method} {url} was answered {status}: {}", answer.trim());
    }
    Ok(answer)
}

fn exchange(method: &str, url: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("only plain HTTP on this machine")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> anyhow::Result<(u16, String)> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").context("the answer has no end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status =
        head.split_ascii_whitespace().nth(1).and_then(|it| it.parse().ok()).context("the answer has no status")?;
    let body = &answer[end + 4..];
    let is_chunked = head.lines().any(|it| it.starts_with("transfer-encoding:") && it.contains("chunked"));
    let body = if is_chunked { join_chunks(body)? } else { body.to_vec() };
    Ok((status, String::from_utf8(body)?))
}

fn join_chunks(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut joined = Vec::new();
    loop {
        let end = body.windows(2).position(|it| it == b"\r\n").context("a chunk has no size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end])?.trim(), 16)?;
        let chunk = body.get(end + 2..end + 2 + size).context("a chunk is cut off")?;
        if size == 0 {
            return Ok(joined);
        }
        joined.extend_from_slice(chunk);
        body = body.get(end + 4 + size..).context("a chunk is cut off")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_in_chunks() {
        let whole = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").expect("an answer");
        assert_eq!(whole, (200, "{}".to_owned()));
        let chunked = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).expect("an answer"), (404, "abcde".to_owned()));
        parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc").expect_err("cut off");
        parse(b"HTTP/1.1 200 OK").expect_err("no end");
    }
}
