//! Numbers from text, exactly or not at all.
//!
//! The rules, for CSV cells and other untyped text:
//! - ASCII white space around a number is ignored;
//! - decimal notation with an optional sign, point and exponent (`-1`, `.5`, `1e3`) is a number;
//! - `nan`, `inf` and `infinity` in any case, the last two with an optional sign, are non-finite values. They are kept, so that they are counted;
//! - a number too large for 64 bits (`1e999`) is refused, not turned into infinity;
//! - an integer beyond 2^53 is taken where it is exact and refused where it would be rounded;
//! - anything else is refused: `0x10`, `1_000`, `1,5`, `NA`, `true`.

/// Why text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotNumber {
    /// The text is something else, or out of range.
    Other,
    /// The text is an integer that 64-bit floating point cannot hold.
    Inexact,
}

/// The number that `text` spells.
pub(crate) fn parse_number(text: &str) -> Result<f64, NotNumber> {
    let text = text.trim_matches(|it: char| it.is_ascii_whitespace());
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() {
        return Err(NotNumber::Other);
    }
    if let Some(value) = parse_non_finite(text) {
        return Ok(value);
    }
    if digits.bytes().all(|it| it.is_ascii_digit()) {
        return match text.parse::<i128>() {
            Ok(value) => exact(value).ok_or(NotNumber::Inexact),
            Err(_) => Err(NotNumber::Inexact),
        };
    }
    if !digits.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return Err(NotNumber::Other);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) | Err(_) => Err(NotNumber::Other),
    }
}

/// The non-finite value that `text` names.
pub(crate) fn parse_non_finite(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let (sign, word) = match text.strip_prefix('-') {
        Some(word) => (-1.0, word),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    (word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity")).then_some(sign * f64::INFINITY)
}

/// `value` as floating point, `None` where that would round.
pub(crate) fn exact(value: i128) -> Option<f64> {
    let float = value as f64;
    // `as` saturates at the ends of i128, where the way back would hide the rounding.
    (value.unsigned_abs() <= 1 << 100 && float as i128 == value).then_some(float)
}

/// `value` as text that [`parse_number`] reads back to the same bits (a NaN to some NaN).
pub(crate) fn format_number(value: f64) -> String {
    // Shortest digits padded with zeros are another integer than the float; an exponent says that it is a float.
    const INTEGERS_END: f64 = 9_007_199_254_740_992.0;
    if value.is_finite() && INTEGERS_END < value.abs() { format!("{value:e}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<f64, NotNumber>) {
        let found = parse_number(text);
        let is_same = match (found, expected) {
            (Ok(a), Ok(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        };
        assert!(is_same, "{text:?}: {found:?} where {expected:?} was expected");
    }

    #[test]
    fn text_is_a_number_by_the_stated_rules() {
        let rounded = Err(NotNumber::Inexact);
        let other = Err(NotNumber::Other);
        for (text, expected) in [
            ("1", Ok(1.0)),
            (" 1 ", Ok(1.0)),
            ("\t-0.5", Ok(-0.5)),
            ("-0", Ok(0.0)),
            ("-0.0", Ok(-0.0)),
            (".5", Ok(0.5)),
            ("1e3", Ok(1000.0)),
            ("1E-400", Ok(0.0)),
            ("NaN", Ok(f64::NAN)),
            ("nan", Ok(f64::NAN)),
            ("inf", Ok(f64::INFINITY)),
            ("-Infinity", Ok(f64::NEG_INFINITY)),
            ("9007199254740992", Ok(9_007_199_254_740_992.0)),
            ("9007199254740993", rounded),
            ("9007199254740994", Ok(9_007_199_254_740_994.0)),
            ("18446744073709551616", Ok(18_446_744_073_709_551_616.0)),
            ("99999999999999999999999999999999999999999999", rounded),
            ("1e999", other),
            ("0x10", other),
            ("1_000", other),
            ("1,5", other),
            ("NA", other),
            ("", other),
            ("-", other),
            ("e", other),
            ("true", other),
            ("\u{a0}1", other),
        ] {
            check(text, expected);
        }
    }
}
