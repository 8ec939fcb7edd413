//! Quoting as Go does it, which Prometheus' texts are full of.

use std::fmt::Write as _;

/// A string between double quotes, unprintable characters escaped.
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// As [`quote`], with bytes that are not UTF-8 as `\xff`.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut quoted, c, '"');
        }
        for byte in chunk.invalid() {
            push_hex(&mut quoted, *byte);
        }
    }
    quoted.push('"');
    quoted
}

/// A character between single quotes.
pub fn quote_char(c: char) -> String {
    let mut quoted = String::from("'");
    push_escaped(&mut quoted, c, '\'');
    quoted.push('\'');
    quoted
}

/// `U+0071 'q'`
pub fn code_point(c: char) -> String {
    if is_printable(c) {
        format!("U+{:04X} '{c}'", c as u32)
    } else {
        format!("U+{:04X}", c as u32)
    }
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if is_printable(c) => out.push(c),
        c if c.is_ascii() => push_hex(out, c as u8),
        c => {
            let code = c as u32;
            let written = if code <= 0xFFFF {
                write!(out, "\\u{code:04x}")
            } else {
                write!(out, "\\U{code:08x}")
            };
            written.expect("a String takes every write");
        }
    }
}

fn push_hex(out: &mut String, byte: u8) {
    write!(out, "\\x{byte:02x}").expect("a String takes every write");
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // Debug formatting escapes what is unprintable, but also a combining mark at the start.
    let mut pair = String::from("x");
    pair.push(c);
    pair.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_gos() {
        assert_eq!(quote("a\"b\\\n\u{7}\u{0}\u{7f}"), r#""a\"b\\\n\a\x00\x7f""#);
        assert_eq!(
            quote("ü\u{301}\u{a0}\u{ad}\u{e000}\u{10ffff}"),
            "\"ü\u{301}\\u00a0\\u00ad\\ue000\\U0010ffff\""
        );
        assert_eq!(quote_bytes(b"a\xc5z"), r#""a\xc5z""#);
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(code_point('q'), "U+0071 'q'");
    }
}
