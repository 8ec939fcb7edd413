//! The tables, and the checks of their rows; `formats/index.md` explains each column.

/// In `PRAGMA user_version`; raised with every change, with a migration beside it.
pub(super) const VERSION: u32 = 1;

/// In `PRAGMA application_id`: "mcat".
pub(super) const APPLICATION_ID: i32 = 0x6d63_6174;

pub(super) const CREATE: &str = "
CREATE TABLE position (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE series_block (
    block INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE chunk_file (
    name TEXT PRIMARY KEY,
    level INTEGER NOT NULL,
    size INTEGER NOT NULL,
    start INTEGER NOT NULL,
    \"end\" INTEGER NOT NULL,
    series INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstone (
    tombstone INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    \"end\" INTEGER NOT NULL,
    series BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
";

/// The numbers in `position` beside the shard's; all are always there.
pub(super) const POSITIONS: [&str; 5] = ["series", "files", "tombstones", "next", "flushed"];

/// The text of all tables, to be compared with what a database has.
pub(super) const SELECT_SCHEMA: &str = "SELECT coalesce(group_concat(sql, ';' ORDER BY name), '') FROM sqlite_schema WHERE sql NOT NULL";

/// All series blocks, in the order in which they were begun.
pub(super) const SELECT_BLOCKS: &str =
    "SELECT block, first, last, count, bytes FROM series_block ORDER BY block";

/// The check of a row: SQLite does not notice a flipped bit, and a wrong manifest loses files.
pub(super) fn row_crc(text: &[u8], numbers: &[i64]) -> u32 {
    let start = crc32c::crc32c(text);
    numbers.iter().fold(start, |crc, number| crc32c::crc32c_append(crc, &number.to_le_bytes()))
}
