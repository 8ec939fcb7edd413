//! Appending entries: checked as a whole, written as a whole, then known to their groups. No memory
//! is allocated for an entry.

use super::error::LogError;
use super::group::{Group, Position};
use super::log::Log;
use super::record::{HEADER, Header, Kind};
use super::segment::Segment;
use super::{Entry, EntryId, MAX_BATCH, MAX_PAYLOAD, RESERVE};

/// Bytes gathered before they are written.
const GATHER: usize = 1 << 20;
/// A payload of this size is written from where it is; copying it would cost more than the call.
const DIRECT: usize = 256 << 10;

impl Log {
    /// Appends entries, in order, all or none of them. They are durable after [`Log::sync`].
    ///
    /// # Errors
    /// [`LogError::Full`] leaves the log as it was and usable.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> Result<(), LogError> {
        self.check_usable()?;
        let bytes = self.check(entries)?;
        self.make_room(bytes, RESERVE.min(self.folder.segment_bytes / 16))?;
        let written = self.write(entries);
        self.settle(written)?;
        self.learn(entries);
        Ok(())
    }

    /// Checks sizes and order; returns the bytes the batch takes.
    fn check(&mut self, entries: &[Entry<'_>]) -> Result<u32, LogError> {
        self.batches += 1;
        let mut total = 0;
        for entry in entries {
            check_size("an entry", entry.payload.len(), MAX_PAYLOAD)?;
            total += header(entry).extent() as usize;
            check_size("a batch of entries", total, MAX_BATCH)?;
            let group = self.groups.entry(entry.group).or_default();
            if group.staged.0 != self.batches {
                group.staged = (self.batches, group.last);
            }
            let id = EntryId { term: entry.term, index: entry.index };
            if !Group::follows(id, group.staged.1) {
                return Err(out_of_order(entry, group.staged.1));
            }
            group.staged.1 = Some(id);
        }
        Ok(total as u32)
    }

    fn write(&mut self, entries: &[Entry<'_>]) -> Result<(), LogError> {
        let (durable, generation) = (self.durable, self.generation);
        let active = self.segments.back().expect("a log has at least one segment");
        let mut gather = Gather { segment: active, at: active.end, buffer: &mut self.buffer };
        gather.buffer.clear();
        for entry in entries {
            let payload_crc = crc32c::crc32c(entry.payload);
            let header = Header { payload_crc, durable, generation, ..header(entry) };
            gather.push(&header.encode(active.seed))?;
            gather.push(entry.payload)?;
            let padding = header.extent() - HEADER - header.len;
            gather.push(&[0; 8][..padding as usize])?;
        }
        gather.flush()
    }

    /// Tells the groups of entries that are written.
    fn learn(&mut self, entries: &[Entry<'_>]) {
        let mut at = Position { seq: self.active().header.seq, offset: self.active().end };
        for entry in entries {
            let group = self.groups.get_mut(&entry.group).expect("the check made the group");
            group.push(EntryId { term: entry.term, index: entry.index }, at);
            at.offset += header(entry).extent();
        }
        self.active_mut().end = at.offset;
    }
}

/// Without checksum.
fn header(entry: &Entry<'_>) -> Header {
    let bare = Header::bare(Kind::Entry, entry.group, entry.term, entry.index);
    Header { len: entry.payload.len() as u32, ..bare }
}

fn check_size(what: &'static str, bytes: usize, limit: u32) -> Result<(), LogError> {
    if bytes <= limit as usize {
        return Ok(());
    }
    Err(LogError::TooLarge { what, bytes: bytes as u64, limit: limit.into() })
}

fn out_of_order(entry: &Entry<'_>, last: Option<EntryId>) -> LogError {
    let last = last.map_or("nothing".to_owned(), |last| format!("{}.{}", last.term, last.index));
    LogError::OutOfOrder { group: entry.group, term: entry.term, index: entry.index, last }
}

/// Joins small writes into large ones.
struct Gather<'a> {
    segment: &'a Segment,
    /// Where the buffer goes.
    at: u32,
    buffer: &'a mut Vec<u8>,
}

impl Gather<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        if bytes.len() >= DIRECT {
            self.flush()?;
            return self.put(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= GATHER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        let buffer = std::mem::take(self.buffer);
        let done = self.put(&buffer);
        *self.buffer = buffer;
        self.buffer.clear();
        done
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let at = self.at.into();
        self.segment.file.write_all_at(bytes, at).map_err(self.segment.io("write"))?;
        self.at += bytes.len() as u32;
        Ok(())
    }
}
