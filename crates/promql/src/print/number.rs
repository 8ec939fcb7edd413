//! Numbers and durations as Go and Prometheus write them.

/// With this many decimals, like Go's `%.3f`.
pub fn fixed(value: f64, decimals: usize) -> String {
    special(value).unwrap_or_else(|| format!("{value:.decimals$}"))
}

/// The shortest decimal that reads back as the same number, never with an exponent.
pub fn plain(value: f64) -> String {
    special(value).unwrap_or_else(|| format!("{value}"))
}

/// As Go's `%v`: with an exponent below 1e-4 and from 1e6.
pub fn general(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() || magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return plain(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn special(value: f64) -> Option<String> {
    let text = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Milliseconds as a duration: `1h30m`; years and weeks only if nothing remains.
pub fn duration(milliseconds: i64) -> String {
    const UNITS: [(&str, u64, bool); 7] = [
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1000, false),
        ("ms", 1, false),
    ];
    let mut rest = milliseconds.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::from(if milliseconds < 0 { "-" } else { "" });
    for (unit, length, exact) in UNITS {
        let count = rest / length;
        if count > 0 && (!exact || rest.is_multiple_of(length)) {
            text.push_str(&format!("{count}{unit}"));
            rest %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        assert_eq!(plain(1e21), "1000000000000000000000");
        assert_eq!(plain(-0.0), "-0");
        assert_eq!(plain(f64::INFINITY), "+Inf");
        assert_eq!(fixed(1.5, 3), "1.500");
        assert_eq!(general(1e-7), "1e-07");
        assert_eq!(general(1.5e21), "1.5e+21");
        assert_eq!(general(1_234_567.0), "1.234567e+06");
        assert_eq!(general(123_456.5), "123456.5");
    }

    #[test]
    fn durations_use_years_and_weeks_only_when_exact() {
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(5_400_000), "1h30m");
        assert_eq!(duration(14 * 86_400_000), "2w");
        assert_eq!(duration(8 * 86_400_000), "8d");
        assert_eq!(duration(-1), "-1ms");
    }
}
