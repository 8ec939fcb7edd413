//! Extents of strings, with every escape sequence checked; their values are computed in `literal`.

use super::{Lexer, Step};
use crate::print::code_point;
use crate::syntax::token::TokenKind;

impl Lexer<'_> {
    /// The opening quote has been consumed.
    pub(super) fn quoted(&mut self, quote: char) -> Step {
        loop {
            match self.next() {
                Some('\\') => self.escape(quote)?,
                // Prometheus takes the replacement character itself for broken UTF-8.
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return self.emit(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    pub(super) fn raw(&mut self) -> Step {
        loop {
            match self.next() {
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None => return Err("unterminated raw string".to_owned()),
                Some('`') => return self.emit(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self, quote: char) -> Step {
        let (digits, radix, max) = match self.next() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('0'..='7') => {
                self.position -= 1;
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, char::MAX as u32),
            Some('U') => (8, 16, char::MAX as u32),
            None => return Err("escape sequence not terminated".to_owned()),
            Some(c) => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        let mut value: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.next() else {
                return Err("escape sequence not terminated".to_owned());
            };
            let Some(digit) = c.to_digit(radix) else {
                return Err(format!("illegal character {} in escape sequence", code_point(c)));
            };
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if value > max || (0xD800..0xE000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}
