//! Reading the catalog at a start.

use rusqlite::OptionalExtension;

use super::{Catalog, CatalogError};
use crate::index::Index;

impl Catalog {
    /// Fills an empty index with all published series.
    pub fn load_series(&self, index: &mut Index, tenant: &str) -> Result<(), CatalogError> {
        self.load_pairs(index)?;
        let mut statement = self.prepare("SELECT series, pairs FROM series ORDER BY series")?;
        let mut rows = statement.query([]).map_err(|e| self.error(e))?;
        let mut pairs = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            let series: u32 = row.get(0).map_err(|e| self.error(e))?;
            let blob = row.get_ref(1).map_err(|e| self.error(e))?;
            let blob = blob.as_blob().map_err(|_| self.damaged("series without pairs"))?;
            decode_pairs(blob, &mut pairs)
                .filter(|()| index.load_series(series, tenant, &pairs))
                .ok_or_else(|| self.damaged(format!("series {series} has unknown pairs")))?;
        }
        Ok(())
    }

    fn load_pairs(&self, index: &mut Index) -> Result<(), CatalogError> {
        let mut statement = self.prepare("SELECT pair, name, value FROM pair ORDER BY pair")?;
        let mut rows = statement.query([]).map_err(|e| self.error(e))?;
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            let text = |i| {
                let text = row.get_ref(i).map_err(|e| self.error(e))?;
                text.as_str().map_err(|_| self.damaged("a label pair is not text"))
            };
            let pair: u32 = row.get(0).map_err(|e| self.error(e))?;
            if index.load_pair(text(1)?, text(2)?) != pair {
                return Err(self.damaged(format!("label pair {pair} is out of order")));
            }
        }
        Ok(())
    }

    /// The names of the published chunk files.
    pub fn files(&self) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.prepare("SELECT name FROM chunk_file")?;
        let names = statement.query_map([], |row| row.get(0)).map_err(|e| self.error(e))?;
        names.collect::<Result<_, _>>().map_err(|e| self.error(e))
    }

    /// The last log index whose samples are in published files.
    pub fn flushed(&self) -> Result<u64, CatalogError> {
        let flushed = self.position("flushed")?.unwrap_or(0);
        u64::try_from(flushed).map_err(|_| self.damaged("negative log position"))
    }

    pub(super) fn position(&self, name: &str) -> Result<Option<i64>, CatalogError> {
        let mut statement = self.prepare("SELECT value FROM position WHERE name = ?1")?;
        statement.query_row([name], |row| row.get(0)).optional().map_err(|e| self.error(e))
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, CatalogError> {
        self.connection.prepare_cached(sql).map_err(|e| self.error(e))
    }
}

/// Varints; `None` when the blob ends inside one.
fn decode_pairs(mut blob: &[u8], pairs: &mut Vec<u32>) -> Option<()> {
    pairs.clear();
    while !blob.is_empty() {
        let mut pair = 0u32;
        let mut shift = 0;
        loop {
            let (byte, rest) = blob.split_first()?;
            blob = rest;
            pair |= u32::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        pairs.push(pair);
    }
    Some(())
}
