//! Instant selectors: the newest sample not after each step and inside the lookback window.

use std::sync::Arc;

use metricstor_model::{STALE_NAN, Samples};

use crate::eval::frame::{HISTOGRAM, float_cell, histogram_weight, is_float};
use crate::eval::range::track::totals;
use crate::eval::range::window::Results;
use crate::eval::range::windows::Windows;
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

/// Picks the last sample of each window of a series.
pub(crate) fn pick(
    samples: &Samples,
    windows: &mut Windows,
    take: Take,
    results: &mut Results,
    reads: &mut Reads,
) {
    results.reset(windows.len());
    windows.find(&samples.timestamps);
    if samples.histograms.is_empty() && matches!(take, Take::Sample | Take::Totals) {
        return pick_floats(samples, windows, results, reads);
    }
    let mut histograms = 0;
    for (step, place) in windows.places().iter().enumerate() {
        if place.is_empty() {
            continue;
        }
        let at = place.end - 1;
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

/// Most series have nothing but floats.
fn pick_floats(samples: &Samples, windows: &Windows, results: &mut Results, reads: &mut Reads) {
    let mut picked = 0;
    for (cell, place) in results.cells.iter_mut().zip(windows.places()) {
        if place.is_empty() {
            continue;
        }
        let value = samples.values[place.end - 1];
        if value.to_bits() != STALE_NAN {
            *cell = float_cell(value);
            picked += 1;
        }
    }
    results.any = picked > 0;
    if !reads.is_by_step() {
        return reads.add(0, picked, picked);
    }
    let steps = results.cells.iter().enumerate().filter(|(_, cell)| is_float(**cell));
    steps.for_each(|(step, _)| reads.add(step, 1, 1));
}
