//! Deletions: which samples of which series are hidden until a merge leaves them out.

use std::sync::Arc;

use metricstor_model::TimeRange;
use roaring::RoaringBitmap;
use rusqlite::params;

use super::write::Writer;
use super::{Catalog, CatalogError, schema};
use crate::tombstone::Tombstone;

impl Catalog {
    /// The deletions whose samples may still be in chunk files, oldest first.
    pub fn tombstones(&self) -> Result<Vec<Arc<Tombstone>>, CatalogError> {
        let sql = "SELECT tombstone, start, \"end\", series, crc FROM tombstone ORDER BY tombstone";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|e| self.error(e))?;
        let mut tombstones = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.error(e))? {
            let numbers @ [number, start, end] =
                [self.get(row, 0)?, self.get(row, 1)?, self.get(row, 2)?];
            let bytes: Vec<u8> = self.get(row, 3)?;
            let whole = self.get::<i64>(row, 4)? == i64::from(schema::row_crc(&bytes, &numbers));
            let series = RoaringBitmap::deserialize_from(bytes.as_slice()).ok().filter(|_| whole);
            let series = series.ok_or_else(|| {
                self.damaged(format!("the row of tombstone {number} is not as written"))
            })?;
            let (position, range) = (number as u64, TimeRange::new(start, end));
            tombstones.push(Arc::new(Tombstone { position, range, series }));
        }
        self.expect_count("tombstones", tombstones.len())?;
        Ok(tombstones)
    }
}

impl Writer<'_> {
    pub(super) fn change_tombstones(
        &self,
        dropped: &[u64],
        added: &[Arc<Tombstone>],
    ) -> rusqlite::Result<()> {
        let mut drop = self.prepare("DELETE FROM tombstone WHERE tombstone = ?1")?;
        for number in dropped {
            drop.execute([*number as i64])?;
        }
        let sql = "INSERT OR REPLACE INTO tombstone VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = self.prepare(sql)?;
        for tombstone in added {
            let Tombstone { position, range, series } = &**tombstone;
            let number = *position as i64;
            let mut bytes = Vec::with_capacity(series.serialized_size());
            series.serialize_into(&mut bytes).expect("writing to memory cannot fail");
            let crc = schema::row_crc(&bytes, &[number, range.start, range.end]);
            insert.execute(params![number, range.start, range.end, bytes, crc])?;
        }
        self.note_count("tombstones", "SELECT count(*) FROM tombstone")
    }
}
