//! Kernels tried on random series, to be compared with each other.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Samples};
use proptest::prelude::*;

use super::track::Track;
use super::window::{Kernel, Remarks, Results, slide};
use super::windows::{Reach, Windows};
use crate::ast::Span;
use crate::eval::annotations::Annotations;
use crate::eval::grid::{Grid, Shift};
use crate::eval::samples::Reads;

/// Samples of a series in a [`Layout`].
pub(super) const SAMPLES: usize = 150;
/// The most steps of a [`Layout`].
pub(super) const STEPS: usize = 80;

/// The times of a series, at least half a second apart, and the windows over it: they overlap a little,
/// much, or not at all, and lie partly beside the series.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub times: Vec<i64>,
    grid: Grid,
    reach: Reach,
}

impl Layout {
    pub fn windows(&self) -> Windows {
        Windows::new(self.grid, self.reach)
    }
}

pub(super) fn layout() -> impl Strategy<Value = Layout> {
    let gaps = prop::collection::vec(500i64..1500, SAMPLES);
    let step = prop_oneof![1i64..4000, 1i64..200_000];
    (gaps, (0i64..120_000, step, 1..STEPS), 1i64..120_000).prop_map(
        |(gaps, (start, step, steps), range)| {
            let walk = |at: &mut i64, gap: &i64| {
                *at += gap;
                Some(*at)
            };
            let end = start + step * (steps as i64 - 1);
            Layout {
                times: gaps.iter().scan(0, walk).collect(),
                grid: Grid::range(start, end, step, STEPS).unwrap(),
                reach: Reach { shift: Shift::default(), range, before: 0, after: 0 },
            }
        },
    )
}

/// A series; where `histograms` says so, there is one instead of the value.
pub(super) fn loaded(times: &[i64], values: Vec<f64>, histograms: &[bool]) -> Track {
    let histogram = |(i, is): (usize, &bool)| is.then(|| (i, Arc::new(FloatHistogram::default())));
    let mut samples = Samples {
        timestamps: times.to_vec(),
        values,
        histograms: histograms.iter().enumerate().filter_map(histogram).collect(),
        ..Samples::default()
    };
    let mut track = Track::default();
    track.load(&mut samples, false);
    track
}

pub(super) fn applied(
    kernel: &mut impl Kernel,
    windows: &mut Windows,
    track: &Track,
) -> (Results, Reads) {
    let (mut results, mut reads) = (Results::default(), Reads::new(windows.len()));
    let (mut notes, interrupt) = (Annotations::default(), Default::default());
    let name = || String::new();
    let mut remarks =
        Remarks { notes: &mut notes, span: Span::default(), name: &name, interrupt: &interrupt };
    slide(kernel, track, windows, &mut remarks, &mut results, &mut reads).unwrap();
    (results, reads)
}

/// Values of a series, and where there are histograms instead.
pub(super) type Series = (Vec<f64>, Vec<bool>);

/// A few at once, so that a kernel goes from series to series.
pub(super) fn series(
    values: impl Strategy<Value = Vec<f64>>,
) -> impl Strategy<Value = Vec<Series>> {
    let histograms =
        prop_oneof![Just(vec![]), prop::collection::vec(prop::bool::weighted(0.1), SAMPLES)];
    prop::collection::vec((values, histograms), 1..4)
}

/// The results for all windows of all series.
pub(super) fn cells(mut kernel: impl Kernel, layout: &Layout, series: &[Series]) -> Vec<f64> {
    let mut windows = layout.windows();
    let of = |(values, histograms): &Series| {
        let track = loaded(&layout.times, values.clone(), histograms);
        applied(&mut kernel, &mut windows, &track).0.cells
    };
    series.iter().flat_map(of).collect()
}

/// Are two results equal but for rounding? What is no number has to be the same, and a zero exact.
pub(super) fn agree(found: f64, expected: f64, error_max: f64) -> bool {
    let exact = !found.is_finite() || !expected.is_finite() || expected == 0.0;
    found.to_bits() == expected.to_bits() || !exact && (found - expected).abs() <= error_max
}

/// Values of which none, some or many are equal, and values of every sort.
pub(super) fn levels() -> impl Strategy<Value = Vec<f64>> {
    let numbers = prop_oneof![4 => -1e3..1e3, 1 => (-3i8..4).prop_map(f64::from)];
    let level = prop::sample::select(vec![-0.0, 0.0, 0.1, 0.3, -7.0, 1e9]);
    let steps = (level, 1usize..60).prop_map(|(level, many)| vec![level; many]);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, -5e-324, -0.0];
    let odd = prop_oneof![60 => -1e3..1e3, 1 => prop::sample::select(odd.to_vec())];
    prop_oneof![
        prop::collection::vec(numbers, SAMPLES),
        prop::collection::vec(steps, SAMPLES).prop_map(|steps| steps
            .into_iter()
            .flatten()
            .take(SAMPLES)
            .collect()),
        prop::collection::vec(odd, SAMPLES),
    ]
}

/// Small variations that can be added to this offset without rounding.
pub(super) const OFFSET: f64 = 1e12;

pub(super) fn variations() -> impl Strategy<Value = Vec<f64>> {
    let variation = (-16_000i32..16_000).prop_map(|n| f64::from(n) / 1024.0);
    prop::collection::vec(variation, SAMPLES)
}

/// The largest number in a series.
pub(super) fn magnitude(series: &[Series]) -> f64 {
    let all = series.iter().flat_map(|(values, _)| values);
    all.filter(|value| value.is_finite()).fold(0.0, |most, value| value.abs().max(most))
}
