//! Applying what the log has beyond the chunk files: read in order by one thread, applied by one
//! thread per shard, for entries of different shards never depend on each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::open::Recovery;
use crate::batch::{Batch, Malformed};
use crate::entry::Change;
use crate::error::StorageError;
use crate::outcome::WriteOutcome;
use crate::shard::Shard;
use crate::wal::Log;

/// Entries that may wait for a shard; an entry has at most a few MiB.
const WAITING_MAX: usize = 8;

/// Index and payload of an entry.
type Logged = (u64, Vec<u8>);

/// What one shard's thread did.
#[derive(Default)]
struct Applied {
    entries: u64,
    samples: u64,
}

/// Applies the entries of each shard after `flushed`.
pub(super) fn replay(
    log: &Log,
    shards: &[Arc<Shard>],
    flushed: &BTreeMap<u32, u64>,
    now: i64,
    recovery: &mut Recovery,
) -> Result<(), StorageError> {
    let from = |group: u32| flushed.get(&group).map_or(u64::MAX, |upto| upto + 1);
    let (read, applied) = std::thread::scope(|scope| {
        let (queues, threads): (Vec<_>, Vec<_>) = shards
            .iter()
            .map(|shard| {
                let (queue, entries) = sync_channel(WAITING_MAX);
                (queue, scope.spawn(move || apply(shard, &entries, now)))
            })
            .unzip();
        let read = log.replay(from, |entry| {
            // A thread that is gone met a malformed entry: its error is the one that counts.
            let _ = queues[entry.group as usize].send((entry.index, entry.payload.to_vec()));
            Ok::<(), StorageError>(())
        });
        drop(queues);
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (read, threads.into_iter().map(join).collect::<Result<Vec<Applied>, StorageError>>())
    });
    for Applied { entries, samples } in applied? {
        recovery.replayed_entries += entries;
        recovery.replayed_samples += samples;
    }
    read?;
    shards.iter().for_each(|shard| shard.replayed());
    Ok(())
}

fn apply(shard: &Shard, queue: &Receiver<Logged>, now: i64) -> Result<Applied, StorageError> {
    let mut applied = Applied::default();
    let mut change = Change::Write(Batch::default());
    for (index, payload) in queue {
        change.decode(&payload, index).map_err(|Malformed(reason)| StorageError::Format {
            path: "wal".into(),
            reason: format!("entry {index} of shard {}: {reason}", shard.number),
        })?;
        applied.entries += 1;
        match &change {
            Change::Write(batch) => {
                applied.samples += (batch.timestamps.len() + batch.histograms.len()) as u64;
                shard.replay(batch, index, now, &mut WriteOutcome::default());
            }
            Change::Delete(tombstone) => shard.delete(tombstone, index, now),
        }
    }
    Ok(applied)
}
