//! Work over many series on several threads, its results taken in order.
//!
//! Invariant: the outcome does not depend on the number of threads: tasks are cut the same way
//! always, folded in their order, and of several errors the first in that order is returned.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::QueryError;

/// Cells that one task works on: its columns stay in the cache next to the samples.
const TASK_CELLS: usize = 1 << 14;
/// Series in one task at most.
const TASK_SERIES_MAX: usize = 2048;
/// Series in one task at least: fewer are not worth a hand-over.
const TASK_SERIES_MIN: usize = 8;

/// Cuts `series` into the tasks' runs, by the number of steps alone.
pub(crate) fn tasks(series: usize, steps: usize) -> Tasks {
    let size = (TASK_CELLS / steps.max(1)).clamp(TASK_SERIES_MIN, TASK_SERIES_MAX);
    Tasks { series, size }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tasks {
    series: usize,
    size: usize,
}

impl Tasks {
    fn count(&self) -> usize {
        self.series.div_ceil(self.size)
    }

    fn run(&self, task: usize) -> Range<usize> {
        task * self.size..((task + 1) * self.size).min(self.series)
    }
}

/// Maps every task on `threads` threads (each with a state of its own) and folds the results in
/// order on this one.
pub(crate) fn ordered<S, T: Send>(
    threads: usize,
    tasks: Tasks,
    state: impl Fn() -> S + Sync,
    map: impl Fn(&mut S, Range<usize>) -> Result<T, QueryError> + Sync,
    mut fold: impl FnMut(T) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let count = tasks.count();
    if threads <= 1 || count <= 1 {
        let mut state = state();
        return (0..count).try_for_each(|task| fold(map(&mut state, tasks.run(task))?));
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Room for a few results keeps fast threads from running far ahead of the fold.
        let (sender, receiver) = mpsc::sync_channel(2 * threads);
        for _ in 0..threads.min(count) {
            let (sender, next, stop, state, map) = (sender.clone(), &next, &stop, &state, &map);
            scope.spawn(move || {
                let mut state = state();
                while !stop.load(Ordering::Relaxed) {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    if task >= count {
                        break;
                    }
                    let result = map(&mut state, tasks.run(task));
                    if sender.send((task, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let folded = fold_in_order(receiver, &mut fold);
        // The receiver is gone: threads blocked on a full channel see that and end.
        stop.store(true, Ordering::Relaxed);
        folded
    })
}

fn fold_in_order<T>(
    results: mpsc::Receiver<(usize, Result<T, QueryError>)>,
    fold: &mut impl FnMut(T) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut early = BTreeMap::new();
    let mut due = 0;
    for (task, result) in results {
        early.insert(task, result);
        while let Some(result) = early.remove(&due) {
            fold(result?)?;
            due += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(threads: usize) -> Result<Vec<usize>, QueryError> {
        let mut seen = Vec::new();
        let map = |_: &mut (), run: Range<usize>| Ok(run.collect::<Vec<_>>());
        ordered(
            threads,
            tasks(100_000, 1000),
            || (),
            map,
            |run| {
                seen.extend(run);
                Ok(())
            },
        )?;
        Ok(seen)
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        let expected: Vec<usize> = (0..100_000).collect();
        for threads in [0, 1, 2, 7] {
            assert_eq!(folded(threads).unwrap(), expected);
        }
    }

    #[test]
    fn the_first_error_in_order_ends_the_work() {
        for threads in [1, 4] {
            let map = |_: &mut (), run: Range<usize>| {
                if run.start < 512 {
                    Ok(())
                } else {
                    Err(QueryError::execution(run.start.to_string()))
                }
            };
            let result = ordered(threads, tasks(1 << 20, 1 << 8), || (), map, Ok);
            assert_eq!(result, Err(QueryError::execution("512")));
        }
    }
}
