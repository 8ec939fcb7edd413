//! Work over many series on several threads, its results taken in order.
//!
//! Invariant: the outcome does not depend on the number of threads: tasks are cut the same way
//! always, folded in their order, and of several errors the first in that order is returned.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::QueryError;

/// What one task costs, in cells and samples: at least it is worth a hand-over, at most its columns
/// stay in the cache next to the samples.
const TASK_COST: RangeInclusive<usize> = 1 << 14..=1 << 15;
/// As many as keep several threads busy, where they are not too small for it.
const TASKS: usize = 8;
/// Fewer tasks for a thread are done sooner than it wakes up.
const TASKS_PER_THREAD: usize = 2;
/// What a series costs besides them, and what each of its steps does: a sample costs one.
const SERIES_COST: usize = 256;
const STEP_COST: usize = 4;

/// How far apart samples usually are, in milliseconds, to guess how many there will be.
const USUAL_INTERVAL: i64 = 15_000;

/// What a series costs, about: its steps, and its samples inside a range of so many milliseconds.
pub(crate) fn effort_of_series(steps: usize, range: i64) -> usize {
    let samples = usize::try_from(range / USUAL_INTERVAL).unwrap_or(0);
    SERIES_COST.saturating_add(STEP_COST.saturating_mul(steps)).saturating_add(samples)
}

/// Samples of a window that some functions look at anew at each step, in the time that others take for
/// one.
const WINDOW_SAMPLES: usize = 8;

/// What looking at all windows of this range costs a series, if it is one of those functions.
pub(crate) fn effort_of_windows(steps: usize, range: i64) -> usize {
    let samples = usize::try_from(range / USUAL_INTERVAL).unwrap_or(0);
    steps.saturating_mul(samples) / WINDOW_SAMPLES
}

/// Cuts `series` into the tasks' runs, by what one of them costs about.
pub(crate) fn tasks(series: usize, effort: usize) -> Tasks {
    let share = series.saturating_mul(effort) / TASKS;
    let cost = share.clamp(*TASK_COST.start(), *TASK_COST.end());
    Tasks { series, size: (cost / effort.max(1)).max(1) }
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

/// The threads that help queries, shared by all of them.
///
/// Invariant: no more helpers are at work than there are threads, so that a query never waits for a
/// thread that another query keeps busy: it goes on alone instead.
#[derive(Debug)]
pub(crate) struct Helpers {
    pool: ThreadPool,
    idle: AtomicUsize,
}

impl Helpers {
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let name = |i| format!("query-helper-{i}");
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build()?;
        Ok(Self { pool, idle: AtomicUsize::new(threads) })
    }

    /// The right to use up to `wanted` of the threads: those that are idle.
    fn hire(&self, wanted: usize) -> Vec<Helper<'_>> {
        let less = |idle: usize| idle.checked_sub(1);
        let hire = |_| self.idle.fetch_update(Relaxed, Relaxed, less).ok().map(|_| Helper(self));
        (0..wanted).map_while(hire).collect()
    }
}

/// A helping thread, until dropped.
struct Helper<'a>(&'a Helpers);

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.0.idle.fetch_add(1, Relaxed);
    }
}

/// How many threads a query may use, this one included, and where the others come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads<'a> {
    pub max: usize,
    pub helpers: Option<&'a Helpers>,
}

/// Maps every task, with the help of other threads (each with a state of its own; this one is among
/// them), and folds the results in order on this one.
pub(crate) fn ordered<S, T: Send>(
    threads: Threads<'_>,
    tasks: Tasks,
    state: impl Fn() -> S + Sync,
    map: impl Fn(&mut S, Range<usize>) -> Result<T, QueryError> + Sync,
    mut fold: impl FnMut(T) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let count = tasks.count();
    let wanted = (count / TASKS_PER_THREAD).min(threads.max).saturating_sub(1);
    let hired: Vec<Helper<'_>> = threads.helpers.map(|all| all.hire(wanted)).unwrap_or_default();
    let Some(helpers) = threads.helpers.filter(|_| !hired.is_empty()) else {
        let mut state = state();
        return (0..count).try_for_each(|task| fold(map(&mut state, tasks.run(task))?));
    };
    let board = Board::new(count, 2 * (hired.len() + 1));
    helpers.pool.in_place_scope(|scope| {
        for helper in hired {
            let (board, state, map) = (&board, &state, &map);
            scope.spawn(move |_| {
                let _hired = helper;
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
    /// Threads that wait for a change: to wake nobody costs a call, too.
    waiting: usize,
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
        let progress =
            Progress { next: 0, due: 0, results: BTreeMap::new(), waiting: 0, stopped: false };
        Self { progress: Mutex::new(progress), changed: Condvar::new(), count, ahead }
    }

    fn lock(&self) -> MutexGuard<'_, Progress<T>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, mut progress: MutexGuard<'a, Progress<T>>) -> MutexGuard<'a, Progress<T>> {
        progress.waiting += 1;
        let mut progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        progress.waiting -= 1;
        progress
    }

    /// Tells those that wait, if any, of a change.
    fn tell(&self, progress: MutexGuard<'_, Progress<T>>) {
        let waiting = progress.waiting;
        drop(progress);
        if waiting > 0 {
            self.changed.notify_all();
        }
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
        let mut progress = self.lock();
        progress.results.insert(task, result);
        self.tell(progress);
    }

    /// What the folding thread is to do next: it folds what is due before it takes a task itself.
    fn next(&self) -> Next<T> {
        let mut progress = self.lock();
        loop {
            let due = progress.due;
            if let Some(result) = progress.results.remove(&due) {
                progress.due += 1;
                self.tell(progress);
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
        let mut progress = self.lock();
        progress.stopped = true;
        self.tell(progress);
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

    fn threads(helpers: &Helpers) -> Threads<'_> {
        Threads { max: helpers.pool.current_num_threads() + 1, helpers: Some(helpers) }
    }

    fn folded(threads: Threads<'_>) -> Result<Vec<usize>, QueryError> {
        let mut seen = Vec::new();
        let map = |_: &mut (), run: Range<usize>| Ok(run.collect::<Vec<_>>());
        ordered(
            threads,
            tasks(100_000, 1256),
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
        assert_eq!(folded(Threads { max: 1, helpers: None }).unwrap(), expected);
        for count in [1, 2, 6] {
            let helpers = Helpers::new(count).unwrap();
            assert_eq!(folded(threads(&helpers)).unwrap(), expected);
            assert_eq!(helpers.idle.load(Relaxed), count);
        }
    }

    #[test]
    fn nobody_waits_for_a_helper_that_others_keep_busy() {
        let helpers = Helpers::new(1).unwrap();
        let others = helpers.hire(3);
        assert_eq!(others.len(), 1);
        assert_eq!(folded(threads(&helpers)).unwrap().len(), 100_000);
    }

    #[test]
    fn the_first_error_in_order_ends_the_work() {
        for count in [1, 4] {
            let helpers = Helpers::new(count).unwrap();
            let map = |_: &mut (), run: Range<usize>| {
                if run.start < 512 {
                    Ok(())
                } else {
                    Err(QueryError::execution(run.start.to_string()))
                }
            };
            let result = ordered(threads(&helpers), tasks(1 << 20, 256), || (), map, Ok);
            assert_eq!(result, Err(QueryError::execution("512")));
        }
    }
}
