//! Header and footer: fixed sizes, magic and checksum each.

use std::path::Path;

use metricstor_chunk::values::Packing;
use metricstor_model::TimeRange;

use super::ChunkFileError;

pub const HEADER_SIZE: usize = 32;
pub const FOOTER_SIZE: usize = 96;
pub const CHECKSUM_SIZE: usize = 4;
const HEADER_MAGIC: [u8; 8] = *b"MSCHUNKS";
const FOOTER_MAGIC: [u8; 8] = *b"MSCHUNKE";

/// The level of files that cover a month.
pub const DENSE_LEVEL: u8 = 3;

/// What a file's bytes mean; merges leave the earlier versions behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// Checksums do not say where their bytes stand.
    Two = 2,
    /// The directory is ordered by series alone.
    Three = 3,
    #[default]
    Four = 4,
}

impl Version {
    fn read(number: u16) -> Option<Self> {
        [Self::Two, Self::Three, Self::Four].into_iter().find(|version| *version as u16 == number)
    }
}

/// What the columns of a file are; downsampled aggregates will be further kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnKind {
    #[default]
    Samples,
}

/// What the writer of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileMeta {
    /// 0 for a flushed head, one more than its inputs for a compaction.
    pub level: u8,
    pub shard: u32,
    pub kind: ColumnKind,
    /// The shard's log index up to which deletions are done here. No sample is from an entry later than
    /// the next; of that one perhaps a part, for entries are applied in steps.
    pub position: u64,
    pub version: Version,
}

impl FileMeta {
    pub fn new(level: u8, shard: u32) -> Self {
        let kind = ColumnKind::Samples;
        Self { level, shard, kind, position: 0, version: Version::default() }
    }

    /// The checksum of bytes that stand at `place`: others, whole in themselves, do not pass for them.
    pub(super) fn checksum(&self, bytes: &[u8], place: u64) -> u32 {
        let has_place = self.version >= Version::Three;
        let place = if has_place { crc32c::crc32c(&place.to_le_bytes()) } else { 0 };
        crc32c::crc32c_append(place, bytes)
    }

    /// The bytes before their trailing checksum, if it is right and they are those of this place.
    pub(super) fn checked<'b>(&self, bytes: &'b [u8], place: u64) -> Option<&'b [u8]> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_SIZE>()?;
        let right = u32::from_le_bytes(*checksum) == self.checksum(content, place);
        right.then_some(content)
    }

    /// Files of a month are read rarely and kept long.
    pub(super) fn packing(&self) -> Packing {
        if self.level < DENSE_LEVEL { Packing::Fast } else { Packing::Dense }
    }

    pub(super) fn header(&self) -> [u8; HEADER_SIZE] {
        let mut header = [0; HEADER_SIZE];
        header[..8].copy_from_slice(&HEADER_MAGIC);
        header[8..10].copy_from_slice(&(self.version as u16).to_le_bytes());
        header[10] = self.level;
        header[11] = self.kind as u8;
        header[12..16].copy_from_slice(&self.shard.to_le_bytes());
        header[16..24].copy_from_slice(&self.position.to_le_bytes());
        seal(&mut header, 28);
        header
    }

    pub(super) fn read(header: &[u8; HEADER_SIZE], path: &Path) -> Result<Self, ChunkFileError> {
        if header[..8] != HEADER_MAGIC {
            return Err(ChunkFileError::damaged(path, 0, "not a chunk file"));
        }
        if !is_sealed(header, 28) {
            return Err(ChunkFileError::damaged(path, 0, "header checksum"));
        }
        let number = u16::from_le_bytes([header[8], header[9]]);
        let unsupported =
            |what, found| ChunkFileError::Unsupported { path: path.to_owned(), what, found };
        let version = Version::read(number).ok_or_else(|| unsupported("version", number))?;
        let kind = match header[11] {
            0 => ColumnKind::Samples,
            other => return Err(unsupported("column kind", other as u16)),
        };
        let (shard, position) = (u32_at(header, 12), u64_at(header, 16));
        Ok(Self { level: header[10], shard, kind, position, version })
    }
}

/// Where the sections are and how much the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    pub directory: u64,
    pub tables: u64,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
    pub range: TimeRange,
    pub exemplars: u64,
}

impl Footer {
    pub fn bytes(&self) -> [u8; FOOTER_SIZE] {
        let mut footer = [0; FOOTER_SIZE];
        let numbers = [self.directory, self.tables, self.series, self.chunks, self.samples];
        let times = [self.range.start as u64, self.range.end as u64];
        let all = numbers.into_iter().chain(times).chain([self.exemplars]);
        for (field, number) in footer.chunks_exact_mut(8).zip(all) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        seal(&mut footer, 84);
        footer[88..].copy_from_slice(&FOOTER_MAGIC);
        footer
    }

    /// `size` is the file's: the sections must lie in order between header and footer.
    pub fn read(
        footer: &[u8; FOOTER_SIZE],
        size: u64,
        path: &Path,
    ) -> Result<Self, ChunkFileError> {
        let at = size - FOOTER_SIZE as u64;
        if footer[88..] != FOOTER_MAGIC {
            return Err(ChunkFileError::damaged(path, at, "no footer: the file was cut off"));
        }
        let sections = Self {
            directory: u64_at(footer, 0),
            tables: u64_at(footer, 8),
            series: u64_at(footer, 16),
            chunks: u64_at(footer, 24),
            samples: u64_at(footer, 32),
            range: TimeRange::new(u64_at(footer, 40) as i64, u64_at(footer, 48) as i64),
            exemplars: u64_at(footer, 56),
        };
        let ordered = HEADER_SIZE as u64 <= sections.directory
            && sections.directory <= sections.tables
            && sections.tables.saturating_add(CHECKSUM_SIZE as u64) <= at;
        if !is_sealed(footer, 84) || !ordered {
            return Err(ChunkFileError::damaged(path, at, "footer checksum"));
        }
        Ok(sections)
    }
}

/// Writes the checksum of the bytes before `at` there.
fn seal(bytes: &mut [u8], at: usize) {
    let checksum = crc32c::crc32c(&bytes[..at]);
    bytes[at..at + CHECKSUM_SIZE].copy_from_slice(&checksum.to_le_bytes());
}

fn is_sealed(bytes: &[u8], at: usize) -> bool {
    u32_at(bytes, at) == crc32c::crc32c(&bytes[..at])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
