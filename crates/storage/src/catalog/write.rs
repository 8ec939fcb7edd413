//! Publishing: everything a flush, a merge or an expiry changes, in one transaction.

use std::sync::Arc;

use roaring::RoaringBitmap;
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::block::{Block, BlockBuilder, Decoded, Flaw};
use super::{Catalog, CatalogError, schema};
use crate::chunk_file::FileSummary;
use crate::tombstone::Tombstone;

/// One change of the catalog.
#[derive(Default)]
pub(crate) struct Publication<'a> {
    /// Series not published before; made while SQLite waits, so that the index is never locked long.
    pub new_series: Option<&'a mut dyn Iterator<Item = Block>>,
    /// Series that have no samples any more. Their references are never used again.
    pub removed_series: Option<&'a RoaringBitmap>,
    pub added: &'a [FileSummary],
    /// Names of files that are not part of the shard any more.
    pub removed: &'a [String],
    /// The log index up to which samples are in files now.
    pub flushed: Option<u64>,
    pub tombstones: &'a [Arc<Tombstone>],
    /// Positions of tombstones whose samples are in no file any more.
    pub dropped_tombstones: &'a [u64],
}

/// Why a transaction was rolled back.
enum Failed {
    Sqlite(rusqlite::Error),
    Block(i64, Flaw),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Catalog {
    /// Applies a change whole or not at all; durable when this returns. An error says that nothing was
    /// changed: who removed series goes on to use them.
    pub fn publish(&mut self, publication: Publication<'_>) -> Result<(), CatalogError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior);
        let published = transaction.map_err(Failed::from).and_then(|transaction| {
            Writer(&transaction).write(publication)?;
            Ok(transaction.commit()?)
        });
        published.map_err(|failed| match failed {
            Failed::Sqlite(error) => self.error(error),
            Failed::Block(block, flaw) => self.damaged(format!("series block {block}: {flaw}")),
        })?;
        // A damaged write-ahead log would silently undo commits: none is kept, if the disk has room.
        if let Err(error) = checkpoint(&self.connection) {
            tracing::warn!(path = %self.path.display(), %error, "committed, and still to be put in place");
        }
        Ok(())
    }
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    // A reader, say an operator's shell, may be in the way; the next one does it then.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

pub(super) struct Writer<'t>(&'t Transaction<'t>);

impl Writer<'_> {
    fn write(&self, publication: Publication<'_>) -> Result<(), Failed> {
        if let Some(removed) = publication.removed_series {
            self.remove_series(removed)?;
        }
        if let Some(blocks) = publication.new_series {
            self.add_series(blocks)?;
        }
        self.note_count("series", "SELECT coalesce(sum(count), 0) FROM series_block")?;
        self.change_files(publication.removed, publication.added)?;
        self.change_tombstones(publication.dropped_tombstones, publication.tombstones)?;
        if let Some(flushed) = publication.flushed {
            self.set("flushed", flushed as i64)?;
        }
        Ok(())
    }

    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.0.prepare_cached(sql)
    }

    /// Appends blocks; the last one there is filled up first.
    fn add_series(&self, blocks: &mut dyn Iterator<Item = Block>) -> Result<(), Failed> {
        for block in blocks {
            self.set_if_higher("next", i64::from(block.last) + 1)?;
            match self.last_block()? {
                Some((number, last)) if last.has_room_for(&block) => {
                    let merged =
                        merge(&last, &block).map_err(|flaw| Failed::Block(number, flaw))?;
                    self.put_block(Some(number), &merged)?;
                }
                _ => self.put_block(None, &block)?,
            }
        }
        Ok(())
    }

    fn last_block(&self) -> rusqlite::Result<Option<(i64, Block)>> {
        let sql = "SELECT block, first, last, count, bytes FROM series_block \
                   ORDER BY block DESC LIMIT 1";
        self.prepare(sql)?.query_row([], as_block).optional()
    }

    fn put_block(&self, number: Option<i64>, block: &Block) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO series_block VALUES (?1, ?2, ?3, ?4, ?5)";
        let Block { first, last, count, bytes } = block;
        self.prepare(sql)?.execute(params![number, first, last, count, bytes])?;
        Ok(())
    }

    fn remove_series(&self, removed: &RoaringBitmap) -> Result<(), Failed> {
        let (Some(low), Some(high)) = (removed.min(), removed.max()) else { return Ok(()) };
        let sql = "SELECT block FROM series_block WHERE first <= ?2 AND last >= ?1";
        let mut statement = self.prepare(sql)?;
        let touched = statement.query_map([low, high], |row| row.get(0))?;
        let touched: Vec<i64> = touched.collect::<Result<_, _>>()?;
        let sql = "SELECT block, first, last, count, bytes FROM series_block WHERE block = ?1";
        let mut statement = self.prepare(sql)?;
        for number in touched {
            let (_, block) = statement.query_row([number], as_block)?;
            if removed.range_cardinality(block.first..=block.last) == 0 {
                continue;
            }
            let mut builder = BlockBuilder::new();
            Decoded::of(&block)
                .and_then(|series| series.copy_to(&mut builder, |one| !removed.contains(one)))
                .map_err(|flaw| Failed::Block(number, flaw))?;
            match builder.finish() {
                Some(block) => self.put_block(Some(number), &block)?,
                None => {
                    let sql = "DELETE FROM series_block WHERE block = ?1";
                    self.prepare(sql)?.execute([number])?;
                }
            }
        }
        Ok(())
    }

    fn change_files(&self, removed: &[String], added: &[FileSummary]) -> rusqlite::Result<()> {
        let mut remove = self.prepare("DELETE FROM chunk_file WHERE name = ?1")?;
        for name in removed {
            remove.execute([name])?;
        }
        let sql = "INSERT OR REPLACE INTO chunk_file VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = self.prepare(sql)?;
        for file in added {
            let row @ [level, size, start, end, series, samples] = [
                i64::from(file.meta.level),
                file.size as i64,
                file.range.start,
                file.range.end,
                file.series as i64,
                file.samples as i64,
            ];
            let crc = schema::row_crc(file.name.as_bytes(), &row);
            insert.execute(params![file.name, level, size, start, end, series, samples, crc])?;
        }
        self.note_count("files", "SELECT count(*) FROM chunk_file")
    }

    pub(super) fn note_count(&self, name: &str, sql: &str) -> rusqlite::Result<()> {
        let count = self.prepare(sql)?.query_row([], |row| row.get(0))?;
        self.set(name, count)
    }

    fn set(&self, name: &str, value: i64) -> rusqlite::Result<()> {
        set_position(self.0, name, value)
    }

    fn set_if_higher(&self, name: &str, value: i64) -> rusqlite::Result<()> {
        let sql = "SELECT value FROM position WHERE name = ?1";
        let found: Option<i64> =
            self.prepare(sql)?.query_row([name], |row| row.get(0)).optional()?;
        if found.is_some_and(|found| found >= value) { Ok(()) } else { self.set(name, value) }
    }
}

pub(super) fn set_position(
    transaction: &Transaction<'_>,
    name: &str,
    value: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO position VALUES (?1, ?2, ?3)";
    let crc = schema::row_crc(name.as_bytes(), &[value]);
    transaction.prepare_cached(sql)?.execute(params![name, value, crc])?;
    Ok(())
}

pub(super) fn as_block(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Block)> {
    let block =
        Block { first: row.get(1)?, last: row.get(2)?, count: row.get(3)?, bytes: row.get(4)? };
    Ok((row.get(0)?, block))
}

fn merge(last: &Block, new: &Block) -> Result<Block, Flaw> {
    let mut builder = BlockBuilder::new();
    for block in [last, new] {
        Decoded::of(block)?.copy_to(&mut builder, |_| true)?;
    }
    builder.finish().ok_or("has no series")
}
