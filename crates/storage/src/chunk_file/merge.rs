//! One pass over the series of several files, samples of all of them joined, in bounded memory.

use std::ops::Range;

use metricstor_model::{Labels, Samples, TimeRange};

use super::labels::LabelReader;
use super::{ChunkFile, ChunkFileError, Scratch, SeriesKey};
use crate::settle::compare_anew;
use crate::tombstone::cut;

/// Chunks of one series that are read of each input at once: one may have a sample each millisecond, or
/// histograms of ten thousand buckets.
const CHUNKS_AT_ONCE: usize = 8;

/// Yields every series of the inputs once, long ones in several parts, one after the other: in the order
/// in which the first input was written, then what only the second has, and so on. The caller paces and
/// cancels.
///
/// Where inputs have a sample at the same timestamp, the earliest input's wins.
pub struct Merge<'a> {
    inputs: &'a [&'a ChunkFile],
    edit: &'a Edit<'a>,
    scratches: Vec<Scratch>,
    /// The input whose label frames are walked, and the next frame.
    input: usize,
    frame: usize,
    labels: LabelReader,
    part: Samples,
    /// The series of which there is more, from this time on.
    rest: Option<(u32, Labels, i64)>,
}

/// What is left out of an input: changes one series' samples before they are joined to others'.
pub type Edit<'a> = dyn Fn(&ChunkFile, u32, &mut Samples) + 'a;

impl<'a> Merge<'a> {
    /// `inputs` in order of precedence, oldest first.
    pub fn new(inputs: &'a [&'a ChunkFile], edit: &'a Edit<'a>) -> Self {
        Self {
            inputs,
            edit,
            scratches: inputs.iter().map(|_| Scratch::default()).collect(),
            input: 0,
            frame: 0,
            labels: LabelReader::default(),
            part: Samples::default(),
            rest: None,
        }
    }

    /// The next series, or more of the last one; its samples replace the content of `samples`. `None` at
    /// the end.
    pub fn next(&mut self, samples: &mut Samples) -> Result<Option<(u32, Labels)>, ChunkFileError> {
        if let Some((series, labels, from)) = self.rest.take() {
            return self.part_of(series, labels, from, samples).map(Some);
        }
        while let Some((series, labels)) = self.next_labels()? {
            let key = SeriesKey::new(series, &labels);
            if !self.was_yielded(key)? {
                return self.part_of(series, labels, i64::MIN, samples).map(Some);
            }
        }
        Ok(None)
    }

    /// What a series has from a time on, or the first of it.
    fn part_of(
        &mut self,
        series: u32,
        labels: Labels,
        from: i64,
        samples: &mut Samples,
    ) -> Result<(u32, Labels), ChunkFileError> {
        let next = self.join(SeriesKey::new(series, &labels), from, samples)?;
        if from > i64::MIN
            && let Some((_, first)) = samples.histograms.first_mut()
        {
            compare_anew(first);
        }
        self.rest = next.map(|next| (series, labels.clone(), next));
        Ok((series, labels))
    }

    fn next_labels(&mut self) -> Result<Option<(u32, Labels)>, ChunkFileError> {
        while let Some(file) = self.inputs.get(self.input) {
            let frames = &file.tables.labels;
            let at = self.frame.checked_sub(1).map_or(0, |frame| frames[frame].offset);
            let next = self.labels.next();
            if let Some(next) = next.map_err(|e| ChunkFileError::damaged(&file.path, at, e))? {
                return Ok(Some(next));
            }
            if self.frame < frames.len() {
                file.load_labels(self.frame, &mut self.labels)?;
                self.frame += 1;
            } else {
                (self.input, self.frame) = (self.input + 1, 0);
            }
        }
        Ok(None)
    }

    /// Did an earlier input have the series?
    fn was_yielded(&mut self, key: SeriesKey) -> Result<bool, ChunkFileError> {
        let earlier = self.inputs[..self.input].iter().zip(&mut self.scratches);
        for (file, scratch) in earlier {
            if file.contains(key, scratch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Joins what the inputs have from a time on, until one has more than is read at once; returns the
    /// time from which on that is.
    fn join(
        &mut self,
        key: SeriesKey,
        from: i64,
        samples: &mut Samples,
    ) -> Result<Option<i64>, ChunkFileError> {
        samples.clear();
        let mut next: Option<i64> = None;
        for (file, scratch) in self.inputs.iter().zip(&mut self.scratches) {
            self.part.clear();
            let more = file.read_some(key, from, CHUNKS_AT_ONCE, &mut self.part, scratch)?;
            next = next.into_iter().chain(more).min();
            (self.edit)(file, key.series, &mut self.part);
            if self.part.timestamps.first() > samples.timestamps.last() {
                samples.append(&self.part, 0..self.part.len());
            } else if !self.part.is_empty() {
                *samples = interleave(samples, &self.part);
            }
        }
        if let Some(next) = next {
            cut(samples, 0, TimeRange::new(next, i64::MAX));
        }
        Ok(next)
    }
}

/// Both in time order; `preferred` wins where timestamps are equal.
fn interleave(preferred: &Samples, other: &Samples) -> Samples {
    let mut joined = Samples::default();
    let (mut i, mut j) = (0, 0);
    while i < preferred.len() && j < other.len() {
        let (a, b) = (preferred.timestamps[i], other.timestamps[j]);
        if a <= b {
            j += (a == b) as usize;
            let run = i + preferred.timestamps[i..].partition_point(|&t| t <= a.max(b - 1));
            append(&mut joined, preferred, i..run);
            i = run;
        } else {
            let run = j + other.timestamps[j..].partition_point(|&t| t < a);
            append(&mut joined, other, j..run);
            j = run;
        }
    }
    append(&mut joined, preferred, i..preferred.len());
    append(&mut joined, other, j..other.len());
    joined
}

/// Appends a run; its first histogram may stand behind another one than before.
fn append(joined: &mut Samples, run: &Samples, range: Range<usize>) {
    let histograms = joined.histograms.len();
    joined.append(run, range);
    if histograms > 0
        && let Some((_, first)) = joined.histograms.get_mut(histograms)
    {
        compare_anew(first);
    }
}
