//! `and`, `or`, `unless`: samples of one side by whether the other side has any like it.

use super::signature::{Side, Signatures};
use crate::QueryError;
use crate::eval::frame::{ABSENT, Frame, is_absent};

/// Drops the samples of `frame` for which the other side has (`keep` is false) or has not (`keep` is
/// true) a sample of the same pairing at the same step.
fn filter(frame: &mut Frame, own: &Side, other: &Frame, others: &Side, keep: bool) {
    let mut present = vec![false; frame.steps()];
    let mut last = None;
    for i in 0..frame.len() {
        let pairing = own.of[i] as usize;
        // Neighbouring series are often of one pairing.
        if last != Some(pairing) {
            last = Some(pairing);
            present.fill(false);
            for &j in others.members(pairing) {
                for (seen, cell) in present.iter_mut().zip(other.column(j).cells) {
                    *seen |= !is_absent(*cell);
                }
            }
        }
        for (cell, present) in frame.cells_mut(i).iter_mut().zip(&present) {
            if *present != keep {
                *cell = ABSENT;
            }
        }
    }
    frame.compact();
}

pub(super) fn and(mut lhs: Frame, rhs: &Frame, signatures: &Signatures) -> Frame {
    filter(&mut lhs, &signatures.lhs, rhs, &signatures.rhs, true);
    lhs
}

pub(super) fn unless(mut lhs: Frame, rhs: &Frame, signatures: &Signatures) -> Frame {
    filter(&mut lhs, &signatures.lhs, rhs, &signatures.rhs, false);
    lhs
}

pub(super) fn or(
    mut lhs: Frame,
    mut rhs: Frame,
    signatures: &Signatures,
) -> Result<Frame, QueryError> {
    filter(&mut rhs, &signatures.rhs, &lhs, &signatures.lhs, false);
    lhs.append(rhs)?;
    Ok(lhs)
}
