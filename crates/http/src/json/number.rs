//! Numbers as Prometheus prints them: the shortest decimal that reads back as the same float,
//! with an exponent only below 1e-6 and from 1e21 on.

use std::ops::Range;

/// Integers up to here are exact and print without a shortest-decimal search.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// What is no integer and lies in here is printed in plain digits without further ado.
const PLAIN: Range<f64> = 1e-3..1e15;

/// Appends `value`: `NaN`, `+Inf`, `-Inf`, plain digits, or `d.ddde-07` with two exponent digits.
pub fn push_number(out: &mut Vec<u8>, value: f64) {
    push(out, value, is_exponential);
}

/// The same without exponents, however many digits it takes: so Prometheus prints what is a scalar.
pub fn push_plain(out: &mut Vec<u8>, value: f64) {
    push(out, value, |_| false);
}

fn is_exponential(value: f64) -> bool {
    value.abs() < 1e-6 || value.abs() >= 1e21
}

fn push(out: &mut Vec<u8>, value: f64, is_exponential: impl Fn(f64) -> bool) {
    let integer = value as i64;
    if integer as f64 == value && value.abs() < EXACT_INTEGER {
        if integer == 0 && value.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        push_shortest(out, value, is_exponential(value));
    }
}

fn push_shortest(out: &mut Vec<u8>, value: f64, exponential: bool) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if PLAIN.contains(&value.abs()) {
        return out.extend_from_slice(text.as_bytes());
    }
    let text = text.strip_prefix('-').map_or(text, |positive| {
        out.push(b'-');
        positive
    });
    match text.split_once('e') {
        None if !exponential => {
            out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        }
        None => relayout(out, text, 0, exponential),
        Some((mantissa, exponent)) => {
            let exponent = exponent.parse().expect("an exponent is a small integer");
            relayout(out, mantissa, exponent, exponential);
        }
    }
}

/// Writes `mantissa`·10^`exponent`, whose mantissa has the form `ddd` or `ddd.ddd`.
fn relayout(out: &mut Vec<u8>, mantissa: &str, exponent: i32, exponential: bool) {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    // The value is 0.DIGITS · 10^point.
    let point = whole.len() as i32 + exponent - leading as i32;
    let digits = digits.trim_matches('0').as_bytes();
    if exponential {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let exponent = point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let point = point as usize;
        let whole = &digits[..point.min(digits.len())];
        out.extend_from_slice(whole);
        out.resize(out.len() + point - whole.len(), b'0');
        if digits.len() > point {
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        push_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_prometheus_prints_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (1e-6, "0.000001"),
            (1.25e-6, "0.00000125"),
            (1e-7, "1e-07"),
            (-1.5e-7, "-1.5e-07"),
            (5e-324, "5e-324"),
            (123_456_789.125, "123456789.125"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e20, "100000000000000000000"),
            (1.5e20, "150000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (8_427_480_630_763_133.0 / 4.0, "2106870157690783.2"),
            (8_427_480_630_763_135.0 / 4.0, "2106870157690783.8"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn scalars_have_no_exponents() {
        for (value, expected) in [
            (1e-7, "0.0000001"),
            (-1.25e-9, "-0.00000000125"),
            (1e21, "1000000000000000000000"),
            (-1.5e22, "-15000000000000000000000"),
            (2.5, "2.5"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = Vec::new();
            push_plain(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn every_float_reads_back_bit_for_bit(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), bits);
            let mut plain = Vec::new();
            push_plain(&mut plain, value);
            let plain = String::from_utf8(plain).unwrap();
            prop_assert_eq!(plain.parse::<f64>().unwrap().to_bits(), bits);
        }

        /// Rust's own formatting is the shortest decimal too, up to the choice between two that
        /// are equally near; the layout differs.
        #[test]
        fn the_digits_are_as_few_as_can_be(exponent in -12i32..25, mantissa in -1e3f64..1e3) {
            let value = mantissa * 10f64.powi(exponent);
            let digits = |s: &str| {
                let s = s.split('e').next().unwrap().replace(['.', '-'], "");
                s.trim_matches('0').len()
            };
            let ours = text(value);
            prop_assert!(ours.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)), "{}", ours);
            prop_assert_eq!(digits(&ours), digits(&format!("{value}")));
            let exponential = value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21);
            prop_assert_eq!(ours.contains('e'), exponential);
        }
    }
}
