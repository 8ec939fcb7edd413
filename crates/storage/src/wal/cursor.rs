//! Reads records of one segment through a window that moves ahead: sequential reading costs one
//! system call for many records, and memory is bounded by the largest record.

use super::MAX_PAYLOAD;
use super::error::LogError;
use super::record::{Flaw, HEADER, Header};
use super::segment::Segment;

pub(super) struct Cursor<'a> {
    segment: &'a Segment,
    /// Nothing is read from here on.
    limit: u32,
    /// Bytes read at a time, unless a record needs more.
    stride: u32,
    window: Vec<u8>,
    /// The window's place in the file.
    start: u32,
}

/// Why a record cannot be had.
pub(super) enum Unreadable {
    Flaw(&'static str),
    Error(LogError),
}

impl<'a> Cursor<'a> {
    /// Reads `segment` up to `limit`, which is within the file.
    pub(super) fn new(segment: &'a Segment, limit: u32, stride: u32) -> Cursor<'a> {
        Cursor { segment, limit, stride, window: Vec::new(), start: 0 }
    }

    /// Goes on in another segment with the same window.
    pub(super) fn turn_to(&mut self, segment: &'a Segment, limit: u32) {
        (self.segment, self.limit) = (segment, limit);
        self.window.clear();
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn set_stride(&mut self, stride: u32) {
        self.stride = stride;
    }

    /// The header at `offset`, if the record is whole within the limit.
    pub(super) fn header(&mut self, offset: u32) -> Result<Header, Unreadable> {
        if self.limit.saturating_sub(offset) < HEADER {
            return Err(Unreadable::Flaw("the file ends within a record"));
        }
        let seed = self.segment.seed;
        let bytes = self.bytes(offset, HEADER).map_err(Unreadable::Error)?;
        let bytes = bytes.try_into().expect("a header's bytes were asked for");
        let header = match Header::decode(bytes, seed) {
            Ok(header) => header,
            Err(Flaw::Damaged) => return Err(Unreadable::Flaw("no valid record")),
            Err(Flaw::Unknown) => return Err(Unreadable::Error(self.newer(offset))),
        };
        if header.extent() > self.limit - offset {
            return Err(Unreadable::Flaw("the file ends within a record"));
        }
        Ok(header)
    }

    /// The payload of the record at `offset`, whose header is `header`.
    pub(super) fn payload(&mut self, offset: u32, header: &Header) -> Result<&[u8], Unreadable> {
        debug_assert!(header.len <= MAX_PAYLOAD);
        let bytes = self.bytes(offset, HEADER + header.len).map_err(Unreadable::Error)?;
        let payload = &bytes[HEADER as usize..];
        if crc32c::crc32c(payload) != header.payload_crc {
            return Err(Unreadable::Flaw("a payload that fails its checksum"));
        }
        Ok(payload)
    }

    /// `len` bytes from `offset`, all before the limit.
    pub(super) fn bytes(&mut self, offset: u32, len: u32) -> Result<&[u8], LogError> {
        let held = offset >= self.start
            && u64::from(offset) + u64::from(len)
                <= u64::from(self.start) + self.window.len() as u64;
        if !held {
            let size = len.max(self.stride).min(self.limit - offset);
            self.window.resize(size as usize, 0);
            self.start = offset;
            let read = self.segment.file.read_exact_at(&mut self.window, offset.into());
            if let Err(error) = read {
                self.window.clear();
                return Err(self.segment.io("read")(error));
            }
        }
        let at = (offset - self.start) as usize;
        Ok(&self.window[at..at + len as usize])
    }

    pub(super) fn damaged(&self, offset: u32, what: &'static str) -> LogError {
        LogError::damaged(&self.segment.path, offset, what)
    }

    fn newer(&self, offset: u32) -> LogError {
        let path = self.segment.path.clone();
        LogError::Newer { path, offset: offset.into(), what: "a record of unknown kind" }
    }

    /// An unreadable record where all records are durable.
    pub(super) fn refuse(&self, offset: u32, why: Unreadable) -> LogError {
        match why {
            Unreadable::Flaw(what) => self.damaged(offset, what),
            Unreadable::Error(error) => error,
        }
    }
}
