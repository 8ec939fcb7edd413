//! Exemplars in memory, until a flush writes them beside the samples.

use metricstor_model::{StoredExemplar, TimeRange};
use roaring::RoaringBitmap;

use super::Head;
use super::tier::Frozen;
use crate::chunk_file::Exemplars;

impl Head {
    /// Stores an exemplar unless it is there, or `max` are; false when there is no room.
    pub fn add_exemplar(&mut self, series: u32, exemplar: StoredExemplar, max: usize) -> bool {
        if self.tier.exemplar_count >= max {
            return false;
        }
        let column = self.tier.exemplars.entry(series).or_default();
        if exemplar.insert_into(column) {
            self.tier.exemplar_count += 1;
        }
        true
    }

    /// Adds the exemplars inside `range` of the `wanted` series.
    pub fn exemplars(&self, range: TimeRange, wanted: &RoaringBitmap, out: &mut Exemplars) {
        if let Some(frozen) = &self.frozen {
            let hidden = |series: u32, time: i64| {
                self.hidden.iter().any(|t| t.range.contains(time) && t.series.contains(series))
            };
            collect(frozen.exemplars(), range, wanted, out, hidden);
        }
        collect(&self.tier.exemplars, range, wanted, out, |_, _| false);
    }

    pub(super) fn delete_exemplars(&mut self, series: u32, range: TimeRange) {
        if let Some(column) = self.tier.exemplars.get_mut(&series) {
            let before = column.len();
            column.retain(|exemplar| !range.contains(exemplar.timestamp));
            self.tier.exemplar_count -= before - column.len();
            if column.is_empty() {
                self.tier.exemplars.remove(&series);
            }
        }
    }
}

impl Frozen {
    pub fn exemplars(&self) -> &Exemplars {
        &self.tier.exemplars
    }
}

fn collect(
    all: &Exemplars,
    range: TimeRange,
    wanted: &RoaringBitmap,
    out: &mut Exemplars,
    hidden: impl Fn(u32, i64) -> bool,
) {
    for (series, column) in all.iter().filter(|(series, _)| wanted.contains(**series)) {
        let inside = |exemplar: &&StoredExemplar| {
            range.contains(exemplar.timestamp) && !hidden(*series, exemplar.timestamp)
        };
        for exemplar in column.iter().filter(inside) {
            exemplar.clone().insert_into(out.entry(*series).or_default());
        }
    }
}
