//! The log: the ordered, durable record of a node's writes, one for all groups (shards), with the
//! interface of a Raft log because that is what it becomes. `formats/log.md` describes the bytes.
//!
//! What was synced is found again after any crash, in order and once; what was durable and is now
//! damaged is refused, never skipped.

mod append;
mod cursor;
mod error;
mod folder;
mod group;
mod log;
mod read;
mod record;
mod recover;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod write;

pub use self::error::LogError;
pub use self::log::Log;
pub use self::recover::TornTail;

/// Most bytes one entry's payload can have: what a peer takes in one frame.
pub const MAX_PAYLOAD: u32 = 16 << 20;

/// Most bytes one append can have, headers included; it goes into one segment as a whole.
pub const MAX_BATCH: u32 = 512 << 20;

/// Bytes of a segment that entries leave to other records, at most: on a full disk a group must still
/// be able to purge what would free space.
const RESERVE: u32 = 4 << 10;

/// How the log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Size of a full segment in bytes, rounded up to a power of two from 4 KiB to 1 GiB. A segment
    /// starts with a 64th of it and doubles, so that a small store stays small.
    pub segment_bytes: u32,
    /// Whose log this is: opening it as another node's is refused.
    pub identity: u128,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { segment_bytes: 64 << 20, identity: 0 }
    }
}

/// One entry of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub group: u32,
    pub term: u64,
    /// One more than the group's last, whatever the first was.
    pub index: u64,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: &'a [u8],
}

/// An entry's place in its group's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId {
    pub term: u64,
    pub index: u64,
}

/// A group's hard state: for whom this node voted in a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub term: u64,
    pub node: u64,
    /// A majority granted it: the node leads the term.
    pub granted: bool,
}
