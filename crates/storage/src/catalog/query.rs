//! Reading the catalog at a start.

use std::path::Path;

use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Row};

use super::block::{Block, Decoded, Flaw};
use super::{Catalog, CatalogError, schema, write};
use crate::index::Index;

impl Catalog {
    /// An index of all published series.
    pub fn load_series(&self) -> Result<Index, CatalogError> {
        let mut index = Index::with_room(self.count("series")? as usize);
        let mut statement = self.prepare(schema::SELECT_BLOCKS)?;
        let mut rows = statement.query([]).map_err(|e| self.error(e))?;
        let mut found = 0;
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            let (number, block) = write::as_block(row).map_err(|e| self.error(e))?;
            found += load_block(&mut index, &block)
                .map_err(|flaw| self.damaged(format!("series block {number}: {flaw}")))?;
        }
        index.shrink();
        index.skip_to(self.count("next")? as u32);
        self.expect_count("series", found)?;
        Ok(index)
    }

    /// The names of the published chunk files.
    pub fn files(&self) -> Result<Vec<String>, CatalogError> {
        let sql = "SELECT name, level, size, start, \"end\", series, samples, crc FROM chunk_file";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|e| self.error(e))?;
        let mut names = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            let name: String = self.get(row, 0)?;
            let mut numbers = [0i64; 6];
            for (i, number) in numbers.iter_mut().enumerate() {
                *number = self.get(row, i + 1)?;
            }
            if self.get::<i64>(row, 7)? != i64::from(schema::row_crc(name.as_bytes(), &numbers)) {
                return Err(self.damaged(format!("the row of chunk file {name} is not as written")));
            }
            names.push(name);
        }
        self.expect_count("files", names.len())?;
        Ok(names)
    }

    /// Writes a copy to a new file, durably.
    pub fn copy_to(&self, path: &Path) -> Result<(), CatalogError> {
        let text = path.to_string_lossy();
        self.connection.execute("VACUUM INTO ?1", [&*text]).map_err(|e| self.error(e))?;
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        let path = path.to_owned();
        synced.map_err(|source| CatalogError::Io { action: "sync", path, source })
    }

    /// The last log index whose samples are in published files.
    pub fn flushed(&self) -> Result<u64, CatalogError> {
        Ok(self.count("flushed")? as u64)
    }

    /// A position that is always there and never negative.
    fn count(&self, name: &str) -> Result<i64, CatalogError> {
        let value = self.position(name)?.filter(|value| *value >= 0);
        value.ok_or_else(|| self.damaged(format!("position {name} is missing")))
    }

    pub(super) fn position(&self, name: &str) -> Result<Option<i64>, CatalogError> {
        let mut statement = self.prepare("SELECT value, crc FROM position WHERE name = ?1")?;
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let row = statement.query_row([name], row).optional();
        match row.map_err(|e| self.error(e))? {
            Some((value, crc)) if crc == i64::from(schema::row_crc(name.as_bytes(), &[value])) => {
                Ok(Some(value))
            }
            Some(_) => Err(self.damaged(format!("position {name} is not as written"))),
            None => Ok(None),
        }
    }

    /// Rows that went missing are damage, too.
    pub(super) fn expect_count(&self, name: &str, found: usize) -> Result<(), CatalogError> {
        let expected = self.count(name)?;
        if i64::try_from(found) == Ok(expected) {
            return Ok(());
        }
        Err(self.damaged(format!("it has {found} {name} of {expected}")))
    }

    pub(super) fn get<T: FromSql>(&self, row: &Row<'_>, column: usize) -> Result<T, CatalogError> {
        row.get(column).map_err(|e| self.error(e))
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, CatalogError> {
        self.connection.prepare_cached(sql).map_err(|e| self.error(e))
    }
}

/// Adds a block's series; returns how many it holds.
fn load_block(index: &mut Index, block: &Block) -> Result<usize, Flaw> {
    let block = Decoded::of(block)?;
    let mut numbers = Vec::new();
    for pair in block.pairs() {
        let (name, value) = pair.ok_or("a label pair is not text")?;
        numbers.push(index.intern(name, value));
    }
    let mut pairs = Vec::new();
    block.for_each(|series, id, positions| {
        pairs.clear();
        pairs.extend(positions.iter().map(|position| numbers[*position as usize]));
        index.insert_numbered(series, id, &pairs);
    })?;
    Ok(block.len())
}
