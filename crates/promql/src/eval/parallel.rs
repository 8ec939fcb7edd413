//! Work over many series on several threads, its results taken in order.
//!
//! Invariant: the outcome does not depend on the number of threads: tasks are cut the same way
//! always, folded in their order, and of several errors the first in that order is returned.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::QueryError;

/// What one task costs, in cells and samples: it is worth a hand-over, and its columns stay in the
/// cache next to the samples.
const TASK_COST: usize = 1 << 15;
/// What a series costs besides them.
const SERIES_COST: usize = 256;

/// Cuts `series` into the tasks' runs, by what one of them costs about: its steps and its samples.
pub(crate) fn tasks(series: usize, steps: usize, samples: usize) -> Tasks {
    let cost = SERIES_COST.saturating_add(steps).saturating_add(samples);
    Tasks { series, size: (TASK_COST / cost).max(1) }
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

/// Maps every task on up to `threads` threads (each with a state of its own; this one is among them)
/// and folds the results in order on this one.
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
    let board = Board::new(count, 2 * threads);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            let (board, state, map) = (&board, &state, &map);
            scope.spawn(move || {
                let _stop = StopOnPanic(board);
                let mut state = state();
                while let Some(task) = board.take() {
                    board.put(task, map(&mut state, tasks.run(task)));
                }
            });
        }
        let _stop = Stop(&board);
        let mut state = state();
        loop {
            match board.next() {
                Next::Fold(result) => fold(result?)?,
                Next::Map(task) => board.put(task, map(&mut state, tasks.run(task))),
                Next::End => return Ok(()),
            }
        }
    })
}

/// Which tasks are taken, and which results wait to be folded.
struct Board<T> {
    progress: Mutex<Progress<T>>,
    changed: Condvar,
    count: usize,
    /// How far the tasks taken may be ahead of the fold.
    ahead: usize,
}

struct Progress<T> {
    /// The next task to be taken.
    next: usize,
    /// The next result to be folded.
    due: usize,
    results: BTreeMap<usize, Result<T, QueryError>>,
    stopped: bool,
}

/// What the folding thread is to do.
enum Next<T> {
    Fold(Result<T, QueryError>),
    Map(usize),
    End,
}

impl<T> Board<T> {
    fn new(count: usize, ahead: usize) -> Self {
        let progress = Progress { next: 0, due: 0, results: BTreeMap::new(), stopped: false };
        Self { progress: Mutex::new(progress), changed: Condvar::new(), count, ahead }
    }

    fn lock(&self) -> MutexGuard<'_, Progress<T>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, progress: MutexGuard<'a, Progress<T>>) -> MutexGuard<'a, Progress<T>> {
        self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner)
    }

    /// A task for a helping thread, once it would not run too far ahead; `None` when all are taken.
    fn take(&self) -> Option<usize> {
        let mut progress = self.lock();
        loop {
            if progress.stopped || progress.next >= self.count {
                return None;
            }
            if progress.next < progress.due + self.ahead {
                progress.next += 1;
                return Some(progress.next - 1);
            }
            progress = self.wait(progress);
        }
    }

    fn put(&self, task: usize, result: Result<T, QueryError>) {
        self.lock().results.insert(task, result);
        self.changed.notify_all();
    }

    /// What the folding thread is to do next: it folds what is due before it takes a task itself.
    fn next(&self) -> Next<T> {
        let mut progress = self.lock();
        loop {
            let due = progress.due;
            if let Some(result) = progress.results.remove(&due) {
                progress.due += 1;
                self.changed.notify_all();
                return Next::Fold(result);
            }
            if due == self.count || progress.stopped {
                return Next::End;
            }
            if progress.next < self.count {
                progress.next += 1;
                return Next::Map(progress.next - 1);
            }
            progress = self.wait(progress);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// However the fold ends, the helping threads end as well.
struct Stop<'a, T>(&'a Board<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The fold does not wait for the result of a thread that panicked; the scope passes the panic on.
struct StopOnPanic<'a, T>(&'a Board<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(threads: usize) -> Result<Vec<usize>, QueryError> {
        let mut seen = Vec::new();
        let map = |_: &mut (), run: Range<usize>| Ok(run.collect::<Vec<_>>());
        ordered(
            threads,
            tasks(100_000, 1000, 0),
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
            let result = ordered(threads, tasks(1 << 20, 0, 0), || (), map, Ok);
            assert_eq!(result, Err(QueryError::execution("512")));
        }
    }
}
