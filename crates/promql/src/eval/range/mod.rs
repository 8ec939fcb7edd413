//! Functions over range vectors: each is a kernel that is moved over the windows of a series.

mod counter;
mod counter_column;
mod extended;
mod histogram_change;
mod instant_change;
pub(crate) mod matrix;
mod moments;
mod order;
mod over_time;
mod regression;
mod sliding;
pub(crate) mod smoothed;
mod sorted;
mod start_time;
pub(crate) mod track;
mod transitions;
#[cfg(test)]
mod trial;
mod variance;
pub(crate) mod window;
pub(crate) mod windows;

use crate::QueryError;
use crate::ast::RangeExtension;
use crate::eval::samples::Reads;
use crate::eval::scalar::Scalar;

use counter::{Change, Extrapolated};
use sliding::{Fold, Sliding};
use sorted::Sorted;
use track::Track;
use window::{Remarks, Results, slide};
use windows::Windows;

/// From how many windows per sample on it pays to keep partial results between windows.
const SLIDING_OVERLAP: i64 = 16;

/// A range function with its scalar arguments, ready to be applied to series after series.
#[derive(Debug)]
pub(crate) struct RangeFunction {
    pub name: &'static str,
    kernel: Kernel,
}

#[derive(Debug)]
enum Kernel {
    Extrapolated(Extrapolated),
    Extended(extended::Extended),
    LastChange(instant_change::LastChange),
    Transitions(transitions::Transitions),
    Count(over_time::Count),
    Present(over_time::Present),
    Sum(over_time::Sum),
    Avg(over_time::Avg),
    Extreme(over_time::Extreme),
    Edge(over_time::Edge),
    Variance(variance::Variance),
    Quantile(order::Quantile),
    MedianDeviation(order::MedianDeviation),
    Slope(regression::Slope),
    Prediction(regression::Prediction),
    Smoothing(regression::Smoothing),
}

impl RangeFunction {
    /// Fails if the function cannot be applied to extended windows; `scalars` are its arguments but
    /// for the range vector, `overlap` is how many windows a sample is in. `None` if there is no range
    /// function of this name.
    pub fn new(
        name: &'static str,
        scalars: &[Scalar],
        extension: RangeExtension,
        overlap: i64,
    ) -> Result<Option<Self>, QueryError> {
        check_extension(name, extension)?;
        let kernel = kernel(name, scalars, extension, overlap >= SLIDING_OVERLAP);
        Ok(kernel.map(|kernel| Self { name, kernel }))
    }

    /// Does the function return samples as they were, under their own name?
    pub fn keeps_name(&self) -> bool {
        matches!(self.name, "last_over_time" | "first_over_time")
    }

    /// Does the function look at start timestamps?
    pub fn uses_start_times(name: &str) -> bool {
        matches!(name, "rate" | "irate" | "increase" | "resets")
    }

    /// Is the function meant for counters alone, so that others are worth a remark?
    pub fn expects_counter(&self) -> bool {
        matches!(self.name, "rate" | "increase")
    }

    /// Bytes of memory that applying it takes for a sample of the longest window, besides the sample.
    pub fn sample_size(&self) -> usize {
        fn of<F: Fold>(sliding: &Option<Sliding<F>>) -> usize {
            sliding.as_ref().map_or(0, Sliding::sample_size)
        }
        // What is not kept in order is sorted in a copy.
        let sorted = |sliding: &Option<Sorted>| match sliding {
            Some(_) => Sorted::SAMPLE_SIZE + size_of::<f64>(),
            None => size_of::<f64>(),
        };
        match &self.kernel {
            Kernel::Sum(sum) => sum.sums.sample_size(),
            Kernel::Avg(avg) => avg.sums.sample_size(),
            Kernel::Extreme(extreme) => of(&extreme.sliding),
            Kernel::Variance(variance) => of(&variance.sliding),
            Kernel::Quantile(quantile) => sorted(&quantile.sliding),
            Kernel::MedianDeviation(deviation) => sorted(&deviation.sliding),
            Kernel::Slope(slope) => slope.lines.sample_size(),
            Kernel::Prediction(prediction) => prediction.lines.sample_size(),
            _ => 0,
        }
    }

    /// Applies the function to every window of a series.
    pub fn apply(
        &mut self,
        track: &Track,
        windows: &mut Windows,
        remarks: &mut Remarks<'_>,
        results: &mut Results,
        reads: &mut Reads,
    ) -> Result<(), QueryError> {
        macro_rules! apply {
            ($($kind:ident),*) => {
                match &mut self.kernel {
                    $(Kernel::$kind(kernel) => {
                        slide(kernel, track, windows, remarks, results, reads)
                    })*
                }
            };
        }
        apply!(
            Extrapolated,
            Extended,
            LastChange,
            Transitions,
            Count,
            Present,
            Sum,
            Avg,
            Extreme,
            Edge,
            Variance,
            Quantile,
            MedianDeviation,
            Slope,
            Prediction,
            Smoothing
        )
    }
}

fn kernel(
    name: &str,
    scalars: &[Scalar],
    extension: RangeExtension,
    sliding: bool,
) -> Option<Kernel> {
    let scalar = |i: usize| scalars.get(i).cloned().unwrap_or(Scalar::Constant(f64::NAN));
    let change = |change| match extension {
        RangeExtension::None => Kernel::Extrapolated(Extrapolated::new(change)),
        _ => {
            let smoothed = extension == RangeExtension::Smoothed;
            Kernel::Extended(extended::Extended { change, smoothed })
        }
    };
    let transitions = |resets| {
        let anchored = extension == RangeExtension::Anchored;
        Kernel::Transitions(transitions::Transitions::new(resets, anchored))
    };
    let extreme = |max, time| {
        let sliding = sliding.then(|| Sliding::new(over_time::Best { max }));
        Kernel::Extreme(over_time::Extreme { max, time, sliding })
    };
    let variance = |deviation| {
        let sliding = sliding.then(|| Sliding::new(moments::Spread));
        Kernel::Variance(variance::Variance { deviation, sliding })
    };
    let lines = || regression::Lines::new(sliding);
    let sums = || over_time::Sums::new(sliding);
    let sorted = || sliding.then(Sorted::default);
    let edge = |last, time| Kernel::Edge(over_time::Edge { last, time });
    Some(match name {
        "rate" => change(Change::Rate),
        "increase" => change(Change::Increase),
        "delta" => change(Change::Delta),
        "irate" => Kernel::LastChange(instant_change::LastChange { rate: true }),
        "idelta" => Kernel::LastChange(instant_change::LastChange { rate: false }),
        "resets" => transitions(true),
        "changes" => transitions(false),
        "count_over_time" => Kernel::Count(over_time::Count::default()),
        "present_over_time" | "absent_over_time" => Kernel::Present(over_time::Present),
        "sum_over_time" => Kernel::Sum(over_time::Sum { sums: sums() }),
        "avg_over_time" => Kernel::Avg(over_time::Avg { sums: sums() }),
        "max_over_time" => extreme(true, false),
        "min_over_time" => extreme(false, false),
        "ts_of_max_over_time" => extreme(true, true),
        "ts_of_min_over_time" => extreme(false, true),
        "first_over_time" => edge(false, false),
        "last_over_time" => edge(true, false),
        "ts_of_first_over_time" => edge(false, true),
        "ts_of_last_over_time" => edge(true, true),
        "stdvar_over_time" => variance(false),
        "stddev_over_time" => variance(true),
        "quantile_over_time" => {
            let (sliding, scratch) = (sorted(), Vec::new());
            Kernel::Quantile(order::Quantile { q: scalar(0), sliding, scratch })
        }
        "mad_over_time" => {
            let (sliding, scratch) = (sorted(), Vec::new());
            Kernel::MedianDeviation(order::MedianDeviation { sliding, scratch })
        }
        "deriv" => Kernel::Slope(regression::Slope { lines: lines() }),
        "predict_linear" => {
            Kernel::Prediction(regression::Prediction { distance: scalar(0), lines: lines() })
        }
        "double_exponential_smoothing" => {
            Kernel::Smoothing(regression::Smoothing { smoothing: scalar(0), trend: scalar(1) })
        }
        _ => return None,
    })
}

/// Extended windows hold samples from outside the range; most functions would be wrong on them.
fn check_extension(name: &str, extension: RangeExtension) -> Result<(), QueryError> {
    let (modifier, safe): (_, &[&str]) = match extension {
        RangeExtension::None => return Ok(()),
        RangeExtension::Anchored => {
            ("anchored", &["changes", "delta", "increase", "rate", "resets"])
        }
        RangeExtension::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
    };
    if safe.contains(&name) {
        return Ok(());
    }
    let safe = safe.join(", ");
    let text = format!("{modifier} modifier can only be used with: {safe} - not with {name}");
    Err(QueryError::execution(text))
}
