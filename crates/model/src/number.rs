//! Numbers as texts, as Go reads them.

/// The number that Go's `strconv.ParseFloat` finds in a text: decimal, or hexadecimal with an exponent
/// of two; `_` may separate digits; `Inf`, `infinity` and `NaN` in any case, NaN without a sign. `None`
/// for what is none, and for what no float is large enough for.
pub fn parse_float(text: &str) -> Option<f64> {
    let digits = without_sign(text);
    if let Ok(value) = text.parse::<f64>() {
        let is_named = digits.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_signed = digits.len() < text.len();
        let is_allowed = !value.is_nan() || !is_signed;
        return Some(value).filter(|value| is_allowed && (value.is_finite() || is_named));
    }
    if !separators_are_between_digits(digits) {
        return None;
    }
    let plain = text.replace('_', "");
    let value = if is_hexadecimal(digits) { parse_hexadecimal(&plain) } else { plain.parse().ok() };
    value.filter(|value| value.is_finite())
}

fn without_sign(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_hexadecimal(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'0', b'x' | b'X', ..])
}

/// Each `_` between two digits, or after the base.
fn separators_are_between_digits(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    let hexadecimal = is_hexadecimal(digits);
    let is_digit = |byte: u8| byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit();
    (0..bytes.len()).filter(|&at| bytes[at] == b'_').all(|at| {
        let before = at > 0 && (is_digit(bytes[at - 1]) || hexadecimal && at == 2);
        before && bytes.get(at + 1).is_some_and(|&byte| is_digit(byte))
    })
}

/// `0x` digits, perhaps with a point, and `p` with the exponent of two.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = digits[2..].split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let power = without_sign(exponent);
    if power.is_empty() || !power.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Far beyond what floats have, and so is what does not fit.
    let far = 1 << 40;
    let power = power.parse::<i64>().map_or(far, |power| power.min(far));
    let exponent = if exponent.starts_with('-') { -power } else { power };
    let exponent = exponent - 4 * fraction.len() as i64;
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Some(sign * 0.0);
    }
    // What does not fit in 128 bits is too little to matter, but for whether there is something.
    let kept = significant.len().min(30);
    let (kept, rest) = significant.split_at(kept);
    let sticky = u128::from(rest.bytes().any(|byte| byte != b'0'));
    let bits = u128::from_str_radix(kept, 16).ok()? << 4 | sticky;
    Some(sign * scaled(bits, exponent + 4 * rest.len() as i64 - 4))
}

/// `bits`·2^`exponent`, rounded to the nearest float, of two the even one.
fn scaled(bits: u128, exponent: i64) -> f64 {
    let length = 128 - i64::from(bits.leading_zeros());
    // The place of the last bit that a float of this size has.
    let last = (length + exponent - 53).max(-1074);
    if length + exponent > 1025 {
        return f64::INFINITY;
    }
    let cut = last - exponent;
    let rounded = if cut <= 0 {
        // At most 53 bits long.
        bits << (-cut).min(127)
    } else if cut > 127 {
        0
    } else {
        let (kept, half) = (bits >> cut, 1u128 << (cut - 1));
        let rest = bits & ((1u128 << cut) - 1);
        kept + u128::from(rest > half || rest == half && kept & 1 == 1)
    };
    // Both steps are exact, where neither leaves the range of floats.
    let halfway = (last / 2) as i32;
    rounded as f64 * 2f64.powi(halfway) * 2f64.powi(last as i32 - halfway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0", 0.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-1e3", -1000.0),
            ("+1E-2", 0.01),
            ("1_000.2_5e1_0", 1000.25e10),
            ("0x1p30", 1_073_741_824.0),
            ("0x_1F.8p-1", 15.75),
            ("-0X1_0p0", -16.0),
            ("0x.8p1", 1.0),
            ("0x0p5", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1074", 1e-323),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.0000000000000004),
            ("0x1.000000000000080000000000000000000000001p0", 1.0000000000000002),
            ("0x1p-9223372036854775807", 0.0),
            ("0x1p-9223372036854775809", 0.0),
            ("0x0p+9223372036854775808", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("+INF", f64::INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        assert!(parse_float("nAn").is_some_and(f64::is_nan));
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "",
            " 1",
            "1 ",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "abc",
            "+nan",
            "-NaN",
            "1e400",
            "-1e400",
            "_1",
            "1_",
            "1__0",
            "1_.5",
            "1._5",
            "1_e5",
            "0x10",
            "0x",
            "0xp1",
            "0x1p",
            "0x1p+",
            "0x1pa",
            "0xgp1",
            "0x1p1024",
            "0x1p9223372036854775807",
            "0x1p9223372036854775808",
            "0x1p-",
            "0x1p+-1",
            "infin",
            "0x1_p1",
            "--1",
            "+-1",
            "1é",
            "0x1é p1",
        ] {
            assert_eq!(parse_float(text), None, "{text:?}");
        }
    }
}
