//! Standard base64 (RFC 4648, section 4) to bytes; padding may be absent, white space and anything else is refused.

/// The bytes that `text` encodes, `None` where it is not base64.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    // More than two signs of padding, or a lone last digit, encode nothing.
    if 2 < text.len() - digits.len() || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let mut bits = 0_u32;
    let mut n_bits = 0;
    for digit in digits.bytes() {
        bits = bits << 6 | u32::from(value_of(digit)?);
        n_bits += 6;
        if 8 <= n_bits {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
            bits &= (1 << n_bits) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_rfc_decode() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg==", Some("foob")),
            ("Zm9vYg", Some("foob")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zh==", None),
            ("Z", None),
            ("Zg===", None),
            ("Zm 8", None),
            ("Zm-_", None),
        ] {
            assert_eq!(decode_base64(text), expected.map(|it| it.as_bytes().to_vec()), "{text:?}");
        }
    }
}
