//! Joins sorted runs of samples into one strictly increasing column.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, FloatHistogram, Samples};

/// Makes `out` strictly increasing again after a sorted run was appended at `start`.
///
/// Almost always the run simply continues what stood before, and nothing moves. At equal times the
/// earlier run wins: ingestion let only equal values through. A run may come without start timestamps.
pub(crate) fn settle(out: &mut Samples, start: usize) {
    if !out.start_timestamps.is_empty() {
        out.start_timestamps.resize(out.len(), 0);
    }
    let continues =
        start == 0 || start == out.len() || out.timestamps[start - 1] < out.timestamps[start];
    if !continues {
        *out = merge(out, start);
    }
}

fn merge(runs: &Samples, start: usize) -> Samples {
    let mut merged = Samples { left_out: runs.left_out, ..Samples::default() };
    let (mut a, mut b) = (0, start);
    let mut previous_is_from_a = None;
    while a < start || b < runs.len() {
        let from_a = b == runs.len() || (a < start && runs.timestamps[a] <= runs.timestamps[b]);
        let i = if from_a { a } else { b };
        if a < start && b < runs.len() && runs.timestamps[a] == runs.timestamps[b] {
            b += 1;
        }
        if from_a {
            a += 1;
        } else {
            b += 1;
        }
        if let Some(start_timestamp) = runs.start_timestamps.get(i) {
            merged.start_timestamps.push(*start_timestamp);
        }
        match histogram_at(runs, i) {
            Some(mut histogram) => {
                if previous_is_from_a.replace(from_a).is_some_and(|previous| previous != from_a) {
                    compare_anew(&mut histogram);
                }
                merged.push_histogram(runs.timestamps[i], histogram);
            }
            None => merged.push(runs.timestamps[i], runs.values[i]),
        }
    }
    merged
}

/// Another one stands before the histogram than it was compared with: readers compare for themselves.
pub(crate) fn compare_anew(histogram: &mut Arc<FloatHistogram>) {
    if histogram.counter_reset_hint == CounterResetHint::NotReset {
        Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
    }
}

/// The histogram at a position, if one stands there.
fn histogram_at(samples: &Samples, i: usize) -> Option<Arc<FloatHistogram>> {
    let all = &samples.histograms;
    let at = all.binary_search_by_key(&i, |(position, _)| *position).ok()?;
    Some(all[at].1.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(timestamps: &[i64]) -> Samples {
        let mut samples = Samples::default();
        timestamps.iter().for_each(|t| samples.push(*t, *t as f64));
        samples
    }

    #[test]
    fn overlapping_runs_become_one() {
        let mut samples = of(&[1, 4, 6, 2, 4, 9]);
        settle(&mut samples, 3);
        assert_eq!(samples.timestamps, [1, 2, 4, 6, 9]);
        assert_eq!(samples.values, [1.0, 2.0, 4.0, 6.0, 9.0]);
    }

    #[test]
    fn histograms_keep_their_places() {
        let mut samples = of(&[1, 5]);
        let histogram = Arc::new(FloatHistogram { count: 3.0, ..Default::default() });
        samples.push_histogram(3, histogram.clone());
        samples.push(7, 7.0);
        settle(&mut samples, 2);
        assert_eq!(samples.timestamps, [1, 3, 5, 7]);
        assert_eq!(samples.histograms, [(1, histogram)]);
    }

    #[test]
    fn a_histogram_behind_another_runs_is_compared_anew() {
        let mut samples = Samples::default();
        let not_reset = CounterResetHint::NotReset;
        let histogram = FloatHistogram { counter_reset_hint: not_reset, ..Default::default() };
        for timestamp in [1, 4, 6, 2, 4, 9] {
            samples.push_histogram(timestamp, Arc::new(histogram.clone()));
        }
        settle(&mut samples, 3);
        let hints: Vec<_> = samples.histograms.iter().map(|(_, h)| h.counter_reset_hint).collect();
        let unknown = CounterResetHint::Unknown;
        assert_eq!(hints, [not_reset, unknown, unknown, not_reset, unknown]);
    }

    #[test]
    fn a_continuing_run_is_left_alone() {
        let mut samples = of(&[1, 2, 3, 4]);
        settle(&mut samples, 2);
        assert_eq!(samples.timestamps, [1, 2, 3, 4]);
    }
}
