//! The log's state and what is said of groups: votes, truncations, purges. Entries are appended in
//! `append`, written in `write`, read in `read`; `recover` rebuilds all of it.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::cursor::Cursor;
use super::error::LogError;
use super::folder::{Folder, SPARES};
use super::group::{Group, Position};
use super::record::{HEADER, Header, Kind};
use super::recover::TornTail;
use super::segment::Segment;
use super::{EntryId, Vote};

/// Segments that one [`Log::reclaim`] frees: removing a file of this size takes some 30 ms.
const RECLAIMED_AT_ONCE: usize = 1;

/// One segmented log for all groups of a node.
///
/// Writes are seen by reads at once and durable after [`Log::sync`]. A disk error, other than a full
/// disk met while writing, stops the log: the file's state is unknown until it is opened anew.
pub struct Log {
    pub(super) folder: Folder,
    pub(super) identity: u128,
    /// Oldest first, without gaps; the last one is written to.
    pub(super) segments: VecDeque<Segment>,
    pub(super) groups: HashMap<u32, Group>,
    /// Bytes of the last segment that are durable; all older segments are.
    pub(super) durable: u32,
    pub(super) generation: u64,
    pub(super) poisoned: bool,
    /// What lies behind the end may be a valid record on the disk, left by a write that failed.
    pub(super) debris: bool,
    /// What is about to be written; kept for its memory.
    pub(super) buffer: Vec<u8>,
    /// Batches so far, for [`Group::staged`].
    pub(super) batches: u64,
    pub(super) torn: Option<TornTail>,
}

impl Log {
    /// What opening the log cut off its end.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The group's last entry; a purged one if nothing came after it.
    pub fn last(&self, group: u32) -> Option<EntryId> {
        self.groups.get(&group)?.last
    }

    /// The index of [`Log::last`].
    pub fn last_index(&self, group: u32) -> Option<u64> {
        self.last(group).map(|id| id.index)
    }

    /// The group's first entry that can be read.
    pub fn first_index(&self, group: u32) -> Option<u64> {
        self.groups.get(&group)?.live().map(|(first, _)| first)
    }

    /// The group's last purged entry.
    pub fn purged(&self, group: u32) -> Option<EntryId> {
        self.groups.get(&group)?.purged
    }

    pub fn vote(&self, group: u32) -> Option<Vote> {
        self.groups.get(&group)?.vote
    }

    /// The groups the log knows, in no particular order.
    pub fn groups(&self) -> impl Iterator<Item = u32> {
        self.groups.keys().copied()
    }

    /// The groups whose entries keep the oldest segment from being reclaimed.
    pub fn holders_of_oldest(&self) -> impl Iterator<Item = u32> {
        let oldest = self.segments.front().map(|segment| segment.header.seq);
        let held = self.groups.iter().filter(move |(_, group)| group.oldest_segment() == oldest);
        held.map(|(group, _)| *group)
    }

    /// Bytes of all segments on the disk, without the spare one.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.allocated)).sum()
    }

    /// The number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether everything written is durable.
    pub fn is_synced(&self) -> bool {
        self.durable == self.active().end
    }

    /// Makes all writes so far durable. After an error every later write is refused.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if self.is_synced() {
            return Ok(());
        }
        self.sync_active()?;
        self.mark(Kind::Mark);
        Ok(())
    }

    /// Writes a record without payload and applies it.
    fn write_bare(&mut self, record: Header) -> Result<(), LogError> {
        self.check_usable()?;
        self.make_room(HEADER, 0)?;
        let at = self.put(record)?;
        let applied = self.groups.entry(record.group).or_default().apply(&record, at);
        applied.expect("the record was checked against the group's state");
        Ok(())
    }

    /// Saves a group's vote, durable after [`Log::sync`].
    pub fn save_vote(&mut self, group: u32, vote: Vote) -> Result<(), LogError> {
        self.write_bare(vote.record(group))
    }

    /// Removes the group's entries from index `from` on.
    pub fn truncate_suffix(&mut self, group: u32, from: u64) -> Result<(), LogError> {
        self.check_usable()?;
        let Some(state) = self.groups.get(&group) else { return Ok(()) };
        if state.purged.is_some_and(|purged| from <= purged.index) {
            return Err(LogError::NoEntry { group, index: from });
        }
        if state.live().is_none_or(|(_, last)| from > last) {
            return Ok(());
        }
        let before = from.checked_sub(1).and_then(|index| state.position(index));
        let term = match before {
            Some(position) => self.header_at(position)?.term,
            None => state.purged.map_or(0, |purged| purged.term),
        };
        self.write_bare(Header::bare(Kind::Truncate, group, term, from))
    }

    /// Gives up the group's entries up to and including `upto`, which may be later than the last one:
    /// the group then goes on after it. Space is freed by [`Log::reclaim`].
    pub fn purge_prefix(&mut self, group: u32, upto: EntryId) -> Result<(), LogError> {
        let state = self.groups.entry(group).or_default();
        let before = state.live().is_some_and(|(first, _)| upto.index < first);
        if before || state.purged.is_some_and(|purged| upto.index <= purged.index) {
            return self.check_usable();
        }
        self.write_bare(Header::bare(Kind::Purge, group, upto.term, upto.index))
    }

    /// Makes the purges durable and frees segments that only hold purged entries, one at a time: a
    /// file's removal takes milliseconds, and writes wait. Returns how many; 0 when none is left.
    pub fn reclaim(&mut self) -> Result<usize, LogError> {
        self.sync()?;
        let idle = self.groups.values().all(|group| group.oldest_segment().is_none());
        if idle {
            self.shrink()?;
        }
        let active = self.active().header.seq;
        let needed = self.groups.values().filter_map(Group::oldest_segment).min().unwrap_or(active);
        let free = self.segments.iter().take_while(|segment| segment.header.seq < needed);
        let freed = free.take(RECLAIMED_AT_ONCE).count();
        for _ in 0..freed {
            let retired = self.folder.retire(&self.segments[0].path);
            self.fatal(retired)?;
            self.segments.pop_front();
        }
        let trimmed = self.folder.trim_spares(if idle { 0 } else { SPARES });
        self.fatal(trimmed)?;
        if freed > 0 {
            let synced = self.folder.sync();
            self.fatal(synced)?;
        }
        Ok(freed)
    }

    /// Goes on in a small segment, for everything is elsewhere: an idle log keeps no large one, and no
    /// spare. On a full disk that must wait until something is freed.
    fn shrink(&mut self) -> Result<(), LogError> {
        let trimmed = self.folder.trim_spares(0);
        self.fatal(trimmed)?;
        if self.active().allocated <= self.folder.first_size() {
            return Ok(());
        }
        match self.rotate() {
            Err(LogError::Full { .. }) => Ok(()),
            done => done,
        }
    }

    pub(super) fn check_usable(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    pub(super) fn active(&self) -> &Segment {
        self.segments.back().expect("a log has at least one segment")
    }

    pub(super) fn active_mut(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has at least one segment")
    }

    pub(super) fn segment(&self, seq: u32) -> Option<&Segment> {
        let oldest = self.segments.front()?.header.seq;
        self.segments.get(seq.checked_sub(oldest)? as usize)
    }

    /// The header of an entry that is known to be there.
    fn header_at(&self, position: Position) -> Result<Header, LogError> {
        let segment = self.segment(position.seq).expect("live entries are in known segments");
        let mut cursor = Cursor::new(segment, segment.end, HEADER);
        cursor.header(position.offset).map_err(|why| cursor.refuse(position.offset, why))
    }
}
