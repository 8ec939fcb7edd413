//! The log's state and its small writes: votes, truncations, purges. Entries are written in `append`,
//! read in `read`; `recover` rebuilds all of it.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::cursor::Cursor;
use super::error::LogError;
use super::folder::Folder;
use super::group::{Group, Position};
use super::record::{HEADER, Header, Kind};
use super::recover::TornTail;
use super::segment::{START, Segment, SegmentHeader};
use super::{EntryId, Vote};

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
        let (end, durable) = (self.active().end, self.durable);
        if durable == end {
            return Ok(());
        }
        if let Err(error) = self.active().file.sync_data() {
            self.poisoned = true;
            return Err(LogError::fatal("sync", &self.active().path, error));
        }
        self.durable = end;
        self.mark(Kind::Mark);
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

    /// Makes the purges durable and frees the segments that only hold purged entries. Returns the
    /// number of segments freed.
    pub fn reclaim(&mut self) -> Result<usize, LogError> {
        self.sync()?;
        let active = self.active().header.seq;
        let needed = self.groups.values().filter_map(Group::oldest_segment).min().unwrap_or(active);
        let mut freed = 0;
        while let Some(segment) = self.segments.front().filter(|s| s.header.seq < needed) {
            let retired = self.folder.retire(&segment.path);
            self.fatal(retired)?;
            self.segments.pop_front();
            freed += 1;
        }
        if freed > 0 {
            let synced = self.folder.sync();
            self.fatal(synced)?;
        }
        Ok(freed)
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

    /// Passes a result on; a disk error stops the log.
    pub(super) fn fatal<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.poisoned |= matches!(result, Err(LogError::Io { .. }));
        result
    }

    /// Makes room for `bytes` more in the last segment, and for a mark after them.
    pub(super) fn make_room(&mut self, bytes: u32) -> Result<(), LogError> {
        let active = self.active();
        let used = active.end > active.header.state_end;
        if used && active.end + bytes + HEADER > self.folder.segment_bytes {
            self.rotate()?;
        }
        let active = self.active_mut();
        let needed = active.end + bytes + HEADER;
        let mut size = active.allocated;
        while size < needed {
            size *= 2;
        }
        if size > active.allocated {
            let grown = active.file.allocate(size.into()).map_err(active.io("extend"));
            if grown.is_ok() {
                active.allocated = size;
            }
            return self.fatal(grown);
        }
        Ok(())
    }

    /// Goes on in a new segment. The old one is durable before the new one exists.
    fn rotate(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let (seq, end) = (self.active().header.seq, self.active().end);
        self.generation += 1;
        let created = create_segment(
            &mut self.folder,
            &self.groups,
            SegmentHeader {
                identity: self.identity,
                seq: seq + 1,
                generation: self.generation,
                previous_end: end,
                state_end: 0,
                allocated: 0,
            },
        );
        let created = self.fatal(created)?;
        self.mark(Kind::Seal);
        self.durable = created.end;
        self.segments.push_back(created);
        Ok(())
    }

    /// Notes after the last record that all before is durable. It is not synced itself, and the next
    /// append overwrites it: it serves to tell damage from a write that was never acknowledged.
    pub(super) fn mark(&mut self, kind: Kind) {
        let (durable, generation) = (self.durable, self.generation);
        let mark = Header { durable, generation, ..Header::bare(kind, 0, 0, 0) };
        let active = self.active();
        if active.allocated - active.end < HEADER {
            return;
        }
        let written = active.file.write_all_at(&mark.encode(active.seed), active.end.into());
        if let Err(error) = self.fatal(written.map_err(active.io("write"))) {
            // What is durable stays so: this call succeeds, and a disk error stops the next one.
            tracing::error!(%error, "cannot mark the end of the log");
        }
    }

    /// Writes a record without payload and applies it.
    fn write_bare(&mut self, record: Header) -> Result<(), LogError> {
        self.check_usable()?;
        self.make_room(HEADER)?;
        let record = Header { durable: self.durable, generation: self.generation, ..record };
        let active = self.active();
        let at = Position { seq: active.header.seq, offset: active.end };
        let written = active
            .file
            .write_all_at(&record.encode(active.seed), active.end.into())
            .map_err(active.io("write"));
        self.settle(written)?;
        self.active_mut().end += HEADER;
        let applied = self.groups.entry(record.group).or_default().apply(&record, at);
        applied.expect("the record was checked against the group's state");
        Ok(())
    }

    /// After a failed write, makes sure that what it left is never taken for valid.
    pub(super) fn settle(&mut self, written: Result<(), LogError>) -> Result<(), LogError> {
        let written = self.fatal(written);
        if written.is_err() && !self.poisoned {
            self.generation += 1;
            self.mark(Kind::Mark);
        }
        written
    }

    /// The header of an entry that is known to be there.
    fn header_at(&self, position: Position) -> Result<Header, LogError> {
        let segment = self.segment(position.seq).expect("live entries are in known segments");
        let mut cursor = Cursor::new(segment, segment.end, HEADER);
        cursor.header(position.offset).map_err(|why| cursor.refuse(position.offset, why))
    }
}

/// Makes a segment and fills in its opening state: all that earlier segments say of the groups, so
/// that they can go once their entries are purged.
pub(super) fn create_segment(
    folder: &mut Folder,
    groups: &HashMap<u32, Group>,
    mut header: SegmentHeader,
) -> Result<Segment, LogError> {
    let mut ids: Vec<u32> = groups.keys().copied().collect();
    ids.sort_unstable();
    let state: Vec<Header> = ids.iter().flat_map(|id| groups[id].opening(*id)).collect();
    header.state_end = START + HEADER * state.len() as u32;
    folder.create(header, |header| {
        let seed = header.seed();
        let (durable, generation) = (header.state_end, header.generation);
        let mut bytes = header.encode().to_vec();
        for record in state.into_iter().chain([Header::bare(Kind::Mark, 0, 0, 0)]) {
            bytes.extend(Header { durable, generation, ..record }.encode(seed));
        }
        bytes
    })
}
