//! Which operator binds which operands: promql-parser's grammar, asked about operators alone.
//!
//! The crate knows no positions, refuses valid literals, regular expressions and newer syntax,
//! panics on some durations, and recurses as deep as its input. So it never sees the query: each
//! operand (a selector, a call, a parenthesis, with all that hangs on it) becomes the same one-letter
//! metric, each operator stands for those of its precedence, and the tree that comes back is read
//! as an order of evaluation. What bounds the crate's work is the length of one chain.

use std::panic::catch_unwind;

use promql_parser::parser::{self, Expr};

use super::cursor::{Fault, Parsed};
use crate::ast::{BinaryOp, Span};

/// One part of a chain like `a + -b * c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    Operand,
    /// A sign before an operand.
    Sign,
    Binary(BinaryOp),
}

/// Operands that wait for their operator.
pub struct Stack<N>(Vec<N>);

impl<N> Stack<N> {
    pub fn pop(&mut self) -> Parsed<N> {
        self.0.pop().ok_or_else(broken)
    }
}

/// A chain that is no expression: the grammars that make chains exclude it.
fn broken() -> Fault {
    Fault::new(Span::default(), "operators and operands do not alternate")
}

/// Combines the parts of a chain in the order that their symbols ask for.
pub fn resolve<P, N>(
    mut chain: Vec<P>,
    symbol: fn(&P) -> Symbol,
    reduce: impl Fn(P, &mut Stack<N>) -> Parsed<N>,
) -> Parsed<N> {
    let mut stack = Stack(Vec::new());
    if chain.len() == 1 {
        return reduce(chain.pop().ok_or_else(broken)?, &mut stack);
    }
    let symbols: Vec<Symbol> = chain.iter().map(symbol).collect();
    let order = postfix(&symbols).ok_or_else(broken)?;
    let mut parts: Vec<Option<P>> = chain.into_iter().map(Some).collect();
    for index in order {
        let part = parts.get_mut(index).and_then(Option::take).ok_or_else(broken)?;
        let node = reduce(part, &mut stack)?;
        stack.0.push(node);
    }
    stack.pop()
}

/// The symbols' indices in postfix order: operands first, then what combines them.
///
/// `None` for a chain that is no expression, which the caller's grammar excludes.
fn postfix(chain: &[Symbol]) -> Option<Vec<usize>> {
    let skeleton: String = chain.iter().map(|symbol| spelling(*symbol)).collect();
    let tree = catch_unwind(|| parser::parse(&skeleton)).ok()?.ok()?;
    let mut order = Vec::with_capacity(chain.len());
    let mut next = 0;
    visit(&tree, &mut next, &mut order)?;
    (order.len() == chain.len()).then_some(order)
}

fn spelling(symbol: Symbol) -> &'static str {
    match symbol {
        Symbol::Operand => " x",
        Symbol::Sign => " -",
        Symbol::Binary(op) => match op {
            BinaryOp::Or => " or",
            BinaryOp::And | BinaryOp::Unless => " and",
            BinaryOp::Add | BinaryOp::Sub => " +",
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => " *",
            BinaryOp::Pow => " ^",
            // The crate has no trim operators; their precedence is that of comparisons.
            BinaryOp::TrimUpper | BinaryOp::TrimLower => " ==",
            BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Less => " ==",
            BinaryOp::LessOrEqual | BinaryOp::Greater | BinaryOp::GreaterOrEqual => " ==",
        },
    }
}

/// Symbols lie in the tree from left to right; each is counted where it stands in the chain and
/// entered when its operands have been.
fn visit(tree: &Expr, next: &mut usize, order: &mut Vec<usize>) -> Option<()> {
    let mut count = || {
        *next += 1;
        *next - 1
    };
    let own = match tree {
        Expr::VectorSelector(_) => count(),
        Expr::Unary(unary) => {
            let own = count();
            visit(&unary.expr, next, order)?;
            own
        }
        Expr::Binary(binary) => {
            visit(&binary.lhs, next, order)?;
            *next += 1;
            let own = *next - 1;
            visit(&binary.rhs, next, order)?;
            own
        }
        _ => return None,
    };
    order.push(own);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::Symbol::{Binary, Operand, Sign};
    use super::*;

    #[test]
    fn precedence_and_associativity_are_promqls() {
        let order = |chain: &[Symbol]| postfix(chain).expect("a valid chain");
        let (add, pow) = (Binary(BinaryOp::Add), Binary(BinaryOp::Pow));
        assert_eq!(order(&[Operand]), [0]);
        // a + b ^ c ^ d: the power first, from the right.
        assert_eq!(
            order(&[Operand, add, Operand, pow, Operand, pow, Operand]),
            [0, 2, 4, 6, 5, 3, 1]
        );
        // -a ^ b + c: the sign takes the power, the sum comes last.
        assert_eq!(order(&[Sign, Operand, pow, Operand, add, Operand]), [1, 3, 2, 0, 5, 4]);
        // a or b unless c </ d
        let chain = [
            Operand,
            Binary(BinaryOp::Or),
            Operand,
            Binary(BinaryOp::Unless),
            Operand,
            Binary(BinaryOp::TrimUpper),
            Operand,
        ];
        assert_eq!(order(&chain), [0, 2, 4, 6, 5, 3, 1]);
        assert_eq!(postfix(&[Operand, Operand]), None);
    }
}
