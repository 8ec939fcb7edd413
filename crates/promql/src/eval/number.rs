//! Numbers as text and as integers, the way Go does it: annotations, label values and dates show it.

/// The shortest text that reads back as `value`, without an exponent; also the form of label values.
pub(crate) fn decimal(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        format!("{value}")
    }
}

/// The shortest text that reads back as `value`, with an exponent if that is below -4 or above 5.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() {
        return decimal(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = split(&text);
    if (-4..6).contains(&exponent) { decimal(value) } else { scientific(mantissa, exponent) }
}

/// `value` rounded to so many significant digits, with an exponent where it has more digits before
/// the point than that, or is below 1e-4.
pub(crate) fn general_rounded(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return decimal(value);
    }
    let text = format!("{value:.*e}", digits.max(1) - 1);
    let (mantissa, exponent) = split(&text);
    if (-4..digits as i32).contains(&exponent) {
        let rounded: f64 = text.parse().unwrap_or(value);
        decimal(rounded)
    } else {
        let trimmed = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        scientific(trimmed, exponent)
    }
}

fn split(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

fn scientific(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// A float as OpenMetrics writes label values: whole numbers keep their `.0`.
pub(crate) fn open_metrics(value: f64) -> String {
    let text = general(value);
    let plain = value.is_finite() && !text.contains(['.', 'e']);
    if plain { text + ".0" } else { text }
}

/// A float cut to a 64-bit integer; what does not fit becomes the smallest one, as on amd64.
pub(crate) fn to_integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// Text between double quotes with escapes where Go's `%q` has them.
pub(crate) fn quoted(text: &str) -> String {
    quoted_bytes(text.as_bytes())
}

/// The same for text that need not be UTF-8.
pub(crate) fn quoted_bytes(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{b}' => out.push_str("\\v"),
        '\u{c}' => out.push_str("\\f"),
        c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_go() {
        assert_eq!(general(0.1), "0.1");
        assert_eq!(general(123456.5), "123456.5");
        assert_eq!(general(1e6), "1e+06");
        assert_eq!(general(1e-5), "1e-05");
        assert_eq!(decimal(1e21), "1000000000000000000000");
        assert_eq!(general_rounded(123.0, 2), "1.2e+02");
        assert_eq!(general_rounded(0.00011, 2), "0.00011");
        assert_eq!(open_metrics(1.0), "1.0");
        assert_eq!(open_metrics(0.99), "0.99");
    }

    #[test]
    fn what_does_not_fit_becomes_the_smallest_integer() {
        assert_eq!(to_integer(-1.9), -1);
        for value in [f64::NAN, f64::INFINITY, 9.3e18, -9.3e18] {
            assert_eq!(to_integer(value), i64::MIN);
        }
    }

    #[test]
    fn quotes_escape_what_cannot_be_seen() {
        assert_eq!(quoted("a\"\\\n\u{1}é"), r#""a\"\\\n\x01é""#);
        assert_eq!(quoted_bytes(b"a\xc5z"), r#""a\xc5z""#);
    }
}
