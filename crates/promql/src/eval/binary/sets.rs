//! `and`, `or`, `unless`: samples of one side by whether the other side has any like it.

use super::signature::Signatures;
use crate::QueryError;
use crate::eval::frame::{ABSENT, Frame, is_absent};

/// For each pairing, at which steps one side has a sample. Pairings that nobody asks for are left out.
struct Presence {
    steps: usize,
    rows: Vec<Option<Vec<bool>>>,
}

impl Presence {
    fn of(frame: &Frame, members: impl Iterator<Item = Option<Vec<usize>>>) -> Self {
        let row = |series: Vec<usize>| {
            let mut row = vec![false; frame.steps()];
            for i in series {
                for (seen, cell) in row.iter_mut().zip(frame.column(i).cells) {
                    *seen |= !is_absent(*cell);
                }
            }
            row
        };
        Self { steps: frame.steps(), rows: members.map(|series| series.map(row)).collect() }
    }

    fn at(&self, pairing: usize, step: usize) -> bool {
        debug_assert!(step < self.steps);
        self.rows[pairing].as_ref().is_some_and(|row| row[step])
    }
}

/// Of both sides, the series that meet any of the other.
fn of_rhs(rhs: &Frame, signatures: &Signatures) -> Presence {
    let members = signatures.pairings.iter();
    Presence::of(rhs, members.map(|pairing| (!pairing.lhs.is_empty()).then(|| pairing.rhs.clone())))
}

/// Drops the samples for which `keep` does not hold, given the pairing and the step.
fn filter(frame: &mut Frame, pairings: &[usize], keep: impl Fn(usize, usize) -> bool) {
    for (i, &pairing) in pairings.iter().enumerate() {
        for (step, cell) in frame.cells_mut(i).iter_mut().enumerate() {
            if !keep(pairing, step) {
                *cell = ABSENT;
            }
        }
    }
    frame.compact();
}

pub(super) fn and(mut lhs: Frame, rhs: &Frame, signatures: &Signatures) -> Frame {
    let present = of_rhs(rhs, signatures);
    filter(&mut lhs, &signatures.of_lhs, |pairing, step| present.at(pairing, step));
    lhs
}

pub(super) fn unless(mut lhs: Frame, rhs: &Frame, signatures: &Signatures) -> Frame {
    let present = of_rhs(rhs, signatures);
    filter(&mut lhs, &signatures.of_lhs, |pairing, step| !present.at(pairing, step));
    lhs
}

pub(super) fn or(
    mut lhs: Frame,
    mut rhs: Frame,
    signatures: &Signatures,
) -> Result<Frame, QueryError> {
    let members = signatures.pairings.iter();
    let members = members.map(|pairing| (!pairing.rhs.is_empty()).then(|| pairing.lhs.clone()));
    let present = Presence::of(&lhs, members);
    filter(&mut rhs, &signatures.of_rhs, |pairing, step| !present.at(pairing, step));
    lhs.append(rhs)?;
    Ok(lhs)
}
