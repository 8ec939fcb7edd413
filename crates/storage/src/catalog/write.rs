//! Publishing: everything a flush or a merge changes, in one transaction.

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Catalog, CatalogError};
use crate::chunk_file::FileSummary;

/// One change of the catalog.
#[derive(Default)]
pub(crate) struct Publication<'a> {
    pub new_series: Option<&'a mut dyn NewSeries>,
    pub added: &'a [FileSummary],
    /// Names of files that are not part of the shard any more.
    pub removed: &'a [String],
    /// The log index up to which samples are in files now.
    pub flushed: Option<u64>,
}

/// Where a publication takes series from, piece by piece, so that the index is never locked long.
pub(crate) trait NewSeries {
    /// The pair with this number; `None` when there are no more.
    fn pair(&mut self, pair: u32) -> Option<(String, String)>;
    /// The next series and its pairs, all of which `pair` has given or will give.
    fn next(&mut self, pairs: &mut Vec<u32>) -> Option<u32>;
}

impl Catalog {
    /// Applies a change whole or not at all; durable when this returns.
    pub fn publish(&mut self, publication: Publication<'_>) -> Result<(), CatalogError> {
        let behavior = TransactionBehavior::Immediate;
        let published = self
            .connection
            .transaction_with_behavior(behavior)
            .and_then(|transaction| write(transaction, publication));
        published.map_err(|e| self.error(e))
    }
}

fn write(transaction: Transaction<'_>, publication: Publication<'_>) -> rusqlite::Result<()> {
    {
        if let Some(new_series) = publication.new_series {
            write_series(&transaction, new_series)?;
        }
        let mut remove = transaction.prepare_cached("DELETE FROM chunk_file WHERE name = ?1")?;
        for name in publication.removed {
            remove.execute([name])?;
        }
        let sql = "INSERT OR REPLACE INTO chunk_file VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut insert = transaction.prepare_cached(sql)?;
        for file in publication.added {
            insert.execute(params![
                file.name,
                file.meta.level,
                file.size as i64,
                file.range.start,
                file.range.end,
                file.series as i64,
                file.samples as i64,
            ])?;
        }
        if let Some(flushed) = publication.flushed {
            let sql = "INSERT OR REPLACE INTO position VALUES ('flushed', ?1)";
            transaction.prepare_cached(sql)?.execute([flushed as i64])?;
        }
    }
    transaction.commit()
}

fn write_series(
    transaction: &Transaction<'_>,
    new_series: &mut dyn NewSeries,
) -> rusqlite::Result<()> {
    // Series first: while they are read, new ones may still add pairs, and those follow then.
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO series VALUES (?1, ?2)")?;
    let (mut pairs, mut blob) = (Vec::new(), Vec::new());
    while let Some(series) = new_series.next(&mut pairs) {
        blob.clear();
        pairs.iter().for_each(|pair| put_varint(&mut blob, *pair));
        insert.execute(params![series, blob])?;
    }
    let sql = "SELECT coalesce(max(pair) + 1, 0) FROM pair";
    let mut next: u32 = transaction.query_row(sql, [], |row| row.get(0))?;
    let mut insert = transaction.prepare_cached("INSERT INTO pair VALUES (?1, ?2, ?3)")?;
    while let Some((name, value)) = new_series.pair(next) {
        insert.execute(params![next, name, value])?;
        next += 1;
    }
    Ok(())
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
