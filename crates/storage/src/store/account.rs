//! What the store holds in memory, noted in the shared budget; and what it does when that is tight.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use metricstor_memory::Permit;

use super::Inner;
use crate::error::StorageError;

/// The index is measured every so many rounds: that takes longer than measuring a head…
const TABLE_ROUNDS: u64 = 10;
/// …and also when it has grown by more than this part since.
const GROWTH: usize = 16;
/// The index may take this part of the memory; the rest is for what its series do.
const INDEX_PART: f64 = 0.375;

/// The store's parts of the budget.
pub(super) struct Account {
    pub heads: Permit,
    /// Index, recognised labels, tables of open files.
    pub tables: Permit,
    /// Series when the tables were measured.
    pub series: usize,
}

impl Inner {
    /// Notes what heads and tables hold. Series beyond what the memory has room for are refused from
    /// here on, for writes of all others would be in the end.
    pub(super) fn note_memory(&self, round: u64) {
        let shards = &self.shards.shards;
        let heads = shards.iter().map(|shard| shard.head_bytes()).sum();
        let series = self.series.load(Ordering::Relaxed);
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.heads.set(heads);
        let grown = series.saturating_sub(account.series) > account.series / GROWTH;
        if !grown && !round.is_multiple_of(TABLE_ROUNDS) {
            return;
        }
        let index: usize = shards.iter().map(|shard| shard.index_bytes()).sum();
        let files: usize = shards.iter().map(|shard| shard.file_table_bytes()).sum();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).size();
        account.tables.set(index + files + known);
        account.series = series;
        let room = self.config.memory.limit() as f64 * INDEX_PART;
        self.index_is_full.store(index as f64 > room, Ordering::Relaxed);
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
