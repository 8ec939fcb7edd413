//! Numbers, durations and quoted texts as the testing language and PromQL write them.

/// A PromQL number: decimal, hexadecimal, octal with a leading zero, `Inf`, `NaN`, a duration (in
/// seconds); with an optional sign.
pub fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(rest) = text.strip_prefix('-') {
        return parse_unsigned(rest).map(|x| -x);
    }
    parse_unsigned(text.strip_prefix('+').unwrap_or(text))
}

fn parse_unsigned(text: &str) -> Result<f64, String> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    let integer = |digits: &str, radix| i64::from_str_radix(digits, radix).map(|n| n as f64);
    let starts_well = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if let Some(digits) = lower.strip_prefix("0x") {
        return integer(digits, 16).map_err(|e| format!("{text:?}: {e}"));
    }
    if let Some(Ok(octal)) = lower.strip_prefix('0').map(|digits| integer(digits, 8)) {
        return Ok(octal);
    }
    match lower.parse() {
        Ok(number) if starts_well => Ok(number),
        _ => parse_duration(text)
            .map(|ms| ms as f64 / 1000.0)
            .map_err(|_| format!("{text:?} is not a number")),
    }
}

/// A result line that is a scalar: an integer in any base, or a float.
pub fn parse_scalar(line: &str) -> Option<f64> {
    let is_duration = line.ends_with(|c: char| "smhdwy".contains(c));
    (!is_duration && !line.contains(' ')).then(|| parse_number(line).ok()).flatten()
}

/// Milliseconds of `1h30m`, `250ms`, `0`.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let error = || format!("{text:?} is not a duration");
    let (mut rest, mut total) = (text, 0i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let n: i64 = rest[..digits].parse().map_err(|_| error())?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |length| digits + length);
        let unit = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return Err(error()),
        };
        total = n.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(error)?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() { Err(error()) } else { Ok(total) }
}

/// Takes a quoted text from the start of `text`: its value and what follows.
pub fn take_quoted(text: &str) -> Result<(String, &str), String> {
    let error = || format!("no quoted text at {text:?}");
    let quote = text.chars().next().filter(|c| "\"'`".contains(*c)).ok_or_else(error)?;
    let body = &text[1..];
    if quote == '`' {
        let end = body.find('`').ok_or_else(error)?;
        return Ok((body[..end].to_owned(), &body[end + 1..]));
    }
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, &body[at + 1..])),
            '\\' => value.push(unescape(&mut chars).ok_or_else(error)?),
            c => value.push(c),
        }
    }
    Err(error())
}

fn unescape(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let first = chars.next()?.1;
    let mut code = |digits: usize| {
        let text: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
        u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
    };
    Some(match first {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        'x' => return code(2),
        'u' => return code(4),
        'U' => return code(8),
        c @ ('\\' | '"' | '\'') => c,
        _ => return None,
    })
}
