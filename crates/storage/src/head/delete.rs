//! Deleting from the head: samples not yet frozen go at once, frozen ones are hidden.

use std::sync::Arc;

use metricstor_model::TimeRange;
use roaring::RoaringBitmap;

use super::Head;
use super::table::Series;
use super::tier::Tier;
use crate::tombstone::Tombstone;

impl Head {
    /// Applies a deletion.
    pub fn delete(&mut self, tombstone: &Arc<Tombstone>) {
        for series in &tombstone.series {
            self.delete_chains(series, tombstone.range);
            self.delete_side(series, tombstone.range);
            self.delete_exemplars(series, tombstone.range);
        }
        if self.frozen.is_some() {
            self.hidden.push(tombstone.clone());
        }
    }

    /// Do these series have more than so many bytes of samples that are not frozen? About.
    pub fn exceeds(&self, series: &RoaringBitmap, bytes_max: usize) -> bool {
        let mut bytes = 0;
        series.iter().any(|one| {
            let chain = self.series.get(one).map_or(0, |state| state.chain.len());
            bytes += chain + self.tier.side_size(one);
            bytes > bytes_max
        })
    }

    /// What is left of a chain is not appended to any more: later samples are encoded against the newest
    /// one there ever was, so that the time line keeps its order.
    fn delete_chains(&mut self, series: u32, range: TimeRange) {
        let overlaps = |state: &Series| state.chain.len() > 0 && state.times().overlaps(range);
        if self.series.get(series).is_some_and(overlaps) {
            self.seal(series);
        }
        let Tier { sealed, cells, .. } = &mut self.tier;
        let deleted = sealed.delete(series, range, cells);
        self.tier.forget(deleted);
    }

    fn delete_side(&mut self, series: u32, range: TimeRange) {
        let mut forgotten = 0;
        if let Some(late) = self.tier.late.get_mut(&series) {
            let before = late.len();
            late.retain(|timestamp, _| !range.contains(*timestamp));
            forgotten += before - late.len();
            if late.is_empty() {
                self.tier.late.remove(&series);
            }
        }
        forgotten += self.tier.delete_histograms(series, range);
        self.tier.forget(forgotten);
    }
}
