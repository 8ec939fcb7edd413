//! RE2's character classes: brackets, `\d \s \w`, `[:posix:]` and `\p{Unicode}`.
//!
//! Invariant: under `(?i)` every member is folded before a negation is applied, as RE2 does.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, HirKind};

use super::parser::Flags;
use super::text::{Fault, Text};

/// The class under the cursor if the text begins with `\d`, `\pL`, `\p{Greek}` and the like.
pub(super) fn parse_escaped_class(
    text: &mut Text<'_>,
    flags: Flags,
) -> Result<Option<ClassUnicode>, Fault> {
    let (class, negated) = match text.rest().as_bytes() {
        [b'\\', b'p' | b'P', ..] => parse_unicode_class(text)?,
        [b'\\', letter, ..] => {
            let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
                b'd' => &[('0', '9')],
                b's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
                b'w' => WORD,
                _ => return Ok(None),
            };
            text.advance(2);
            (of(ranges), letter.is_ascii_uppercase())
        }
        _ => return Ok(None),
    };
    Ok(Some(finish(class, negated, flags)))
}

/// A bracket expression; the text begins with `[`.
pub(super) fn parse_brackets(text: &mut Text<'_>, flags: Flags) -> Result<ClassUnicode, Fault> {
    let whole = text.rest();
    text.advance(1);
    let negated = text.eat('^');
    let mut class = ClassUnicode::empty();
    let mut first = true;
    while first || !text.rest().starts_with(']') {
        first = false;
        if let Some(posix) = parse_posix_class(text, flags)? {
            class.union(&posix);
        } else if let Some(escaped) = parse_escaped_class(text, flags)? {
            class.union(&escaped);
        } else {
            class.union(&parse_range(text, whole, flags)?);
        }
    }
    text.advance(1);
    if negated {
        class.negate();
    }
    Ok(class)
}

/// All code points from `low` to `high`, without the surrogates, which no text contains.
pub(super) fn range(low: u32, high: u32, flags: Flags) -> ClassUnicode {
    let part = |low: u32, high: u32| {
        let (low, high) = (char::from_u32(low)?, char::from_u32(high)?);
        (low <= high).then(|| ClassUnicodeRange::new(low, high))
    };
    let below = part(low, high.min(0xd7ff));
    let above = part(low.max(0xe000), high);
    finish(ClassUnicode::new(below.into_iter().chain(above)), false, flags)
}

fn parse_range(text: &mut Text<'_>, whole: &str, flags: Flags) -> Result<ClassUnicode, Fault> {
    let start = text.rest();
    let low = parse_member(text, whole)?;
    let mut high = low;
    if let [b'-', next, ..] = text.rest().as_bytes()
        && *next != b']'
    {
        text.advance(1);
        high = parse_member(text, whole)?;
    }
    if high < low {
        return Err(Fault::new("invalid character class range", text.since(start)));
    }
    Ok(range(low, high, flags))
}

fn parse_member(text: &mut Text<'_>, whole: &str) -> Result<u32, Fault> {
    match text.peek() {
        None => Err(Fault::new("missing closing ]", whole)),
        Some('\\') => text.parse_escape(),
        Some(c) => {
            text.advance(c.len_utf8());
            Ok(c as u32)
        }
    }
}

fn parse_posix_class(text: &mut Text<'_>, flags: Flags) -> Result<Option<ClassUnicode>, Fault> {
    let Some((name, _)) = text.rest().strip_prefix("[:").and_then(|rest| rest.split_once(":]"))
    else {
        return Ok(None);
    };
    let whole = &text.rest()[..name.len() + 4];
    let (bare, negated) = match name.strip_prefix('^') {
        Some(bare) => (bare, true),
        None => (name, false),
    };
    let ranges: &[(char, char)] = match bare {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return Err(Fault::new("invalid character class range", whole)),
    };
    text.advance(whole.len());
    Ok(Some(finish(of(ranges), negated, flags)))
}

/// `\pL`, `\p{Lu}`, `\p{^Greek}`, `\P…`: general categories and scripts, nothing else.
fn parse_unicode_class(text: &mut Text<'_>) -> Result<(ClassUnicode, bool), Fault> {
    let whole = text.rest();
    let mut negated = whole.as_bytes()[1] == b'P';
    let fault = |seen: &str| Fault::new("invalid character class range", seen);
    let first = whole[2..].chars().next().ok_or_else(|| fault(whole))?;
    let (mut name, length) = if first == '{' {
        let end = whole.find('}').ok_or_else(|| fault(whole))?;
        (&whole[3..end], end + 1)
    } else {
        (&whole[2..2 + first.len_utf8()], 2 + first.len_utf8())
    };
    if let Some(rest) = name.strip_prefix('^') {
        negated = !negated;
        name = rest;
    }
    let class = unicode_table(name).ok_or_else(|| fault(&whole[..length]))?;
    text.advance(length);
    Ok((class, negated))
}

/// The category (`L`, `Lu`) or script (`Greek`, `Old_Italic`) of this name, as RE2 spells them.
fn unicode_table(name: &str) -> Option<ClassUnicode> {
    if name == "Cs" {
        // Surrogates: a category without characters here.
        return Some(ClassUnicode::empty());
    }
    let kind = if CATEGORIES.split(' ').any(|category| category == name) {
        "gc"
    } else if is_script_name(name) {
        "sc"
    } else {
        return None;
    };
    // The tables know more spellings than RE2, hence the checks before.
    match regex_syntax::parse(&format!(r"\p{{{kind}={name}}}")).ok()?.into_kind() {
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(class),
        _ => None,
    }
}

const CATEGORIES: &str = "Any C Cc Cf Cn Co L LC Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No \
                          P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs";

/// Capitalised words joined by `_`. RE2 lacks the four-letter codes, but some scripts are short.
fn is_script_name(name: &str) -> bool {
    let is_word = |word: &str| {
        let mut letters = word.bytes();
        letters.next().is_some_and(|b| b.is_ascii_uppercase())
            && letters.all(|b| b.is_ascii_lowercase())
    };
    let short = ["Ahom", "Cham", "Kawi", "Lisu", "Modi", "Newa", "Thai", "Toto"];
    let plain = name.len() != 4 || short.contains(&name);
    let spelled = plain && !name.starts_with("Is") && name.split('_').all(is_word);
    spelled || name == "SignWriting"
}

const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

fn finish(mut class: ClassUnicode, negated: bool, flags: Flags) -> ClassUnicode {
    if flags.fold {
        // Fails only if the case tables are compiled out; then folding is the identity.
        class.try_case_fold_simple().unwrap_or_default();
    }
    if negated {
        class.negate();
    }
    class
}
