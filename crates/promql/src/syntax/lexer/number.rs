//! Extents of numbers and durations; their values are computed in `literal`.
//!
//! The lexer takes what looks like a number, `0.5.3` included; whether it is one is asked later.

use super::{Lexer, Step, is_alphanumeric};
use crate::syntax::token::TokenKind;

impl Lexer<'_> {
    /// The first character has been consumed.
    pub(super) fn number_or_duration(&mut self) -> Step {
        self.position = self.start;
        if self.number() {
            return self.emit(TokenKind::Number);
        }
        if !self.rest_of_duration() {
            return Err(self.bad_number());
        }
        self.emit(TokenKind::Duration)
    }

    /// Moves behind a number; false where it breaks off.
    fn number(&mut self) -> bool {
        let hex = self.accept(|c| c == '0') && self.accept(|c| matches!(c, 'x' | 'X'));
        if hex {
            self.accept(|c| c == '_');
        }
        let digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let exponent = |c: char| matches!(c, 'e' | 'E');
        let broken = |c: char| matches!(c, '.' | '_' | 'e' | 'E');
        self.accept(|c| c == '.');
        self.accept(digit);
        let (mut dot_seen, mut exponent_seen) = (false, false);
        while let Some(c) = self.peek().filter(|&c| digit(c) || broken(c)) {
            if (c == '.' && dot_seen) || (exponent(c) && exponent_seen) {
                self.next();
                return false;
            }
            if self.accept(|c| c == '.') {
                dot_seen = true;
                if self.accept(|c| matches!(c, '_' | '.')) || hex {
                    return false;
                }
            } else if self.accept(exponent) {
                exponent_seen = true;
                self.accept(|c| matches!(c, '+' | '-'));
                if self.accept(broken) || self.peek().is_none() {
                    return false;
                }
            } else if self.accept(|c| c == '_') {
                if self.accept(broken) || self.peek().is_none() {
                    return false;
                }
            } else {
                self.skip_while(digit);
            }
        }
        self.position > self.start && !self.peek().is_some_and(is_alphanumeric)
    }

    /// Moves behind a duration whose first digits have been consumed; on failure the position
    /// includes the offending character.
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w' | 'y')) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            self.skip_while(|c| c.is_ascii_digit());
            if !self.accept(|c| matches!(c, 's' | 'm' | 'h' | 'd' | 'w')) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}
