//! One segment file: its header, and how far it is filled. A file named `<seq>.seg` always has a
//! valid header and opening state: they are synced before it gets that name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::record::{long, word};
use crate::files::File;

/// Bytes of a segment's header; the first record follows.
pub(super) const START: u32 = 64;
const MAGIC: &[u8; 8] = b"mstorlog";
const VERSION: u32 = 1;
/// Most bytes of a file, so that offsets into it can be added up.
const LONGEST: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: u128,
    pub(super) seq: u32,
    /// The least generation of a record in this segment.
    pub(super) generation: u64,
    /// Where the previous segment ends; all of it was durable when this one began.
    pub(super) previous_end: u32,
    /// Where the opening state ends: every group's vote, purge position and retained range.
    pub(super) state_end: u32,
    /// The file's length at the start; it only doubles from there.
    pub(super) allocated: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; START as usize] {
        let mut bytes = [0; START as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.identity.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.seq.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.generation.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.state_end.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.allocated.to_le_bytes());
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What every record's checksum in this segment starts from.
    pub(super) fn seed(&self) -> u32 {
        word(&self.encode(), 12)
    }

    fn decode(bytes: &[u8; START as usize], path: &Path) -> Result<SegmentHeader, LogError> {
        if &bytes[..8] != MAGIC {
            return Err(LogError::damaged(path, 0, "not a log segment"));
        }
        if checksum(bytes) != word(bytes, 12) {
            return Err(LogError::damaged(path, 0, "its header fails the checksum"));
        }
        if word(bytes, 8) != VERSION || bytes[56..] != [0; 8] {
            return Err(LogError::Newer { path: path.into(), offset: 8, what: "its version" });
        }
        Ok(SegmentHeader {
            identity: u128::from_le_bytes(bytes[16..32].try_into().expect("sixteen bytes")),
            seq: word(bytes, 32),
            previous_end: word(bytes, 36),
            generation: long(bytes, 40),
            state_end: word(bytes, 48),
            allocated: word(bytes, 52),
        })
    }
}

/// Of all bytes but the checksum itself.
fn checksum(header: &[u8; START as usize]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) header: SegmentHeader,
    pub(super) seed: u32,
    /// The file's length, but for what a full disk left of an attempt to double it.
    pub(super) allocated: u32,
    /// Where the next record goes, or where the segment ended.
    pub(super) end: u32,
}

impl Segment {
    /// Reads and checks the header of the segment that is named `seq`.
    pub(super) fn open(
        path: PathBuf,
        file: Arc<dyn File>,
        seq: u32,
        identity: u128,
    ) -> Result<Segment, LogError> {
        let io = |error| LogError::io("read", &path, error);
        let len = file.len().map_err(io)?;
        if len < START.into() {
            return Err(LogError::damaged(&path, len as u32, "the file is cut off in its header"));
        }
        let len = u32::try_from(len).ok().filter(|len| *len <= LONGEST);
        let len = len.ok_or_else(|| {
            LogError::damaged(&path, LONGEST, "the file is longer than a segment can be")
        })?;
        let mut bytes = [0; START as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let header = SegmentHeader::decode(&bytes, &path)?;
        if header.identity != identity {
            return Err(LogError::Foreign { path, found: header.identity });
        }
        if header.seq != seq || seq == u32::MAX {
            return Err(LogError::damaged(&path, 32, "it is another segment under this name"));
        }
        let allocated = grown(header.allocated, len)
            .filter(|allocated| header.state_end >= START && header.state_end <= *allocated);
        let cut_off = || LogError::damaged(&path, len, "the file is cut off");
        let allocated = allocated.ok_or_else(cut_off)?;
        let end = header.state_end;
        Ok(Segment { path, file, header, seed: header.seed(), allocated, end })
    }

    /// Makes the file longer.
    pub(super) fn extend(&self, size: u32) -> Result<(), LogError> {
        let extended = extend(&*self.file, self.allocated.into(), size.into());
        extended.map_err(self.io("extend"))
    }

    pub(super) fn io(&self, action: &'static str) -> impl Fn(std::io::Error) -> LogError + '_ {
        move |error| LogError::io(action, &self.path, error)
    }
}

/// Makes a file longer, or leaves it as it is: some file systems keep what there was room for, and a
/// flush that would free some would find none.
pub(super) fn extend(file: &dyn File, len: u64, wanted: u64) -> io::Result<()> {
    file.allocate(wanted).inspect_err(|_| {
        // A start takes what stays for what it is.
        let _ = file.set_len(len);
    })
}

/// The length up to which a file of `len` bytes is used that began with `from` and doubles. What is
/// beyond a full disk has left of an attempt to double it; of a file that was longer a record tells.
fn grown(from: u32, len: u32) -> Option<u32> {
    let mut size = from.max(1);
    if size > len {
        return None;
    }
    while size <= len / 2 {
        size *= 2;
    }
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_noticed() {
        let header = SegmentHeader {
            identity: 5 << 90,
            seq: 42,
            generation: 77,
            previous_end: 1000,
            state_end: 112,
            allocated: 4096,
        };
        let path = Path::new("42.seg");
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes, path).unwrap(), header);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped, path).is_err());
        }
    }

    #[test]
    fn a_file_only_doubles() {
        assert_eq!((grown(4096, 4096), grown(4096, 16384)), (Some(4096), Some(16384)));
        assert_eq!((grown(4096, 4095), grown(4096, 12288)), (None, Some(8192)));
        assert_eq!(grown(4096, LONGEST), Some(LONGEST));
    }
}
