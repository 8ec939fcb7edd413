//! What is found wrong, or worth a remark, while pairings are evaluated one after the other.

use hashbrown::HashMap;

use crate::eval::annotations::Annotations;

/// What can be wrong at a step.
pub(super) enum Fault {
    /// Two series of the one side in a pairing.
    Duplicate(usize, usize),
    /// A second series of the many side, although the matching is one to one.
    Ambiguous,
    /// Two results with the same labels.
    SameLabels,
}

/// What is found out while pairings are evaluated.
#[derive(Default)]
pub(super) struct Findings {
    /// The earliest fault: its step, its place among those of the step.
    pub fault: Option<((usize, u8, usize), Fault)>,
    /// By step, the remark made last: its place, itself.
    pub remarks: HashMap<usize, (usize, Annotations)>,
}

impl Findings {
    pub fn fault(&mut self, at: (usize, u8, usize), fault: Fault) {
        if self.fault.as_ref().is_none_or(|(first, _)| at < *first) {
            self.fault = Some((at, fault));
        }
    }

    pub fn remark(&mut self, step: usize, place: usize, notes: Annotations) {
        let last = self.remarks.entry(step).or_insert_with(|| (place, Annotations::default()));
        if last.0 <= place {
            *last = (place, notes);
        }
    }
}
