//! Durations: `1h30m` as Prometheus writes them, or seconds with decimals.

use metricstor_model::parse_float;

/// In a millisecond.
pub(crate) const NANOSECONDS: i64 = 1_000_000;

/// Milliseconds of `1y2w3d4h5m6s7ms` (each unit at most once, in this order) or `0`; `None` for
/// anything else and for more than 2⁶³ ns.
pub fn parse_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut rest, mut smaller) = (0i64, text, UNITS.len());
    while !rest.is_empty() || smaller == UNITS.len() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = UNITS[..smaller].iter().position(|(name, _)| {
            rest.strip_prefix(name)
                .is_some_and(|r| r.is_empty() || r.as_bytes()[0].is_ascii_digit())
        })?;
        let (name, ms) = UNITS[unit];
        total = total.checked_add(number.checked_mul(ms)?)?;
        rest = &rest[name.len()..];
        smaller = unit;
    }
    (total <= i64::MAX / NANOSECONDS).then_some(total)
}

/// A duration parameter of the API in milliseconds, cut as a division of integers cuts them; the error
/// is Prometheus' text.
pub(crate) fn parse_duration_parameter(text: &str) -> Result<i64, String> {
    Ok(parse_nanoseconds(text)? / NANOSECONDS)
}

/// The same in nanoseconds.
pub(crate) fn parse_nanoseconds(text: &str) -> Result<i64, String> {
    let Some(seconds) = parse_float(text) else {
        return parse_duration(text)
            .map(|ms| ms * NANOSECONDS)
            .ok_or_else(|| format!("cannot parse {text:?} to a valid duration"));
    };
    if seconds.is_nan() {
        // What Go makes of it; every caller refuses so long a way back.
        return Ok(i64::MIN);
    }
    if (seconds * 1e9).abs() > i64::MAX as f64 || !seconds.is_finite() {
        return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    Ok((seconds * 1e9) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_come_once_and_in_order() {
        for (text, ms) in [
            ("0", 0),
            ("15d", 1_296_000_000),
            ("100y", 3_153_600_000_000),
            ("1h30m", 5_400_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("5ms", 5),
            ("292y", 9_208_512_000_000),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "1m1h",
            "1m1m",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "300y",
            "99999999999999999999s",
            "1ms2é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn parameters_are_seconds_or_durations() {
        assert_eq!(parse_duration_parameter("5.5"), Ok(5_500));
        assert_eq!(parse_duration_parameter("-1"), Ok(-1_000));
        assert_eq!(parse_duration_parameter("0.0001"), Ok(0));
        assert_eq!(parse_duration_parameter("1m"), Ok(60_000));
        assert_eq!(parse_duration_parameter("1_5"), Ok(15_000));
        assert_eq!(parse_duration_parameter("0x1p1"), Ok(2_000));
        assert!(parse_duration_parameter("1e300").unwrap_err().ends_with("It overflows int64"));
        assert!(parse_duration_parameter("NaN").unwrap() < 0);
        for text in ["-1s", "1e400", "+NaN"] {
            let error = format!("cannot parse {text:?} to a valid duration");
            assert_eq!(parse_duration_parameter(text), Err(error));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse_duration(&text);
            let _ = parse_duration_parameter(&text);
            let _ = super::super::parse_time(&text);
        }

        #[test]
        fn digits_and_units_never_panic(text in "[0-9ymdhsw.]{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
