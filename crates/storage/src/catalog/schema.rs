//! The tables; `formats/index.md` explains each column.

/// In `PRAGMA user_version`; raised with every change, with a migration beside it.
pub(super) const VERSION: u32 = 1;

/// In `PRAGMA application_id`: "mcat".
pub(super) const APPLICATION_ID: i32 = 0x6d63_6174;

pub(super) const CREATE: &str = "
CREATE TABLE position (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pair (
    pair INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE series (
    series INTEGER PRIMARY KEY,
    pairs BLOB NOT NULL
) STRICT;

CREATE TABLE chunk_file (
    name TEXT PRIMARY KEY,
    level INTEGER NOT NULL,
    size INTEGER NOT NULL,
    start INTEGER NOT NULL,
    \"end\" INTEGER NOT NULL,
    series INTEGER NOT NULL,
    samples INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";
