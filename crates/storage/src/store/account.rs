//! What the store holds in memory, noted in the shared budget; and what it does when that is tight.

use metricstor_memory::Permit;
use std::sync::PoisonError;

use super::Inner;
use crate::error::StorageError;

/// The index is measured every so many rounds: that takes longer than measuring a head.
const TABLE_ROUNDS: u64 = 10;

/// The store's parts of the budget.
pub(super) struct Account {
    pub heads: Permit,
    /// Index, recognised labels, tables of open files.
    pub tables: Permit,
}

impl Inner {
    /// Notes what heads and tables hold; flushes the largest head when seven eighths of the memory
    /// are taken.
    pub(super) fn keep_account(&self, round: u64) -> Result<(), StorageError> {
        let shards = &self.shards.shards;
        let heads = shards.iter().map(|shard| shard.head_bytes()).sum();
        {
            let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
            account.heads.set(heads);
            if round.is_multiple_of(TABLE_ROUNDS) {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner).size();
                let tables: usize = shards.iter().map(|shard| shard.table_bytes()).sum();
                account.tables.set(tables + known);
            }
        }
        let memory = &self.config.memory;
        if memory.held() / 7 >= memory.limit() / 8
            && let Some(largest) = shards.iter().max_by_key(|shard| shard.head_bytes())
        {
            self.flush(largest)?;
        }
        Ok(())
    }
}
