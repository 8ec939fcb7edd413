//! The value of an instant vector over all steps at once: series × steps in one dense column each.
//!
//! Invariants: an absent sample is the staleness marker, which no operation can produce, and a
//! histogram leaves a second such marker in the column and stands in the series' sparse list; every
//! series of a finished frame has at least one sample.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Labels, STALE_NAN};

use super::budget::{Budget, Claim};
use crate::QueryError;

/// No sample at this step.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN);
/// A histogram at this step.
pub(crate) const HISTOGRAM: f64 = f64::from_bits(STALE_NAN + 1);

#[inline]
pub(crate) fn is_absent(cell: f64) -> bool {
    cell.to_bits() == STALE_NAN
}

#[inline]
pub(crate) fn is_histogram(cell: f64) -> bool {
    cell.to_bits() == STALE_NAN + 1
}

/// Is there a float in this cell, NaN included?
#[inline]
pub(crate) fn is_float(cell: f64) -> bool {
    cell.to_bits().wrapping_sub(STALE_NAN) > 1
}

/// A stored float as a cell: its bits could be those of a marker.
#[inline]
pub(crate) fn float_cell(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// Who a series is.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub labels: Labels,
    /// The metric name is to be removed at the end (delayed name removal).
    pub drop_name: bool,
}

impl Head {
    pub fn new(labels: Labels) -> Self {
        Self { labels, drop_name: false }
    }
}

/// The histograms of a series with their steps, ascending.
pub(crate) type Histograms = Vec<(u32, Arc<FloatHistogram>)>;

/// One sample or its absence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Absent,
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// One series' samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub cells: &'a [f64],
    histograms: &'a [(u32, Arc<FloatHistogram>)],
}

impl<'a> Column<'a> {
    #[inline]
    pub fn get(&self, step: usize) -> Cell<'a> {
        let cell = self.cells[step];
        if is_float(cell) {
            Cell::Float(cell)
        } else if is_absent(cell) {
            Cell::Absent
        } else {
            self.histogram(step).map_or(Cell::Absent, Cell::Histogram)
        }
    }

    pub fn histogram(&self, step: usize) -> Option<&'a Arc<FloatHistogram>> {
        let found = self.histograms.binary_search_by_key(&step, |(at, _)| *at as usize);
        found.ok().map(|at| &self.histograms[at].1)
    }

    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Frame {
    steps: usize,
    pub heads: Vec<Head>,
    cells: Vec<f64>,
    /// One list per series, or none at all.
    histograms: Vec<Histograms>,
    claim: Claim,
}

impl Frame {
    pub fn new(budget: &Arc<Budget>, steps: usize) -> Self {
        Self {
            steps,
            heads: Vec::new(),
            cells: Vec::new(),
            histograms: Vec::new(),
            claim: budget.claim(),
        }
    }

    /// An empty frame of the same shape and budget.
    pub fn empty_like(&self) -> Self {
        Self::new(self.claim.budget(), self.steps)
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn budget(&self) -> &Arc<Budget> {
        self.claim.budget()
    }

    pub fn column(&self, i: usize) -> Column<'_> {
        Column {
            cells: &self.cells[i * self.steps..(i + 1) * self.steps],
            histograms: self.histograms.get(i).map_or(&[], Vec::as_slice),
        }
    }

    pub fn columns(&self) -> impl Iterator<Item = (&Head, Column<'_>)> {
        self.heads.iter().enumerate().map(|(i, head)| (head, self.column(i)))
    }

    pub fn cells_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.cells[i * self.steps..(i + 1) * self.steps]
    }

    /// All cells, series by series.
    pub fn all_cells_mut(&mut self) -> &mut [f64] {
        &mut self.cells
    }

    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    pub fn histograms_mut(&mut self) -> &mut [Histograms] {
        &mut self.histograms
    }

    /// Asks for room for so many more series.
    pub fn reserve(&mut self, series: usize) -> Result<(), QueryError> {
        let cells = series.saturating_mul(self.steps);
        self.claim.grow(cells.saturating_mul(8).saturating_add(series.saturating_mul(48)))?;
        self.heads.reserve(series);
        self.cells.reserve(cells);
        Ok(())
    }

    /// Asks for memory beside the cells: for labels that are no others', and for histograms.
    pub fn charge(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.claim.grow(bytes)
    }

    /// Adds a series; room must have been reserved.
    pub fn push(&mut self, head: Head, cells: &[f64], histograms: Histograms) {
        debug_assert_eq!(cells.len(), self.steps);
        if !histograms.is_empty() {
            self.histograms.resize_with(self.heads.len(), Vec::new);
        }
        if !histograms.is_empty() || !self.histograms.is_empty() {
            self.histograms.push(histograms);
        }
        self.heads.push(head);
        self.cells.extend_from_slice(cells);
    }

    /// Adds a series without samples, to be filled in; room must have been reserved.
    pub fn push_absent(&mut self, head: Head) -> usize {
        if !self.histograms.is_empty() {
            self.histograms.push(Vec::new());
        }
        self.heads.push(head);
        self.cells.resize(self.cells.len() + self.steps, ABSENT);
        self.heads.len() - 1
    }

    /// Sets a histogram; steps must be set in ascending order for each series.
    pub fn set_histogram(&mut self, i: usize, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize_with(self.heads.len(), Vec::new);
        }
        self.cells[i * self.steps + step] = HISTOGRAM;
        self.histograms[i].push((step as u32, histogram));
    }

    /// Takes all series of `other`, which has as many steps.
    pub fn append(&mut self, mut other: Frame) {
        if self.heads.is_empty() {
            *self = other;
            return;
        }
        self.claim.absorb(&mut other.claim);
        if self.has_histograms() || other.has_histograms() {
            self.histograms.resize_with(self.heads.len(), Vec::new);
            other.histograms.resize_with(other.heads.len(), Vec::new);
            self.histograms.append(&mut other.histograms);
        }
        self.heads.append(&mut other.heads);
        self.cells.append(&mut other.cells);
    }

    /// Drops histograms whose cell was overwritten, then series without samples.
    pub fn compact(&mut self) {
        let steps = self.steps;
        for (cells, list) in self.cells.chunks_exact(steps.max(1)).zip(&mut self.histograms) {
            list.retain(|(step, _)| is_histogram(cells[*step as usize]));
        }
        if self.histograms.iter().all(Vec::is_empty) {
            self.histograms.clear();
        }
        let cells = &self.cells;
        let keep = |i: usize| !cells[i * steps..(i + 1) * steps].iter().all(|c| is_absent(*c));
        if !(0..self.heads.len()).all(keep) {
            let kept: Vec<usize> = (0..self.heads.len()).filter(|i| keep(*i)).collect();
            self.arrange(&kept);
        }
    }

    /// Keeps the series at these positions, in this order; each position occurs once at most.
    pub fn arrange(&mut self, order: &[usize]) {
        let mut cells = Vec::with_capacity(order.len() * self.steps);
        for &i in order {
            cells.extend_from_slice(&self.cells[i * self.steps..(i + 1) * self.steps]);
        }
        self.cells = cells;
        self.heads = order.iter().map(|&i| self.heads[i].clone()).collect();
        if !self.histograms.is_empty() {
            let take = |&i: &usize| std::mem::take(&mut self.histograms[i]);
            self.histograms = order.iter().map(take).collect();
        }
    }

    /// The samples of all series; a histogram counts for its size.
    pub fn samples(&self) -> usize {
        let cells = self.cells.iter().filter(|cell| is_float(**cell)).count();
        let histograms = self.histograms.iter().flatten().map(|(_, h)| histogram_weight(h));
        cells + histograms.sum::<usize>()
    }

    /// Bytes of memory, about.
    pub fn size(&self) -> usize {
        8 * self.cells.len() + self.shared_size()
    }

    /// Bytes of what others may have as well: labels and histograms.
    pub fn shared_size(&self) -> usize {
        let labels: usize = self.heads.iter().map(|head| head.labels.size()).sum();
        labels + self.histograms.iter().map(histograms_size).sum::<usize>()
    }

    /// The value at one step repeated for `steps` steps.
    pub fn repeated(&self, steps: usize) -> Result<Self, QueryError> {
        let mut frame = Self::new(self.budget(), steps);
        frame.reserve(self.len())?;
        let mut cells = vec![ABSENT; steps];
        for (head, column) in self.columns() {
            cells.fill(column.cells[0]);
            let histograms = match column.histogram(0) {
                Some(h) => (0..steps as u32).map(|step| (step, Arc::clone(h))).collect(),
                None => Vec::new(),
            };
            frame.push(head.clone(), &cells, histograms);
        }
        Ok(frame)
    }
}

/// Bytes of memory, about.
pub(crate) fn histograms_size(histograms: &Histograms) -> usize {
    histograms.iter().map(|(_, h)| 16 * histogram_weight(h)).sum()
}

/// How many samples a histogram counts for, as in Prometheus: its size in units of 16 bytes.
pub(crate) fn histogram_weight(h: &FloatHistogram) -> usize {
    let spans = 8 * (h.positive_spans.len() + h.negative_spans.len());
    let buckets = 8 * (h.positive_buckets.len() + h.negative_buckets.len());
    let custom = if h.uses_custom_buckets() { 8 * h.custom_values.len() } else { 0 };
    // The fixed part of the structure, then the timestamp.
    (168 + spans + buckets + custom + 8) / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(value: &str) -> Head {
        Head::new(Labels::from_pairs([("a", value)]).unwrap())
    }

    #[test]
    fn compacting_keeps_order_and_histograms() {
        let mut frame =
            Frame::new(&Budget::new(1 << 20, &metricstor_memory::Budget::unlimited()), 2);
        frame.reserve(3).unwrap();
        frame.push(head("1"), &[ABSENT, ABSENT], Vec::new());
        frame.push(head("2"), &[ABSENT, HISTOGRAM], vec![(1, Arc::default())]);
        frame.push(head("3"), &[f64::NAN, ABSENT], Vec::new());
        frame.compact();
        assert_eq!(frame.len(), 2);
        assert!(matches!(frame.column(0).get(1), Cell::Histogram(_)));
        assert!(matches!(frame.column(1).get(0), Cell::Float(v) if v.is_nan()));
        assert_eq!(frame.heads[1].labels.get("a"), Some("3"));
    }

    #[test]
    fn a_stored_nan_is_never_taken_for_a_marker() {
        assert!(is_float(float_cell(ABSENT)) && is_float(float_cell(HISTOGRAM)));
        assert!(!is_float(ABSENT) && !is_float(HISTOGRAM) && is_float(f64::NAN));
    }
}
