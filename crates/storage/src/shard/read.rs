//! Reading a series: chunk files, frozen tier and head as one column.

use std::cell::RefCell;

use metricstor_model::{Samples, SelectError, TimeRange};
use roaring::RoaringBitmap;

use super::Shard;
use crate::chunk_file::Exemplars;
use crate::settle::settle;

thread_local! {
    /// The head's part of a read, while the files' part is put before it.
    static RECENT: RefCell<Samples> = RefCell::new(Samples::default());
}

impl Shard {
    /// Replaces `out` by a series' samples inside `range`.
    pub fn read(
        &self,
        series: u32,
        range: TimeRange,
        out: &mut Samples,
    ) -> Result<(), SelectError> {
        out.clear();
        RECENT.with_borrow_mut(|recent| {
            recent.clear();
            let files = {
                let live = self.live();
                if !live.files.overlaps(range) {
                    live.head.read(series, range, out);
                    return Ok(());
                }
                live.head.read(series, range, recent);
                live.files.clone()
            };
            files.read(series, range, out)?;
            let start = out.len();
            extend(out, recent);
            settle(out, start);
            Ok(())
        })
    }

    /// The exemplars inside `range` of the `wanted` series.
    pub fn exemplars(
        &self,
        range: TimeRange,
        wanted: &RoaringBitmap,
    ) -> Result<Exemplars, SelectError> {
        let mut all = Exemplars::new();
        let files = {
            let live = self.live();
            live.head.exemplars(range, wanted, &mut all);
            live.files.clone()
        };
        files.exemplars(range, wanted, &mut all)?;
        all.retain(|_, column| !column.is_empty());
        Ok(all)
    }

    /// May a series have samples inside `range`?
    pub fn may_hold(&self, series: u32, range: TimeRange) -> bool {
        let live = self.live();
        live.head.may_hold(series, range) || live.files.may_hold(series, range)
    }
}

fn extend(out: &mut Samples, run: &Samples) {
    let start = out.len();
    out.timestamps.extend_from_slice(&run.timestamps);
    out.values.extend_from_slice(&run.values);
    out.start_timestamps.extend_from_slice(&run.start_timestamps);
    let moved = run.histograms.iter().map(|(i, h)| (start + i, h.clone()));
    out.histograms.extend(moved);
}
