//! JSON written straight into bytes: no tree of values stands between an answer and its text.

mod number;
mod stamps;

pub use number::{push_number, push_plain};
pub use stamps::Stamps;

use metricstor_model::Labels;

/// Appends `text` as a JSON string, as Prometheus writes label names and values: control characters,
/// quote and backslash are escaped, everything else is kept.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| byte < 0x20 || byte == b'"' || byte == b'\\');
}

/// The same for texts that end up in web pages: `<`, `>` and `&` are escaped too.
pub fn push_html_string(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| {
        byte < 0x20 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
    });
}

/// `{"name":"value",…}`
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_string(out, name);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

/// `["a","b"]`
pub fn push_strings(out: &mut Vec<u8>, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    out.push(b'[');
    for (i, text) in texts.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_html_string(out, text.as_ref());
    }
    out.push(b']');
}

/// Milliseconds as seconds with up to three decimals.
pub fn push_timestamp(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let ms = ms.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(ms / 1000).as_bytes());
    let fraction = (ms % 1000) as u16;
    if fraction != 0 {
        let digit = |n: u16| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[
            b'.',
            digit(fraction / 100),
            digit(fraction / 10),
            digit(fraction),
        ]);
    }
}

/// A sample's value: a number in quotes, so that NaN and the infinities survive.
pub fn push_value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    push_number(out, value);
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str, special: impl Fn(u8) -> bool) {
    out.push(b'"');
    // Most have nothing to be escaped, which is seen in many bytes at once.
    if !text.bytes().fold(false, |any, byte| any | special(byte)) {
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    let mut plain = 0;
    for (i, &byte) in text.as_bytes().iter().enumerate() {
        if special(byte) {
            out.extend_from_slice(&text.as_bytes()[plain..i]);
            plain = i + 1;
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                _ => {
                    let hex = |n: u8| b"0123456789abcdef"[usize::from(n)];
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
                }
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_have_no_decimals_or_three() {
        for (ms, text) in [
            (0, "0"),
            (1_735_693_200_000, "1735693200"),
            (1_735_693_205_500, "1735693205.500"),
            (1, "0.001"),
            (-1, "-0.001"),
            (-1_050, "-1.050"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|out| push_timestamp(out, ms)), text);
        }
    }

    #[test]
    fn strings_are_read_back_as_they_were() {
        let nasty = "a\"\\\n\r\t\u{0}\u{1f}é<&>\u{2028}💥";
        for write in [push_string, push_html_string] {
            let text = written(|out| write(out, nasty));
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), nasty);
        }
        assert_eq!(written(|out| push_html_string(out, "<&>")), r#""\u003c\u0026\u003e""#);
        assert_eq!(written(|out| push_string(out, "<&>")), r#""<&>""#);
    }
}
