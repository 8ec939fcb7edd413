//! The head becomes a chunk file.
//!
//! ```text
//! freeze ── write file, fsync, rename, fsync folder ── publish in the catalog ── swap ── purge log
//! ```
//! A crash before the publication leaves the log whole and perhaps an unknown file, which the next
//! start deletes; a crash after it leaves a log that repeats what the file holds, which replay skips.

use std::sync::Arc;

use metricstor_model::Samples;

use super::{Maintenance, Shard};
use crate::catalog::{Block, BlockBuilder, Publication};
use crate::chunk_file::{ChunkFile, ChunkFileWriter, FileMeta, FileSummary, SeriesKey};
use crate::error::StorageError;
use crate::head::Frozen;
use crate::tombstone::Tombstone;

/// A shard is flushed after so many logged samples, stored or not: repetitions fill only the log.
const LOGGED_SAMPLES_MAX: u64 = 32 << 20;
/// Series looked up under one lock: new ones wait for as many.
const INDEXED_AT_ONCE: usize = 1 << 14;

/// A frozen head on its way to a file. Kept when a step fails, so that the next try continues.
pub(super) struct Pending {
    /// `None`: the log says nothing that a file must hold.
    frozen: Option<Arc<Frozen>>,
    /// The last log index that is frozen.
    upto: u64,
    series: Vec<u32>,
    tombstones: Vec<Arc<Tombstone>>,
}

impl Shard {
    /// Writes out what the head holds; returns the log index up to which the log is not needed any
    /// more, or `None` when there was nothing to write.
    pub fn flush(&self) -> Result<Option<u64>, StorageError> {
        let mut maintenance = self.maintenance();
        // What an earlier flush left unfinished is not all.
        let earlier = self.publish_pending(&mut maintenance)?;
        maintenance.pending = self.freeze();
        Ok(self.publish_pending(&mut maintenance)?.or(earlier))
    }

    /// Writes out what is frozen, if something is.
    fn publish_pending(&self, maintenance: &mut Maintenance) -> Result<Option<u64>, StorageError> {
        let started = std::time::Instant::now();
        let Maintenance { catalog, pending } = maintenance;
        let Some(flush) = pending.as_ref() else { return Ok(None) };
        let frozen = flush.frozen.as_deref();
        let written = frozen.map(|frozen| self.write_file(frozen, flush.upto)).transpose()?;
        let open = |file: &FileSummary| {
            ChunkFile::open(&*self.files, &self.chunks_dir.join(&file.name)).map(Arc::new)
        };
        let opened = written.iter().map(open).collect::<Result<_, _>>()?;
        catalog.publish(Publication {
            new_series: Some(&mut Unpublished { shard: self, series: flush.series.iter() }),
            added: written.as_slice(),
            flushed: Some(flush.upto),
            tombstones: &flush.tombstones,
            ..Publication::default()
        })?;
        let mut live = self.live_mut();
        live.files = Arc::new(live.files.replace(&[], opened));
        live.head.release_frozen();
        live.flushed = flush.upto;
        drop(live);
        let upto = flush.upto;
        *pending = None;
        self.metrics.flushed_samples.add(written.map_or(0, |file| file.samples));
        self.metrics.flush.observe(started.elapsed());
        Ok(Some(upto))
    }

    /// Is the head large or old enough, or an earlier flush unfinished?
    pub fn flush_is_due(&self, now: i64, interval_ms: i64, bytes_max: usize) -> bool {
        let live = self.live();
        let long_log = live.logged_samples >= LOGGED_SAMPLES_MAX;
        let old = live.head_since.is_some_and(|since| now.saturating_sub(since) >= interval_ms);
        old || long_log || live.head.sample_bytes() >= bytes_max || live.head.has_frozen()
    }

    fn freeze(&self) -> Option<Pending> {
        let mut live = self.live_mut();
        if live.applied == live.flushed {
            live.head.give_back_idle();
            return None;
        }
        let frozen = live.head.freeze();
        live.head_since = None;
        live.logged_samples = 0;
        Some(Pending {
            frozen,
            upto: live.applied,
            series: std::mem::take(&mut live.unpublished),
            tombstones: std::mem::take(&mut live.unpublished_tombstones),
        })
    }

    fn write_file(&self, frozen: &Frozen, position: u64) -> Result<FileSummary, StorageError> {
        let meta = FileMeta { position, ..FileMeta::new(0, u32::from(self.number)) };
        let mut writer = ChunkFileWriter::create(&*self.files, &self.chunks_dir, meta)?;
        let mut samples = Samples::default();
        for SeriesKey { series, .. } in self.by_metric(&frozen.series()) {
            let labels = self.index().labels(series);
            let add = |part: &Samples| writer.add(series, &labels, part);
            frozen.read_parts(series, &mut samples, add)?;
        }
        for (series, exemplars) in frozen.exemplars() {
            writer.add_exemplars(*series, exemplars)?;
        }
        Ok(writer.finish()?)
    }

    /// Series in the order of chunk files.
    pub fn by_metric(&self, series: &[u32]) -> Vec<SeriesKey> {
        let mut keys = Vec::with_capacity(series.len());
        for some in series.chunks(INDEXED_AT_ONCE) {
            keys.extend(self.index().keys(some.iter().copied()));
        }
        if !keys.is_sorted() {
            keys.sort_unstable();
        }
        keys
    }
}

/// Series for the catalog. The index is locked block by block: new ones never wait for SQLite.
struct Unpublished<'a> {
    shard: &'a Shard,
    series: std::slice::Iter<'a, u32>,
}

impl Iterator for Unpublished<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let index = self.shard.index();
        let mut block = BlockBuilder::new();
        while !block.is_full()
            && let Some(&series) = self.series.next()
        {
            if let Some(id) = index.id(series) {
                block.add(series, id, index.pairs(series));
            }
        }
        block.finish()
    }
}
