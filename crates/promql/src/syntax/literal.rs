//! Values of number, duration and string literals, read as Go's `strconv` reads them.

use crate::print::quote;

/// Milliseconds per unit, in the order in which a duration may name them.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Nanoseconds in 64 bits bound a duration, in milliseconds.
const DURATION_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// A number: decimal with optional exponent, hexadecimal, octal after a leading 0; `_` may
/// separate digits. A number beyond the range of f64 is an error.
pub fn number(text: &str) -> Result<f64, String> {
    let error = |reason| {
        Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {reason}", quote(text)))
    };
    if !separators_are_between_digits(text) {
        return error("invalid syntax");
    }
    let digits = text.replace('_', "");
    if let Some(integer) = integer(&digits) {
        return Ok(integer as f64);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_infinite() && !digits.eq_ignore_ascii_case("inf") => {
            error("value out of range")
        }
        Ok(value) => Ok(value),
        Err(_) => error("invalid syntax"),
    }
}

fn integer(digits: &str) -> Option<i64> {
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => i64::from_str_radix(&digits[2..], 16).ok(),
        [b'0', _, ..] => i64::from_str_radix(&digits[1..], 8).ok(),
        _ => digits.parse().ok(),
    }
}

fn separators_are_between_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let digit = |byte: u8| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    (0..bytes.len()).filter(|&at| bytes[at] == b'_').all(|at| {
        let before = at > 0 && (digit(bytes[at - 1]) || (hex && at == 2));
        before && bytes.get(at + 1).is_some_and(|&byte| digit(byte))
    })
}

/// A duration like `1h30m`, in seconds; each unit at most once, from large to small.
pub fn duration(text: &str) -> Result<f64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let mut units = UNITS.iter();
    let mut milliseconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let count_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (count, tail) = rest.split_at(count_end);
        let count: u64 = count.parse().map_err(|_| invalid())?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if !unit.is_empty() && UNITS.iter().all(|(name, _)| *name != unit) {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        }
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        milliseconds = count
            .checked_mul(*factor)
            .and_then(|part| milliseconds.checked_add(part))
            .filter(|&sum| sum <= DURATION_MAX)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok((milliseconds / 1000) as f64 + (milliseconds % 1000) as f64 / 1000.0)
}

/// The bytes that a quoted string stands for; its escapes have been checked by the lexer.
pub fn unquote(text: &str) -> Vec<u8> {
    let body = &text[1..text.len() - 1];
    if text.starts_with('`') || !body.contains('\\') {
        return body.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = unescape(escape, &mut bytes);
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Appends what the escape sequence stands for and returns what follows it.
fn unescape<'a>(escape: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let code = |range: std::ops::Range<usize>, radix| {
        escape.get(range).and_then(|digits| u32::from_str_radix(digits, radix).ok()).unwrap_or(0)
    };
    let unicode = |length: usize| char::from_u32(code(1..length, 16)).unwrap_or_default();
    let mut buffer = [0; 4];
    let length = match escape.as_bytes().first() {
        Some(b'0'..=b'7') => {
            bytes.push(code(0..3, 8) as u8);
            3
        }
        Some(b'x') => {
            bytes.push(code(1..3, 16) as u8);
            3
        }
        Some(b'u') => {
            bytes.extend_from_slice(unicode(5).encode_utf8(&mut buffer).as_bytes());
            5
        }
        Some(b'U') => {
            bytes.extend_from_slice(unicode(9).encode_utf8(&mut buffer).as_bytes());
            9
        }
        Some(letter) => {
            bytes.push(match letter {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0C,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0B,
                same => *same,
            });
            1
        }
        None => 0,
    };
    escape.get(length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let good = [
            ("1_000.5", 1000.5),
            ("1e1_0", 1e10),
            ("0x1_F", 31.0),
            ("0x_1F", 31.0),
            ("010", 8.0),
            ("08", 8.0),
            ("0", 0.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 0.001),
            ("iNf", f64::INFINITY),
            ("99999999999999999999", 1e20),
        ];
        for (text, value) in good {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        assert!(number("NaN").is_ok_and(f64::is_nan));
        for text in ["0x", "1e1000", "0.5.3", "0xffffffffffffffff", "1_", "1e_3"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_name_each_unit_once_from_large_to_small() {
        assert_eq!(duration("1y2w3d4h5m6s7ms"), Ok(33_019_506.007));
        assert_eq!(duration("90ms"), Ok(0.09));
        for text in ["5m5h", "5m5m", "5", "99999999999999999999s"] {
            assert_eq!(duration(text), Err(format!("not a valid duration string: \"{text}\"")));
        }
        assert_eq!(duration("293y"), Err("duration out of range".to_owned()));
        assert_eq!(duration("5hs"), Err("unknown unit \"hs\" in duration \"5hs\"".to_owned()));
    }

    #[test]
    fn escapes_stand_for_bytes_and_code_points() {
        assert_eq!(unquote(r#""a\n\x41\101\u00e4\U0001F600\"""#), "a\nAAä😀\"".as_bytes());
        assert_eq!(unquote(r"'\xff\''"), b"\xff'");
        assert_eq!(unquote(r"`\d\`"), br"\d\");
    }
}
