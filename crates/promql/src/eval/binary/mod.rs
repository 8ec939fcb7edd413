//! Binary operators between two instant vectors.

mod findings;
mod matching;
mod one_to_one;
mod sets;
mod signature;

use std::cell::Cell;

use crate::QueryError;
use crate::ast::{BinaryOp, Span};
use crate::eval::Evaluator;
use crate::eval::frame::Frame;
use crate::eval::grid::Grid;
use crate::eval::relabel::unite;
use crate::plan::Binary;
use signature::Signatures;

impl<'a> Evaluator<'a> {
    pub(super) fn binary(
        &mut self,
        binary: &'a Binary,
        span: Span,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let Some(rules) = &binary.matching else {
            return Err(QueryError::execution("vectors need to be matched"));
        };
        let lhs = self.vector(&binary.lhs, grid)?;
        let rhs = self.vector(&binary.rhs, grid)?;
        let interrupt = self.query.interrupt;
        let signatures = Signatures::new(rules, &lhs, &rhs);
        interrupt.check()?;
        let (frame, unique) = match binary.op {
            BinaryOp::And => (sets::and(lhs, &rhs, &signatures, interrupt)?, true),
            BinaryOp::Unless => (sets::unless(lhs, &rhs, &signatures, interrupt)?, true),
            BinaryOp::Or => {
                let unique = !signatures.overlap();
                (sets::or(lhs, rhs, &signatures, interrupt)?, unique)
            }
            _ => {
                let matching = matching::Matching {
                    query: self.query,
                    binary,
                    rules,
                    span,
                    signatures: &signatures,
                    instant: grid.is_instant(),
                    ambiguous: Cell::new(false),
                };
                matching.apply(&lhs, &rhs, &mut self.notes)?
            }
        };
        // At an instant Prometheus looks for series that became equal at the end only, if names are
        // removed then.
        if unique || (grid.is_instant() && self.query.options.delayed_name_removal) {
            return Ok(frame);
        }
        unite(frame)
    }
}
