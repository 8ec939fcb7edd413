//! What lies behind the last good record of the newest segment: an unfinished write, which is cut
//! off, or the continuation of a log that was damaged, which is not.
//!
//! A record says how much of its segment was durable when it was written. A valid record that says so
//! of the bad place proves that the place was good once; without such proof nothing in the tail was
//! ever acknowledged, because a sync covers all that is before it.

use super::cursor::Cursor;
use super::error::LogError;
use super::record::{HEADER, Header};
use super::segment::Segment;

const STRIDE: u32 = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Valid record headers found.
    pub(super) records: u64,
    /// How far the segment was durable according to them.
    pub(super) durable: u32,
    pub(super) generation: u64,
}

/// Looks for records from byte `from` to the end of the file, at every place one can start.
pub(super) fn survey(segment: &Segment, from: u32) -> Result<Survey, LogError> {
    let mut cursor = Cursor::new(segment, segment.allocated, STRIDE);
    let mut found = Survey::default();
    let mut at = from;
    while segment.allocated.saturating_sub(at) >= HEADER {
        let window = cursor.bytes(at, STRIDE.min(segment.allocated - at))?;
        for candidate in window.windows(HEADER as usize).step_by(8) {
            let bytes = candidate.try_into().expect("a window is a header long");
            // Rules out zeros and the remains of a recycled file without computing a checksum.
            if Header::claimed_generation(bytes) < segment.header.generation {
                continue;
            }
            if let Ok(header) = Header::decode(bytes, segment.seed) {
                found.records += 1;
                found.durable = found.durable.max(header.durable);
                found.generation = found.generation.max(header.generation);
            }
        }
        at += window.len() as u32 - HEADER + 8;
    }
    Ok(found)
}

/// Whether an unfinished record starts at `at`, rather than nothing or what a recycled file held.
pub(super) fn is_begun(segment: &Segment, at: u32) -> Result<bool, LogError> {
    if segment.allocated.saturating_sub(at) < HEADER {
        return Ok(false);
    }
    let mut cursor = Cursor::new(segment, segment.allocated, HEADER);
    let bytes = cursor.bytes(at, HEADER)?.try_into().expect("a header's bytes were asked for");
    Ok(Header::claimed_generation(bytes) >= segment.header.generation)
}

/// Writes `from..to` again, as it is. After a failed sync the pages may be clean in memory and absent
/// from the disk; only what is written anew is sure to reach it with the next sync.
pub(super) fn rewrite(segment: &Segment, from: u32, to: u32) -> Result<(), LogError> {
    let mut cursor = Cursor::new(segment, to, STRIDE);
    let mut at = from;
    while at < to {
        let bytes = cursor.bytes(at, STRIDE.min(to - at))?;
        segment.file.write_all_at(bytes, at.into()).map_err(segment.io("write"))?;
        at += bytes.len() as u32;
    }
    Ok(())
}
