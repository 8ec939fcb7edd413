//! One record's header: 48 bytes with a checksum of their own, so that a record's extent is known
//! even where its payload is damaged. `formats/log.md` draws it.

use super::MAX_PAYLOAD;

/// Bytes of a record's header.
pub(super) const HEADER: u32 = 48;

/// What a record says. Only an entry has a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Entry = 1,
    /// `term`, `index` = node, flag [`GRANTED`].
    Vote = 2,
    /// Entries from `index` on are gone; `term` is that of the entry before.
    Truncate = 3,
    /// Entries up to `index` (of `term`) are no longer needed.
    Purge = 4,
    /// In a segment's opening state: entries `term..=index` are in earlier segments.
    Retained = 5,
    /// All before this record was durable when it was written; the next append overwrites it.
    Mark = 6,
    /// As a mark; the log goes on in the next segment.
    Seal = 7,
    /// The file has `index` bytes since before this record was written.
    Grown = 8,
}

/// Flag of a vote that a majority confirmed.
pub(super) const GRANTED: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) group: u32,
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) len: u32,
    pub(super) payload_crc: u32,
    /// Bytes of this segment that were durable when the record was written.
    pub(super) durable: u32,
    /// Never falls along the log; what an earlier, cut-off write left behind has a lower one.
    pub(super) generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not a record of this segment.
    Damaged,
    /// A record this version does not know.
    Unknown,
}

impl Header {
    /// A record without payload; `durable` and `generation` are the writer's.
    pub(super) fn bare(kind: Kind, group: u32, term: u64, index: u64) -> Header {
        Header {
            kind,
            flags: 0,
            group,
            term,
            index,
            len: 0,
            payload_crc: 0,
            durable: 0,
            generation: 0,
        }
    }

    /// Bytes from this record's start to the next one's.
    pub(super) fn extent(&self) -> u32 {
        HEADER + self.len.next_multiple_of(8)
    }

    /// `seed` is the checksum of the segment's header: a record is valid in its own segment only.
    pub(super) fn encode(&self, seed: u32) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[12] = self.kind as u8;
        bytes[13] = self.flags;
        bytes[16..20].copy_from_slice(&self.group.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.durable.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.generation.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.term.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.index.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER as usize], seed: u32) -> Result<Header, Flaw> {
        if crc32c::crc32c_append(seed, &bytes[4..]) != word(bytes, 0) {
            return Err(Flaw::Damaged);
        }
        let kind = kind(bytes[12]).ok_or(Flaw::Unknown)?;
        let header = Header {
            kind,
            flags: bytes[13],
            group: word(bytes, 16),
            term: long(bytes, 32),
            index: long(bytes, 40),
            len: word(bytes, 4),
            payload_crc: word(bytes, 8),
            durable: word(bytes, 20),
            generation: long(bytes, 24),
        };
        let known_flags = if kind == Kind::Vote { GRANTED } else { 0 };
        let known = header.flags & !known_flags == 0 && bytes[14..16] == [0, 0];
        let sized = if kind == Kind::Entry { header.len <= MAX_PAYLOAD } else { header.len == 0 };
        if known && sized { Ok(header) } else { Err(Flaw::Unknown) }
    }

    /// The generation of a possible record, before its checksum is worth computing.
    pub(super) fn claimed_generation(bytes: &[u8; HEADER as usize]) -> u64 {
        long(bytes, 24)
    }
}

fn kind(byte: u8) -> Option<Kind> {
    use Kind::{Entry, Grown, Mark, Purge, Retained, Seal, Truncate, Vote};
    let kinds = [Entry, Vote, Truncate, Purge, Retained, Mark, Seal, Grown];
    kinds.into_iter().find(|kind| *kind as u8 == byte)
}

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let bare = Header::bare(Kind::Entry, 7, 3, 41);
        Header { len: 13, payload_crc: 0xabcd, durable: 640, generation: 9, ..bare }
    }

    #[test]
    fn a_header_reads_back_in_its_own_segment_only() {
        let bytes = header().encode(1);
        assert_eq!(Header::decode(&bytes, 1), Ok(header()));
        assert_eq!(Header::decode(&bytes, 2), Err(Flaw::Damaged));
        assert_eq!(header().extent(), 48 + 16);
        let vote = Header { flags: GRANTED, ..Header::bare(Kind::Vote, 1, 2, 3) };
        assert_eq!(Header::decode(&vote.encode(5), 5), Ok(vote));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = header().encode(1);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, 1), Err(Flaw::Damaged));
        }
    }

    #[test]
    fn a_later_versions_record_is_told_from_damage() {
        let sealed = |mut bytes: [u8; 48]| {
            let crc = crc32c::crc32c_append(1, &bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            Header::decode(&bytes, 1)
        };
        let with = |at: usize, value: u8| {
            let mut bytes = header().encode(1);
            bytes[at] = value;
            bytes
        };
        assert_eq!(sealed(with(12, 9)), Err(Flaw::Unknown), "kind");
        assert_eq!(sealed(with(13, 1)), Err(Flaw::Unknown), "flag of an entry");
        assert_eq!(sealed(with(15, 1)), Err(Flaw::Unknown), "reserved");
        assert_eq!(sealed(with(7, 1)), Err(Flaw::Unknown), "an entry of 16 MiB and more");
        assert_eq!(sealed(with(12, Kind::Mark as u8)), Err(Flaw::Unknown), "payload of a mark");
    }
}
