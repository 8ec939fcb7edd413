//! `changes` and `resets`: how often something happens between neighbouring samples of a window.

use metricstor_model::FloatHistogram;

use crate::QueryError;
use crate::eval::range::start_time::is_reset;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Kernel, Outcome, Remarks, Window};

/// Invariant: transitions between floats are found once per series and summed up from its start, so
/// that a window costs nothing.
#[derive(Debug)]
pub(crate) struct Transitions {
    resets: bool,
    anchored: bool,
    /// The transitions up to and including the one into each float.
    up_to: Vec<u32>,
}

impl Transitions {
    pub fn new(resets: bool, anchored: bool) -> Self {
        Self { resets, anchored, up_to: Vec::new() }
    }

    fn between_floats(&self, before: f64, after: f64) -> bool {
        if self.resets {
            after < before
        } else {
            after != before && !(after.is_nan() && before.is_nan())
        }
    }

    fn between_histograms(&self, before: &FloatHistogram, after: &FloatHistogram) -> bool {
        if self.resets { after.detect_reset(before) } else { !after.same_data(before) }
    }

    /// Where an anchored window begins: at the last sample not after its start, of whichever kind.
    /// `None` if no sample is after its start.
    fn anchor(w: &Window<'_>) -> Option<(usize, usize)> {
        let floats = w.times.partition_point(|t| *t <= w.start);
        let histograms = w.histograms.partition_point(|p| p.0 <= w.start);
        if floats == w.times.len() && histograms == w.histograms.len() {
            return None;
        }
        let float = floats.checked_sub(1).map(|i| w.times[i]);
        let histogram = histograms.checked_sub(1).map(|i| w.histograms[i].0);
        Some(match (float, histogram) {
            (None, None) => (0, 0),
            (Some(float), histogram) if histogram.is_none_or(|at| float >= at) => {
                (floats - 1, histograms)
            }
            _ => (floats, histograms - 1),
        })
    }

    /// Goes over both kinds of samples together.
    fn count(&self, w: &Window<'_>, (first_float, first_histogram): (usize, usize)) -> u32 {
        let mut samples: Vec<Sample<'_>> = (first_float..w.values.len())
            .map(|i| Sample {
                time: w.times[i],
                start: w.starts.get(i).copied().unwrap_or(0),
                value: w.values[i],
                histogram: None,
            })
            .collect();
        samples.extend((first_histogram..w.histograms.len()).map(|i| Sample {
            time: w.histograms[i].0,
            start: w.histogram_starts.get(i).copied().unwrap_or(0),
            value: 0.0,
            histogram: Some(&w.histograms[i].1),
        }));
        samples.sort_by_key(|sample| sample.time);
        samples.windows(2).filter(|pair| self.happens(&pair[0], &pair[1])).count() as u32
    }

    fn happens(&self, before: &Sample<'_>, after: &Sample<'_>) -> bool {
        let restarted =
            || self.resets && is_reset((before.start, before.time), (after.start, after.time));
        match (before.histogram, after.histogram) {
            (None, None) => self.between_floats(before.value, after.value) || restarted(),
            (Some(first), Some(second)) => restarted() || self.between_histograms(first, second),
            _ => true,
        }
    }
}

struct Sample<'a> {
    time: i64,
    start: i64,
    value: f64,
    histogram: Option<&'a FloatHistogram>,
}

impl Kernel for Transitions {
    fn begin(&mut self, track: &Track) {
        self.up_to.clear();
        if !track.starts.is_empty() || track.values.is_empty() {
            return;
        }
        let mut count = 0;
        self.up_to.push(count);
        for pair in track.values.windows(2) {
            count += u32::from(self.between_floats(pair[0], pair[1]));
            self.up_to.push(count);
        }
    }

    fn apply(&mut self, w: &Window<'_>, _: &mut Remarks<'_>) -> Result<Outcome, QueryError> {
        let from = if self.anchored { Self::anchor(w) } else { Some((0, 0)) };
        let Some(from) = from else { return Ok(Outcome::Nothing) };
        let count = if w.histograms.is_empty() && w.starts.is_empty() {
            self.up_to[w.first + w.values.len() - 1] - self.up_to[w.first + from.0]
        } else {
            self.count(w, from)
        };
        Ok(Outcome::Float(f64::from(count)))
    }
}
