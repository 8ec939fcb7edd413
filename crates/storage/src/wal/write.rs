//! Writing records: where they go, when a segment grows or a new one begins, and what a write that
//! failed leaves behind. A record is never written where a later crash could bring back another one.

use hashbrown::HashMap;

use super::error::LogError;
use super::folder::Folder;
use super::group::{Group, Position};
use super::log::Log;
use super::record::{HEADER, Header, Kind};
use super::segment::{START, Segment, SegmentHeader};

impl Log {
    /// Writes a record without payload, for which there is room.
    pub(super) fn put(&mut self, record: Header) -> Result<Position, LogError> {
        let record = Header { durable: self.durable, generation: self.generation, ..record };
        let active = self.active();
        let at = Position { seq: active.header.seq, offset: active.end };
        let written = active.file.write_all_at(&record.encode(active.seed), at.offset.into());
        let written = written.map_err(active.io("write"));
        self.settle(written)?;
        self.active_mut().end += HEADER;
        Ok(at)
    }

    /// Passes a result on; a disk error stops the log.
    pub(super) fn fatal<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.poisoned |= matches!(result, Err(LogError::Io { .. }));
        result
    }

    /// Remembers a failed write.
    pub(super) fn settle(&mut self, written: Result<(), LogError>) -> Result<(), LogError> {
        let written = self.fatal(written);
        if written.is_err() {
            self.generation += 1;
            self.debris = true;
        }
        written
    }

    /// Makes room in the last segment for `bytes` more, a mark after them, and `reserve` beyond.
    pub(super) fn make_room(&mut self, bytes: u32, reserve: u32) -> Result<(), LogError> {
        self.clear_debris()?;
        let needed = bytes + HEADER + reserve;
        let active = self.active();
        if active.end + needed <= active.allocated {
            return Ok(());
        }
        let used = active.end > active.header.state_end;
        if used && active.end + needed + HEADER > self.folder.segment_bytes {
            self.rotate()?;
        }
        let (end, allocated) = (self.active().end, self.active().allocated);
        if end + needed <= allocated { Ok(()) } else { self.grow(end + needed + HEADER) }
    }

    /// Doubles the segment until it has `needed` bytes. The new length is durable before a record
    /// tells of it, so that a file that is shorter than its records say was cut off.
    fn grow(&mut self, needed: u32) -> Result<(), LogError> {
        let active = self.active();
        let mut size = active.allocated;
        while size < needed {
            size *= 2;
        }
        let mut grown = active.extend(size);
        if matches!(grown, Err(LogError::Full { .. })) {
            // A spare is worth less than a write.
            let trimmed = self.folder.trim_spares(0);
            self.fatal(trimmed)?;
            let active = self.active();
            grown = active.extend(size);
        }
        self.fatal(grown)?;
        self.active_mut().allocated = size;
        self.sync_active()?;
        self.put(Header::bare(Kind::Grown, 0, 0, size.into()))?;
        Ok(())
    }

    pub(super) fn sync_active(&mut self) -> Result<(), LogError> {
        let active = self.active();
        let synced = active.file.sync_data();
        let synced = synced.map_err(|error| LogError::fatal("sync", &active.path, error));
        self.fatal(synced)?;
        self.durable = self.active().end;
        Ok(())
    }

    /// Goes on in a new segment. The old one is durable before the new one exists.
    pub(super) fn rotate(&mut self) -> Result<(), LogError> {
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
        if let Err(error) = self.write_mark(kind) {
            // What is durable stays so: this call succeeds, and a disk error stops the next one.
            tracing::error!(%error, "cannot mark the end of the log");
        }
    }

    fn write_mark(&mut self, kind: Kind) -> Result<(), LogError> {
        let (durable, generation) = (self.durable, self.generation);
        let mark = Header { durable, generation, ..Header::bare(kind, 0, 0, 0) };
        let active = self.active();
        // Room for it was made with the record before, and never at the cost of a longer file.
        if active.allocated - active.end < HEADER {
            return Ok(());
        }
        let written = active.file.write_all_at(&mark.encode(active.seed), active.end.into());
        let written = written.map_err(active.io("write"));
        self.fatal(written)
    }

    /// Overwrites what a failed write left, durably: a power cut must not bring its record back in the
    /// place of one that is written now.
    pub(super) fn clear_debris(&mut self) -> Result<(), LogError> {
        if self.debris {
            self.write_mark(Kind::Mark)?;
            self.sync_active()?;
            self.debris = false;
        }
        Ok(())
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
