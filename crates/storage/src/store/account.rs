//! What the store holds in memory, noted in the shared budget; and what it does when that is tight.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use metricstor_memory::Permit;

use super::Inner;
use crate::error::StorageError;

/// The index is measured every so many rounds: that takes longer than measuring a head…
const TABLE_ROUNDS: u64 = 10;
/// …and also when it has grown by more than this part since.
const GROWTH: usize = 16;
/// The index may take this part of the memory; the rest is for what its series do.
const INDEX_PART: f64 = 0.375;

/// What a series takes of the index beside new labels, about, as long as they are too few to tell: bytes.
const SERIES_SIZE: usize = 160;
const SERIES_TO_TELL: usize = 10_000;
/// The index is full when there is room for no more than this part of what it has.
const NEARLY: usize = 64;

/// The store's parts of the budget.
pub(super) struct Account {
    pub heads: Permit,
    /// Index, recognised labels, tables of open files.
    pub tables: Permit,
    /// Series when the tables were measured.
    pub series: usize,
}

/// How much the index grew since it was measured: labels may be of a few bytes or of thousands.
#[derive(Default)]
pub(super) struct Growth {
    /// The memory has no room for more series.
    is_full: AtomicBool,
    /// What a series takes beside new labels, about; bytes.
    series_size: AtomicUsize,
    bytes: AtomicUsize,
    /// It is measured again when it has grown by so many.
    bytes_max: AtomicUsize,
}

impl Growth {
    /// Notes one more series, with new labels of so many bytes.
    pub fn note(&self, labels: usize) {
        let series = self.series_size.load(Ordering::Relaxed);
        self.bytes.fetch_add(series + labels, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    fn is_large(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.bytes_max.load(Ordering::Relaxed)
    }

    /// Begins anew, with so many bytes left for series of this size beside so many others.
    fn measured(&self, left: usize, series_size: usize, others: usize) {
        self.is_full.store(left / series_size.max(1) <= others / NEARLY, Ordering::Relaxed);
        self.series_size.store(series_size, Ordering::Relaxed);
        // Measured again half way there.
        self.bytes_max.store(left / 2, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Inner {
    /// Notes what heads and tables hold.
    pub(super) fn note_memory(&self, round: u64) {
        let heads = self.shards.shards.iter().map(|shard| shard.head_bytes()).sum();
        let series = self.series.load(Ordering::Relaxed);
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.heads.set(heads);
        let grown = series.saturating_sub(account.series) > account.series / GROWTH;
        if grown || round.is_multiple_of(TABLE_ROUNDS) {
            self.measure_tables(&mut account);
        }
    }

    /// Has the memory room for one more series? Beyond its part for them they are refused, for writes
    /// of all others would be in the end.
    pub(super) fn has_room_for_series(&self) -> bool {
        let growth = &self.index_growth;
        if !growth.is_full() && growth.is_large() {
            let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
            // Others may have measured meanwhile.
            if growth.is_large() {
                self.measure_tables(&mut account);
            }
        }
        !growth.is_full()
    }

    fn measure_tables(&self, account: &mut Account) {
        let shards = &self.shards.shards;
        let series = self.series.load(Ordering::Relaxed);
        let index: usize = shards.iter().map(|shard| shard.index_bytes()).sum();
        let files: usize = shards.iter().map(|shard| shard.file_table_bytes()).sum();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).size();
        account.tables.set(index + files + known);
        account.series = series;
        let room = (self.config.memory.limit() as f64 * INDEX_PART) as usize;
        let each = if series < SERIES_TO_TELL { SERIES_SIZE } else { index / series };
        self.index_growth.measured(room.saturating_sub(index), each, series);
    }

    /// Flushes the largest head when seven eighths of the memory are taken.
    pub(super) fn relieve(&self) -> Result<(), StorageError> {
        let memory = &self.config.memory;
        if memory.held() / 7 >= memory.limit() / 8
            && let Some(largest) = self.shards.shards.iter().max_by_key(|s| s.head_bytes())
        {
            self.flush(largest)?;
        }
        Ok(())
    }
}
