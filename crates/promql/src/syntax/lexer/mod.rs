//! Text → tokens with their byte positions, following the modes of Prometheus' lexer.
//!
//! Tokens end with [`TokenKind::End`], or with [`TokenKind::Invalid`] where the text stops making
//! sense; parentheses, brackets and braces are balanced as far as the tokens go.

mod number;
mod string;

use super::token::{Builtin, Keyword, Token, TokenKind, duration_keyword, keyword};
use crate::ast::{BinaryOp, Span};
use crate::print::{quote, quote_char};

/// The tokens of a text without comments and white space.
#[derive(Debug)]
pub struct Tokens {
    pub list: Vec<Token>,
    /// Why the last token is invalid.
    pub error: Option<String>,
}

pub fn tokens(text: &str) -> Tokens {
    let mut lexer = Lexer {
        text,
        position: 0,
        start: 0,
        list: Vec::with_capacity(text.len() / 4 + 1),
        parens: 0,
        brace_open: false,
        bracket_open: false,
        in_duration: false,
        colon_seen: false,
        duration_seen: false,
    };
    let error = lexer.run().err();
    if error.is_some() {
        let span = Span { start: lexer.start, end: text.len() };
        lexer.list.push(Token { kind: TokenKind::Invalid, span });
    }
    Tokens { list: lexer.list, error }
}

struct Lexer<'a> {
    text: &'a str,
    /// The next character's offset.
    position: usize,
    /// Where the current token begins.
    start: usize,
    list: Vec<Token>,
    parens: usize,
    brace_open: bool,
    bracket_open: bool,
    /// Inside brackets, before the first number.
    in_duration: bool,
    colon_seen: bool,
    duration_seen: bool,
}

type Step = Result<(), String>;

impl Lexer<'_> {
    fn run(&mut self) -> Step {
        while self.list.last().is_none_or(|token| token.kind != TokenKind::End) {
            self.start = self.position;
            if self.brace_open {
                self.inside_braces()?;
            } else if self.in_duration {
                self.inside_duration()?;
            } else {
                self.statement()?;
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.position += next.map_or(0, char::len_utf8);
        next
    }

    /// Consumes the next character if the condition holds for it.
    fn accept(&mut self, condition: impl Fn(char) -> bool) -> bool {
        let accepted = self.peek().is_some_and(condition);
        if accepted {
            self.next();
        }
        accepted
    }

    fn skip_while(&mut self, condition: impl Fn(char) -> bool) {
        while self.accept(&condition) {}
    }

    fn emit(&mut self, kind: TokenKind) -> Step {
        self.list.push(Token { kind, span: Span { start: self.start, end: self.position } });
        self.start = self.position;
        Ok(())
    }

    fn statement(&mut self) -> Step {
        let Some(c) = self.next() else {
            return match () {
                () if self.parens > 0 => Err("unclosed left parenthesis".to_owned()),
                () if self.bracket_open => Err("unclosed left bracket".to_owned()),
                () => self.emit(TokenKind::End),
            };
        };
        match c {
            '#' => self.comment(),
            c if is_space(c) => Ok(()),
            ',' => self.emit(TokenKind::Comma),
            '@' => self.emit(TokenKind::At),
            '+' | '-' | '*' | '/' | '%' | '^' => self.arithmetic(c),
            '=' | '!' | '<' | '>' => self.comparison(c),
            '"' | '\'' => self.quoted(c),
            '`' => self.raw(),
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            '{' => {
                self.brace_open = true;
                self.emit(TokenKind::LeftBrace)
            }
            '[' if self.bracket_open => Err(format!("unexpected left bracket {}", quote_char(c))),
            '[' => {
                (self.bracket_open, self.in_duration, self.colon_seen) = (true, true, false);
                self.emit(TokenKind::LeftBracket)
            }
            ']' if !self.bracket_open => Err(format!("unexpected right bracket {}", quote_char(c))),
            ']' => {
                self.bracket_open = false;
                self.emit(TokenKind::RightBracket)
            }
            c if self.starts_number(c) => self.number_or_duration(),
            c if is_letter(c) || c == ':' => self.word(c),
            c => Err(format!("unexpected character: {}", quote_char(c))),
        }
    }

    /// Between `[` and the first number: only what a duration is made of.
    fn inside_duration(&mut self) -> Step {
        let Some(c) = self.next() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        match c {
            c if is_space(c) => Ok(()),
            ']' => {
                (self.bracket_open, self.in_duration, self.colon_seen) = (false, false, false);
                self.emit(TokenKind::RightBracket)
            }
            ':' => {
                self.emit(TokenKind::Colon)?;
                if !self.duration_seen {
                    return self.retract("unexpected colon before duration in duration expression");
                }
                if self.colon_seen {
                    return self.retract("unexpected repeated colon in duration expression");
                }
                self.colon_seen = true;
                Ok(())
            }
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            ',' => self.emit(TokenKind::Comma),
            '+' | '-' | '*' | '/' | '%' | '^' => self.arithmetic(c),
            c if self.starts_number(c) => {
                (self.duration_seen, self.in_duration) = (true, false);
                self.number_or_duration()
            }
            c => match self.duration_word(c) {
                Some(kind) => self.emit(kind),
                None => {
                    Err(format!("unexpected character in duration expression: {}", quote_char(c)))
                }
            },
        }
    }

    fn inside_braces(&mut self) -> Step {
        let Some(c) = self.next() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        match c {
            '#' => self.comment(),
            c if is_space(c) => Ok(()),
            c if is_letter(c) => {
                self.skip_while(is_alphanumeric);
                self.emit(TokenKind::Identifier)
            }
            ',' => self.emit(TokenKind::Comma),
            '"' | '\'' => self.quoted(c),
            '`' => self.raw(),
            '=' if self.accept(|c| c == '~') => self.emit(TokenKind::Matches),
            '=' => self.emit(TokenKind::Assign),
            '!' => match self.next() {
                Some('~') => self.emit(TokenKind::MatchesNot),
                Some('=') => self.emit(TokenKind::Operator(BinaryOp::NotEqual)),
                other => Err(format!(
                    "unexpected character after '!' inside braces: {}",
                    quote_char(other.unwrap_or(char::REPLACEMENT_CHARACTER))
                )),
            },
            '{' => Err(format!("unexpected left brace {}", quote_char(c))),
            '}' => {
                self.brace_open = false;
                self.emit(TokenKind::RightBrace)
            }
            c => Err(format!("unexpected character inside braces: {}", quote_char(c))),
        }
    }

    fn comment(&mut self) -> Step {
        self.skip_while(|c| c != '\n' && c != '\r');
        Ok(())
    }

    fn arithmetic(&mut self, c: char) -> Step {
        self.emit(TokenKind::Operator(match c {
            '+' => BinaryOp::Add,
            '-' => BinaryOp::Sub,
            '*' => BinaryOp::Mul,
            '/' => BinaryOp::Div,
            '%' => BinaryOp::Mod,
            _ => BinaryOp::Pow,
        }))
    }

    fn comparison(&mut self, c: char) -> Step {
        let next = self.peek();
        let op = match (c, next) {
            ('=', Some('~')) => return Err("unexpected character after '=': '~'".to_owned()),
            ('=', Some('=')) => BinaryOp::Equal,
            ('=', _) => return self.emit(TokenKind::Assign),
            ('!', Some('=')) => BinaryOp::NotEqual,
            ('!', _) => {
                let next = quote_char(next.unwrap_or(char::REPLACEMENT_CHARACTER));
                return Err(format!("unexpected character after '!': {next}"));
            }
            ('<', Some('=')) => BinaryOp::LessOrEqual,
            ('<', Some('/')) => BinaryOp::TrimUpper,
            ('<', _) => return self.emit(TokenKind::Operator(BinaryOp::Less)),
            (_, Some('=')) => BinaryOp::GreaterOrEqual,
            (_, Some('/')) => BinaryOp::TrimLower,
            _ => return self.emit(TokenKind::Operator(BinaryOp::Greater)),
        };
        self.next();
        self.emit(TokenKind::Operator(op))
    }

    fn left_paren(&mut self) -> Step {
        self.parens += 1;
        self.emit(TokenKind::LeftParen)
    }

    fn right_paren(&mut self) -> Step {
        self.emit(TokenKind::RightParen)?;
        if self.parens == 0 {
            return self.retract("unexpected right parenthesis ')'");
        }
        self.parens -= 1;
        Ok(())
    }

    /// An error that Prometheus reports in place of the token just read, at that token's end.
    fn retract(&mut self, message: &str) -> Step {
        self.list.pop();
        Err(message.to_owned())
    }

    fn starts_number(&self, c: char) -> bool {
        c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit()))
    }

    /// A keyword or a name; inside brackets a colon or a function of durations.
    fn word(&mut self, c: char) -> Step {
        if self.bracket_open {
            return match c {
                ':' if self.colon_seen => Err(format!("unexpected colon {}", quote_char(c))),
                ':' => {
                    self.colon_seen = true;
                    self.emit(TokenKind::Colon)
                }
                c => match self.duration_word(c) {
                    Some(kind) => self.emit(kind),
                    None => Err(format!(
                        "unexpected character: {}, expected {}",
                        quote_char(c),
                        quote_char(':')
                    )),
                },
            };
        }
        self.skip_while(|c| is_alphanumeric(c) || c == ':');
        let word = &self.text[self.start..self.position];
        self.emit(match keyword(word) {
            // Metrics may have these names: a modifier is always followed by its value.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.text[self.position..].trim_start_matches(is_space).starts_with('(') =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        })
    }

    /// The function of durations that begins with `c`.
    fn duration_word(&mut self, c: char) -> Option<TokenKind> {
        if !matches!(c.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.skip_while(is_letter);
        let kind = duration_keyword(&self.text[self.start..self.position]);
        debug_assert!(!matches!(kind, Some(TokenKind::Builtin(Builtin::Start | Builtin::End))));
        kind
    }

    fn bad_number(&self) -> String {
        let text = &self.text[self.start..self.position];
        format!("bad number or duration syntax: {}", quote(text))
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit()
}
