//! Measures the log on a real disk: appending, group commit, opening and replaying.
//! `cargo run --release --example log_throughput [FOLDER]`

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metricstor_storage::files::Disk;
use metricstor_storage::wal::{Entry, EntryId, Log, LogConfig, LogError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    for (size, batch, count) in [
        (64 << 10, 1, 4_000),
        (64 << 10, 32, 16_000),
        (1 << 20, 1, 1_000),
        (4 << 10, 1, 4_000),
        (100, 1, 4_000),
        (100, 1_000, 5_000_000),
    ] {
        let dir = tempfile::tempdir_in(&folder)?;
        measure(dir.path(), size, batch, count)?;
    }
    Ok(())
}

fn measure(dir: &Path, size: usize, batch: usize, count: usize) -> Result<(), LogError> {
    let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
    let mut log = Log::open(Arc::new(Disk), dir, LogConfig::default())?;
    let started = Instant::now();
    let mut appending = Duration::ZERO;
    for first in (0..count).step_by(batch) {
        let entry =
            |at| Entry { group: at as u32 % 16, term: 1, index: at as u64 / 16, payload: &payload };
        let entries: Vec<_> = (first..first + batch).map(entry).collect();
        let begun = Instant::now();
        log.append(&entries)?;
        appending += begun.elapsed();
        log.sync()?;
    }
    let written = started.elapsed();
    drop(log);
    let begun = Instant::now();
    let mut log = Log::open(Arc::new(Disk), dir, LogConfig::default())?;
    let opened = begun.elapsed();
    let begun = Instant::now();
    let mut bytes = 0;
    log.replay(
        |_| 0,
        |entry| {
            bytes += entry.payload.len();
            Ok::<_, LogError>(())
        },
    )?;
    let replayed = begun.elapsed();
    assert_eq!(bytes, size * count);
    let begun = Instant::now();
    for group in 0..16 {
        log.purge_prefix(group, EntryId { term: 1, index: (count / 16 - 1) as u64 })?;
    }
    let freed = log.reclaim()?;
    let reclaimed = begun.elapsed();
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{size:>8} B × {batch:>4}: append {:6.0} MB/s, with sync {:6.1} MB/s, {:7.1} syncs/s; \
         open {:6.1} ms; replay {:6.0} MB/s, {:5.2} M entries/s; reclaim of {freed} in {:.1} ms",
        rate(appending),
        rate(written),
        count as f64 / batch as f64 / written.as_secs_f64(),
        opened.as_secs_f64() * 1e3,
        rate(replayed),
        count as f64 / 1e6 / replayed.as_secs_f64(),
        reclaimed.as_secs_f64() * 1e3,
    );
    Ok(())
}
