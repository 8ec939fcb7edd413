//! The commit thread alone, on a disk in memory.

use std::path::Path;
use std::sync::mpsc;

use metricstor_memory::Budget;

use super::*;
use crate::batch::Batch;
use crate::files::Simulated;
use crate::wal::LogConfig;

/// Counts what is applied.
#[derive(Default)]
struct Applied(Mutex<Vec<u64>>);

impl Apply for Applied {
    fn apply(&self, _: &Part, log_index: u64, _: &mut WriteOutcome) {
        self.0.lock().unwrap().push(log_index);
    }
}

fn start(apply: Arc<dyn Apply>) -> Committer {
    let config = LogConfig { segment_bytes: 64 << 20, identity: 0 };
    let log = Log::open(Arc::new(Simulated::new()), Path::new("/wal"), config).unwrap();
    let linger = Duration::from_millis(50);
    Committer::start(log, vec![1], apply, Arc::default(), 1 << 30, linger).unwrap()
}

fn commit(size: usize, done: Done) -> Commit {
    let part = Part { shard: 0, change: Change::Write(Batch::default()), payload: vec![0; size] };
    let outcome = WriteOutcome::default();
    Commit { parts: vec![part], outcome, done, memory: Budget::unlimited().permit() }
}

#[test]
fn a_part_that_the_log_never_takes_fails_alone() {
    let applied = Arc::new(Applied::default());
    let committer = start(applied.clone());
    let (answer, answers) = mpsc::channel();
    for (i, size) in [10, MAX_PAYLOAD as usize + 1, 20].into_iter().enumerate() {
        let answer = answer.clone();
        let done: Done = Box::new(move |result| answer.send((i, result.is_ok())).unwrap());
        committer.submit(commit(size, done));
    }
    let mut all: Vec<_> = (0..3).map(|_| answers.recv().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, [(0, true), (1, false), (2, true)]);
    assert_eq!(*applied.0.lock().unwrap(), [1, 2]);
    committer.close();
    assert_eq!(committer.waiting_bytes(), 0);
}

struct Broken;

impl Apply for Broken {
    fn apply(&self, _: &Part, _: u64, _: &mut WriteOutcome) {
        panic!("a bug");
    }
}

#[test]
fn after_a_bug_of_the_thread_nobody_waits_for_it() {
    let committer = start(Arc::new(Broken));
    let (answer, first) = mpsc::channel();
    committer.submit(commit(10, Box::new(move |result| answer.send(result.is_ok()).unwrap())));
    assert_eq!(first.recv(), Err(mpsc::RecvError), "let go of without an answer");
    assert!(!committer.drain());
    let (answer, second) = mpsc::channel();
    committer.submit(commit(10, Box::new(move |result| answer.send(result).unwrap())));
    assert!(matches!(second.recv().unwrap(), Err(WriteError::Closed)));
    assert_eq!(committer.waiting_bytes(), 0);
}
