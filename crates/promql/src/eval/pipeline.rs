//! Vectors that can be computed series by series: a selector, possibly under a range function, under
//! any number of stages.
//!
//! Invariant: a run of series is computed without knowing the others, so that runs can be spread
//! over threads and aggregated one after the other.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use metricstor_model::{METRIC_NAME, Need, Samples, SeriesSet, TimeRange};

use crate::ast::{RangeExtension, Span};
use crate::eval::annotations::Annotations;
use crate::eval::budget::Claim;
use crate::eval::frame::{Frame, Head, histograms_size};
use crate::eval::grid::Grid;
use crate::eval::instant::{Take, pick};
use crate::eval::names::{Names, Naming};
use crate::eval::parallel::{Tasks, effort_of_series, tasks};
use crate::eval::profile::{Cost, Laps};
use crate::eval::query::Query;
use crate::eval::range::RangeFunction;
use crate::eval::range::smoothed::Smoothed;
use crate::eval::range::track::Track;
use crate::eval::range::window::{Remarks, Results, slide};
use crate::eval::range::windows::{Reach, Windows};
use crate::eval::reading::{Reading, buckets_size};
use crate::eval::relabel::Dropped;
use crate::eval::samples::Reads;
use crate::eval::scalar::Scalar;
use crate::eval::stage::Stage;
use crate::plan::Selector;
use crate::{QueryError, Stopwatch};

/// What is read from each series.
#[derive(Debug)]
pub(crate) enum Intake {
    /// An instant selector.
    Instant(Take),
    /// A `smoothed` instant selector.
    Smoothed,
    /// A range function over a range selector.
    Range { name: &'static str, scalars: Vec<Scalar>, range: i64 },
}

pub(crate) struct Pipeline<'a> {
    pub query: &'a Query<'a>,
    pub selector: &'a Selector,
    /// Where annotations point: the selector, or the first argument of its function.
    pub span: Span,
    pub grid: Grid,
    pub intake: Intake,
    /// Innermost first.
    pub stages: Vec<Stage>,
    /// Count samples by step.
    pub by_step: bool,
    /// The numbers of the plan's nodes: the selector, the function over it if there is one, the stages.
    pub nodes: Vec<usize>,
    /// Present if the query is to be explained.
    pub stopwatch: Option<Stopwatch>,
}

/// A computed run.
pub(crate) struct Run {
    pub frame: Frame,
    pub notes: Annotations,
    pub reads: Reads,
    pub laps: Laps,
    /// Labels other than the name were dropped with it: series may have become equal.
    pub ambiguous: bool,
}

/// What a thread needs to compute runs, reused from series to series.
pub(crate) struct Scratch {
    samples: Samples,
    /// For the samples of the longest series so far, and what the function needs besides.
    claim: Claim,
    work: Work,
    naming: Naming,
}

/// What it takes to compute a series from its samples.
struct Work {
    track: Track,
    windows: Windows,
    results: Results,
    function: Option<RangeFunction>,
    /// The metric was remarked on in this run.
    remarked: bool,
}

/// What reading a series gave.
fn cost(samples: &Samples) -> Cost {
    Cost {
        series: 1,
        samples: (samples.len() + samples.left_out) as u64,
        bytes: (16 * samples.len() + buckets_size(samples)) as u64,
        ..Cost::default()
    }
}

impl Pipeline<'_> {
    pub fn series(&self) -> &Arc<dyn SeriesSet> {
        self.query.set(self.selector.selection)
    }

    pub fn tasks(&self) -> Tasks {
        let times = self.times(&self.reach());
        let range = times.end.saturating_sub(times.start);
        tasks(self.series().len(), effort_of_series(self.grid.len, range))
    }

    /// Fails if the function does not go with the selector.
    pub fn check(&self) -> Result<(), QueryError> {
        self.function().map(drop)
    }

    fn function(&self) -> Result<Option<RangeFunction>, QueryError> {
        match &self.intake {
            Intake::Range { name, scalars, range } => {
                let overlap = self.grid.overlap(*range);
                RangeFunction::new(name, scalars, self.selector.extension, overlap)
            }
            Intake::Instant(_) | Intake::Smoothed => Ok(None),
        }
    }

    pub fn scratch(&self) -> Scratch {
        Scratch {
            samples: Samples::default(),
            claim: self.query.budget.claim(),
            work: Work {
                track: Track::default(),
                windows: self.windows(),
                results: Results::default(),
                // `check` has seen to it that there is no error.
                function: self.function().ok().flatten(),
                remarked: false,
            },
            naming: Naming::new(&self.query.budget),
        }
    }

    /// Do the results lose the metric's name on the way?
    pub fn drops_name(&self) -> bool {
        self.drops() > Dropped::Nothing
    }

    fn drops(&self) -> Dropped {
        let intake = if self.intake_drops_name() { Dropped::Metadata } else { Dropped::Nothing };
        self.stages.iter().map(Stage::drops).fold(intake, Dropped::max)
    }

    /// What is removed at once.
    pub fn drops_now(&self) -> Dropped {
        if self.query.options.delayed_name_removal { Dropped::Nothing } else { self.drops() }
    }

    /// Is it a range function that drops the name?
    pub fn is_over_range(&self) -> bool {
        matches!(self.intake, Intake::Range { .. }) && self.intake_drops_name()
    }

    fn intake_drops_name(&self) -> bool {
        match &self.intake {
            Intake::Instant(take) => matches!(take, Take::Time | Take::StartTime),
            Intake::Smoothed => false,
            Intake::Range { name, .. } => !matches!(*name, "last_over_time" | "first_over_time"),
        }
    }

    /// Computes the series of a run, those without samples left out.
    pub fn run(
        &self,
        scratch: &mut Scratch,
        series: Range<usize>,
        names: Names<'_>,
    ) -> Result<Run, QueryError> {
        let mut run = Run {
            frame: Frame::new(&self.query.budget, self.grid.len),
            notes: Annotations::default(),
            reads: Reads::new(if self.by_step { self.grid.len } else { 0 }),
            laps: Laps::start(self.stopwatch, self.nodes.len()),
            ambiguous: self.selector.name().is_none(),
        };
        let intake = self.nodes.len().saturating_sub(1 + self.stages.len());
        let Scratch { samples, claim, work, naming } = scratch;
        work.remarked = false;
        naming.rows.clear();
        run.frame.reserve(series.len())?;
        let besides = work.function.as_ref().map_or(0, RangeFunction::sample_size);
        let mut reading = Reading::new(claim, Track::FLOAT_SIZE + besides);
        let mut failed = None;
        self.query.interrupt.check()?;
        let read = self.series().read_each(
            series,
            self.times(&self.reach()),
            self.need(),
            &mut |samples| reading.has_room(samples),
            samples,
            &mut |i, samples| match self.compute(work, samples, i, intake, &mut run) {
                Ok(has_result) => {
                    naming.rows.extend(has_result.then_some(i));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        );
        reading.end(read)?;
        failed.map_or(Ok(()), Err)?;
        naming.name(self, names, &mut run)?;
        for (i, stage) in self.stages.iter().enumerate() {
            stage.apply(&mut run.frame, &self.grid, &mut run.notes);
            run.laps.lap(intake + 1 + i, || Cost::of(&run.frame));
        }
        if self.stages.iter().any(Stage::drops_name) {
            run.frame.heads.iter_mut().for_each(|head| head.drop_name = true);
        }
        Ok(run)
    }

    /// Computes series `i` from its samples; tells whether it has any result.
    fn compute(
        &self,
        work: &mut Work,
        samples: &mut Samples,
        i: usize,
        intake: usize,
        run: &mut Run,
    ) -> Result<bool, QueryError> {
        self.query.interrupt.check()?;
        run.laps.lap(0, || cost(samples));
        self.take_in(work, i, samples, run)?;
        let results = &mut work.results;
        if !results.any {
            return Ok(false);
        }
        if intake > 0 {
            run.laps.lap(intake, || Cost::of_cells(&results.cells));
        }
        let histograms = std::mem::take(&mut results.histograms);
        run.frame.charge(histograms_size(&histograms))?;
        let labels = self.query.no_labels.clone();
        let head = Head { labels, drop_name: self.intake_drops_name() };
        run.frame.push(head, &results.cells, histograms);
        Ok(true)
    }

    /// What is needed of the samples, if they are all inside one window.
    fn need(&self) -> Need {
        let is_plain = self.selector.extension == RangeExtension::None;
        match &self.intake {
            Intake::Range { name, .. } if self.grid.len == 1 && is_plain => match *name {
                "max_over_time" => Need::Greatest,
                "min_over_time" => Need::Least,
                "count_over_time" | "present_over_time" => Need::One,
                _ => Need::Every,
            },
            _ => Need::Every,
        }
    }

    /// Where each step looks.
    fn reach(&self) -> Reach {
        let (lookback, shift) = (self.query.lookback, self.selector.shift);
        let (range, before, after) = match (&self.intake, self.selector.extension) {
            (Intake::Instant(_), _) => (0, lookback, 0),
            (Intake::Smoothed, _) => (0, lookback, lookback),
            (Intake::Range { range, .. }, RangeExtension::None) => (*range, 0, 0),
            (Intake::Range { range, .. }, RangeExtension::Anchored) => (*range, lookback, 0),
            (Intake::Range { range, .. }, RangeExtension::Smoothed) => (*range, lookback, lookback),
        };
        Reach { shift, range, before, after }
    }

    /// The samples that all steps together look at.
    fn times(&self, reach: &Reach) -> TimeRange {
        let before = reach.range.saturating_add(reach.before);
        reach.shift.range(&self.grid, before, reach.after)
    }

    fn windows(&self) -> Windows {
        let mut reach = self.reach();
        // Prometheus forgets the offset when it looks for the time at a fixed moment, though not when
        // it selects the samples to look at.
        if matches!(self.intake, Intake::Instant(Take::Time | Take::StartTime))
            && reach.shift.at.is_some()
        {
            reach.shift.offset = 0;
        }
        Windows::new(self.grid, reach)
    }

    /// Applies the intake to the samples of series `i`.
    fn take_in(
        &self,
        work: &mut Work,
        i: usize,
        samples: &mut Samples,
        run: &mut Run,
    ) -> Result<(), QueryError> {
        let Work { track, windows, results, function, remarked } = work;
        if let Intake::Instant(take) = self.intake {
            pick(samples, windows, take, results, &mut run.reads);
            return Ok(());
        }
        let starts = self.query.options.start_timestamps
            && function.as_ref().is_some_and(|f| RangeFunction::uses_start_times(f.name));
        track.load(samples, starts);
        if self.selector.totals_only {
            track.keep_totals();
        }
        let name = || self.metric_name(i);
        let interrupt = self.query.interrupt;
        let mut remarks =
            Remarks { notes: &mut run.notes, span: self.span, name: &name, interrupt };
        match function {
            Some(function) => {
                function.apply(track, windows, &mut remarks, results, &mut run.reads)?;
                if track.left_out > 0 {
                    run.reads.add(0, track.left_out, track.left_out);
                }
                let counted = function.expects_counter() && results.any && results.has_floats();
                if counted && !*remarked {
                    // If all have one name, one remark is enough.
                    let options = &self.query.options;
                    *remarked = self.selector.name().is_some() && !options.type_and_unit_labels;
                    let labels = || self.series().labels(i);
                    self.query.remark_non_counter(&name(), labels, self.span, &mut run.notes);
                }
                Ok(())
            }
            None => {
                let reads = &mut run.reads;
                slide(&mut Smoothed, track, windows, &mut remarks, results, reads)
            }
        }
    }

    fn metric_name(&self, i: usize) -> String {
        match self.selector.name() {
            Some(name) => name.to_owned(),
            None => self.series().labels(i).get(METRIC_NAME).unwrap_or("").to_owned(),
        }
    }
}
