//! Deleting from the head: samples not yet frozen go at once, frozen ones are hidden.

use std::sync::Arc;

use metricstor_model::{Samples, TimeRange};
use roaring::RoaringBitmap;

use super::Head;
use super::cells::Chain;
use crate::tombstone::{Tombstone, cut};

impl Head {
    /// Applies a deletion.
    pub fn delete(&mut self, tombstone: &Arc<Tombstone>) {
        for series in &tombstone.series {
            self.delete_chain(series, tombstone.range);
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

    /// What is left of a chain goes on as late samples: later ones are encoded against the newest
    /// sample there ever was, so that the time line keeps its order.
    fn delete_chain(&mut self, series: u32, range: TimeRange) {
        let chain = self.series.get(series).map_or(Chain::default(), |state| state.chain);
        if chain.len() == 0 {
            return;
        }
        let mut samples = Samples::default();
        self.tier.read_chain(&chain, TimeRange::ALL, &mut |_| true, &mut samples);
        let before = samples.len();
        cut(&mut samples, 0, range);
        if samples.len() == before {
            return;
        }
        self.series.get_mut(series).chain = Chain::default();
        self.tier.forget(before - samples.len());
        if samples.is_empty() {
            return;
        }
        self.tier.set_beside(series, &samples);
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
