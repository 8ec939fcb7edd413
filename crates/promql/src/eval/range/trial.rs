//! Kernels tried on random series, to be compared with each other.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Samples};
use proptest::prelude::*;

use super::track::Track;
use super::window::{Kernel, Remarks, Results, slide};
use super::windows::{Extent, Windows};
use crate::ast::Span;
use crate::eval::annotations::Annotations;
use crate::eval::grid::{Grid, Shift};
use crate::eval::samples::Reads;

/// Samples of a series in a [`Layout`].
pub(super) const SAMPLES: usize = 150;
/// The most steps of a [`Layout`].
pub(super) const STEPS: usize = 80;

/// The times of a series and the windows over it: they overlap a little, much, or not at all, and lie
/// partly beside the series.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub times: Vec<i64>,
    grid: Grid,
    extent: Extent,
}

impl Layout {
    pub fn windows(&self) -> Windows {
        Windows::new(self.grid, self.extent)
    }
}

pub(super) fn layout() -> impl Strategy<Value = Layout> {
    let gaps = prop::collection::vec(1i64..1000, SAMPLES);
    let step = prop_oneof![1i64..2000, 1i64..100_000];
    (gaps, (0i64..60_000, step, 1..STEPS), 1i64..60_000).prop_map(
        |(gaps, (start, step, steps), range)| {
            let walk = |at: &mut i64, gap: &i64| {
                *at += gap;
                Some(*at)
            };
            let end = start + step * (steps as i64 - 1);
            Layout {
                times: gaps.iter().scan(0, walk).collect(),
                grid: Grid::range(start, end, step, STEPS).unwrap(),
                extent: Extent { shift: Shift::default(), range, before: 0, after: 0 },
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
