//! A shard's storage: log, head, chunk files, index.
//!
//! Floor 1 (disk): synchronous; files go through [`files`], time is an argument.

mod batch;
mod catalog;
pub mod chunk_file;
mod committer;
mod config;
mod entry;
mod error;
mod exclusive;
pub mod files;
#[cfg(test)]
mod fuzz;
mod head;
mod index;
mod known;
mod metadata;
mod metrics;
mod outcome;
mod quarantine;
mod settle;
mod shard;
mod store;
mod tombstone;
pub mod wal;
mod writer;

pub use committer::Done;
pub use config::{HashSecret, LabelLimits, StoreConfig};
pub use error::StorageError;
pub use index::Cardinality;
pub use metadata::{Description, MetadataStore};
pub use metrics::{Count, Latency, Metrics, Pauses};
pub use outcome::{Counts, Refusal, RefusalReason, WriteError, WriteOutcome};
pub use store::{ChunkFileSummary, Clock, Recovery, Selection, Statistics, Store};
pub use writer::Writer;
