//! The difference between the histograms of a window, counter resets made good.

use metricstor_model::{CounterResetHint, FloatHistogram, Reconciled};

use crate::eval::annotations::Operation;
use crate::eval::range::start_time::{is_reset, overlaps};
use crate::eval::range::track::Point;
use crate::eval::range::window::{Remarks, Window};

/// Adds `other`; false (and a warning) if the two cannot be added.
pub(crate) fn add_histogram(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    remarks: &mut Remarks<'_>,
) -> bool {
    let outcome = base.add(other).map_err(drop);
    note(outcome, Operation::Addition, remarks)
}

/// Subtracts `other`; false (and a warning) if that is impossible.
pub(crate) fn subtract_histogram(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    remarks: &mut Remarks<'_>,
) -> bool {
    let outcome = base.sub(other).map_err(drop);
    note(outcome, Operation::Subtraction, remarks)
}

fn note(outcome: Result<Reconciled, ()>, operation: Operation, remarks: &mut Remarks<'_>) -> bool {
    match outcome {
        Err(()) => {
            remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
            false
        }
        Ok(reconciled) => {
            if reconciled.custom_bounds {
                remarks.notes.mismatched_custom_buckets(operation, remarks.span);
            }
            true
        }
    }
}

/// The last histogram of a window minus the first, plus what was lost at counter resets. The window
/// has two histograms at least. `None` (and a warning) if they do not fit together.
pub(crate) fn difference(
    w: &Window<'_>,
    counter: bool,
    remarks: &mut Remarks<'_>,
) -> Option<FloatHistogram> {
    let points = w.histograms;
    let (first, last) = (&points[0].1, &points[points.len() - 1].1);
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if counter && (gauge(first) || gauge(last)) {
        remarks.notes.not_a_counter(&(remarks.name)(), remarks.span);
    }
    // After a reset, nothing of the first histogram is left in the others: its buckets need not fit.
    let empty;
    let mut base: &FloatHistogram = first;
    if counter && restarted(w, 1, first) {
        let second = &points[1].1;
        empty = FloatHistogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..FloatHistogram::default()
        };
        base = &empty;
    }
    if last.uses_custom_buckets() != base.uses_custom_buckets() {
        remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
        return None;
    }
    let schema = common_schema(points, base, counter, remarks)?;
    let mut change = (**last).clone();
    change.reduce_resolution(schema);
    if !subtract_histogram(&mut change, base, remarks) {
        return None;
    }
    if counter {
        add_lost(&mut change, w, base, remarks)?;
    } else if !gauge(first) || !gauge(last) {
        remarks.notes.not_a_gauge(&(remarks.name)(), remarks.span);
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

/// The coarsest resolution in the window; `None` (and a warning) if a histogram does not fit.
fn common_schema(
    points: &[Point],
    base: &FloatHistogram,
    counter: bool,
    remarks: &mut Remarks<'_>,
) -> Option<i32> {
    let mut schema = base.schema.min(points[points.len() - 1].1.schema);
    if !counter {
        return Some(schema);
    }
    for (_, h) in &points[1..points.len() - 1] {
        if h.counter_reset_hint == CounterResetHint::Gauge {
            remarks.notes.not_a_counter(&(remarks.name)(), remarks.span);
        }
        schema = schema.min(h.schema);
        if h.uses_custom_buckets() != base.uses_custom_buckets() {
            remarks.notes.mixed_exponential_custom(&(remarks.name)(), remarks.span);
            return None;
        }
    }
    Some(schema)
}

/// Adds every histogram that came before a reset.
fn add_lost(
    change: &mut FloatHistogram,
    w: &Window<'_>,
    base: &FloatHistogram,
    remarks: &mut Remarks<'_>,
) -> Option<()> {
    let mut previous = base;
    let mut overlapping = false;
    for (i, (_, h)) in w.histograms.iter().enumerate().skip(1) {
        if let [before, start] = w.histogram_starts.get(i - 1..=i).unwrap_or(&[])
            && !overlapping
            && overlaps(*before, w.histograms[i - 1].0, *start)
        {
            remarks.notes.start_time_overlap(&(remarks.name)(), remarks.span);
            overlapping = true;
        }
        if restarted(w, i, previous) && !add_histogram(change, previous, remarks) {
            return None;
        }
        previous = h;
    }
    Some(())
}

/// Was the counter reset right before histogram `i`?
fn restarted(w: &Window<'_>, i: usize, previous: &FloatHistogram) -> bool {
    let by_start = match w.histogram_starts.get(i - 1..=i) {
        Some([before, start]) => {
            is_reset((*before, w.histograms[i - 1].0), (*start, w.histograms[i].0))
        }
        _ => false,
    };
    by_start || w.histograms[i].1.detect_reset(previous)
}
