//! What goes wrong and when: failures at the nth operation of a kind, and the power cut itself.

use std::collections::BTreeMap;
use std::io;

/// The operations that are counted and can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Open,
    List,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    Sync,
    SetLen,
    Allocate,
}

#[derive(Default)]
pub(super) struct Faults {
    counts: BTreeMap<Operation, u64>,
    planned: Vec<Fault>,
    /// Operations that still work before the power goes; `None`: it stays.
    power: Option<u64>,
}

struct Fault {
    operation: Operation,
    /// Operations of this kind that still work, then operations that fail.
    spared: u64,
    times: u64,
    kind: io::ErrorKind,
}

impl Faults {
    pub(super) fn plan(
        &mut self,
        operation: Operation,
        spared: u64,
        times: u64,
        kind: io::ErrorKind,
    ) {
        self.planned.push(Fault { operation, spared, times, kind });
    }

    pub(super) fn heal(&mut self) {
        self.planned.clear();
        self.power = None;
    }

    pub(super) fn cut_power_after(&mut self, operations: u64) {
        self.power = Some(operations);
    }

    pub(super) fn count(&self, operation: Operation) -> u64 {
        self.counts.get(&operation).copied().unwrap_or(0)
    }

    /// Counts the operation and says whether it works.
    pub(super) fn check(&mut self, operation: Operation) -> io::Result<()> {
        *self.counts.entry(operation).or_default() += 1;
        match &mut self.power {
            Some(0) => return Err(io::Error::other("simulated power cut")),
            Some(left) => *left -= 1,
            None => {}
        }
        for fault in self.planned.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.spared > 0 {
                fault.spared -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(io::Error::new(fault.kind, "simulated failure"));
            }
        }
        Ok(())
    }
}
