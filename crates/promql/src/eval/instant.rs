//! Instant selectors: the newest sample not after each step and inside the lookback window.

use std::sync::Arc;

use metricstor_model::{STALE_NAN, Samples};

use crate::eval::forward::Forward;
use crate::eval::frame::{HISTOGRAM, float_cell, histogram_weight};
use crate::eval::grid::{Grid, Shift};
use crate::eval::range::track::totals;
use crate::eval::range::window::Results;
use crate::eval::samples::Reads;

/// What to put at a step instead of the sample itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Sample,
    /// Histograms by their count and sum alone.
    Totals,
    /// The sample's time in seconds.
    Time,
    /// Its start timestamp in seconds.
    StartTime,
}

/// Picks the samples of one series. `lookback` is exclusive, in milliseconds.
pub(crate) fn pick(
    samples: &Samples,
    grid: &Grid,
    shift: Shift,
    lookback: i64,
    take: Take,
    results: &mut Results,
    reads: &mut Reads,
) {
    results.reset(grid.len);
    // The number of samples not after the step.
    let mut seen = Forward::default();
    let mut histograms = 0;
    for (step, time) in grid.times().enumerate() {
        let time = shift.apply(time);
        let not_after = seen.advance(&samples.timestamps, |timestamp| *timestamp <= time);
        let Some(at) = not_after.checked_sub(1) else { continue };
        if samples.timestamps[at] <= time.saturating_sub(lookback) {
            continue;
        }
        while samples.histograms.get(histograms).is_some_and(|(i, _)| *i < at) {
            histograms += 1;
        }
        let histogram = samples.histograms.get(histograms).filter(|(i, _)| *i == at);
        let stale = match histogram {
            Some((_, histogram)) => histogram.is_stale(),
            None => samples.values[at].to_bits() == STALE_NAN,
        };
        if stale {
            continue;
        }
        results.any = true;
        let weight = match (take, histogram) {
            (Take::Time, _) => {
                results.cells[step] = samples.timestamps[at] as f64 / 1000.0;
                1
            }
            (Take::StartTime, _) => {
                let start = samples.start_timestamps.get(at).copied().unwrap_or(0);
                results.cells[step] = start as f64 / 1000.0;
                1
            }
            (_, None) => {
                results.cells[step] = float_cell(samples.values[at]);
                1
            }
            (_, Some((_, histogram))) => {
                let histogram = match take {
                    Take::Totals => {
                        let before = histograms.checked_sub(1).map(|i| &*samples.histograms[i].1);
                        Arc::new(totals(histogram, before))
                    }
                    _ => Arc::clone(histogram),
                };
                results.cells[step] = HISTOGRAM;
                let weight = histogram_weight(&histogram);
                results.histograms.push((step as u32, histogram));
                weight
            }
        };
        reads.add(step, weight, weight);
    }
}
