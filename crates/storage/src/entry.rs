//! What one log entry changes: samples come, or go. The first byte of its payload tells which.

use crate::batch::{Batch, Malformed};
use crate::tombstone::Tombstone;

pub(crate) enum Change {
    Write(Batch),
    Delete(Tombstone),
}

impl Change {
    /// Replaces this change by a decoded payload, keeping a batch's memory.
    pub fn decode(&mut self, payload: &[u8], log_index: u64) -> Result<(), Malformed> {
        if payload.first() == Some(&Tombstone::KIND) {
            *self = Self::Delete(Tombstone::decode(payload, log_index)?);
            return Ok(());
        }
        match self {
            Self::Write(batch) => batch.decode(payload),
            Self::Delete(_) => {
                let mut batch = Batch::default();
                batch.decode(payload)?;
                *self = Self::Write(batch);
                Ok(())
            }
        }
    }
}
