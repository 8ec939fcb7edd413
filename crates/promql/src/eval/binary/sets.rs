//! `and`, `or`, `unless`: samples of one side by whether the other side has any like it.

use super::signature::{Side, Signatures};
use crate::eval::frame::{ABSENT, Frame, is_absent};
use crate::{Interrupt, QueryError};

/// Drops the samples of `frame` for which the other side has (`keep` is false) or has not (`keep` is
/// true) a sample of the same pairing at the same step. Costs each side once, however they pair.
fn filter(
    frame: &mut Frame,
    (own, others): (&Side, &Side),
    other: &Frame,
    keep: bool,
    interrupt: &Interrupt,
) -> Result<(), QueryError> {
    let mut present = vec![false; frame.steps()];
    for pairing in 0..own.pairings() {
        interrupt.check()?;
        present.fill(false);
        for &j in others.members(pairing) {
            for (seen, cell) in present.iter_mut().zip(other.column(j).cells) {
                *seen |= !is_absent(*cell);
            }
        }
        for &i in own.members(pairing) {
            for (cell, present) in frame.cells_mut(i).iter_mut().zip(&present) {
                if *present != keep {
                    *cell = ABSENT;
                }
            }
        }
    }
    frame.compact();
    Ok(())
}

pub(super) fn and(
    mut lhs: Frame,
    rhs: &Frame,
    signatures: &Signatures,
    interrupt: &Interrupt,
) -> Result<Frame, QueryError> {
    filter(&mut lhs, (&signatures.lhs, &signatures.rhs), rhs, true, interrupt)?;
    Ok(lhs)
}

pub(super) fn unless(
    mut lhs: Frame,
    rhs: &Frame,
    signatures: &Signatures,
    interrupt: &Interrupt,
) -> Result<Frame, QueryError> {
    filter(&mut lhs, (&signatures.lhs, &signatures.rhs), rhs, false, interrupt)?;
    Ok(lhs)
}

pub(super) fn or(
    mut lhs: Frame,
    mut rhs: Frame,
    signatures: &Signatures,
    interrupt: &Interrupt,
) -> Result<Frame, QueryError> {
    filter(&mut rhs, (&signatures.rhs, &signatures.lhs), &lhs, false, interrupt)?;
    lhs.append(rhs);
    Ok(lhs)
}
