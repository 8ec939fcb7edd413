//! Label names in paths: what a path cannot hold is escaped as `U__my_2e_label`.

use std::borrow::Cow;

/// The name meant by `name`; a malformed escape stands for itself.
pub fn unescape(name: &str) -> Cow<'_, str> {
    match name.strip_prefix("U__").and_then(decode) {
        Some(decoded) => Cow::Owned(decoded),
        None => Cow::Borrowed(name),
    }
}

/// `__` is an underscore, `_HEX_` a code point of up to five digits.
fn decode(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let code = &rest[at + 1..];
        let end = code.find('_')?;
        if end == 0 {
            out.push('_');
        } else {
            let hex = &code[..end];
            if hex.len() > 5 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        }
        rest = &code[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_undone_and_other_names_kept() {
        for (name, expected) in [
            ("job", "job"),
            ("U__job", "job"),
            ("U__my_2e_label", "my.label"),
            ("U______name____", "__name__"),
            ("U__a_1F4A5_b", "a💥b"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__a_00002e_", "U__a_00002e_"),
            ("U__é_2e_", "é."),
        ] {
            assert_eq!(unescape(name), expected);
        }
    }
}
