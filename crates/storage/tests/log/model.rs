//! What a log must hold: a history of operations of which a crash may forget the unsynced end.

use std::collections::BTreeMap;

use metricstor_storage::wal::{Entry, EntryId, Log, LogError, Vote};

pub const GROUPS: u32 = 4;

#[derive(Clone, Debug)]
pub enum Operation {
    Append { group: u32, id: EntryId, payload: Vec<u8> },
    Vote { group: u32, vote: Vote },
    Truncate { group: u32, from: u64 },
    Purge { group: u32, upto: EntryId },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupState {
    /// By index: term, place in the order of all appends, payload.
    pub entries: BTreeMap<u64, (u64, u64, Vec<u8>)>,
    pub last: Option<EntryId>,
    pub purged: Option<EntryId>,
    pub vote: Option<Vote>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub groups: BTreeMap<u32, GroupState>,
    appended: u64,
}

impl State {
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Append { group, id, payload } => {
                self.appended += 1;
                let state = self.groups.entry(*group).or_default();
                state.entries.insert(id.index, (id.term, self.appended, payload.clone()));
                state.last = Some(*id);
            }
            Operation::Vote { group, vote } => {
                self.groups.entry(*group).or_default().vote = Some(*vote);
            }
            Operation::Truncate { group, from } => {
                let state = self.groups.entry(*group).or_default();
                state.entries.split_off(from);
                let last = state.entries.last_key_value();
                state.last =
                    last.map(|(&index, &(term, ..))| EntryId { term, index }).or(state.purged);
            }
            Operation::Purge { group, upto } => {
                let state = self.groups.entry(*group).or_default();
                state.entries = state.entries.split_off(&(upto.index + 1));
                state.purged = Some(*upto);
                if state.entries.is_empty() {
                    state.last = Some(*upto);
                }
            }
        }
    }

    /// Whether the log holds exactly this, as far as its interface shows.
    pub fn is_in(&self, log: &Log) -> Result<bool, LogError> {
        let empty = GroupState::default();
        let mut all = BTreeMap::new();
        for group in 0..GROUPS {
            let state = self.groups.get(&group).unwrap_or(&empty);
            let first = state.entries.keys().next().copied();
            if (log.last(group), log.purged(group), log.vote(group), log.first_index(group))
                != (state.last, state.purged, state.vote, first)
            {
                return Ok(false);
            }
            let indices = first.map_or(0..0, |first| first..state.last.unwrap().index + 1);
            let mut read = Vec::new();
            log.read(group, indices, |entry| {
                read.push(owned(entry));
                Ok::<_, LogError>(())
            })?;
            let entries = state.entries.iter();
            let wanted: Vec<_> = entries.map(|(i, e)| (group, e.0, *i, e.2.clone())).collect();
            if read != wanted {
                return Ok(false);
            }
            all.extend(state.entries.iter().map(|(i, e)| (e.1, (group, e.0, *i, e.2.clone()))));
        }
        let mut replayed = Vec::new();
        log.replay(
            |_| 0,
            |entry| {
                replayed.push(owned(entry));
                Ok::<_, LogError>(())
            },
        )?;
        Ok(replayed == all.into_values().collect::<Vec<_>>())
    }
}

fn owned(entry: Entry<'_>) -> (u32, u64, u64, Vec<u8>) {
    (entry.group, entry.term, entry.index, entry.payload.to_vec())
}

/// The history since the log was last known entirely.
#[derive(Default)]
pub struct Model {
    base: State,
    operations: Vec<Operation>,
    synced: usize,
    /// Operations that failed, and after how many others: the disk may hold their first part.
    failed: Vec<(usize, Vec<Operation>)>,
    /// All operations applied.
    pub now: State,
}

impl Model {
    pub fn did(&mut self, operations: &[Operation]) {
        operations.iter().for_each(|operation| self.now.apply(operation));
        self.operations.extend_from_slice(operations);
    }

    pub fn tried(&mut self, operations: &[Operation]) {
        self.failed.push((self.operations.len(), operations.to_vec()));
    }

    pub fn synced(&mut self) {
        self.synced = self.operations.len();
    }

    /// After a restart without loss of power: all is there.
    pub fn expect_all(&mut self, log: &Log) -> Result<(), String> {
        if !self.now.is_in(log).map_err(|error| error.to_string())? {
            return Err(format!("a restart changed the log; wanted {:?}", self.now));
        }
        self.settle(self.now.clone());
        Ok(())
    }

    /// After a power cut: all that was synced is there, then operations without a gap.
    pub fn expect_prefix(&mut self, log: &Log) -> Result<usize, String> {
        let mut state = self.base.clone();
        for kept in 0..=self.operations.len() {
            if kept > 0 {
                state.apply(&self.operations[kept - 1]);
            }
            if kept < self.synced {
                continue;
            }
            let mut candidates = vec![state.clone()];
            for (_, failed) in self.failed.iter().filter(|(at, _)| *at == kept) {
                let mut partly = state.clone();
                for operation in failed {
                    partly.apply(operation);
                    candidates.push(partly.clone());
                }
            }
            for candidate in candidates {
                if candidate.is_in(log).map_err(|error| error.to_string())? {
                    self.settle(candidate);
                    return Ok(kept);
                }
            }
        }
        let lasts: Vec<_> = (0..GROUPS).map(|group| log.last(group)).collect();
        Err(format!(
            "the log holds no state between sync and crash: {} synced of {}, lasts {lasts:?}",
            self.synced,
            self.operations.len()
        ))
    }

    fn settle(&mut self, state: State) {
        *self = Model { base: state.clone(), now: state, ..Model::default() };
    }
}
