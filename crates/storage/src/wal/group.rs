//! What the log knows of one group: where its live entries are, its vote and its purge position.
//!
//! The live entries have consecutive indices and ever later positions. Appending and recovery change
//! a group through the same functions, so what is rebuilt is what was there.

use std::collections::VecDeque;

use super::record::{GRANTED, Header, Kind};
use super::{EntryId, Vote};

/// Where a record starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) seq: u32,
    pub(super) offset: u32,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    /// Of the entries `first..`, as they are in the log.
    positions: VecDeque<Position>,
    first: u64,
    /// The last entry, purged or not.
    pub(super) last: Option<EntryId>,
    pub(super) purged: Option<EntryId>,
    pub(super) vote: Option<Vote>,
    /// During recovery: entries from here to before `first` are in segments that are not there.
    owed: Option<u64>,
    /// While a batch is checked: the batch, and its last entry of this group.
    pub(super) staged: (u64, Option<EntryId>),
}

impl Group {
    /// Whether an entry may come after `last`. A group without history may begin at any index.
    pub(super) fn follows(id: EntryId, last: Option<EntryId>) -> bool {
        let next = last
            .is_none_or(|last| Some(id.index) == last.index.checked_add(1) && id.term >= last.term);
        next && id.index < u64::MAX
    }

    /// The live entries' first and last index.
    pub(super) fn live(&self) -> Option<(u64, u64)> {
        let count = self.positions.len() as u64;
        count.checked_sub(1).map(|more| (self.first, self.first + more))
    }

    pub(super) fn position(&self, index: u64) -> Option<Position> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.positions.get(at).copied()
    }

    /// The segment that holds the oldest live entry.
    pub(super) fn oldest_segment(&self) -> Option<u32> {
        self.positions.front().map(|position| position.seq)
    }

    pub(super) fn push(&mut self, id: EntryId, position: Position) {
        if self.positions.is_empty() && self.owed.is_none() {
            self.first = id.index;
        }
        self.positions.push_back(position);
        self.last = Some(id);
    }

    /// Drops the entries from `from` on; `term` is that of the entry before.
    pub(super) fn truncate(&mut self, from: u64, term: u64) {
        let keep = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.positions.truncate(keep);
        self.first = self.first.min(from);
        self.owed = self.owed.filter(|owed| *owed < from);
        let left = !self.positions.is_empty() || self.owed.is_some();
        self.last = match from.checked_sub(1) {
            Some(index) if left => Some(EntryId { term, index }),
            _ => self.purged,
        };
    }

    /// Drops the entries up to and including `upto`, also if they never came.
    pub(super) fn purge(&mut self, upto: EntryId) {
        let next = upto.index.saturating_add(1);
        let gone = usize::try_from(next.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.positions.drain(..gone.min(self.positions.len()));
        self.first = self.first.max(next);
        self.owed = self.owed.map(|owed| owed.max(next)).filter(|owed| *owed < self.first);
        self.purged = Some(upto);
        self.last = self.last.filter(|last| last.index > upto.index).or(Some(upto));
        if self.positions.capacity() > 1024 && self.positions.len() < self.positions.capacity() / 4
        {
            self.positions.shrink_to_fit();
        }
    }

    /// The records that tell a new segment all of this but the entries themselves.
    pub(super) fn opening(&self, group: u32) -> impl Iterator<Item = Header> {
        let vote = self.vote.map(|vote| vote.record(group));
        let purge = self.purged.map(|id| Header::bare(Kind::Purge, group, id.term, id.index));
        let retained =
            self.live().map(|(first, last)| Header::bare(Kind::Retained, group, first, last));
        [vote, purge, retained].into_iter().flatten()
    }

    /// Takes over a record of the oldest segment's opening state.
    pub(super) fn adopt(&mut self, record: &Header) -> Result<(), &'static str> {
        match record.kind {
            Kind::Vote => self.vote = Some(Vote::of(record)),
            Kind::Purge => self.purge(EntryId::of(record)),
            Kind::Retained => {
                let (first, last) = (record.term, record.index);
                let next = self.purged.map(|id| id.index.saturating_add(1));
                if first > last || last == u64::MAX || next.is_some_and(|next| next != first) {
                    return Err("an impossible range of entries");
                }
                self.owed = Some(first);
                self.first = last + 1;
                self.last = Some(EntryId { term: 0, index: last });
            }
            _ => return Err("a record that does not belong into the opening state"),
        }
        Ok(())
    }

    /// Compares a record of a later segment's opening state with what the log said so far.
    pub(super) fn confirm(&self, record: &Header) -> Result<(), &'static str> {
        let range = || {
            let last = self.last?.index;
            Some((self.owed.unwrap_or(self.first), last))
        };
        let agrees = match record.kind {
            Kind::Vote => self.vote == Some(Vote::of(record)),
            Kind::Purge => self.purged == Some(EntryId::of(record)),
            Kind::Retained => range() == Some((record.term, record.index)),
            _ => return Err("a record that does not belong into the opening state"),
        };
        if agrees { Ok(()) } else { Err("the opening state disagrees with the segments before") }
    }

    /// Applies a record that was appended to the log.
    pub(super) fn apply(&mut self, record: &Header, at: Position) -> Result<(), &'static str> {
        let id = EntryId::of(record);
        match record.kind {
            Kind::Entry if !Group::follows(id, self.last) => {
                return Err("an entry that does not follow its group's last one");
            }
            Kind::Entry => self.push(id, at),
            Kind::Vote => self.vote = Some(Vote::of(record)),
            Kind::Truncate => {
                let low = self.purged.is_some_and(|purged| record.index <= purged.index);
                if low || self.last.is_none_or(|last| record.index > last.index) {
                    return Err("a truncation of entries that are not there");
                }
                self.truncate(record.index, record.term);
            }
            Kind::Purge => {
                if self.purged.is_some_and(|purged| id.index <= purged.index) {
                    return Err("a purge that goes back");
                }
                self.purge(id);
            }
            Kind::Grown => return Err("the file is cut off: it was longer"),
            Kind::Retained | Kind::Mark | Kind::Seal => return Err("a record out of place"),
        }
        Ok(())
    }

    /// Whether entries are needed that no segment has.
    pub(super) fn is_incomplete(&self) -> bool {
        self.owed.is_some()
    }
}

impl EntryId {
    fn of(record: &Header) -> EntryId {
        EntryId { term: record.term, index: record.index }
    }
}

impl Vote {
    pub(super) fn record(self, group: u32) -> Header {
        let flags = if self.granted { GRANTED } else { 0 };
        Header { flags, ..Header::bare(Kind::Vote, group, self.term, self.node) }
    }

    fn of(record: &Header) -> Vote {
        Vote { term: record.term, node: record.index, granted: record.flags & GRANTED != 0 }
    }
}
