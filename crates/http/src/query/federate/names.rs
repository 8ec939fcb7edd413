//! Names for clients that know letters, digits and underscores only.

use std::borrow::Cow;

/// Is it a name that every client knows? Those of metrics may have colons.
pub fn is_plain(name: &str, is_metric: bool) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| is_plain_char(c, is_metric))
}

/// The name, with underscores for what such a client does not know.
pub fn underscored(name: &str, is_metric: bool) -> Cow<'_, str> {
    if is_plain(name, is_metric) {
        return Cow::Borrowed(name);
    }
    let plain = |(i, c): (usize, char)| {
        let stays = is_plain_char(c, is_metric) && !(i == 0 && c.is_ascii_digit());
        if stays { c } else { '_' }
    };
    Cow::Owned(name.chars().enumerate().map(plain).collect())
}

fn is_plain_char(c: char, is_metric: bool) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':')
}
