//! RE2's syntax (as Go's `regexp/syntax` reads it with Perl flags), parsed for the automaton.
//!
//! Invariant: a pattern is valid here exactly if it is valid there, up to the size limits below; the
//! result has no captures and no greediness, which cannot be seen in a yes-or-no match.

use regex_syntax::hir::{Class, ClassUnicode, Hir, Look, Repetition};

use super::class;
use super::text::{Fault, REPEAT_MAX, Text};

/// Open groups at one time; RE2's own limit.
const GROUPS_MAX: usize = 1000;
/// Nesting of the parsed expression: bounds the recursion of everything that walks it.
const HEIGHT_MAX: u32 = 250;
/// Ranges in all character classes together: bounds the memory of one pattern to a few MiB.
const RANGES_MAX: usize = 1 << 18;

/// What `(?ims)` switches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    pub(super) fold: bool,
    lines: bool,
    dot_newline: bool,
}

/// Parses the pattern; the dot matches newlines.
pub(super) fn parse(pattern: &str) -> Result<Hir, Fault> {
    let flags = Flags { fold: false, lines: false, dot_newline: true };
    let mut parser = Parser {
        pattern,
        text: Text::new(pattern),
        flags,
        outer: vec![],
        group: Group::new(flags),
        ranges: 0,
    };
    let mut after_repeat = None;
    while let Some(c) = parser.text.peek() {
        after_repeat = parser.step(c, after_repeat)?;
    }
    if !parser.outer.is_empty() {
        return Err(Fault::new("missing closing )", pattern));
    }
    Ok(parser.group.close()?.hir)
}

struct Parser<'p> {
    pattern: &'p str,
    text: Text<'p>,
    flags: Flags,
    /// The groups around the current one, outermost first.
    outer: Vec<Group>,
    group: Group,
    ranges: usize,
}

impl<'p> Parser<'p> {
    /// Takes one construct; answers where it began if it was a repetition operator.
    fn step(&mut self, c: char, after_repeat: Option<&'p str>) -> Result<Option<&'p str>, Fault> {
        match c {
            '*' | '+' | '?' | '{' => return self.repetition(c, after_repeat),
            '\\' => self.escape()?,
            '[' => {
                let class = class::parse_brackets(&mut self.text, self.flags)?;
                self.push_class(class)?;
            }
            '(' => self.open()?,
            ')' => self.close()?,
            _ => {
                self.text.advance(c.len_utf8());
                match c {
                    '|' => self.group.end_alternative()?,
                    '^' if self.flags.lines => self.group.push(Hir::look(Look::StartLF)),
                    '^' => self.group.push(Hir::look(Look::Start)),
                    '$' if self.flags.lines => self.group.push(Hir::look(Look::EndLF)),
                    '$' => self.group.push(Hir::look(Look::End)),
                    '.' if self.flags.dot_newline => self.group.push(Hir::dot(DOT)),
                    '.' => self.group.push(Hir::dot(DOT_EXCEPT_LF)),
                    _ => self.push_char(c as u32)?,
                }
            }
        }
        Ok(None)
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let look = match self.text.rest().as_bytes().get(1) {
            Some(b'A') => Look::Start,
            Some(b'z') => Look::End,
            Some(b'b') => Look::WordAscii,
            Some(b'B') => Look::WordAsciiNegate,
            Some(b'Q') => return self.quoted(),
            _ => {
                return match class::parse_escaped_class(&mut self.text, self.flags)? {
                    Some(class) => self.push_class(class),
                    None => {
                        let point = self.text.parse_escape()?;
                        self.push_char(point)
                    }
                };
            }
        };
        self.text.advance(2);
        self.group.push(Hir::look(look));
        Ok(())
    }

    /// `\Q…\E`, or to the end of the pattern.
    fn quoted(&mut self) -> Result<(), Fault> {
        let body = &self.text.rest()[2..];
        let (literal, rest) = body.split_once(r"\E").unwrap_or((body, ""));
        for c in literal.chars() {
            self.push_char(c as u32)?;
        }
        self.text.set(rest);
        Ok(())
    }

    fn push_char(&mut self, point: u32) -> Result<(), Fault> {
        match char::from_u32(point) {
            Some(c) if !self.flags.fold || (c.is_ascii() && !c.is_ascii_alphabetic()) => {
                self.group.literal.push(c);
                Ok(())
            }
            _ => self.push_class(class::range(point, point, self.flags)),
        }
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), Fault> {
        self.ranges += class.ranges().len();
        if self.ranges > RANGES_MAX {
            return Err(Fault::new("expression too large", self.pattern));
        }
        self.group.push(Hir::class(Class::Unicode(class)));
        Ok(())
    }

    fn repetition(
        &mut self,
        operator: char,
        after_repeat: Option<&'p str>,
    ) -> Result<Option<&'p str>, Fault> {
        let start = self.text.rest();
        let (min, max) = match operator {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            _ => match self.text.parse_counts()? {
                Some(counts) => counts,
                None => {
                    self.text.advance(1);
                    self.push_char('{' as u32)?;
                    return Ok(None);
                }
            },
        };
        if operator != '{' {
            self.text.advance(1);
        }
        let greedy_to = self.text.since(start);
        self.text.eat('?');
        if let Some(previous) = after_repeat {
            return Err(Fault::new(
                "invalid nested repetition operator",
                self.text.since(previous),
            ));
        }
        let operand = self
            .group
            .pop()
            .ok_or_else(|| Fault::new("missing argument to repetition operator", greedy_to))?;
        self.group.sequence.push(operand.repeated(min, max, self.text.since(start))?);
        Ok(Some(start))
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.outer.len() >= GROUPS_MAX {
            return Err(Fault::new("expression nests too deeply", self.pattern));
        }
        let start = self.text.rest();
        let around = self.flags;
        if let Some(rest) = start.strip_prefix("(?P<").or_else(|| start.strip_prefix("(?<")) {
            let (name, rest) =
                rest.split_once('>').ok_or_else(|| Fault::new("invalid named capture", start))?;
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(Fault::new(
                    "invalid named capture",
                    &start[..start.len() - rest.len()],
                ));
            }
            self.text.set(rest);
        } else if start.starts_with("(?") {
            self.text.advance(2);
            if !self.parse_flags(start)? {
                return Ok(());
            }
        } else {
            self.text.advance(1);
        }
        self.outer.push(std::mem::replace(&mut self.group, Group::new(around)));
        Ok(())
    }

    /// The flags after `(?`; true if a group opens behind them (`:`), false if not (`)`).
    fn parse_flags(&mut self, start: &str) -> Result<bool, Fault> {
        let (mut flags, mut on, mut seen) = (self.flags, true, true);
        while let Some(c) = self.text.peek() {
            self.text.advance(c.len_utf8());
            match c {
                'i' => flags.fold = on,
                'm' => flags.lines = on,
                's' => flags.dot_newline = on,
                'U' => {}
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if seen => {
                    self.flags = flags;
                    return Ok(c == ':');
                }
                _ => break,
            }
            seen = true;
        }
        Err(Fault::new("invalid or unsupported Perl syntax", self.text.since(start)))
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.text.advance(1);
        let outer = self.outer.pop().ok_or_else(|| Fault::new("unexpected )", self.pattern))?;
        let inner = std::mem::replace(&mut self.group, outer);
        self.flags = inner.around;
        let node = inner.close()?;
        self.group.flush();
        self.group.sequence.push(node);
        Ok(())
    }
}

const DOT: regex_syntax::hir::Dot = regex_syntax::hir::Dot::AnyChar;
const DOT_EXCEPT_LF: regex_syntax::hir::Dot = regex_syntax::hir::Dot::AnyCharExceptLF;

/// A parsed piece with what the limits need to know about it.
struct Node {
    hir: Hir,
    height: u32,
    /// The largest product of counts of repetitions inside one another.
    repeats: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 0, repeats: 1 }
    }

    fn repeated(self, min: u32, max: Option<u32>, operator: &str) -> Result<Self, Fault> {
        let count = max.unwrap_or(min);
        let repeats = if count == 0 && max.is_some() { 1 } else { count.max(1) * self.repeats };
        if repeats > REPEAT_MAX {
            return Err(Fault::new("invalid repeat count", operator));
        }
        let hir = Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(self.hir) });
        Self { hir, height: self.height + 1, repeats }.checked()
    }

    /// One node over several: a sequence or an alternation.
    fn over(mut nodes: Vec<Node>, join: fn(Vec<Hir>) -> Hir) -> Result<Self, Fault> {
        if nodes.len() == 1 {
            return Ok(nodes.swap_remove(0));
        }
        let height = 1 + nodes.iter().map(|node| node.height).max().unwrap_or(0);
        let repeats = nodes.iter().map(|node| node.repeats).max().unwrap_or(1);
        let hir = join(nodes.into_iter().map(|node| node.hir).collect());
        Self { hir, height, repeats }.checked()
    }

    fn checked(self) -> Result<Self, Fault> {
        if self.height > HEIGHT_MAX {
            return Err(Fault("expression nests too deeply".to_owned()));
        }
        Ok(self)
    }
}

/// An open group: the alternatives that are finished, and the one that is growing.
struct Group {
    /// The flags to restore when the group closes.
    around: Flags,
    alternatives: Vec<Node>,
    sequence: Vec<Node>,
    /// Plain characters at the end of the sequence, not yet a node.
    literal: String,
}

impl Group {
    fn new(around: Flags) -> Self {
        Self { around, alternatives: vec![], sequence: vec![], literal: String::new() }
    }

    fn push(&mut self, hir: Hir) {
        self.flush();
        self.sequence.push(Node::leaf(hir));
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let hir = Hir::literal(std::mem::take(&mut self.literal).into_bytes());
            self.sequence.push(Node::leaf(hir));
        }
    }

    /// What a repetition operator applies to: the last character or the last construct.
    fn pop(&mut self) -> Option<Node> {
        if let Some(last) = self.literal.pop() {
            self.flush();
            return Some(Node::leaf(Hir::literal(last.to_string().into_bytes())));
        }
        self.sequence.pop()
    }

    fn end_alternative(&mut self) -> Result<(), Fault> {
        self.flush();
        let node = Node::over(std::mem::take(&mut self.sequence), Hir::concat)?;
        self.alternatives.push(node);
        Ok(())
    }

    fn close(mut self) -> Result<Node, Fault> {
        self.end_alternative()?;
        Node::over(self.alternatives, Hir::alternation)
    }
}
