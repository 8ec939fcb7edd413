//! Time parameters: Unix seconds with decimals, or RFC 3339.

use jiff::Timestamp;
use jiff::civil::DateTime;
use metricstor_model::parse_float;

/// Times are kept inside ±2⁵³ ms, so that sums of a time and a duration cannot overflow.
const TIME_MAX: i64 = 1 << 53;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Milliseconds since the Unix epoch, rounded as Prometheus rounds; `None` when `text` is no time.
pub fn parse_time(text: &str) -> Option<i64> {
    if let Some(seconds) = parse_float(text) {
        return seconds.is_finite().then(|| from_seconds(seconds));
    }
    match text {
        // What Prometheus' clients send for "from the beginning" and "to the end".
        "-292273086-05-16T16:47:06Z" => Some(-TIME_MAX),
        "292277025-08-18T07:12:54.999999999Z" => Some(TIME_MAX),
        _ => from_rfc3339(text),
    }
}

fn from_seconds(seconds: f64) -> i64 {
    let fraction = (seconds.fract() * 1000.0).round() as i64;
    (seconds.trunc() as i64)
        .saturating_mul(1000)
        .saturating_add(fraction)
        .clamp(-TIME_MAX, TIME_MAX)
}

/// `2006-01-02T15:04:05[.999]Z` or with an offset `±hh:mm`; decimals beyond milliseconds are cut. Like
/// Go's, it takes a comma for the point, and an hour of one digit.
fn from_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if let (Some(b'0'..=b'9'), Some(b':')) = (bytes.get(11), bytes.get(12)) {
        let (date, time) = text.split_at_checked(11)?;
        return from_rfc3339(&format!("{date}0{time}"));
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(at, byte)| bytes.get(*at) != Some(byte)) {
        return None;
    }
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let (year, month, day) = (i16::try_from(number(0, 4)?).ok()?, small(5)?, small(8)?);
    let civil = DateTime::new(year, month, day, small(11)?, small(14)?, small(17)?, 0).ok()?;
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let three = format!("{:0<3}", &fraction[..digits.min(3)]);
        ms = three.parse().ok()?;
        rest = &fraction[digits..];
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 5;
            let (hours, minutes) = (number(at, at + 2)?, number(at + 3, at + 5)?);
            // So Go bounds them.
            if hours > 24 || minutes > 60 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let local = civil.duration_since(EPOCH).as_secs() * 1000 + ms;
    Some(local - offset_minutes * 60_000)
}

/// `2006-01-02T15:04:05.999Z`
pub fn format_time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_to_milliseconds() {
        assert_eq!(parse_time("1735693200"), Some(1_735_693_200_000));
        assert_eq!(parse_time("1735693200.1234"), Some(1_735_693_200_123));
        assert_eq!(parse_time("-1.5"), Some(-1_500));
        assert_eq!(parse_time("1e3"), Some(1_000_000));
        assert_eq!(parse_time("1_000.5"), Some(1_000_500));
        assert_eq!(parse_time("0x1p4"), Some(16_000));
        assert_eq!(parse_time("9223372036854775807"), Some(TIME_MAX));
        assert_eq!(parse_time("-1e300"), Some(-TIME_MAX));
    }

    #[test]
    fn rfc3339_is_read_with_offsets_and_decimals() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-01-01T01:00:00Z", 1_735_693_200_000),
            ("2025-01-01T01:00:00.123456789Z", 1_735_693_200_123),
            ("2025-01-01T01:00:00.5+01:30", 1_735_687_800_500),
            ("2025-01-01T01:00:00,25Z", 1_735_693_200_250),
            ("2025-01-01T1:00:00Z", 1_735_693_200_000),
            ("2024-02-29T00:00:00-00:01", 1_709_164_860_000),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000),
            ("1969-12-31T23:59:59Z", -1_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
            ("2025-01-01T01:00:00+23:60", 1_735_606_800_000),
            ("2025-01-01T01:00:00+24:60", 1_735_603_200_000),
            ("2025-01-01T01:00:00-00:60", 1_735_696_800_000),
        ] {
            assert_eq!(parse_time(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "abc",
            "NaN",
            "inf",
            "-Inf",
            "1e400",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T01:00:00",
            "2025-01-01T01:00:00.Z",
            "2025-01-01T01:00:00,Z",
            "2025-01-01T1:0:00Z",
            "2025-01-01T:00:00Z",
            "2025-01-01T::00:00Z",
            "2025-01-01",
            "2025-01-01T01:00:00+0100",
            "2025-01-01T01:00:00+1:00",
            "2025-01-01T01:00:00+00:61",
            "2025-01-01T01:00:00-25:00",
            "2025-01-01 01:00:00Z",
            "+025-01-01T01:00:00Z",
            "2025-01-01T01:00:00é",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
