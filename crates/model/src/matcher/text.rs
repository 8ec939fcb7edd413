//! A cursor over a pattern: the escapes and counts that need no context.

/// Every repetition count, and the product of nested ones; RE2's own limit.
pub(super) const REPEAT_MAX: u32 = 1000;

/// What is wrong, and the piece of the pattern that is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(what: &str, piece: &str) -> Self {
        let shown: String = piece.chars().take(80).collect();
        Self(format!("{what}: `{shown}`"))
    }
}

/// What is left of the pattern.
pub(super) struct Text<'p>(&'p str);

impl<'p> Text<'p> {
    pub(super) fn new(pattern: &'p str) -> Self {
        Self(pattern)
    }

    pub(super) fn set(&mut self, rest: &'p str) {
        self.0 = rest;
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    pub(super) fn rest(&self) -> &'p str {
        self.0
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.0.strip_prefix(c);
        self.0 = found.unwrap_or(self.0);
        found.is_some()
    }

    /// What was taken since the rest of the pattern was `start`.
    pub(super) fn since<'a>(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.0.len()]
    }

    /// The code point of an escape; the text begins with a backslash.
    pub(super) fn parse_escape(&mut self) -> Result<u32, Fault> {
        let start = self.0;
        self.advance(1);
        let Some(c) = self.peek() else {
            return Err(Fault::new("trailing backslash at end of expression", ""));
        };
        self.advance(c.len_utf8());
        let octal = |text: &Self| text.0.bytes().next().filter(|b| (b'0'..=b'7').contains(b));
        let point = match c {
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            'x' => self.parse_hex(),
            '0' | '1'..='7' if c == '0' || octal(self).is_some() => {
                let mut point = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = octal(self) else { break };
                    point = point * 8 + u32::from(digit - b'0');
                    self.advance(1);
                }
                Some(point)
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        point.ok_or_else(|| Fault::new("invalid escape sequence", self.since(start)))
    }

    /// `xHH` or `x{H…}`, after the `x`.
    fn parse_hex(&mut self) -> Option<u32> {
        if !self.0.starts_with('{') {
            let digits = self.0.get(..2)?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            self.advance(2);
            return u32::from_str_radix(digits, 16).ok();
        }
        let (digits, rest) = self.0[1..].split_once('}')?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.0 = rest;
        // Leading zeros are legal in any number.
        let digits = digits.trim_start_matches('0');
        let point = if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, 16).ok() };
        point.filter(|&point| point <= char::MAX as u32)
    }

    /// `{n}`, `{n,}`, `{n,m}`; `None` if it has another form and the brace is a plain character.
    pub(super) fn parse_counts(&mut self) -> Result<Option<(u32, Option<u32>)>, Fault> {
        let Some((body, rest)) = self.0[1..].split_once('}') else { return Ok(None) };
        let (min, max) = match body.split_once(',') {
            None => (parse_count(body), Some(parse_count(body))),
            Some((min, "")) => (parse_count(min), None),
            Some((min, max)) => (parse_count(min), Some(parse_count(max))),
        };
        let (Some(min), Some(max)) = (min, max.map_or(Some(None), |max| max.map(Some))) else {
            return Ok(None);
        };
        let start = self.0;
        self.0 = rest;
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
            return Err(Fault::new("invalid repeat count", self.since(start)));
        }
        Ok(Some((min, max)))
    }
}

/// A decimal number without leading zeros; numbers too large for the type are `u32::MAX`.
fn parse_count(digits: &str) -> Option<u32> {
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let plain = digits.len() == 1 || !digits.starts_with('0');
    (number && plain).then(|| digits.parse().unwrap_or(u32::MAX))
}
