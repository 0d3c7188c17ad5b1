//! API Gateway's HTTP API, payload version 2.0: an event in, a response out.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use crate::principal::{Principal, Roles};
use crate::problem::Problem;

/// Answers one event of the gateway.
pub async fn answer_event(router: &Router, roles: &Roles, event: &Value) -> Value {
    let response = match request(roles, event) {
        Ok(request) => match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(problem) => problem.into_http(),
    };
    to_event(response).await
}

/// The request in an event.
fn request(roles: &Roles, event: &Value) -> Result<Request<Body>, Problem> {
    let wrong = |what: &str| Problem::new(400, &format!("not an event of an HTTP API, payload version 2.0: {what}"));
    if event.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err(wrong("`version`"));
    }
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let method = text("/requestContext/http/method").ok_or_else(|| wrong("the method"))?;
    let path = text("/rawPath").ok_or_else(|| wrong("`rawPath`"))?;
    let query = text("/rawQueryString").filter(|it| !it.is_empty()).map_or_else(String::new, |it| format!("?{it}"));
    let mut request = Request::builder().method(method).uri(format!("{}{query}", encoded(path)));
    for (name, value) in event.get("headers").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = value.as_str() {
            request = request.header(name.as_str(), value);
        }
    }
    let body = text("/body").unwrap_or_default();
    let body = match event.get("isBase64Encoded") {
        Some(Value::Bool(true)) => decode(body).ok_or_else(|| Problem::new(400, "the body is not base64"))?,
        Some(Value::Bool(false) | Value::Null) | None => body.as_bytes().to_vec(),
        Some(_) => return Err(wrong("`isBase64Encoded`")),
    };
    let mut request =
        request.body(Body::from(body)).map_err(|_| Problem::new(400, "the path or a header is not of HTTP"))?;
    if let Some(principal) = Principal::of_event(event, roles) {
        request.extensions_mut().insert(principal);
    }
    Ok(request)
}

/// The response as an event.
async fn to_event(response: Response<Body>) -> Value {
    let (parts, body) = response.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Everything here is written as text and lies in memory already.
    let body = axum::body::to_bytes(body, usize::MAX).await.map(|it| text(&it)).unwrap_or_default();
    let headers: Map<String, Value> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()).into())).collect();
    json!({ "statusCode": parts.status.as_u16(), "headers": headers, "body": body, "isBase64Encoded": false })
}

/// The gateway decodes the path: what may not stand in a URI is encoded again.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Decodes base64 with padding, as the gateway writes it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |it: u8| match it {
        b'A'..=b'Z' => Some(it - b'A'),
        b'a'..=b'z' => Some(it - b'a' + 26),
        b'0'..=b'9' => Some(it - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    for (index, chunk) in bytes.chunks(4).enumerate() {
        let is_last = index + 1 == bytes.len() / 4;
        let padding = chunk.iter().rev().take_while(|it| **it == b'=').count();
        if 2 < padding || (0 < padding && !is_last) {
            return None;
        }
        let mut value = 0_u32;
        for byte in &chunk[..4 - padding] {
            value = value << 6 | u32::from(digit(*byte)?);
        }
        value <<= 6 * padding;
        decoded.extend_from_slice(&value.to_be_bytes()[1..4 - padding]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_or_refused() {
        for (text, expected) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")] {
            assert_eq!(decode(text).as_deref(), Some(expected.as_bytes()));
        }
        for wrong in ["Zg", "Z===", "Zg==Zg==", "Z*==", "===="] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn paths_stay_paths() {
        assert_eq!(encoded("/v1/models/a b/ä?x"), "/v1/models/a%20b/%C3%A4%3Fx");
        assert_eq!(encoded("/v1/a%2Fb"), "/v1/a%2Fb");
    }
}
