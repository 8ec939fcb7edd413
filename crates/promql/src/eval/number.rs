//! Numbers as text and as integers, the way Go does it: annotations, label values and dates show it.

/// The shortest text that reads back as `value`, without an exponent; also the form of label values.
pub(crate) fn decimal(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        let text = format!("{value}");
        settle_tie(text, value)
    }
}

/// Of two shortest texts that are equally far from `value`, the one with an even last digit.
fn settle_tie(mut text: String, value: f64) -> String {
    // Only a number of a few binary places more than it has digits lies in the middle.
    const DIGITS_MIN: usize = 15;
    // Enough digits more to tell the middle from what is next to it.
    const MORE: usize = 30;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let last = text.bytes().next_back().unwrap_or(b'0');
    let Some((_, fraction)) = text.split_once('.') else { return text };
    if digits < DIGITS_MIN || last.is_multiple_of(2) {
        return text;
    }
    let places = fraction.len();
    let exact = format!("{value:.0$}", places + MORE);
    let (cut, rest) = exact.split_at(exact.len() - MORE);
    let middle = rest.starts_with('5') && rest[1..].bytes().all(|digit| digit == b'0');
    if middle && cut.bytes().next_back().is_some_and(|digit| digit.is_multiple_of(2)) {
        text.clear();
        text.push_str(cut);
    }
    text
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
        assert_eq!(decimal(-1.1879348754882812), "-1.1879348754882812");
        assert_eq!(decimal(9_249_649_047.851_563), "9249649047.851562");
        assert_eq!(decimal(0.1 + 0.2), "0.30000000000000004");
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
}
